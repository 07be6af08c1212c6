package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/eligen/eligen"
)

// A Farm makes stages on other machines. What it makes appears in the Runner's Store.
type Farm interface {
	// Makes reports whether the farm's workers can make stages of an Op's kind.
	Makes(op eligen.Op) bool
	// Reports has what goes wrong, and stops nothing, be told to a function; nil to none.
	Reports(to func(eligen.Diagnostic))
	// Window returns how many tasks may be with the farm at the same time.
	Window() int
	// Make has a task made. Where it returns nil, the Store has the result of the task's last
	// stage. A *TaskError says which stage failed. The error is ctx's where that ends first.
	Make(ctx context.Context, t Task) error
}

// A Task is stages that one worker makes in a row: the last one is wanted, and nothing else
// needs the others.
type Task struct {
	Plan   *eligen.Plan
	Stages []eligen.Ref // ascending
	Again  bool         // they are made though the store has them
	// Emit takes what happens: Started, Stepped and Done of the task's stages, whose names it
	// fills in, and Reported. A stage that begins again on another worker is Started again.
	Emit func(eligen.Ref, eligen.Event)
}

// A TaskError says which of a task's stages failed.
type TaskError struct {
	Stage   eligen.Ref
	Problem eligen.Diagnostic // with no source
}

func (e *TaskError) Error() string { return fmt.Sprintf("%s: %s", e.Problem.Summary, e.Problem.Detail) }

// join returns for each stage the last stage of the task that it belongs to: itself, unless a
// farm makes it along with the only stage that needs it. A stage takes its inputs along where
// it uses the engine, or where that is one input alone: so a picture's stages stay together, and
// a clip doesn't take all of its frames along. Files appear as soon as they are made, so a stage
// of a file is always a last one.
func (w *walk) join() []eligen.Ref {
	n := len(w.plan.Stages)
	root, readers, output, engine := make([]eligen.Ref, n), make([]int, n), make([]bool, n), make([]bool, n)
	for i := range root {
		root[i] = eligen.Ref(i)
	}
	if w.Farm == nil {
		return root
	}
	for _, o := range w.plan.Outputs {
		output[o.Stage] = true
	}
	for i, s := range w.plan.Stages {
		if w.missing(eligen.Ref(i)) {
			for _, in := range s.Inputs {
				readers[in]++
			}
		}
	}
	for i, s := range slices.Backward(w.plan.Stages) {
		if !w.missing(eligen.Ref(i)) || !w.Farm.Makes(s.Op) {
			continue
		}
		engine[root[i]] = engine[root[i]] || usesEngine(s.Op)
		var own []eligen.Ref
		for _, in := range s.Inputs {
			if w.missing(in) && readers[in] == 1 && !output[in] && w.Farm.Makes(w.plan.Stages[in].Op) {
				own = append(own, in)
			}
		}
		if usesEngine(s.Op) || len(own) == 1 {
			for _, in := range own {
				root[in] = root[i]
			}
		}
	}
	for i := range root { // what needs no engine is made here
		if !engine[root[i]] {
			root[i] = eligen.Ref(i)
		}
	}
	return root
}

func usesEngine(op eligen.Op) bool {
	_, ok := op.(eligen.EngineOp)
	return ok
}

// missing reports whether a stage has to run.
func (w *walk) missing(i eligen.Ref) bool { return w.needed[i] && w.found[i] == nil }

// far reports whether the farm makes a task, given by its stages.
func (w *walk) far(stages []eligen.Ref) bool {
	return w.Farm != nil && slices.ContainsFunc(stages, func(i eligen.Ref) bool {
		return w.missing(i) && usesEngine(w.plan.Stages[i].Op) && w.Farm.Makes(w.plan.Stages[i].Op)
	})
}

// task has the farm make stages in a row, and writes the files of the last one.
func (w *walk) task(ctx context.Context, stages []eligen.Ref) {
	stop := ctx.Err() != nil || w.halted()
	for _, i := range stages {
		for _, in := range w.plan.Stages[i].Inputs {
			stop = stop || w.failed[in] && !slices.Contains(stages, in)
		}
	}
	if stop {
		for _, i := range stages {
			w.skip(i)
		}
		return
	}
	t := &tasked{walk: w, last: stages[len(stages)-1], done: map[eligen.Ref]bool{}}
	again := slices.ContainsFunc(stages, func(i eligen.Ref) bool { return w.replaced[i] })
	err := w.Farm.Make(ctx, Task{Plan: w.plan, Stages: stages, Again: again, Emit: t.emit})
	t.end(ctx, stages, err)
}

// tasked is a task that is with the farm.
type tasked struct {
	*walk
	last eligen.Ref

	mu    sync.Mutex
	done  map[eligen.Ref]bool // reported
	maker string              // of the last stage
	ended bool
}

// emit passes on what happens. A stage is done once, and the last one when its result is here.
func (t *tasked) emit(i eligen.Ref, e eligen.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	if e.Type == eligen.Reported {
		t.walk.emit(e)
		return
	}
	if t.done[i] {
		return
	}
	if e.Type == eligen.Done {
		if i == t.last {
			t.maker = e.Worker
			return
		}
		t.done[i] = true
	}
	s := t.plan.Stages[i]
	e.Stage, e.Kind = s.Name, s.Op.Kind()
	t.walk.emit(e)
}

// end reports how each stage has ended.
func (t *tasked) end(ctx context.Context, stages []eligen.Ref, err error) {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	var failed *TaskError
	for _, i := range stages {
		s := t.plan.Stages[i]
		switch {
		case t.done[i]:
		case err == nil:
			e := eligen.Event{Type: eligen.Done, Stage: s.Name, Kind: s.Op.Kind(), Worker: t.maker, Artifact: &eligen.Artifact{Digest: s.Digest}}
			if info, err := t.Store.Stat(ctx, s.Digest); err == nil {
				a := info.artifact()
				e.Artifact = &a
			}
			t.walk.emit(e)
		case errors.As(err, &failed) && failed.Stage == i:
			t.failed[i] = true
			failed.Problem.Source = &s.Source
			t.failure(s, eligen.Diagnostics{failed.Problem}, &s.Source, "")
		case ctx.Err() == nil && !errors.As(err, &failed) && i == t.last:
			t.fail(i, err)
		default:
			t.skip(i)
		}
	}
	if err == nil {
		t.write(ctx, t.last)
	} else {
		t.failed[t.last] = true
	}
}
