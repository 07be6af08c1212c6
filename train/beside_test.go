package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/text"
)

// A LoRA beside the weights predicts and learns what one inside them does.
func TestBesideIsAdapted(t *testing.T) {
	const rank = 2
	m := Model{
		Flux: flux.Config{Dim: 16, Heads: 2, Axes: [3]int{2, 2, 4}, Double: 1, Single: 2, TextDim: 8, PooledDim: 8, MLPRatio: 2,
			LatentChannels: 4},
		T5:   text.T5Config{Dim: 8, FF: 8, HeadDim: 4, Heads: 2, Layers: 1, Vocab: 8},
		CLIP: text.CLIPConfig{Dim: 8, FF: 8, Heads: 2, Layers: 1, Vocab: 8, Positions: 4},
	}
	rng := rand.New(rand.NewPCG(7, 7))
	random := func(shape ...int) tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64() * 0.3)
		}
		return x
	}
	weights := map[string]tensor.Tensor{}
	var factors []string
	for _, p := range m.Params() {
		weights[p.Name] = random(p.Shape...)
		if a, b, ok := LoRANames(p.Name); ok {
			weights[a], weights[b] = random(rank, p.Shape[1]), random(p.Shape[0], rank)
			factors = append(factors, a, b)
		}
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Finalize)
	run := func(lora func(nn.Weights) nn.Weights) [][]float32 {
		exec, err := Compile(backend, weights, func(w nn.Weights, in []*Node) []*Node {
			v := m.velocity(lora(w), in[0], in[1], conditions{prompt: in[2], clip: in[2], entities: in[3], members: in[4]}, nil)
			var nodes []*Node
			for _, f := range factors {
				nodes = append(nodes, w(f))
			}
			return append([]*Node{v}, Gradient(ReduceAllMean(Square(v)), nodes...)...)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer exec.Finalize()
		x := rand.New(rand.NewPCG(3, 3))
		latents := make([]float32, 4*4*4)
		for i := range latents {
			latents[i] = float32(x.NormFloat64())
		}
		out, err := exec.Call(
			tensors.FromFlatDataAndDimensions(latents, 1, 4, 4, 4), []float32{300}, [][]int32{{1, 2, 3, 4}}, [][][]int32{{{5, 6}}},
			[][][]float32{{{1, 1, 0, 0}}})
		if err != nil {
			t.Fatal(err)
		}
		var all [][]float32
		for _, o := range out {
			all = append(all, tensors.MustCopyFlatData[float32](o))
		}
		return all
	}
	inside := run(func(w nn.Weights) nn.Weights { return Adapted(w, rank) })
	beside := run(func(w nn.Weights) nn.Weights { return m.Beside(w, rank) })
	for i := range inside {
		var diff, norm float64
		for j := range inside[i] {
			diff = max(diff, math.Abs(float64(inside[i][j]-beside[i][j])))
			norm = max(norm, math.Abs(float64(inside[i][j])))
		}
		name := "the velocity"
		if i > 0 {
			name = "the gradient of " + factors[i-1]
		}
		if norm == 0 || diff > 2e-5*norm {
			t.Errorf("%s differs by %g; its values go up to %g", name, diff, norm)
		}
	}
}
