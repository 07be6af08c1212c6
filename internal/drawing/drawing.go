// Package drawing draws layouts: entities' regions in their colours, with outlines,
// labels and the ways that they go, over a picture or over none. Overlays, previews
// and the screen all draw with it, so that an entity has the same letter, colour and
// place among the others wherever it is seen.
package drawing

import (
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"slices"

	"github.com/eligen/eligen"
)

// palette holds the regions' colours, in the order of entities. It was searched in OKLCH
// around eight named hues for the largest CIEDE2000 distance of the closest two, as people
// with and without colour blindness see them. A letter goes with each colour: a ninth
// entity has the first colour again, and its own letter.
var palette = [...]color.NRGBA{
	{0xfa, 0xc0, 0x01, 255}, {0x55, 0x7e, 0xbf, 255}, {0xeb, 0x2d, 0x7a, 255}, {0x29, 0xb2, 0xa2, 255},
	{0xcf, 0x9b, 0xfe, 255}, {0xdd, 0xfc, 0xaa, 255}, {0xa5, 0x75, 0x26, 255}, {0xb6, 0xeb, 0xfe, 255},
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Backdrop is behind a layout without a picture.
var Backdrop = color.NRGBA{22, 24, 29, 255}

// casing surrounds lines on a picture, so that they are visible on any.
var casing = color.NRGBA{14, 16, 19, 255}

// Colour returns the colour of entity i.
func Colour(i int) color.NRGBA { return palette[i%len(palette)] }

// Letter returns the letter of entity i, in drawings and lists.
func Letter(i int) byte { return letters[i%len(letters)] }

// InkOn returns the colour of text on a colour: dark or white, whichever has more contrast.
func InkOn(c color.NRGBA) color.NRGBA {
	if Brightness(c) > 0.46 {
		return casing
	}
	return color.NRGBA{255, 255, 255, 255}
}

// Brightness returns a colour's luma, 0 to 1.
func Brightness(c color.NRGBA) float64 {
	return (0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)) / 255
}

// Mix returns a with a share t of b.
func Mix(a, b color.NRGBA, t float64) color.NRGBA {
	m := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*t + 0.5) }
	return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
}

// A Layout is entities on a canvas.
type Layout struct {
	Canvas   eligen.Size
	Entities []eligen.Entity   // letters and colours go by their order
	Selected int               // is drawn above the others, and stronger; -1: none is
	Picture  bool              // there is one below: regions are lines, and hide nothing of it
	Ghosts   [][]eligen.Entity // the same entities at other times, faintly
}

// New returns a layout in which nothing is selected.
func New(canvas eligen.Size, entities []eligen.Entity) *Layout {
	return &Layout{Canvas: canvas, Entities: entities, Selected: -1}
}

// Smoothed returns the regions on nothing, drawn at twice the size and reduced, so that
// their edges are smooth. Large ones, which would take long, are drawn as they are.
func (l *Layout) Smoothed(w, h, line int) *image.NRGBA {
	if w*h*len(l.Entities) > 32<<20 {
		img := Blank(w, h)
		l.Regions(img, line)
		return img
	}
	large := Blank(2*w, 2*h)
	l.Regions(large, 2*line)
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			at, below := large.Pix[large.PixOffset(2*x, 2*y):], large.Pix[large.PixOffset(2*x, 2*y+1):]
			for k := range 4 {
				out.Pix[out.PixOffset(x, y)+k] = uint8((int(at[k]) + int(at[k+4]) + int(below[k]) + int(below[k+4]) + 2) / 4)
			}
		}
	}
	return out
}

// Blank returns an empty picture to draw on.
func Blank(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Rect, image.NewUniform(Backdrop), image.Point{}, draw.Src)
	return img
}

// Order returns the entities in the order of drawing: by their z, those of one z as listed,
// and the selected one last.
func (l *Layout) Order() []int {
	out := make([]int, len(l.Entities))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int {
		if top := map[bool]int{true: 1}; a == l.Selected || b == l.Selected {
			return top[a == l.Selected] - top[b == l.Selected]
		}
		return cmp.Compare(l.Entities[a].Z, l.Entities[b].Z)
	})
	return out
}

// Masks returns the entities' regions on a grid of w×h over the canvas, by the planner's
// own rule.
func (l *Layout) Masks(entities []eligen.Entity, w, h int) [][]bool {
	out := make([][]bool, len(entities))
	for i, e := range entities {
		out[i] = make([]bool, w*h)
		if e.Region.Kind != "" {
			out[i] = e.Region.Sample(eligen.Size{W: w, H: h}, l.Canvas)
		}
	}
	return out
}

// Width returns the width of lines in a picture whose shorter side has so many pixels.
func Width(short int) int { return max(2, (short+160)/320) }

// Regions draws the regions. Lines are line pixels wide, and cased in the dark where
// they are two or more: one pixel is for cells of a terminal.
func (l *Layout) Regions(img *image.NRGBA, line int) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for _, ghost := range l.Ghosts {
		for i, mask := range l.Masks(ghost, w, h) {
			stroke(img, mask, (line+1)/2, func(x, y int, depth float64) (color.NRGBA, float64) {
				if depth != 1 || line > 1 && (x+y)/(2*line)%2 == 1 {
					return Colour(i), 0
				}
				return Colour(i), 0.5
			})
		}
	}
	masks := l.Masks(l.Entities, w, h)
	for _, i := range l.Order() {
		c := Colour(i)
		edge, area := 1.0, 0.0
		if line == 1 {
			edge = 0.65
		}
		if !l.Picture {
			edge, area = 0.9, 0.38
		}
		if i == l.Selected {
			edge = 1
			if !l.Picture {
				area = 0.6
			}
		}
		stroke(img, masks[i], line, func(_, _ int, depth float64) (color.NRGBA, float64) {
			switch {
			case depth == 1:
				return c, edge
			case depth < 0 && line > 1:
				return casing, -depth
			case depth > 0 && depth < 1 && l.Picture && line > 1:
				return casing, 0.8
			case depth >= 0:
				return c, area
			}
			return c, 0
		})
	}
}

// stroke colours the pixels of a mask and beside it. depth is 1 on its edge, r pixels
// wide; from 0.5 below 1 on the pixels next to it inside, 0 farther in; and below 0
// outside, the less the farther away.
func stroke(img *image.NRGBA, mask []bool, r int, at func(x, y int, depth float64) (color.NRGBA, float64)) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	box := extent(mask, w, h).Inset(-r - 1).Intersect(img.Rect)
	if box.Empty() {
		return
	}
	sum := sums(mask, w, h)
	count := func(x, y, d int) (n, of int) {
		x0, y0, x1, y1 := max(0, x-d), max(0, y-d), min(w, x+d+1), min(h, y+d+1)
		return int(sum[y1*(w+1)+x1] - sum[y0*(w+1)+x1] - sum[y1*(w+1)+x0] + sum[y0*(w+1)+x0]), (2*d + 1) * (2*d + 1)
	}
	near := max(1, r/2)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			depth := 0.0
			if mask[y*w+x] {
				if n, of := count(x, y, r); n < of {
					depth = 1
				} else if n, of := count(x, y, r+near); n < of {
					depth = 0.5
				}
			} else if n, of := count(x, y, near); n > 0 {
				depth = -min(1, 0.45+float64(n)/float64(of))
			} else {
				continue
			}
			c, alpha := at(x, y, depth)
			if alpha > 0 {
				shade(img.Pix[img.PixOffset(x, y):], c, alpha)
			}
		}
	}
}

// extent returns the smallest rectangle around the pixels that are on.
func extent(mask []bool, w, h int) image.Rectangle {
	r := image.Rectangle{}
	for y := range h {
		from, to := -1, -1
		for x, on := range mask[y*w : (y+1)*w] {
			if on {
				if from < 0 {
					from = x
				}
				to = x + 1
			}
		}
		if from >= 0 {
			r = r.Union(image.Rect(from, y, to, y+1))
		}
	}
	return r
}

// sums returns how many of a mask's pixels are on above and to the left of each corner.
func sums(mask []bool, w, h int) []int32 {
	sum := make([]int32, (w+1)*(h+1))
	for y := range h {
		row := int32(0)
		for x := range w {
			if mask[y*w+x] {
				row++
			}
			sum[(y+1)*(w+1)+x+1] = sum[y*(w+1)+x+1] + row
		}
	}
	return sum
}

// shade lays a colour over an opaque pixel, or over the colour of a translucent one.
func shade(p []uint8, c color.NRGBA, alpha float64) {
	for k, v := range [3]uint8{c.R, c.G, c.B} {
		p[k] = uint8(float64(p[k])*(1-alpha) + float64(v)*alpha + 0.5)
	}
	p[3] = max(p[3], uint8(alpha*255+0.5))
}
