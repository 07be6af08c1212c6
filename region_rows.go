package eligen

import (
	"iter"
	"math"
)

// Rows yields the rows of a grid laid over the canvas in which the region covers
// cells, from the top, and which they are, from the left: those of Sample. The spans
// are valid until the next row.
//
// A shape is looked at along a row, not in every cell of it: a polygon of n points on
// a grid of w×h costs about h·n, not w·h·n.
func (r Region) Rows(grid, canvas Size) iter.Seq2[int, []Span] {
	if grid.W <= 0 || grid.H <= 0 {
		return func(func(int, []Span) bool) {}
	}
	s := &scan{canvas: canvas, grid: grid, x: make([]float64, grid.W), y: make([]float64, grid.H), cells: true}
	for i := range s.x {
		s.x[i] = float64(Nearest(i, grid.W, canvas.W)) + 0.5
	}
	for j := range s.y {
		s.y[j] = float64(Nearest(j, grid.H, canvas.H)) + 0.5
	}
	row := s.rows(r.drawn(canvas))
	return func(yield func(int, []Span) bool) {
		for j := range grid.H {
			if spans := row(j); len(spans) > 0 && !yield(j, spans) {
				return
			}
		}
	}
}

// drawn returns r with every part that has grown or shrunk replaced by a bitmap of the
// canvas.
func (r Region) drawn(canvas Size) Region {
	if len(r.Parts) == 0 || r.Kind == "path" {
		return r
	}
	parts := make([]Region, len(r.Parts))
	for i, p := range r.Parts {
		parts[i] = p.drawn(canvas)
	}
	r.Parts = parts
	if r.Kind != "grow" || len(r.Numbers) != 1 || len(parts) != 1 {
		return r
	}
	mask, radius := parts[0].Mask(canvas), r.Numbers[0]
	if radius < 0 { // what is outside grows
		for i := range mask {
			mask[i] = !mask[i]
		}
	}
	d := squaredDistances(mask, canvas.W, canvas.H)
	limit := radius * radius
	return Region{Kind: "image", Fit: "stretch", Bitmap: NewBitmap(canvas.W, canvas.H, func(x, y int) bool {
		return (d[y*canvas.W+x] <= limit) == (radius >= 0)
	})}
}

// Mask says for every pixel of the canvas, row by row, whether its centre is in
// the region.
func (r Region) Mask(canvas Size) []bool { return r.Sample(canvas, canvas) }

// Sample says for every cell of a grid laid over the canvas, row by row,
// whether the region covers it, by the reference's NEAREST rule: cell (i, j)
// looks at the pixel ⌊(i+½)·W/w⌋, ⌊(j+½)·H/h⌋ of the canvas, and of a mask
// picture directly at that picture's own pixel (DiffSynth-Studio resizes the
// mask as it is given).
func (r Region) Sample(grid, canvas Size) []bool {
	on := make([]bool, grid.W*grid.H)
	for j, spans := range r.Rows(grid, canvas) {
		for _, x := range spans {
			row := on[j*grid.W+x[0] : j*grid.W+x[1]]
			for i := range row {
				row[i] = true
			}
		}
	}
	return on
}

// squaredDistances is, for every pixel, the square of the distance to the next
// one that is on (Felzenszwalb and Huttenlocher 2012).
func squaredDistances(on []bool, w, h int) []float64 {
	far := float64((w + h) * (w + h))
	d := make([]float64, w*h)
	for i := range d {
		if !on[i] {
			d[i] = far
		}
	}
	line := make([]float64, max(w, h))
	v, z := make([]int, len(line)), make([]float64, len(line)+1) // parabolas, and where they meet
	pass := func(start, step, n int) {
		for q := range n {
			line[q] = d[start+q*step]
		}
		k := 0
		v[0], z[0], z[1] = 0, math.Inf(-1), math.Inf(1)
		for q := 1; q < n; q++ {
			meet := func() float64 {
				p := v[k]
				return (line[q] + float64(q*q) - line[p] - float64(p*p)) / float64(2*(q-p))
			}
			s := meet()
			for s <= z[k] {
				k--
				s = meet()
			}
			k++
			v[k], z[k], z[k+1] = q, s, math.Inf(1)
		}
		k = 0
		for q := range n {
			for z[k+1] < float64(q) {
				k++
			}
			d[start+q*step] = float64((q-v[k])*(q-v[k])) + line[v[k]]
		}
	}
	for x := range w {
		pass(x, w, h)
	}
	for y := range h {
		pass(y*w, 1, w)
	}
	return d
}

// Bounds returns the smallest box around the region's pixels, in pixels (half-open), and
// false if it has none.
func (r Region) Bounds(canvas Size) (x0, y0, x1, y1 int, ok bool) {
	x0, y0 = canvas.W, canvas.H
	for y, spans := range r.Rows(canvas, canvas) {
		x0, x1 = min(x0, spans[0][0]), max(x1, spans[len(spans)-1][1])
		y0, y1, ok = min(y0, y), y+1, true
	}
	return x0, y0, x1, y1, ok
}

// LatentMask reports for every latent of the canvas whether the region covers it
// (EliGen's entity masks at latent resolution).
func (r Region) LatentMask(canvas Size, g Geometry) []bool {
	return r.Sample(g.Latents(canvas), canvas)
}

// Tokens lists the image tokens that the region covers, ascending: token
// row·columns+column is on when any of its latents is.
func (r Region) Tokens(canvas Size, g Geometry) []int32 {
	grid := g.Grid(canvas)
	var out []int32
	on := make([]bool, grid.W)
	row := 0
	flush := func() {
		for c, is := range on {
			if is {
				out = append(out, int32(row*grid.W+c))
			}
		}
		clear(on)
	}
	for j, spans := range r.Rows(g.Latents(canvas), canvas) {
		if j/g.Patch != row {
			flush()
			row = j / g.Patch
		}
		if row >= grid.H {
			break
		}
		for _, x := range spans {
			for c := x[0] / g.Patch; c <= (x[1]-1)/g.Patch && c < grid.W; c++ {
				on[c] = true
			}
		}
	}
	if row < grid.H {
		flush()
	}
	return out
}
