package planner

import (
	"cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/decode"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/image"
	"github.com/eligen/eligen/stage/noise"
	"github.com/eligen/eligen/stage/still"
)

// add adds a stage under a name that no other stage has: an entity that two models
// draw has two prompts.
func (b *builder) add(w *work, name string, at eligen.Source, op eligen.Op, inputs ...eligen.Ref) eligen.Ref {
	b.goOn()
	if b.names[name] {
		name = w.render.Address + "." + name
	}
	ref := b.plan.Add(name, at, op, inputs...)
	if s := &b.plan.Stages[ref]; int(ref) == len(b.plan.Stages)-1 {
		b.names[s.Name] = true
		s.Work = w.amount(op)
	}
	return ref
}

// amount returns a stage's Work. What a model does to tokens and pixels grows with its
// weights.
func (w *work) amount(op eligen.Op) float64 {
	s, pixels := w.spec.Sizes, float64(w.size.W)*float64(w.size.H)
	switch op := op.(type) {
	case image.Prompt:
		return float64(max(1, s.Pictures))
	case encode.Op:
		length := w.spec.TextTokens(op.Prompt, eligen.Reading{Length: op.Length, Unpadded: op.Unpadded})
		return float64(length) * float64(max(1, s.Text))
	case denoise.Op:
		seen, _ := w.seen()
		_, step := branch(w, w.text, w.entities, seen)
		if w.negative {
			step *= 2
		}
		sigmas, err := op.Schedule.Sigmas(w.tokens())
		if err != nil {
			return 0 // the stage says so
		}
		return float64(len(sigmas)-1) * max(step, float64(w.tokens()))
	case decode.Op, image.Op, image.Latents:
		return w.coded() * float64(max(1, s.Autoencoder))
	}
	return pixels
}

// picture plans the rest of a render, and its outputs.
func (b *builder) picture(w *work) {
	r := w.render
	if r.Clip != nil {
		b.clip(w)
		return
	}
	w.picture = b.decoded(w, w.entityPrompts, "")
	resolved := b.resolved(w)
	for _, o := range w.outputs {
		b.still(w, o, o.local, resolved, w.picture)
	}
}

// decoded plans a render's picture, with the prompts of its entities given; what
// distinguishes it goes behind the stages' names.
func (b *builder) decoded(w *work, entityPrompts []eligen.Ref, suffix string) eligen.Ref {
	var start []eligen.Ref
	if r := w.render; w.init {
		start = append(start, b.latents(w, r.Address+".init", r.Init.Source, r.Init.Image, r.Init.Fit))
	}
	_, picture := b.draw(w, entityPrompts, suffix, start, b.plate(w))
	return picture
}

// draw plans the model's work on a picture, from the latents to start from, if
// there are any, over the plate that is kept, if there is one.
func (b *builder) draw(w *work, entityPrompts []eligen.Ref, suffix string, start []eligen.Ref, plate *plate) (latents, picture eligen.Ref) {
	r, s := w.render, w.spec
	op := denoise.Op{
		Transformer: s.Transformer, Schedule: w.schedule,
		CFG: w.cfg, Guidance: w.guidance, Negative: w.negative, NegativeEntities: w.onBoth, Init: len(start) > 0,
		TeaCache: w.tea, Decoding: w.tiles,
	}
	if s.Geometry.Patch != eligen.DefaultGeometry.Patch {
		op.Patch = s.Geometry.Patch
	}
	w.see(&op)
	op.Layered = w.layered()
	op.Entities = w.placed(w.entities, op.Layered)
	against, negatives := w.against(entityPrompts)
	if op.Against = w.placed(against, false); op.Against != nil {
		op.NegativeEntities = false // it says which
	}

	inputs := []eligen.Ref{
		b.add(w, w.noise, *r.Where("seed"), noise.Op{Seed: r.Seed, Shape: s.Geometry.Shape(w.canvas()), Variant: b.options.Noise,
			DType: cmp.Or(s.Computed, s.DType)}),
		w.prompt,
	}
	if w.negative {
		inputs = append(inputs, w.negativePrompt)
	}
	inputs = append(append(inputs, entityPrompts...), negatives...)
	inputs = append(inputs, start...)
	if plate != nil {
		op.Fusion = &plate.fusion
		inputs = append(inputs, plate.latents)
	}
	inputs = append(inputs, b.imagePrompts(w)...)
	latents = b.add(w, r.Address+".denoise"+suffix, r.Source, op, inputs...)
	decode := decode.Op{Autoencoder: s.Autoencoder, Tiles: w.tiles}
	if r.Transfer != nil {
		panels := b.add(w, r.Address+".panels.decode"+suffix, r.Source, decode, latents)
		picture = b.add(w, r.Address+".right"+suffix, r.Source, image.Right{}, panels)
	} else {
		picture = b.add(w, r.Address+".decode"+suffix, r.Source, decode, latents)
	}
	return latents, plate.over(b, w, r.Address+".composite"+suffix, r.Source, picture)
}

// resolved returns what the render's picture says about itself.
func (b *builder) resolved(w *work) still.Resolved {
	r, s := w.render, w.spec
	out := still.Resolved{
		Format: 1, Version: eligen.Version, Engine: b.plan.Engine, Render: r.Address,
		Size: w.size, Prompt: r.Prompt, Negative: r.Negative, Seed: r.Seed, Noise: string(b.options.Noise),
		Steps: w.schedule.Steps, CFG: w.cfg, Guidance: w.guidance, Schedule: w.schedule.Name, Shift: w.schedule.Shift, NegativeEntities: w.onBoth,
		Overlap: r.Overlap,
		Model: still.Model{Family: s.Family, Name: r.Model.Name, DType: s.DType, Text: s.Text, Transformer: s.Transformer,
			Autoencoder: s.Autoencoder},
	}
	if s.Geometry != eligen.DefaultGeometry {
		out.Geometry = s.Geometry
	}
	for i, a := range s.Adapters {
		out.Adapters = append(out.Adapters, still.Adapter{Kind: a.Kind, Digest: a.Digest, Scale: a.Scale, Alpha: a.Alpha, Factors: a.Factors,
			Pictures: w.picturesOf(i), Background: w.backgroundOf(i)})
	}
	for _, e := range w.entities {
		out.Entities = append(out.Entities, still.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.region, Strength: e.strength,
			Tokens: len(e.tokens), Opacity: w.opacityOf(e), Negative: e.Negative, AutoNegative: e.AutoNegative,
			Schedule: w.scheduled(e), Feather: e.Feather})
	}
	if w.init {
		out.Init = &still.Init{Picture: r.Init.Image.Digest, Fit: r.Init.Fit, Strength: r.Init.Strength, Background: r.Init.Image.Behind()}
	}
	if w.tea != 0 || w.tiles != nil || w.textTokens != 0 {
		out.Approximate = &still.Approximate{TeaCache: w.tea, Tiles: w.tiles, TextTokens: w.textTokens}
	}
	if p := r.Inpaint; p != nil {
		out.Inpaint = &still.Inpaint{Picture: p.Image.Digest, Fit: p.Fit, Mode: either(p.Mode, "exact"), Feather: p.Feather,
			Background: p.Background, Colour: p.Image.Behind(), Profile: p.Image.Profile}
	}
	if t := r.Transfer; t != nil {
		out.Transfer = &still.Transfer{Source: t.From.Digest, Target: t.To.Digest, Fit: t.Fit, Mode: either(t.Mode, "exact"), Feather: t.Feather,
			Background: t.Background, Clean: w.cleanSource(), Colour: either(t.From.Behind(), t.To.Behind()), Profile: t.To.Profile}
	}
	return out
}
