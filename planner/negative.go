package planner

import (
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/denoise"
)

// repels reports whether a render has entities that act on the negative side by prompts of their own.
func repels(r *eligen.Render) bool {
	return slices.ContainsFunc(r.Entities, func(e eligen.Entity) bool { return e.Negative != "" || e.AutoNegative })
}

// negatives checks what entities say of the negative side.
func (jd *judge) negatives(w *work) {
	for i := range w.render.Entities {
		e := &w.render.Entities[i]
		if e.Negative != "" {
			jd.checkPrompt(e.Where("negative"), e.Address, e.Negative, w.spec, w.spec.EntityPrompt, false)
		}
		for _, x := range []struct {
			name string
			set  bool
		}{{"negative", e.Negative != ""}, {"auto_negative", e.AutoNegative}} {
			if x.set && !w.negative {
				jd.diags.Errorf(e.Where(x.name), "Negative prompt without guidance",
					"%s of %s acts through classifier-free guidance only, and cfg = 1 turns that off. Raise cfg in the sampler block of %s, such as "+
						"to 3, or remove %[1]s.", x.name, e.Address, w.render.Address).Note(w.render.At["sampler.cfg"], "cfg is set here")
			}
		}
	}
}

// against returns the entities of the negative side and their prompts, where some have prompts of their own there: an
// entity's negative on its tokens, the render's on those of others if negative_entities asks for it, and an
// entity's own prompt outside its region if it is nowhere else. prompts are those of w.entities.
func (w *work) against(prompts []eligen.Ref) (entities []entity, texts []eligen.Ref) {
	if !w.negative || !repels(w.render) {
		return nil, nil
	}
	put := func(e entity, text int, prompt eligen.Ref) {
		e.text = text
		entities, texts = append(entities, e), append(texts, prompt)
	}
	for i, e := range w.entities {
		if len(e.tokens) == 0 {
			continue // it is away
		}
		own := eligen.Ref(0)
		if prompts != nil {
			own = prompts[i]
		}
		switch {
		case e.Negative != "":
			put(e, w.spec.TextTokens(e.Negative, w.spec.EntityPrompt), w.entityNegatives[e.Address])
		case w.onBoth:
			put(e, w.negativeText, w.negativePrompt)
		}
		if e.AutoNegative {
			outside := e
			outside.hard = true
			if outside.tokens = w.outside(e.tokens); len(outside.tokens) > 0 {
				put(outside, e.text, own)
			}
		}
	}
	return entities, texts
}

// outside returns the picture's tokens that are not among some.
func (w *work) outside(tokens []int32) (out []int32) {
	for t := range int32(w.spec.Geometry.Tokens(w.size)) {
		if _, in := slices.BinarySearch(tokens, t); !in {
			out = append(out, t)
		}
	}
	return out
}

// placed returns entities as denoising takes them.
func (w *work) placed(entities []entity, layered bool) (out []denoise.Entity) {
	total, columns := w.tokens(), w.spec.Geometry.Grid(w.size).W
	for _, e := range entities {
		d := denoise.Entity{Tokens: w.onCanvas(e.tokens, columns), Bucket: eligen.Bucket(len(e.tokens), total), Strength: e.strength}
		if layered {
			d.Opacity, d.Seen = e.opacity(), e.seen
		}
		d.Cover = w.cover(e)
		d.Factors, d.Blocks = w.acts(e)
		out = append(out, d)
	}
	return out
}
