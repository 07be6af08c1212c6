package tui

import (
	"fmt"
	"image"
	"image/color"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/rivo/uniseg"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

func inColour(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// A canvas draws the regions of a frame over its picture, if there is one.
type canvas struct {
	size     eligen.Size // of the picture
	entities []eligen.Entity
	selected int
	picture  *image.NRGBA      // nil: none yet
	regions  bool              // draw the regions
	ghosts   [][]eligen.Entity // of frames around this one, for the onion skin
	faded    []*image.NRGBA    // their pictures
	ink      Ink
	few      bool // the terminal has 256 colours
	id       int  // of the terminal's picture, if the ink is Kitty
}

// grid returns how many cells of a pane the canvas takes: as many as fit in the picture's
// proportions. A cell is twice as high as it is wide.
func (c *canvas) grid(width, height int) (columns, rows int) {
	if c.ink == Kitty {
		width, height = min(width, mostCells), min(height, mostCells)
	}
	w, h := max(1, c.size.W), max(1, c.size.H)
	columns, rows = width, (width*h+w)/(2*w)
	if rows > height {
		columns, rows = (2*height*w+h/2)/h, height
	}
	return max(1, min(columns, width)), max(1, min(rows, height))
}

// View draws the canvas in the middle of a pane.
func (c *canvas) View(width, height int) []string {
	columns, rows := c.grid(width, height)
	var lines []string
	switch c.ink {
	case Kitty:
		lines = c.inPlaceholders(columns, rows)
	case Letters:
		lines = c.inLetters(columns, rows)
	case Spaces:
		lines = c.inCells(columns, rows, 1)
	default:
		lines = c.inCells(columns, rows, 2)
	}
	left := strings.Repeat(" ", (width-columns)/2)
	out := make([]string, 0, height)
	for range (height - rows) / 2 {
		out = append(out, "")
	}
	for _, l := range lines {
		out = append(out, left+l)
	}
	return fit(out, width, height)
}

// layout returns the drawing of the entities.
func (c *canvas) layout() *drawing.Layout {
	l := drawing.New(c.size, c.entities)
	l.Selected, l.Picture, l.Ghosts = c.selected, c.picture != nil, c.ghosts
	return l
}

// image draws the canvas at w×h pixels, with lines of so many pixels.
func (c *canvas) image(w, h, line int) *image.NRGBA {
	out := drawing.Blank(w, h)
	if c.picture != nil {
		for y := range h {
			for x := range w {
				p := sample(c.picture, x, y, w, h)
				for i, f := range c.faded {
					if f != nil {
						p = drawing.Mix(p, sample(f, x, y, w, h), 0.3/float64(i+1))
					}
				}
				out.SetNRGBA(x, y, p)
			}
		}
	}
	if c.regions {
		c.layout().Regions(out, line)
	}
	return out
}

// sample returns the mean of the picture's pixels under one of w×h.
func sample(img *image.NRGBA, x, y, w, h int) color.NRGBA {
	b := img.Rect
	x0, x1 := x*b.Dx()/w, max(x*b.Dx()/w+1, (x+1)*b.Dx()/w)
	y0, y1 := y*b.Dy()/h, max(y*b.Dy()/h+1, (y+1)*b.Dy()/h)
	var r, g, bl, n int
	for v := y0; v < min(y1, b.Dy()); v++ {
		for u := x0; u < min(x1, b.Dx()); u++ {
			i := img.PixOffset(b.Min.X+u, b.Min.Y+v)
			r, g, bl, n = r+int(img.Pix[i]), g+int(img.Pix[i+1]), bl+int(img.Pix[i+2]), n+1
		}
	}
	n = max(1, n)
	return color.NRGBA{uint8(r / n), uint8(g / n), uint8(bl / n), 255}
}

// A glyph is a cell of a label: its text, and its entity. A wide character has two cells,
// the second without text.
type glyph struct {
	text string
	of   int
	used bool
}

// text returns the labels, in cells: each entity's letter, and its name if there is room.
func (c *canvas) text(columns, rows int) []glyph {
	cells := make([]glyph, columns*rows)
	if !c.regions {
		return cells
	}
	forms := make([][]string, len(c.entities))
	for i, e := range c.entities {
		l := string(drawing.Letter(i))
		forms[i] = []string{" " + l + " " + shortName(e.Address) + " ", " " + l + " ", l}
	}
	spots := c.layout().Place(columns, rows, func(i int) []image.Point {
		var sizes []image.Point
		for _, f := range forms[i] {
			sizes = append(sizes, image.Pt(lipgloss.Width(f), 1))
		}
		return sizes
	})
	for _, s := range spots {
		k := s.At.Min.Y*columns + s.At.Min.X
		for g := uniseg.NewGraphemes(forms[s.Entity][s.Size]); g.Next(); {
			for n := range lipgloss.Width(g.Str()) {
				cells[k] = glyph{of: s.Entity, used: true}
				if n == 0 {
					cells[k].text = g.Str()
				}
				k++
			}
		}
	}
	return cells
}

// inCells draws coloured cells of one pixel, or of two, one above the other.
func (c *canvas) inCells(columns, rows, pixels int) []string {
	img := c.image(columns, rows*pixels, 1)
	text := c.text(columns, rows)
	lines := make([]string, rows)
	for y := range rows {
		var b strings.Builder
		last := ""
		for x := range columns {
			top, bottom := img.NRGBAAt(x, y*pixels), img.NRGBAAt(x, y*pixels+pixels-1)
			r, shown := text[y*columns+x], "▀"
			fg := top
			switch {
			case r.used:
				shown, bottom = r.text, drawing.Colour(r.of)
				fg = drawing.InkOn(bottom)
			case pixels == 1:
				shown, fg = " ", bottom
			}
			if sgr := "\x1b[38;" + c.sgr(fg) + ";48;" + c.sgr(bottom) + "m"; sgr != last {
				b.WriteString(sgr)
				last = sgr
			}
			b.WriteString(shown)
		}
		b.WriteString("\x1b[m")
		lines[y] = b.String()
	}
	return lines
}

// sgr returns a colour for an escape code.
func (c *canvas) sgr(p color.NRGBA) string {
	if c.few {
		return fmt.Sprintf("5;%d", nearest256(p))
	}
	return fmt.Sprintf("2;%d;%d;%d", p.R, p.G, p.B)
}

// few256 returns the number of the nearest of 256 colours to one that inColour wrote.
func few256(colour string) string {
	r, g, b, _ := lipgloss.Color(colour).RGBA()
	return strconv.Itoa(int(nearest256(color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255})))
}

// nearest256 returns the nearest of the colours that all terminals of 256 share: a cube of
// 6×6×6, and 24 greys. (Bubble Tea would search by hue, and take pale red for grey.)
func nearest256(p color.NRGBA) int {
	level := func(v uint8) int { // 0, 95, 135, 175, 215, 255
		if v < 48 {
			return 0
		}
		return max(1, (int(v)-35)/40)
	}
	value := func(l int) int {
		if l == 0 {
			return 0
		}
		return 55 + 40*l
	}
	distance := func(r, g, b int) int {
		dr, dg, db := r-int(p.R), g-int(p.G), b-int(p.B)
		return dr*dr + dg*dg + db*db
	}
	r, g, b := level(p.R), level(p.G), level(p.B)
	step := min(23, max(0, ((int(p.R)+int(p.G)+int(p.B))/3-3)/10))
	if shade := 8 + 10*step; distance(shade, shade, shade) < distance(value(r), value(g), value(b)) {
		return 232 + step
	}
	return 16 + 36*r + 6*g + b
}

// shades are brightnesses as characters.
const shades = " .:-=+*#%@"

// inLetters draws without colour: a picture in shades, regions as their letters, upper case
// at the edge.
func (c *canvas) inLetters(columns, rows int) []string {
	cells := make([]byte, columns*rows)
	for k := range cells {
		cells[k] = '.'
		if c.picture != nil {
			cells[k] = shades[int(drawing.Brightness(sample(c.picture, k%columns, k/columns, columns, rows))*float64(len(shades)-1)+0.5)]
		}
	}
	if c.regions {
		l := c.layout()
		for _, ghost := range c.ghosts {
			for _, mask := range l.Masks(ghost, columns, rows) {
				for k := range mask {
					if edge(mask, columns, rows, k%columns, k/columns) {
						cells[k] = '\''
					}
				}
			}
		}
		masks := l.Masks(c.entities, columns, rows)
		for _, i := range l.Order() {
			for k, on := range masks[i] {
				switch {
				case on && edge(masks[i], columns, rows, k%columns, k/columns):
					cells[k] = drawing.Letter(i)
				case on && c.picture == nil:
					cells[k] = lower(drawing.Letter(i))
				}
			}
		}
	}
	lines := make([]string, rows)
	for y := range rows {
		lines[y] = string(cells[y*columns : (y+1)*columns])
	}
	return lines
}

func lower(letter byte) byte { return strings.ToLower(string(letter))[0] }

// edge reports whether a cell of a mask has a neighbour outside it.
func edge(mask []bool, w, h, x, y int) bool {
	if !mask[y*w+x] {
		return false
	}
	return x == 0 || y == 0 || x == w-1 || y == h-1 || !mask[y*w+x-1] || !mask[y*w+x+1] || !mask[(y-1)*w+x] || !mask[(y+1)*w+x]
}
