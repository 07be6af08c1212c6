package vision

import (
	"image"
	"image/color"
	"testing"
)

// Pixels are those of the picture, wherever its bounds begin and whatever its kind.
func TestSigLIPPixels(t *testing.T) {
	c := Config{Size: 4}
	whole := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	part := whole.SubImage(image.Rect(3, 2, 7, 6)).(*image.NRGBA)
	for y := 2; y < 6; y++ {
		for x := 3; x < 7; x++ {
			part.SetNRGBA(x, y, color.NRGBA{uint8(10 * x), uint8(20 * y), 255, 1}) // nearly transparent
		}
	}
	got := c.Pixels(part).Data
	for i, level := range map[int]float32{0: 30, 3: 60, 4: 30, 16: 40, 28: 100, 32: 255} {
		if want := level*(2.0/255) - 1; got[i] != want {
			t.Errorf("number %d is %g, want %g", i, got[i], want)
		}
	}
}
