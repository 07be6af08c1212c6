package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/weights"
)

// layers are LoRAs over weights: some in the weights, some beside them, each of the latter
// with its scale.
type layers struct {
	key            string // that tells the weights with them from those without
	within, beside []lora.Layer
	scales         []float32
}

// layers finds LoRAs by their digests.
func (e *Engine) layers(adapters []eligen.AdapterWeights) (l layers, err error) {
	for _, a := range adapters {
		if a.Kind != "lora" {
			return l, fmt.Errorf("there is no adapter %q", a.Kind)
		}
		f, err := part(e, e.adapters, a.Digest)
		if err != nil {
			return l, err
		}
		if a.Factors {
			l.key += fmt.Sprintf(" %s beside %s", a.Digest, a.Alpha)
			l.beside, l.scales = append(l.beside, lora.Layer{File: f.File, Scale: 1, Alpha: a.Alpha}), append(l.scales, float32(a.Scale))
			continue
		}
		l.key += fmt.Sprintf(" %s %v %s", a.Digest, a.Scale, a.Alpha)
		l.within = append(l.within, lora.Layer{File: f.File, Scale: a.Scale, Alpha: a.Alpha})
	}
	return l, nil
}

// over lays the part of the LoRAs over its weights that is for a component: some are merged into
// what they are in the files, the others lie beside what they are held as.
func (l layers) over(base weights.Loader, part lora.Part, held family.Held) (weights.Loader, error) {
	of := func(list []lora.Layer) []lora.Layer {
		list = slices.Clone(list)
		for i := range list {
			list[i].Part = part
		}
		return list
	}
	loader, err := lora.Over(base, of(l.within)...)
	if err == nil && held != nil {
		loader, err = held(loader)
	}
	if err != nil {
		return nil, err
	}
	return lora.Beside(loader, of(l.beside)...)
}

// has reports whether any of the LoRAs changes a component.
func (l layers) has(part lora.Part) bool {
	return slices.ContainsFunc(slices.Concat(l.within, l.beside), func(x lora.Layer) bool { return x.File.Has(part) })
}

// layered returns the store of a transformer's weights under LoRAs.
func (e *Engine) layered(d eligen.Denoise, p family.Transformer, l layers) (*exec.Store, error) {
	s, err := e.store("dit "+string(d.Transformer)+l.key, func() (weights.Loader, error) {
		return l.over(p.Weights(), lora.Transformer, p.Held)
	}, p.DType())
	if err != nil {
		return nil, err
	}
	return s, s.Scale(l.scales...)
}

// layeredText returns text encoders under LoRAs.
func (e *Engine) layeredText(p family.Encoders, adapters []eligen.AdapterWeights) (family.Encoders, error) {
	l, err := e.layers(adapters)
	if err != nil {
		return nil, err
	}
	under, ok := p.(family.LayeredEncoders)
	if !ok {
		return nil, errors.New("this family's text encoders take no LoRAs. This is a bug in eligen")
	}
	return under.Under(func(part lora.Part, base weights.Loader, held family.Held) (family.Layered, error) {
		if !l.has(part) {
			return family.Layered{Loader: base}, nil
		}
		loader, err := l.over(base, part, held)
		return family.Layered{Loader: loader, Key: l.key, Scales: l.scales}, err
	})
}

// adapter opens a LoRA, and checks that it fits the model. dropped describes what of the
// file is applied to nothing, one string a kind.
func (e *Engine) adapter(r *family.Model, a *eligen.Adapter) (w eligen.AdapterWeights, traits eligen.AdapterTraits,
	dropped []string, err error) {
	defer panics.Catch("reading the adapter", &err)
	if a.Kind != "lora" {
		return w, traits, nil, fmt.Errorf("unknown adapter %q: use ip or lora", a.Kind)
	}
	if r.LoRA == nil {
		return w, traits, nil, fmt.Errorf("models of the family %s take no LoRAs", r.Spec.Family)
	}
	w = eligen.AdapterWeights{Kind: a.Kind, Scale: a.Scale, Alpha: cmp.Or(a.Alpha, lora.AlphaFile)}
	c, digest, err := openLoRA(r, a.Path)
	if err != nil {
		return w, traits, nil, err
	}
	w.Digest = digest
	f, err := r.LoRA(c)
	if err != nil {
		c.Close()
		return w, traits, nil, err
	}
	if f.Reading != "" {
		w.Digest = eligen.DigestOf(fmt.Appendf(nil, "eligen lora 2\n%s\n%s\n", w.Digest, f.Reading))
	}
	known, ok := e.adapters[w.Digest]
	if ok && current(known.from) {
		c.Close() // it is open already
		f, c = known.File, known.from
	} else {
		if err := f.Check(); err != nil {
			c.Close()
			return w, traits, nil, err
		}
		e.keep(c)
		e.stale = e.stale || ok
	}
	traits, dropped, err = fit(r, f, w)
	if err != nil {
		return w, traits, nil, err
	}
	// Integers would not hold a sum of weight and update as it is, and what a file has in fewer bits is
	// held so: the update stays beside them.
	fewer := r.Spec.Computed != "" || exec.NewStore(nil, r.Transformer.Weights(), r.Transformer.DType()).Packs()
	w.Factors = fewer && f.Unmerged() == nil
	e.adapters[w.Digest] = adapter{f, c}
	return w, traits, dropped, nil
}

// fit lays a LoRA over a model's parts, and notes what of them it changes.
func fit(r *family.Model, f *lora.File, w eligen.AdapterWeights) (traits eligen.AdapterTraits, dropped []string, err error) {
	l := layers{within: []lora.Layer{{File: f, Scale: w.Scale, Alpha: w.Alpha}}}
	if _, err := l.over(r.Transformer.Weights(), lora.Transformer, nil); err != nil {
		return traits, nil, err
	}
	dropped = f.Dropped()
	beside := func(part lora.Part, base weights.Loader) int64 {
		dtype := r.Transformer.DType()
		over, err := lora.Beside(base, lora.Layer{File: f, Scale: 1, Alpha: w.Alpha, Part: part})
		if err != nil {
			return 0
		}
		return exec.NewStore(nil, over, dtype).Whole() - exec.NewStore(nil, base, dtype).Whole()
	}
	if err := f.Unmerged(); err != nil {
		traits.Fixed = err.Error()
	} else {
		traits.Beside = beside(lora.Transformer, r.Transformer.Weights())
	}
	text := f.Text()
	if text == "" {
		return traits, dropped, nil
	}
	encoders, ok := r.Encoders.(family.LayeredEncoders)
	if !ok {
		return traits, append(dropped, fmt.Sprintf("changes of text encoders (%s), which models of the family %s don't take", text,
			r.Spec.Family)), nil
	}
	traits.Text, traits.TextOnly = true, !f.Has(lora.Transformer)
	_, err = encoders.Under(func(part lora.Part, base weights.Loader, _ family.Held) (family.Layered, error) {
		if traits.Fixed == "" {
			traits.BesideText += beside(part, base)
		}
		loader, err := l.over(base, part, nil)
		return family.Layered{Loader: loader}, err
	})
	return traits, dropped, err
}
