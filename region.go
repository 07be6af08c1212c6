package eligen

import (
	"math"
)

// A Region is a shape on the canvas: where an entity is.
//
// It is one concrete struct with a kind tag rather than an interface, so that
// its recipe is unambiguous. Coordinates are fractions of the canvas, or pixels
// where Pixels is set.
type Region struct {
	Kind    string    `json:"kind"`              // "" is no region
	Pixels  bool      `json:"pixels,omitempty"`  // numbers are pixels of the canvas, not fractions of it
	Numbers []float64 `json:"numbers,omitempty"` // see below
	Parts   []Region  `json:"parts,omitempty"`   // what it is made of
	Bitmap  *Bitmap   `json:"bitmap,omitempty"`  // of image
	Fit     string    `json:"fit,omitempty"`     // of image, where its aspect ratio is not the canvas's: stretch, cover, contain
}

// The kinds of a Region, with their numbers and parts:
//
//	box        x0 y0 x1 y1
//	ellipse    cx cy rx ry
//	polygon    x y x y …                 even-odd
//	path       parts: polygons           inside where they wind around, nonzero
//	image      Bitmap, Fit
//	union      parts
//	intersect  parts
//	subtract   parts                     the first without the others
//	invert     part
//	translate  dx dy, part
//	scale      sx sy cx cy, part         around (cx, cy)
//	mirror     axis c, part              axis 0: left and right change places at x = c; 1: top and bottom at y = c
//	rotate     degrees cx cy, part       clockwise; in pixels, so that nothing is sheared
//	grow       pixels, part              by a disc of that radius; negative shrinks

// Box returns a region from corner (x0, y0) up to, not including, corner (x1, y1).
func Box(x0, y0, x1, y1 float64) Region {
	return Region{Kind: "box", Numbers: []float64{x0, y0, x1, y1}}
}

// Round returns r with its numbers rounded to 2⁻²⁰, so that plans agree between
// processors whose arithmetic differs in the last bits.
func (r Region) Round() Region {
	n := make([]float64, len(r.Numbers))
	for i, x := range r.Numbers {
		n[i] = math.Round(x*(1<<20)) / (1 << 20)
	}
	r.Numbers = n
	parts := make([]Region, len(r.Parts))
	for i, p := range r.Parts {
		parts[i] = p.Round()
	}
	r.Parts = parts
	return r
}
