package app

import (
	"context"
	"os"
	"path/filepath"

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
	// Below, where it is set, is the folder below which weights lie that the scene names by paths: those
	// elsewhere are refused, as where strangers write scenes. Repositories and ComfyUI's files are as ever.
	Below string
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
		if ds, err = a.judge(ctx, scene, ds); err == nil {
			err = ds.Err()
		}
		return nil, nil, err
	}
	return scene, ds, nil
}

// load reads a scene, and returns all that was found: with mistakes, the scene is what could be read, or
// nil. The error is ctx's, or ErrClosed.
func (a *App) load(ctx context.Context, in Input) (*eligen.Scene, eligen.Diagnostics, error) {
	if err := a.begin(); err != nil {
		return nil, nil, err
	}
	defer a.running.Done()
	type loaded struct {
		scene *eligen.Scene
		ds    eligen.Diagnostics
	}
	l, err := await(ctx, func() (l loaded) {
		l.scene, l.ds = dsl.LoadPartial(ctx, in.Path, a.vars(in))
		if l.scene != nil && in.Below != "" {
			l.ds = append(l.ds, weightsBelow(l.scene, in.Below)...).Tidy()
		}
		return l
	})
	return l.scene, l.ds, err
}

// judge plans what was loaded for the paint engine, and returns all that is wrong with it. It reads
// no scene again, which may have been saved since. The error is ctx's.
func (a *App) judge(ctx context.Context, scene *eligen.Scene, found eligen.Diagnostics) (eligen.Diagnostics, error) {
	if scene == nil {
		return found, nil
	}
	e := a.painter()
	_, more, err := planned(ctx, scene, e.ID(), e.Spec, planner.Options{})
	if err != nil {
		return nil, err
	}
	return append(found, more...).Tidy(), nil
}

// Validate returns everything that is wrong with a scene, warnings included: mistakes in how it is
// written, and, planned for the paint engine, in what it means. Weights are not looked for, nor what
// they alone decide: whether they are there, whole and fit one another, whether the model takes guidance,
// and whether the machine has the memory, and a program to write videos. The error is ctx's.
func (a *App) Validate(ctx context.Context, in Input) (eligen.Diagnostics, error) {
	if _, err := os.Stat(in.Path); err == nil && IsLock(in.Path) {
		_, ds := dsl.LoadLock(filepath.Dir(in.Path))
		return ds, nil
	}
	scene, ds, err := a.load(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.judge(ctx, scene, ds)
}

// IsLock reports whether a path is that of a lock, which lies among scenes and is none.
func IsLock(path string) bool { return filepath.Base(path) == eligen.LockName }

// Evaluate evaluates an expression against a scene, and returns its value as a scene writes it. name
// and line say in messages where the expression stands.
type Evaluate = dsl.Evaluate

// Console opens a scene and calls use once, with a function that evaluates expressions against it. It
// returns what is wrong with the scene.
func (a *App) Console(ctx context.Context, in Input, use func(Evaluate)) eligen.Diagnostics {
	return dsl.Console(ctx, in.Path, a.vars(in), use)
}
