package eligen

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
)

// A Region is a shape on the canvas: where an entity is.
//
// It is one concrete struct with a kind tag rather than an interface, so that
// its recipe is unambiguous. Coordinates are fractions of the canvas, or pixels
// where Pixels is set.
type Region struct {
	Kind    string    `json:"kind"`              // box, ellipse, polygon, union, subtract, intersect, image; "" is no region
	Pixels  bool      `json:"pixels,omitempty"`  // numbers are pixels of the canvas, not fractions of it
	Numbers []float64 `json:"numbers,omitempty"` // box: x0 y0 x1 y1; ellipse: cx cy rx ry; polygon: x y x y …
	Parts   []Region  `json:"parts,omitempty"`   // of union, subtract (first minus the rest), intersect
	Bitmap  *Bitmap   `json:"bitmap,omitempty"`  // of image
	Fit     string    `json:"fit,omitempty"`     // of image, where its aspect ratio is not the canvas's: stretch, cover, contain
}

// Box is a region from corner (x0, y0) up to, not including, corner (x1, y1).
func Box(x0, y0, x1, y1 float64) Region {
	return Region{Kind: "box", Numbers: []float64{x0, y0, x1, y1}}
}

// A Bitmap is a mask read from a file: one bit a pixel.
type Bitmap struct {
	W, H   int
	Digest Digest // of size and bits
	bits   []byte // row-major, eight pixels a byte, highest bit first
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
	return b.bits[i/8]&(0x80>>(i%8)) != 0
}

// MarshalJSON writes the whole bitmap, so that a recipe can travel.
func (b *Bitmap) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"w": b.W, "h": b.H, "bits": base64.StdEncoding.EncodeToString(b.bits)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (b *Bitmap) UnmarshalJSON(data []byte) error {
	var v struct {
		W, H int
		Bits []byte
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	if v.W <= 0 || v.H <= 0 || v.W > 1<<15 || v.H > 1<<15 || len(v.Bits) != (v.W*v.H+7)/8 {
		return fmt.Errorf("a bitmap of %d×%d pixels with %d bytes", v.W, v.H, len(v.Bits))
	}
	b.W, b.H, b.bits = v.W, v.H, v.Bits
	b.seal()
	return nil
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
	if r.Kind == "box" && len(r.Numbers) == 4 {
		// Rows and columns are independent in a box: by far the commonest shape.
		sx, sy := float64(canvas.W), float64(canvas.H)
		if r.Pixels {
			sx, sy = 1, 1
		}
		columns := make([]bool, grid.W)
		for i := range columns {
			x := float64(nearest(i, grid.W, canvas.W)) + 0.5
			columns[i] = x >= r.Numbers[0]*sx && x < r.Numbers[2]*sx
		}
		for j := range grid.H {
			if y := float64(nearest(j, grid.H, canvas.H)) + 0.5; y >= r.Numbers[1]*sy && y < r.Numbers[3]*sy {
				copy(on[j*grid.W:], columns)
			}
		}
		return on
	}
	for j := range grid.H {
		for i := range grid.W {
			on[j*grid.W+i] = r.cell(i, j, grid, canvas)
		}
	}
	return on
}

func (r Region) cell(i, j int, grid, canvas Size) bool {
	switch r.Kind {
	case "union":
		for _, p := range r.Parts {
			if p.cell(i, j, grid, canvas) {
				return true
			}
		}
		return false
	case "intersect":
		for _, p := range r.Parts {
			if !p.cell(i, j, grid, canvas) {
				return false
			}
		}
		return len(r.Parts) > 0
	case "subtract":
		for k, p := range r.Parts {
			if p.cell(i, j, grid, canvas) != (k == 0) {
				return false
			}
		}
		return len(r.Parts) > 0
	case "image":
		return r.Bitmap != nil && r.bitmapCell(i, j, grid, canvas)
	}
	x := float64(nearest(i, grid.W, canvas.W)) + 0.5
	y := float64(nearest(j, grid.H, canvas.H)) + 0.5
	sx, sy := float64(canvas.W), float64(canvas.H)
	if r.Pixels {
		sx, sy = 1, 1
	}
	n := r.Numbers
	switch r.Kind {
	case "box":
		return len(n) == 4 && x >= n[0]*sx && x < n[2]*sx && y >= n[1]*sy && y < n[3]*sy
	case "ellipse":
		if len(n) != 4 || n[2] <= 0 || n[3] <= 0 {
			return false
		}
		dx, dy := (x-n[0]*sx)/(n[2]*sx), (y-n[1]*sy)/(n[3]*sy)
		return dx*dx+dy*dy < 1
	case "polygon":
		return polygonContains(n, x/sx, y/sy)
	}
	return false
}

// nearest is PIL's NEAREST: the source index of cell i when n cells show src pixels.
func nearest(i, n, src int) int {
	return min(src-1, (2*i+1)*src/(2*n))
}

func (r Region) bitmapCell(i, j int, grid, canvas Size) bool {
	b := r.Bitmap
	if r.Fit == "" || r.Fit == "stretch" {
		return b.On(nearest(i, grid.W, b.W), nearest(j, grid.H, b.H))
	}
	sx, sy := float64(canvas.W)/float64(b.W), float64(canvas.H)/float64(b.H)
	s := max(sx, sy)
	if r.Fit == "contain" {
		s = min(sx, sy)
	}
	x := (float64(i)+0.5)*float64(canvas.W)/float64(grid.W) - (float64(canvas.W)-s*float64(b.W))/2
	y := (float64(j)+0.5)*float64(canvas.H)/float64(grid.H) - (float64(canvas.H)-s*float64(b.H))/2
	return b.On(int(math.Floor(x/s)), int(math.Floor(y/s)))
}

// polygonContains is the even-odd rule; edges are half-open, so that polygons
// that share an edge share no pixel.
func polygonContains(n []float64, x, y float64) bool {
	in := false
	for i, j := 0, len(n)-2; i+1 < len(n); i, j = i+2, i {
		xi, yi, xj, yj := n[i], n[i+1], n[j], n[j+1]
		if (yi > y) != (yj > y) && x < (xj-xi)*(y-yi)/(yj-yi)+xi {
			in = !in
		}
	}
	return in
}

// Bounds is the smallest box around the region's pixels, in pixels (half-open),
// and false if it has none.
func (r Region) Bounds(canvas Size) (x0, y0, x1, y1 int, ok bool) {
	x0, y0 = canvas.W, canvas.H
	for i, on := range r.Mask(canvas) {
		if on {
			x, y := i%canvas.W, i/canvas.W
			x0, y0, x1, y1, ok = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1), true
		}
	}
	return x0, y0, x1, y1, ok
}

// LatentMask is the region on the latent grid, canvas/8 in each direction
// (EliGen's entity masks at latent resolution).
func (r Region) LatentMask(canvas Size) []bool {
	return r.Sample(Size{canvas.W / 8, canvas.H / 8}, canvas)
}

// Tokens lists the image tokens that the region covers, ascending: token
// row·(W/16)+column is on when any of its four latent cells is.
func (r Region) Tokens(canvas Size) []int32 {
	return TokensOf(r.LatentMask(canvas), canvas.W/8, canvas.H/8)
}

// TokensOf lists the 2×2 patches, ascending, of a w×h latent mask that have a
// cell that is on.
func TokensOf(latent []bool, w, h int) []int32 {
	var out []int32
	for r := range h / 2 {
		for c := range w / 2 {
			i := 2*r*w + 2*c
			if latent[i] || latent[i+1] || latent[i+w] || latent[i+w+1] {
				out = append(out, int32(r*(w/2)+c))
			}
		}
	}
	return out
}
