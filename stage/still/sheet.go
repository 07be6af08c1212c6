package still

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/internal/container"
)

// Sheet lays decoded pictures of one size, its inputs, side by side, each with a
// caption above it. It writes a PNG.
type Sheet struct {
	Size       eligen.Size // of each picture
	Captions   []string
	Shown      *Shown       `recipe:"omitzero"` // what the sheet says of itself; nil for nothing
	Background string       `recipe:"omitzero"` // colour behind transparent pictures, "#rrggbb"
	Mark       *eligen.Mark `recipe:"omitzero"` // as an Op's
}

// Shown is what made the pictures of a sheet: a clip, as package clip tells it, or
// the renders in the order of the captions.
type Shown struct {
	Clip    json.RawMessage `json:"clip,omitempty"`
	Renders []Resolved      `json:"renders,omitempty"`
}

// Kind returns the stage's name and version.
func (Sheet) Kind() string { return "sheet/2" }

// String describes the stage, for people.
func (o Sheet) String() string { return fmt.Sprintf("PNG of %d pictures", len(o.Captions)) }

// columns returns how many pictures stand in a row: as many as make the sheet about as
// wide as it is high.
func (o Sheet) columns() int {
	n := len(o.Captions)
	for c := 1; c < n; c++ {
		if c*o.Size.W >= (n+c-1)/c*o.Size.H {
			return c
		}
	}
	return n
}

// Run draws the sheet.
func (o Sheet) Run(_ context.Context, c *eligen.Call) error {
	if len(c.Inputs) != len(o.Captions) || len(c.Inputs) == 0 {
		return fmt.Errorf("%d pictures for %d captions. This is a bug in eligen", len(c.Inputs), len(o.Captions))
	}
	columns := o.columns()
	rows := (len(o.Captions) + columns - 1) / columns
	const gap, caption = 8, 22
	w, h, shrink := o.Size.W, o.Size.H, 1
	area := func() image.Rectangle { return image.Rect(0, 0, gap+columns*(w+gap), gap+rows*(caption+h+gap)) }
	for area().Dx()*area().Dy() > maxPixels && min(w, h) > 1 { // pictures are shown smaller where they don't fit
		shrink++
		w, h = o.Size.W/shrink, o.Size.H/shrink
	}
	background, err := pixels.ParseColour(o.Background)
	if err != nil {
		return err
	}
	out := image.NewNRGBA(area())
	draw.Draw(out, out.Rect, image.NewUniform(color.NRGBA{24, 26, 32, 255}), image.Point{}, draw.Src)
	face := drawing.Face(14)
	defer face.Close()
	for i, in := range c.Inputs {
		data, err := in.Read()
		if err != nil {
			return err
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("a decoded picture can't be read: %w", err)
		}
		if b := img.Bounds(); b.Dx() != o.Size.W || b.Dy() != o.Size.H {
			return fmt.Errorf("a decoded picture has %d×%d pixels instead of %d×%d. This is a bug in eligen", b.Dx(), b.Dy(),
				o.Size.W, o.Size.H)
		}
		x, y := gap+i%columns*(w+gap), gap+i/columns*(caption+h+gap)
		d := font.Drawer{Dst: out, Src: image.White, Face: face, Dot: fixed.P(x, y+16)}
		d.DrawString(o.Captions[i])
		small := smaller(pixels.Over(pixels.Straight(img), background), shrink)
		draw.Draw(out, image.Rect(x, y+caption, x+w, y+caption+h), small, image.Point{}, draw.Src)
	}
	return writeSheet(c.Out, out, o.Mark, o.Shown)
}

// writeSheet writes a PNG of pictures, with its record.
func writeSheet(w io.Writer, img *image.NRGBA, mark *eligen.Mark, shown *Shown) error {
	if shown == nil {
		return writePNG(w, img, mark)
	}
	text, err := container.About(shown)
	if err != nil {
		return err
	}
	return writePNG(w, img, mark, metadata{sheetKeyword, text})
}

// smaller returns a picture whose pixels are the means of n×n.
func smaller(img *image.NRGBA, n int) *image.NRGBA {
	if n == 1 {
		return img
	}
	out := image.NewNRGBA(image.Rect(0, 0, img.Rect.Dx()/n, img.Rect.Dy()/n))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			var sum [4]int
			for j := range n {
				row := img.Pix[img.PixOffset(x*n, y*n+j):]
				for i := range 4 * n {
					sum[i%4] += int(row[i])
				}
			}
			for k, s := range sum {
				out.Pix[out.PixOffset(x, y)+k] = uint8((s + n*n/2) / (n * n))
			}
		}
	}
	return out
}
