package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// A Layout is what a render's picture holds, and where.
type Layout struct {
	Render   string // address
	Size     eligen.Size
	Geometry eligen.Geometry // of the model; zero is eligen.DefaultGeometry
	Prompt   string
	Entities []eligen.Entity
	Timeline *eligen.Timeline // nil: nothing moves
}

// A LayoutRequest says which renders' layouts are wanted.
type LayoutRequest struct {
	Input
	Targets []string // as a PlanRequest's
}

// Layouts returns the layouts of a scene's renders, without making anything: no layout where the scene
// has mistakes, which are among the diagnostics. The error is ctx's.
func (a *App) Layouts(ctx context.Context, r LayoutRequest) ([]Layout, eligen.Diagnostics, error) {
	scene, problems, err := a.load(ctx, r.Input)
	if err != nil {
		return nil, nil, err
	}
	if !problems.HasErrors() {
		if err := target(scene, r.Targets); err != nil {
			problems.Errorf(nil, "No such render", "%v.", err)
		}
	}
	if problems.HasErrors() {
		return nil, problems, nil
	}
	e := a.painter()
	p, ds, err := planned(ctx, scene, e.ID(), e.Spec, planner.Options{})
	if err != nil {
		return nil, nil, err
	}
	if problems = append(problems, ds...); ds.HasErrors() {
		return nil, problems, nil
	}
	return layoutsOf(sketches(scene, p)), problems, nil
}

// Layouts returns the layouts of the plan's renders.
func (p *Plan) Layouts() []Layout { return layoutsOf(sketches(p.Scene, p.Plan)) }

func layoutsOf(list []sketch) []Layout {
	var out []Layout
	for _, k := range list {
		out = append(out, k.Layout)
	}
	return out
}

// A sketch is what is drawn of a render without making it.
type sketch struct {
	Layout
	render *eligen.Render
	still  still.Resolved // frame 0's, of a clip
	clip   *clip.Resolved // nil: nothing moves
	path   string         // of the render's first file, from the plan's folder
	source eligen.Source  // of that file
}

// sketches returns the renders of a scene as they are planned: with all of their entities, those too
// that are off the canvas at first.
func sketches(scene *eligen.Scene, p *eligen.Plan) []sketch {
	planned := map[string]sketch{}
	add := func(op eligen.Op) {
		k := resolvedOf(op)
		if old, ok := planned[k.Render]; k.Render != "" && (!ok || old.clip == nil) {
			planned[k.Render] = k
		}
	}
	for _, s := range p.Stages {
		add(s.Op)
		if s.Record != nil {
			add(s.Record)
		}
	}
	var out []sketch
	for i := range scene.Renders {
		r := &scene.Renders[i]
		k, ok := planned[r.Address]
		if !ok {
			continue
		}
		k.render, k.Prompt, k.Entities = r, r.Prompt, slices.Clone(r.Entities)
		if r.Overlap != "over" && r.Overlap != "layered" { // elsewhere z says nothing
			for i := range k.Entities {
				k.Entities[i].Z, k.Entities[i].Occludes = 0, nil
			}
		}
		if r.Clip != nil {
			k.Timeline = &r.Clip.Timeline
		}
		k.path, k.source = r.Outputs[0].Path, r.Outputs[0].Source
		out = append(out, k)
	}
	return out
}

// resolvedOf returns what an Op says of the render that it makes a file of. Render is "" where it makes
// none.
func resolvedOf(op eligen.Op) (k sketch) {
	if r, ok := clip.ResolvedOf(op); ok {
		k.Render, k.Size, k.clip = r.Render, r.Size, &r
		_ = json.Unmarshal(r.First, &k.still) // it was made a moment ago
	} else if r, ok := still.ResolvedOf(op); ok {
		k.Render, k.Size, k.still = r.Render, r.Size, r
	}
	k.Geometry = k.still.Cut()
	return k
}

// A Preview is a plan of pictures of layouts.
type Preview struct {
	Plan    *Plan    // apply it with Unrecorded, and Unwritten for the store only
	Layouts []Layout // of the plan's files, one each
}

// Preview plans a picture of each render's layout, to be written next to its first file. It returns
// warnings too; mistakes are an error of type eligen.Diagnostics.
func (a *App) Preview(ctx context.Context, r LayoutRequest) (*Preview, eligen.Diagnostics, error) {
	scene, warnings, err := a.Open(ctx, r.Input)
	if err != nil {
		return nil, warnings, err
	}
	if err := target(scene, r.Targets); err != nil {
		return nil, warnings, err
	}
	if len(scene.Renders) == 0 {
		return nil, warnings, errors.New(r.Path + " has no render block, so it has no layout")
	}
	scene.Checks = nil // they are about pictures that a model has made
	e := a.painter()
	p, ds, err := planned(ctx, scene, e.ID(), e.Spec, planner.Options{})
	if err != nil {
		return nil, warnings, err
	}
	if err := ds.Err(); err != nil {
		return nil, warnings, err
	}
	list := sketches(scene, p)
	out := &Preview{Plan: &Plan{Plan: previewPlan(list, p), Scene: scene, engine: e}, Layouts: layoutsOf(list)}
	return out, append(warnings, ds...), nil
}

// Layout returns the layout of a render, or nil.
func (p *Preview) Layout(render string) *Layout {
	for i := range p.Layouts {
		if p.Layouts[i].Render == render {
			return &p.Layouts[i]
		}
	}
	return nil
}
