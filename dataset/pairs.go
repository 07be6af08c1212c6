package dataset

import (
	"fmt"
	"image"
	"image/draw"
	"math"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// A Pair is two panels that show the same object in the same colours: from pairs, a model
// learns to carry an object over from one picture to another.
type Pair struct {
	Left   Layout // the object alone, large, on a smooth background
	Right  Layout // an ordinary scene with it
	Object int    // which of the scene's objects it is
}

// Hues are the turns of the colour wheel of pairs, in degrees.
var Hues = [6]int{0, 60, 120, 180, 240, 300}

// The longer side of the object in the left panel, shortest and longest.
var pairSides = [2]int{at(45), at(80)}

// Pair returns pair i. The scene is that of sample i, with three objects at most.
func (c *Composer) Pair(i int) (Pair, error) {
	few := *c
	few.options.MaxObjects = min(3, c.options.MaxObjects)
	right, err := few.Layout(i)
	if err != nil {
		return Pair{}, err
	}
	if len(right.Objects) == 0 {
		return Pair{}, fmt.Errorf("pair %d: the scene has no object", i)
	}
	tag := uint64(tagPairs)
	if c.options.Split == Eval {
		tag = tagEvalPairs
	}
	s := newStream(c.options.Seed, tag, uint64(i))
	p := Pair{Right: right, Object: s.below(len(right.Objects))}
	o := &p.Right.Objects[p.Object]
	o.Hue = Hues[s.below(len(Hues))]
	o.Called = "" // a longer name may say a colour

	class, sp, err := c.sprites.get(o.Class, right.Style)
	if err != nil {
		return Pair{}, err
	}
	p.Left = Layout{Name: right.Name + "-left", Variant: s.Uint64(), Style: right.Style}
	for {
		p.Left.Background = drawBackground(s, true)
		if c.options.Split == Eval || !HeldOut(o.Class, p.Left.Background.Name) {
			break
		}
	}
	alone := Object{Class: o.Class, Hue: o.Hue, Mirror: s.chance(50) && !class.Aim, Turn: s.between(-class.Turn, class.Turn)}
	ex0, ey0, ex1, ey1 := sp.extent(pose{alone.Mirror, alone.Turn})
	short := min(c.options.Size.W, c.options.Size.H)
	cw, ch := c.options.Size.W*one/short, c.options.Size.H*one/short
	b, ok := place(s, ex1-ex0, ey1-ey0, pairSides, cw, ch, 0, false, false, nil)
	if !ok {
		return Pair{}, fmt.Errorf("pair %d: no room for %s in the left panel", i, o.Class)
	}
	alone.Box = [4]float64{float64(b.x0) / float64(cw), float64(b.y0) / float64(ch), float64(b.x1) / float64(cw), float64(b.y1) / float64(ch)}
	p.Left.Objects = []Object{alone}

	prompts, err := c.sprites.prompts(&p.Right)
	if err != nil {
		return Pair{}, err
	}
	mentioned := slices.Clone(prompts)
	mentioned[0], mentioned[p.Object] = mentioned[p.Object], mentioned[0]
	p.Right.Caption = annotated.StylePrefix(right.Style) + panels(prompts[p.Object], plainly(list(mentioned), "", right.Background.Place))
	return p, nil
}

// panels returns the caption of two panels: "left a frog, right a frog and an apple in a
// meadow".
func panels(left, right string) string { return "left " + left + ", right " + right }

// PairSample returns pair i as one picture of two panels; it is an annotated.Samples. Its
// one entity is the object in the right panel. Its Reference is the object in the left one,
// and Before the picture without the entity.
func (c *Composer) PairSample(i int) (annotated.Sample, error) {
	p, err := c.Pair(i)
	if err != nil {
		return annotated.Sample{}, err
	}
	return c.ComposePair(p)
}

// ComposePair draws a pair, 2·W × H pixels for the composer's size W × H.
func (c *Composer) ComposePair(p Pair) (annotated.Sample, error) {
	if p.Object < 0 || p.Object >= len(p.Right.Objects) {
		return annotated.Sample{}, fmt.Errorf("object %d of a scene of %d", p.Object, len(p.Right.Objects))
	}
	left, err := c.Compose(p.Left)
	if err != nil {
		return annotated.Sample{}, err
	}
	if len(left.Entities) != 1 {
		return annotated.Sample{}, fmt.Errorf("the left panel has %d objects; it shows one", len(left.Entities))
	}
	right, err := c.Compose(p.Right)
	if err != nil {
		return annotated.Sample{}, err
	}
	rest := p.Right
	rest.Objects = slices.Delete(slices.Clone(rest.Objects), p.Object, p.Object+1)
	before, err := c.Compose(rest)
	if err != nil {
		return annotated.Sample{}, err
	}
	size := c.options.Size
	out := right
	out.Image, out.Before = beside(left.Image, right.Image), beside(left.Image, before.Image)
	out.Background = panels(left.Entities[0].Prompt, right.Background)
	out.Entities = []annotated.Entity{inPanel(right.Entities[p.Object], size, 1)}
	reference := inPanel(left.Entities[0], size, 0)
	out.Reference = &reference
	return out, nil
}

// beside returns two pictures of one size side by side.
func beside(a, b *image.NRGBA) *image.NRGBA {
	w, h := a.Rect.Dx(), a.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, 2*w, h))
	draw.Draw(out, image.Rect(0, 0, w, h), a, image.Point{}, draw.Src)
	draw.Draw(out, image.Rect(w, 0, 2*w, h), b, image.Point{}, draw.Src)
	return out
}

// inPanel returns an entity of a panel of a size, in the picture of two.
func inPanel(e annotated.Entity, size eligen.Size, panel int) annotated.Entity {
	b := e.Region.Numbers
	px := func(v float64) int { return int(math.Round(v * float64(size.W))) }
	x0, x1 := px(b[0])+panel*size.W, px(b[2])+panel*size.W
	y0, y1 := int(math.Round(b[1]*float64(size.H))), int(math.Round(b[3]*float64(size.H)))
	e.Region = fractions(image.Rect(x0, y0, x1, y1), eligen.Size{W: 2 * size.W, H: size.H})
	mask := image.NewGray(image.Rect(0, 0, 2*size.W, size.H))
	draw.Draw(mask, image.Rect(panel*size.W, 0, (panel+1)*size.W, size.H), e.Mask, image.Point{}, draw.Src)
	e.Mask = mask
	return e
}

// TurnHue returns a picture with its colours turned around the colour wheel by a multiple of
// 60 degrees.
func TurnHue(img *image.NRGBA, degrees int) *image.NRGBA {
	out := image.NewNRGBA(img.Rect)
	draw.Draw(out, out.Rect, img, img.Rect.Min, draw.Src)
	c := cutout{pix: out.Pix}
	c.turnHue(degrees)
	return out
}
