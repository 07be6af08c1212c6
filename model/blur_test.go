package model_test

import (
	"math"

	"github.com/eligen/eligen"
)

// gaussianBlur blurs 8-bit samples of one channel as PIL's ImageFilter.gaussianBlur
// does: three box blurs in each direction, of a width that makes up the radius.
func gaussianBlur(pix []uint8, size eligen.Size, radius float64) []uint8 {
	const passes = 3
	variance := radius * radius / passes
	whole := math.Floor((math.Sqrt(12*variance+1) - 1) / 2)
	part := (2*whole + 1) * (whole*(whole+1) - 3*variance) / (6 * (variance - (whole+1)*(whole+1)))
	blur := func(pix []uint8, lines, n, line, step int) {
		row, next := make([]uint8, n), make([]uint8, n)
		for l := range lines {
			for i := range row {
				row[i] = pix[l*line+i*step]
			}
			for range passes {
				boxBlur(next, row, float32(whole+part))
				row, next = next, row
			}
			for i := range row {
				pix[l*line+i*step] = row[i]
			}
		}
	}
	out := append([]uint8(nil), pix...)
	if radius > 0 {
		blur(out, size.H, size.W, size.W, 1)
		blur(out, size.W, size.H, 1, size.W)
	}
	return out
}

// boxBlur writes the mean over 2·radius+1 samples, whose outermost count in part.
func boxBlur(out, in []uint8, radius float32) {
	n, r := len(in), int(radius)
	weight := uint32((1 << 24) / (radius*2 + 1))
	far := ((1 << 24) - uint32(2*r+1)*weight) / 2
	at := func(i int) uint32 { return uint32(in[max(0, min(n-1, i))]) }
	for x := range out {
		sum := uint32(0)
		for i := x - r; i <= x+r; i++ {
			sum += at(i)
		}
		out[x] = uint8((sum*weight + (at(x-r-1)+at(x+r+1))*far + 1<<23) >> 24)
	}
}

// blurMask blurs with a Gaussian kernel of 2·half+1 samples, reflected at the
// edges, as torchvision's gaussian_blur does. half must be less than both sides.
func blurMask(mask []float32, size eligen.Size, half int, sigma float64) []float32 {
	kernel := make([]float32, 2*half+1)
	sum := float32(0)
	for i := range kernel {
		x := float64(i-half) / sigma
		kernel[i] = float32(math.Exp(-0.5 * x * x))
		sum += kernel[i]
	}
	reflect := func(i, n int) int {
		if i < 0 {
			i = -i
		}
		if i >= n {
			i = 2*(n-1) - i
		}
		return i
	}
	pass := func(in []float32, dx, dy int) []float32 {
		out := make([]float32, len(in))
		for y := range size.H {
			for x := range size.W {
				v := float32(0)
				for k, w := range kernel {
					v += w / sum * in[reflect(y+(k-half)*dy, size.H)*size.W+reflect(x+(k-half)*dx, size.W)]
				}
				out[y*size.W+x] = v
			}
		}
		return out
	}
	return pass(pass(mask, 1, 0), 0, 1)
}
