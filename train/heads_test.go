package train

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// A region's tokens lie between −1 and 1 in it, its middle at 0.
func TestWithin(t *testing.T) {
	const w, h = 4, 3
	members := make([]float32, 2*w*h)
	for _, at := range []int{1, 2, 3, w + 2} { // three columns, two rows
		members[at] = 1
	}
	members[w*h+2*w] = 1 // a single token
	got := within(members, w, h)
	want := make([]float32, 2*len(members))
	third := float32(2) / 3
	want[1], want[3] = -third, third
	for at, row := range map[int]float32{1: -0.5, 2: -0.5, 3: -0.5, w + 2: 0.5} {
		want[w*h+at] = row
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	where := make([]float32, 3*w*h)
	put(where, members[:w*h], got[:w*h], got[w*h:2*w*h])
	put(where, slices.Repeat([]float32{1}, w*h), make([]float32, w*h), make([]float32, w*h))
	if where[3] != -third || where[4] != -0.5 || where[5] != 1 {
		t.Errorf("token 1 is at %v; the first region counts", where[3:6])
	}
	if where[0] != 0 || where[2] != 1 {
		t.Errorf("token 0 is at %v", where[:3])
	}
}

// A head that knows costs nothing, one that says the middle what a guess costs.
func TestWhereLoss(t *testing.T) {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	m := Model{Flux: flux.Config{Dim: 4, Double: 1}}
	const s, text = 400, 3
	// The state of an image token is ±place; a layer norm of (a, −a, b, −b) keeps a : b.
	states, where := make([]float32, 4*(s+text)), make([]float32, 3*s)
	for i := range s {
		angle := float64(i) / s * 2 * math.Pi
		x, y := float32(math.Cos(angle)), float32(math.Sin(angle))
		copy(states[4*(text+i):], []float32{x, -x, y, -y})
		if i%4 != 0 { // a quarter is in no region
			copy(where[3*i:], []float32{x, y, 1})
		}
	}
	for head, want := range map[float32]float64{float32(1 / math.Sqrt2): 0, 0: 1.5} { // of places on a circle: ½ a coordinate, against ⅓
		name := headPrefix + "where.double.0.img"
		weights := map[string]tensor.Tensor{
			name + ".weight": {Shape: []int{2, 4}, Data: []float32{head, 0, 0, 0, 0, 0, head, 0}},
			name + ".bias":   {Shape: []int{2}, Data: make([]float32, 2)},
		}
		exec, err := Compile(backend, weights, func(w nn.Weights, in []*Node) []*Node {
			_, added := m.ask(w, eligen.Recipe{Within: 2}, inputs{where: in[1]}, map[string]*Node{}, func(trace func(string, *Node)) *Node {
				trace("single.0", in[0])
				trace("double.0.img", in[0])
				return in[0]
			})
			return []*Node{MulScalar(added, 0.5)}
		})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Call(nested(states, 4), nested(where, 3))
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(out[0].Value().(float32)); math.Abs(got-want) > 1e-4 {
			t.Errorf("heads of %v are off by %v, want %v", head, got, want)
		}
	}
}

// nested makes [1,n,width] of rows.
func nested(x []float32, width int) [][][]float32 {
	return [][][]float32{slices.Collect(slices.Chunk(x, width))}
}

// What an object looks like is the mean of its latents; a batch that has pairs asks of
// their tokens alone, in units of how much looks differ.
func TestAcross(t *testing.T) {
	const w, h = 3, 2
	latents := make([]float32, 2*2*h*2*w)
	region := make([]float32, w*h)
	region[w+1] = 1 // the middle token of the lower row
	for _, at := range []int{2*2*w + 2, 2*2*w + 3, 3*2*w + 2, 3*2*w + 3} {
		latents[at], latents[2*h*2*w+at] = 2, float32(at)
	}
	if got := average(latents, region, w, 2); got[0] != 2 || got[1] != 2*2*w+w+2.5 {
		t.Errorf("the mean is %v", got)
	}
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Finalize()
	exec, err := Compile(backend, map[string]tensor.Tensor{}, func(_ nn.Weights, in []*Node) []*Node {
		look, tokens, variance := inputs{object: in[0], seen: in[1]}.across()
		return []*Node{look, tokens, variance}
	})
	if err != nil {
		t.Fatal(err)
	}
	// The third sample is no pair: what would be its look is zeros.
	out, err := exec.Call([][]float32{{1, 5}, {3, 5}, {0, 0}}, [][]float32{{0, 1}, {1, 0}, {0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(out[2].Value().(float32)); math.Abs(got-0.501) > 1e-4 { // of 1, 3 and of 5, 5
		t.Errorf("the variance is %v, want 0.501", got)
	}
}
