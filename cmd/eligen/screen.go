package main

import (
	"context"
	"encoding/json"
	"image"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/tui"
)

// screen returns a front end that takes the whole terminal and shows the pictures, if there is
// a terminal with a keyboard; otherwise frontEnd's.
func (o *progressOptions) screen(c *cobra.Command, a *app.App) (eligen.Sink, func(), error) {
	return o.show(c, screenOptions(c, a, interrupter(c.Context())))
}

// screenOptions returns the options of a screen on the command's terminal.
func screenOptions(c *cobra.Command, a *app.App, interrupt func()) tui.Options {
	o := tui.Options{
		Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr(), Env: os.Getenv,
		Interrupt: interrupt, Interrupted: func() bool { return c.Context().Err() != nil },
		Layout:  layoutOf,
		Picture: func(made eligen.Artifact) (image.Image, error) { return a.Picture(c.Context(), made) },
		Number:  func(made eligen.Artifact) (float64, error) { return a.Number(c.Context(), made) },
	}
	in, keys := c.InOrStdin().(*os.File)
	if keys && term.IsTerminal(int(in.Fd())) && page.Terminal(c.ErrOrStderr()) != nil && foreground(in) {
		o.Keys = in
	}
	return o
}

// An interruptKey finds, in a command's context, what an interrupt does.
type interruptKey struct{}

// interrupter does what the terminal's interrupt does, for a screen that gets ctrl-c as
// a key: the context ends; a second time, the process.
func interrupter(ctx context.Context) func() {
	stop, ok := ctx.Value(interruptKey{}).(func())
	if !ok {
		return nil
	}
	return func() {
		if ctx.Err() != nil {
			os.Exit(exitInterrupted)
		}
		stop()
	}
}

// layoutOf returns the layout of the render that a stage of a journal makes a file of.
func layoutOf(_ string, definition json.RawMessage) (tui.Layout, bool) {
	l, ok := app.LayoutOf(definition)
	return tui.Layout(l), ok
}
