package regional

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/model/backend"
)

// definition is what cuDNN's kernel computes, by its definition: softmax of the scaled scores over the keys
// that count, its product with the values, and the logarithm of the sum. Queries that don't count are 0.
func definition(q, k, v, queries, keys *Node) (o, l *Node) {
	g, d, n := q.Graph(), q.Shape().Dimensions, k.Shape().Dim(1)
	s := MulScalar(DotGeneral(q, []int{3}, []int{0, 2}, k, []int{3}, []int{0, 2}), 1/math.Sqrt(float64(d[3]))) // [B,H,Sq,Sk]
	if keys != nil {
		at := Iota(g, shapes.Make(dtypes.Int32, d[0], d[2], d[1], n), 3)
		s = Where(LessThan(at, BroadcastToDims(Reshape(keys, d[0], 1, 1, 1), d[0], d[2], d[1], n)), s,
			MulScalar(OnesLike(s), math.Inf(-1)))
	}
	m := ReduceAndKeep(s, ReduceMax, -1)
	e := Exp(Sub(s, m))
	sum := ReduceAndKeep(e, ReduceSum, -1)
	o = DotGeneral(Div(e, sum), []int{3}, []int{0, 1}, v, []int{1}, []int{0, 2}) // [B,H,Sq,D]
	if queries != nil {
		at := Iota(g, o.Shape(), 2)
		at = ConvertDType(at, dtypes.Int32)
		o = Where(LessThan(at, BroadcastToShape(Reshape(queries, d[0], 1, 1, 1), at.Shape())), o, ZerosLike(o))
	}
	return TransposeAllAxes(o, 0, 2, 1, 3), Squeeze(Add(m, Log(sum)), -1)
}

// TestFused: with cuDNN's kernel replaced by its definition, the fused form is the chunked form. Regions
// overlap, are empty, or of one token; texts are padded, or not.
func TestFused(t *testing.T) {
	be, _, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	const image, global, heads, dim, te = 12, 5, 2, 8, 4
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(rows int) *tensors.Tensor {
		x := make([]float32, rows*heads*dim)
		for i := range x {
			x[i] = float32(2 * rng.NormFloat64())
		}
		return tensors.FromFlatDataAndDimensions(x, 1, rows, heads, dim)
	}
	run := func(n int, padded, fuse bool, in []*tensors.Tensor) (all []float32) {
		t.Helper()
		if fuse {
			was, kernelWas := fuses, kernel
			defer func() { fuses, kernel = was, kernelWas }()
			fuses, kernel = func(*Node) bool { return true }, definition
		}
		exec := MustNewExec(be, func(in []*Node) []*Node {
			var groups []Group
			if n > 0 {
				group := NewGroup(in[6], nil, te, image)
				if padded {
					group = group.Padded(in[7])
				}
				groups = append(groups, group)
			}
			txt, img := Attend(groups, QKV{in[0], in[1], in[2]}, QKV{in[3], in[4], in[5]}, true)
			return []*Node{txt, img}
		})
		defer exec.Finalize()
		args := make([]any, len(in))
		for i, x := range in {
			args[i] = x
		}
		for i, x := range exec.MustCall(args...) {
			data := tensors.MustCopyFlatData[float32](x)
			if i == 0 && padded && n > 0 { // rows of padding mean nothing
				lengths := tensors.MustCopyFlatData[int32](in[7])
				for e, length := range lengths {
					clear(data[(e*te+int(length))*heads*dim : (e+1)*te*heads*dim])
				}
			}
			all = append(all, data...)
		}
		return all
	}
	worst := 0.0
	for n := range 9 {
		for _, padded := range []bool{false, true} {
			const k = 7
			tokens, lengths := make([]int32, 0, n*k), make([]int32, n)
			for e := range n {
				size := []int{0, 1, 3, k}[e%4]
				for j := range k {
					token := int32(image)
					if j < size {
						token = int32((e+j)%(image-k) + j)
					}
					tokens = append(tokens, token)
				}
				lengths[e] = int32(1 + e%te)
			}
			rows := n*te + global
			in := []*tensors.Tensor{random(rows), random(rows), random(rows), random(image), random(image), random(image)}
			if n > 0 {
				in = append(in, tensors.FromFlatDataAndDimensions(tokens, 1, n, k), tensors.FromFlatDataAndDimensions(lengths, 1, n))
			}
			t.Run(fmt.Sprintf("%d entities, padded %t", n, padded), func(t *testing.T) {
				want, got := run(n, padded, false, in), run(n, padded, true, in)
				for i, x := range want {
					d := math.Abs(float64(x - got[i]))
					if worst = max(worst, d); !(d <= 1e-5) {
						t.Fatalf("number %d is %g, want %g", i, got[i], x)
					}
				}
			})
		}
	}
	t.Logf("the largest difference is %.2g", worst)
}
