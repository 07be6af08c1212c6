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
		Short: "Re-render and compare with the lock file",
		Long: `Re-render and compare with the lock file, eligen.lock.hcl next to the scene. Nothing is taken from the store.

The same definition on the same engine must give the same pixels. On another engine, and on a GPU, the picture
must be as close to the recorded one as the lock file demands (psnr, in dB). The recorded picture is the file
that the render writes, if nobody has changed it. If the scene has changed since, that is a mismatch, and verify
lists the changes.

The files of the render must lie next to the scene as they were recorded: a missing, changed or different file
is a mismatch, too. If you don't keep them with the scene, pass --lock-only.

A mismatch exits with 4. Weights that differ from the lock file exit with 6, before anything runs. Next to a
picture that differs, verify writes one named ….diff.png that shows where.

--update makes the record: it renders, writes the pictures as apply does, and then the lock file.`,
		Example: `eligen verify --update scenes/rain.hcl
eligen verify scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.planOptions.flags(c)
	f := c.Flags()
	o.displayFlag(c)
	f.BoolVar(&o.update, "update", false, "render and write the lock file")
	f.BoolVar(&o.force, "force", false, "with --update: replace files that eligen did not write")
	f.BoolVar(&o.lockOnly, "lock-only", false, "ignore the files next to the scene")
	f.StringVar(&o.memory, "memory", "", "limit a render's memory to `SIZE`, such as 16GiB, or any for no limit (default the machine's)")
	f.StringVar(&o.diffDir, "diff-dir", "", "write difference pictures, and what was rendered, to this `FOLDER`")
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

// record does what --update asks for.
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
