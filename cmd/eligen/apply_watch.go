package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/tui"
)

// A watching is `eligen apply --watch`.
type watching struct {
	*applyOptions
	c       *cobra.Command
	a       *app.App
	request app.PlanRequest
	sink    eligen.Sink
	show    func(tui.Shown)
	hand    func(p *app.Plan, made *app.Result) // what a round has rendered
	drawn   func(p *app.Plan, made *app.Result) // and its draft

	mu   sync.Mutex
	made map[string]bool // files that are rendered
}

// follow renders a scene, and again whenever it has been saved, until somebody leaves.
func (o *applyOptions) follow(c *cobra.Command, a *app.App, r app.PlanRequest) error {
	display, err := o.display(c)
	if err != nil {
		return err
	}
	w := &watching{applyOptions: o, c: c, a: a, request: r, made: map[string]bool{}}
	w.hand = func(p *app.Plan, made *app.Result) { o.hand(c, a, p, made) }
	w.drawn = func(*app.Plan, *app.Result) {} // the picture itself comes soon
	options := screenOptions(c, a, interrupter(c.Context()))
	if display == tui.TUI && options.Keys != nil {
		return w.onScreen(options)
	}
	if display == tui.TUI {
		display = tui.Plain // without a keyboard nobody could leave a screen
	}
	w.sink, _ = tui.Show(display, options)
	w.show = func(s tui.Shown) {
		if display == tui.Plain {
			fmt.Fprintln(c.ErrOrStderr(), s.Note)
		}
		diagnose(c.ErrOrStderr(), s.Problems)
	}
	return w.rounds(nil)
}

// onScreen watches on a screen that takes the whole terminal. What the last round wrote
// is handed over when it is closed.
func (w *watching) onScreen(options tui.Options) error {
	options.Stay = true
	options.Interrupt = nil // there is always something to interrupt: q leaves
	l := tui.Start(options)
	leave := onLeave(w.c.Context(), l.Close)
	hand := func() {}
	w.sink, w.show = l.Add, l.Show
	w.hand = func(p *app.Plan, made *app.Result) {
		hand = func() { w.applyOptions.hand(w.c, w.a, p, made) }
	}
	w.drawn = w.hand
	err := w.rounds(l.Left())
	leave()
	hand()
	return err
}

// rounds renders, and looks whether the scene has changed meanwhile: then it gives up the
// outdated render and begins again.
func (w *watching) rounds(left <-chan struct{}) error {
	for {
		seen := app.StampsOf(w.request.Input)
		ctx, cancel := context.WithCancel(w.c.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.round(ctx) }()
		again, err := w.wait(seen, left, ended, cancel)
		if !again {
			return err
		}
	}
}

// wait waits until there is a reason to render again, or to leave. The round that goes
// on has ended then.
func (w *watching) wait(seen app.Stamps, left <-chan struct{}, ended chan error, cancel func()) (again bool, err error) {
	stop := func() error {
		cancel()
		if ended == nil {
			return nil
		}
		return <-ended
	}
	for {
		select {
		case err := <-ended:
			if ended = nil; err != nil {
				cancel()
				return false, err
			}
		case <-left:
			_ = stop() // somebody has had enough of it
			return false, nil
		case <-w.c.Context().Done():
			if err := stop(); err != nil {
				return false, err
			}
			return false, w.c.Context().Err()
		case <-time.After(pause):
			if seen.Differ(app.StampsOf(w.request.Input), w.owns) {
				if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
					return false, err
				}
				return true, nil
			}
		}
	}
}

// owns reports whether a file is one that is rendered.
func (w *watching) owns(file string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made[file]
}

// round reads the scene and renders it: first a draft, where that is quicker by much.
// Mistakes are shown; an error ends the watch.
func (w *watching) round(ctx context.Context) error {
	shown := tui.Shown{Scene: w.request.Path}
	say := func(format string, args ...any) {
		shown.Note = time.Now().Format("15:04:05") + " " + fmt.Sprintf(format, args...)
		w.show(shown)
	}
	p, warnings, err := w.a.Plan(w.c.Context(), w.request)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		shown.Problems = append(problems(err), warnings...)
		say("the scene has mistakes; the last pictures stay")
		return nil
	}
	shown.Problems, shown.Engine, shown.Layouts = warnings, p.Engine, shownLayouts(p.Layouts())
	if draft, steps := w.a.Rough(w.c.Context(), p); draft != nil {
		say("a draft of %s", steps)
		made, err := w.render(ctx, draft)
		if err != nil {
			return w.outcome(err, &shown, say)
		}
		w.drawn(draft, made)
		shown.Layouts = nil // they are shown
	}
	say("all steps")
	made, err := w.render(ctx, p)
	if err != nil {
		return w.outcome(err, &shown, say)
	}
	w.hand(p, made)
	var b bytes.Buffer
	_ = printChecks(&b, made.Checks) // a failed check ends no watch
	if b.Len() > 0 {
		shown.Layouts = nil
		say("%s", strings.TrimSpace(b.String()))
	}
	return nil
}

// outcome decides whether the error of a round ends the watch, and shows what doesn't.
func (w *watching) outcome(err error, shown *tui.Shown, say func(string, ...any)) error {
	var failed *runtime.StageError
	var ds eligen.Diagnostics
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &failed): // its events have reported it
		return nil
	case errors.As(err, &ds):
		shown.Layouts, shown.Problems = nil, append(ds, shown.Problems...)
		say("nothing is rendered")
		return nil
	}
	return err
}

// problems returns an error's diagnostics.
func problems(err error) eligen.Diagnostics {
	var ds eligen.Diagnostics
	if !errors.As(err, &ds) {
		ds.Errorf(nil, "Scene can't be rendered", "%v.", err)
	}
	return ds
}

// render makes a plan's pictures.
func (w *watching) render(ctx context.Context, p *app.Plan) (*app.Result, error) {
	w.mu.Lock()
	for _, f := range p.Outputs {
		w.made[f.Path] = true
	}
	w.mu.Unlock()
	return w.a.Apply(ctx, p, w.applied(w.c, w.sink))
}
