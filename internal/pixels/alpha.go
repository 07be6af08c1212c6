package pixels

import (
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"strings"

	"github.com/eligen/eligen"
)

// White is the default background of transparent pictures.
var White = color.NRGBA{255, 255, 255, 255}

// ParseColour reads "#rrggbb"; "" is white.
func ParseColour(s string) (color.NRGBA, error) {
	if s == "" {
		return White, nil
	}
	digits, ok := strings.CutPrefix(s, "#")
	c, err := hex.DecodeString(digits)
	if !ok || err != nil || len(c) != 3 {
		return color.NRGBA{}, fmt.Errorf("%q is no colour; write one as \"#rrggbb\"", s)
	}
	return color.NRGBA{c[0], c[1], c[2], 255}, nil
}

// Over returns a picture over a background, opaque. It returns an opaque picture itself.
func Over(img *image.NRGBA, background color.NRGBA) *image.NRGBA {
	if img.Opaque() {
		return img
	}
	out := image.NewNRGBA(image.Rect(0, 0, img.Rect.Dx(), img.Rect.Dy()))
	under := [3]uint8{background.R, background.G, background.B}
	for y := range out.Rect.Dy() {
		from, to := img.Pix[y*img.Stride:], out.Pix[y*out.Stride:]
		for x := 0; x < out.Stride; x += 4 {
			a := int(from[x+3])
			for c, u := range under {
				to[x+c] = uint8((int(from[x+c])*a + int(u)*(255-a) + 127) / 255)
			}
			to[x+3] = 255
		}
	}
	return out
}

// Resize scales a picture, weighing colours by their alpha, so that colours which
// transparency hides are not seen at edges: as PIL does, to the bit. fit is
// [Resample] or [Cover].
func Resize(img *image.NRGBA, to eligen.Size, f Filter, fit func(pix []uint8, channels int, from, to eligen.Size,
	f Filter) []uint8) *image.NRGBA {
	img = Straight(img)
	out := image.NewNRGBA(image.Rect(0, 0, to.W, to.H))
	pix, opaque := img.Pix, img.Opaque()
	if !opaque {
		pix = make([]uint8, len(img.Pix))
		for i := 0; i < len(pix); i += 4 {
			a := uint32(img.Pix[i+3])
			for c := range 3 {
				v := uint32(img.Pix[i+c])*a + 128
				pix[i+c] = uint8((v>>8 + v) >> 8)
			}
			pix[i+3] = uint8(a)
		}
	}
	out.Pix = fit(pix, 4, eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}, to, f)
	if !opaque {
		for i := 0; i < len(out.Pix); i += 4 {
			if a := uint32(out.Pix[i+3]); a != 0 && a != 255 {
				for c := range 3 {
					out.Pix[i+c] = uint8(min(255, 255*uint32(out.Pix[i+c])/a))
				}
			}
		}
	}
	return out
}
