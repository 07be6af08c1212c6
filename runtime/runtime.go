// Package runtime applies a Plan: it makes what the plan lists and the store
// lacks, says so in Events, and writes the files that the scene asked for.
package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/bug"
)

// A Runner applies plans.
type Runner struct {
	Store  *Store
	Engine eligen.Engine
	Emit   eligen.Sink // nil: nobody listens
	Force  bool        // replace files that eligen did not write

	// Unrecorded keeps no journal: what only shows how a scene will look is no run of it,
	// for plans to compare with and replay to list.
	Unrecorded bool

	// Warnings are what planning said: the run's first reports.
	Warnings eligen.Diagnostics

	// Recognise reports whether a file is one that eligen wrote and nobody has
	// changed since: it may be replaced. nil: none is.
	Recognise func(io.Reader) bool

	// Parallelism is how many stages run at the same time. 0: one that calls the
	// engine, since a model uses the whole machine, and others beside it. Results
	// don't depend on it.
	Parallelism int
	// Replace are stages to make again though the store has them, along with all
	// that is made from them.
	Replace []eligen.Ref

	pick func(ready []eligen.Ref) // tests put stages that could run in another order
}

// A StageError is the failure of a stage, which an event has reported already.
type StageError struct {
	Stage   string // address
	Problem eligen.Diagnostic
	Err     error
}

func (e *StageError) Error() string { return fmt.Sprintf("%s: %v", e.Stage, e.Err) }

// Unwrap gives the cause.
func (e *StageError) Unwrap() error { return e.Err }

// Apply makes everything that the plan's files need and the store lacks, in about
// the plan's order, and writes each file as soon as its stage is done.
//
// Before anything runs, files that must not be overwritten are refused: the error is
// then of type eligen.Diagnostics, and no event has been sent. Afterwards problems
// are events first; the error joins a *StageError for each stage that failed, and
// ctx's error if the run was interrupted. A stage that fails takes with it those that
// need it, and no others. An interruption lets the step at hand finish; what is done
// stays in the store, and the next Apply goes on from there.
func (r *Runner) Apply(ctx context.Context, p *eligen.Plan) error {
	outputs, err := r.openOutputs(p)
	if err != nil {
		return err
	}
	defer outputs.close()

	w := &walk{Runner: r, plan: p, outputs: outputs, kept: map[eligen.Ref][]byte{}}
	w.begin()
	defer w.journal.close()
	w.emit(eligen.Event{Type: eligen.Opened, Scene: p.Scene, Path: absolute(p.Scene), Engine: p.Engine})
	if err := w.journal.err; err != nil {
		w.report("Run is not recorded", fmt.Errorf("the run's journal can't be kept: %w", err))
	}
	for _, d := range r.Warnings {
		w.emit(eligen.Event{Type: eligen.Reported, Problem: &d})
	}
	files := map[eligen.Ref]bool{}
	for _, o := range p.Outputs {
		files[o.Stage] = true
	}
	for i, s := range p.Stages {
		e := eligen.Event{Type: eligen.Planned, Stage: s.Name, Kind: s.Op.Kind(), Work: s.Work}
		made := s.Record
		if files[eligen.Ref(i)] {
			made = s.Op
			for _, in := range s.Inputs {
				e.Inputs = append(e.Inputs, p.Stages[in].Name)
			}
		}
		if made != nil {
			e.Recipe, _ = json.Marshal(made) // what it says is for people to compare; without it they have less to read
		}
		w.emit(e)
	}
	w.look()
	w.all(ctx)
	w.emit(eligen.Event{Type: eligen.Ended})
	return errors.Join(append(w.errs, ctx.Err())...)
}

// walk is one Apply.
type walk struct {
	*Runner
	plan    *eligen.Plan
	outputs *outputs
	journal *journal

	mu  sync.Mutex // of seq and the journal
	seq int

	needed   []bool             // to make a file
	replaced []bool             // to be made again
	found    []*eligen.Artifact // in the store, sound; without the content
	failed   []bool             // or skipped; written by the stage itself, before others look

	state  sync.Mutex            // of what follows
	uses   []int                 // by stages that are yet to run
	kept   map[eligen.Ref][]byte // results of this run that are yet to be used
	errs   []error
	unsafe bool // saving partial results has failed, and was reported
}

func (w *walk) begin() {
	n := len(w.plan.Stages)
	w.needed, w.found, w.failed, w.uses, w.replaced = make([]bool, n), make([]*eligen.Artifact, n), make([]bool, n), make([]int, n), make([]bool, n)
	for _, i := range w.Replace {
		w.replaced[i] = true
	}
	for i, s := range w.plan.Stages {
		w.replaced[i] = w.replaced[i] || slices.ContainsFunc(s.Inputs, func(in eligen.Ref) bool { return w.replaced[in] })
	}
	w.journal = &journal{}
	if !w.Unrecorded {
		w.journal = openJournal(w.Store)
	}
}

// emit numbers events and hands them on one at a time.
func (w *walk) emit(e eligen.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send(e)
	if w.journal.failing() {
		w.send(warning("Run is not recorded", fmt.Errorf("the run's journal ends here: %w", w.journal.err)))
	}
}

func (w *walk) send(e eligen.Event) {
	w.seq++
	e.Seq, e.Time = w.seq, time.Now()
	w.journal.add(e)
	if w.Emit != nil {
		w.Emit(e)
	}
}

func (w *walk) report(summary string, err error) { w.emit(warning(summary, err)) }

func warning(summary string, err error) eligen.Event {
	return eligen.Event{Type: eligen.Reported, Problem: &eligen.Diagnostic{Severity: eligen.Warning, Summary: summary, Detail: sentence(err)}}
}

// look finds out what has to run: from the files backwards, so that a result which
// only cached ones need isn't even read. A stage that no other reads is wanted for
// its own sake.
func (w *walk) look() {
	read := make([]bool, len(w.plan.Stages))
	for _, s := range w.plan.Stages {
		for _, in := range s.Inputs {
			read[in] = true
		}
	}
	for _, o := range w.plan.Outputs {
		w.needed[o.Stage] = true
	}
	for i, s := range slices.Backward(w.plan.Stages) {
		if !w.needed[i] && read[i] {
			continue
		}
		w.needed[i] = true
		if !w.replaced[i] {
			a, ok, damage := w.Store.Get(s.Digest)
			if damage != nil {
				w.report("Damaged result", damage)
			}
			if ok {
				a.Data = nil
				w.found[i] = &a
				w.Store.use(s.Digest)
				continue
			}
		}
		for _, in := range s.Inputs {
			w.needed[in] = true
			w.uses[in]++
		}
	}
}

// ahead is how far a stage may run before the first one that isn't done: what is
// made early is held until it is used.
const ahead = 16

// all makes every stage. A stage begins when its inputs have ended, the first in the
// plan's order first.
func (w *walk) all(ctx context.Context) {
	n := len(w.plan.Stages)
	waits, readers, done := make([]int, n), make([][]eligen.Ref, n), make([]bool, n)
	var ready []eligen.Ref // ascending
	for i, s := range w.plan.Stages {
		waits[i] = len(s.Inputs)
		for _, in := range s.Inputs {
			readers[in] = append(readers[in], eligen.Ref(i))
		}
		if waits[i] == 0 {
			ready = append(ready, eligen.Ref(i))
		}
	}
	ended := make(chan eligen.Ref)
	running, first := map[bool]int{}, 0 // by whether the engine is called
	for left := n; left > 0; left-- {
		if w.pick != nil {
			w.pick(ready)
		}
		for k := 0; k < len(ready); {
			i := ready[k]
			engine := w.engine(i)
			if !w.room(engine, running) || int(i) >= first+ahead && w.pick == nil {
				k++
				continue
			}
			ready = slices.Delete(ready, k, k+1)
			running[engine]++
			go func() {
				w.stage(ctx, i)
				ended <- i
			}()
		}
		i := <-ended
		done[i] = true
		running[w.engine(i)]--
		for first < n && done[first] {
			first++
		}
		for _, r := range readers[i] {
			if waits[r]--; waits[r] == 0 {
				at, _ := slices.BinarySearch(ready, r)
				ready = slices.Insert(ready, at, r)
			}
		}
	}
}

// engine reports whether a stage will call the engine.
func (w *walk) engine(i eligen.Ref) bool {
	_, ok := w.plan.Stages[i].Op.(eligen.EngineOp)
	return ok && w.needed[i] && w.found[i] == nil
}

// room reports whether one more stage may run.
func (w *walk) room(engine bool, running map[bool]int) bool {
	switch {
	case w.Parallelism > 0:
		return running[true]+running[false] < w.Parallelism
	case engine:
		return running[true] == 0
	}
	return running[false] < goruntime.GOMAXPROCS(0)
}

// stage makes a stage's result, if it has to be made, and the files that it is
// copied to.
func (w *walk) stage(ctx context.Context, i eligen.Ref) {
	s := &w.plan.Stages[i]
	if !w.needed[i] {
		e := eligen.Event{Type: eligen.Cached, Stage: s.Name, Kind: s.Op.Kind(), Unused: true}
		if a, ok := w.Store.look(s.Digest); ok { // somebody may want to see it
			e.Artifact = &a
		}
		w.emit(e)
		return
	}
	if a := w.found[i]; a != nil {
		w.emit(eligen.Event{Type: eligen.Cached, Stage: s.Name, Kind: s.Op.Kind(), Artifact: a})
		w.write(i)
		return
	}
	skip := ctx.Err() != nil
	for _, in := range s.Inputs {
		skip = skip || w.failed[in]
	}
	if skip {
		w.skip(i)
		return
	}
	if w.engine(i) {
		defer w.Store.lease(ctx, s.Digest, func() {
			w.report("Another run is at it", fmt.Errorf("%s is being made by another run of eligen; this one waits for it", s.Name))
		})()
		if ctx.Err() != nil {
			w.skip(i)
			return
		}
		if !w.replaced[i] && w.Store.Has(s.Digest) {
			if a, ok, _ := w.Store.Get(s.Digest); ok { // made meanwhile
				w.keep(i, a.Data)
				a.Data = nil
				w.emit(eligen.Event{Type: eligen.Cached, Stage: s.Name, Kind: s.Op.Kind(), Artifact: &a})
				w.write(i)
				return
			}
		}
	}
	w.emit(eligen.Event{Type: eligen.Started, Stage: s.Name, Kind: s.Op.Kind()})
	a, err := w.run(ctx, i)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		w.skip(i)
		return
	}
	if err != nil {
		w.fail(i, err)
		return
	}
	w.keep(i, a.Data)
	w.emit(eligen.Event{Type: eligen.Done, Stage: s.Name, Kind: s.Op.Kind(), Artifact: &a})
	w.write(i)
}

// keep holds a result for the stages that read it.
func (w *walk) keep(i eligen.Ref, data []byte) {
	w.state.Lock()
	defer w.state.Unlock()
	if w.uses[i] > 0 {
		w.kept[i] = data
	}
}

func (w *walk) skip(i eligen.Ref) {
	w.failed[i] = true
	s := w.plan.Stages[i]
	w.emit(eligen.Event{Type: eligen.Skipped, Stage: s.Name, Kind: s.Op.Kind()})
}

func (w *walk) fail(i eligen.Ref, err error) {
	w.failed[i] = true
	s := w.plan.Stages[i]
	w.failure(s, err, &s.Source, "")
}

// failure reports what went wrong in a stage, or in writing a file of it.
func (w *walk) failure(s eligen.Stage, err error, at *eligen.Source, path string) {
	problem := diagnose(err, at)
	w.state.Lock()
	w.errs = append(w.errs, &StageError{s.Name, problem, err})
	w.state.Unlock()
	w.emit(eligen.Event{Type: eligen.Failed, Stage: s.Name, Kind: s.Op.Kind(), Path: path, Problem: &problem})
}

// run runs a stage's Op and keeps its result.
func (w *walk) run(ctx context.Context, i eligen.Ref) (a eligen.Artifact, err error) {
	s := &w.plan.Stages[i]
	c := &eligen.Call{Engine: w.Engine}
	for _, in := range s.Inputs {
		a, err := w.result(in)
		if err != nil {
			return a, err
		}
		c.Inputs = append(c.Inputs, a)
	}
	var out bytes.Buffer
	c.Out = &out
	c.Step = func(step, of int) {
		w.emit(eligen.Event{Type: eligen.Stepped, Stage: s.Name, Kind: s.Op.Kind(), Step: step, Of: of})
	}
	if w.replaced[i] {
		w.Store.dropPartial(s.Digest)
	}
	c.Saved = func() ([]byte, int) {
		data, step, damage := w.Store.partial(s.Digest)
		if damage != nil {
			w.report("Damaged partial result", damage)
			return nil, 0
		}
		return data, step
	}
	c.Save = func(data []byte, step int) {
		err := w.Store.savePartial(s.Digest, data, step)
		w.state.Lock()
		told := w.unsafe
		w.unsafe = w.unsafe || err != nil
		w.state.Unlock()
		if err != nil && !told {
			w.report("Partial result is not kept", fmt.Errorf("should the run be interrupted, %s begins again: %w", s.Name, err))
		}
	}
	defer func() {
		if b := bug.From(recover()); b != nil {
			err = b
		}
	}()
	if err := s.Op.Run(ctx, c); err != nil {
		return a, err
	}
	if a, err = w.Store.Put(s.Digest, out.Bytes()); errors.Is(err, ErrNotDeterministic) && strings.Contains(w.plan.Engine, "cuda") {
		// A GPU adds numbers in whatever order they come.
		w.report("Stage is not deterministic", fmt.Errorf("%s: %w", s.Name, err))
		if err = nil; w.replaced[i] {
			a, err = w.Store.replace(s.Digest, out.Bytes())
		}
	}
	if err != nil {
		return a, err
	}
	w.Store.dropPartial(s.Digest)
	return a, nil
}

// result is an earlier stage's, from this run or from the store.
func (w *walk) result(i eligen.Ref) (eligen.Artifact, error) {
	d := w.plan.Stages[i].Digest
	w.state.Lock()
	data, ok := w.kept[i]
	if w.uses[i]--; w.uses[i] == 0 {
		delete(w.kept, i)
	}
	w.state.Unlock()
	if ok {
		return w.Store.artifact(d, data), nil
	}
	a, ok, damage := w.Store.Get(d)
	if damage != nil {
		return a, damage
	}
	if !ok {
		return a, fmt.Errorf("the result of %s was in the store a moment ago and is gone; run the command again", w.plan.Stages[i].Name)
	}
	return a, nil
}

// write copies a result to its files.
func (w *walk) write(i eligen.Ref) {
	s := w.plan.Stages[i]
	for _, o := range w.plan.Outputs {
		if o.Stage != i {
			continue
		}
		a, ok, err := w.Store.Get(s.Digest)
		if err == nil && !ok {
			err = errors.New("the picture was in the store a moment ago and is gone; run the command again")
		}
		if err == nil {
			err = w.outputs.write(o, a.Data)
		}
		if err != nil {
			w.failure(s, err, &o.Source, o.Path)
			continue
		}
		w.emit(eligen.Event{Type: eligen.Wrote, Stage: s.Name, Path: o.Path})
	}
}

// diagnose is an error for people, at the place that is to blame.
func diagnose(err error, at *eligen.Source) eligen.Diagnostic {
	if at.File == "" {
		at = nil
	}
	var ds eligen.Diagnostics
	if errors.As(err, &ds) && len(ds) == 1 {
		d := ds[0]
		if d.Source == nil {
			d.Source = at
		}
		return d
	}
	d := eligen.Diagnostic{Severity: eligen.Error, Summary: "Stage failed", Detail: sentence(err), Source: at}
	switch {
	case errors.Is(err, ErrNotDeterministic):
		d.Summary = "Stage is not deterministic"
		d.Detail += " The store keeps the first result. This is a bug in eligen, unless the engine runs on a GPU."
	case errors.Is(err, syscall.ENOSPC):
		d.Summary = "Disk is full"
		d.Detail += " Nothing was half-written. Make room and run the command again: what is finished stays finished."
	case errors.Is(err, syscall.EROFS):
		d.Summary = "Read-only file system"
		d.Detail += " Results need a folder that can be written: set ELIGEN_CACHE_DIR to one, and --out for the pictures."
	case errors.Is(err, fs.ErrPermission):
		d.Summary = "No permission to write"
		d.Detail += " Results need a folder that can be written: set ELIGEN_CACHE_DIR to one, and --out for the pictures."
	}
	return d
}

// sentence is an error as one.
func sentence(err error) string {
	s := err.Error()
	if s == "" || s[len(s)-1] == '.' || s[len(s)-1] == '\n' {
		return s
	}
	return s + "."
}
