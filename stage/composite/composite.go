// Package composite is the stage that puts back what inpainting must not change:
// outside the painted region, the pixels of the picture that was there before.
package composite

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
)

// Op lays a decoded picture, the first input, over another one, the second: inside
// the region alone, so that every pixel outside is the second's to the bit, transparent
// ones too. What is painted is opaque. It writes a PNG without metadata.
type Op struct {
	Region  eligen.Region // what is painted
	Feather float64       // pixels inside the region's edge over which the first fades in; 0 is a hard edge
	Size    eligen.Size
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "composite/1" }

// String describes the stage, for people.
func (o Op) String() string {
	if o.Feather > 0 {
		return fmt.Sprintf("the rest as it was, feather %g", o.Feather)
	}
	return "the rest as it was"
}

// Run lays one over the other.
func (o Op) Run(_ context.Context, c *eligen.Call) error {
	if len(c.Inputs) != 2 {
		return fmt.Errorf("%d inputs instead of 2. This is a bug in eligen", len(c.Inputs))
	}
	var in [2]*image.NRGBA
	for i := range in {
		data, err := c.Inputs[i].Read()
		if err != nil {
			return err
		}
		img, err := pixels.Decode(data)
		if err != nil {
			return fmt.Errorf("a picture to lay together can't be read: %w", err)
		}
		if b := img.Rect; b.Dx() != o.Size.W || b.Dy() != o.Size.H {
			return fmt.Errorf("a picture to lay together has %d×%d pixels instead of %d×%d. This is a bug in eligen", b.Dx(),
				b.Dy(), o.Size.W, o.Size.H)
		}
		in[i] = img
	}
	painted, kept := in[0], in[1]
	for i, a := range o.alpha() {
		if a > 0 {
			blend(kept.Pix[4*i:4*i+4], painted.Pix[4*i:4*i+4], a)
		}
	}
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(c.Out, kept)
}

// blend lays an opaque pixel over another one, [r g b a], of which it covers a part in
// (0, 1]. Colours count by their alpha, so that one which can't be seen has no part in
// what can.
func blend(kept, painted []uint8, part float64) {
	below := float64(kept[3]) / 255 * (1 - part)
	whole := part + below
	for c := range 3 {
		k := float64(kept[c])
		kept[c] = uint8(math.Round(k + part/whole*(float64(painted[c])-k)))
	}
	kept[3] = uint8(math.Round(255 * whole))
}

// alpha returns how much of the painted picture is seen at each pixel.
func (o Op) alpha() []float64 {
	mask := o.Region.Mask(o.Size)
	out := make([]float64, len(mask))
	if o.Feather <= 0 {
		for i, on := range mask {
			if on {
				out[i] = 1
			}
		}
		return out
	}
	for i, d := range o.Region.Depth(o.Size) {
		out[i] = math.Min(1, d/o.Feather)
	}
	return out
}
