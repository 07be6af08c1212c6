package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	modelengine "github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/store/file"
)

// sceneOptions are the flags of every command that reads a scene.
type sceneOptions struct {
	vars      []string
	files     []string
	maxFrames int

	warn func(eligen.Diagnostics) // takes warnings; nil prints them
}

func (o *sceneOptions) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.vars, "var", nil, "set a variable of the scene, as `NAME=VALUE`; may be repeated")
	completed(c, "var", completeVars)
	c.Flags().StringArrayVar(&o.files, "var-file", nil, "read variables from `FILE`; may be repeated")
	c.Flags().IntVar(&o.maxFrames, "max-frames", dsl.MaxFrames, "let a timeline have at most `N` frames")
}

// load reads a scene. Warnings are printed, mistakes are the error.
func (o *sceneOptions) load(c *cobra.Command, path string) (*eligen.Scene, error) {
	scene, ds, err := o.loaded(c.Context(), path)
	if err != nil {
		return nil, err
	}
	if err := ds.Err(); err != nil {
		return nil, err
	}
	o.warned(c, ds)
	return scene, nil
}

// values are what the flags say of a scene's variables and limits.
func (o *sceneOptions) values() dsl.Vars {
	return dsl.Vars{Set: o.vars, Files: o.files, Env: os.LookupEnv, MaxFrames: o.maxFrames, Families: families}
}

// families are the kinds of model that scenes may name.
var families = []eligen.Family{
	{Name: "nano"},
	{Name: "flux", Source: `the folder or file of its weights, as "./weights/FLUX.1-dev", or a repository, as "black-forest-labs/FLUX.1-dev"`},
}

// loaded reads a scene. The error is that of a context that has ended.
func (o *sceneOptions) loaded(ctx context.Context, path string) (scene *eligen.Scene, ds eligen.Diagnostics, err error) {
	err = await(ctx, func() { scene, ds = dsl.Load(ctx, path, o.values()) })
	return scene, ds, err
}

func (o *sceneOptions) warned(c *cobra.Command, ds eligen.Diagnostics) {
	if o.warn == nil {
		diagnose(c.ErrOrStderr(), ds)
		return
	}
	o.warn(ds)
}

// planOptions are the flags of every command that plans a scene.
type planOptions struct {
	sceneOptions
	targets []string
	seed    string
	backend string
	engine  string
}

func (o *planOptions) flags(c *cobra.Command) {
	o.sceneOptions.flags(c)
	f := c.Flags()
	f.StringArrayVar(&o.targets, "target", nil, "only this `RENDER`, as render.name or 'render.name[\"key\"]'; may be repeated")
	completed(c, "target", o.completeTargets)
	f.StringVar(&o.seed, "seed", "", "use seed `N` for every render; several, as 1..4 or 1,5,9, render each and lay them side by side")
	f.StringVar(&o.backend, "backend", "", "run models on `BACKEND`: go, xla:cpu or xla:cuda (default GOMLX_BACKEND, or the installed one, or go)")
	f.StringVar(&o.engine, "engine", "model", "make pictures with `ENGINE`: model, or paint (each region in a flat colour, to look at a layout)")
	choices(c, "engine", "model", "paint")
	choices(c, "backend", "go", "xla:cpu", "xla:cuda")
}

// A engine is what a scene is planned for and applied with.
type engine struct {
	eligen.Engine
	close func() error
}

// open makes the engine. It reads no weights and starts no backend: a plan
// whose results are all in the store needs neither.
func (o *planOptions) open() (engine, error) {
	switch o.engine {
	case "paint":
		return engine{paint.Engine{}, func() error { return nil }}, nil
	case "model":
		e, err := modelengine.New(modelengine.Options{Backend: o.backend})
		if err != nil {
			return engine{}, err
		}
		return engine{e, e.Close}, nil
	}
	return engine{}, fmt.Errorf("there is no engine %q; there is model, and paint", o.engine)
}

// makeOptions are the flags of commands that make pictures, or say how.
type makeOptions struct {
	planOptions
	memory  string
	out     string
	frames  string
	replace []string
}

func (o *makeOptions) flags(c *cobra.Command) {
	o.planOptions.flags(c)
	f := c.Flags()
	f.StringVar(&o.memory, "memory", "", "let a render take at most `SIZE` of memory, as 16GiB, or any (default: the machine's)")
	f.StringVar(&o.out, "out", "", "write below `DIR` instead of the scene's folder: out/x.png becomes DIR/out/x.png")
	f.StringVar(&o.frames, "frames", "", "only these `FRAMES` of clips, as 0-7,20; files made of all frames are then left alone")
	f.StringArrayVar(&o.replace, "replace", nil, "make this `STAGE`, or all of a render's, again though it is in the store; may be repeated")
}

// plan is planOptions' plan, by these flags.
func (o *makeOptions) plan(c *cobra.Command, e engine, path string) (*eligen.Plan, error) {
	scene, err := o.read(c, path)
	if err != nil {
		return nil, err
	}
	return o.planScene(c, e, scene)
}

func (o *makeOptions) planScene(c *cobra.Command, e engine, scene *eligen.Scene) (*eligen.Plan, error) {
	memory, err := memory(o.memory, e.ID())
	if err != nil {
		return nil, err
	}
	frames, err := readFrames(o.frames)
	if err != nil {
		return nil, err
	}
	ds, err := frames.check(scene.Renders)
	if err != nil {
		return nil, err
	}
	o.warned(c, ds)
	return o.buildWith(c, e, scene, planner.Options{Memory: memory.bytes, MemoryFrom: memory.from, Out: o.out, Frames: frames.only()})
}

// plan reads a scene and plans what was asked for of it. Warnings are printed,
// mistakes are the error.
func (o *planOptions) plan(c *cobra.Command, e engine, path string) (*eligen.Plan, error) {
	scene, err := o.read(c, path)
	if err != nil {
		return nil, err
	}
	return o.build(c, e, scene)
}

// read reads a scene, and leaves what was asked for of it.
func (o *planOptions) read(c *cobra.Command, path string) (*eligen.Scene, error) {
	scene, err := o.load(c, path)
	if err != nil {
		return nil, err
	}
	if len(scene.Renders) == 0 {
		var ds eligen.Diagnostics
		ds.Errorf(&eligen.Source{File: path}, "Nothing to render", "The scene has no render block.%s", recipesHint(scene))
		return nil, ds
	}
	if err := o.target(scene); err != nil {
		return nil, err
	}
	if c.Flags().Changed("seed") {
		seeds, err := readSeeds(o.seed)
		if err != nil {
			return nil, err
		}
		if len(seeds) > 1 && len(scene.Checks) > 0 {
			var ds eligen.Diagnostics
			ds.Warnf(&scene.Checks[0].Source, "Checks are left out", "A check is about the scene's own seeds, and --seed %s tries others. With one seed, checks are tested.", o.seed)
			o.warned(c, ds)
		}
		sweep(scene, seeds)
	}
	return scene, nil
}

// build plans a scene. Warnings are printed, mistakes are the error.
func (o *planOptions) build(c *cobra.Command, e engine, scene *eligen.Scene) (*eligen.Plan, error) {
	return o.buildWith(c, e, scene, planner.Options{})
}

func (o *planOptions) buildWith(c *cobra.Command, e engine, scene *eligen.Scene, options planner.Options) (*eligen.Plan, error) {
	damaged := false
	options.Video = clip.Available
	p, ds, err := planned(c.Context(), scene, e.ID(), func(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
		spec, err := e.Spec(m, adapters)
		if err != nil {
			damaged = damaged || unsound(m.Path)
			for _, a := range adapters {
				damaged = damaged || unsound(a.Path) || unsound(a.Encoder)
			}
		}
		return spec, err
	}, options)
	if err != nil {
		return nil, err
	}
	if err := ds.Err(); err != nil && damaged {
		return nil, exit{exitIntegrity, err}
	} else if err != nil {
		return nil, err
	}
	o.warned(c, ds)
	return p, nil
}

// planned is [planner.Build]. The error is that of a context that has ended.
func planned(ctx context.Context, scene *eligen.Scene, engineID string, spec func(eligen.Model, []eligen.Adapter) (eligen.Spec, error), o planner.Options) (p *eligen.Plan, ds eligen.Diagnostics, err error) {
	err = await(ctx, func() { p, ds = planner.Build(ctx, scene, engineID, spec, o) })
	return p, ds, err
}

func recipesHint(s *eligen.Scene) string {
	if len(s.Recipes) == 0 {
		return ""
	}
	return fmt.Sprintf(" It has a recipe: run it with\n\n    eligen train %s", s.Path)
}

// target leaves only the renders that --target names.
func (o *planOptions) target(s *eligen.Scene) error {
	if len(o.targets) == 0 {
		return nil
	}
	var known []string
	for _, r := range s.Renders {
		known = append(known, r.Address)
	}
	for _, t := range o.targets {
		if !slices.ContainsFunc(known, func(a string) bool { return meant(t, a) }) {
			return fmt.Errorf("--target %s: the scene has no such render; it has %s", t, strings.Join(known, ", "))
		}
	}
	s.Renders = slices.DeleteFunc(s.Renders, func(r eligen.Render) bool {
		return !slices.ContainsFunc(o.targets, func(t string) bool { return meant(t, r.Address) })
	})
	return nil
}

// meant reports whether a target names a render: by its address, or all instances
// by that of the block.
func meant(target, address string) bool {
	block, _, _ := strings.Cut(address, "[")
	return target == address || target == block
}

// openStore opens the user's store of results.
func openStore() (*file.Store, error) {
	dir, err := cacheDir("store")
	if err != nil {
		return nil, err
	}
	return file.Open(dir)
}
