package dataset

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"image"
	"math"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// A Split is the purpose of samples. Eval has its own layouts, and backgrounds with objects
// and phrasings that Train never shows.
type Split string

// The splits.
const (
	Train Split = "train"
	Eval  Split = "eval"
)

// Options say what a Composer composes.
type Options struct {
	Classes    int         // the first so many classes; 0 is all
	Size       eligen.Size // multiples of 16, from 32 to 2048
	Seed       uint64
	Split      Split // "" is Train
	MaxObjects int   // 1 … 4; 0 is 4
	Smooth     bool  // only plain colours and gradients as backgrounds
	// Styles is which share of pictures is drawn in a style, by its name; the rest is Solid.
	Styles map[string]float64
}

// A Composer makes pictures. All methods are safe for concurrent use.
type Composer struct {
	sprites *Sprites
	options Options
	classes []Class
}

// Composer makes a composer of the given options.
func (s *Sprites) Composer(o Options) (*Composer, error) {
	if err := checkSize(o.Size); err != nil {
		return nil, err
	}
	if o.Classes < 0 || o.Classes > len(s.classes) {
		return nil, fmt.Errorf("%d classes asked for; there are %d", o.Classes, len(s.classes))
	}
	if o.Classes == 0 {
		o.Classes = len(s.classes)
	}
	if o.MaxObjects < 0 || o.MaxObjects > 4 {
		return nil, fmt.Errorf("at most %d objects asked for; a picture holds 1 to 4", o.MaxObjects)
	}
	if o.MaxObjects == 0 {
		o.MaxObjects = 4
	}
	switch o.Split {
	case "":
		o.Split = Train
	case Train, Eval:
	default:
		return nil, fmt.Errorf("split %q; it is %q or %q", o.Split, Train, Eval)
	}
	if err := s.checkStyles(o.Styles); err != nil {
		return nil, err
	}
	return &Composer{sprites: s, options: o, classes: s.classes[:o.Classes]}, nil
}

func checkSize(s eligen.Size) error {
	if s.W%16 != 0 || s.H%16 != 0 || s.W < 32 || s.H < 32 || s.W > 2048 || s.H > 2048 {
		return fmt.Errorf("pictures of %d×%d pixels; both sides must be multiples of 16 from 32 to 2048", s.W, s.H)
	}
	return nil
}

// A Layout lists a picture's objects and their boxes, before it is drawn. It is independent
// of the picture's size.
type Layout struct {
	Name       string
	Background Background
	Variant    uint64   // which of the background's variants: clouds, hills, tint
	Objects    []Object // in drawing order
	Style      string   // of the objects; "" is Solid
	Caption    string   // "" lets Compose write one
}

// An Object is a class in a box.
type Object struct {
	Class  string
	Called string     // what captions call it, without article; "" is the class's name
	Box    [4]float64 // x0 y0 x1 y1, fractions of the picture; the object fills what its proportions allow, and is centred
	Mirror bool
	Turn   int // degrees clockwise
	Hue    int // degrees that its colours are turned around the colour wheel by; a multiple of 60
}

// Random streams of one seed that must not run alike.
const (
	tagTrain      = 0x7472
	tagEval       = 0x6576
	tagBackground = 0x6267
	tagCrops      = 0x6372
	tagPairs      = 0x7061
	tagEvalPairs  = 0x7065
)

// HeldOut reports whether training never shows the class on the background.
// About one pair of fourteen is held out.
func HeldOut(class, background string) bool {
	h := fnv.New64a()
	h.Write([]byte(class + "\x00" + background))
	return mix(h.Sum64())%14 == 0
}

// Sides of objects by how many there are: shortest and longest, in fractions
// of the picture's shorter side.
var sides = [4][2]int{{at(26), at(60)}, {at(24), at(54)}, {at(22), at(44)}, {at(22), at(36)}}

// Layout returns the layout of sample i.
func (c *Composer) Layout(i int) (Layout, error) {
	if i < 0 {
		return Layout{}, fmt.Errorf("sample %d; samples are counted from 0", i)
	}
	tag := uint64(tagTrain)
	if c.options.Split == Eval {
		tag = tagEval
	}
	s := newStream(c.options.Seed, tag, uint64(i))
	l := Layout{Name: fmt.Sprintf("%s-%08d", c.options.Split, i), Variant: s.Uint64(), Style: c.style(i)}
	chosen := c.drawClasses(s, &l)

	short := min(c.options.Size.W, c.options.Size.H)
	cw, ch := c.options.Size.W*one/short, c.options.Size.H*one/short
	overlap := s.chance(10)
	var placed []box
	for _, class := range chosen {
		_, sp, err := c.sprites.get(class.Name, l.Style)
		if err != nil {
			return Layout{}, err
		}
		o := c.posed(s, class)
		ex0, ey0, ex1, ey1 := sp.extent(pose{o.Mirror, o.Turn})
		b, ok := place(s, ex1-ex0, ey1-ey0, sides[len(chosen)-1], cw, ch, l.Background.horizon, class.Sky, overlap, placed)
		if !ok {
			continue // a picture with fewer objects is a good picture
		}
		placed = append(placed, b)
		w, h := float64(cw), float64(ch)
		o.Box = [4]float64{float64(b.x0) / w, float64(b.y0) / h, float64(b.x1) / w, float64(b.y1) / h}
		l.Objects = append(l.Objects, o)
	}
	// An object further down is nearer, and drawn over those behind it.
	slices.SortStableFunc(l.Objects, func(a, b Object) int { return cmp.Compare(a.Box[3], b.Box[3]) })
	prompts, err := c.sprites.prompts(&l)
	if err != nil {
		return Layout{}, err
	}
	said, limit := annotated.StylePrefix(l.Style), MaxTokens
	if said != "" {
		limit -= styleTokens
	}
	l.Caption = said + l.caption(s, c.options.Split, prompts, limit)
	return l, nil
}

// posed returns an object of a class, with a name and a pose.
func (c *Composer) posed(s stream, class Class) Object {
	o := Object{Class: class.Name}
	if c.options.Split == Train && len(class.Also) > 0 && s.chance(12) {
		o.Called = class.Also[s.below(len(class.Also))]
	}
	o.Mirror = s.chance(50) && !class.Aim
	o.Turn = s.between(-class.Turn, class.Turn)
	if class.Turn < 180 && s.chance(40) {
		o.Turn = 0
	}
	return o
}

// drawClasses picks the background and one to four different classes for it.
func (c *Composer) drawClasses(s stream, l *Layout) []Class {
	n := 1
	switch k := s.below(100); {
	case k >= 80:
		n = 4
	case k >= 53:
		n = 3
	case k >= 20:
		n = 2
	}
	n = min(n, c.options.MaxObjects)
	novel := c.options.Split == Eval && s.chance(50)
	var allowed, held []Class
	for len(allowed) == 0 {
		l.Background = drawBackground(s, c.options.Smooth)
		held = nil
		for _, k := range c.classes {
			out := HeldOut(k.Name, l.Background.Name)
			if out {
				held = append(held, k)
			}
			if !out || c.options.Split == Eval {
				allowed = append(allowed, k)
			}
		}
	}
	var chosen []Class
	if novel && len(held) > 0 {
		chosen = append(chosen, held[s.below(len(held))])
	}
	for _, k := range s.shuffled(len(allowed)) {
		if len(chosen) == n {
			break
		}
		if !slices.ContainsFunc(chosen, func(o Class) bool { return o.Name == allowed[k].Name }) {
			chosen = append(chosen, allowed[k])
		}
	}
	return chosen
}

// A box in one-ths of the picture's shorter side.
type box struct{ x0, y0, x1, y1 int }

func (b box) area() int64 { return int64(b.x1-b.x0) * int64(b.y1-b.y0) }

func (b box) clear(o box, gap int) bool {
	return b.x1+gap <= o.x0 || o.x1+gap <= b.x0 || b.y1+gap <= o.y0 || o.y1+gap <= b.y0
}

// place looks for room for an object of proportions ew : eh on a canvas of
// cw × ch; ok is false where none was found. With overlap it looks near the
// objects that are there first, and two may share a quarter of the smaller one.
func place(s stream, ew, eh int, side [2]int, cw, ch, horizon int, sky, overlap bool, placed []box) (b box, ok bool) {
	const margin, gap, tries = one / 50, one / 50, 60
	longest := side[1]
	for try := range tries {
		if try%15 == 14 {
			longest -= (longest - side[0]) / 2
		}
		long := s.between(side[0], longest)
		w := int(int64(long) * int64(ew) / int64(max(ew, eh)))
		h := int(int64(long) * int64(eh) / int64(max(ew, eh)))
		top, bottom := margin, ch-margin-h
		if line := int(int64(horizon) * int64(ch) >> 16); line > 0 && s.chance(75) {
			if sky {
				bottom = max(top, line-h*2/3)
			} else {
				top = min(bottom, line+ch/16-h)
			}
		}
		left, right := margin, cw-margin-w
		if overlap && len(placed) > 0 && try < tries/2 {
			o := placed[s.below(len(placed))]
			left, right = max(left, o.x0-w*9/10), min(right, o.x1-w/10)
			top, bottom = max(top, o.y0-h*9/10), min(bottom, o.y1-h/10)
		}
		b.x0 = min(s.between(left, right), cw-margin-w)
		b.y0 = min(s.between(max(margin, top), bottom), ch-margin-h)
		b.x1, b.y1 = b.x0+w, b.y0+h
		ok = true
		for _, o := range placed {
			if b.clear(o, gap) {
				continue
			}
			common := box{max(b.x0, o.x0), max(b.y0, o.y0), min(b.x1, o.x1), min(b.y1, o.y1)}
			if !overlap || common.x1 > common.x0 && common.y1 > common.y0 && common.area()*4 > min(b.area(), o.area()) {
				ok = false
			}
		}
		if ok {
			return b, true
		}
	}
	return b, false
}

// prompts returns the objects' local prompts: "a dog".
func (s *Sprites) prompts(l *Layout) ([]string, error) {
	out := make([]string, len(l.Objects))
	for i, o := range l.Objects {
		k, ok := s.index[o.Class]
		if !ok {
			return nil, fmt.Errorf("object %d: no class is called %q", i, o.Class)
		}
		out[i] = s.classes[k].Prompt()
		if o.Called != "" {
			out[i] = s.classes[k].called(o.Called)
		}
	}
	return out, nil
}

// Sample returns sample i; it is an annotated.Samples. The same i is the same sample at any
// time, in any order, on any 64-bit machine.
func (c *Composer) Sample(i int) (annotated.Sample, error) {
	l, err := c.Layout(i)
	if err != nil {
		return annotated.Sample{}, err
	}
	return c.Compose(l)
}

// Compose draws a layout. An entity's region is the box of its drawing, so it may be
// smaller than the layout's box; its mask is its visible part.
func (c *Composer) Compose(l Layout) (annotated.Sample, error) {
	size := c.options.Size
	if l.Background.paint == nil {
		return annotated.Sample{}, fmt.Errorf("the layout has no background; BackgroundNamed finds one")
	}
	prompts, err := c.sprites.prompts(&l)
	if err != nil {
		return annotated.Sample{}, err
	}
	out := annotated.Sample{
		Name:       l.Name,
		Image:      image.NewNRGBA(image.Rect(0, 0, size.W, size.H)),
		Prompt:     l.Caption,
		Background: annotated.StylePrefix(l.Style) + l.Background.Phrase,
		Style:      cmp.Or(l.Style, Solid),
	}
	if out.Prompt == "" {
		out.Prompt = plainly(list(prompts), "", l.Background.Place)
		if len(prompts) == 0 {
			out.Prompt = l.Background.Phrase
		}
	}
	l.Background.paintOn(out.Image, l.Variant)
	for i, o := range l.Objects {
		solid, mask, err := c.paint(out.Image, l, o)
		if err != nil {
			return annotated.Sample{}, fmt.Errorf("object %d (%s): %w", i, o.Class, err)
		}
		for _, e := range out.Entities {
			for k, v := range mask.Pix {
				if v != 0 {
					e.Mask.Pix[k] = 0
				}
			}
		}
		out.Entities = append(out.Entities, annotated.Entity{
			Class:  o.Class,
			Prompt: prompts[i],
			Hue:    o.Hue,
			Region: fractions(solid, size),
			Mask:   mask,
		})
	}
	return out, nil
}

// paint draws an object of a layout into a picture, with its shadow, and returns the box
// of its outline and its mask.
func (c *Composer) paint(img *image.NRGBA, l Layout, o Object) (solid image.Rectangle, mask *image.Gray, err error) {
	size, b := c.options.Size, o.Box
	if !(b[0] >= 0 && b[1] >= 0 && b[2] <= 1 && b[3] <= 1 && b[0] < b[2] && b[1] < b[3]) {
		return solid, nil, fmt.Errorf("%v is no box; it takes x0 < x1 and y0 < y1 between 0 and 1", b)
	}
	class, sp, err := c.sprites.get(o.Class, l.Style)
	if err != nil {
		return solid, nil, err
	}
	px := func(v float64, side int) int { return int(math.Round(v * float64(side*one))) }
	cut := sp.draw(pose{o.Mirror, o.Turn}, px(b[0], size.W), px(b[1], size.H), px(b[2], size.W), px(b[3], size.H))
	if o.Hue%60 != 0 {
		return solid, nil, fmt.Errorf("colours are turned by multiples of 60 degrees, not by %d", o.Hue)
	}
	cut.turnHue(o.Hue)
	if solid = cut.solid(img.Rect); solid.Empty() {
		return solid, nil, fmt.Errorf("the box %v is too small to draw in", b)
	}
	ground := int(int64(l.Background.horizon) * int64(size.H) >> 16)
	if !class.Sky && solid.Max.Y > ground {
		cut.shadow(img, solid)
	}
	mask = image.NewGray(img.Rect)
	cut.over(img, mask)
	return solid, mask, nil
}

// fractions returns a box of pixels as a region.
func fractions(r image.Rectangle, size eligen.Size) eligen.Region {
	w, h := float64(size.W), float64(size.H)
	return eligen.Box(float64(r.Min.X)/w, float64(r.Min.Y)/h, float64(r.Max.X)/w, float64(r.Max.Y)/h).Round()
}
