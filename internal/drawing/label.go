package drawing

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"

	"github.com/eligen/eligen"
)

// letterFont is Go Medium, which has Latin, Greek and Cyrillic letters. Fonts for all
// the rest are megabytes each.
var letterFont = sync.OnceValue(func() *sfnt.Font {
	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		panic(err) // it is part of the program
	}
	return f
})

// Face returns the typeface of labels and captions, at a size in pixels. The caller closes
// it.
func Face(pixels float64) font.Face {
	face, err := opentype.NewFace(letterFont(), &opentype.FaceOptions{Size: pixels, DPI: 72})
	if err != nil {
		panic(err) // no size that is asked for is invalid
	}
	return face
}

// Writable returns a text as the font can write it: "…" replaces characters without glyphs.
// It returns "" if nothing is left.
func Writable(s string) string {
	var b sfnt.Buffer
	var out strings.Builder
	written, gap, space := false, false, false
	for _, r := range norm.NFC.String(strings.Join(strings.Fields(s), " ")) {
		if r == ' ' {
			space = true
			continue
		}
		g, err := letterFont().GlyphIndex(&b, r)
		missing := err != nil || g == 0
		if missing && gap { // what is left out together is one gap
			continue
		}
		if space && out.Len() > 0 {
			out.WriteByte(' ')
		}
		gap, space = missing, false
		if missing {
			r = '…'
		}
		written = written || !strings.ContainsRune(`.,;:!?"'()[]-_…`, r)
		out.WriteRune(r)
	}
	if !written {
		return ""
	}
	return out.String()
}

// Name returns an entity's name for labels: its address without the kinds of block,
// "left.flower[0]" of "module.left.entity.flower[0]".
func Name(address string) string {
	modules := ""
	for rest, ok := strings.CutPrefix(address, "module."); ok; rest, ok = strings.CutPrefix(address, "module.") {
		i := strings.IndexAny(rest, ".[")
		if i < 0 || rest[i] == '[' {
			if i = strings.Index(rest, "]."); i < 0 {
				return modules + address
			}
			i++
		}
		modules, address = modules+rest[:i+1], rest[i+1:]
	}
	for _, kind := range []string{"entity.", "timeline.", "render."} {
		if name, ok := strings.CutPrefix(address, kind); ok {
			return modules + name
		}
	}
	return modules + address
}

// A chip is a label in one of its forms: the entity's letter, its name, its prompt.
type chip struct {
	face         font.Face
	head         string   // letter and name
	lines        []string // of the prompt
	size         image.Point
	pad, step    int
	ascent, skip int // skip: from the top to the prompt
}

// chips returns the forms of a label, the fullest first, for a region of a width and
// height. The fullest is at most a share of the region's height.
func chips(face font.Face, letter byte, e eligen.Entity, room image.Point, share int) []*chip {
	m := face.Metrics()
	step := (m.Ascent + m.Descent).Ceil()
	pad := max(2, step/4)
	name, prompt := Writable(Name(e.Address)), Writable(e.Prompt)
	made := func(head string, lines []string) *chip {
		c := &chip{face: face, head: head, lines: lines, pad: pad, step: step, ascent: m.Ascent.Ceil(), skip: step + pad}
		width := measure(face, head)
		for _, l := range lines {
			width = max(width, measure(face, l))
		}
		c.size = image.Pt(width+2*pad, c.skip)
		if len(lines) > 0 {
			c.size.Y += len(lines)*step + pad
		}
		return c
	}
	out := []*chip{made(string(letter), nil)}
	if name != "" {
		out = append([]*chip{made(string(letter)+" "+name, nil)}, out...)
	}
	if prompt == "" || strings.EqualFold(article(prompt), strings.ReplaceAll(name, "_", " ")) {
		return out
	}
	if lines := broken(face, prompt, room.X-2*pad, 3); len(lines) > 0 {
		if full := made(out[0].head, lines); full.size.X <= room.X && share*full.size.Y <= room.Y {
			out = append([]*chip{full}, out...)
		}
	}
	return out
}

// article returns a prompt without its leading article.
func article(prompt string) string {
	for _, a := range []string{"a ", "an ", "the "} {
		if rest, ok := strings.CutPrefix(strings.ToLower(prompt), a); ok {
			return rest
		}
	}
	return prompt
}

func measure(face font.Face, s string) int { return font.MeasureString(face, s).Ceil() }

// broken returns a text in at most so many lines, nil if a word is wider than a line.
func broken(face font.Face, text string, width, most int) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if measure(face, word) > width {
			return nil
		}
		if joined := strings.TrimSpace(line + " " + word); measure(face, joined) <= width {
			line = joined
			continue
		}
		out, line = append(out, line), word
	}
	out = append(out, line)
	if len(out) <= most {
		return out
	}
	last := []rune(out[most-1])
	for len(last) > 0 && measure(face, string(last)+"…") > width {
		last = last[:len(last)-1]
	}
	return append(out[:most-1], strings.TrimRight(string(last), " ")+"…")
}

// Labels names the regions: a chip in the entity's colour with its letter and name,
// and below it the prompt where there is room and the font can write it.
func (l *Layout) Labels(img *image.NRGBA) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	face := Face(min(30, max(11, 7+float64(min(w, h))/64)))
	defer face.Close()
	share := 2 // a half
	if l.Picture {
		share = 4 // it is what people look at
	}
	forms := make([][]*chip, len(l.Entities))
	for i, mask := range l.Masks(l.Entities, w, h) {
		forms[i] = chips(face, Letter(i), l.Entities[i], extent(mask, w, h).Size(), share)
	}
	spots := l.Place(w, h, func(i int) []image.Point {
		var sizes []image.Point
		for _, c := range forms[i] {
			sizes = append(sizes, c.size)
		}
		return sizes
	})
	for _, s := range spots {
		forms[s.Entity][s.Size].draw(img, s.At.Min, Colour(s.Entity))
	}
}

func (c *chip) draw(img *image.NRGBA, at image.Point, fill color.NRGBA) {
	head := image.Rectangle{at, at.Add(image.Pt(measure(c.face, c.head)+2*c.pad, c.skip))}
	if len(c.lines) > 0 {
		plate(img, image.Rectangle{at, at.Add(c.size)}, casing, 0.85, c.pad/2)
	}
	plate(img, head, fill, 1, c.pad/2)
	c.write(img, c.head, at.Add(image.Pt(c.pad, c.pad/2)), InkOn(fill))
	for i, line := range c.lines {
		c.write(img, line, at.Add(image.Pt(c.pad, c.skip+c.pad/2+i*c.step)), color.NRGBA{0xe9, 0xeb, 0xef, 255})
	}
}

func (c *chip) write(img *image.NRGBA, s string, at image.Point, ink color.NRGBA) {
	d := font.Drawer{Dst: draw.Image(img), Src: image.NewUniform(ink), Face: c.face, Dot: fixed.P(at.X, at.Y+c.ascent)}
	d.DrawString(s)
}

// plate draws a rectangle with round corners.
func plate(img *image.NRGBA, at image.Rectangle, c color.NRGBA, alpha float64, round int) {
	box := at.Intersect(img.Rect)
	radius := float64(round)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			dx := math.Max(float64(at.Min.X)+radius-float64(x)-0.5, float64(x)+0.5-float64(at.Max.X)+radius)
			dy := math.Max(float64(at.Min.Y)+radius-float64(y)-0.5, float64(y)+0.5-float64(at.Max.Y)+radius)
			d := math.Hypot(math.Max(dx, 0), math.Max(dy, 0)) - radius
			if a := alpha * min(1, max(0, 0.5-d)); a > 0 {
				shade(img.Pix[img.PixOffset(x, y):], c, a)
			}
		}
	}
}

// Caption writes a line of text at a point, its top left corner.
func Caption(img *image.NRGBA, face font.Face, text string, at image.Point) {
	(&chip{face: face, ascent: face.Metrics().Ascent.Ceil()}).write(img, Writable(text), at, color.NRGBA{0xe9, 0xeb, 0xef, 255})
}
