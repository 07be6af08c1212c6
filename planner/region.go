package planner

import (
	"github.com/eligen/eligen"
)

// regionAt returns where an entity says where it is.
func regionAt(e *eligen.Entity) *eligen.Source {
	for _, attribute := range []string{"box", "mask", "region"} {
		if s, ok := e.At[attribute]; ok {
			return &s
		}
	}
	return &e.Source
}

// walk calls f for a region and all its parts.
func walk(r eligen.Region, f func(eligen.Region)) {
	f(r)
	for _, p := range r.Parts {
		walk(p, f)
	}
}

func finiteRegion(r eligen.Region) bool {
	ok := true
	walk(r, func(p eligen.Region) {
		for _, x := range p.Numbers {
			ok = ok && finite(x)
		}
	})
	return ok
}

// lostShare returns the share of a region's pixels that lie in no token of it, in parts
// thinner than the pixels of a latent, at which regions are sampled. (Thick parts lose at
// their edges too, half a sample at most: that is rounding.)
func lostShare(r eligen.Region, tokens []int32, canvas eligen.Size, g eligen.Geometry) float64 {
	if thick(r, canvas, float64(g.Factor)) {
		return 0
	}
	x0, y0, x1, y1, _ := r.Bounds(canvas)
	w, h := x1-x0, y1-y0
	mask := make([]bool, max(0, w*h))
	for y, spans := range r.Rows(canvas, canvas) {
		for _, span := range spans {
			for x := span[0]; x < span[1]; x++ {
				mask[(y-y0)*w+x-x0] = true
			}
		}
	}
	kept := open(mask, w, h, g.Factor)
	token, row := g.Token(), g.Grid(canvas).W
	has := make([]bool, g.Tokens(canvas))
	for _, t := range tokens {
		has[t] = true
	}
	on, lost := 0, 0
	for i, m := range mask {
		if !m {
			continue
		}
		on++
		if x, y := x0+i%w, y0+i/w; !kept[i] && !has[y/token*row+x/token] {
			lost++
		}
	}
	return float64(lost) / float64(max(1, on))
}

// thick reports whether a look at a region's numbers is enough to know that it has
// no parts thinner than so many pixels, or none that count, as the ends of a large ellipse.
func thick(r eligen.Region, canvas eligen.Size, pixels float64) bool {
	sx, sy := float64(canvas.W), float64(canvas.H)
	if r.Pixels {
		sx, sy = 1, 1
	}
	switch n := r.Numbers; r.Kind {
	case "box":
		return len(n) == 4 && (n[2]-n[0])*sx >= pixels && (n[3]-n[1])*sy >= pixels
	case "ellipse":
		return len(n) == 4 && n[2]*sx >= 2*pixels && n[3]*sy >= 2*pixels
	}
	return false
}

// open keeps of a mask the pixels that are in an s×s square of it (morphological
// opening).
func open(mask []bool, w, h, s int) []bool {
	corner := make([]bool, len(mask)) // bottom right corners of full squares
	tall := make([]int, w)            // above each column: rows in which s pixels end there
	for y := range h {
		run := 0
		for x := range w {
			if run++; !mask[y*w+x] {
				run = 0
			}
			if tall[x]++; run < s {
				tall[x] = 0
			}
			corner[y*w+x] = tall[x] >= s
		}
	}
	// Each corner covers the s×s pixels left of and above it.
	below := make([]int, w) // rows that a corner still reaches up
	for y := h - 1; y >= 0; y-- {
		left := 0 // columns
		for x := w - 1; x >= 0; x-- {
			if left--; corner[y*w+x] {
				left = s
			}
			if below[x]--; left > 0 {
				below[x] = s
			}
			corner[y*w+x] = below[x] > 0
		}
	}
	return corner
}
