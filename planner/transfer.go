package planner

import (
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/image"
)

// canvas is what the model works on: the render, or a transfer's two panels, of which
// the render is the right one.
func (w *work) canvas() eligen.Size {
	if w.render.Transfer != nil {
		return eligen.Size{W: 2 * w.size.W, H: w.size.H}
	}
	return w.size
}

// onCanvas is where cells of the render, in rows of so many, lie among those of the
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
	return indices(eligen.Painted(regions, w.canvas()))
}

// inContext is the adapters of a render that names none, with what a transfer needs
// beside EliGen's.
func inContext(r *eligen.Render, adapters []eligen.Adapter) []eligen.Adapter {
	if r.Transfer == nil || r.Adapters != nil || r.Model.Family != "nano" {
		return adapters
	}
	return append(adapters, eligen.Adapter{Kind: "lora", Name: "in-context", Path: eligen.InContext, Scale: 1, Alpha: "file", Source: *r.Where("transfer")})
}

// maxStretch is how much the shapes of a picture and of a panel may differ.
const maxStretch = 16

// transfer checks what is asked of two pictures.
func (b *builder) transfer(w *work, adapters []eligen.Adapter) {
	r := w.render
	t := r.Transfer
	if t == nil {
		return
	}
	at := r.Where("transfer")
	if len(r.Entities) == 0 {
		b.diags.Errorf(at, "Nothing to paint", "transfer paints what its source shows into the regions of the render's entities, and %s has none.", r.Address)
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
			b.diags.Errorf(at, "Two pictures to begin with", "%s has transfer and %s (%s): %s. Remove one of the two.", r.Address, other.name, r.Where(other.name), other.why)
		}
	}
	for _, p := range []struct {
		name    string
		picture eligen.Picture
	}{{"source", t.From}, {"target", t.To}} {
		at := r.Where("transfer." + p.name)
		picture := p.picture.Size
		if picture.W < 1 || picture.H < 1 || w.size.W < 1 || w.size.H < 1 {
			continue // said of the size
		}
		// How much wider than high, of the picture and of the panel.
		a, c := int64(picture.W)*int64(w.size.H), int64(picture.H)*int64(w.size.W)
		switch {
		case a > maxStretch*c || c > maxStretch*a:
			b.diags.Errorf(at, "Picture has another shape", "%s has %d×%d pixels, the render %d×%d: the one is more than %d times as long as the other. Cut the picture.",
				p.picture.Path, picture.W, picture.H, w.size.W, w.size.H, maxStretch)
		// Less than a pixel of the picture is rounding, as with masks.
		case t.Fit == "" && max(a-c, c-a) >= int64(max(w.size.W, w.size.H)):
			b.diags.Errorf(at, "Picture has another shape", "%s has %d×%d pixels, which is another shape than the %d×%d of %s. Say how it is laid on: fit = \"stretch\", or \"cover\", which cuts what is outside.",
				p.picture.Path, picture.W, picture.H, w.size.W, w.size.H, r.Address)
		}
	}
	b.keeping(w, "transfer", t.Keeping)
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
		b.diags.Warnf(where, "Transfer without an in-context LoRA",
			"A transfer takes two LoRAs, EliGen's and one that has learned to draw one thing in two panels, and %s has %s. Without it, what is painted is likely to be another thing than the source shows. List both: adapters = [adapter.lora.eligen, adapter.lora.in_context].",
			r.Address, map[int]string{0: "none", 1: "one"}[loras])
	}
}

// panel plans a picture of a transfer, as large as a panel.
func (b *builder) panel(w *work, name string, p eligen.Picture) eligen.Ref {
	r := w.render
	at, name := *r.Where("transfer." + name), r.Address+".transfer."+name
	ref := b.add(w, name, at, image.Picture{Picture: p.Digest, Size: p.Size, Path: p.Path})
	if p.Size == w.size {
		return ref
	}
	fit := r.Transfer.Fit
	if fit == "" {
		fit = "stretch" // they are of one shape
	}
	return b.add(w, name+".resized", at, image.Resize{Size: w.size, Fit: fit}, ref)
}

// panels plans what a transfer keeps: both pictures' latents, and the right picture.
func (b *builder) panels(w *work) *plate {
	r, t := w.render, w.render.Transfer
	out := w.plate(t.Keeping)
	from, to := b.panel(w, "source", t.From), b.panel(w, "target", t.To)
	panels := b.add(w, r.Address+".transfer.panels", t.Source, image.Panels{}, from, to)
	out.latents = b.add(w, r.Address+".transfer", t.Source, image.Latents{Autoencoder: w.spec.Autoencoder, Tiles: w.tiles}, panels)
	if out.exact {
		out.picture = to
	}
	return out
}
