package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/tui"
)

// applyOptions are the flags of `eligen apply`.
type applyOptions struct {
	makeOptions
	progressOptions
	weightsOptions
	force       bool
	open        bool
	watch       bool
	keepGoing   bool
	report      string
	parallelism int
	priority    int
	sign        string
	signer      app.Signer
}

func newApply() *cobra.Command { return applyCommand(&applyOptions{}) }

// applyCommand returns the command whose flags are options.
func applyCommand(o *applyOptions) *cobra.Command {
	c := &cobra.Command{
		Use:   "apply {SCENE|FOLDER}…",
		Short: "Render a scene, or many",
		Long: `Render a scene. Cached results are reused; an interrupted run resumes.

Several scenes, those of a folder (every *.hcl file below it with a render block) or of a pattern ('shots/*.hcl')
are one run: they share what is alike, and --shard and --queue divide them all. A mistake in one, or a stage that
fails, ends the run, unless you pass --keep-going. A report ends it: what was made of each, why some failed, and on
which machines. --report writes it as JSON.

With --watch, eligen renders again whenever you save the scene, until ctrl+c: first a draft with a quarter of
the steps, in the picture's place, then all steps. A newer save stops the render of an older one.

Nothing is downloaded, unless you pass --pull: it gets the weights of repositories (source = "owner/name") that
this machine lacks, and pins their revisions in eligen.lock.hcl.

With --queue, workers on other machines render (eligen worker), and this one writes the files.

The paths of the pictures go to standard output, everything else to standard error. A file that eligen did not
write stays, unless you pass --force. The store's folder "runs" keeps the events of every run.`,
		Example: `eligen apply scenes/rain.hcl
eligen apply scenes/rain.hcl --seed 7 --backend xla:cpu
eligen apply scenes/rain.hcl --seed 1..4 --out tries
eligen apply scenes/dressed.hcl --var colour=orange
# a dataset of scenes
eligen apply scenes --engine paint --keep-going --report report.json
# with the weights that the scene names, downloaded where they are missing
eligen apply scenes/rain.hcl --pull
# with signed copies, of which C2PA's tool is one way
eligen apply scenes/rain.hcl --sign 'c2patool {in} -m manifest.json -o {out}'
# on the workers of a queue
eligen apply scenes/drive.hcl --queue nats://render1
# see the picture change as the scene is written
eligen apply --watch scenes/rain.hcl
# the layout in flat colours, at once
eligen apply scenes/seven.hcl --engine paint`,
		Args:              some,
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.makeOptions.flags(c)
	o.progressOptions.flags(c)
	o.weightsOptions.flags(c)
	c.Flags().IntVar(&o.parallelism, "parallelism", 0, "maximum concurrent stages, `N` (default one on the engine, others alongside)")
	c.Flags().BoolVar(&o.force, "force", false, "replace files that eligen did not write")
	c.Flags().BoolVar(&o.open, "open", false, "open the pictures in the system's viewer")
	c.Flags().BoolVar(&o.watch, "watch", false, "render again whenever the scene is saved: first a draft, then all steps")
	c.Flags().StringVar(&o.sign, "sign", "", "write a signed copy of each file, NAME.signed.EXT, by this `COMMAND` with {in} and {out}")
	c.Flags().BoolVar(&o.keepGoing, "keep-going", false,
		"make all that can be made, though scenes have mistakes, stages fail or files can't be written")
	c.Flags().StringVar(&o.report, "report", "", "write what was made, and what failed, to `FILE` as JSON")
	queueFlags(c.Flags())
	c.Flags().IntVar(&o.priority, "priority", 0, "go before runs of a lower priority, `N`, in the queue")
	for _, pair := range [][2]string{{"queue", "shard"}, {"queue", "cache-read-only"}, {"watch", "open"}, {"watch", "sign"},
		{"watch", "replace"}, {"watch", "report"}} {
		c.MarkFlagsMutuallyExclusive(pair[0], pair[1])
	}
	return c
}

func (o *applyOptions) run(c *cobra.Command, a *app.App, args []string) error {
	r, err := o.request(c, args)
	if err != nil {
		return err
	}
	if err := o.fetchAll(c, a, r); err != nil {
		return err
	}
	if o.watch {
		return o.follow(c, a, r.PlanRequest)
	}
	show, done, err := o.screen(c, a)
	if err != nil {
		return err
	}
	p, warnings, err := a.PlanScenes(c.Context(), r)
	if err != nil {
		warned(c, warnings)
		return err
	}
	for _, left := range p.Left {
		diagnose(c.ErrOrStderr(), left.Problems)
	}
	begun := false
	run := o.applied(c, eligen.Tee(show, func(eligen.Event) { begun = true }))
	run.Warnings = warnings // as soon as there is a run to have them, they are its events
	made, err := a.Apply(c.Context(), p, run)
	done()
	if begun {
		annotate(c.ErrOrStderr(), warnings.Fold())
	} else {
		warned(c, warnings)
	}
	return reported(o.finish(c, a, p, made, err))
}

// request returns what the flags ask for.
func (o *applyOptions) request(c *cobra.Command, args []string) (app.ScenesRequest, error) {
	if o.parallelism < 1 && c.Flags().Changed("parallelism") {
		return app.ScenesRequest{}, usageError{fmt.Errorf("--parallelism %d: pass 1 or more, or leave it out for the default", o.parallelism)}
	}
	if c.Flags().Changed("sign") {
		var err error
		if o.signer, err = app.ParseSigner(o.sign); err != nil {
			return app.ScenesRequest{}, usageError{fmt.Errorf("--sign: %w", err)}
		}
	}
	r, err := o.scenes(c, args)
	r.KeepGoing = o.keepGoing
	for name, set := range map[string]bool{"watch": o.watch, "open": o.open} {
		if err == nil && set && len(r.Paths) > 0 {
			err = usageError{fmt.Errorf("--%s is for one scene, and there are several", name)}
		}
	}
	return r, err
}

// fetchAll downloads the weights that scenes use, where a flag says so.
func (o *applyOptions) fetchAll(c *cobra.Command, a *app.App, r app.ScenesRequest) error {
	if len(r.Paths) == 0 {
		return o.fetch(c, a, r.PlanRequest)
	}
	for _, path := range r.Paths {
		one := r.PlanRequest
		one.Path = path
		if err := o.fetch(c, a, one); err != nil {
			return err
		}
	}
	return nil
}

// applied returns how plans are applied.
func (o *applyOptions) applied(c *cobra.Command, events eligen.Sink) app.Run {
	display, err := o.display(c)
	return app.Run{Events: events, Force: o.force, Parallelism: o.parallelism, Priority: o.priority, KeepGoing: o.keepGoing,
		Report: true, Pictures: err == nil && display == tui.TUI}
}

// finish hands over what a run has made, and prints its checks.
func (o *applyOptions) finish(c *cobra.Command, a *app.App, p *app.Plan, made *app.Result, err error) error {
	o.hand(c, a, p, made)
	err = errors.Join(err, o.writeReport(c, p, made.Report))
	if err == nil {
		err = o.signed(c, made)
	}
	if err == nil {
		err = printChecks(c.ErrOrStderr(), made.Checks)
	}
	if err == nil && o.open {
		err = open(c.Context(), app.FirstFiles(made.Files))
	}
	return err
}

// signed writes signed copies of the files that a run has written, and prints their paths.
func (o *applyOptions) signed(c *cobra.Command, made *app.Result) error {
	if o.signer == nil {
		return nil
	}
	for _, f := range made.Files {
		path, err := o.signer.Sign(c.Context(), f.Path, o.force)
		if err != nil {
			return err
		}
		if !o.json {
			fmt.Fprintln(c.OutOrStdout(), path)
		}
	}
	return nil
}

// hand hands over the files that a run has written: pictures to a terminal, paths to standard output.
func (o *applyOptions) hand(c *cobra.Command, a *app.App, p *app.Plan, made *app.Result) {
	if look := screenLook(c); look != nil && !o.json && o.progress != "none" {
		pictures, more := a.Pictures(c.Context(), p, made.Files, shownMost)
		fmt.Fprint(page.Bare(c.ErrOrStderr()), tui.Pictures(pictures, more, *look))
	}
	for _, f := range made.Files {
		if !o.json {
			fmt.Fprintln(c.OutOrStdout(), f.Path)
		}
	}
}

// reported returns a run's error without the failures of stages, which a front end has
// shown already.
func reported(err error) error {
	var failed *runtime.StageError
	if !errors.As(err, &failed) {
		return err
	}
	return exit{code: stageExit(err)}
}
