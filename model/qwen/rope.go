package qwen

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// theta is the base of the rotary positions.
const theta = 10000

// A rotation is a table of angles, [L,HeadDim/2]: text rows first.
type rotation struct{ cos, sin *Node }

func (r rotation) split(n int) (a, b rotation) {
	cut := func(x *Node) (_, _ *Node) { return SliceAxis(x, 0, AxisRange(0, n)), SliceAxis(x, 0, AxisRange(n)) }
	a.cos, b.cos = cut(r.cos)
	a.sin, b.sin = cut(r.sin)
	return a, b
}

// Start returns the position of every text's first token on all three axes: behind all pictures.
func Start(grids []Grid) (p int) {
	for _, g := range grids {
		p = max(p, g.Rows/2, g.Columns/2)
	}
	return p
}

// Angles returns the cosines and sines of all rows' angles, [L,HeadDim/2], text first.
func (b Blocks) Angles(g *Graph) (cos, sin *Node) {
	r := b.rope(g)
	return r.cos, r.sin
}

// rope returns the angles of all rows. Picture j's token in row r and column c is at (j, r − ⌈rows/2⌉,
// c − ⌈columns/2⌉), counted from its middle; token n of a text is at Start + n on all axes, whichever
// text it is.
func (b Blocks) rope(g *Graph) rotation {
	table := func(f func(float64) float64) *Node {
		line := func(from, n, features int) *Node { // [n,features/2]
			t := make([][]float32, n)
			for i := range t {
				for k := range features / 2 {
					t[i] = append(t[i], float32(f(float64(from+i)*math.Pow(theta, -float64(2*k)/float64(features)))))
				}
			}
			return Const(g, t)
		}
		var parts []*Node
		start := Start(b.Grids)
		text := func(n int) *Node { // [n,HeadDim/2]
			var axes []*Node
			for _, features := range b.Axes {
				if features > 0 {
					axes = append(axes, line(start, n, features))
				}
			}
			return Concatenate(axes, -1)
		}
		for _, e := range b.Groups {
			t := text(e.Text)
			for range e.N {
				parts = append(parts, t)
			}
		}
		parts = append(parts, text(b.Global))
		for j, grid := range b.Grids {
			var axes []*Node
			for i, at := range [][2]int{{j, 1}, {grid.Rows/2 - grid.Rows, grid.Rows}, {grid.Columns/2 - grid.Columns, grid.Columns}} {
				n := b.Axes[i] / 2
				if n == 0 {
					continue
				}
				shape := []int{1, 1, n}
				if i > 0 {
					shape[i-1] = at[1]
				}
				axes = append(axes, BroadcastToDims(Reshape(line(at[0], at[1], 2*n), shape...), grid.Rows, grid.Columns, n))
			}
			parts = append(parts, Reshape(Concatenate(axes, -1), grid.Tokens(), b.HeadDim()/2))
		}
		return Concatenate(parts, 0)
	}
	return rotation{table(math.Cos), table(math.Sin)}
}

// apply rotates adjacent pairs of x [B,S,H,HeadDim], in float32.
func (r rotation) apply(x *Node) *Node {
	dtype, d := x.DType(), x.Shape().Dimensions
	f := Reshape(ConvertDType(x, dtypes.Float32), d[0], d[1], d[2], d[3]/2, 2)
	x0, x1 := SliceAxis(f, 4, AxisRange(0, 1)), SliceAxis(f, 4, AxisRange(1))
	cos, sin := Reshape(r.cos, 1, d[1], 1, d[3]/2, 1), Reshape(r.sin, 1, d[1], 1, d[3]/2, 1)
	f = Concatenate([]*Node{Sub(Mul(cos, x0), Mul(sin, x1)), Add(Mul(sin, x0), Mul(cos, x1))}, 4)
	return ConvertDType(Reshape(f, d...), dtype)
}
