package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
)

// weightsOptions are the flags of commands that may download a scene's weights.
type weightsOptions struct{ pull string }

// The values of --pull.
const (
	pullMissing = "missing"
	pullNewest  = "newest"
)

func (o *weightsOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.pull, "pull", "",
		"download `WHICH` weights of repositories: missing, or newest, which the lock then pins (missing with --pull alone)")
	f.Lookup("pull").NoOptDefVal = pullMissing
	choices(c, "pull", pullMissing, pullNewest)
}

// fetch downloads the weights that a request's renders use, where the flag says so.
func (o *weightsOptions) fetch(c *cobra.Command, a *app.App, r app.PlanRequest) error {
	if !c.Flags().Changed("pull") {
		return nil
	}
	if o.pull != pullMissing && o.pull != pullNewest {
		return &app.InputError{Field: "pull", Value: fmt.Sprintf("%q", o.pull), Problem: "use missing or newest"}
	}
	if r.Engine == "paint" {
		return &app.InputError{Field: "pull", Problem: "--engine paint needs no weights. Remove one of the two"}
	}
	pulled, warnings, err := a.PullScene(c.Context(), app.PullRequest{
		PlanRequest: r, Newest: o.pull == pullNewest, Progress: sceneProgress(c.ErrOrStderr()),
	})
	if err != nil {
		warned(c, warnings) // else the plan says them, too
	}
	for _, p := range pulled {
		fmt.Fprint(c.ErrOrStderr(), pulledLine(p))
	}
	return err
}

// pulledLine says what was downloaded of a repository; nothing where all of it was there.
func pulledLine(p app.PulledRepo) string {
	switch {
	case p.Was != "":
		return fmt.Sprintf("%s moved from %.12s to %.12s: %s downloaded. The lock pins the new revision.\n", p.Repo, p.Was, p.Revision,
			words.Bytes(p.Bytes))
	case p.Fetched > 0:
		return fmt.Sprintf("%s: %s downloaded. The lock pins revision %.12s.\n", p.Repo, words.Bytes(p.Bytes), p.Revision)
	}
	return ""
}

// sceneProgress shows how far a download is, on a terminal; nil elsewhere.
func sceneProgress(w io.Writer) func(repo string, p hub.Progress) {
	if !terminal(w) {
		return nil
	}
	return func(repo string, p hub.Progress) {
		line := ""
		if p.Done < p.Size {
			line = "  " + repo + "  " + progressLine(p)
		}
		_ = page.Redraw(w, line) // a terminal that is gone stops no download
	}
}
