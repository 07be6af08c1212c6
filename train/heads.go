package train

import (
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/nn"
)

// A transformer with rotary positions has to find out by attention where in its region
// an image token is, and what an object looks like in another panel; and a small one is
// slow to learn it from pictures, if drawing them better is all the reward. So it is told
// what to look for. While it is trained, linear heads on the image tokens after two of the
// blocks say these things, and how far off they are counts in the loss. The heads are not
// part of the model.

// headPrefix begins the names of the heads' weights, which no model holds.
const headPrefix = "head."

// heads say one thing of image tokens: so many numbers.
type heads struct {
	name   string
	width  int
	weight float64 // in the loss
	// truth is what is to be said, [B,S,width] or [B,1,width], of which tokens, [B,S,1],
	// and what a guess is off by.
	truth func(in inputs) (said, tokens, variance *Node)
}

// heads returns what a recipe asks of the transformer besides pictures.
func (m Model) heads(r eligen.Recipe) (out []heads) {
	if r.Within > 0 {
		out = append(out, heads{"where", 2, r.Within, inputs.within})
	}
	if r.Across > 0 {
		out = append(out, heads{"across", m.VAE.Z, r.Across, inputs.across})
	}
	return out
}

// headBlocks returns the blocks with heads, by the names of flux.Input.Trace: the last
// double one, and the single one in the middle.
func (m Model) headBlocks() []string {
	out := []string{fmt.Sprintf("double.%d.img", m.Flux.Double-1)}
	if m.Flux.Single > 2 {
		out = append(out, fmt.Sprintf("single.%d", m.Flux.Single/2-1))
	}
	return out
}

func (m Model) headParams(r eligen.Recipe) (out []Param) {
	for _, h := range m.heads(r) {
		for _, block := range m.headBlocks() {
			name := headPrefix + h.name + "." + block
			out = append(out, Param{Name: name + ".weight", Shape: []int{h.width, m.Flux.Dim}}, Param{Name: name + ".bias", Shape: []int{h.width}})
		}
	}
	return out
}

// ask makes a transformer's velocity by a function that is given a trace. Added is what
// the answers of the recipe's heads add to the loss; measures has each one's error, in
// units of what a guess costs.
func (m Model) ask(w nn.Weights, r eligen.Recipe, in inputs, measures map[string]*Node,
	velocity func(trace func(string, *Node)) *Node) (v, added *Node) {
	states := map[string]*Node{}
	v = velocity(func(name string, value *Node) {
		if slices.Contains(m.headBlocks(), name) {
			states[name] = value
		}
	})
	added = ScalarZero(v.Graph(), v.DType())
	for _, h := range m.heads(r) {
		truth, mask, variance := h.truth(in)
		b, s := mask.Shape().Dim(0), mask.Shape().Dim(1)
		off := ScalarZero(v.Graph(), v.DType())
		for _, block := range m.headBlocks() {
			x := states[block]
			length := x.Shape().Dim(1)
			// image tokens are behind text
			x = nn.LayerNorm(Slice(x, AxisRange(), AxisRange(length-s, length)), 1e-6)
			said := w.In(headPrefix + h.name + "." + block).Linear(x)                                                   // [B,S,width]
			each := Mul(Square(Sub(said, BroadcastToDims(truth, b, s, h.width))), BroadcastToDims(mask, b, s, h.width)) // of tokens that are asked
			off = Add(off, Div(ReduceAllSum(each), AddScalar(Mul(variance, MulScalar(ReduceAllSum(mask), float64(h.width))), 1e-6)))
		}
		measures[h.name] = DivScalar(off, float64(len(m.headBlocks())))
		added = Add(added, MulScalar(measures[h.name], h.weight))
	}
	return v, added
}

// within is, of members [N,H·W], where each token of a region lies in it: columns, then
// rows, from −1 to 1: [N,2,H·W].
func within(members []float32, w, h int) []float32 {
	plane := w * h
	out := make([]float32, 2*len(members))
	for e := 0; e*plane < len(members); e++ {
		row := members[e*plane : (e+1)*plane]
		x0, y0, x1, y1 := math.MaxInt, math.MaxInt, -1, -1
		for i, on := range row {
			if on != 0 {
				x0, y0, x1, y1 = min(x0, i%w), min(y0, i/w), max(x1, i%w), max(y1, i/w)
			}
		}
		for i, on := range row {
			if on != 0 {
				out[2*e*plane+i] = between(i%w, x0, x1)
				out[(2*e+1)*plane+i] = between(i/w, y0, y1)
			}
		}
	}
	return out
}

// between returns where the middle of token i is among those from first to last.
func between(i, first, last int) float32 {
	return float32(2*i-first-last) / float32(last-first+1)
}

// put writes the places x and y of a region's tokens into where [S,3]. A token in several
// regions keeps the first.
func put(where, region, x, y []float32) {
	for i, on := range region {
		if on != 0 && where[3*i+2] == 0 {
			where[3*i], where[3*i+1], where[3*i+2] = x[i], y[i], 1
		}
	}
}
