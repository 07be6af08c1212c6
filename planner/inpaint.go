package planner

import (
	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/composite"
	"github.com/eligen/eligen/stage/denoise"
)

// inpaint checks what is asked of a picture to paint into.
func (jd *judge) inpaint(w *work) {
	r := w.render
	p := r.Inpaint
	if p == nil {
		return
	}
	if len(r.Entities) == 0 {
		jd.diags.Errorf(&p.Source, "Nothing to paint", "inpaint paints the regions of the render's entities into a picture, and %s has none.",
			r.Address)
	}
	jd.shape(w, r.Where("inpaint.image"), p.Image, p.Fit)
	jd.keeping(w, "inpaint", p.Keeping)
}

// keeping checks how the rest of a picture is asked to be kept, by a block.
func (jd *judge) keeping(w *work, block string, k eligen.Keeping) {
	r := w.render
	switch k.Mode {
	case "", "exact":
		if k.Background != 0 {
			jd.diags.Errorf(r.Where(block+".background_weight"), notApplicable,
				"background_weight belongs to mode = \"reference\"; in mode \"exact\" what is outside the regions keeps its pixels.")
		}
		if !(k.Feather >= 0 && finite(k.Feather)) {
			jd.diags.Errorf(r.Where(block+".feather"), outOfRange, "feather is %v; it must be 0 or a number of pixels.", k.Feather)
		}
	case "reference":
		if k.Feather != 0 {
			jd.diags.Errorf(r.Where(block+".feather"), notApplicable,
				"feather belongs to mode = \"exact\": the reference's mode lays no picture over another.")
		}
		if !(k.Background >= 0 && finite(k.Background)) {
			jd.diags.Errorf(r.Where(block+".background_weight"), outOfRange, "background_weight is %v; it must be a finite number, 0 or above.",
				k.Background)
		}
	default:
		jd.diags.Errorf(r.Where(block+".mode"), unknown, "There is no mode %q of %s; choose \"exact\" or \"reference\".", k.Mode, block)
	}
}

// A plate is the picture that a denoising keeps, but for a region.
type plate struct {
	fusion  denoise.Fusion
	latents eligen.Ref
	// What is laid over it, where its pixels must be kept to the bit.
	exact   bool
	picture eligen.Ref
	region  eligen.Region
	feather float64
}

// plate plans the picture that a render paints into; nil where there is none.
func (b *builder) plate(w *work) *plate {
	r := w.render
	switch p := r.Inpaint; {
	case r.Transfer != nil:
		return b.panels(w)
	case p != nil:
		out := w.plate(p.Keeping)
		out.latents = b.latents(w, r.Address+".inpaint", p.Source, p.Image, p.Fit)
		if out.exact {
			out.picture = b.scaled(w, r.Address+".inpaint.picture", p.Source, p.Image, p.Fit)
		}
		return out
	}
	return nil
}

// plate returns what a render keeps of a picture, without the picture itself.
func (w *work) plate(k eligen.Keeping) *plate {
	var regions []eligen.Region
	for _, e := range w.entities {
		regions = append(regions, e.region)
	}
	out := &plate{region: union(regions), feather: k.Feather}
	if k.Mode == "reference" {
		out.fusion = denoise.Fusion{Paint: w.painted(regions), Before: true, Background: k.Background}
		return out
	}
	out.exact = true
	out.fusion = denoise.Fusion{Paint: w.onCanvas(w.touched(out.region), w.spec.Geometry.Latents(w.size).W)}
	return out
}

// over plans the decoded picture over the plate.
func (p *plate) over(b *builder, w *work, name string, at eligen.Source, picture eligen.Ref) eligen.Ref {
	if p == nil || !p.exact {
		return picture
	}
	return b.add(w, name, at, composite.Op{Region: p.region, Feather: p.feather, Size: w.size}, picture, p.picture)
}

func union(regions []eligen.Region) eligen.Region {
	if len(regions) == 1 {
		return regions[0]
	}
	return eligen.Region{Kind: "union", Parts: regions}
}

// touched lists the latent cells that have a pixel of a region: all that must be free
// for every pixel of it to be.
func (w *work) touched(r eligen.Region) []int32 {
	latents, factor := w.spec.Geometry.Latents(w.size), w.spec.Geometry.Factor
	on := make([]bool, latents.W*latents.H)
	for i, m := range r.Mask(w.size) {
		if m {
			on[i/w.size.W/factor*latents.W+i%w.size.W/factor] = true
		}
	}
	return indices(on)
}

func indices(on []bool) (out []int32) {
	for i, o := range on {
		if o {
			out = append(out, int32(i))
		}
	}
	return out
}
