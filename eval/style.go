package eval

import (
	"context"
	"fmt"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Styled is a sample's layout as a scene would ask for it in a style: by a picture
// alone, or, without one, not at all.
func Styled(s annotated.Sample, picture *eligen.Picture, size eligen.Size, seed uint64) eligen.Render {
	r := Render(s, Mode{Mask: true, Adapter: true}, size, seed)
	if picture != nil {
		r.Adapters = append(r.Adapters, eligen.Adapter{Kind: "ip", Name: "style", Scale: 1, Images: []eligen.Picture{*picture}})
	}
	return r
}

// styles renders the first layouts as they are, and by a picture of each style. What
// is measured: the share of entities that a classifier of styles says to be of the
// asked one, and whether they are still what they should be. Without a picture, every
// style counts as asked for in turn.
func styles(ctx context.Context, o Options, samples []annotated.Sample, tick func()) ([]Row, error) {
	type marks struct{ style, identity []float64 }
	judge := func(m *marks, s annotated.Sample, img *image.NRGBA, asked string) error {
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
			m.style = append(m.style, truth(style == asked))
			m.identity = append(m.identity, truth(class == e.Class))
		}
		return nil
	}
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
			if err := judge(&real, shown, shown.Image, name); err != nil {
				return nil, err
			}
			if err := judge(&without, s, plain, name); err != nil {
				return nil, err
			}
			picture, err := o.File(shown.Image)
			if err != nil {
				return nil, err
			}
			img, err := o.Draw(ctx, Styled(s, &picture, o.Size, uint64(i)))
			if err != nil {
				return nil, fmt.Errorf("layout %d, style %s: %w", i, name, err)
			}
			for _, m := range []*marks{&with, &each[k]} {
				if err := judge(m, s, img, name); err != nil {
					return nil, err
				}
			}
			tick()
		}
	}
	row := func(name, goal string, m marks) Row {
		return Row{name, []Metric{metric("style", goal, m.style), metric("identity", "", m.identity)}}
	}
	rows := []Row{row("composed pictures", "", real), row("without a picture", "≤ 0.20", without), row("with a picture", "≥ 0.80", with)}
	for k, name := range o.StyleNames {
		rows = append(rows, row("with one in "+name, "", each[k]))
	}
	return rows, nil
}
