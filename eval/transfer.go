package eval

import (
	"context"
	"fmt"
	"image"
	"math"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Transfers are the rows of the table of transfers: EliGen's LoRA alone, and with the
// in-context LoRA.
var Transfers = []string{"without in-context", "with in-context"}

// leastChroma is how far from gray the mean of an object must be for its hue to say
// anything, in levels of 255.
const leastChroma = 24

// Transfer returns a pair of panels as a scene would ask for it: what its left panel shows
// is painted into the right one, which from and to are.
func Transfer(s annotated.Sample, from, to eligen.Picture, size eligen.Size, seed uint64, inContext bool) eligen.Render {
	e := s.Entities[0]
	b := e.Region.Numbers
	r := eligen.Render{
		Name: s.Name, Address: "render." + s.Name, Prompt: s.Prompt, Size: size, Seed: seed, Model: eligen.Model{Family: "nano"},
		Adapters: []eligen.Adapter{{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"}},
		Entities: []eligen.Entity{{Name: "object", Address: "entity.object", Prompt: e.Prompt, Strength: 1,
			Region: eligen.Box(2*b[0]-1, b[1], 2*b[2]-1, b[3]).Round()}},
		Transfer: &eligen.Transfer{From: from, To: to},
	}
	if inContext {
		r.Adapters = append(r.Adapters, eligen.Adapter{Kind: "lora", Name: "in-context", Path: eligen.InContext, Scale: 1, Alpha: "file"})
	}
	return r
}

// transfer renders held-out pairs without and with the in-context LoRA. An object's hue
// matches where, of the six turns of the source's mean colour, the source's own is the
// nearest to that of the result; its class where the judge, who knows objects in their
// own colours, says so of it as it is or with its colours turned back.
func transfer(ctx context.Context, o Options, tick func()) ([]Row, error) {
	type marks struct{ class, hue []float64 }
	all := make([]marks, 1+len(Transfers))
	for i := range o.Transfers {
		s, err := o.Panels(i)
		if err != nil {
			return nil, err
		}
		if len(s.Entities) == 0 || s.Reference == nil || s.Before == nil || len(s.Entities[0].Region.Numbers) != 4 {
			return nil, fmt.Errorf("pair %d is no pair", i)
		}
		e := s.Entities[0]
		source := meanChroma(s.Image, s.Reference.Mask, 0)
		add := func(m *marks, right *image.NRGBA) error {
			box := pixels(e.Region, s.Image).Sub(image.Pt(o.Size.W, 0))
			is := false
			for _, degrees := range []int{0, -e.Hue} {
				class, _, err := o.Classify(o.Turn(right, degrees), box)
				if err != nil {
					return err
				}
				is = is || class == e.Class
			}
			m.class = append(m.class, truth(is))
			if math.Hypot(source[0], source[1]) >= leastChroma {
				m.hue = append(m.hue, truth(sameHue(source, meanChroma(right, e.Mask, o.Size.W))))
			}
			return nil
		}
		if err := add(&all[0], half(s.Image, 1)); err != nil {
			return nil, err
		}
		from, err := o.File(half(s.Before, 0))
		if err != nil {
			return nil, err
		}
		to, err := o.File(half(s.Before, 1))
		if err != nil {
			return nil, err
		}
		for k, name := range Transfers {
			img, err := o.Draw(ctx, Transfer(s, from, to, o.Size, uint64(i), k == 1))
			if err != nil {
				return nil, fmt.Errorf("pair %d, %s: %w", i, name, err)
			}
			if err := add(&all[1+k], img); err != nil {
				return nil, err
			}
			tick()
		}
	}
	var rows []Row
	for k, name := range append([]string{"composed pictures"}, Transfers...) {
		rows = append(rows, Row{name, []Metric{metric("class", "", all[k].class), metric("hue", "", all[k].hue)}})
	}
	return rows, nil
}

// half returns one panel of a picture of two.
func half(img *image.NRGBA, panel int) *image.NRGBA {
	w, h := img.Rect.Dx()/2, img.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		copy(out.Pix[y*out.Stride:(y+1)*out.Stride], img.Pix[img.PixOffset(panel*w, y):])
	}
	return out
}

// meanChroma returns the position on the colour wheel of the mean colour under a mask, in
// levels of 255 from gray. The picture lies at column x of the mask.
func meanChroma(img *image.NRGBA, mask *image.Gray, x int) (v [2]float64) {
	n := 0.0
	for y := range min(img.Rect.Dy(), mask.Rect.Dy()) {
		for c := range min(img.Rect.Dx(), mask.Rect.Dx()-x) {
			if mask.GrayAt(x+c, y).Y == 0 {
				continue
			}
			p := img.Pix[img.PixOffset(c, y):]
			r, g, b := float64(p[0]), float64(p[1]), float64(p[2])
			v[0] += r - (g+b)/2
			v[1] += (g - b) * math.Sqrt(3) / 2
			n++
		}
	}
	if n > 0 {
		v[0], v[1] = v[0]/n, v[1]/n
	}
	return v
}

// sameHue reports whether, of a turned by multiples of 60 degrees, a itself is the
// nearest to b: their angle is less than 30 degrees.
func sameHue(a, b [2]float64) bool {
	return a[0]*b[0]+a[1]*b[1] > math.Cos(math.Pi/6)*math.Hypot(a[0], a[1])*math.Hypot(b[0], b[1])
}
