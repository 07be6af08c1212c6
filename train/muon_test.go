package train_test

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/train"
)

// One step of Muon moves a matrix by its gradient with all singular values
// near one, whatever they were: here they lie two orders of magnitude apart.
func TestMuonStep(t *testing.T) {
	const rate = 0.01
	for _, c := range []struct {
		name     string
		out, in  int
		matrices int // stacked along the first axis
	}{
		{"wide", 4, 16, 1},
		{"tall", 20, 8, 1},
		{"query, key and value", 24, 8, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The gradient of Σ W·G is G: rows of very different lengths.
			rng := rand.New(rand.NewPCG(5, 0))
			g := make([]float32, c.out*c.in)
			for i := range g {
				g[i] = float32(rng.NormFloat64() * math.Pow(10, float64(i/c.in%2)-1))
			}
			task := train.Task{
				Params:   []train.Param{{Name: "block.weight", Shape: []int{c.out, c.in}, Init: make([]float32, len(g))}},
				Pictures: 1,
				Batch: func(int) ([]*tensors.Tensor, error) {
					return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(g, c.out, c.in)}, nil
				},
				Loss: func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
					return ReduceAllSum(Mul(w("block.weight"), in[0])), nil
				},
			}
			dir := t.TempDir()
			r := eligen.Recipe{Name: "muon", Steps: 1, Batch: 1, Every: 1,
				Optimizer: eligen.Optimizer{Kind: "muon", Rate: rate, Decay: "constant", Betas: [2]float64{0.95, 0.99}}}
			if err := run(t, t.Context(), task, r, dir); err != nil {
				t.Fatal(err)
			}
			w, err := train.Result(dir)
			if err != nil {
				t.Fatal(err)
			}
			rows := c.out / c.matrices
			scale := rate * 0.2 * math.Sqrt(float64(max(rows, c.in)))
			for m := range c.matrices {
				// The gram of the shorter side would be the identity.
				at := func(i, k int) float64 {
					if rows > c.in {
						i, k = k, i
					}
					return -float64(w["block.weight"].Data[(m*rows+i)*c.in+k]) / scale
				}
				short, long := min(rows, c.in), max(rows, c.in)
				for i := range short {
					for j := range short {
						dot := 0.0
						for k := range long {
							dot += at(i, k) * at(j, k)
						}
						if i == j && (dot < 0.4 || dot > 1.4) || i != j && math.Abs(dot) > 0.4 {
							t.Errorf("matrix %d: the gram's element (%d, %d) is %.3f", m, i, j, dot)
						}
					}
				}
				// It goes down the gradient.
				down := 0.0
				for i := range rows {
					for k := range c.in {
						down += float64(g[(m*rows+i)*c.in+k]) * float64(w["block.weight"].Data[(m*rows+i)*c.in+k])
					}
				}
				if down >= 0 {
					t.Errorf("matrix %d moved up the gradient: %.4f", m, down)
				}
			}
		})
	}
}

// Vectors and embeddings go by AdamW, of which a first step is the rate in
// every element, whatever its gradient.
func TestMuonLeavesVectorsToAdamW(t *testing.T) {
	r := lineRecipe
	r.Steps, r.Every, r.EMA = 1, 1, 0
	r.Optimizer = eligen.Optimizer{Kind: "muon", Rate: 0.25, Decay: "constant"}
	dir := t.TempDir()
	if err := run(t, t.Context(), line(nil), r, dir); err != nil {
		t.Fatal(err)
	}
	w, err := train.Result(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := w["line.bias"].Data[0]; math.Abs(math.Abs(float64(got))-0.25) > 1e-4 {
		t.Errorf("the bias moved by %v, want the rate, 0.25", got)
	}
}
