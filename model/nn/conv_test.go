package nn_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/model/nn"
)

// backends returns the Go backend and, where ELIGEN_XLA_CPU names a plugin, XLA.
func backends(t *testing.T) map[string]compute.Backend {
	t.Helper()
	out := map[string]compute.Backend{}
	configs := map[string]string{"go": "go:ops_sequential"}
	if plugin := os.Getenv("ELIGEN_XLA_CPU"); plugin != "" && withXLA {
		configs["xla"] = "xla:" + plugin
	}
	for name, config := range configs {
		b, err := compute.NewWithConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Finalize)
		out[name] = b
	}
	return out
}

func random(rng *rand.Rand, shape ...int) *tensors.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(rng.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(data, shape...)
}

// slowConv convolves by the definition: x [B,h,w,in], weight [out,in,kh,kw].
func slowConv(x, w []float32, b, h, wd, in, out, kh, kw, stride, top, left, bottom, right int) []float32 {
	oh, ow := (h+top+bottom-kh)/stride+1, (wd+left+right-kw)/stride+1
	y := make([]float32, b*oh*ow*out)
	for n := range b {
		for i := range oh {
			for j := range ow {
				for o := range out {
					var sum float64
					for c := range in {
						for p := range kh {
							for q := range kw {
								r, s := i*stride+p-top, j*stride+q-left
								if r >= 0 && s >= 0 && r < h && s < wd {
									sum += float64(x[((n*h+r)*wd+s)*in+c]) * float64(w[((o*in+c)*kh+p)*kw+q])
								}
							}
						}
					}
					y[((n*oh+i)*ow+j)*out+o] = float32(sum)
				}
			}
		}
	}
	return y
}

func TestConv(t *testing.T) {
	for name, be := range backends(t) {
		for _, c := range []struct {
			name                                               string
			h, w, in, out, k, stride, top, left, bottom, right int
		}{
			{"3×3", 5, 7, 3, 4, 3, 1, 1, 1, 1, 1},
			{"1×1", 4, 3, 5, 2, 1, 1, 0, 0, 0, 0},
			{"3×3 stride 2, padded below and right", 6, 8, 2, 3, 3, 2, 0, 0, 1, 1},
			{"2×2 stride 2", 6, 4, 2, 3, 2, 2, 0, 0, 0, 0},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 2))
				x, w := random(rng, 2, c.h, c.w, c.in), random(rng, c.out, c.in, c.k, c.k)
				e := MustNewExec(be, func(x, w *Node) *Node {
					weights := nn.Weights(func(name string) *Node {
						if name == "weight" {
							return w
						}
						return Zeros(x.Graph(), shapes.Make(x.DType(), c.out))
					})
					return weights.Conv(x, c.stride, c.top, c.left, c.bottom, c.right)
				})
				got := tensors.MustCopyFlatData[float32](e.MustCall(x, w)[0])
				want := slowConv(tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](w), 2, c.h, c.w, c.in, c.out, c.k,
					c.k, c.stride, c.top, c.left, c.bottom, c.right)
				if len(got) != len(want) {
					t.Fatalf("%d numbers, want %d", len(got), len(want))
				}
				for i := range want {
					if d := got[i] - want[i]; d > 1e-4 || d < -1e-4 {
						t.Fatalf("number %d is %v, want %v", i, got[i], want[i])
					}
				}
			})
		}
	}
}

// The pure-Go backend must get matrix products, XLA its native convolution:
// the other way round each is an order of magnitude slower.
func TestConvPerBackend(t *testing.T) {
	for name, be := range backends(t) {
		var graph string
		e := MustNewExec(be, func(x, w *Node) *Node {
			y := nn.Weights(func(name string) *Node {
				if name == "weight" {
					return w
				}
				return Zeros(x.Graph(), shapes.Make(x.DType(), 2))
			}).Conv3(x)
			graph = x.Graph().String()
			return y
		})
		rng := rand.New(rand.NewPCG(1, 2))
		e.MustCall(random(rng, 1, 4, 4, 2), random(rng, 2, 2, 3, 3))
		if native := strings.Contains(graph, "ConvGeneral("); native != (name == "xla") {
			t.Errorf("%s: a native convolution is in the graph: %v\n%s", name, native, graph)
		}
	}
}
