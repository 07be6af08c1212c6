package train

import (
	"math"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// orthogonal reports whether the recipe's optimizer moves a weight by Muon:
// matrices inside the network. Everything else (embeddings, the layers that
// read latents and write velocities, modulations, norms, biases) goes by AdamW,
// since the direction of each of their rows is not like the others'.
func orthogonal(kind string, p Param) bool {
	if kind != "muon" || len(p.Shape) != 2 || min(p.Shape[0], p.Shape[1]) < 2 {
		return false
	}
	for _, part := range []string{"img_in", "final_layer", headPrefix, "mod.lin", "modulation.lin", "shared.weight", "embed_tokens",
		"_embedding", "relative_attention_bias"} {
		if strings.Contains(p.Name, part) {
			return false
		}
	}
	return true
}

// orthogonalize replaces the singular values of a matrix [out,in] by numbers
// near one, and scales the result so that its entries are about as large as an
// AdamW step's, whose rate and weight decay it then shares.
//
// Five Newton–Schulz steps with the coefficients of Jordan et al., "Muon"
// (2024); the scale is that of Liu et al., "Muon is scalable for LLM training"
// (arXiv 2502.16982), 0.2·√max(out, in). A stack of projections that share their input
// (q, k and v) is as many matrices.
func orthogonalize(m *Node) *Node {
	d := m.Shape().Dimensions
	out, in := d[0], d[1]
	if n := out / in; n > 1 && out%in == 0 {
		var parts []*Node
		for i := range n {
			parts = append(parts, orthogonalize(Slice(m, AxisRange(i*in, (i+1)*in), AxisRange())))
		}
		return Concatenate(parts, 0)
	}
	x := Div(m, AddScalar(Sqrt(ReduceAllSum(Square(m))), 1e-12))
	wide := out <= in
	axis := 1
	if !wide {
		axis = 0
	}
	const a, b, c = 3.4445, -4.7750, 2.0315
	for range 5 {
		gram := DotGeneral(x, []int{axis}, nil, x, []int{axis}, nil) // [min,min]
		square := DotGeneral(gram, []int{1}, nil, gram, []int{0}, nil)
		p := Add(MulScalar(gram, b), MulScalar(square, c))
		var px *Node
		if wide {
			px = DotGeneral(p, []int{1}, nil, x, []int{0}, nil)
		} else {
			px = DotGeneral(x, []int{1}, nil, p, []int{0}, nil)
		}
		x = Add(MulScalar(x, a), px)
	}
	return MulScalar(x, 0.2*math.Sqrt(float64(max(out, in))))
}
