// Package runtime applies a Plan: it makes what the plan lists and the store
// lacks, reports it in Events, and writes the files that the scene asks for.
package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/eligen/eligen"
)

// A Runner applies plans.
type Runner struct {
	Store  Store
	Engine eligen.Engine
	Emit   eligen.Sink // nil: nobody listens
	Force  bool        // replace files that eligen did not write

	// Partials, Leaser and Journals are the Store where they are nil and it implements
	// them. Else nothing is kept of an interrupted stage, nobody waits for another run,
	// and runs are not recorded.
	Partials Partials
	Leaser   Leaser
	Journals Journals

	// Farm, which may be nil, makes the stages that use the engine, with what only they need.
	Farm Farm

	// Unrecorded keeps no journal. A preview is no run of a scene, for plans to compare
	// with and replay to list.
	Unrecorded bool

	// Estimates has Stepped events carry the latents that a step leads to.
	Estimates bool

	// Warnings come from planning. They are the run's first reports.
	Warnings eligen.Diagnostics

	// Recognise reports whether eligen wrote a file and nobody has changed it since, so
	// that it may be replaced. nil recognises none.
	Recognise func(io.Reader) bool

	// Parallelism is how many stages run at the same time. 0: one that calls the
	// engine, since a model uses the whole machine, and others alongside. Results
	// don't depend on it.
	Parallelism int
	// Replace lists stages to make again though the store has them, along with all
	// that is made from them.
	Replace []eligen.Ref
	// Halt has the first failure skip all that hasn't begun. Without it, a failure skips only what
	// needs the failed stage.
	Halt bool
	// KeepGoing makes the rest where files can't be written: each is a failure of its stage. Without it, such
	// files are refused before anything runs.
	KeepGoing bool

	pick func(ready []eligen.Ref) // tests reorder the stages that could run
}

// A StageError is the failure of a stage, which an event has reported already.
type StageError struct {
	Stage   string // address
	Problem eligen.Diagnostic
	Err     error
}

func (e *StageError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// Apply makes everything that the plan's files need and the store lacks, in about
// the plan's order, and writes each file as soon as its stage is done.
//
// Before anything runs, files that must not be overwritten are refused: the error is
// then of type eligen.Diagnostics, and no event has been sent. Afterwards problems
// are events first; the error joins a *StageError for each stage that failed, and
// ctx's error if the run was interrupted. A stage that fails takes with it those that
// need it, and no others. An interrupted run finishes its step; finished work stays in
// the store, and the next Apply resumes from it.
func (r *Runner) Apply(ctx context.Context, p *eligen.Plan) error {
	outputs, err := r.openOutputs(ctx, p)
	if err != nil {
		return err
	}
	defer outputs.close()

	w := newWalk(r, p, outputs)
	defer w.journal.close()
	w.emit(eligen.Event{Type: eligen.Opened, Scene: p.Scene, Path: absolute(p.Scene), Engine: p.Engine})
	if err := w.journal.err; err != nil {
		w.report("Run is not recorded", fmt.Errorf("the run's journal can't be kept: %w", err))
	}
	for _, d := range r.Warnings {
		w.emit(eligen.Event{Type: eligen.Reported, Problem: &d})
	}
	w.announce()
	if r.Farm != nil {
		r.Farm.Reports(func(d eligen.Diagnostic) { w.emit(eligen.Event{Type: eligen.Reported, Problem: &d}) })
		defer r.Farm.Reports(nil)
	}
	w.look(ctx)
	w.all(ctx)
	if f, ok := r.Store.(Flusher); ok {
		for _, err := range f.Flush(ctx) {
			w.report("Shared cache", err)
		}
	}
	w.emit(eligen.Event{Type: eligen.Ended})
	return errors.Join(append(w.errs, ctx.Err())...)
}

// ends are the stages whose results are files, or where no file is written those that nothing is made from.
func (w *walk) ends() map[eligen.Ref]bool {
	out := map[eligen.Ref]bool{}
	for _, o := range w.plan.Outputs {
		out[o.Stage] = true
	}
	if len(out) > 0 {
		return out
	}
	for i, s := range w.plan.Stages {
		out[eligen.Ref(i)] = true
		for _, in := range s.Inputs {
			delete(out, in)
		}
	}
	return out
}

// announce emits a Planned event for each stage.
func (w *walk) announce() {
	files := w.ends()
	for i, s := range w.plan.Stages {
		e := eligen.Event{Type: eligen.Planned, Stage: s.Name, Kind: s.Op.Kind(), Work: s.Work}
		made := s.Record
		if files[eligen.Ref(i)] {
			if made == nil {
				made = s.Op
			}
			for _, in := range s.Inputs {
				e.Inputs = append(e.Inputs, w.plan.Stages[in].Name)
			}
		}
		if made != nil {
			e.Definition, _ = json.Marshal(made) // for people to compare; without it they have less to read
		}
		w.emit(e)
	}
}

// absolute returns a path that holds wherever the working directory is.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
