package fluxmodel

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/weights"
)

// lesson is one about a picture of 4×6 tokens with n entities: overlapping, of one token, of all tokens.
func lesson(c flux.Config, rng *rand.Rand, n int) family.Lesson {
	random := func(shape ...int) tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64())
		}
		return x
	}
	x := family.Lesson{
		Latents: random(c.LatentChannels, 8, 12), Noise: random(c.LatentChannels, 8, 12), Sigma: 0.6, Guidance: 1, Weight: 1.3,
		Prompt: eligen.Conditioning{eligen.Txt: random(5, c.TextDim), eligen.Vec: random(c.PooledDim)},
	}
	for i := range 8 * 12 {
		x.Of = append(x.Of, 1+float32(i%5)/8)
	}
	all := make([]int32, 24)
	for i := range all {
		all[i] = int32(i)
	}
	for i, tokens := range [][]int32{{1, 2, 7, 8, 13}, {8, 9, 14}, {20}, all}[:n] {
		x.Entities = append(x.Entities, eligen.EntityConditioning{
			Prompt: eligen.Conditioning{eligen.Txt: random(3, c.TextDim)}, Tokens: tokens, Strength: 1 - float64(i%2)/2,
		})
	}
	return x
}

// factors draws a LoRA for all layers that can have one.
func factors(c flux.Config, rng *rand.Rand, rank int) family.Factors {
	out := family.Factors{}
	for _, w := range adaptable(c) {
		p := family.Pair{A: tensor.New(rank, w.Shape[1]), B: tensor.New(w.Shape[0], rank)}
		for _, x := range [][]float32{p.A.Data, p.B.Data} {
			for i := range x {
				x[i] = float32(rng.NormFloat64() * 0.2)
			}
		}
		out[w.Name] = p
	}
	return out
}

// whole computes the same by one graph, over all of the network, with LoRAs inside the weights and the
// attention under a mask.
func whole(t *testing.T, be compute.Backend, c flux.Config, values func(name string, n int) []float32, x family.Lesson,
	f family.Factors) (float64, family.Factors) {
	t.Helper()
	names := slices.Sorted(maps.Keys(f))
	var args []any
	up := func(x tensor.Tensor, leading ...int) { args = append(args, exec.Upload(x, leading...)) }
	for _, n := range names {
		up(f[n].A)
		up(f[n].B)
	}
	fixed := 2 * len(names)
	up(x.Latents, 1)
	up(x.Noise, 1)
	up(x.Prompt[eligen.Txt], 1)
	up(x.Prompt[eligen.Vec], 1)
	s := x.Latents.Shape[1] * x.Latents.Shape[2] / 4
	members, logs, txt := tensor.New(len(x.Entities), s), tensor.New(len(x.Entities)), tensor.New(len(x.Entities), 3, c.TextDim)
	for i, e := range x.Entities {
		for _, k := range e.Tokens {
			members.Data[i*s+int(k)] = 1
		}
		logs.Data[i] = float32(math.Log(e.Strength))
		copy(txt.Data[i*3*c.TextDim:], e.Prompt[eligen.Txt].Data)
	}
	if len(x.Entities) > 0 {
		up(members, 1)
		up(logs, 1)
		up(txt, 1)
	}
	weight := tensor.New(1, x.Latents.Shape[1], x.Latents.Shape[2])
	for i := range weight.Data {
		weight.Data[i] = x.Weight * x.Of[i]
	}
	up(weight)
	all := map[string]*tensors.Tensor{}
	for _, w := range c.Weights() {
		all[w.Name] = tensors.FromFlatDataAndDimensions(values(w.Name, len(tensor.New(w.Shape...).Data)), w.Shape...)
	}
	e := MustNewExec(be, func(in []*Node) []*Node {
		g := in[0].Graph()
		w := nn.Weights(func(name string) *Node {
			n := ConstTensor(g, all[name])
			if i, ok := slices.BinarySearch(names, name); ok {
				n = Add(n, DotGeneral(in[2*i+1], []int{1}, nil, in[2*i], []int{0}, nil))
			}
			return n
		})
		rest := in[fixed:]
		noisy := Add(MulScalar(rest[0], 1-float64(x.Sigma)), MulScalar(rest[1], float64(x.Sigma)))
		input := flux.Input{Latents: noisy, Timestep: Const(g, []float32{1000 * x.Sigma}), Txt: rest[2], Vec: rest[3]}
		if c.Guidance {
			input.Guidance = Const(g, []float32{x.Guidance})
		}
		if len(x.Entities) > 0 {
			input.Entities = []flux.Entities{{Members: rest[4], LogStrength: rest[5], Txt: rest[6]}}
		}
		d := Sub(flux.Velocity(w, c, input), Sub(rest[1], rest[0]))
		loss := ReduceAllMean(Mul(Square(d), ExpandLeftToRank(rest[len(rest)-1], 4)))
		return append([]*Node{loss}, Gradient(loss, in[:fixed]...)...)
	})
	defer e.Finalize()
	out := e.MustCall(args...)
	got := family.Factors{}
	for i, n := range names {
		a, err := exec.Download(out[1+2*i], f[n].A.Shape...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := exec.Download(out[2+2*i], f[n].B.Shape...)
		if err != nil {
			t.Fatal(err)
		}
		got[n] = family.Pair{A: a, B: b}
	}
	return float64(tensors.ToScalar[float32](out[0])), got
}

// Block by block, with blocks that pass through or not, a step has the loss and the gradients of the whole network at once.
func TestLearnerIsWhole(t *testing.T) {
	be, _, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	c := modeltest.SmallFlux
	c.Double, c.Single = 2, 3
	ck := modeltest.RandomCheckpoint(t, weights.List(c.Weights()))
	for n := range 5 {
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		x, f := lesson(c, rng, n), factors(c, rng, 2)
		loss, want := whole(t, be, c, func(name string, _ int) []float32 { return modeltest.All(t, ck, name) }, x, f)
		for _, room := range []int64{0, 1} { // bytes; 0 is no limit
			r := exec.NewRunner(be)
			s := exec.NewStore(be, ck, dtypes.Float32)
			l := &Learner{Config: c, Store: s, Runner: r, Room: room}
			for range 2 {
				got, gradients, err := l.Loss(t.Context(), x, f)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(got-loss) > 1e-5*loss {
					t.Errorf("%d entities, room %d: the loss is %g, want %g", n, room, got, loss)
				}
				worst, name := furthest(t, gradients, want)
				if worst > 2e-5 {
					t.Errorf("%d entities, room %d: the gradient of %s differs by %g of its largest number", n, room, name, worst)
				}
				t.Logf("%d entities, room %d: loss %g, gradients differ by %.2g of their largest numbers at most", n, room, got, worst)
			}
			if err := s.Settle(); err != nil {
				t.Error(err)
			}
			if err := s.Release(); err != nil {
				t.Error(err)
			}
			r.Finalize()
		}
	}
}

// furthest returns how far a gradient is from what is wanted, by its largest number.
func furthest(t *testing.T, got, want family.Factors) (worst float64, name string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d gradients, want %d", len(got), len(want))
	}
	for n, w := range want {
		for i, pair := range [][2][]float32{{got[n].A.Data, w.A.Data}, {got[n].B.Data, w.B.Data}} {
			most := 0.0
			for _, x := range pair[1] {
				most = max(most, math.Abs(float64(x)))
			}
			if most == 0 {
				t.Fatalf("%s %d: the gradient is 0 throughout", n, i)
			}
			if d := modeltest.Differ(pair[0], pair[1]) / most; d > worst {
				worst, name = d, n
			}
		}
	}
	return worst, name
}

// Over weights in integers, gradients are those over the numbers that the integers stand for.
func TestLearnerOverIntegers(t *testing.T) {
	be, _, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	c := modeltest.SmallFlux
	ck := modeltest.RandomCheckpoint(t, weights.List(c.Weights()))
	rng := rand.New(rand.NewPCG(5, 6))
	x, f := lesson(c, rng, 3), factors(c, rng, 2)
	for _, form := range []rows.Form{rows.Int8, rows.Int4} {
		held := rows.Over(ck, form, func(name string) bool { return BlockWeight(name) && StepWeight(name) })
		loss, want := whole(t, be, c, func(name string, n int) []float32 {
			data := modeltest.All(t, ck, name)
			i := slices.IndexFunc(held.Tensors(), func(x tensor.Info) bool { return x.Name == name && strings.HasPrefix(x.DType, string(form)) })
			if i < 0 {
				return data
			}
			out := held.Tensors()[i].Shape[0]
			for row := range slices.Chunk(data, n/out) {
				b := make([]byte, map[rows.Form]int{rows.Int8: len(row), rows.Int4: len(row) / 2}[form])
				scale := form.Quantise(b, row)
				form.Dequantise(row, b, scale)
			}
			return data
		}, x, f)
		r, s := exec.NewRunner(be), exec.NewStore(be, held, dtypes.Float32)
		got, gradients, err := (&Learner{Config: c, Store: s, Runner: r}).Loss(t.Context(), x, f)
		if err != nil {
			t.Fatal(err)
		}
		worst, name := furthest(t, gradients, want)
		t.Logf("%s: loss %g, want %g; gradients differ by %.2g of their largest numbers at most", form, got, loss, worst)
		if math.Abs(got-loss) > 1e-5*loss || worst > 2e-5 {
			t.Errorf("%s: the loss is %g, want %g; the gradient of %s differs by %g of its largest number", form, got, loss, name, worst)
		}
		if err := s.Release(); err != nil {
			t.Error(err)
		}
		r.Finalize()
	}
}
