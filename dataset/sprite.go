package dataset

import (
	"fmt"
	"image"
	"math"
)

// maxSprite is the longest side of a sprite.
const maxSprite = 4096

// A sprite is an object cut out of its picture, at full size and halved again
// and again.
type sprite struct {
	levels []level
	hull   [][2]int32 // the outline's leftmost and rightmost pixels of each row, as corners, in full-size pixels
}

// A level holds premultiplied RGBA, four bytes a pixel, row by row. A pixel of
// level k covers 2^k × 2^k pixels of level 0.
type level struct {
	w, h int
	pix  []uint8
}

// newSprite crops img to its visible part and builds the smaller levels.
func newSprite(img image.Image) (*sprite, error) {
	b := img.Bounds()
	if b.Dx() > maxSprite || b.Dy() > maxSprite {
		return nil, fmt.Errorf("%d×%d pixels; at most %d×%d are read", b.Dx(), b.Dy(), maxSprite, maxSprite)
	}
	x0, y0, x1, y1 := b.Max.X, b.Max.Y, b.Min.X, b.Min.Y
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if _, _, _, a := img.At(x, y).RGBA(); a>>8 >= 8 {
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
			}
		}
	}
	if x1-x0 < 4 || y1-y0 < 4 {
		return nil, fmt.Errorf("nothing to see: no 4×4 pixels are opaque")
	}
	l := level{w: x1 - x0, h: y1 - y0}
	l.pix = make([]uint8, 4*l.w*l.h)
	for y := range l.h {
		for x := range l.w {
			r, g, b, a := img.At(x0+x, y0+y).RGBA()
			copy(l.pix[4*(y*l.w+x):], []uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)})
		}
	}
	s := &sprite{levels: []level{l}}
	for y := range l.h {
		first, last := -1, -1
		for x := range l.w {
			if l.pix[4*(y*l.w+x)+3] >= 128 {
				if first < 0 {
					first = x
				}
				last = x + 1
			}
		}
		if first >= 0 {
			for _, x := range []int{first, last} {
				s.hull = append(s.hull, [2]int32{int32(x), int32(y)}, [2]int32{int32(x), int32(y + 1)})
			}
		}
	}
	if len(s.hull) == 0 {
		return nil, fmt.Errorf("nothing to see: no pixel is more than half opaque")
	}
	for l.w > 8 && l.h > 8 {
		l = l.half()
		s.levels = append(s.levels, l)
	}
	return s, nil
}

// half returns l with every 2×2 pixels averaged.
func (l level) half() level {
	h := level{w: (l.w + 1) / 2, h: (l.h + 1) / 2}
	h.pix = make([]uint8, 4*h.w*h.h)
	for y := range h.h {
		for x := range h.w {
			for c := range 4 {
				sum := 2
				for _, p := range [4][2]int{{2 * x, 2 * y}, {2*x + 1, 2 * y}, {2 * x, 2*y + 1}, {2*x + 1, 2*y + 1}} {
					if p[0] < l.w && p[1] < l.h {
						sum += int(l.pix[4*(p[1]*l.w+p[0])+c])
					}
				}
				h.pix[4*(y*h.w+x)+c] = uint8(sum / 4)
			}
		}
	}
	return h
}

// one is 1 in the fixed-point numbers of this package.
const one = 1 << 16

// sines holds one·sin of every whole degree. Rounding removes the last bits, in which
// processors differ.
var sines = func() (t [360]int) {
	for d := range t {
		t[d] = int(math.Round(one * math.Sin(float64(d)*math.Pi/180)))
	}
	return t
}()

// A pose turns an object before it goes into its box: mirrored first, then rotated
// clockwise by whole degrees.
type pose struct {
	mirror bool
	turn   int
}

// axes returns the columns of the matrix from sprite to picture directions.
func (p pose) axes() (ux, uy, vx, vy int) {
	d := ((p.turn % 360) + 360) % 360
	sin, cos := sines[d], sines[(d+90)%360]
	ux, uy, vx, vy = cos, sin, -sin, cos
	if p.mirror {
		ux, uy = -ux, -uy
	}
	return
}

// extent returns the box of the posed sprite's outline, in one-ths of full-size pixels,
// relative to the sprite's corner.
func (s *sprite) extent(p pose) (x0, y0, x1, y1 int) {
	ux, uy, vx, vy := p.axes()
	x0, y0, x1, y1 = math.MaxInt, math.MaxInt, math.MinInt, math.MinInt
	for _, q := range s.hull {
		x := int(q[0])*ux + int(q[1])*vx
		y := int(q[0])*uy + int(q[1])*vy
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
	}
	return
}

// A cutout is a sprite drawn at some size: premultiplied RGBA with its corner
// at (x, y) of the picture.
type cutout struct {
	x, y, w, h int
	pix        []uint8
}

// draw renders the posed sprite so that its outline fills as much as it can of
// the box, centred there, keeping its proportions. Sizes are in pixels·one.
func (s *sprite) draw(p pose, bx0, by0, bx1, by1 int) cutout {
	ex0, ey0, ex1, ey1 := s.extent(p)
	ew, eh := ex1-ex0, ey1-ey0
	bw, bh := max(bx1-bx0, one), max(by1-by0, one)
	// step is sprite pixels per picture pixel, ·one.
	step := int(max(int64(ew)*one/int64(bw), int64(eh)*one/int64(bh), 1))

	w, h := int(int64(ew)*one/int64(step)), int(int64(eh)*one/int64(step))
	cx, cy := (bx0+bx1)/2, (by0+by1)/2
	// A pixel of margin on each side keeps the soft edge.
	px0, py0 := (cx-w/2)>>16-1, (cy-h/2)>>16-1
	px1, py1 := (cx+w/2)>>16+2, (cy+h/2)>>16+2
	c := cutout{x: px0, y: py0, w: px1 - px0, h: py1 - py0}
	c.pix = make([]uint8, 4*c.w*c.h)

	k := 0
	for k+1 < len(s.levels) && step>>k >= one*14/5 {
		k++
	}
	l := s.levels[k]

	ux, uy, vx, vy := p.axes()
	// The inverse of an orthogonal matrix is its transpose.
	mul := func(a, b int) int { return int(int64(a) * int64(b) >> 16) }
	ax, ay := mul(ux, step)>>k, mul(vx, step)>>k // what one pixel to the right is on level k
	dx, dy := mul(uy, step)>>k, mul(vy, step)>>k // what one pixel down is
	ecx, ecy := (ex0+ex1)/2, (ey0+ey1)/2
	ou, ov := (mul(ecx, ux)+mul(ecy, uy))>>k, (mul(ecx, vx)+mul(ecy, vy))>>k

	// Four samples a pixel, each interpolated between four texels.
	const q = one / 4
	var taps [4][2]int
	for i, o := range [4][2]int{{-q, -q}, {q, -q}, {-q, q}, {q, q}} {
		taps[i] = [2]int{mul(o[0], ax) + mul(o[1], dx), mul(o[0], ay) + mul(o[1], dy)}
	}
	for y := range c.h {
		ry := (py0+y)*one + one/2 - cy
		for x := range c.w {
			rx := (px0+x)*one + one/2 - cx
			u := ou + mul(rx, ax) + mul(ry, dx) - one/2
			v := ov + mul(rx, ay) + mul(ry, dy) - one/2
			var sum [4]uint32
			for _, t := range taps {
				l.add(&sum, u+t[0], v+t[1])
			}
			o := c.pix[4*(y*c.w+x):]
			for i := range 4 {
				o[i] = uint8((sum[i] + 1<<17) >> 18)
			}
		}
	}
	return c
}

// add adds a sample at (u, v), in pixels·one: the mean of the four texels around it, by
// their shares of 256×256. Texels outside the level are transparent.
func (l *level) add(sum *[4]uint32, u, v int) {
	iu, iv := u>>16, v>>16
	if iu < -1 || iv < -1 || iu >= l.w || iv >= l.h {
		return
	}
	fu, fv := uint32(u>>8&255), uint32(v>>8&255)
	for j := range 2 {
		yy, wy := iv+j, 256-fv
		if j == 1 {
			wy = fv
		}
		if wy == 0 || yy < 0 || yy >= l.h {
			continue
		}
		if iu >= 0 {
			l.texel(sum, iu, yy, wy*(256-fu))
		}
		if iu+1 < l.w {
			l.texel(sum, iu+1, yy, wy*fu)
		}
	}
}

func (l *level) texel(sum *[4]uint32, x, y int, share uint32) {
	t := l.pix[4*(y*l.w+x):]
	sum[0] += share * uint32(t[0])
	sum[1] += share * uint32(t[1])
	sum[2] += share * uint32(t[2])
	sum[3] += share * uint32(t[3])
}

// turnHue turns the colours around the colour wheel by a multiple of 60 degrees. The
// largest and the smallest of a pixel's channels stay, and with them its lightness and
// saturation (of HSL); gray stays gray. By 180 degrees, each channel takes the other side
// between the two; by 120, the channels change places: no rounding.
func (c *cutout) turnHue(degrees int) {
	sixths := (degrees/60%6 + 6) % 6
	if sixths == 0 {
		return
	}
	for k := 0; k < len(c.pix); k += 4 {
		p := c.pix[k : k+3]
		r, g, b := p[0], p[1], p[2]
		sum := max(r, g, b) + min(r, g, b) // modulo 256, and so are the differences
		turns := sixths / 2                // of 120 degrees
		if sixths%2 == 1 {
			r, g, b = sum-r, sum-g, sum-b // by 180 degrees; what is missing is a multiple of 120
			turns = (sixths + 3) / 2 % 3
		}
		switch turns {
		case 1:
			r, g, b = b, r, g
		case 2:
			r, g, b = g, b, r
		}
		p[0], p[1], p[2] = r, g, b
	}
}

// solid returns the box of the pixels that are at least half opaque and on the
// canvas, half-open, in picture pixels.
func (c *cutout) solid(canvas image.Rectangle) image.Rectangle {
	r := image.Rectangle{Min: image.Pt(math.MaxInt32, math.MaxInt32)}
	for y := range c.h {
		for x := range c.w {
			if c.pix[4*(y*c.w+x)+3] >= 128 && image.Pt(c.x+x, c.y+y).In(canvas) {
				r.Min.X, r.Min.Y = min(r.Min.X, c.x+x), min(r.Min.Y, c.y+y)
				r.Max.X, r.Max.Y = max(r.Max.X, c.x+x+1), max(r.Max.Y, c.y+y+1)
			}
		}
	}
	if r.Max.X == 0 && r.Max.Y == 0 {
		return image.Rectangle{}
	}
	return r
}

// over lays the cutout on img, whose pixels are opaque, and turns on the solid
// pixels of mask.
func (c *cutout) over(img *image.NRGBA, mask *image.Gray) {
	b := img.Bounds()
	for y := max(0, -c.y); y < min(c.h, b.Dy()-c.y); y++ {
		for x := max(0, -c.x); x < min(c.w, b.Dx()-c.x); x++ {
			s := c.pix[4*(y*c.w+x):]
			if s[3] == 0 {
				continue
			}
			d := img.Pix[img.PixOffset(c.x+x, c.y+y):]
			for i := range 3 {
				d[i] = uint8(min(255, int(s[i])+div255(int(d[i])*(255-int(s[3])))))
			}
			if s[3] >= 128 {
				mask.Pix[mask.PixOffset(c.x+x, c.y+y)] = 255
			}
		}
	}
}

// shadow darkens img where the cutout stands: a soft ellipse below the lowest
// tenth of it, as wide as that part.
func (c *cutout) shadow(img *image.NRGBA, box image.Rectangle) {
	foot := max(1, box.Dy()/10)
	x0, x1 := box.Max.X, box.Min.X
	for y := box.Max.Y - foot; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			if c.pix[4*((y-c.y)*c.w+x-c.x)+3] >= 128 {
				x0, x1 = min(x0, x), max(x1, x+1)
			}
		}
	}
	if x0 >= x1 {
		return
	}
	// Twice the coordinates, so that centres of pixels are whole numbers.
	cx, cy := x0+x1, 2*box.Max.Y-max(1, box.Dy()/24)
	rx := (x1-x0)*23/20 + max(2, box.Dx()/6)
	ry := max(4, box.Dy()/7, (x1-x0)/7)
	b := img.Bounds()
	for y := max(0, (cy-ry)/2); y < min(b.Dy(), (cy+ry)/2+1); y++ {
		for x := max(0, (cx-rx)/2); x < min(b.Dx(), (cx+rx)/2+1); x++ {
			dx, dy := 2*x+1-cx, 2*y+1-cy
			d := one - int(int64(dx)*int64(dx)*one/int64(rx*rx)) - int(int64(dy)*int64(dy)*one/int64(ry*ry))
			if d <= 0 {
				continue
			}
			// The square makes the rim soft; 105 of 255 is as dark as it gets.
			keep := 255 - int(int64(d)*int64(d)>>16)*105>>16
			p := img.Pix[img.PixOffset(x, y):]
			for i := range 3 {
				p[i] = uint8(div255(int(p[i]) * keep))
			}
		}
	}
}

// div255 returns x/255 rounded, for 0 ≤ x ≤ 255².
func div255(x int) int { return (x + 128 + (x+128)>>8) >> 8 }
