package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/eligen/eligen"
)

// located returns a model whose paths are those of files and folders. What isn't on this machine
// is a diagnostic at its argument; ok is false then.
func (e *Engine) located(m eligen.Model, ds *eligen.Diagnostics) (out eligen.Model, ok bool) {
	ok = true
	at := func(path, part, argument string) string {
		found, err := e.find(path, part)
		if err != nil {
			ok = false
			missing(ds, m.Where(argument), "Model can't be used", err)
		}
		return found
	}
	out = m
	out.Path = at(m.Path, eligen.PartModel, "source")
	out.Parts = maps.Clone(m.Parts)
	for _, part := range slices.Sorted(maps.Keys(m.Parts)) {
		out.Parts[part] = at(m.Parts[part], part, part)
	}
	return out, ok
}

// locatedAdapters does for adapters as located does for a model. found says of which all was found.
func (e *Engine) locatedAdapters(adapters []eligen.Adapter, ds *eligen.Diagnostics) (out []eligen.Adapter, found []bool) {
	out = slices.Clone(adapters)
	for i := range out {
		a := &out[i]
		part := map[string]string{"lora": eligen.PartLoRA, "ip": eligen.PartIPAdapter}[a.Kind]
		var wrong [2]error
		a.Path, wrong[0] = e.find(a.Path, part)
		a.Encoder, wrong[1] = e.find(a.Encoder, eligen.PartVision)
		for n, argument := range []string{"source", "encoder"} {
			if wrong[n] != nil {
				missing(ds, a.Where(argument), "Adapter can't be used", wrong[n])
			}
		}
		found = append(found, cmp.Or(wrong[0], wrong[1]) == nil)
	}
	return out, found
}

// missing reports a source that wasn't found.
func missing(ds *eligen.Diagnostics, at *eligen.Source, summary string, err error) {
	var away *eligen.MissingWeights
	if errors.As(err, &away) {
		summary = "Weights are missing"
	}
	ds.Errorf(at, summary, "%s", sentence(err))
}

// find returns the path of a source's weights; "" and words of a family's own stay.
func (e *Engine) find(source, part string) (string, error) {
	if source == "" || source == eligen.InContext {
		return source, nil
	}
	if e.options.Sources != nil {
		return e.options.Sources.Find(source, part)
	}
	if _, published := eligen.ParseRepo(source); published {
		return "", fmt.Errorf("%q is a repository, and this engine looks for paths alone", source)
	}
	return source, nil
}

// beside returns the folders in which a part of the model at a path may lie.
func (e *Engine) beside(path, part string) []string {
	if e.options.Sources == nil {
		return nil
	}
	return e.options.Sources.Beside(path, part)
}
