package eval

import (
	"context"
	"fmt"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Styled returns a sample's layout as a scene would declare it, with a picture of a style
// or, if nil, without one.
func Styled(s annotated.Sample, picture *eligen.Picture, size eligen.Size, seed uint64) eligen.Render {
	r := Render(s, Mode{Mask: true, Adapter: true}, size, seed)
	if picture != nil {
		r.Adapters = append(r.Adapters, eligen.Adapter{Kind: "ip", Name: "style", Scale: 1, Images: []eligen.Picture{*picture}})
	}
	return r
}

// marks collect the style and the identity of entities, 1 for each that is right.
type marks struct{ style, identity []float64 }

// add classifies the entities of a sample in a picture.
func (m *marks) add(o Options, s annotated.Sample, img *image.NRGBA, requested string) error {
	for _, e := range s.Entities {
		box := pixels(e.Region, img)
		style, _, err := o.StyleOf(img, box)
		if err != nil {
			return err
		}
		class, _, err := o.Classify(img, box)
		if err != nil {
			return err
		}
		m.style = append(m.style, truth(style == requested))
		m.identity = append(m.identity, truth(class == e.Class))
	}
	return nil
}

func (m marks) row(name, goal string) Row {
	return Row{name, []Metric{metric("style", goal, m.style), metric("identity", "", m.identity)}}
}

// styles renders the first layouts without a picture, and with one of each style. It
// measures the share of entities that the classifier of styles finds in the requested
// one, and their identity. Without a picture, every style counts as requested in turn.
func styles(ctx context.Context, o Options, samples []annotated.Sample, tick func()) ([]Row, error) {
	var real, without, with marks
	each := make([]marks, len(o.StyleNames))
	for i := range o.Styles {
		s := samples[i]
		plain, err := o.Draw(ctx, Styled(s, nil, o.Size, uint64(i)))
		if err != nil {
			return nil, fmt.Errorf("layout %d: %w", i, err)
		}
		tick()
		for k, name := range o.StyleNames {
			shown, err := o.InStyle(name, i)
			if err != nil {
				return nil, err
			}
			img, err := inStyleOf(ctx, o, s, shown.Image, i)
			if err != nil {
				return nil, fmt.Errorf("layout %d, style %s: %w", i, name, err)
			}
			for _, a := range []struct {
				to  *marks
				of  annotated.Sample
				img *image.NRGBA
			}{{&real, shown, shown.Image}, {&without, s, plain}, {&with, s, img}, {&each[k], s, img}} {
				if err := a.to.add(o, a.of, a.img, name); err != nil {
					return nil, err
				}
			}
			tick()
		}
	}
	rows := []Row{
		real.row("composed pictures", ""),
		without.row("without a picture", "≤ 0.20"),
		with.row("with a picture", "≥ 0.80"),
	}
	for k, name := range o.StyleNames {
		rows = append(rows, each[k].row("with one in "+name, ""))
	}
	return rows, nil
}

// inStyleOf renders a sample's layout with a picture of a style.
func inStyleOf(ctx context.Context, o Options, s annotated.Sample, shown *image.NRGBA, seed int) (*image.NRGBA, error) {
	picture, err := o.File(shown)
	if err != nil {
		return nil, err
	}
	return o.Draw(ctx, Styled(s, &picture, o.Size, uint64(seed)))
}
