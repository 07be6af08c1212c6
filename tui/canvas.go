package tui

import (
	"fmt"
	"image"
	"image/color"
	"strings"

	"github.com/eligen/eligen"
)

// palette is the regions' colours, in the order of entities: light and dark
// alternate, so that neighbours can be told apart by people who don't see some of
// them too. Each entity has a letter besides.
var palette = []color.NRGBA{
	{255, 196, 61, 255}, {58, 134, 255, 255}, {255, 99, 132, 255}, {46, 196, 182, 255},
	{181, 126, 255, 255}, {148, 210, 72, 255}, {255, 140, 66, 255}, {0, 119, 168, 255},
	{240, 166, 202, 255}, {122, 88, 193, 255}, {120, 220, 232, 255}, {199, 62, 58, 255},
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func letter(i int) byte             { return letters[i%len(letters)] }
func hue(i int) color.NRGBA         { return palette[i%len(palette)] }
func inColour(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

var backdrop = color.NRGBA{38, 40, 46, 255}

// A canvas draws the regions of a frame, over its picture where there is one.
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
	id       int  // of the picture that the terminal has been given, where the ink is kitty
}

// grid is how many cells the canvas takes of a pane: as many as fit, in the picture's
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

// View draws the canvas in a pane, in the middle of it.
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

// masks are the entities' regions on a grid, by the planner's own rule.
func (c *canvas) masks(entities []eligen.Entity, w, h int) [][]bool {
	var out [][]bool
	for _, e := range entities {
		if e.Region.Kind == "" {
			out = append(out, make([]bool, w*h))
			continue
		}
		out = append(out, e.Region.Sample(eligen.Size{W: w, H: h}, c.size))
	}
	return out
}

// edge reports whether a pixel of a mask has a neighbour outside of it.
func edge(mask []bool, w, h, x, y int) bool {
	if !mask[y*w+x] {
		return false
	}
	return x == 0 || y == 0 || x == w-1 || y == h-1 || !mask[y*w+x-1] || !mask[y*w+x+1] || !mask[(y-1)*w+x] || !mask[(y+1)*w+x]
}

// image draws the canvas with so many pixels.
func (c *canvas) image(w, h int) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p := backdrop
			if c.picture != nil {
				p = sample(c.picture, x, y, w, h)
				for i, f := range c.faded {
					if f != nil {
						p = mixed(p, sample(f, x, y, w, h), 0.3/float64(i+1))
					}
				}
			}
			out.SetNRGBA(x, y, p)
		}
	}
	if !c.regions {
		return out
	}
	for _, ghost := range c.ghosts {
		for i, mask := range c.masks(ghost, w, h) {
			for k := range mask {
				if x, y := k%w, k/w; edge(mask, w, h, x, y) {
					out.SetNRGBA(x, y, mixed(out.NRGBAAt(x, y), hue(i), 0.4))
				}
			}
		}
	}
	for i, mask := range c.masks(c.entities, w, h) {
		line, area := 0.65, 0.0
		if c.picture == nil {
			line, area = 0.85, 0.4
		}
		if i == c.selected {
			line = 1
			if c.picture == nil {
				area = 0.6
			}
		}
		for k, on := range mask {
			x, y := k%w, k/w
			switch {
			case on && edge(mask, w, h, x, y):
				out.SetNRGBA(x, y, mixed(out.NRGBAAt(x, y), hue(i), line))
			case on && area > 0:
				out.SetNRGBA(x, y, mixed(out.NRGBAAt(x, y), hue(i), area))
			}
		}
	}
	return out
}

// sample is the mean of the picture's pixels that lie under one of w×h.
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

func mixed(a, b color.NRGBA, t float64) color.NRGBA {
	m := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*t + 0.5) }
	return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
}

// grey is how bright a colour is, 0 to 1.
func grey(c color.NRGBA) float64 {
	return (0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)) / 255
}

// A label is an entity's letter and, where it fits, name, in a cell of the grid.
type label struct {
	x, y int
	text string
	of   int
}

// labels are where regions are named: on the row through their middle. Where
// two would meet, the later gives way.
func (c *canvas) labels(columns, rows int) []label {
	if !c.regions {
		return nil
	}
	taken := make([]bool, columns*rows)
	var out []label
	for i, mask := range c.masks(c.entities, columns, rows) {
		n, sy := 0, 0
		for k, on := range mask {
			if on {
				n, sy = n+1, sy+k/columns
			}
		}
		if n == 0 {
			continue
		}
		y := sy / n
		from, to := longest(mask[y*columns : (y+1)*columns])
		if to == from { // the middle is a hole
			continue
		}
		text := string(letter(i))
		if name := " " + shortName(c.entities[i].Address); cut(name, 14) == name && len(name)+5 <= to-from {
			text += name
		}
		x := from + (to-from-len([]rune(text)))/2
		free := true
		for k := range len([]rune(text)) {
			free = free && !taken[y*columns+x+k]
		}
		if !free {
			continue
		}
		for k := range len([]rune(text)) {
			taken[y*columns+x+k] = true
		}
		out = append(out, label{x, y, text, i})
	}
	return out
}

// longest is the longest run of cells that are on.
func longest(row []bool) (from, to int) {
	start := -1
	for i := 0; i <= len(row); i++ {
		if i < len(row) && row[i] {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && i-start > to-from {
			from, to = start, i
		}
		start = -1
	}
	return from, to
}

// inCells draws cells of colour: of one pixel, or of two, one above the other.
func (c *canvas) inCells(columns, rows, pixels int) []string {
	img := c.image(columns, rows*pixels)
	text := c.text(columns, rows)
	lines := make([]string, rows)
	for y := range rows {
		var b strings.Builder
		last := ""
		for x := range columns {
			top, bottom := img.NRGBAAt(x, y*pixels), img.NRGBAAt(x, y*pixels+pixels-1)
			r, glyph := text[y*columns+x], "▀"
			fg := top
			switch {
			case r.glyph != 0:
				glyph, bottom = string(r.glyph), mixed(top, bottom, 0.5)
				if r.of == c.selected {
					bottom = hue(r.of)
				}
				fg = color.NRGBA{255, 255, 255, 255}
				if grey(bottom) > 0.5 {
					fg = color.NRGBA{0, 0, 0, 255}
				}
			case pixels == 1:
				glyph, fg = " ", bottom
			}
			if sgr := "\x1b[38;" + c.sgr(fg) + ";48;" + c.sgr(bottom) + "m"; sgr != last {
				b.WriteString(sgr)
				last = sgr
			}
			b.WriteString(glyph)
		}
		b.WriteString("\x1b[m")
		lines[y] = b.String()
	}
	return lines
}

// sgr is a colour in an escape code.
func (c *canvas) sgr(p color.NRGBA) string {
	if c.few {
		return fmt.Sprintf("5;%d", nearest256(p))
	}
	return fmt.Sprintf("2;%d;%d;%d", p.R, p.G, p.B)
}

// nearest256 is the nearest of the colours that all terminals of 256 agree on: a cube
// of 6×6×6, and 24 greys. (Bubble Tea would look for one too, by hue, and take pale
// red for grey.)
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

// A glyph is a character of a label.
type glyph struct {
	glyph rune
	of    int
}

func (c *canvas) text(columns, rows int) []glyph {
	text := make([]glyph, columns*rows)
	for _, l := range c.labels(columns, rows) {
		for k, r := range []rune(l.text) {
			text[l.y*columns+l.x+k] = glyph{r, l.of}
		}
	}
	return text
}

// shades are brightnesses as characters.
const shades = " .:-=+*#%@"

// inLetters draws without colour: a picture in shades, regions as their letters, large
// at the edge.
func (c *canvas) inLetters(columns, rows int) []string {
	cells := make([]byte, columns*rows)
	for k := range cells {
		cells[k] = '.'
		if c.picture != nil {
			cells[k] = shades[int(grey(sample(c.picture, k%columns, k/columns, columns, rows))*float64(len(shades)-1)+0.5)]
		}
	}
	if c.regions {
		for _, ghost := range c.ghosts {
			for _, mask := range c.masks(ghost, columns, rows) {
				for k := range mask {
					if edge(mask, columns, rows, k%columns, k/columns) {
						cells[k] = '\''
					}
				}
			}
		}
		for i, mask := range c.masks(c.entities, columns, rows) {
			for k, on := range mask {
				switch {
				case on && edge(mask, columns, rows, k%columns, k/columns):
					cells[k] = letter(i)
				case on && c.picture == nil:
					cells[k] = strings.ToLower(letters)[i%len(letters)]
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
