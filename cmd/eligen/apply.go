package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/file"
	"github.com/eligen/eligen/tui"
)

// applyOptions are the flags of `eligen apply`.
type applyOptions struct {
	makeOptions
	progressOptions
	force       bool
	open        bool
	watch       bool
	parallelism int
}

func newApply() *cobra.Command {
	var o applyOptions
	c := &cobra.Command{
		Use:   "apply SCENE",
		Short: "Make a scene's pictures",
		Long: `Make a scene's pictures. What is in the store isn't made again, and an interrupted run goes on where it stopped.

With --watch it goes on until ctrl+c, and renders again whenever the scene is saved: first with a quarter of the steps, as a draft in the picture's place, then with all. What is outdated by a newer save is given up.

The paths of the pictures go to standard output, all else to standard error. A file that eligen did not write is not replaced, unless --force is given. The run's events are kept in the store's folder "runs".`,
		Example: `eligen apply scenes/rain.hcl
eligen apply scenes/rain.hcl --seed 7 --backend xla:cpu
eligen apply scenes/rain.hcl --seed 1..4 --out tries
eligen apply scenes/dressed.hcl --var colour=orange
# see the picture change as the scene is written
eligen apply --watch scenes/rain.hcl
# the layout in flat colours, at once
eligen apply scenes/seven.hcl --engine paint`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.makeOptions.flags(c)
	o.progressOptions.flags(c)
	c.Flags().IntVar(&o.parallelism, "parallelism", 0, "at most `N` stages at a time (default: one that calls the engine, and others at the same time)")
	c.Flags().BoolVar(&o.force, "force", false, "replace files that eligen did not write")
	c.Flags().BoolVar(&o.open, "open", false, "open the pictures in the system's viewer")
	c.Flags().BoolVar(&o.watch, "watch", false, "render again whenever the scene is saved: first a draft of fewer steps, then all")
	c.MarkFlagsMutuallyExclusive("watch", "open")
	c.MarkFlagsMutuallyExclusive("watch", "replace")
	return c
}

func (o *applyOptions) run(c *cobra.Command, args []string) (err error) {
	if o.parallelism < 1 && c.Flags().Changed("parallelism") {
		return usageError{fmt.Errorf("--parallelism %d: choose a number from 1, or leave it out for the default", o.parallelism)}
	}
	e, err := o.planOptions.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if o.watch {
		return o.follow(c, e, args[0])
	}
	show, done, err := o.screen(c)
	if err != nil {
		return err
	}
	var warnings eligen.Diagnostics // events, as soon as there is a run to have them
	o.warn = func(ds eligen.Diagnostics) { warnings = append(warnings, ds...) }
	begun := false
	defer func() {
		if !begun {
			diagnose(c.ErrOrStderr(), warnings)
		}
	}()
	p, err := o.plan(c, e, args[0])
	if err != nil {
		return err
	}
	warnings = warnings.Fold()
	again, err := replaced(p, o.replace)
	if err != nil {
		return err
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	wrote := map[string]bool{}
	paths := func(e eligen.Event) {
		begun = true
		if e.Type == eligen.Wrote {
			wrote[e.Path] = true
		}
	}
	r := runtime.Runner{
		Store: store, Engine: e, Force: o.force, Recognise: untouched, Emit: eligen.Tee(show, paths),
		Parallelism: o.parallelism, Replace: again, Warnings: warnings,
	}
	err = r.Apply(c.Context(), p)
	done()
	if begun {
		annotate(c.ErrOrStderr(), warnings)
	}
	files := o.hand(c, p, store, wrote)
	if err == nil {
		err = checks(c.ErrOrStderr(), p, store)
	}
	if err == nil && o.open {
		err = open(c.Context(), files)
	}
	return reported(err)
}

// hand hands over what a run has written: pictures to a terminal, paths to standard
// output, in the plan's order, since stages beside each other end in any. It returns
// each render's first file.
func (o *applyOptions) hand(c *cobra.Command, p *eligen.Plan, store *file.Store, wrote map[string]bool) []string {
	if look := screenLook(c); look != nil && !o.json && o.progress != "none" {
		pictures, more := thumbnails(p, store, wrote)
		fmt.Fprint(page.Bare(c.ErrOrStderr()), tui.Pictures(pictures, more, *look))
	}
	var files []string
	seen := map[string]bool{}
	for _, f := range p.Outputs {
		if !wrote[f.Path] {
			continue
		}
		if !o.json {
			fmt.Fprintln(c.OutOrStdout(), f.Path)
		}
		if render, _, _ := strings.Cut(f.Render, ".frame["); !seen[render] {
			seen[render] = true
			files = append(files, f.Path)
		}
	}
	return files
}

// reported is a run's error less the failures of stages, which a front end has
// shown already.
func reported(err error) error {
	var failed *runtime.StageError
	if !errors.As(err, &failed) {
		return err
	}
	return exit{code: stageExit(err)}
}
