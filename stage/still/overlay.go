package still

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/eligen/eligen"
)

// palette is for neighbours in it to be told apart, by people who don't see some
// colours too: it alternates light and dark.
var palette = []color.NRGBA{
	{255, 196, 61, 255}, {58, 134, 255, 255}, {255, 99, 132, 255}, {46, 196, 182, 255},
	{181, 126, 255, 255}, {148, 210, 72, 255}, {255, 140, 66, 255}, {0, 119, 168, 255},
	{240, 166, 202, 255}, {122, 88, 193, 255}, {120, 220, 232, 255}, {199, 62, 58, 255},
}

// overlay draws each entity's region, tinted and outlined, and its prompt.
func overlay(img *image.NRGBA, entities []Entity) error {
	size := eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}
	short := min(size.W, size.H)
	line := max(1, (short+160)/320)
	for i, e := range entities {
		outline(img, e.Region.Mask(size), palette[i%len(palette)], line)
	}

	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		return err
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: min(32, max(11, 6+float64(short)/48)), DPI: 72})
	if err != nil {
		return err
	}
	defer face.Close()
	bounds := make([]image.Rectangle, len(entities))
	for i, e := range entities {
		if x0, y0, x1, y1, ok := e.Region.Bounds(size); ok {
			bounds[i] = image.Rect(x0, y0, x1, y1)
		}
	}
	var labels []image.Rectangle
	for i, e := range entities {
		if bounds[i].Empty() {
			continue
		}
		l := layOut(face, e.Prompt, max(bounds[i].Dx(), size.W*3/10))
		at := l.place(i, bounds, labels, img.Rect, 2*line)
		labels = append(labels, at)
		l.draw(img, at, palette[i%len(palette)])
	}
	return nil
}

// outline tints the pixels of a mask, those within line pixels of its edge fully.
func outline(img *image.NRGBA, mask []bool, c color.NRGBA, line int) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	inside := coverage(mask, w, h, line)
	for i, on := range mask {
		alpha := 0.0
		switch {
		case on && inside[i] < 1:
			alpha = 0.95
		case on:
			alpha = 0.22
		case inside[i] > 0: // a soft shadow, so that the line is seen on its own colour
			shade(img.Pix[4*i:4*i+3], color.NRGBA{A: 255}, 0.35*min(1, 2*inside[i]))
			continue
		default:
			continue
		}
		shade(img.Pix[4*i:4*i+3], c, alpha)
	}
}

// coverage is the share of mask pixels that are on in the square of 2r+1 pixels
// around each pixel; what is outside the picture counts as off.
func coverage(mask []bool, w, h, r int) []float64 {
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
	out := make([]float64, w*h)
	for y := range h {
		for x := range w {
			x0, y0, x1, y1 := max(0, x-r), max(0, y-r), min(w, x+r+1), min(h, y+r+1)
			n := sum[y1*(w+1)+x1] - sum[y0*(w+1)+x1] - sum[y1*(w+1)+x0] + sum[y0*(w+1)+x0]
			out[y*w+x] = float64(n) / float64((2*r+1)*(2*r+1))
		}
	}
	return out
}

// shade lays a colour over a pixel.
func shade(p []uint8, c color.NRGBA, alpha float64) {
	for k, v := range [3]uint8{c.R, c.G, c.B} {
		p[k] = uint8(math.Round(float64(p[k])*(1-alpha) + float64(v)*alpha))
	}
}

// A label is a prompt, broken into lines.
type label struct {
	face          font.Face
	lines         []string
	width, height int // of the text
	step, ascent  int
	pad           int
}

// maxLines is how many lines a label has at most.
const maxLines = 4

// layOut breaks a text at spaces into lines of a width, and inside a word that is
// longer than one.
func layOut(face font.Face, text string, width int) *label {
	m := face.Metrics()
	l := &label{face: face, step: (m.Ascent + m.Descent).Ceil() + 1, ascent: m.Ascent.Ceil(), pad: max(2, m.Height.Ceil()/4)}
	width = max(width-2*l.pad, 3*l.step)
	limit := fixed.I(width)
	current := ""
	flush := func() {
		if current != "" {
			l.lines = append(l.lines, current)
			current = ""
		}
	}
	for word := range strings.FieldsSeq(text) {
		if joined := strings.TrimSpace(current + " " + word); font.MeasureString(face, joined) <= limit {
			current = joined
			continue
		}
		flush()
		for _, r := range word {
			if current != "" && font.MeasureString(face, current+string(r)) > limit {
				flush()
			}
			current += string(r)
		}
	}
	flush()
	if len(l.lines) > maxLines {
		l.lines = l.lines[:maxLines]
		last := []rune(l.lines[maxLines-1])
		for len(last) > 0 && font.MeasureString(face, string(last)+"…") > limit {
			last = last[:len(last)-1]
		}
		l.lines[maxLines-1] = strings.TrimRight(string(last), " ") + "…"
	}
	for _, s := range l.lines {
		l.width = max(l.width, font.MeasureString(face, s).Ceil())
	}
	l.height = len(l.lines) * l.step
	return l
}

// place finds room for the label of region i: on its upper or lower edge, where it
// hides nothing of any region; else in a corner inside; else wherever no other label
// is.
func (l *label) place(i int, regions, labels []image.Rectangle, canvas image.Rectangle, margin int) image.Rectangle {
	w, h := l.width+2*l.pad+max(1, l.pad/2), l.height+2*l.pad
	r := regions[i]
	at := func(x, y int) image.Rectangle {
		x = max(canvas.Min.X, min(x, canvas.Max.X-w))
		return image.Rect(x, y, x+w, y+h)
	}
	free := func(box image.Rectangle, of []image.Rectangle) bool {
		for _, o := range of {
			if box.Overlaps(o) {
				return false
			}
		}
		return box.Min.Y >= canvas.Min.Y && box.Max.Y <= canvas.Max.Y
	}
	for _, box := range []image.Rectangle{at(r.Min.X, r.Min.Y-h-1), at(r.Min.X, r.Max.Y+1), at(r.Max.X-w, r.Min.Y-h-1), at(r.Max.X-w, r.Max.Y+1)} {
		if free(box, labels) && free(box, regions) {
			return box
		}
	}
	in := r.Inset(margin)
	for _, box := range []image.Rectangle{at(in.Min.X, in.Min.Y), at(in.Min.X, in.Max.Y-h), at(in.Max.X-w, in.Min.Y), at(in.Max.X-w, in.Max.Y-h)} {
		if free(box, labels) {
			return box
		}
	}
	for y := canvas.Min.Y; y+h <= canvas.Max.Y; y += max(1, h/2) {
		if box := at(in.Min.X, y); free(box, labels) {
			return box
		}
	}
	return at(in.Min.X, max(canvas.Min.Y, min(in.Min.Y, canvas.Max.Y-h)))
}

// draw writes the label: white on dark, with a bar of the region's colour.
func (l *label) draw(img *image.NRGBA, at image.Rectangle, c color.NRGBA) {
	if len(l.lines) == 0 {
		return
	}
	radius := float64(l.pad)
	box := at.Intersect(img.Rect)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			// Distance from the rounded rectangle, for smooth corners.
			dx := math.Max(float64(at.Min.X)+radius-float64(x)-0.5, float64(x)+0.5-float64(at.Max.X)+radius)
			dy := math.Max(float64(at.Min.Y)+radius-float64(y)-0.5, float64(y)+0.5-float64(at.Max.Y)+radius)
			d := math.Hypot(math.Max(dx, 0), math.Max(dy, 0)) - radius
			alpha := min(1, max(0, 0.5-d))
			p := img.Pix[img.PixOffset(x, y):][:3]
			if x < at.Min.X+max(2, l.pad/2) {
				shade(p, c, alpha)
			} else {
				shade(p, color.NRGBA{18, 20, 26, 255}, 0.82*alpha)
			}
		}
	}
	d := font.Drawer{Dst: draw.Image(img), Src: image.White, Face: l.face}
	for i, s := range l.lines {
		d.Dot = fixed.P(at.Min.X+l.pad+max(1, l.pad/2), at.Min.Y+l.pad+i*l.step+l.ascent)
		d.DrawString(s)
	}
}
