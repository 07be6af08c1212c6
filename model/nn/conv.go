package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Conv applies a 2-d convolution with PyTorch's weight [out, in, kh, kw] and bias
// [out] of w, in NHWC: x [B,h,w,in] → [B,h',w',out]. pad is rows and columns of
// zeros added at the top, left, bottom and right.
//
// XLA gets its native convolution. The pure-Go backend's is about fifteen times
// slower there than the same sum written as kh·kw shifted matrix products, so
// that is what it gets.
func (w Weights) Conv(x *Node, stride int, top, left, bottom, right int) *Node {
	weight := w("weight")
	d := weight.Shape().Dimensions
	var y *Node
	if d[2] == 1 && d[3] == 1 && stride == 1 {
		y = MatMulT(x, Reshape(weight, d[0], d[1]))
	} else if x.Graph().Backend().Name() == xlaBackend {
		y = Convolve(x, TransposeAllAxes(weight, 2, 3, 1, 0)).Strides(stride).
			PaddingPerDim([][2]int{{top, bottom}, {left, right}}).Done()
	} else {
		y = convShifted(x, weight, stride, top, left, bottom, right)
	}
	return Add(y, ExpandLeftToRank(w("bias"), y.Rank()))
}

// Conv3 applies a 3×3 convolution with padding 1: the size stays.
func (w Weights) Conv3(x *Node) *Node { return w.Conv(x, 1, 1, 1, 1, 1) }

// xlaBackend is GoMLX's name of XLA on any device; the pure-Go backend's name
// is not the one that it is opened by.
const xlaBackend = "xla"

func convShifted(x, weight *Node, stride, top, left, bottom, right int) *Node {
	x = padZeros(padZeros(x, 1, top, bottom), 2, left, right)
	d, k := x.Shape().Dimensions, weight.Shape().Dimensions
	h, w := (d[1]-k[2])/stride+1, (d[2]-k[3])/stride+1
	var sum *Node
	for i := range k[2] {
		for j := range k[3] {
			part := Slice(x, AxisRange(),
				AxisRange(i, i+(h-1)*stride+1).Stride(stride),
				AxisRange(j, j+(w-1)*stride+1).Stride(stride), AxisRange())
			tap := Reshape(Slice(weight, AxisRange(), AxisRange(), AxisElem(i), AxisElem(j)), k[0], k[1])
			y := MatMulT(part, tap) // [B,h,w,out]
			if sum == nil {
				sum = y
			} else {
				sum = Add(sum, y)
			}
		}
	}
	return sum
}

// padZeros pads without Pad, for which GoMLX has no gradient.
func padZeros(x *Node, axis, before, after int) *Node {
	zeros := func(n int) *Node {
		d := append([]int(nil), x.Shape().Dimensions...)
		d[axis] = n
		return Zeros(x.Graph(), shapes.Make(x.DType(), d...))
	}
	parts := []*Node{x}
	if before > 0 {
		parts = append([]*Node{zeros(before)}, parts...)
	}
	if after > 0 {
		parts = append(parts, zeros(after))
	}
	if len(parts) == 1 {
		return x
	}
	return Concatenate(parts, axis)
}

// GroupNorm normalises x [B,h,w,C] over the pixels and channels of each of the
// groups, then applies the affine weight and bias of w; statistics in float32.
//
// Pixels are summed first, channel by channel, and only the [B,C] sums are
// grouped: on XLA CPU that is seven times faster than reducing over pixels and
// the channels of a group at once.
func (w Weights) GroupNorm(x *Node, groups int, epsilon float64) *Node {
	d := x.Shape().Dimensions
	dtype := x.DType()
	mean := func(x *Node) *Node { // [B,h,w,C] → [B,1,1,C], the mean of the channel's group
		m := ReduceAndKeep(Reshape(ReduceSum(x, 1, 2), d[0], groups, d[3]/groups), ReduceSum, 2)
		m = MulScalar(m, 1/float64(d[1]*d[2]*(d[3]/groups)))
		return Reshape(BroadcastToDims(m, d[0], groups, d[3]/groups), d[0], 1, 1, d[3])
	}
	x = ConvertDType(x, dtypes.Float32)
	x = Sub(x, mean(x))
	x = Mul(x, Reciprocal(Sqrt(AddScalar(mean(Square(x)), epsilon))))
	x = ConvertDType(x, dtype)
	return Add(Mul(x, ExpandLeftToRank(w("weight"), 4)), ExpandLeftToRank(w("bias"), 4))
}

// Upsample2 repeats every pixel of x [B,h,w,C] twice in both directions.
func Upsample2(x *Node) *Node {
	d := x.Shape().Dimensions
	x = BroadcastToDims(Reshape(x, d[0], d[1], 1, d[2], 1, d[3]), d[0], d[1], 2, d[2], 2, d[3])
	return Reshape(x, d[0], 2*d[1], 2*d[2], d[3])
}

// ToNHWC maps [B,C,h,w] → [B,h,w,C].
func ToNHWC(x *Node) *Node { return TransposeAllAxes(x, 0, 2, 3, 1) }

// ToNCHW maps [B,h,w,C] → [B,C,h,w].
func ToNCHW(x *Node) *Node { return TransposeAllAxes(x, 0, 3, 1, 2) }
