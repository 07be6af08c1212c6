package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
)

// newApp returns the operations, set up by the environment and a command's flags.
func newApp(flags *pflag.FlagSet) *app.App { return app.New(options(flags)) }

// options returns what the environment and a command's flags say of operations.
func options(flags *pflag.FlagSet) app.Options {
	dir, err := cacheDir()
	if err != nil {
		dir = "" // operations that need it return ErrNoFolder
	}
	o := app.Options{Folder: dir, Env: os.LookupEnv, Cache: os.Getenv("ELIGEN_CACHE")}
	if f := flags.Lookup("cache"); f != nil {
		if f.Changed {
			o.Cache = f.Value.String()
		}
		o.CacheReadOnly, _ = flags.GetBool("cache-read-only") // a worker has none
	}
	o.Queue = queueOptions(flags)
	return o
}

// withApp returns a command that runs with the operations, and closes them when it ends.
func withApp(run func(c *cobra.Command, a *app.App, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		o := options(c.Flags())
		t := observe(c, &o)
		a := app.New(o)
		defer func() { err = errors.Join(err, a.Close()) }()
		if t != nil {
			defer t.end(c)
			t.count(a, o)
		}
		return run(c, a, args)
	}
}

// sceneOptions are the flags of every command that reads a scene.
type sceneOptions struct {
	vars      []string
	files     []string
	maxFrames int
}

func (o *sceneOptions) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.vars, "var", nil, "set a variable of the scene: `NAME=VALUE`; may be repeated")
	completed(c, "var", completeVars)
	c.Flags().StringArrayVar(&o.files, "var-file", nil, "read variables from `FILE`; may be repeated")
	c.Flags().IntVar(&o.maxFrames, "max-frames", dsl.MaxFrames, "let a timeline have at most `N` frames")
}

// input returns the scene at path, with the values that flags give.
func (o *sceneOptions) input(path string) app.Input {
	return app.Input{Path: path, Vars: o.vars, VarFiles: o.files, MaxFrames: o.maxFrames}
}

// warned prints warnings.
func warned(c *cobra.Command, ds eligen.Diagnostics) { diagnose(c.ErrOrStderr(), ds) }

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
	o.targetFlag(c)
	f.StringVar(&o.seed, "seed", "", "use seed `N` for every render; with several (1..4 or 1,5,9), render each and lay them side by side")
	backendFlag(f, &o.backend)
	f.StringVar(&o.engine, "engine", "model", "make pictures with `ENGINE`: model, or paint (each region in a flat colour)")
	choices(c, "engine", app.Engines...)
	choices(c, "backend", "go", "xla:cpu", "xla:cuda")
}

// backendFlag adds the flag that chooses what models run on.
func backendFlag(f *pflag.FlagSet, value *string) {
	f.StringVar(value, "backend", "",
		"run models on `BACKEND`: go, xla:cpu or xla:cuda (default GOMLX_BACKEND, else the installed one, else go)")
}

func (o *planOptions) targetFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.targets, "target", nil, "only this `RENDER`: render.name or 'render.name[\"key\"]'; may be repeated")
	completed(c, "target", o.completeTargets)
}

// request returns what the flags ask for.
func (o *planOptions) request(c *cobra.Command, path string) (app.PlanRequest, error) {
	r := app.PlanRequest{Input: o.input(path), Engine: o.engine, Backend: o.backend, Targets: o.targets}
	if o.engine == "" {
		return r, app.Unknown("engine", "", "engine", app.Engines)
	}
	if !c.Flags().Changed("seed") {
		return r, nil
	}
	var err error
	r.Seeds, err = readSeeds(o.seed)
	return r, err
}

// makeOptions are the flags of commands that make or plan pictures.
type makeOptions struct {
	planOptions
	memory  string
	out     string
	frames  string
	shard   string
	replace []string
}

func (o *makeOptions) flags(c *cobra.Command) {
	o.planOptions.flags(c)
	f := c.Flags()
	f.StringVar(&o.memory, "memory", "", "limit a render's memory to `SIZE`, such as 16GiB, or any for no limit (default the machine's)")
	f.StringVar(&o.out, "out", "", "write below `DIR` instead of the scene's folder: out/x.png becomes DIR/out/x.png")
	f.StringVar(&o.frames, "frames", "", "only these `FRAMES` of clips, such as 0-7,20; files made of all frames stay as they are")
	cacheFlags(f)
	f.StringVar(&o.shard, "shard", "",
		"only one machine's `PART` of the pictures, such as 1/4; auto takes it from the scheduler's variables")
	f.StringArrayVar(&o.replace, "replace", nil, "make this `STAGE` again, or all stages of a render, though cached; may be repeated")
}

// cacheFlags adds the flags of a cache that machines share, which newApp reads.
func cacheFlags(f *pflag.FlagSet) {
	cacheFlag(f)
	f.Bool("cache-read-only", false, "take results from the cache, and give it none")
}

// cacheFlag adds the flag that names the cache.
func cacheFlag(f *pflag.FlagSet) {
	f.String("cache", "", "share results with other machines through the cache at `URL`, of a server or a bucket (default ELIGEN_CACHE)")
}

// request returns what the flags ask for.
func (o *makeOptions) request(c *cobra.Command, path string) (app.PlanRequest, error) {
	r, err := o.planOptions.request(c, path)
	if err != nil {
		return r, err
	}
	if own, _ := c.Flags().GetBool("cache-read-only"); own && c.Flag("cache").Value.String() == "" && os.Getenv("ELIGEN_CACHE") == "" {
		return r, &app.InputError{Field: "cache-read-only", Problem: "there is no cache: name one with --cache, or remove this flag"}
	}
	r.Out, r.Replace = o.out, o.replace
	if r.Frames, err = readFrames(o.frames); err != nil {
		return r, err
	}
	if r.Shard, err = app.ReadShard(o.shard, os.LookupEnv); err != nil {
		return r, err
	}
	r.MemoryFrom = "--memory"
	r.Memory, err = readMemory(o.memory)
	return r, err
}

// scenes returns what the flags ask for of one scene or several.
func (o *makeOptions) scenes(c *cobra.Command, args []string) (r app.ScenesRequest, err error) {
	paths, several, err := app.Scenes(args)
	if err != nil {
		return r, err
	}
	if several {
		r.Paths = paths
	}
	r.PlanRequest, err = o.request(c, paths[0])
	return r, err
}

// flagged returns err with the name of the flag in place of a request's field.
func flagged(err error) error {
	var input *app.InputError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &input) && slices.Contains([]string{"repository", "kit"}, input.Field): // an argument, which the message names
		return argumentError{input}
	case errors.As(err, &input):
		return fmt.Errorf("--%w", input)
	case errors.Is(err, app.ErrNoFolder):
		return fmt.Errorf("%w: set ELIGEN_CACHE_DIR", app.ErrNoFolder)
	}
	return err
}

// An argumentError is an InputError of what stands on the command line without a flag.
type argumentError struct{ *app.InputError }

func (e argumentError) Error() string {
	if e.Value == "" {
		return e.Problem
	}
	return e.Value + ": " + e.Problem
}

// Unwrap returns the InputError.
func (e argumentError) Unwrap() error { return e.InputError }
