package eligen

import (
	"math"
	"slices"
)

// Center returns the middle of the box around a region, in fractions of the canvas.
func (r Region) Center(canvas Size) (x, y float64) {
	if x0, y0, x1, y1, ok := r.extent(canvas); ok {
		return (x0 + x1) / 2, (y0 + y1) / 2
	}
	x0, y0, x1, y1, ok := r.Bounds(canvas)
	if !ok {
		return 0.5, 0.5
	}
	return float64(x0+x1) / 2 / float64(canvas.W), float64(y0+y1) / 2 / float64(canvas.H)
}

// CenterAt returns the region moved so that its Center is at (x, y).
func (r Region) CenterAt(x, y float64, canvas Size) Region {
	cx, cy := r.Center(canvas)
	return r.Moved(x-cx, y-cy, canvas)
}

// Moved returns the region moved by fractions of the canvas.
func (r Region) Moved(dx, dy float64, canvas Size) Region {
	if dx == 0 && dy == 0 {
		return r
	}
	px, py := dx, dy
	if r.Pixels {
		px, py = dx*float64(canvas.W), dy*float64(canvas.H)
	}
	n := slices.Clone(r.Numbers)
	switch r.Kind {
	case "ellipse":
		n[0], n[1] = n[0]+px, n[1]+py
	case "box", "polygon":
		for i := range n {
			n[i] += []float64{px, py}[i%2]
		}
	default:
		return Region{Kind: "translate", Numbers: []float64{dx, dy}, Parts: []Region{r}}
	}
	r.Numbers = n
	return r
}

// extent returns the box around shapes whose numbers tell it, in fractions of the canvas.
func (r Region) extent(canvas Size) (x0, y0, x1, y1 float64, ok bool) {
	n := r.fractions(canvas).Numbers
	switch {
	case r.Kind == "box" && len(n) == 4:
		return n[0], n[1], n[2], n[3], true
	case r.Kind == "ellipse" && len(n) == 4:
		return n[0] - n[2], n[1] - n[3], n[0] + n[2], n[1] + n[3], true
	case r.Kind == "polygon" && len(n) >= 2:
		x0, y0, x1, y1 = n[0], n[1], n[0], n[1]
		for i := 0; i+1 < len(n); i += 2 {
			x0, y0, x1, y1 = min(x0, n[i]), min(y0, n[i+1]), max(x1, n[i]), max(y1, n[i+1])
		}
		return x0, y0, x1, y1, true
	}
	return 0, 0, 0, 0, false
}

// fractions returns a box, ellipse or polygon in fractions of the canvas.
func (r Region) fractions(canvas Size) Region {
	if !r.Pixels {
		return r
	}
	n := slices.Clone(r.Numbers)
	for i := range n {
		n[i] /= []float64{float64(canvas.W), float64(canvas.H)}[i%2]
	}
	r.Numbers, r.Pixels = n, false
	return r
}

// Between returns the region at t on the way from a, 0, to b, 1; t may lie outside.
// Shapes of one construction move number by number; outlines that differ are resampled,
// and everything else goes by its signed distance.
func Between(a, b Region, t float64, canvas Size) Region {
	if t == 0 {
		return a
	}
	if t == 1 {
		return b
	}
	if r, ok := alike(a, b, t, canvas); ok {
		return r
	}
	if p, ok := a.polygon(canvas); ok {
		if q, ok := b.polygon(canvas); ok {
			p, q = resample(p, outlinePoints, canvas), resample(q, outlinePoints, canvas)
			return Region{Kind: "polygon", Numbers: mix(p, aligned(p, q), t)}
		}
	}
	da, db := a.signedDistance(canvas), b.signedDistance(canvas)
	return Region{Kind: "image", Fit: "stretch", Bitmap: NewBitmap(canvas.W, canvas.H, func(x, y int) bool {
		i := y*canvas.W + x
		return da[i]+(db[i]-da[i])*t < 0
	})}
}

// alike mixes two regions that were made in the same way.
func alike(a, b Region, t float64, canvas Size) (Region, bool) {
	if a.Kind != b.Kind || a.Fit != b.Fit || len(a.Numbers) != len(b.Numbers) || len(a.Parts) != len(b.Parts) {
		return a, false
	}
	switch a.Kind {
	case "image":
		return a, a.Bitmap != nil && b.Bitmap != nil && a.Bitmap.Digest == b.Bitmap.Digest
	case "mirror":
		if a.Numbers[0] != b.Numbers[0] {
			return a, false
		}
	case "box", "ellipse", "polygon":
		if a.Pixels != b.Pixels {
			a, b = a.fractions(canvas), b.fractions(canvas)
		}
	}
	out := a
	out.Numbers = mix(a.Numbers, b.Numbers, t)
	out.Parts = make([]Region, len(a.Parts))
	for i := range a.Parts {
		p, ok := alike(a.Parts[i], b.Parts[i], t, canvas)
		if !ok {
			return a, false
		}
		out.Parts[i] = p
	}
	if len(out.Parts) == 0 {
		out.Parts = nil
	}
	switch out.Kind { // a curve that overshoots may turn a shape inside out
	case "box":
		for i := range 2 {
			if out.Numbers[i] > out.Numbers[i+2] {
				m := (out.Numbers[i] + out.Numbers[i+2]) / 2
				out.Numbers[i], out.Numbers[i+2] = m, m
			}
		}
	case "ellipse":
		out.Numbers[2], out.Numbers[3] = max(0, out.Numbers[2]), max(0, out.Numbers[3])
	}
	return out, true
}

// outlinePoints is how many points an outline is resampled to, to become another.
const outlinePoints = 128

// polygon returns the outline of a shape that has one, in fractions of the canvas.
func (r Region) polygon(canvas Size) ([]float64, bool) {
	n := r.fractions(canvas).Numbers
	switch r.Kind {
	case "box":
		return []float64{n[0], n[1], n[2], n[1], n[2], n[3], n[0], n[3]}, true
	case "ellipse":
		var out []float64
		for i := range outlinePoints {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / outlinePoints)
			out = append(out, n[0]+n[2]*cos, n[1]+n[3]*sin)
		}
		return out, true
	case "polygon":
		return n, len(n) >= 6
	case "path":
		if len(r.Parts) == 1 {
			return r.Parts[0].polygon(canvas)
		}
	}
	return nil, false
}

// resample puts n points at equal distances along a closed outline, clockwise.
func resample(points []float64, n int, canvas Size) []float64 {
	closed := append(slices.Clone(points), points[0], points[1])
	area := 0.0
	for i := 0; i+3 < len(closed); i += 2 {
		area += closed[i]*closed[i+3] - closed[i+2]*closed[i+1]
	}
	if area < 0 {
		for i, j := 0, len(closed)-2; i < j; i, j = i+2, j-2 {
			closed[i], closed[i+1], closed[j], closed[j+1] = closed[j], closed[j+1], closed[i], closed[i+1]
		}
	}
	p := Path{Points: closed}
	out := make([]float64, 0, 2*n)
	for i := range n {
		x, y := p.At(float64(i)/float64(n), canvas)
		out = append(out, x, y)
	}
	return out
}

// aligned returns q, turned so that its points lie nearest to p's; both about their own
// middle, so that the way between them is short wherever they are.
func aligned(p, q []float64) []float64 {
	n := len(p) / 2
	middle := func(v []float64) (x, y float64) {
		for i := 0; i < len(v); i += 2 {
			x, y = x+v[i]/float64(n), y+v[i+1]/float64(n)
		}
		return x, y
	}
	px, py := middle(p)
	qx, qy := middle(q)
	best, least := 0, math.Inf(1)
	for shift := range n {
		sum := 0.0
		for i := range n {
			j := (i + shift) % n
			dx, dy := p[2*i]-px-q[2*j]+qx, p[2*i+1]-py-q[2*j+1]+qy
			sum += dx*dx + dy*dy
		}
		if sum < least-1e-12 {
			best, least = shift, sum
		}
	}
	return append(slices.Clone(q[2*best:]), q[:2*best]...)
}

// signedDistance returns how far each pixel of the canvas is from the region's edge,
// negative inside.
func (r Region) signedDistance(canvas Size) []float64 {
	mask := r.Mask(canvas)
	inside := make([]bool, len(mask))
	for i := range mask {
		inside[i] = !mask[i]
	}
	out, in := squaredDistances(mask, canvas.W, canvas.H), squaredDistances(inside, canvas.W, canvas.H)
	for i := range out {
		if mask[i] {
			out[i] = 0.5 - math.Sqrt(in[i])
		} else {
			out[i] = math.Sqrt(out[i]) - 0.5
		}
	}
	return out
}

// Depth returns how far inside the region each pixel of the canvas is, in pixels: half a
// pixel at its edge, 0 outside.
func (r Region) Depth(canvas Size) []float64 {
	d := r.signedDistance(canvas)
	for i := range d {
		d[i] = max(0, -d[i])
	}
	return d
}

func mix(a, b []float64, t float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + (b[i]-a[i])*t
	}
	return out
}
