package train

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/nn"
)

// A transformer with rotary positions has to find out by attention where in its region
// an image token is, and a small one is slow to learn it from pictures: it draws what is
// asked for without a shape. So it is told what to look for. While it is trained, linear
// heads on the image tokens after two of the blocks say the token's place in its region,
// and how far off they are counts in the loss. The heads are not part of the model.

// whereBlocks are the blocks with a head, by the names of flux.Input.Trace: the last
// double one, and the single one in the middle.
func (m Model) whereBlocks() []string {
	out := []string{fmt.Sprintf("double.%d.img", m.Flux.Double-1)}
	if m.Flux.Single > 2 {
		out = append(out, fmt.Sprintf("single.%d", m.Flux.Single/2-1))
	}
	return out
}

// headPrefix is where the heads' weights are, which no model holds.
const headPrefix = "where."

func (m Model) whereParams() (out []Param) {
	for _, block := range m.whereBlocks() {
		out = append(out, Param{Name: headPrefix + block + ".weight", Shape: []int{2, m.Flux.Dim}}, Param{Name: headPrefix + block + ".bias", Shape: []int{2}})
	}
	return out
}

// whereHeads collects what the heads look at.
type whereHeads struct {
	blocks []string
	states []*Node
}

// listen is a trace for the transformer; nil where the recipe has no use for it.
func (h *whereHeads) listen(m Model, r eligen.Recipe) func(name string, value *Node) {
	if r.Within == 0 {
		return nil
	}
	return func(name string, value *Node) {
		for _, block := range m.whereBlocks() {
			if name == block {
				h.blocks, h.states = append(h.blocks, block), append(h.states, value)
			}
		}
	}
}

// loss is the mean of the squared distance from where [B,S,3], over the tokens in a
// region, in units of the variance of a place drawn at random: 1 is what a guess costs.
func (h *whereHeads) loss(w nn.Weights, where *Node) *Node {
	b, s := where.Shape().Dim(0), where.Shape().Dim(1)
	place, in := Slice(where, AxisRange(), AxisRange(), AxisRange(0, 2)), Slice(where, AxisRange(), AxisRange(), AxisRange(2, 3))
	total := ScalarZero(where.Graph(), where.DType())
	for i, x := range h.states {
		length := x.Shape().Dim(1)
		x = nn.LayerNorm(Slice(x, AxisRange(), AxisRange(length-s, length)), 1e-6) // image tokens are behind text
		said := w.In(headPrefix + h.blocks[i]).Linear(x)                           // [B,S,2]
		off := Mul(Square(Sub(said, place)), BroadcastToDims(in, b, s, 2))
		total = Add(total, Div(ReduceAllSum(off), AddScalar(MulScalar(ReduceAllSum(in), 2.0/3), 1e-6)))
	}
	return DivScalar(total, float64(len(h.states)))
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

// between is where the middle of token i is among those from first to last.
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
