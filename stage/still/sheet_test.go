package still_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// A sheet shows every picture once, in order, and is a file that may be replaced.
func TestSheet(t *testing.T) {
	for _, c := range []struct {
		n, w, h int
		size    image.Point // of the sheet
	}{
		{1, 64, 64, image.Pt(80, 102)},
		{4, 64, 64, image.Pt(152, 196)},
		{5, 64, 32, image.Pt(152, 194)},
		{9, 2048, 1024, image.Pt(8+3*(1024+8), 8+3*(22+512+8))}, // halved
	} {
		op := still.Sheet{Size: eligen.Size{W: c.w, H: c.h}}
		var in []eligen.Artifact
		for i := range c.n {
			img := image.NewNRGBA(image.Rect(0, 0, c.w, c.h))
			draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{uint8(25 * (i + 1)), 200, 10, 255}), image.Point{}, draw.Src)
			var b bytes.Buffer
			if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			in, op.Captions = append(in, eligen.Artifact{Data: b.Bytes()}), append(op.Captions, "seed 1")
		}
		var out bytes.Buffer
		if err := op.Run(t.Context(), &eligen.Call{Inputs: in, Out: &out}); err != nil {
			t.Fatal(err)
		}
		if !still.Untouched(bytes.NewReader(out.Bytes())) {
			t.Errorf("%d of %d×%d: eligen doesn't know its own sheet", c.n, c.w, c.h)
		}
		img, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		if got := img.Bounds().Size(); got != c.size {
			t.Errorf("%d of %d×%d: the sheet has %v, want %v", c.n, c.w, c.h, got, c.size)
		}
		seen, last := map[uint8]bool{}, uint8(0)
		for y := 0; y < img.Bounds().Dy(); y += 4 {
			for x := 0; x < img.Bounds().Dx(); x += 4 {
				r, g, b, _ := img.At(x, y).RGBA()
				if g>>8 == 200 && b>>8 == 10 && !seen[uint8(r>>8)] {
					seen[uint8(r>>8)] = true
					if uint8(r>>8) < last {
						t.Errorf("%d of %d×%d: the pictures are out of order", c.n, c.w, c.h)
					}
					last = uint8(r >> 8)
				}
			}
		}
		if len(seen) != c.n {
			t.Errorf("%d of %d×%d: %d pictures are seen", c.n, c.w, c.h, len(seen))
		}
	}
}
