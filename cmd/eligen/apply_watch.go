package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/file"
	"github.com/eligen/eligen/tui"
)

// A watching is `eligen apply --watch`: the engine and the store stay open from one
// round to the next.
type watching struct {
	*applyOptions
	c     *cobra.Command
	e     engine
	store *file.Store
	path  string
	sink  eligen.Sink
	show  func(tui.Shown)
	hand  func(p *eligen.Plan, wrote map[string]bool) // what a round has rendered
	drawn func(p *eligen.Plan, wrote map[string]bool) // and its draft

	mu   sync.Mutex
	made map[string]bool // files that are rendered
}

// follow renders a scene, and again whenever it has been saved, until somebody leaves.
func (o *applyOptions) follow(c *cobra.Command, e engine, path string) error {
	display, err := o.display(c)
	if err != nil {
		return err
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	defer store.Close()
	w := &watching{applyOptions: o, c: c, e: e, store: store, path: path, made: map[string]bool{}}
	w.hand = func(p *eligen.Plan, wrote map[string]bool) { o.hand(c, p, store, wrote) }
	w.drawn = func(*eligen.Plan, map[string]bool) {} // the picture itself comes soon
	options := screenOptions(c, interrupter(c.Context()))
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
	w.hand = func(p *eligen.Plan, wrote map[string]bool) {
		hand = func() { w.applyOptions.hand(w.c, p, w.store, wrote) }
	}
	w.drawn = w.hand
	err := w.rounds(l.Left())
	leave()
	hand()
	return err
}

// rounds renders, and looks whether the scene has changed meanwhile: then what is being
// rendered is outdated, and given up.
func (w *watching) rounds(left <-chan struct{}) error {
	for {
		seen := w.stamp(w.path)
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
func (w *watching) wait(seen stamps, left <-chan struct{}, ended chan error, cancel func()) (again bool, err error) {
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
			if seen.differ(w.stamp(w.path), w.owns) {
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
	shown := tui.Shown{Scene: w.path, Engine: w.e.ID()}
	say := func(format string, args ...any) {
		shown.Note = time.Now().Format("15:04:05") + " " + fmt.Sprintf(format, args...)
		w.show(shown)
	}
	w.warn = func(ds eligen.Diagnostics) { shown.Problems = append(shown.Problems, ds...) }
	scene, err := w.read(w.c, w.path)
	var p *eligen.Plan
	if err == nil {
		p, err = w.planScene(w.c, w.e, scene)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		shown.Problems = append(problems(err), shown.Problems...)
		say("the scene has mistakes; the last pictures stay")
		return nil
	}
	for _, k := range sketched(scene, p) {
		shown.Layouts = append(shown.Layouts, k.Layout)
	}
	if draft, steps := w.draft(scene, p); draft != nil {
		say("a draft of %s", steps)
		wrote, err := w.render(ctx, draft)
		if err != nil {
			return w.outcome(err, &shown, say)
		}
		w.drawn(draft, wrote)
		shown.Layouts = nil // they are shown
	}
	say("all steps")
	wrote, err := w.render(ctx, p)
	if err != nil {
		return w.outcome(err, &shown, say)
	}
	w.hand(p, wrote)
	var b bytes.Buffer
	if err := checks(&b, p, w.store); b.Len() > 0 {
		shown.Layouts = nil
		say("%s", strings.TrimSpace(b.String()))
	} else if err != nil {
		return err
	}
	return nil
}

// outcome is what becomes of a round whose rendering didn't end well.
func (w *watching) outcome(err error, shown *tui.Shown, say func(string, ...any)) error {
	var failed *runtime.StageError
	var ds eligen.Diagnostics
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &failed): // its events have said so
		return nil
	case errors.As(err, &ds):
		shown.Layouts, shown.Problems = nil, append(ds, shown.Problems...)
		say("nothing is rendered")
		return nil
	}
	return err
}

// problems are an error's diagnostics.
func problems(err error) eligen.Diagnostics {
	var ds eligen.Diagnostics
	if !errors.As(err, &ds) {
		ds.Errorf(nil, "Scene can't be rendered", "%v.", err)
	}
	return ds
}

// render makes a plan's pictures, and says which files are there.
func (w *watching) render(ctx context.Context, p *eligen.Plan) (map[string]bool, error) {
	w.mu.Lock()
	for _, f := range p.Outputs {
		w.made[f.Path] = true
	}
	w.mu.Unlock()
	wrote := map[string]bool{}
	r := runtime.Runner{
		Store: w.store, Engine: w.e, Force: w.force, Recognise: untouched, Parallelism: w.parallelism,
		Emit: eligen.Tee(w.sink, func(e eligen.Event) {
			if e.Type == eligen.Wrote {
				wrote[e.Path] = true
			}
		}),
	}
	err := r.Apply(ctx, p)
	return wrote, err
}

// Renders of fewer steps need no draft; others' drafts have a part of the steps.
const (
	fewSteps  = 8
	draftPart = 4
)

// draft plans those renders of a scene with fewer steps whose pictures aren't in the
// store; nil where there are none. steps is how many they have, for people.
func (w *watching) draft(scene *eligen.Scene, p *eligen.Plan) (draft *eligen.Plan, steps string) {
	made := map[string]bool{}
	for _, f := range p.Outputs {
		render, _, _ := strings.Cut(f.Render, ".frame[")
		if _, ok, _ := w.store.Get(p.Stages[f.Stage].Digest); ok {
			made[render] = true
		}
	}
	rough := *scene
	rough.Renders, rough.Checks = nil, nil
	for _, k := range sketched(scene, p) {
		if made[k.Render] || k.still.Steps < fewSteps {
			continue
		}
		i := slices.IndexFunc(scene.Renders, func(r eligen.Render) bool { return r.Address == k.Render })
		r := scene.Renders[i]
		n := k.still.Steps / draftPart
		r.Sampler.Steps = &n
		steps = fmt.Sprintf("%d of %d steps", n, k.still.Steps)
		rough.Renders = append(rough.Renders, r)
	}
	if len(rough.Renders) == 0 || w.engine == "paint" { // paint takes no time
		return nil, ""
	}
	rough.Sheets = nil // of renders that may not be among these
	w.warn = func(eligen.Diagnostics) {}
	draft, err := w.planScene(w.c, w.e, &rough)
	if err != nil {
		return nil, "" // a draft is an extra
	}
	return draft, steps
}
