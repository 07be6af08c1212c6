package pixels

import (
	"math"

	"github.com/eligen/eligen"
)

// A Filter is Resample's weighting of source pixels; the names and the numbers are PIL's.
type Filter struct {
	support float64
	weight  func(x float64) float64
}

// The filters that PIL has, but for Hamming.
var (
	Nearest  = Filter{}
	Box      = Filter{0.5, func(x float64) float64 { return truth(x > -0.5 && x <= 0.5) }}
	Bilinear = Filter{1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}
	Bicubic  = Filter{2, bicubic}
	Lanczos  = Filter{3, func(x float64) float64 { return truth(x >= -3 && x < 3) * sinc(x) * sinc(x/3) }}
)

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func bicubic(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// Resample scales a picture of 8-bit samples, interleaved channels row by row, as
// Pillow 13's Image.resize does, to the bit: antialiased when it shrinks, in two
// passes, each rounded to 8 bits. The horizontal one comes first, unless the height
// shrinks by more than twice as many pixels as the width.
func Resample(pix []uint8, channels int, from, to eligen.Size, f Filter) []uint8 {
	if f.weight == nil {
		out := make([]uint8, to.W*to.H*channels)
		for y := range to.H {
			for x := range to.W {
				copy(out[(y*to.W+x)*channels:][:channels], pix[(eligen.Nearest(y, to.H, from.H)*from.W+eligen.Nearest(x, to.W, from.W))*channels:])
			}
		}
		return out
	}
	if to.H < from.H && from.H-to.H > 2*(from.W-to.W) {
		pix = resizeColumns(pix, channels, from, to.H, f)
		return resizeRows(pix, channels, eligen.Size{W: from.W, H: to.H}, to.W, f)
	}
	pix = resizeRows(pix, channels, from, to.W, f)
	return resizeColumns(pix, channels, eligen.Size{W: to.W, H: from.H}, to.H, f)
}

// resizeRows makes every row w pixels wide.
func resizeRows(pix []uint8, channels int, from eligen.Size, w int, f Filter) []uint8 {
	if w == from.W {
		return pix
	}
	taps := filterTaps(from.W, w, f)
	out := make([]uint8, w*from.H*channels)
	for y := range from.H {
		row := pix[y*from.W*channels:]
		for x, t := range taps {
			for c := range channels {
				sum := int64(1) << (tapBits - 1)
				for k, w := range t.weights {
					sum += int64(row[(t.first+k)*channels+c]) * w
				}
				out[(y*w+x)*channels+c] = clip8(sum)
			}
		}
	}
	return out
}

// resizeColumns makes every column h pixels high.
func resizeColumns(pix []uint8, channels int, from eligen.Size, h int, f Filter) []uint8 {
	if h == from.H {
		return pix
	}
	taps := filterTaps(from.H, h, f)
	stride := from.W * channels
	out := make([]uint8, stride*h)
	for y, t := range taps {
		for x := range stride {
			sum := int64(1) << (tapBits - 1)
			for k, w := range t.weights {
				sum += int64(pix[(t.first+k)*stride+x]) * w
			}
			out[y*stride+x] = clip8(sum)
		}
	}
	return out
}

// Cover scales a picture, keeping its proportions, until it covers a size, and cuts
// the centre: how DiffSynth-Studio's trainer reads pictures, to the bit where f is
// Bilinear. Halves are rounded to even numbers, as Python does.
func Cover(pix []uint8, channels int, from, to eligen.Size, f Filter) []uint8 {
	scale := max(float64(to.W)/float64(from.W), float64(to.H)/float64(from.H))
	whole := eligen.Size{
		W: max(to.W, int(math.RoundToEven(float64(from.W)*scale))),
		H: max(to.H, int(math.RoundToEven(float64(from.H)*scale))),
	}
	pix = Resample(pix, channels, from, whole, f)
	x, y := int(math.RoundToEven(float64(whole.W-to.W)/2)), int(math.RoundToEven(float64(whole.H-to.H)/2))
	out := make([]uint8, 0, to.W*to.H*channels)
	for row := range to.H {
		at := ((y+row)*whole.W + x) * channels
		out = append(out, pix[at:at+to.W*channels]...)
	}
	return out
}

// tapBits is the fixed point of PIL's weights.
const tapBits = 32 - 8 - 2

func clip8(sum int64) uint8 { return uint8(max(0, min(255, sum>>tapBits))) }

type taps struct {
	first   int
	weights []int64
}

func filterTaps(in, out int, f Filter) []taps {
	scale := float64(in) / float64(out)
	wide := max(1, scale)
	support := f.support * wide
	list := make([]taps, out)
	for i := range list {
		center := (float64(i) + 0.5) * scale
		first := max(0, int(center-support+0.5))
		last := min(in, int(center+support+0.5))
		raw := make([]float64, last-first)
		sum := 0.0
		for k := range raw {
			raw[k] = f.weight((float64(k+first) - center + 0.5) * (1 / wide))
			sum += raw[k]
		}
		list[i] = taps{first, make([]int64, len(raw))}
		for k, w := range raw {
			if sum != 0 {
				w /= sum
			}
			list[i].weights[k] = int64(math.Trunc(w*(1<<tapBits) + math.Copysign(0.5, w)))
		}
	}
	return list
}

// Painted says which latent cells inpainting paints: those where the union of the
// regions, each reduced to the latents' size by PIL's bicubic filter, is above
// one half (DiffSynth-Studio 1.1's rule for EliGen's inpainting). Attention has
// another rule, [eligen.Region.LatentMask], and the two may differ at edges.
func Painted(regions []eligen.Region, canvas eligen.Size, g eligen.Geometry) []bool {
	latent := g.Latents(canvas)
	on := make([]bool, latent.W*latent.H)
	for _, r := range regions {
		size, mask := canvas, []bool(nil)
		if r.Kind == "image" && r.Bitmap != nil && (r.Fit == "" || r.Fit == "stretch") {
			size = eligen.Size{W: r.Bitmap.W, H: r.Bitmap.H} // the reference reduces the mask as it is given
		}
		mask = r.Sample(size, canvas)
		pix := make([]uint8, len(mask))
		for i, m := range mask {
			if m {
				pix[i] = 255
			}
		}
		for i, v := range Resample(pix, 1, size, latent, Bicubic) {
			on[i] = on[i] || v > 127
		}
	}
	return on
}
