package engine

import (
	"fmt"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/family"
)

// Described is an engine of models that are on no disk: it plans them as they are published, and runs
// none.
type Described struct {
	Backend string // "go", "xla:cpu" or "xla:cuda"; it need not be installed
	Form    family.Form
	Memory  int64 // bytes that a render may take; 0 is no limit

	Files int64 // set by Spec: bytes of the model's files
}

// ID names the engine.
func (d *Described) ID() string { return "described " + d.Backend }

// Spec returns what planning must know of a family's published model; its source isn't looked at.
func (d *Described) Spec(m eligen.Model, _ []eligen.Adapter) (eligen.Spec, error) {
	f, err := families.All.Find(m.Family)
	if err != nil {
		return eligen.Spec{}, err
	}
	if f.Describe == nil {
		return eligen.Spec{}, fmt.Errorf("models of the family %s aren't described", m.Family)
	}
	e := &Engine{info: describedBackend(d.Backend)}
	e.Limit(d.Memory)
	r, err := f.Describe(m, d.Form, family.Settings{DType: e.dtype})
	if err != nil {
		return eligen.Spec{}, err
	}
	d.Files = r.Files
	spec := r.Spec
	spec.Sizes = e.sizes(r)
	return spec, nil
}

// describedBackend returns what planning must know of a backend that isn't here.
func describedBackend(name string) backend.Info {
	info := backend.Info{Name: name}
	if kind, device, ok := strings.Cut(name, ":"); ok {
		info.Plugin = kind + "_" + device // as plugins are called, cuda's and the cpu's
	}
	return info
}
