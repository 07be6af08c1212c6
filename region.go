package eligen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// Box is a region from corner (x0, y0) up to, not including, corner (x1, y1).
func Box(x0, y0, x1, y1 float64) Region {
	return Region{Kind: "box", Numbers: []float64{x0, y0, x1, y1}}
}

// A Bitmap is a mask read from a file: one bit a pixel.
type Bitmap struct {
	W, H   int
	Digest Digest   // of size and bits
	bits   []byte   // row-major, eight pixels a byte, highest bit first
	ends   []uint32 // where bits is nil: of its runs, off and on in turn, each one's end. See bitmap.go
}

// NewBitmap makes a bitmap of the pixels for which on is true.
func NewBitmap(w, h int, on func(x, y int) bool) *Bitmap {
	b := &Bitmap{W: w, H: h, bits: make([]byte, (w*h+7)/8)}
	for y := range h {
		for x := range w {
			if on(x, y) {
				i := y*w + x
				b.bits[i/8] |= 0x80 >> (i % 8)
			}
		}
	}
	b.seal()
	return b
}

func (b *Bitmap) seal() {
	h := sha256.New()
	fmt.Fprintf(h, "bitmap %d %d\n", b.W, b.H)
	h.Write(b.bits)
	b.Digest = Digest(hex.EncodeToString(h.Sum(nil)))
}

// On reports whether the pixel (x, y) is on; pixels outside are off.
func (b *Bitmap) On(x, y int) bool {
	if x < 0 || y < 0 || x >= b.W || y >= b.H {
		return false
	}
	i := y*b.W + x
	if b.bits == nil {
		return b.inRun(i)
	}
	return b.bits[i/8]&(0x80>>(i%8)) != 0
}

// Recipe is what a digest is made over: the content's own digest.
func (b *Bitmap) Recipe() string { return string(b.Digest) }

// Round is r with its numbers rounded to 2⁻²⁰, so that plans agree between
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

// Nearest is PIL's NEAREST: the source index of cell i when n cells show src pixels.
func Nearest(i, n, src int) int {
	return min(src-1, (2*i+1)*src/(2*n))
}

// turn is the sine and cosine of an angle in degrees, exact where a right angle is.
func turn(degrees float64) (sin, cos float64) {
	switch d := math.Mod(math.Mod(degrees, 360)+360, 360); d {
	case 0:
		return 0, 1
	case 90:
		return 1, 0
	case 180:
		return 0, -1
	case 270:
		return -1, 0
	default:
		return math.Sincos(d * math.Pi / 180)
	}
}

// drawn is r with every part that has grown or shrunk in place of its rule: as a
// bitmap of the canvas.
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

// bitmapAt is the mask's pixel that lies over a point of the canvas.
func (r Region) bitmapAt(x, y float64, canvas Size) (px, py int) {
	b := r.Bitmap
	sx, sy := float64(canvas.W)/float64(b.W), float64(canvas.H)/float64(b.H)
	switch r.Fit {
	case "cover":
		sx = max(sx, sy)
		sy = sx
	case "contain":
		sx = min(sx, sy)
		sy = sx
	}
	x -= (float64(canvas.W) - sx*float64(b.W)) / 2
	y -= (float64(canvas.H) - sy*float64(b.H)) / 2
	return int(math.Floor(x / sx)), int(math.Floor(y / sy))
}

// bitmapCell is the mask's pixel that a cell of a grid looks at.
func (r Region) bitmapCell(i, j int, grid, canvas Size) (px, py int) {
	b := r.Bitmap
	if r.Fit == "" || r.Fit == "stretch" {
		return Nearest(i, grid.W, b.W), Nearest(j, grid.H, b.H)
	}
	sx, sy := float64(canvas.W)/float64(b.W), float64(canvas.H)/float64(b.H)
	s := max(sx, sy)
	if r.Fit == "contain" {
		s = min(sx, sy)
	}
	x := (float64(i)+0.5)*float64(canvas.W)/float64(grid.W) - (float64(canvas.W)-s*float64(b.W))/2
	y := (float64(j)+0.5)*float64(canvas.H)/float64(grid.H) - (float64(canvas.H)-s*float64(b.H))/2
	return int(math.Floor(x / s)), int(math.Floor(y / s))
}

// Bounds is the smallest box around the region's pixels, in pixels (half-open),
// and false if it has none.
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
