package dataset

import (
	"fmt"
	"image"
	"slices"
	"strings"
)

type rgb struct{ r, g, b int }

func (c rgb) to(d rgb, t int) rgb { // t of one
	return rgb{c.r + (d.r-c.r)*t/one, c.g + (d.g-c.g)*t/one, c.b + (d.b-c.b)*t/one}
}

// A Background is what lies behind the objects.
type Background struct {
	Name   string // "green", "blue to pink", "meadow"
	Phrase string // "a green background"
	Place  string // "on a green background": where the objects are
	Smooth bool   // colour changes slowly all over: no edges, no texture

	horizon int // of one, from the top: ground begins here; 0 where there is none
	paint   func(p *painter)
}

type colour struct {
	name string
	rgb
}

// The plain colours are a little softer than the names' purest ones, so that
// an object of the same name is still seen.
var colours = []colour{
	{"red", rgb{205, 62, 58}},
	{"orange", rgb{240, 150, 66}},
	{"yellow", rgb{246, 216, 96}},
	{"green", rgb{84, 164, 92}},
	{"blue", rgb{66, 118, 206}},
	{"purple", rgb{132, 86, 180}},
	{"pink", rgb{244, 164, 192}},
	{"brown", rgb{134, 94, 66}},
	{"gray", rgb{150, 152, 156}},
	{"white", rgb{246, 246, 244}},
	{"black", rgb{28, 28, 32}},
	{"teal", rgb{58, 160, 160}},
	{"light blue", rgb{172, 212, 242}},
	{"light green", rgb{182, 224, 170}},
	{"dark blue", rgb{30, 46, 100}},
	{"dark green", rgb{28, 78, 52}},
}

// gradientColours is how many of the colours gradients use, from the first: those with one
// word.
const gradientColours = 12

func plain(c colour) Background {
	b := Background{Name: c.name, Phrase: withArticle(c.name) + " background", Smooth: true}
	b.Place = "on " + b.Phrase
	b.paint = func(p *painter) { p.bands(stop{0, c.rgb}) }
	return b
}

func gradient(top, bottom colour) Background {
	name := top.name + " to " + bottom.name
	b := Background{Name: name, Phrase: withArticle(name) + " background", Smooth: true}
	b.Place = "on " + b.Phrase
	b.paint = func(p *painter) { p.bands(stop{0, top.rgb}, stop{one, bottom.rgb}) }
	return b
}

func scene(name, phrase, place string, horizon int, paint func(p *painter)) Background {
	return Background{Name: name, Phrase: phrase, Place: place, horizon: horizon * one / 100, paint: paint}
}

var scenes = []Background{
	scene("meadow", "a meadow", "in a meadow", 56, func(p *painter) {
		p.bands(stop{0, rgb{104, 178, 236}}, stop{at(56), rgb{206, 232, 248}})
		p.clouds(rgb{255, 255, 255}, 4, at(4), at(34))
		p.hill(at(54), at(3), rgb{150, 204, 112}, rgb{86, 160, 72})
	}),
	scene("hills", "green hills", "in green hills", 58, func(p *painter) {
		p.bands(stop{0, rgb{142, 204, 240}}, stop{at(56), rgb{236, 240, 226}})
		p.clouds(rgb{255, 255, 255}, 2, at(4), at(26))
		p.hill(at(46), at(9), rgb{152, 200, 160}, rgb{120, 180, 132})
		p.hill(at(56), at(7), rgb{118, 186, 108}, rgb{92, 164, 86})
		p.hill(at(68), at(5), rgb{96, 168, 76}, rgb{64, 132, 60})
	}),
	scene("night", "a night sky", "under a night sky", 80, func(p *painter) {
		p.bands(stop{0, rgb{14, 18, 52}}, stop{at(80), rgb{58, 62, 124}})
		p.stars(34, at(74))
		p.hill(at(80), at(4), rgb{26, 36, 62}, rgb{16, 24, 42})
	}),
	scene("sea", "the sea", "on the sea", 46, func(p *painter) {
		p.bands(stop{0, rgb{128, 198, 240}}, stop{at(46), rgb{222, 240, 246}})
		p.clouds(rgb{255, 255, 255}, 3, at(4), at(26))
		p.hill(at(46), 0, rgb{86, 176, 206}, rgb{22, 88, 156})
		p.waves(rgb{150, 214, 230}, 14, at(50), at(98))
	}),
	scene("beach", "a beach", "on a beach", 62, func(p *painter) {
		p.bands(stop{0, rgb{120, 200, 242}}, stop{at(40), rgb{220, 242, 248}})
		p.hill(at(40), 0, rgb{64, 168, 204}, rgb{82, 200, 208})
		p.hill(at(59), at(3), rgb{240, 250, 248}, rgb{240, 250, 248})
		p.hill(at(61), at(3), rgb{244, 222, 172}, rgb{226, 192, 132})
	}),
	scene("desert", "a desert", "in a desert", 58, func(p *painter) {
		p.bands(stop{0, rgb{250, 190, 120}}, stop{at(56), rgb{254, 234, 190}})
		p.hill(at(52), at(8), rgb{226, 164, 102}, rgb{206, 140, 84})
		p.hill(at(62), at(6), rgb{240, 186, 116}, rgb{212, 146, 82})
	}),
	scene("snow", "snow", "in the snow", 58, func(p *painter) {
		p.bands(stop{0, rgb{164, 192, 222}}, stop{at(56), rgb{222, 232, 242}})
		p.hill(at(52), at(7), rgb{214, 226, 240}, rgb{206, 220, 236})
		p.hill(at(62), at(5), rgb{244, 248, 252}, rgb{216, 228, 242})
	}),
	scene("sunset", "a sunset", "at sunset", 72, func(p *painter) {
		p.bands(stop{0, rgb{86, 62, 134}}, stop{at(36), rgb{214, 96, 122}}, stop{at(72), rgb{254, 190, 98}})
		p.clouds(rgb{250, 150, 130}, 4, at(10), at(48))
		p.hill(at(72), at(4), rgb{92, 52, 92}, rgb{58, 34, 72})
	}),
	scene("room", "a room", "in a room", 66, func(p *painter) {
		p.bands(stop{0, rgb{238, 224, 200}}, stop{at(66), rgb{226, 206, 176}})
		p.hill(at(64), 0, rgb{250, 246, 236}, rgb{250, 246, 236})
		p.hill(at(67), 0, rgb{190, 134, 84}, rgb{156, 102, 60})
		p.planks(at(67), rgb{134, 86, 50})
	}),
	scene("water", "water", "under water", 84, func(p *painter) {
		p.bands(stop{0, rgb{120, 214, 226}}, stop{at(50), rgb{40, 146, 196}}, stop{at(90), rgb{18, 84, 150}})
		p.rays(rgb{200, 244, 246})
		p.hill(at(84), at(4), rgb{196, 196, 156}, rgb{150, 158, 140})
	}),
}

func at(percent int) int { return percent * one / 100 }

// Backgrounds lists the plain colours and the scenes; gradients, two colours'
// names with "to" between them, come on top.
func Backgrounds() []Background {
	var out []Background
	for _, c := range colours {
		out = append(out, plain(c))
	}
	return append(out, scenes...)
}

// BackgroundNamed finds a background by its name: a colour ("dark green"), a
// gradient ("blue to pink") or a scene ("meadow").
func BackgroundNamed(name string) (Background, error) {
	if i := slices.IndexFunc(scenes, func(b Background) bool { return b.Name == name }); i >= 0 {
		return scenes[i], nil
	}
	find := func(n string) int { return slices.IndexFunc(colours, func(c colour) bool { return c.name == n }) }
	if i := find(name); i >= 0 {
		return plain(colours[i]), nil
	}
	if a, b, ok := strings.Cut(name, " to "); ok {
		if i, j := find(a), find(b); i >= 0 && j >= 0 && i != j {
			return gradient(colours[i], colours[j]), nil
		}
	}
	var known []string
	for _, b := range Backgrounds() {
		known = append(known, b.Name)
	}
	return Background{}, fmt.Errorf("no background is called %q; there are %s, and two different colours joined by \"to\"", name,
		strings.Join(known, ", "))
}

// drawBackground picks a background: colours, gradients and scenes in
// proportion 2 : 1 : 2, or the first two only.
func drawBackground(s stream, smooth bool) Background {
	kinds := 5
	if smooth {
		kinds = 3
	}
	switch k := s.below(kinds); {
	case k < 2:
		return plain(colours[s.below(len(colours))])
	case k < 3:
		i, j := s.below(gradientColours), s.below(gradientColours-1)
		if j >= i {
			j++
		}
		return gradient(colours[i], colours[j])
	}
	return scenes[s.below(len(scenes))]
}

// A painter paints a background. Vertical places are fractions of the height,
// horizontal ones of the width, and details are measured by the shorter side,
// all in one-ths, so that a background is the same at every size.
type painter struct {
	img  *image.NRGBA
	w, h int
	s    stream
	tint rgb
}

// paintOn fills img with one of the endless variants of b.
func (b Background) paintOn(img *image.NRGBA, variant uint64) {
	p := &painter{img: img, w: img.Rect.Dx(), h: img.Rect.Dy(), s: newStream(variant, tagBackground, 0)}
	p.tint = rgb{p.s.between(-7, 7), p.s.between(-7, 7), p.s.between(-7, 7)}
	b.paint(p)
}

func (p *painter) set(x, y int, c rgb) {
	o := p.img.Pix[p.img.PixOffset(x, y):]
	o[0], o[1], o[2], o[3] = clamp(c.r), clamp(c.g), clamp(c.b), 255
}

// mix lays colour c over the pixel with opacity a of one.
func (p *painter) mix(x, y int, c rgb, a int) {
	o := p.img.Pix[p.img.PixOffset(x, y):]
	for i, v := range [3]int{c.r, c.g, c.b} {
		o[i] = clamp(int(o[i]) + ((v-int(o[i]))*a+one/2)>>16)
	}
}

func clamp(v int) uint8 { return uint8(min(255, max(0, v))) }

func (c rgb) add(d rgb) rgb { return rgb{c.r + d.r, c.g + d.g, c.b + d.b} }

type stop struct {
	at int
	rgb
}

// bands fills the picture with the colours of the stops, blended from one to
// the next from top to bottom.
func (p *painter) bands(stops ...stop) {
	for y := range p.h {
		t := (2*y + 1) * one / (2 * p.h)
		c := stops[len(stops)-1].rgb
		for i, s := range stops {
			if t < s.at {
				c = s.rgb
				if i > 0 {
					c = stops[i-1].to(s.rgb, (t-stops[i-1].at)*one/(s.at-stops[i-1].at))
				}
				break
			}
		}
		c = c.add(p.tint)
		for x := range p.w {
			p.set(x, y, c)
		}
	}
}

// hill fills everything below a gently waving line: near the height top, going
// up and down by swell.
func (p *painter) hill(top, swell int, far, near rgb) {
	phase, period := p.s.below(360), p.s.between(150, 330)
	far, near = far.add(p.tint), near.add(p.tint)
	for x := range p.w {
		deg := phase + period*(2*x+1)/(2*p.w)
		edge := (top + swell*sines[deg%360]/one) * p.h // pixels·one
		for y := max(0, edge>>16-1); y < p.h; y++ {
			cover := min(one, max(0, (y+1)*one-edge))
			t := min(one, max(0, (2*y+1)*one/(2*p.h)-top)*one/max(1, one-top))
			p.mix(x, y, far.to(near, t), cover)
		}
	}
}

// blob lays a soft-edged ellipse; the centre is in pixels·one.
func (p *painter) blob(cx, cy, rx, ry int, c rgb, opacity int) {
	rx, ry = max(rx, one/2), max(ry, one/2)
	for y := max(0, (cy-ry)>>16); y < min(p.h, (cy+ry)>>16+1); y++ {
		ty := int64(y*one+one/2-cy) * one / int64(ry)
		for x := max(0, (cx-rx)>>16); x < min(p.w, (cx+rx)>>16+1); x++ {
			tx := int64(x*one+one/2-cx) * one / int64(rx)
			d := one - int(tx*tx>>16) - int(ty*ty>>16)
			if d > 0 {
				p.mix(x, y, c, int(int64(d)*int64(opacity)>>16))
			}
		}
	}
}

func (p *painter) short() int { return min(p.w, p.h) }

func (p *painter) clouds(c rgb, n, top, bottom int) {
	for range p.s.between(n/2, n) {
		cx, cy := p.s.below(one)*p.w, p.s.between(top, bottom)*p.h
		r := p.s.between(at(7), at(15)) * p.short()
		for range 4 {
			dx := p.s.between(-100, 100) * (r / 100)
			p.blob(cx+dx, cy+p.s.between(-12, 12)*(r/100), r, r*2/5, c, at(55))
		}
	}
}

func (p *painter) stars(n, bottom int) {
	for range n {
		x, y := p.s.below(one)*p.w, p.s.below(bottom)*p.h
		r := p.s.between(at(1)*7/10, at(1)*13/10) * p.short()
		p.blob(x, y, max(r, one), max(r, one), rgb{255, 252, 226}, p.s.between(at(40), at(90)))
	}
}

func (p *painter) waves(c rgb, n, top, bottom int) {
	for range n {
		x, y := p.s.below(one)*p.w, p.s.between(top, bottom)*p.h
		r := p.s.between(at(5), at(12)) * p.short()
		p.blob(x, y, r, r/9, c, at(60))
	}
}

// planks draws the seams of a floor, wider apart the nearer they are.
func (p *painter) planks(top int, c rgb) {
	for _, f := range []int{6, 16, 31, 52, 78} {
		y := (top + (one-top)*f/100) * p.h
		thick := max(p.short()*one/160, one*3/4)
		for row := max(0, y>>16-1); row < min(p.h, (y+thick)>>16+1); row++ {
			cover := min((row+1)*one, y+thick) - max(row*one, y)
			if cover > 0 {
				for x := range p.w {
					p.mix(x, row, c, cover/2)
				}
			}
		}
	}
}

// rays lets light fall from the surface.
func (p *painter) rays(c rgb) {
	for range 3 {
		x0, half := p.s.below(one)*p.w, p.s.between(at(3), at(7))*p.short()
		lean := p.s.between(-40, 40)
		for y := range p.h * 3 / 4 {
			cx := x0 + y*one*lean/100
			wide := half + y*one/6
			fade := at(26) - at(26)*y*4/(3*p.h)
			for x := max(0, (cx-wide)>>16); x < min(p.w, (cx+wide)>>16+1); x++ {
				d := one - int(int64(abs(x*one+one/2-cx))*one/int64(wide))
				if d > 0 {
					p.mix(x, y, c, int(int64(d)*int64(fade)>>16))
				}
			}
		}
	}
}

func abs(x int) int { return max(x, -x) }
