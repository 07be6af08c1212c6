package app

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/model/weights"
)

// A sourced is a source of weights in a scene.
type sourced struct {
	source string
	part   string // of the model, or what kind of adapter it is
	at     *eligen.Source
}

// eachSource calls f for every source of weights of a scene's renders, and puts what it returns in its place.
func eachSource(scene *eligen.Scene, f func(sourced) string) {
	for i := range scene.Renders {
		r := &scene.Renders[i]
		m := &r.Model
		if m.Path != "" {
			m.Path = f(sourced{m.Path, eligen.PartModel, m.Where("source")})
		}
		m.Parts = maps.Clone(m.Parts) // renders share them
		for _, part := range slices.Sorted(maps.Keys(m.Parts)) {
			m.Parts[part] = f(sourced{m.Parts[part], part, m.Where(part)})
		}
		r.Adapters = slices.Clone(r.Adapters)
		for j := range r.Adapters {
			a := &r.Adapters[j]
			if a.Path != "" && a.Path != eligen.InContext {
				a.Path = f(sourced{a.Path, adapterPart(*a), a.Where("source")})
			}
			if a.Encoder != "" {
				a.Encoder = f(sourced{a.Encoder, eligen.PartVision, a.Where("encoder")})
			}
		}
	}
}

// adapterPart returns what the weights of an adapter are for.
func adapterPart(a eligen.Adapter) string {
	if a.Kind == "ip" {
		return eligen.PartIPAdapter
	}
	return eligen.PartLoRA
}

// published reports whether a scene names a repository.
func published(scene *eligen.Scene) (yes bool) {
	eachSource(scene, func(s sourced) string {
		_, ok := eligen.ParseRepo(s.source)
		yes = yes || ok
		return s.source
	})
	return yes
}

// pin has a scene use the revisions of repositories that the lock next to it pins. It warns of those that
// are at another revision by now, as far as the cache knows.
func (a *App) pin(scene *eligen.Scene) (eligen.Diagnostics, error) {
	if a.sources == nil || !published(scene) {
		return nil, nil
	}
	lock, ds := dsl.LoadLock(filepath.Dir(scene.Path))
	if err := ds.Err(); err != nil {
		return nil, err
	}
	settings, err := a.sources.settings()
	if err != nil {
		return nil, err
	}
	var warnings eligen.Diagnostics
	eachSource(scene, func(s sourced) string {
		r, ok := eligen.ParseRepo(s.source)
		if !ok {
			return s.source
		}
		pin := lock.Pin(r.Whole())
		if pin == nil || r.Fixed() {
			return s.source
		}
		if at, err := settings.Locate(hubRepo(r), r.Revision); err == nil && at.Commit != "" && at.Commit != pin.Revision {
			warnings.Warnf(s.at, movedSummary, "%s is at %s now, and %s pins %s, which the scene keeps. To take the newer one, run\n\n"+
				"    eligen apply %s --pull=newest", r.Whole(), shortCommit(at.Commit), eligen.LockName, shortCommit(pin.Revision), scene.Path)
		}
		r.Revision = pin.Revision
		a.sources.know(r.Whole(), *pin)
		return r.String()
	})
	return warnings.Fold(), nil
}

const movedSummary = "Repository has moved"

func shortCommit(s string) string { return s[:min(len(s), 12)] }

// pinsHold returns an IntegrityError where files of the repositories that a scene uses are not those of the
// lock next to it.
func (a *App) pinsHold(scene *eligen.Scene) error {
	if a.sources == nil || !published(scene) {
		return nil
	}
	lock, ds := dsl.LoadLock(filepath.Dir(scene.Path))
	if err := ds.Err(); err != nil {
		return err
	}
	settings, err := a.sources.settings()
	if err != nil {
		return err
	}
	var wrong eligen.Diagnostics
	seen := map[string]bool{}
	eachSource(scene, func(s sourced) string {
		r, ok := eligen.ParseRepo(s.source)
		if !ok || seen[r.Whole()] {
			return s.source
		}
		seen[r.Whole()] = true
		for _, pin := range lock.Weights {
			if p, ok := eligen.ParseRepo(pin.Repo); ok && p.Hub == r.Hub && p.ID == r.ID && pin.Revision == r.Revision {
				pinHolds(settings, r, pin, &wrong)
			}
		}
		return s.source
	})
	if len(wrong) > 0 {
		return &IntegrityError{wrong}
	}
	return nil
}

// pinHolds compares the files of a repository that are in the cache with what is pinned of them.
func pinHolds(settings hub.Settings, r eligen.Repo, pin eligen.LockedRepo, wrong *eligen.Diagnostics) {
	for _, f := range pin.Files {
		at, err := settings.Locate(hubRepo(r), r.Revision, f.Name)
		if err != nil || at.Paths[f.Name] == "" {
			continue // the engine says what it lacks
		}
		d, err := weights.Digest(at.Paths[f.Name])
		if err == nil && d == f.SHA256 {
			continue
		}
		what := fmt.Sprintf("it is %s here", d.Short())
		if err != nil {
			what = err.Error()
		}
		wrong.Errorf(&f.Source, "Weights are not those of the lock",
			"%s of %s is pinned as %s, and %s. The file is damaged, or another program put "+
				"it there. Get it anew:\n\n    %s --check", f.Name, r.Whole(), f.SHA256.Short(), what, pullCommand(r))
	}
}
