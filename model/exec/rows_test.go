package exec

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/weights"
)

// A layer over a matrix in integers gives what the dense product of the numbers that they stand
// for gives, of a matrix that is done in one piece and of one that is done in three; and what it
// gives is near the original's.
func TestRows(t *testing.T) {
	const in, tokens = 96, 5
	for _, name := range []string{"go", "xla"} {
		for _, form := range []rows.Form{rows.Int8, rows.Int4} {
			for _, out := range []int{40, 9000} {
				t.Run(name+" "+string(form), func(t *testing.T) {
					be := openBackend(t, name)
					w, bias, x := normal(out, in), normal(out), normal(tokens, in)
					base := checkpoint(t, tensor.Named{Name: "a.weight", Tensor: w}, tensor.Named{Name: "a.bias", Tensor: bias})
					held := rows.Over(base, form, func(name string) bool { return name == "a.weight" })
					r := NewRunner(be)
					defer r.Finalize()
					got := layer(t, r, NewStore(be, held, dtypes.Float32), x)

					oracle, loose := tensor.New(tokens, out), tensor.New(tokens, out)
					b, row := make([]byte, in*map[rows.Form]int{rows.Int8: 2, rows.Int4: 1}[form]/2), make([]float32, in)
					for o := range out {
						form.Dequantise(row, b, form.Quantise(b, w.Data[o*in:(o+1)*in]))
						for k := range tokens {
							oracle.Data[k*out+o] = product(row, x.Data[k*in:(k+1)*in]) + bias.Data[o]
							loose.Data[k*out+o] = product(w.Data[o*in:(o+1)*in], x.Data[k*in:(k+1)*in]) + bias.Data[o]
						}
					}
					if db := decibels(oracle.Data, got); !(db > 110) {
						t.Errorf("%.1f dB to the product of the numbers that the integers stand for", db)
					}
					least := map[rows.Form]float64{rows.Int8: 40, rows.Int4: 18}[form]
					if db := decibels(loose.Data, got); !(db > least) {
						t.Errorf("%.1f dB to the original, want %.0f", db, least)
					}
				})
			}
		}
	}
}

// In bfloat16, a sum is rounded once: the layer is as near to the float32 oracle as bfloat16 is.
func TestRowsInBFloat16(t *testing.T) {
	be := openBackend(t, "xla")
	w, bias, x := normal(64, 512), tensor.New(64), normal(3, 512)
	for i, v := range x.Data {
		x.Data[i] = math.Float32frombits(uint32(tensor.BFloat16(v)) << 16)
	}
	base := checkpoint(t, tensor.Named{Name: "a.weight", Tensor: w}, tensor.Named{Name: "a.bias", Tensor: bias})
	r := NewRunner(be)
	defer r.Finalize()
	held := rows.Over(base, rows.Int8, func(name string) bool { return name == "a.weight" })
	got := layer(t, r, NewStore(be, held, dtypes.BFloat16), x)
	want := layer(t, r, NewStore(be, held, dtypes.Float32), x)
	for i := range got {
		if d := math.Abs(float64(got[i] - want[i])); d > math.Abs(float64(want[i]))/256 {
			t.Fatalf("number %d is %v in bfloat16, and %v in float32", i, got[i], want[i])
		}
	}
}

func normal(shape ...int) tensor.Tensor {
	x, r := tensor.New(shape...), rand.New(rand.NewPCG(5, uint64(len(shape))))
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
	}
	return x
}

func checkpoint(t *testing.T, list ...tensor.Named) *weights.Checkpoint {
	t.Helper()
	var b bytes.Buffer
	if err := tensor.Write(&b, nil, list...); err != nil {
		t.Fatal(err)
	}
	c, err := weights.FromBytes("memory", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// layer runs the linear layer "a" on rows of numbers.
func layer(t *testing.T, r *Runner, s *Store, x tensor.Tensor) []float32 {
	t.Helper()
	out, err := r.Run(Graph{Name: "layer", Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		x := graph.ConvertDType(in[0], w("a.bias").DType())
		return []*graph.Node{graph.ConvertDType(w.In("a").Linear(x), dtypes.Float32)}
	}}, s, Upload(x))
	if err != nil {
		t.Fatal(err)
	}
	defer out[0].MustFinalizeAll()
	return tensors.MustCopyFlatData[float32](out[0])
}

func product(a, b []float32) float32 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return float32(sum)
}

// decibels returns how far the difference of two lies below the first.
func decibels(want, got []float32) float64 {
	var signal, noise float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		signal, noise = signal+float64(want[i])*float64(want[i]), noise+d*d
	}
	return 10 * math.Log10(signal/noise)
}
