package eval

import (
	"context"
	"fmt"
	"image"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// Inpaints are the rows of the table of inpainting: the product's mode, and the
// arithmetic of DiffSynth-Studio 1.1.
var Inpaints = []string{"exact", "reference"}

// Inpainted asks for the entity of a pair of panels in the right one, as it was
// without the entity.
func Inpainted(s annotated.Sample, into eligen.Picture, size eligen.Size, seed uint64, mode string) eligen.Render {
	r := Transfer(s, into, into, size, seed, false)
	r.Transfer = nil
	if _, right, ok := strings.Cut(s.Prompt, ", right "); ok { // what the right panel shows
		r.Prompt = right
	}
	r.Inpaint = &eligen.Inpaint{Image: into, Keeping: eligen.Keeping{Mode: mode}}
	return r
}

// inpaint paints objects into held-out scenes that lack them, and measures their identity
// and the share of the pixels outside their region that changed.
func inpaint(ctx context.Context, o Options, tick func()) ([]Row, error) {
	type marks struct{ identity, changed []float64 }
	all := make([]marks, len(Inpaints))
	for i := range o.Inpaints {
		s, err := o.Panels(i)
		if err != nil {
			return nil, err
		}
		if len(s.Entities) == 0 || s.Before == nil {
			return nil, fmt.Errorf("pair %d is no pair", i)
		}
		before := half(s.Before, 1)
		into, err := o.File(before)
		if err != nil {
			return nil, err
		}
		for k, mode := range Inpaints {
			r := Inpainted(s, into, o.Size, uint64(i), mode)
			img, err := o.Draw(ctx, r)
			if err != nil {
				return nil, fmt.Errorf("pair %d, %s: %w", i, mode, err)
			}
			box := pixels(r.Entities[0].Region, img)
			class, _, err := o.Classify(img, box)
			if err != nil {
				return nil, err
			}
			all[k].identity = append(all[k].identity, truth(class == s.Entities[0].Class))
			all[k].changed = append(all[k].changed, changed(before, img, box))
			tick()
		}
	}
	var rows []Row
	for k, mode := range Inpaints {
		goal := ""
		if mode == "exact" {
			goal = "0"
		}
		rows = append(rows, Row{mode, []Metric{metric("identity", "≥ 0.90", all[k].identity), metric("changed outside", goal, all[k].changed)}})
	}
	return rows, nil
}

// changed returns the share of the pixels outside a box that differ between two pictures of
// one size.
func changed(a, b *image.NRGBA, box image.Rectangle) float64 {
	n, differ := 0, 0
	for y := range min(a.Rect.Dy(), b.Rect.Dy()) {
		for x := range min(a.Rect.Dx(), b.Rect.Dx()) {
			if image.Pt(x, y).In(box) {
				continue
			}
			n++
			if a.NRGBAAt(a.Rect.Min.X+x, a.Rect.Min.Y+y) != b.NRGBAAt(b.Rect.Min.X+x, b.Rect.Min.Y+y) {
				differ++
			}
		}
	}
	return float64(differ) / float64(max(1, n))
}
