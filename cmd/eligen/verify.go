package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// verifyOptions are the flags of `eligen verify`.
type verifyOptions struct {
	planOptions
	progressOptions
	update   bool
	force    bool
	lockOnly bool
	diffDir  string
	memory   string
}

func newVerify() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify SCENE",
		Short: "Render again, and hold the pictures to the record",
		Long: `Render again, and hold the pictures to the record, the file eligen.lock.hcl beside the scene. Nothing is taken from the store.

The same recipe on the same engine must make the same pixels. On another engine, and on a GPU, the picture must be as like the recorded one as the lock says (psnr, in dB); the recorded one is the file that the render is written to, if nobody has changed it. A render whose scene says something else than it did is a mismatch, and what it says is named.

The files that the render was recorded with must lie beside the scene, as they were: one that is gone, was changed, or shows something else is a mismatch too. Where they are not kept with the scene, --lock-only holds the render to the lock alone.

A mismatch is exit code 4; weights that are not those of the lock are 6, before anything runs. Where a picture lies beside the scene, one named ….diff.png shows where the new one differs.

--update makes the record: it renders, writes the pictures as apply does, and then the lock.`,
		Example: `eligen verify --update scenes/rain.hcl
eligen verify scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.planOptions.flags(c)
	f := c.Flags()
	f.StringVar(&o.progress, "progress", "", "show progress as `DISPLAY`: tui, plain or none (default tui on a terminal, plain elsewhere)")
	choices(c, "progress", "tui", "plain", "none")
	f.BoolVar(&o.update, "update", false, "record the scene's renders as they are now")
	f.BoolVar(&o.force, "force", false, "with --update: replace files that eligen did not write")
	f.BoolVar(&o.lockOnly, "lock-only", false, "leave out the files beside the scene")
	f.StringVar(&o.memory, "memory", "", "let a render take at most `SIZE` of memory, as 16GiB, or any (default: the machine's)")
	f.StringVar(&o.diffDir, "diff-dir", "", "put difference pictures into this `FOLDER`, and what was rendered too")
	return c
}

func (o *verifyOptions) run(c *cobra.Command, a *app.App, args []string) error {
	r, err := o.request(c, args[0])
	if err != nil {
		return err
	}
	if o.update {
		return o.record(c, a, r)
	}
	v, warnings, err := a.PlanVerify(c.Context(), r)
	warned(c, warnings)
	if app.Mismatch(err) {
		return exit{exitMismatch, err}
	}
	if err != nil {
		return err
	}
	show, done, err := o.frontEnd(c)
	if err != nil {
		return err
	}
	out, err := a.Verify(c.Context(), v, app.Run{Events: show})
	done()
	if err != nil {
		return reported(err)
	}
	for _, verdict := range out.Verdicts {
		style := page.Added
		if !verdict.Same {
			style = page.Changed
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", verdict.Render, style.Of(verdict.Text))
	}
	if out.Problems.HasErrors() {
		return exit{exitMismatch, out.Problems}
	}
	return nil
}

// request returns what the flags ask for.
func (o *verifyOptions) request(c *cobra.Command, path string) (app.VerifyRequest, error) {
	plan, err := o.planOptions.request(c, path)
	if err != nil {
		return app.VerifyRequest{}, err
	}
	plan.MemoryFrom = "--memory"
	plan.Memory, err = readMemory(o.memory)
	engine := ""
	if o.engine != "model" {
		engine = " --engine " + o.engine
	}
	return app.VerifyRequest{
		PlanRequest: plan, LockOnly: o.lockOnly, DiffFolder: o.diffDir,
		Advice:       "with\n\n    eligen verify --update " + path + engine,
		Restore:      "with\n\n    eligen verify --update --force " + path + engine,
		EngineAdvice: func(kind string) string { return "--engine " + kind },
	}, err
}

// record is --update.
func (o *verifyOptions) record(c *cobra.Command, a *app.App, r app.VerifyRequest) error {
	v, warnings, err := a.PlanRecord(c.Context(), r)
	warned(c, warnings)
	if err != nil {
		return err
	}
	show, done, err := o.frontEnd(c)
	if err != nil {
		return err
	}
	list, lock, err := a.Record(c.Context(), v, app.Run{Events: show, Force: o.force})
	done()
	if err != nil {
		return reported(err)
	}
	for _, one := range list {
		fmt.Fprintf(c.OutOrStdout(), "%s: recorded on %s\n", one.Render, one.Engine)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), lock)
	return err
}
