package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// A Run says how to apply a plan.
type Run struct {
	Events      eligen.Sink        // takes what happens, one event at a time; nil: nobody listens
	Warnings    eligen.Diagnostics // are the first events
	Force       bool               // replace files that eligen did not write
	Parallelism int                // stages at a time; 0 is one on the engine, and others alongside
	// Pictures has the events of steps carry a small picture of what the step leads to, where the
	// autoencoder's colours are known; see [App.Apply].
	Pictures bool
	// Previews takes these pictures by themselves, before their events. Nil: nobody does.
	Previews func(StepPicture)
	// Unrecorded keeps no journal, so that the run is none for History and plans to compare with.
	Unrecorded bool
	// Priority is the run's in the App's queue: higher goes first.
	Priority int
	// Unwritten makes results for the store only, and writes no file.
	Unwritten bool
	// KeepGoing makes the rest where files can't be written, and of several scenes where stages fail. Without
	// it, files that can't be written are refused before anything runs, and a plan of several scenes ends at
	// the first failure.
	KeepGoing bool
	// Report has the Result hold a Report.
	Report bool
}

// A Result is what a run has made.
type Result struct {
	Files  []eligen.PlannedOutput // that were written, in the plan's order
	Checks []CheckResult          // of a run without an error
	Report *Report                // where the Run asks for one, after errors too; nil where nothing ran
}

// Apply makes what a plan's files need and the store lacks, and writes the files. Before anything
// runs, files that must not be replaced are refused: the error is then eligen.Diagnostics, and there
// was no event. Later problems are events first: the error joins a [runtime.StageError] for each stage
// that failed, and ctx's error if that has ended. Finished work stays in the store, and the next Apply
// resumes from there. The Result counts what was written before an error, too.
//
// Pictures of steps are a linear map of latents to colours. It is fitted to the first pictures that an
// autoencoder decodes or encodes, and kept in the App's folder; nano's comes with eligen. So the first picture
// of another autoencoder has none, unless it begins with a picture.
func (a *App) Apply(ctx context.Context, p *Plan, r Run) (made *Result, err error) {
	if err := a.begin(); err != nil {
		return &Result{}, err
	}
	defer a.running.Done()
	runner, err := a.runner()
	if err != nil {
		return &Result{}, err
	}
	trace := ""
	if a.options.Observe != nil {
		o := a.options.Observe(p.Plan.Scene)
		defer func() { o.End(err) }()
		trace, r.Events = o.Trace(), eligen.Tee(o.Event, silent(r.Events))
	}
	end, err := a.submit(ctx, &runner, p, r.Priority, trace)
	if err != nil {
		return &Result{}, err
	}
	defer end()
	if r.Previews == nil && !r.Pictures {
		return apply(ctx, runner, p, r)
	}
	runner.Estimates = true
	watch, events := a.watchSteps(p), r.Events
	defer watch.end()
	r.Events = func(e eligen.Event) {
		watch.see(&e)
		if e.Picture != nil && r.Previews != nil {
			r.Previews(StepPicture{e.Stage, e.Step, e.Of, e.Picture})
		}
		if events != nil {
			events(e)
		}
	}
	return apply(ctx, runner, p, r)
}

// silent returns a Sink in place of none.
func silent(s eligen.Sink) eligen.Sink {
	if s == nil {
		return func(eligen.Event) {}
	}
	return s
}

// apply runs a plan by a runner that knows its stores.
func apply(ctx context.Context, runner runtime.Runner, p *Plan, r Run) (*Result, error) {
	wrote := map[string]bool{}
	plan := *p.Plan
	if r.Unwritten {
		plan.Outputs = nil
	}
	runner.Engine, runner.Force, runner.Recognise, runner.Unrecorded = p.engine, r.Force, Untouched, r.Unrecorded
	runner.Parallelism, runner.Replace, runner.Warnings = r.Parallelism, p.again, r.Warnings.Fold()
	runner.Halt, runner.KeepGoing = len(p.Scenes) > 0 && !r.KeepGoing, r.KeepGoing
	var report *reporter
	if r.Report {
		report = newReporter(p)
	}
	runner.Emit = func(e eligen.Event) {
		if report != nil {
			report.add(e)
		}
		if e.Type == eligen.Wrote {
			wrote[e.Path] = true
		}
		if r.Events != nil {
			r.Events(e)
		}
	}
	err := runner.Apply(ctx, &plan)
	out := &Result{}
	if report != nil && !report.began.IsZero() {
		out.Report = report.report()
	}
	for _, f := range plan.Outputs {
		if wrote[f.Path] {
			out.Files = append(out.Files, f)
		}
	}
	if err == nil {
		out.Checks, err = checks(ctx, p.Plan, runner.Store)
	}
	return out, err
}

// FirstFiles returns the path of each render's first file among files.
func FirstFiles(files []eligen.PlannedOutput) []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range files {
		if render, _, _ := strings.Cut(f.Render, ".frame["); !seen[render] {
			seen[render] = true
			out = append(out, f.Path)
		}
	}
	return out
}

// Untouched reports whether a file is one that eligen wrote and nobody has changed since: such a one
// may be replaced.
func Untouched(r io.Reader) bool {
	b := bufio.NewReader(r)
	return clip.Untouched(b) || still.Untouched(b) // clip reads nothing of a file that is not a clip
}

// Renders of fewer steps need no draft; others' drafts have a part of the steps.
const (
	fewSteps  = 8
	draftPart = 4
)

// Rough plans those renders of a plan with fewer steps whose pictures aren't in the store, to be seen
// before the plan's own. It returns nil where that would not be quicker. steps says for people how many
// they have.
func (a *App) Rough(ctx context.Context, p *Plan) (draft *Plan, steps string) {
	if err := a.begin(); err != nil {
		return nil, ""
	}
	defer a.running.Done()
	store, err := a.made()
	if err != nil || p.request.Engine == "paint" { // paint takes no time
		return nil, ""
	}
	made, there := map[string]bool{}, has(ctx, store)
	for _, f := range p.Outputs {
		render, _, _ := strings.Cut(f.Render, ".frame[")
		if there(p.Stages[f.Stage].Digest) {
			made[render] = true
		}
	}
	rough := *p.Scene
	rough.Renders, rough.Checks = nil, nil
	rough.Sheets = nil // of renders that may not be among these
	for _, k := range sketches(p.Scene, p.Plan) {
		if made[k.Render] || k.still.Steps < fewSteps {
			continue
		}
		n := k.still.Steps / draftPart
		steps = fmt.Sprintf("%d of %d steps", n, k.still.Steps)
		r := *k.render
		r.Sampler.Steps = &n
		rough.Renders = append(rough.Renders, r)
	}
	if len(rough.Renders) == 0 {
		return nil, ""
	}
	draft, _, err = a.plan(ctx, p.engine, &rough, p.request)
	if err != nil {
		return nil, "" // a draft is an extra
	}
	return draft, steps
}

// Read returns what a stage has made, checked.
func (a *App) Read(ctx context.Context, made eligen.Artifact) ([]byte, error) {
	if err := a.begin(); err != nil {
		return nil, err
	}
	defer a.running.Done()
	store, err := a.made()
	if err != nil {
		return nil, err
	}
	got, ok, err := result(ctx, store, made.Digest)
	if err == nil && !ok {
		err = errors.New("it is not in the store any more")
	}
	return got.Data, err
}
