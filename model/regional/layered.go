package regional

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Layered returns the group with entities that lie over one another, as sheets of glass do.
//
// Going through them from the back, O₀ = A and Oᵢ = (1 − αᵢMᵢ)·Oᵢ₋₁ + αᵢMᵢ·LSE(A, Eᵢ), where A is attention
// over the global prompt and the image, Eᵢ over the text of entity i, LSE the two merged, Mᵢ its
// region and αᵢ its opacity. That is A + Σ shareᵢ·(LSE(A, Eᵢ) − A): the order is in the shares.
//
// share [B,N,K] is the product of the entity's opacity at a token and seen. seen [B,N,K] is the product
// of 1 − α over the entities above it: its logarithm is added to the logits of the entity's text on
// its region, since what is hidden is no part of the thing. Both count by the tokens of NewGroup. If one
// group of an attention is layered, all must be.
func (g Group) Layered(share, seen *Node) Group {
	g.share = Mul(ConvertDType(share, dtypes.Float32), g.valid)
	g.seen = MaxScalar(Log(ConvertDType(seen, dtypes.Float32)), Never)
	return g
}

// compose returns attention over the keys of base and of layered groups. With p = exp(lᵢ)/(exp(l) +
// exp(lᵢ)), LSE(A, Eᵢ) − A is p·(Eᵢ − A).
func compose(base part, covered []part, groups []Group) *Node {
	dtype, l, head := base.o.DType(), base.l, base.o.Shape().Dim(-1)
	o := ConvertDType(base.o, dtypes.Float32)
	d := o.Shape().Dimensions
	sum := BroadcastToDims(ScalarZero(o.Graph(), dtypes.Float32), d[0], d[1], d[2], head+1) // [.., HeadDim+1], the sum of weights last
	for i, g := range groups {
		weight := Mul(BroadcastToShape(ExpandAxes(g.share, -1), covered[i].l.Shape()), Sigmoid(Sub(covered[i].l, Gather(l, g.rows))))
		sum = ScatterSum(sum, g.rows, weigh(covered[i], weight), false, false)
	}
	last := sum.Rank() - 1
	rest := OneMinus(SliceAxis(sum, last, AxisRange(head)))
	return ConvertDType(Add(Mul(o, rest), SliceAxis(sum, last, AxisRange(0, head))), dtype)
}

// weigh returns a part's result and 1, times a weight [..,S,H]: [..,S,H,HeadDim+1].
func weigh(p part, weight *Node) *Node {
	weight = ExpandAxes(weight, -1)
	return Concatenate([]*Node{Mul(ConvertDType(p.o, dtypes.Float32), weight), weight}, -1)
}
