package app

import (
	"context"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/planner"
)

// An Input is a scene, and the values that its variables get from outside.
type Input struct {
	Path     string
	Vars     []string // name=value; they win over VarFiles
	VarFiles []string // paths of files of variables
	// Unsaved holds texts to read in place of files, as an editor has them, by paths that begin as
	// Path does; see [dsl.Vars]. The scene itself need not be on the disk, its folder must.
	Unsaved   map[string][]byte
	MaxFrames int // of a timeline; 0 is dsl.MaxFrames
}

func (a *App) vars(in Input) dsl.Vars {
	return dsl.Vars{Set: in.Vars, Files: in.VarFiles, Env: a.options.Env, MaxFrames: in.MaxFrames, Unsaved: in.Unsaved,
		Families: a.options.Families.Known()}
}

// Open reads a scene. It returns warnings; mistakes in the scene are an error of type
// eligen.Diagnostics. Once ctx has ended, the error is ctx's.
func (a *App) Open(ctx context.Context, in Input) (*eligen.Scene, eligen.Diagnostics, error) {
	scene, ds, err := a.load(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	if ds.HasErrors() {
		if ds, err = a.Validate(ctx, in); err == nil {
			err = ds.Err()
		}
		return nil, nil, err
	}
	return scene, ds, nil
}

// load reads a scene, and returns all that was found. The error is ctx's.
func (a *App) load(ctx context.Context, in Input) (scene *eligen.Scene, ds eligen.Diagnostics, err error) {
	err = await(ctx, func() { scene, ds = dsl.Load(ctx, in.Path, a.vars(in)) })
	return scene, ds, err
}

// Validate returns everything that is wrong with a scene, warnings included: mistakes in how it is
// written, and, planned for the paint engine, in what it means. Weights are not looked for, nor what
// they alone decide: whether they are there, whole and fit one another, whether the model takes guidance,
// and whether the machine has the memory, and a program to write videos. The error is ctx's.
func (a *App) Validate(ctx context.Context, in Input) (ds eligen.Diagnostics, err error) {
	err = await(ctx, func() {
		var scene *eligen.Scene
		if scene, ds = dsl.LoadPartial(ctx, in.Path, a.vars(in)); scene == nil {
			return
		}
		e := a.painter()
		_, more := planner.Build(ctx, scene, e.ID(), e.Spec, planner.Options{})
		ds = append(ds, more...).Tidy()
	})
	return ds, err
}

// Evaluate evaluates an expression against a scene, and returns its value as a scene writes it. name
// and line say in messages where the expression stands.
type Evaluate = dsl.Evaluate

// Console opens a scene and calls use once, with a function that evaluates expressions against it. It
// returns what is wrong with the scene.
func (a *App) Console(ctx context.Context, in Input, use func(Evaluate)) eligen.Diagnostics {
	return dsl.Console(ctx, in.Path, a.vars(in), use)
}
