package measure

import (
	"cmp"
	"image"
	"math"
	"slices"

	"github.com/eligen/eligen"
)

// PSNR returns the peak signal-to-noise ratio of two pictures of one size, in dB, and
// 100 where they are equal: a number that conditions can be written about.
func PSNR(a, b *image.NRGBA) float64 {
	var sum, n float64
	for i := range a.Pix {
		if i%4 == 3 {
			continue
		}
		d := float64(a.Pix[i]) - float64(b.Pix[i])
		sum, n = sum+d*d, n+1
	}
	if sum == 0 {
		return Equal
	}
	return min(Equal, 10*math.Log10(255*255*n/sum))
}

// Equal is the PSNR of equal pictures, and the largest of all.
const Equal = 100

// Locality returns how much of the change between two pictures, which differ in the
// prompt of region k alone, is in that region: d_in/(d_in+d_out), d the mean
// absolute change of a pixel inside region k and outside all regions. It is
// false where nothing changed, or there is no such pixel.
func Locality(a, b *image.NRGBA, regions []eligen.Region, k int) (float64, bool) {
	size := eligen.Size{W: a.Rect.Dx(), H: a.Rect.Dy()}
	in := regions[k].Mask(size)
	any := make([]bool, len(in))
	for _, r := range regions {
		for i, on := range r.Mask(size) {
			any[i] = any[i] || on
		}
	}
	var dIn, dOut, nIn, nOut float64
	for i := range in {
		d := 0.0
		for c := range 3 {
			d += math.Abs(float64(a.Pix[4*i+c]) - float64(b.Pix[4*i+c]))
		}
		switch {
		case in[i]:
			dIn, nIn = dIn+d, nIn+1
		case !any[i]:
			dOut, nOut = dOut+d, nOut+1
		}
	}
	if nIn == 0 || nOut == 0 {
		return 0, false
	}
	dIn, dOut = dIn/nIn, dOut/nOut
	if dIn+dOut == 0 {
		return 0, false
	}
	return dIn / (dIn + dOut), true
}

// Placement is, for each asked box, the IoU of the box around what is drawn
// near it with the asked box.
//
// What is drawn are the pixels that differ from the background, a smooth
// surface fitted to the pixels outside all asked boxes. They fall into
// connected parts, and a part into pieces, each pixel going to the nearest box:
// two neighbours that touch are still two. A piece counts, whole, if at least
// half of it is within its box grown by half its size. A picture that puts the
// object elsewhere, or nowhere, gets 0.
func Placement(img *image.NRGBA, boxes []image.Rectangle) []float64 {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	off := background(img, boxes)
	nearest := territories(boxes, w, h)
	out := make([]float64, len(boxes))
	found := make([]image.Rectangle, len(boxes))
	for _, part := range components(off, w, h) {
		if len(part) < w*h/1000 {
			continue
		}
		for i, b := range boxes {
			grown := image.Rect(b.Min.X-b.Dx()/4, b.Min.Y-b.Dy()/4, b.Max.X+b.Dx()/4, b.Max.Y+b.Dy()/4)
			var around image.Rectangle
			size, near := 0, 0
			for _, p := range part {
				if nearest[p] != i {
					continue
				}
				size++
				around = around.Union(image.Rect(p%w, p/w, p%w+1, p/w+1))
				if image.Pt(p%w, p/w).In(grown) {
					near++
				}
			}
			if size > 0 && 2*near >= size {
				found[i] = found[i].Union(around)
			}
		}
	}
	for i, b := range boxes {
		out[i] = iou(found[i], b)
	}
	return out
}

// territories is, for every pixel, the nearest box, and of equally near ones, as
// where they overlap, the one whose centre is nearer by its own measure.
func territories(boxes []image.Rectangle, w, h int) []int {
	out := make([]int, w*h)
	for p := range out {
		x, y := p%w, p/w
		var best, bestInside float64
		for i, b := range boxes {
			dx, dy := float64(max(b.Min.X-x, x-b.Max.X+1, 0)), float64(max(b.Min.Y-y, y-b.Max.Y+1, 0))
			d := math.Hypot(dx, dy)
			inside := max(math.Abs(float64(2*x+1-b.Min.X-b.Max.X))/float64(b.Dx()),
				math.Abs(float64(2*y+1-b.Min.Y-b.Max.Y))/float64(b.Dy()))
			if i == 0 || d < best || d == best && inside < bestInside {
				out[p], best, bestInside = i, d, inside
			}
		}
	}
	return out
}

func iou(a, b image.Rectangle) float64 {
	area := func(r image.Rectangle) float64 { return float64(r.Dx() * r.Dy()) }
	in := area(a.Intersect(b))
	if all := area(a) + area(b) - in; all > 0 {
		return in / all
	}
	return 0
}

// threshold is how far, summed over the channels in 0…255 steps, a pixel must
// be from the fitted background to count as drawn.
const threshold = 72

// background says for each pixel whether it differs from the smooth surface
// fitted to what is outside the boxes: a cubic in y and a quadratic in x for
// each channel, by least squares, once more without the worst fifth.
func background(img *image.NRGBA, boxes []image.Rectangle) []bool {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	basis := func(x, y int) [7]float64 {
		u, v := 2*float64(x)/float64(w)-1, 2*float64(y)/float64(h)-1
		return [7]float64{1, u, v, u * v, u * u, v * v, v * v * v}
	}
	var free []int
	for y := 0; y < h; y += 2 {
		for x := 0; x < w; x += 2 {
			if !slices.ContainsFunc(boxes, func(b image.Rectangle) bool { return image.Pt(x, y).In(b.Inset(-2)) }) {
				free = append(free, y*w+x)
			}
		}
	}
	value := func(c [7]float64, b [7]float64) (s float64) {
		for i := range c {
			s += c[i] * b[i]
		}
		return s
	}
	var fit [3][7]float64
	distance := func(p int) (d float64) {
		b := basis(p%w, p/w)
		for c := range fit {
			d += math.Abs(float64(img.Pix[4*p+c]) - value(fit[c], b))
		}
		return d
	}
	for range 3 {
		for c := range fit {
			var ata [7][8]float64
			for _, p := range free {
				b := basis(p%w, p/w)
				for i := range b {
					for j := range b {
						ata[i][j] += b[i] * b[j]
					}
					ata[i][7] += b[i] * float64(img.Pix[4*p+c])
				}
			}
			for i := range 7 {
				ata[i][i] += 1e-3 // few free pixels must not make it singular
			}
			fit[c] = solve(ata)
		}
		slices.SortFunc(free, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
		free = free[:len(free)*4/5]
	}
	off := make([]bool, w*h)
	for p := range off {
		off[p] = distance(p) > threshold
	}
	return off
}

// solve solves linear equations by Gaussian elimination with pivoting.
func solve(a [7][8]float64) (x [7]float64) {
	for i := range 7 {
		k := i
		for j := i + 1; j < 7; j++ {
			if math.Abs(a[j][i]) > math.Abs(a[k][i]) {
				k = j
			}
		}
		a[i], a[k] = a[k], a[i]
		if a[i][i] == 0 {
			continue
		}
		for j := i + 1; j < 7; j++ {
			f := a[j][i] / a[i][i]
			for c := i; c < 8; c++ {
				a[j][c] -= f * a[i][c]
			}
		}
	}
	for i := 6; i >= 0; i-- {
		s := a[i][7]
		for j := i + 1; j < 7; j++ {
			s -= a[i][j] * x[j]
		}
		if a[i][i] != 0 {
			x[i] = s / a[i][i]
		}
	}
	return x
}

// components returns the 4-connected components of the pixels that are on.
func components(on []bool, w, h int) [][]int {
	seen := make([]bool, len(on))
	var out [][]int
	for start := range on {
		if !on[start] || seen[start] {
			continue
		}
		part := []int{start}
		seen[start] = true
		for k := 0; k < len(part); k++ {
			p := part[k]
			x, y := p%w, p/w
			for _, q := range [4][2]int{{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}} {
				if q[0] < 0 || q[1] < 0 || q[0] >= w || q[1] >= h {
					continue
				}
				if i := q[1]*w + q[0]; on[i] && !seen[i] {
					seen[i] = true
					part = append(part, i)
				}
			}
		}
		out = append(out, part)
	}
	return out
}
