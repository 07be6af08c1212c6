package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// validateOptions are the flags of `eligen validate`.
type validateOptions struct {
	sceneOptions
	json bool
}

func newValidate() *cobra.Command {
	var o validateOptions
	c := &cobra.Command{
		Use:     "validate SCENE…",
		Short:   "Check scenes and report every error",
		Example: "eligen validate scenes/rain.hcl\neligen validate scenes/*.hcl --json",
		Long: `Check scenes and report every error, each at its line.

The scene is read and planned, and nothing runs. "eligen plan" reports the same errors, and what weights and the
machine alone decide: whether the weights are there, whole and fit one another, whether the model takes guidance,
and whether there is the memory, and ffmpeg for videos. "eligen explain CODE" tells more about an error.`,
		Args:              some,
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	c.Flags().BoolVar(&o.json, "json", false, "print diagnostics as JSON")
	return c
}

func (o *validateOptions) run(c *cobra.Command, a *app.App, args []string) error {
	all := eligen.Diagnostics{}
	for _, path := range args {
		ds, err := a.Validate(c.Context(), o.input(path))
		if err != nil {
			return err
		}
		all = append(all, ds...)
	}
	if o.json {
		if err := page.JSONLine(c.OutOrStdout(), all); err != nil {
			return err
		}
		if all.HasErrors() {
			return exit{code: exitError}
		}
		return nil
	}
	if err := all.Err(); err != nil {
		return err
	}
	diagnose(c.ErrOrStderr(), all)
	for _, path := range args {
		what := ""
		if app.IsLock(path) {
			what = ", a lock of eligen verify's"
		}
		fmt.Fprintf(c.OutOrStdout(), "%s is %s%s.\n", eligen.Printable(path), page.Added.Of("valid"), what)
	}
	return nil
}
