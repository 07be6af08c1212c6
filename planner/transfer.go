package planner

import (
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/image"
)

// canvas returns the size that the model works on: the render, or a transfer's two
// panels, of which the render is the right one.
func (w *work) canvas() eligen.Size {
	if w.render.Transfer != nil {
		return eligen.Size{W: 2 * w.size.W, H: w.size.H}
	}
	return w.size
}

// onCanvas returns where cells of the render, in rows of so many, lie among those of the
// canvas.
func (w *work) onCanvas(cells []int32, columns int) []int32 {
	if w.render.Transfer == nil {
		return cells
	}
	n := int32(columns)
	out := make([]int32, len(cells))
	for i, c := range cells {
		out[i] = c/n*2*n + n + c%n
	}
	return out
}

// painted lists the cells of the canvas that the reference's way paints. It reduces
// masks of the canvas by a filter that sees across the seam of panels, where the left
// one is black.
func (w *work) painted(regions []eligen.Region) []int32 {
	if w.render.Transfer != nil {
		regions = slices.Clone(regions)
		for i, r := range regions {
			mask, width := r.Mask(w.size), w.size.W
			regions[i] = eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(2*width, w.size.H, func(x, y int) bool {
				return x >= width && mask[y*width+x-width]
			})}
		}
	}
	return indices(pixels.Painted(regions, w.canvas(), w.spec.Geometry))
}

// transfer checks what is asked of two pictures.
func (jd *judge) transfer(w *work, adapters []eligen.Adapter) {
	r := w.render
	t := r.Transfer
	if t == nil {
		return
	}
	at := r.Where("transfer")
	if len(r.Entities) == 0 {
		jd.diags.Errorf(at, "Nothing to paint",
			"transfer paints what its source shows into the regions of the render's entities, and %s has none.", r.Address)
	}
	for _, other := range []struct {
		name string
		is   bool
		why  string
	}{
		{"init", r.Init != nil, "init starts from one picture, transfer paints into another"},
		{"inpaint", r.Inpaint != nil, "both say what picture is painted into"},
	} {
		if other.is {
			jd.diags.Errorf(at, conflicting, "%s has transfer and %s: %s. Remove one of the two.", r.Address, other.name,
				other.why).Note(*r.Where(other.name), "%s is here", other.name)
		}
	}
	jd.shape(w, r.Where("transfer.source"), t.From, t.Fit)
	jd.shape(w, r.Where("transfer.target"), t.To, t.Fit)
	jd.keeping(w, "transfer", t.Keeping)
	if t.Clean != nil && *t.Clean && t.Mode == "reference" {
		jd.diags.Errorf(r.Where("transfer.clean_source"), conflicting,
			"The reference shows the model both panels under the same noise. Leave out clean_source, or choose mode = \"exact\".")
	}
	loras := 0
	for _, a := range adapters {
		if a.Kind == "lora" {
			loras++
		}
	}
	if loras < 2 {
		where := at
		if r.Adapters != nil {
			where = r.Where("adapters")
		}
		jd.diags.Warnf(where, "Transfer without an in-context LoRA",
			"A transfer takes two LoRAs, EliGen's and one that has learned to draw one thing in two panels, and %s has %s. Without it, what is "+
				"painted is likely to be another thing than the source shows. List both: adapters = [adapter.lora.eligen, adapter.lora.in_context].",
			r.Address, map[int]string{0: "none", 1: "one"}[loras])
	}
}

// cleanSource reports whether a transfer's source is seen without noise.
func (w *work) cleanSource() bool {
	t := w.render.Transfer
	if t.Clean != nil {
		return *t.Clean
	}
	return t.Mode != "reference" && w.spec.CleanSource
}

// panels plans what a transfer keeps: both pictures' latents, and the right picture.
func (b *builder) panels(w *work) *plate {
	r, t := w.render, w.render.Transfer
	out := w.plate(t.Keeping)
	if w.cleanSource() {
		out.fusion.Clean = w.spec.Geometry.Latents(w.size).W
	}
	from := b.scaled(w, r.Address+".transfer.source", *r.Where("transfer.source"), t.From, t.Fit)
	to := b.scaled(w, r.Address+".transfer.target", *r.Where("transfer.target"), t.To, t.Fit)
	panels := b.add(w, r.Address+".transfer.panels", t.Source, image.Panels{Background: either(t.From.Behind(), t.To.Behind())}, from, to)
	out.latents = b.add(w, r.Address+".transfer", t.Source, image.Latents{Autoencoder: w.spec.Autoencoder, Tiles: w.tiles}, panels)
	if out.exact {
		out.picture = to
	}
	return out
}
