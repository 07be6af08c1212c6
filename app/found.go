package app

import (
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/model/weights"
)

// A FoundModel is weights on this machine that a scene can name as a model's source.
type FoundModel struct {
	Source string `json:"source"` // as a scene says it: "comfyui:flux1-dev-fp8.safetensors"
	What   string `json:"what"`   // "FLUX transformer", "all-in-one file", or the family of a repository
}

// mostLooked is how many of ComfyUI's files are looked into.
const mostLooked = 256

// found lists the models in ComfyUI's folders and in the hubs' caches. It reads headers alone. Files that are no
// transformer of a family that eligen runs are left out.
func (a *App) found() ([]FoundModel, error) {
	list := []FoundModel{}
	machine, err := a.sources.machine()
	if err != nil {
		return nil, err
	}
	for _, in := range machine.Installs {
		files := in.Files(eligen.PartModel)
		for _, name := range files[:min(len(files), mostLooked)] {
			path, err := machine.Path(eligen.PartModel, name)
			if err != nil {
				continue // two of one name
			}
			if r, err := inspect.Path(path); err == nil && r.Problem == "" && holdsTransformer(r) {
				f := FoundModel{eligen.ComfyUI + name, r.Title}
				if !slices.Contains(list, f) {
					list = append(list, f)
				}
			}
		}
	}
	client, err := a.hubClient()
	if err != nil {
		return nil, err
	}
	cached, err := client.Cached()
	if err != nil {
		return nil, err
	}
	for _, c := range cached {
		for _, v := range c.Revisions {
			if family, _ := a.options.Families.Wanted(v.Files); family != "" {
				list = append(list, FoundModel{c.Repo.String(), "repository, " + family})
				break
			}
		}
	}
	return list, nil
}

func holdsTransformer(r inspect.Report) bool {
	return r.Kind == weights.KindTransformer || slices.ContainsFunc(r.Parts, holdsTransformer)
}
