package clip

import (
	"cmp"
	"image"
	"slices"
)

// maxColours is how many colours a palette has; one of GIF's 256 means "as before".
const maxColours = 255

type rgb [3]uint8

func (a rgb) distance(b rgb) int {
	d := 0
	for k := range a {
		n := int(a[k]) - int(b[k])
		d += n * n
	}
	return d
}

// A histogram counts a clip's colours: each, as long as a palette can hold them all,
// and in cubes of 8×8×8.
type histogram struct {
	few   map[rgb]bool // nil once there are more than a palette holds
	cubes []cube
}

// A cube is the colours in a cube: how many, their sums and sums of squares.
type cube struct {
	n        int64
	sum, sqr [3]int64
}

func (c *cube) mean() rgb {
	var m rgb
	for k, s := range c.sum {
		m[k] = uint8((s + c.n/2) / c.n)
	}
	return m
}

func newHistogram() *histogram {
	return &histogram{few: map[rgb]bool{}, cubes: make([]cube, 1<<15)}
}

func (h *histogram) add(img *image.NRGBA) {
	var last rgb
	for i := 0; i < len(img.Pix); i += 4 {
		p := rgb(img.Pix[i:])
		c := &h.cubes[int(p[0]>>3)<<10|int(p[1]>>3)<<5|int(p[2]>>3)]
		c.n++
		for k, v := range p {
			c.sum[k] += int64(v)
			c.sqr[k] += int64(v) * int64(v)
		}
		if h.few != nil && (p != last || i == 0) {
			if h.few[p] = true; len(h.few) > maxColours {
				h.few = nil
			}
		}
		last = p
	}
}

// palette returns the colours themselves if they are few. Otherwise the cubes are cut in
// two where they spread most, until there are enough groups, and the groups' means
// are moved to where they are nearest to most. It computes in integers, and in
// floats that no processor rounds in another way, so that a clip has one palette
// everywhere.
func (h *histogram) palette() *palette {
	p := &palette{index: make([]uint8, 1<<24)}
	if h.few != nil {
		p.exact = true
		for c := range h.few {
			p.colours = append(p.colours, c)
		}
		slices.SortFunc(p.colours, func(a, b rgb) int { return slices.Compare(a[:], b[:]) })
		return p
	}
	used := slices.DeleteFunc(h.cubes, func(c cube) bool { return c.n == 0 })
	groups := []group{newGroup(used)}
	for len(groups) < maxColours {
		widest := 0
		for i, g := range groups {
			if g.spread > groups[widest].spread {
				widest = i
			}
		}
		g := groups[widest]
		if len(g.cubes) < 2 || g.spread == 0 {
			break
		}
		a, b := g.cut()
		groups[widest] = a
		groups = append(groups, b)
	}
	for _, g := range groups {
		p.colours = append(p.colours, g.all.mean())
	}
	for range 4 {
		nearer := make([]cube, len(p.colours))
		for _, c := range used {
			to := &nearer[p.nearest(c.mean())]
			to.n += c.n
			for k := range c.sum {
				to.sum[k] += c.sum[k]
			}
		}
		for i, c := range nearer {
			if c.n > 0 {
				p.colours[i] = c.mean()
			}
		}
	}
	return p
}

// A group is cubes that will share a colour, or be cut.
type group struct {
	cubes  []cube
	all    cube
	axis   int     // along which they spread most
	spread float64 // sum of squared distances from the mean, along axis
}

func newGroup(cubes []cube) group {
	g := group{cubes: cubes}
	for _, c := range cubes {
		g.all.n += c.n
		for k := range c.sum {
			g.all.sum[k] += c.sum[k]
			g.all.sqr[k] += c.sqr[k]
		}
	}
	for k, s := range g.all.sum {
		// The conversion keeps a processor from fusing the operations.
		square := float64(float64(s)*float64(s)) / float64(g.all.n)
		if spread := float64(g.all.sqr[k]) - square; spread > g.spread {
			g.axis, g.spread = k, spread
		}
	}
	return g
}

// cut divides a group of at least two at its mean.
func (g group) cut() (a, b group) {
	k := g.axis
	slices.SortStableFunc(g.cubes, func(a, b cube) int { return cmp.Compare(a.mean()[k], b.mean()[k]) })
	middle := g.all.mean()[k]
	at := 1
	for at < len(g.cubes)-1 && g.cubes[at].mean()[k] <= middle {
		at++
	}
	return newGroup(g.cubes[:at:at]), newGroup(g.cubes[at:])
}

// A palette is the colours of a clip.
type palette struct {
	colours []rgb
	exact   bool    // they are all that the clip has
	index   []uint8 // of the colour nearest to each, plus 1; 0 is not known yet
}

func (p *palette) nearest(c rgb) int {
	best, at := 1<<30, 0
	for i, q := range p.colours {
		if d := c.distance(q); d < best {
			best, at = d, i
		}
	}
	return at
}

// of returns what nearest does, remembered.
func (p *palette) of(c rgb) uint8 {
	i := &p.index[int(c[0])<<16|int(c[1])<<8|int(c[2])]
	if *i == 0 {
		*i = uint8(p.nearest(c) + 1)
	}
	return *i - 1
}

// Dithers of a GIF.
const (
	None           = "none"
	FloydSteinberg = "floyd-steinberg"
	Ordered        = "ordered"
)

// bayer says in what order an 8×8 square's pixels are lit, from 0 to 63.
var bayer = func() (m [8][8]int) {
	for y := range 8 {
		for x := range 8 {
			for bit := range 3 {
				m[y][x] |= ((x^y)>>bit&1<<1 | y>>bit&1) << (4 - 2*bit)
			}
		}
	}
	return m
}()

// reach is how far an ordered dither moves a colour at most.
const reach = 12

// draw returns a picture in the palette's colours: an index a pixel. What is as it was in
// the frame before, prev and its indices, stays; else a dither would crawl over what
// stands still.
func (p *palette) draw(img *image.NRGBA, dither string, prev *image.NRGBA, was []uint8) []uint8 {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := make([]uint8, w*h)
	if p.exact { // nothing is lost, so there is nothing to spread
		dither = None
	}
	if dither == FloydSteinberg {
		p.diffuse(img, out, prev, was)
		return out
	}
	for i := range out {
		c := rgb(img.Pix[4*i:])
		if dither == Ordered {
			by := (2*bayer[i/w%8][i%w%8] - 63) * reach / 63
			for k, v := range c {
				c[k] = clamp(int(v) + by)
			}
		}
		out[i] = p.of(c)
	}
	return out
}

// diffuse hands what a pixel's colour is off by to those around it that are still
// to come. Every other row goes from right to left, which leaves no trails.
func (p *palette) diffuse(img *image.NRGBA, out []uint8, prev *image.NRGBA, was []uint8) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	now, next := make([][3]int, w+2), make([][3]int, w+2) // sixteenths, a pixel further right
	for y := range h {
		step, x := 1, 0
		if y%2 == 1 {
			step, x = -1, w-1
		}
		for ; x >= 0 && x < w; x += step {
			at := y*w + x
			if prev != nil && rgb(img.Pix[4*at:]) == rgb(prev.Pix[4*at:]) {
				out[at] = was[at]
				continue
			}
			var c rgb
			for k := range c {
				off := now[x+1][k]
				c[k] = clamp(int(img.Pix[4*at+k]) + (off+8)>>4)
			}
			i := p.of(c)
			out[at] = i
			for k := range c {
				off := int(c[k]) - int(p.colours[i][k])
				now[x+1+step][k] += 7 * off
				next[x+1-step][k] += 3 * off
				next[x+1][k] += 5 * off
				next[x+1+step][k] += off
			}
		}
		now, next = next, now
		clear(next)
	}
}

func clamp(v int) uint8 { return uint8(max(0, min(255, v))) }
