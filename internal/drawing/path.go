package drawing

import (
	"image"
	"image/color"
	"math"
)

// Way draws where something goes: a line through its places at each frame, a dot for
// each, and a ring where it is now. Places are x, y pairs in fractions of the canvas.
func Way(img *image.NRGBA, places []float64, now int, c color.NRGBA, line int) {
	n := len(places) / 2
	if n == 0 {
		return
	}
	at := func(i int) (x, y float64) {
		const far = 1e4 // pixels: what is farther away is not seen, whatever its number is
		x, y = places[2*i]*float64(img.Rect.Dx()), places[2*i+1]*float64(img.Rect.Dy())
		return min(far, max(-far, x)), min(far, max(-far, y))
	}
	half := float64(line) / 2
	for _, pass := range []struct {
		colour color.NRGBA
		grown  float64
	}{{casing, 1}, {c, 0}} {
		for i := range n - 1 {
			x0, y0 := at(i)
			x1, y1 := at(i + 1)
			segment(img, x0, y0, x1, y1, half*0.7+pass.grown, pass.colour)
		}
		for i := range n {
			x, y := at(i)
			segment(img, x, y, x, y, half*1.5+pass.grown, pass.colour)
		}
	}
	if now < 0 || now >= n {
		return
	}
	x, y := at(now)
	segment(img, x, y, x, y, 3*half+2, casing)
	segment(img, x, y, x, y, 3*half+1, color.NRGBA{255, 255, 255, 255})
	segment(img, x, y, x, y, 3*half-1, c)
}

// segment draws everything within r of a line: a line with round ends, or a dot.
func segment(img *image.NRGBA, x0, y0, x1, y1, r float64, c color.NRGBA) {
	box := image.Rect(int(min(x0, x1)-r)-1, int(min(y0, y1)-r)-1, int(max(x0, x1)+r)+2, int(max(y0, y1)+r)+2).Intersect(img.Rect)
	dx, dy := x1-x0, y1-y0
	length := dx*dx + dy*dy
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			px, py := float64(x)+0.5-x0, float64(y)+0.5-y0
			t := 0.0
			if length > 0 {
				t = min(1, max(0, (px*dx+py*dy)/length))
			}
			d := math.Hypot(px-t*dx, py-t*dy) - r
			if a := min(1, max(0, 0.5-d)); a > 0 {
				shade(img.Pix[img.PixOffset(x, y):], c, a)
			}
		}
	}
}
