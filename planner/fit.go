package planner

import (
	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/image"
)

// maxStretch is how much the shapes of a picture and of a render may differ.
const maxStretch = 16

// shape checks that a picture can be laid on a render as it is asked for: one of the
// render's shape at any size, another one as fit says.
func (jd *judge) shape(w *work, at *eligen.Source, p eligen.Picture, fit string) {
	jd.converted(at, p, "look wrong")
	size := p.Size
	if size.W < 1 || size.H < 1 || w.size.W < 1 || w.size.H < 1 {
		return // said of the size
	}
	// How much wider than high, of the picture and of the render.
	x, y := int64(size.W)*int64(w.size.H), int64(size.H)*int64(w.size.W)
	switch {
	case x > maxStretch*y || y > maxStretch*x:
		jd.diags.Errorf(at, "Picture has another shape",
			"%s has %d×%d pixels, the render %d×%d: the one is more than %d times as long as the other. Cut the picture.",
			p.Path, size.W, size.H, w.size.W, w.size.H, maxStretch)
	case fit != "" && fit != "stretch" && fit != "cover":
		jd.diags.Errorf(at, unknown, "There is no fit %q of a picture; choose \"stretch\" or \"cover\".", fit)
	// Less than a pixel of the picture is rounding, as with masks.
	case fit == "" && max(x-y, y-x) >= int64(max(w.size.W, w.size.H)):
		jd.diags.Errorf(at, "Picture has another shape", "%s has %d×%d pixels, which is another shape than the %d×%d of %s. Say how it is "+
			"laid on: fit = \"stretch\", or \"cover\", which cuts what is outside.",
			p.Path, size.W, size.H, w.size.W, w.size.H, w.render.Address)
	}
}

// scaled plans a picture, as large as the render.
func (b *builder) scaled(w *work, name string, at eligen.Source, p eligen.Picture, fit string) eligen.Ref {
	ref := b.add(w, name, at, image.Picture{Picture: p.Digest, Size: p.Size, Path: p.Path})
	if p.Size == w.size {
		return ref
	}
	if fit == "" {
		fit = "stretch" // they are of one shape
	}
	return b.add(w, name+".resized", at, image.Resize{Size: w.size, Fit: fit}, ref)
}

// latents plans the latents of a picture, as large as the render.
func (b *builder) latents(w *work, name string, at eligen.Source, p eligen.Picture, fit string) eligen.Ref {
	if p.Size == w.size {
		return b.add(w, name, at, image.Op{Autoencoder: w.spec.Autoencoder, Picture: p.Digest, Size: w.size, Path: p.Path, Background: p.Behind(),
			Tiles: w.tiles})
	}
	return b.add(w, name, at, image.Latents{Autoencoder: w.spec.Autoencoder, Tiles: w.tiles, Background: p.Behind()},
		b.scaled(w, name+".picture", at, p, fit))
}

func (jd *judge) init(w *work) {
	r := w.render
	if r.Init == nil {
		return
	}
	at := r.Where("init.strength")
	if _, ok := r.At["init.strength"]; !ok {
		at = &r.Init.Source
	}
	switch s := r.Init.Strength; {
	case !(s > 0 && s <= 1):
		jd.diags.Errorf(at, outOfRange,
			"The strength of init is %v; it must be above 0 and at most 1. Small values keep the picture, 1 ignores it.", s)
	case s == 1:
		jd.diags.Warnf(at, noEffect, "With strength 1 the render starts from noise alone, and the picture of init is ignored. Try 0.6.")
	default:
		w.schedule.Strength = s
		w.init = true
	}
	jd.shape(w, r.Where("init.image"), r.Init.Image, r.Init.Fit)
}
