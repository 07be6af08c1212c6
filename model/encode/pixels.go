package encode

import (
	"image"
	"image/draw"

	"github.com/eligen/eligen/internal/tensor"
)

// Pixels returns a picture as [3,h,w] in [−1,1]: v·(2/255) − 1 in float32.
// Transparency is dropped, as PIL's convert("RGB") does.
func Pixels(img image.Image) tensor.Tensor {
	b := img.Bounds()
	n, ok := img.(*image.NRGBA)
	if !ok {
		n = image.NewNRGBA(b)
		draw.Draw(n, b, img, b.Min, draw.Src)
	}
	w, h := b.Dx(), b.Dy()
	t := tensor.New(3, h, w)
	for y := range h {
		row := n.Pix[n.PixOffset(b.Min.X, b.Min.Y+y):]
		for x := range w {
			for c := range 3 {
				t.Data[(c*h+y)*w+x] = float32(row[4*x+c])*(2.0/255) - 1
			}
		}
	}
	return t
}

// Picture returns [3,h,w] in [−1,1] as 8-bit pixels, by the rule that the reference
// has for float32: clip(y/2 + 0.5, 0, 1)·255, truncated, not rounded.
func Picture(t tensor.Tensor) *image.NRGBA {
	h, w := t.Shape[1], t.Shape[2]
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p := img.Pix[img.PixOffset(x, y):]
			for c := range 3 {
				v := t.Data[(c*h+y)*w+x]/2 + 0.5
				if !(v > 0) { // not a number is black
					v = 0
				}
				p[c] = uint8(min(v, 1) * 255)
			}
			p[3] = 255
		}
	}
	return img
}
