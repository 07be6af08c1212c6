package eligen

import (
	"slices"
	"strings"
)

// A NamedPlan is the plan of one of several scenes.
type NamedPlan struct {
	Name string // what its addresses begin with: "night/rain"
	*Plan
}

// A PlannedScene is one of the scenes whose plans were joined.
type PlannedScene struct {
	Name   string // what its addresses begin with, before a colon
	Path   string // of the scene file
	Stages []Ref  // all that it needs, ascending
}

// together is how many scenes run the stages that come first before the rest of any of them.
const together = 256

// Join returns the plan of several scenes for one engine, whose folders are all below folder. Two scenes
// that make the same thing share its stage. The addresses of a scene's renders and stages begin with its
// name and a colon: "night/rain:render.rain.decode".
//
// Stages of Ops that are first, which read no others, run before the rest of hundreds of scenes: prompts,
// say, so that a model that is needed for them alone isn't loaded again for each scene.
//
// Scenes that write the same file are among the diagnostics, and the plan must not be applied.
func Join(folder string, scenes []NamedPlan, first func(Op) bool) (*Plan, Diagnostics) {
	p := &Plan{Scene: folder, Folder: folder, index: map[Digest]Ref{}}
	var ds Diagnostics
	writers := map[string]PlannedOutput{} // by the files
	for chunk := range slices.Chunk(scenes, together) {
		at := make([][]Ref, len(chunk))
		for k, s := range chunk {
			at[k] = make([]Ref, len(s.Stages))
			p.take(s, at[k], first)
		}
		for k, s := range chunk {
			p.take(s, at[k], func(op Op) bool { return !first(op) })
			p.conclude(s, at[k])
			for _, o := range s.Outputs {
				key := strings.ToLower(o.Path) // as some systems compare names
				if other, ok := writers[key]; ok && other.Source.File != o.Source.File {
					ds.Errorf(&o.Source, "Duplicate output", "%s is written by another scene, too. Give one of the two another path.", o.Path).
						Note(other.Source, "written here, too")
				}
				writers[key] = o
			}
		}
	}
	return p, ds
}

// take adds the stages of a scene whose Ops are wanted, and notes where they have gone.
func (p *Plan) take(scene NamedPlan, at []Ref, wanted func(Op) bool) {
	for i, s := range scene.Stages {
		if !wanted(s.Op) {
			continue
		}
		if ref, ok := p.index[s.Digest]; ok {
			at[i] = ref
			continue
		}
		inputs := make([]Ref, len(s.Inputs))
		for k, in := range s.Inputs {
			inputs[k] = at[in]
		}
		at[i] = Ref(len(p.Stages))
		s.Name, s.Inputs = scene.Name+":"+s.Name, inputs
		p.Stages, p.index[s.Digest] = append(p.Stages, s), at[i]
	}
}

// conclude adds all else of a scene, whose stages have gone to at.
func (p *Plan) conclude(scene NamedPlan, at []Ref) {
	p.Engine = scene.Engine
	for _, r := range scene.Renders {
		r.Address = scene.Name + ":" + r.Address
		p.Renders = append(p.Renders, r)
	}
	for _, o := range scene.Outputs {
		o.Stage = at[o.Stage]
		if o.Render != "" { // a contact sheet's
			o.Render = scene.Name + ":" + o.Render
		}
		p.Outputs = append(p.Outputs, o)
	}
	for _, c := range scene.Checks {
		check := *c.Check
		check.Address = scene.Name + ":" + check.Address
		values := make([][]Ref, len(c.Values))
		for i, refs := range c.Values {
			for _, r := range refs {
				values[i] = append(values[i], at[r])
			}
		}
		p.Checks = append(p.Checks, PlannedCheck{&check, values})
	}
	stages := slices.Clone(at)
	slices.Sort(stages)
	p.Scenes = append(p.Scenes, PlannedScene{scene.Name, scene.Scene, slices.Compact(stages)})
}
