package dataset

import (
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Sheet lays samples out in a grid for looking at, each with its caption below
// as far as it fits; boxes draws the outlines of the entities' regions.
func Sheet(samples []annotated.Sample, columns int, boxes bool) *image.NRGBA {
	columns = max(1, min(columns, len(samples)))
	cw, ch := 0, 0
	for _, s := range samples {
		if s.Image != nil {
			cw, ch = max(cw, s.Image.Rect.Dx()), max(ch, s.Image.Rect.Dy())
		}
	}
	const gap, line = 6, 12
	face := basicfont.Face7x13
	perLine := max(1, cw/face.Advance)
	lines := 0
	captions := make([][]string, len(samples))
	for i, s := range samples {
		captions[i] = wrap(s.Prompt, perLine)
		lines = max(lines, len(captions[i]))
	}
	rows := (len(samples) + columns - 1) / columns
	stepX, stepY := cw+gap, ch+lines*line+gap
	sheet := image.NewNRGBA(image.Rect(0, 0, columns*stepX+gap, rows*stepY+gap))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(color.NRGBA{250, 250, 250, 255}), image.Point{}, draw.Src)
	for i, s := range samples {
		if s.Image == nil {
			continue
		}
		at := image.Pt(gap+i%columns*stepX, gap+i/columns*stepY)
		draw.Draw(sheet, s.Image.Rect.Sub(s.Image.Rect.Min).Add(at), s.Image, s.Image.Rect.Min, draw.Over)
		size := eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}
		for k, e := range s.Entities {
			if x0, y0, x1, y1, ok := e.Region.Bounds(size); ok && boxes {
				frame(sheet, image.Rect(x0, y0, x1, y1).Add(at), frameColours[k%len(frameColours)])
			}
		}
		for k, text := range captions[i] {
			d := font.Drawer{Dst: sheet, Src: image.Black, Face: face, Dot: fixed.P(at.X, at.Y+ch+(k+1)*line-2)}
			d.DrawString(text)
		}
	}
	return sheet
}

var frameColours = []color.NRGBA{{255, 0, 80, 255}, {0, 110, 255, 255}, {0, 200, 60, 255}, {255, 190, 0, 255}}

func frame(img *image.NRGBA, r image.Rectangle, c color.NRGBA) {
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+1)}, {image.Pt(r.Min.X, r.Max.Y-1), r.Max},
		{r.Min, image.Pt(r.Min.X+1, r.Max.Y)}, {image.Pt(r.Max.X-1, r.Min.Y), r.Max},
	} {
		draw.Draw(img, side, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

// wrap breaks text into lines of at most n characters where words allow it.
func wrap(text string, n int) []string {
	var lines []string
	line, length := "", 0
	start := 0
	runes := []rune(text)
	flush := func(end int) {
		word := string(runes[start:end])
		switch {
		case word == "":
		case line == "":
			line, length = word, end-start
		case length+1+end-start <= n:
			line, length = line+" "+word, length+1+end-start
		default:
			lines = append(lines, line)
			line, length = word, end-start
		}
		start = end + 1
	}
	for i, r := range runes {
		if r == ' ' || r == '\n' {
			flush(i)
		}
	}
	flush(len(runes))
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
