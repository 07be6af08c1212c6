package planner

import (
	"fmt"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/image"
)

// An imagePrompt is a picture that a render's IP-Adapter brings in.
type imagePrompt struct {
	adapter int // index in the Spec's adapters
	picture eligen.Picture
	name    string // of the stage
	at      eligen.Source
}

// images collects the pictures of a render's IP-Adapters.
func (jd *judge) images(w *work, adapters []eligen.Adapter) {
	at := -1 // in the Spec's adapters, which are in the same order
	next := func() bool {
		for at++; at < len(w.spec.Adapters); at++ {
			if w.spec.Adapters[at].Kind == "ip" {
				return true
			}
		}
		return false
	}
	var first *eligen.Adapter
	for i := range adapters {
		a := &adapters[i]
		if a.Kind != "ip" || !next() {
			continue
		}
		if len(a.Images) == 0 {
			jd.diags.Errorf(&a.Source, missing,
				"The IP-Adapter %q brings in pictures, and has none. Give it one, as image = image(\"refs/painting.jpg\").", a.Name)
			continue
		}
		digest := w.spec.Adapters[at].Digest
		if first == nil {
			first, w.imageAdapter = a, digest
		} else if digest != w.imageAdapter {
			jd.diags.Errorf(a.Where("source"), conflicting, "A render sees pictures through one IP-Adapter; these weights are others than those "+
				"of %q. Use one IP-Adapter: several adapters of its weights may bring in pictures, each at its own scale.",
				first.Name).Note(first.Source, "%q is here", first.Name)
			continue
		}
		for k, p := range a.Images {
			jd.converted(a.Where("image"), p, "look wrong")
			name := "adapter.ip." + a.Name + ".image"
			if len(a.Images) > 1 {
				name += fmt.Sprintf("[%d]", k)
			}
			w.images = append(w.images, imagePrompt{at, p, name, *a.Where("image")})
		}
	}
}

// imagePrompts plans the reading of a render's pictures, and, for its negative side,
// of none. What is planned already is the same stage.
func (b *builder) imagePrompts(w *work) (out []eligen.Ref) {
	for _, p := range w.images {
		out = append(out, b.add(w, p.name, p.at, image.Prompt{Adapter: w.imageAdapter, Picture: p.picture.Digest, Path: p.picture.Path,
			Background: p.picture.Behind()}))
	}
	if len(out) > 0 && w.negative {
		out = append(out, b.add(w, w.render.Address+".negative.image", w.images[0].at, image.Prompt{Adapter: w.imageAdapter}))
	}
	return out
}

// see puts a render's pictures into its denoising. Their scales are the Spec's, which
// in a clip are those of the frame.
func (w *work) see(op *denoise.Op) {
	op.Adapters = nil
	for i, a := range w.spec.Adapters {
		if a.Kind != "ip" && !w.spec.TraitsOf(i).TextOnly {
			op.Adapters = append(op.Adapters, a)
		}
	}
	op.ImageAdapter = w.imageAdapter
	for _, p := range w.images {
		op.Images = append(op.Images, w.spec.Adapters[p.adapter].Scale)
	}
}

// seen returns how many tokens of pictures each side of guidance sees.
func (w *work) seen() (positive, negative int) {
	if n := len(w.images); n > 0 {
		return n * w.spec.Sizes.PictureTokens, w.spec.Sizes.PictureTokens
	}
	return 0, 0
}

// backgroundOf returns the colour behind those of them that are transparent.
func (w *work) backgroundOf(adapter int) (colour string) {
	for _, p := range w.images {
		if p.adapter == adapter {
			colour = either(colour, p.picture.Behind())
		}
	}
	return colour
}

// picturesOf returns the pictures of one of the Spec's adapters.
func (w *work) picturesOf(adapter int) (out []eligen.Digest) {
	for _, p := range w.images {
		if p.adapter == adapter {
			out = append(out, p.picture.Digest)
		}
	}
	return out
}
