package nn

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// AttachRows makes a weight of integers, int8 [out, in] or two 4-bit numbers a byte [out, in/2],
// stand for the matrix of these numbers times a scale a row: float32 [out]. As with updates, the
// code of a model never hears of it; only linear layers read such a weight.
func AttachRows(weight *Node, name string, scale *Node) {
	if weight.GetAlias() == "" {
		weight.WithAlias("/weight " + name)
	}
	scale.WithAlias(rowsAlias(weight))
}

func rowsAlias(weight *Node) string { return weight.GetAlias() + " rows" }

// rowsOf returns the scale a row of a weight in integers; nil of any other.
func rowsOf(weight *Node) *Node {
	if weight.GetAlias() == "" || weight.DType() != dtypes.Int8 {
		return nil
	}
	return weight.Graph().GetNodeByAlias(rowsAlias(weight))
}

// rowsAtOnce is how many rows of integers become numbers of x's dtype at a time. A backend
// without a product of integers and floats makes a copy of what it multiplies: a few rows of it
// take a fraction of the memory, and fit a processor's cache.
const rowsAtOnce = 4096

// matMulRows returns x·Wᵀ for integers [out, in] or [out, in/2] with a scale a row: products are
// added up in float32, scaled there, and rounded once to x's dtype.
func matMulRows(x, weight, scale *Node) *Node {
	dtype, out := x.DType(), weight.Shape().Dim(0)
	in := x.Shape().Dim(-1)
	var parts []*Node
	for from := 0; from < out; from += rowsAtOnce {
		rows := AxisRange(from, min(from+rowsAtOnce, out))
		w := SliceAxis(weight, 0, rows)
		if len(parts) > 0 {
			w = SchedulingBarrier(w, parts[len(parts)-1])
		}
		var y *Node
		switch n := weight.Shape().Dim(1); {
		case n == in:
			y = integers(x, w)
		case 2*n == in:
			// The lower four bits are the first half of a row, the upper four the second; q stands
			// for 2q + 1, so that sixteen levels lie evenly around zero.
			odd := func(w *Node, bits int8) *Node {
				return AddScalar(BitwiseShiftLeftScalar(BitwiseShiftRightArithmeticScalar(w, bits), int8(1)), 1)
			}
			y = Add(integers(SliceAxis(x, -1, AxisRange(0, n)), odd(BitwiseShiftLeftScalar(w, int8(4)), 4)),
				integers(SliceAxis(x, -1, AxisRange(n)), odd(w, 4)))
		default:
			panic(fmt.Errorf("a weight of %d bytes a row can't be multiplied by rows of %d numbers", n, in))
		}
		y = Mul(y, ExpandLeftToRank(SliceAxis(scale, 0, rows), y.Rank()))
		parts = append(parts, ConvertDType(y, dtype))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return Concatenate(parts, -1)
}

// integers returns x·Wᵀ in float32 for W of int8, which all dtypes of x hold exactly.
func integers(x, w *Node) *Node {
	y := Dot(x, ConvertDType(w, x.DType())).WithOutputDType(dtypes.Float32).General([]int{x.Rank() - 1}, nil, []int{1}, nil)
	return ConvertDType(y, dtypes.Float32)
}
