package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/tui"
)

// progressOptions are the flags that say how a run is shown.
type progressOptions struct {
	json     bool
	progress string
}

func (o *progressOptions) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.json, "json", false, "print every event as a line of JSON")
	c.Flags().StringVar(&o.progress, "progress", "", "how progress is shown: tui, plain, none (else tui on a terminal, plain elsewhere)")
	choices(c, "progress", "tui", "plain", "none")
}

// frontEnd is a sink that shows a run's events, and what to call after the last
// of them.
func (o *progressOptions) frontEnd(c *cobra.Command) (eligen.Sink, func(), error) {
	return o.show(c, tui.Options{
		Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr(), Env: os.Getenv,
		Interrupted: func() bool { return c.Context().Err() != nil },
	})
}

// show is a front end with options.
func (o *progressOptions) show(c *cobra.Command, options tui.Options) (eligen.Sink, func(), error) {
	display, err := o.display(c)
	if err != nil {
		return nil, nil, err
	}
	show, done := tui.Show(display, options)
	if display != tui.None {
		return show, done, nil
	}
	// No progress, but what goes wrong is still said.
	var p eligen.Progress
	return p.Add, func() { fmt.Fprint(c.ErrOrStderr(), strings.TrimPrefix(tui.Problems(&p), "\n")) }, nil
}

// display is the one that flags and terminal choose.
func (o *progressOptions) display(c *cobra.Command) (tui.Display, error) {
	f, isFile := c.ErrOrStderr().(*os.File)
	display, err := tui.Mode(o.json, o.progress, isFile && term.IsTerminal(int(f.Fd())), os.Getenv)
	if err != nil {
		return display, usageError{err}
	}
	return display, nil
}

// stageExit is the exit code of a run in which stages failed.
func stageExit(err error) int {
	if errors.Is(err, fetch.ErrDigest) {
		return exitIntegrity
	}
	return exitError
}

// terminal reports whether what is written to w is seen at once by a person.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb"
}

// downloadProgress shows how far a download is: a line that is written over on
// a terminal, else nothing.
func downloadProgress(w io.Writer) func(file string, done, of int64) {
	if !terminal(w) {
		return nil
	}
	var last time.Time
	return func(file string, done, of int64) {
		if done == of {
			fmt.Fprintf(w, "\r\x1b[K")
			return
		}
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		if of > 0 {
			fmt.Fprintf(w, "\r\x1b[K  %.1f of %.1f MB", float64(done)/1e6, float64(of)/1e6)
		} else {
			fmt.Fprintf(w, "\r\x1b[K  %.1f MB", float64(done)/1e6)
		}
	}
}
