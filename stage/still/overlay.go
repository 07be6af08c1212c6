package still

import (
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

// overlay draws each entity's region over a picture, with its label.
func overlay(img *image.NRGBA, entities []Entity) {
	l := layout(eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}, entities)
	l.Picture = true
	l.Regions(img, drawing.Width(min(img.Rect.Dx(), img.Rect.Dy())))
	l.Labels(img)
}

func layout(size eligen.Size, entities []Entity) *drawing.Layout {
	all := make([]eligen.Entity, len(entities))
	for i, e := range entities {
		all[i] = eligen.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.Region, Strength: e.Strength, Opacity: e.Opacity}
	}
	return drawing.New(size, all)
}
