package suites

import (
	"image"
	"math"
)

// What OpenCV computes of pictures, to the bit: its hue, saturation and value in eight bits, and its
// bilinear resizing, which is the mean of four pixels where the sides are halved.

// A bgr is a picture of 512×512 pixels, three bytes each, red first.
type bgr struct{ pix []uint8 }

// smallBGR returns a picture at 512×512.
func smallBGR(img image.Image) *bgr {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	pix := make([]uint8, 3*w*h)
	for y := range h {
		for x := range w {
			r, g, bl, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			copy(pix[3*(y*w+x):], []uint8{uint8(r >> 8), uint8(g >> 8), uint8(bl >> 8)})
		}
	}
	switch {
	case h == migSide && w == migSide:
		return &bgr{pix}
	case w == 2*migSide && h == 2*migSide:
		return &bgr{halved(pix)}
	}
	return &bgr{bilinear(pix, w, h)}
}

func halved(pix []uint8) []uint8 {
	out, row := make([]uint8, 3*migSide*migSide), 3*2*migSide
	for i := range out {
		y, x, c := i/(3*migSide), i%(3*migSide)/3, i%3
		at := 2*y*row + 6*x + c
		out[i] = uint8((int(pix[at]) + int(pix[at+3]) + int(pix[at+row]) + int(pix[at+row+3]) + 2) >> 2)
	}
	return out
}

// A tap is two neighbours and their weights, in parts of 2048.
type tap struct{ at, next, a, b int }

// taps returns the neighbours of each of to pixels among from. Beyond an edge, the edge counts once across, and
// twice, in parts, down: rounding tells the two apart.
func taps(from, to int, down bool) []tap {
	out := make([]tap, to)
	scale := float64(from) / float64(to)
	for i := range out {
		f := float32((float64(i)+0.5)*scale - 0.5)
		at := int(math.Floor(float64(f)))
		f -= float32(at)
		if !down && (at < 0 || at >= from-1) {
			at, f = min(max(at, 0), from-1), 0
		}
		out[i] = tap{max(at, 0), min(at+1, from-1), round((1 - f) * 2048), round(f * 2048)}
	}
	return out
}

func round(v float32) int { return int(math.RoundToEven(float64(v))) }

func bilinear(pix []uint8, w, h int) []uint8 {
	out := make([]uint8, 3*migSide*migSide)
	across, down := taps(w, migSide, false), taps(h, migSide, true)
	for y, v := range down {
		for x, u := range across {
			for c := range 3 {
				row := func(y int) int {
					return int(pix[3*(y*w+u.at)+c])*u.a + int(pix[3*(y*w+u.next)+c])*u.b
				}
				sum := (v.a*(row(v.at)>>4))>>16 + (v.b*(row(v.next)>>4))>>16
				out[3*(y*migSide+x)+c] = uint8((sum + 2) >> 2)
			}
		}
	}
	return out
}

// share returns the share of a mask's pixels whose colour is in one of the ranges; 0 of an empty mask.
func (p *bgr) share(mask *image.Alpha, ranges []hsvRange) float32 {
	in, all := 0, 0
	for i, on := range mask.Pix {
		if on == 0 {
			continue
		}
		all++
		hsv := hsvOf(p.pix[3*i], p.pix[3*i+1], p.pix[3*i+2])
		for _, r := range ranges {
			if r.holds(hsv) {
				in++
				break
			}
		}
	}
	if all == 0 {
		return 0
	}
	return float32(in) / float32(all)
}

// hsvParts are the divisors of OpenCV's fixed point, 1/v and 1/(6·v) of 4096 parts.
var hsvParts = func() (t struct{ s, h [256]int }) {
	for i := 1; i < 256; i++ {
		t.s[i] = int(math.RoundToEven(float64(255<<12) / float64(i)))
		t.h[i] = int(math.RoundToEven(float64(180<<12) / (6 * float64(i))))
	}
	return t
}()

// hsvOf returns OpenCV's hue in half degrees, saturation and value.
func hsvOf(r8, g8, b8 uint8) [3]uint8 {
	r, g, b := int(r8), int(g8), int(b8)
	v, least := max(r, g, b), min(r, g, b)
	d := v - least
	s := (d*hsvParts.s[v] + 1<<11) >> 12
	h := 0
	switch v {
	case r:
		h = g - b
	case g:
		h = b - r + 2*d
	default:
		h = r - g + 4*d
	}
	h = (h*hsvParts.h[d] + 1<<11) >> 12
	if h < 0 {
		h += 180
	}
	return [3]uint8{uint8(h), uint8(s), uint8(v)}
}
