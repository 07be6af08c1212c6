package eligen

import (
	"cmp"
	"fmt"
	"math"
)

// Box returns the box around a region, x0, y0, x1, y1, in pixels or fractions of the
// canvas as its numbers are, and beyond the canvas where they are; or why the box can't
// be told without a canvas, or that it is empty. For subtract it is the box around its
// first shape. Unlike Bounds, it looks at no pixel but those of masks.
func (r Region) Box() (b [4]float64, pixels bool, problem string) {
	n := r.Numbers
	switch r.Kind {
	case "box":
		return [4]float64{n[0], n[1], n[2], n[3]}, r.Pixels, ""
	case "ellipse":
		return [4]float64{n[0] - n[2], n[1] - n[3], n[0] + n[2], n[1] + n[3]}, r.Pixels, ""
	case "polygon":
		return numbersBox(n), r.Pixels, ""
	case "image":
		if r.Fit == "cover" || r.Fit == "contain" {
			return b, false, fmt.Sprintf("where a mask with fit = %q lies depends on the canvas", r.Fit)
		}
		b, _ = r.Bitmap.Box()
		return b, false, ""
	case "invert":
		if _, pixels, problem = r.Parts[0].Box(); pixels || problem != "" {
			return b, pixels, "where everything outside a shape ends depends on the canvas"
		}
		return [4]float64{0, 0, 1, 1}, false, ""
	case "rotate":
		return b, false, "where a turned shape reaches to depends on the canvas"
	case "grow":
		b, pixels, problem = r.Parts[0].Box()
		if problem != "" || !pixels {
			return b, pixels, cmp.Or(problem,
				"what share of the canvas some pixels are depends on its size, so where a grown shape reaches to does too")
		}
		b = [4]float64{b[0] - n[0], b[1] - n[0], b[2] + n[0], b[3] + n[0]}
		if b[0] >= b[2] || b[1] >= b[3] {
			return b, pixels, "it has shrunk to nothing, so it is empty"
		}
		return b, pixels, ""
	case "translate", "scale", "mirror":
		return r.movedBox()
	}
	return r.combinedBox()
}

// mixedUnits is why shapes that lie in one region have no box together.
const mixedUnits = "it mixes pixels and fractions of the canvas"

// movedBox returns the Box of a translated, scaled or mirrored region.
func (r Region) movedBox() (b [4]float64, pixels bool, problem string) {
	n := r.Numbers
	b, pixels, problem = r.Parts[0].Box()
	switch {
	case problem != "":
	case pixels != r.Pixels:
		problem = mixedUnits
	case r.Kind == "translate":
		b = [4]float64{b[0] + n[0], b[1] + n[1], b[2] + n[0], b[3] + n[1]}
	case r.Kind == "scale":
		b = [4]float64{n[2] + n[0]*(b[0]-n[2]), n[3] + n[1]*(b[1]-n[3]), n[2] + n[0]*(b[2]-n[2]), n[3] + n[1]*(b[3]-n[3])}
	case n[0] == 0:
		b = [4]float64{2*n[1] - b[2], b[1], 2*n[1] - b[0], b[3]}
	default:
		b = [4]float64{b[0], 2*n[1] - b[3], b[2], 2*n[1] - b[1]}
	}
	return b, pixels, problem
}

// combinedBox returns the Box of a region of several parts.
func (r Region) combinedBox() (b [4]float64, pixels bool, problem string) {
	for i, p := range r.Parts {
		q, px, problem := p.Box()
		if problem != "" {
			return b, false, problem
		}
		switch {
		case i == 0:
			b, pixels = q, px
		case px != pixels:
			return b, false, mixedUnits
		case r.Kind == "union" || r.Kind == "path":
			b = [4]float64{min(b[0], q[0]), min(b[1], q[1]), max(b[2], q[2]), max(b[3], q[3])}
		case r.Kind == "intersect":
			b = [4]float64{max(b[0], q[0]), max(b[1], q[1]), min(b[2], q[2]), min(b[3], q[3])}
		}
	}
	if b[0] >= b[2] || b[1] >= b[3] {
		return b, pixels, "its shapes have nothing in common, so it is empty"
	}
	return b, pixels, ""
}

func numbersBox(n []float64) [4]float64 {
	b := [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for i := 0; i+1 < len(n); i += 2 {
		b[0], b[1] = min(b[0], n[i]), min(b[1], n[i+1])
		b[2], b[3] = max(b[2], n[i]), max(b[3], n[i+1])
	}
	return b
}

// Box returns the box around what is on, in fractions of the bitmap, and false if nothing
// is.
func (b *Bitmap) Box() (box [4]float64, on bool) {
	x0, y0, x1, y1 := b.W, b.H, 0, 0
	for y := range b.H {
		for x := range b.W {
			if b.On(x, y) {
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
			}
		}
	}
	if x0 >= x1 {
		return box, false
	}
	w, h := float64(b.W), float64(b.H)
	return [4]float64{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}, true
}
