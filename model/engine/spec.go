package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/weights"
)

// Spec returns what planning must know of a model and its adapters. Problems are
// Diagnostics at the model's or the adapter's block.
func (e *Engine) Spec(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ds eligen.Diagnostics
	m, ok := e.located(m, &ds)
	adapters, found := e.locatedAdapters(adapters, &ds)
	if !ok {
		return eligen.Spec{}, ds
	}
	r, err := e.resolve(m)
	if err != nil {
		ds.Errorf(&m.Source, "Model can't be used", "%s", sentence(err))
		return eligen.Spec{}, ds
	}
	spec := r.Spec
	spec.Adapters, spec.Traits, spec.Warnings, spec.Sizes = nil, nil, nil, e.sizes(r)
	for i := range adapters {
		a := &adapters[i]
		if !found[i] {
			spec.Adapters = append(spec.Adapters, eligen.AdapterWeights{})
			continue
		}
		if a.Kind == "ip" {
			w := e.imageAdapter(r, a, &ds)
			if p := e.images[w.Digest]; p != nil {
				p.Sizes(&spec.Sizes)
			}
			spec.Adapters, spec.Traits = append(spec.Adapters, w), append(spec.Traits, eligen.AdapterTraits{})
			continue
		}
		w, traits, dropped, err := e.adapter(r, a)
		if err != nil {
			ds.Errorf(a.Where("source"), "Adapter can't be used", "%s", sentence(err))
			continue
		}
		for _, what := range dropped {
			spec.Warnings.Warnf(a.Where("source"), "Adapter is applied in part", "This file also holds %s. eligen doesn't apply them, so that the "+
				"picture is another than the author of the LoRA saw; a word that it was trained on may act less.", what)
		}
		spec.Adapters, spec.Traits = append(spec.Adapters, w), append(spec.Traits, traits)
	}
	return spec, ds.Err()
}

// sizes returns a model's sizes, for the planner's estimates.
func (e *Engine) sizes(r *family.Model) eligen.Sizes {
	t, number := r.Transformer.Shape(), int64(r.Transformer.DType().Size())
	cost := costOf(e.info)
	s := eligen.Sizes{
		Dim: t.Dim, MLP: t.MLP, Heads: t.Heads, Double: t.Double, Single: t.Single, TokenDim: t.TokenDim,
		Autoencoder: exec.NewStore(nil, r.Autoencoder.Weights(), dtypes.Float32).Whole(),
	}
	loader, err := r.Transformer.Held(r.Transformer.Weights())
	if err != nil {
		return s // it is said where it is needed
	}
	dit, scopes := exec.NewStore(nil, loader, r.Transformer.DType()), r.Transformer.Scopes()
	text := r.Encoders.Plan(0, true).Held
	prompt := cost.prompts(r.Encoders.Work(max(r.Spec.Prompt.Length, r.Spec.EntityPrompt.Length)))
	whole, steps := dit.Whole(), dit.Plan(scopes, r.Transformer.StepWeight, 0, true).Held
	s.Text, s.Transformer = text+prompt, whole
	s.Together = s.Text+s.Transformer+s.Autoencoder <= e.keepBytes()
	before := int64(0)
	if !t.Layered {
		before = cost.modulating(whole-steps, number) - steps
	}
	if !s.Together && whole > e.keepBytes() {
		s.Stream = func(room int64) eligen.Streamed {
			return streamed(dit.Plan(scopes, r.Transformer.StepWeight, room, e.info.CUDA()))
		}
		s.Transformer = s.Stream(0).Held // Lean: modulations are gone before the first step
	}
	if !s.Together && text > e.keepBytes() {
		s.StreamText = func(room int64) eligen.Streamed {
			if room > 0 {
				room = max(1, room-prompt)
			}
			x := streamed(r.Encoders.Plan(room, e.info.CUDA()))
			x.Held += prompt
			return x
		}
		s.Text = s.StreamText(0).Held
	}
	s.Stored = dit.Stored()
	s.Program, s.Step, s.Coding = cost.program, cost.step(t, number, before), cost.coding(r.Autoencoder.Shape())
	return s
}

func streamed(p exec.Plan) eligen.Streamed {
	return eligen.Streamed{Held: p.Held + p.Passing, Read: p.Read, Decoded: p.Decoded}
}

// sentence turns an error into the detail of a diagnostic.
func sentence(err error) string {
	s := strings.TrimSpace(err.Error())
	if s == "" {
		return ""
	}
	s = words.Capital(s)
	if !strings.ContainsAny(s[len(s)-1:], ".!?") && !strings.Contains(s, "\n") {
		s += "."
	}
	return s
}

func (e *Engine) resolve(m eligen.Model) (_ *family.Model, err error) {
	defer panics.Catch("reading the model", &err)
	key := fmt.Sprintf("%q", []any{m.Family, m.Path, m.DType, m.Parts})
	known, ok := e.models[key]
	if ok && known.Current() {
		e.know(known)
		return known, nil
	}
	f, err := e.families.Find(m.Family)
	if err != nil {
		return nil, err
	}
	r, err := f.Resolve(m, family.Settings{Embedded: e.options.Embedded, DType: e.dtype, Beside: e.beside})
	if err != nil {
		return nil, err
	}
	e.stale = e.stale || ok
	e.open = append(e.open, r.Open...)
	e.models[key] = r
	e.know(r)
	return r, nil
}

// know has a model's parts be those of their digests, rather than those of a copy whose files
// may be gone by now.
func (e *Engine) know(r *family.Model) {
	e.texts[r.Spec.Text] = r.Encoders
	e.dits[r.Spec.Transformer] = r.Transformer
	e.vaes[r.Spec.Autoencoder] = r.Autoencoder
}

// imageAdapter opens what reads an adapter's pictures. Each problem is a diagnostic at its
// own argument.
func (e *Engine) imageAdapter(r *family.Model, a *eligen.Adapter, ds *eligen.Diagnostics) (w eligen.AdapterWeights) {
	if r.Images == nil {
		ds.Errorf(&a.Source, "Adapter can't be used", "Models of the family %s take no image prompts.", r.Spec.Family)
		return w
	}
	i, errs := r.Images(a)
	for _, x := range errs {
		ds.Errorf(a.Where(x.Argument), "Adapter can't be used", "%s", sentence(x.Err))
	}
	if len(errs) > 0 {
		return w
	}
	w = eligen.AdapterWeights{Kind: a.Kind, Scale: a.Scale, Digest: i.Digest()}
	if known := e.images[w.Digest]; known != nil && current(known.Open()...) {
		for _, c := range i.Open() {
			c.Close() // it is open already
		}
		return w
	}
	e.stale = e.stale || e.images[w.Digest] != nil
	e.images[w.Digest] = i
	e.open = append(e.open, i.Open()...)
	return w
}

// openLoRA opens and digests the LoRA at a path, or the family's own.
func openLoRA(r *family.Model, path string) (*weights.Checkpoint, eligen.Digest, error) {
	switch {
	case path == eligen.InContext && r.InContext == nil:
		return nil, "", errors.New("this family has no in-context LoRA of its own, which a transfer needs. Name the file of one:\n\n    " +
			"source = \"./weights/in-context.safetensors\"")
	case path == eligen.InContext:
		return r.InContext()
	case path == "" && r.EliGen == nil:
		return nil, "", errors.New("this family has no EliGen LoRA of its own: name the file of one")
	case path == "":
		return r.EliGen()
	}
	file, err := weights.LoRAFile(path)
	if err != nil {
		return nil, "", err
	}
	c, err := weights.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", weights.NotThere(path)
	}
	if err != nil {
		return nil, "", err
	}
	digests, err := weights.Digests(c)
	if err != nil {
		c.Close()
		return nil, "", err
	}
	return c, digests[0], nil
}

// current reports whether open files are still those at their paths, and unchanged.
func current(open ...*weights.Checkpoint) bool {
	return !slices.ContainsFunc(open, func(c *weights.Checkpoint) bool { return !c.Current() })
}
