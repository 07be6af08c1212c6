package runtime

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	"github.com/eligen/eligen"
)

// walk is one Apply.
type walk struct {
	*Runner
	plan     *eligen.Plan
	outputs  *outputs
	journal  *journal
	partials Partials // nil: none are kept
	leaser   Leaser   // nil: nobody waits

	mu  sync.Mutex // guards seq and the journal
	seq int

	needed   []bool  // to make a file
	replaced []bool  // to be made again
	found    []*Info // in the store, verified
	failed   []bool  // or skipped; written by the stage itself, before others look

	state    sync.Mutex // guards the rest
	errs     []error
	unsaved  bool // saving partial results has failed, and was reported
	unleased bool // leasing has failed, and was reported
	unread   bool // reading the store has failed, and was reported
}

func newWalk(r *Runner, p *eligen.Plan, outputs *outputs) *walk {
	n := len(p.Stages)
	w := &walk{
		Runner: r, plan: p, outputs: outputs, partials: r.Partials, leaser: r.Leaser,
		needed: make([]bool, n), replaced: make([]bool, n), found: make([]*Info, n), failed: make([]bool, n),
	}
	if w.partials == nil {
		w.partials, _ = r.Store.(Partials)
	}
	if w.leaser == nil {
		w.leaser, _ = r.Store.(Leaser)
	}
	journals := r.Journals
	if journals == nil {
		journals, _ = r.Store.(Journals)
	}
	if r.Unrecorded {
		journals = nil
	}
	w.journal = openJournal(journals)
	for _, i := range r.Replace {
		w.replaced[i] = true
	}
	for i, s := range p.Stages {
		w.replaced[i] = w.replaced[i] || slices.ContainsFunc(s.Inputs, func(in eligen.Ref) bool { return w.replaced[in] })
	}
	return w
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
	d := eligen.Problem(eligen.Warning, nil, summary, sentence(err))
	return eligen.Event{Type: eligen.Reported, Problem: &d}
}

// look finds out which stages have to run. It goes from the files backwards, so that a
// result that only cached ones need isn't even read. A stage that no other reads is
// wanted for its own sake.
func (w *walk) look(ctx context.Context) {
	ctx = context.WithoutCancel(ctx) // an interrupted run says of each stage whether it was there
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
		if !w.replaced[i] && w.find(ctx, i) {
			continue
		}
		for _, in := range s.Inputs {
			w.needed[in] = true
		}
	}
}

// find reports whether the store has a stage's result, and verifies it.
func (w *walk) find(ctx context.Context, i int) bool {
	key := w.plan.Stages[i].Digest
	info, err := Verify(ctx, w.Store, key)
	if err == nil {
		w.found[i] = &info
		w.Store.Touch(ctx, key)
		return true
	}
	switch {
	case missing(err):
	case errors.Is(err, ErrCorrupt):
		w.report("Damaged result", err)
	default:
		w.reportOnce(&w.unread, "Store can't be read", fmt.Errorf("what it holds may be made again: %w", err))
	}
	return false
}

// ahead is how many stages may run before the first one that isn't done, so that files
// appear in about the plan's order.
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
