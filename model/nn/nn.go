// Package nn holds the graph functions that the model families share: linear
// layers, norms, attention, convolution. Tensors are written as shapes in
// comments: B batch, S sequence, D features, H heads, h×w latents.
//
// Graph functions panic, by GoMLX custom: an algebra of nodes would drown in
// error returns. Package model holds the one boundary that turns panics into
// errors.
package nn

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Weights gives graph code the node of a weight, by its name in the checkpoint.
// Where the numbers come from (a file, an embedded file, a training, a LoRA laid
// over another Weights) the graph code never hears.
type Weights func(name string) *Node

// In returns the part of w whose names start with prefix and a dot.
func (w Weights) In(prefix string) Weights {
	return func(name string) *Node { return w(prefix + "." + name) }
}

// Linear returns x·Wᵀ + b for PyTorch's weight [out, in] and bias [out]: [..., in] to [..., out].
func (w Weights) Linear(x *Node) *Node {
	y := w.LinearNoBias(x)
	return Add(y, ExpandLeftToRank(w("bias"), y.Rank()))
}

// LinearNoBias returns x·Wᵀ for PyTorch's weight [out, in], and what updates add to it.
func (w Weights) LinearNoBias(x *Node) *Node {
	weight := w("weight")
	var y *Node
	if scale := rowsOf(weight); scale != nil {
		y = matMulRows(x, weight, scale)
	} else {
		y = MatMulT(x, weight)
	}
	for i := 0; weight.GetAlias() != ""; i++ {
		u := updateOf(weight, i)
		if u.A == nil {
			break
		}
		y = Add(y, u.apply(x))
	}
	return y
}

// An Update is what a LoRA adds to a weight [out, in] when it is kept unmerged: the
// layer makes x·Wᵀ + s·(x·Aᵀ)·Bᵀ, so that s can change from run to run.
type Update struct {
	A, B *Node // [rank, in], [out, rank]
	S    *Node // a number, in float32
}

// Attach gives a weight its updates, whose nodes are of no other. The graph keeps them,
// by aliases: the code of a model asks for weights and never hears of them.
func Attach(weight *Node, name string, updates []Update) {
	if len(updates) == 0 {
		return
	}
	if weight.GetAlias() == "" {
		weight.WithAlias("/weight " + name)
	}
	for i, u := range updates {
		for part, n := range map[string]*Node{"A": u.A, "B": u.B, "s": u.S} {
			n.WithAlias(updateAlias(weight, part, i))
		}
	}
}

func updateAlias(weight *Node, part string, i int) string {
	return fmt.Sprintf("%s %s %d", weight.GetAlias(), part, i)
}

// updateOf returns a weight's update i; without nodes where there is none.
func updateOf(weight *Node, i int) Update {
	find := func(part string) *Node { return weight.Graph().GetNodeByAlias(updateAlias(weight, part, i)) }
	return Update{A: find("A"), B: find("B"), S: find("s")}
}

// apply returns s·(x·Aᵀ)·Bᵀ: [..., in] to [..., out]. The scale acts on the few numbers
// between the matrices, in float32.
func (u Update) apply(x *Node) *Node {
	low := ConvertDType(MatMulT(x, u.A), dtypes.Float32) // [..., rank]
	return MatMulT(ConvertDType(Mul(low, u.S), x.DType()), u.B)
}

// MatMulT returns x·Wᵀ: x [..., in], W [out, in] → [..., out]. It needs no
// transposed copy of the weight on any backend.
func MatMulT(x, weight *Node) *Node {
	return DotGeneral(x, []int{x.Rank() - 1}, nil, weight, []int{1}, nil)
}

// LayerNorm has no affine part; statistics in float32 over the last axis.
func LayerNorm(x *Node, epsilon float64) *Node {
	dtype := x.DType()
	x = ConvertDType(x, dtypes.Float32)
	x = Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	v := ReduceAndKeep(Square(x), ReduceMean, -1)
	return ConvertDType(Div(x, Sqrt(AddScalar(v, epsilon))), dtype)
}

// LayerNorm returns LayerNorm with the affine weight and bias of w.
func (w Weights) LayerNorm(x *Node, epsilon float64) *Node {
	y := LayerNorm(x, epsilon)
	r := y.Rank()
	return Add(Mul(y, ExpandLeftToRank(w("weight"), r)), ExpandLeftToRank(w("bias"), r))
}

// RMSNorm scales x by weight over its root mean square along the last axis;
// the mean of squares in float32, the product with weight in x's dtype.
func RMSNorm(x, weight *Node, epsilon float64) *Node {
	dtype := x.DType()
	f := ConvertDType(x, dtypes.Float32)
	ms := ReduceAndKeep(Square(f), ReduceMean, -1)
	// Not Rsqrt: GoMLX has no gradient for it.
	y := ConvertDType(Div(f, Sqrt(AddScalar(ms, epsilon))), dtype)
	if weight == nil {
		return y
	}
	return Mul(y, ExpandLeftToRank(weight, y.Rank()))
}

// SiLU returns x·σ(x).
func SiLU(x *Node) *Node { return Mul(x, Logistic(x)) }

// GELUTanh returns GELU's tanh approximation.
func GELUTanh(x *Node) *Node {
	inner := MulScalar(Add(x, MulScalar(Mul(Square(x), x), 0.044715)), math.Sqrt(2/math.Pi))
	return Mul(MulScalar(x, 0.5), AddScalar(Tanh(inner), 1))
}

// GELU returns the exact (erf) GELU.
func GELU(x *Node) *Node {
	return Mul(MulScalar(x, 0.5), AddScalar(Erf(MulScalar(x, math.Sqrt(0.5))), 1))
}

// QuickGELU returns x·σ(1.702x), CLIP's activation.
func QuickGELU(x *Node) *Node { return Mul(x, Logistic(MulScalar(x, 1.702))) }

// Scores returns scale·q·kᵀ: q [B,H,Sq,D], k [B,H,Sk,D] → [B,H,Sq,Sk].
func Scores(q, k *Node, scale float64) *Node {
	s := DotGeneral(q, []int{3}, []int{0, 1}, k, []int{3}, []int{0, 1})
	if scale == 1 {
		return s
	}
	return MulScalar(s, scale)
}

// Probabilities returns the softmax over the last axis, in float32 whatever the
// dtype of x.
func Probabilities(x *Node) *Node {
	return ConvertDType(Softmax(ConvertDType(x, dtypes.Float32), -1), x.DType())
}

// Mix returns p·v: p [B,H,Sq,Sk], v [B,H,Sk,D] → [B,H,Sq,D].
func Mix(p, v *Node) *Node {
	return DotGeneral(p, []int{3}, []int{0, 1}, v, []int{2}, []int{0, 1})
}

// Attention returns softmax(scale·q·kᵀ + bias)·v; bias may be nil, else it must
// broadcast to [B,H,Sq,Sk].
func Attention(q, k, v *Node, scale float64, bias *Node) *Node {
	s := Scores(q, k, scale)
	if bias != nil {
		s = Add(s, bias)
	}
	return Mix(Probabilities(s), v)
}

// InChunks computes rows of x along an axis, at most n of them at a time, and puts the
// results together along the same axis of each: f is given a range of rows and x's part
// of it. No chunk begins before the one before it is done, so that no two are in memory
// at once; without that, backends are free to begin with all of them.
func InChunks(x *Node, axis, n int, f func(rows SliceAxisSpec, part *Node) []*Node) []*Node {
	size := x.Shape().Dim(axis)
	var all [][]*Node // by result
	var last []*Node
	for from := 0; from < size; from += n {
		rows := AxisRange(from, min(from+n, size))
		part := SliceAxis(x, axis, rows)
		if last != nil {
			part = SchedulingBarrier(part, last...)
		}
		last = f(rows, part)
		for i, y := range last {
			if i == len(all) {
				all = append(all, nil)
			}
			all[i] = append(all[i], y)
		}
	}
	out := make([]*Node, len(all))
	for i, parts := range all {
		out[i] = parts[0]
		if len(parts) > 1 {
			out[i] = Concatenate(parts, axis)
		}
	}
	return out
}

// SplitHeads maps [B,S,H·D] → [B,H,S,D].
func SplitHeads(x *Node, heads int) *Node {
	d := x.Shape().Dimensions
	return TransposeAllAxes(Reshape(x, d[0], d[1], heads, d[2]/heads), 0, 2, 1, 3)
}

// MergeHeads maps [B,H,S,D] → [B,S,H·D].
func MergeHeads(x *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(TransposeAllAxes(x, 0, 2, 1, 3), d[0], d[2], d[1]*d[3])
}

// Chunk splits the last axis into n equal parts.
func Chunk(x *Node, n int) []*Node { return Split(x, -1, n) }
