package eligen

import "math"

// A Filter is how Resize weighs source pixels; the names and the numbers are PIL's.
type Filter struct {
	name    string
	support float64
	weight  func(x float64) float64
}

// The filters that PIL has, but for Hamming.
var (
	Nearest  = Filter{name: "nearest"}
	Box2D    = Filter{"box", 0.5, func(x float64) float64 { return truth(x > -0.5 && x <= 0.5) }}
	Bilinear = Filter{"bilinear", 1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}
	Bicubic  = Filter{"bicubic", 2, bicubic}
	Lanczos  = Filter{"lanczos", 3, func(x float64) float64 { return truth(x >= -3 && x < 3) * sinc(x) * sinc(x/3) }}
)

// Filters lists them.
var Filters = []Filter{Nearest, Box2D, Bilinear, Bicubic, Lanczos}

func (f Filter) String() string { return f.name }

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

// Resize scales a picture of 8-bit samples, interleaved channels row by row, as
// Pillow 13's Image.resize does, to the bit: antialiased when it shrinks, in two
// passes, each rounded to 8 bits. The horizontal one comes first, unless the height
// shrinks by more than twice as many pixels as the width.
func Resize(pix []uint8, channels int, from, to Size, f Filter) []uint8 {
	if f.weight == nil {
		out := make([]uint8, to.W*to.H*channels)
		for y := range to.H {
			for x := range to.W {
				copy(out[(y*to.W+x)*channels:][:channels], pix[(nearest(y, to.H, from.H)*from.W+nearest(x, to.W, from.W))*channels:])
			}
		}
		return out
	}
	if to.H < from.H && from.H-to.H > 2*(from.W-to.W) {
		pix = resizeColumns(pix, channels, from, to.H, f)
		return resizeRows(pix, channels, Size{from.W, to.H}, to.W, f)
	}
	pix = resizeRows(pix, channels, from, to.W, f)
	return resizeColumns(pix, channels, Size{to.W, from.H}, to.H, f)
}

// resizeRows makes every row w pixels wide.
func resizeRows(pix []uint8, channels int, from Size, w int, f Filter) []uint8 {
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
func resizeColumns(pix []uint8, channels int, from Size, h int, f Filter) []uint8 {
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
func Cover(pix []uint8, channels int, from, to Size, f Filter) []uint8 {
	scale := max(float64(to.W)/float64(from.W), float64(to.H)/float64(from.H))
	whole := Size{
		W: max(to.W, int(math.RoundToEven(float64(from.W)*scale))),
		H: max(to.H, int(math.RoundToEven(float64(from.H)*scale))),
	}
	pix = Resize(pix, channels, from, whole, f)
	x, y := int(math.RoundToEven(float64(whole.W-to.W)/2)), int(math.RoundToEven(float64(whole.H-to.H)/2))
	out := make([]uint8, 0, to.W*to.H*channels)
	for row := range to.H {
		at := ((y+row)*whole.W + x) * channels
		out = append(out, pix[at:at+to.W*channels]...)
	}
	return out
}

// Within is the size that DiffSynth-Studio's trainer gives a picture: with no more
// pixels than that, about the same proportions, and multiples of a number; 0 is a
// side that is shorter than it.
func (s Size) Within(pixels, multiple int) Size {
	w, h := float64(s.W), float64(s.H)
	if s.W*s.H > pixels {
		scale := math.Sqrt(w * h / float64(pixels))
		w, h = w/scale, h/scale
	}
	return Size{W: int(w) / multiple * multiple, H: int(h) / multiple * multiple}
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

// GaussianBlur blurs 8-bit samples of one channel as PIL's ImageFilter.GaussianBlur
// does: three box blurs in each direction, of a width that makes up the radius.
func GaussianBlur(pix []uint8, size Size, radius float64) []uint8 {
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

// boxBlur is the mean over 2·radius+1 samples, whose outermost count in part.
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

// BlurMask blurs with a Gaussian kernel of 2·half+1 samples, reflected at the
// edges, as torchvision's gaussian_blur does. half must be less than both sides.
func BlurMask(mask []float32, size Size, half int, sigma float64) []float32 {
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

// Painted says which latent cells inpainting paints: those where the union of the
// regions, each reduced to the latents' size by PIL's bicubic filter, is above
// one half (DiffSynth-Studio 1.1's rule for EliGen's inpainting). Attention has
// another rule, Region.LatentMask, and the two may differ at edges.
func Painted(regions []Region, canvas Size) []bool {
	latent := Size{canvas.W / 8, canvas.H / 8}
	on := make([]bool, latent.W*latent.H)
	for _, r := range regions {
		size, mask := canvas, []bool(nil)
		if r.Kind == "image" && r.Bitmap != nil && (r.Fit == "" || r.Fit == "stretch") {
			size = Size{r.Bitmap.W, r.Bitmap.H} // the reference reduces the mask as it is given
		}
		mask = r.Sample(size, canvas)
		pix := make([]uint8, len(mask))
		for i, m := range mask {
			if m {
				pix[i] = 255
			}
		}
		for i, v := range Resize(pix, 1, size, latent, Bicubic) {
			on[i] = on[i] || v > 127
		}
	}
	return on
}
