package regional

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// inference is the alias by which a graph is known that nobody takes a gradient of.
const inference = "/inference"

// Infer says that nobody will take a gradient of a graph. Where its backend has attention in one kernel
// (cuDNN's, by XLA on CUDA), that is used then: its gradient would ignore the logarithm of the sum, and
// take all lengths for equal.
func Infer(g *Graph) {
	if g.Backend().Capabilities().Operations[compute.OpTypeFusedScaledDotProductAttention] {
		Scalar(g, dtypes.Int32, 0).WithAlias(inference)
	}
}

// learning is the alias by which a graph is known that a gradient is taken of.
const learning = "/learning"

// Learn says that a gradient will be taken of a graph. The logarithm of the sum of exponentials is then made so that
// its gradient is right on any backend: the usual way, which takes two maxima for one and the same element's, has the
// gradient of an element that XLA may have rounded differently for each.
func Learn(g *Graph) { Scalar(g, dtypes.Int32, 1).WithAlias(learning) }

// Fuses reports whether attention of queries [..,S,H,HeadDim] is one kernel, in a graph of inference.
func Fuses(q *Node) bool { return fuses(q) }

// fuses is Fuses. cuDNN takes half precision, and heads of a multiple of 8 features up to 128.
var fuses = func(q *Node) bool {
	head := q.Shape().Dim(-1)
	return q.DType().IsHalfPrecision() && head%8 == 0 && head <= 128 && q.Graph().GetNodeByAlias(inference) != nil
}

// kernel is attention in one kernel: o [B,Sq,H,HeadDim] of q [B,Sq,H,HeadDim] and k, v [B,Sk,H,HeadDim],
// and the logarithm of the sum of the exponentials, float32 [B,H,Sq]. queries and keys, int32 [B] or nil,
// say how many rows of each count.
var kernel = func(q, k, v, queries, keys *Node) (o, l *Node) {
	c := &compute.ScaledDotProductAttentionConfig{}
	if queries != nil {
		c.QuerySeqLen, c.KeyValueSeqLen = InternalBackendOutputs(queries)[0], InternalBackendOutputs(keys)[0]
	}
	o, states := BackendFusedScaledDotProductAttention(q, k, v, compute.AttentionAxesLayoutBSHD, c)
	return o, states[0]
}

// fused is Attention in one kernel. keys, int32 and one for each of the leading axes, says how many rows of k
// and v count; nil is all.
func fused(q, k, v, keys *Node) (o, l *Node) {
	d := q.Shape().Dimensions
	r := len(d)
	flat := func(x *Node) *Node { // [..,S,H,D] → [B,S,H,D]
		e := x.Shape().Dimensions
		return Reshape(x, -1, e[r-3], e[r-2], e[r-1])
	}
	var queries *Node
	if keys != nil {
		keys = Reshape(ConvertDType(keys, dtypes.Int32), -1)
		queries = AddScalar(ZerosLike(keys), float64(d[r-3]))
	}
	o, l = kernel(flat(q), flat(k), flat(v), queries, keys)
	return Reshape(o, d...), Reshape(TransposeAllAxes(l, 0, 2, 1), d[:r-1]...)
}
