package container

import (
	"image"
	"math/rand/v2"
	"testing"
)

// TestLossless: pictures of all kinds of noise, with and without alpha, can be read
// back, and so can what is written where the encoder fails.
func TestLossless(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	fell, n := 0, 0
	for _, size := range []image.Point{{1, 1}, {2, 1}, {1, 2}, {2, 2}, {7, 3}, {16, 16}, {17, 33}, {300, 200}} {
		for _, spread := range []int{1, 2, 6, 40, 256} {
			for _, alpha := range []bool{false, true} {
				img := image.NewNRGBA(image.Rectangle{Max: size})
				for i := range img.Pix {
					v := r.IntN(spread)
					for range r.IntN(9) { // few values are frequent, many are rare
						v = v * r.IntN(spread+1) / spread
					}
					img.Pix[i] = uint8(v)
					if i%4 == 3 && !alpha {
						img.Pix[i] = 255
					}
				}
				n++
				if chunk := encode(img); chunk == nil || !holds(chunk, img) {
					fell++
				}
				if !holds(Lossless(img), img) {
					t.Errorf("%v of %d values: another picture is read", size, spread)
				}
				if !holds(stored(img), img) {
					t.Errorf("%v of %d values, stored: another picture is read", size, spread)
				}
			}
		}
	}
	t.Logf("the encoder failed over %d of %d", fell, n)
}
