package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/layouts"
)

// A LayoutExport says which renders' layouts to write in another program's form.
type LayoutExport struct {
	Input            // a scene, or a layout that ReadLayout reads
	Targets []string // as a PlanRequest's
	To      string   // one of layouts.Targets
	Base    string   // of the file's name, without its ending
}

// A WrittenLayout is a file of an export, and the renders that it holds.
type WrittenLayout struct {
	*layouts.Export
	Name string // of the render; "" where the file holds several
}

// ExportLayout writes the layouts of renders in another program's form: a file a render, where the
// form holds one.
func (a *App) ExportLayout(ctx context.Context, r LayoutExport) ([]WrittenLayout, eligen.Diagnostics, error) {
	if !strings.HasSuffix(strings.ToLower(r.Path), ".hcl") && !strings.HasSuffix(strings.ToLower(r.Path), ".hcl.json") {
		dir, err := a.unpackLayout(ctx, &r)
		if err != nil {
			return nil, nil, err
		}
		defer os.RemoveAll(dir)
	}
	views, ds, err := a.views(ctx, r)
	if err != nil {
		return nil, ds, err
	}
	if layouts.HoldsSeveral(r.To) {
		e, err := layouts.ExportTo(r.To, r.Base, views)
		return []WrittenLayout{{e, ""}}, ds, err
	}
	var out []WrittenLayout
	for _, v := range views {
		base := r.Base
		if len(views) > 1 {
			base += "-" + v.Name
		}
		e, err := layouts.ExportTo(r.To, base, []layouts.View{v})
		if err != nil {
			return nil, ds, err
		}
		out = append(out, WrittenLayout{e, v.Name})
	}
	return out, ds, nil
}

// unpackLayout makes a scene of another program's layout, in a folder of its own.
func (a *App) unpackLayout(ctx context.Context, r *LayoutExport) (dir string, err error) {
	reading, err := a.ReadLayout(LayoutFile{Path: r.Path})
	if err != nil {
		return "", err
	}
	if reading.Verdict != layouts.Import {
		return "", fmt.Errorf("%s leaves something open; import it as a scene first: %s", r.Path, strings.Join(reading.Ask, "; "))
	}
	if dir, err = os.MkdirTemp("", "eligen-export-"); err != nil {
		return "", err
	}
	at := filepath.Join(dir, "scene.hcl")
	made, err := a.WriteLayout(ctx, reading, at, layouts.Answer{})
	if err == nil {
		err = made.Save(at, false)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	r.Path = at
	return dir, nil
}

// views returns the renders that are to be exported, as they are planned.
func (a *App) views(ctx context.Context, r LayoutExport) ([]layouts.View, eligen.Diagnostics, error) {
	scene, warnings, err := a.Open(ctx, r.Input)
	if err != nil {
		return nil, warnings, err
	}
	list, ds, err := a.Layouts(ctx, LayoutRequest{Input: r.Input, Targets: r.Targets})
	if err == nil {
		err = ds.Err()
	}
	if err != nil {
		return nil, warnings, err
	}
	var out []layouts.View
	for _, l := range list {
		for i := range scene.Renders {
			if s := &scene.Renders[i]; s.Address == l.Render {
				out = append(out, viewOf(l, s))
			}
		}
	}
	if len(out) == 0 {
		return nil, warnings, errors.New(r.Path + " has no render block, so it has no layout")
	}
	return out, warnings, nil
}

// viewOf returns what a render and its layout say together.
func viewOf(l Layout, s *eligen.Render) layouts.View {
	v := layouts.View{Name: s.Name, Size: l.Size, Prompt: l.Prompt, Negative: s.Negative, Seed: s.Seed, Sampler: s.Sampler,
		Overlap: s.Overlap, Entities: l.Entities, Moves: l.Timeline != nil, Adapters: len(s.Adapters) > 0}
	if s.Key != "" {
		v.Name += "-" + s.Key
	}
	if s.Init != nil {
		v.Pictures = append(v.Pictures, "the picture of init")
	}
	if s.Inpaint != nil {
		v.Pictures = append(v.Pictures, "the picture of inpaint")
	}
	if s.Transfer != nil {
		v.Pictures = append(v.Pictures, "the pictures of transfer")
	}
	return v
}
