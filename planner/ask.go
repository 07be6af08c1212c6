package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// An answer is what spec said of a model, kept, since renders share models.
type answer struct {
	spec eligen.Spec
	ok   bool
}

// adaptersOf returns a render's adapters: where it names none, those that its family
// brings.
func adaptersOf(r *eligen.Render, spec eligen.Spec) []eligen.Adapter {
	adapters := []eligen.Adapter{}
	if r.Adapters != nil {
		return append(adapters, r.Adapters...)
	}
	own := func(name, path string, at eligen.Source) {
		adapters = append(adapters, eligen.Adapter{Kind: "lora", Name: name, Path: path, Scale: 1, Alpha: "file", Source: at})
	}
	if spec.EliGen && len(r.Entities) > 0 {
		own("eligen", "", r.Source)
	}
	if spec.InContext && r.Transfer != nil && len(r.Entities) > 0 {
		own("in-context", eligen.InContext, *r.Where("transfer"))
	}
	return adapters
}

// ask asks for a model's Spec, once.
func (jd *judge) ask(r *eligen.Render, adapters []eligen.Adapter) (eligen.Spec, bool) {
	model := r.Model
	model.Source = eligen.Source{}
	key := fmt.Sprintf("%q", model)
	for _, a := range adapters {
		a.Source = eligen.Source{}
		key += fmt.Sprintf("%q", fmt.Sprint(a))
	}
	if a, ok := jd.specs[key]; ok {
		return a.spec, a.ok
	}
	spec, err := jd.spec(r.Model, adapters)
	jd.specs[key] = &answer{spec, err == nil}
	at := &r.Model.Source
	if at.File == "" {
		at = r.Where("model")
	}
	if err == nil {
		jd.take(spec.Warnings, at)
		return spec, true
	}
	var ds eligen.Diagnostics
	if !errors.As(err, &ds) {
		jd.diags.Errorf(at, "Model can't be used", "%v.", strings.TrimSuffix(err.Error(), "."))
		return spec, false
	}
	jd.take(ds, at)
	return spec, false
}

// take reports what an engine says of a model, each once: renders that share an adapter
// share what is wrong with it.
func (jd *judge) take(ds eligen.Diagnostics, at *eligen.Source) {
	for _, d := range ds {
		if d.Source == nil || d.Source.File == "" {
			d.Source = at
		}
		if !slices.ContainsFunc(jd.diags, func(o eligen.Diagnostic) bool { return o.String() == d.String() }) {
			jd.diags = append(jd.diags, d)
		}
	}
}
