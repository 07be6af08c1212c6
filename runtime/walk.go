package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	"github.com/eligen/eligen"
)

// walk is one Apply.
type walk struct {
	*Runner
	plan    *eligen.Plan
	outputs *outputs
	files   map[eligen.Ref][]int // of the plan's outputs, by their stages

	processors int // GOMAXPROCS, which stops the world to say so

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
		files: map[eligen.Ref][]int{}, processors: goruntime.GOMAXPROCS(0),
	}
	for k, o := range p.Outputs {
		w.files[o.Stage] = append(w.files[o.Stage], k)
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
	lacks := w.gather(ctx, read)
	for i, s := range slices.Backward(w.plan.Stages) {
		if !w.needed[i] && read[i] {
			continue
		}
		w.needed[i] = true
		if !w.replaced[i] && !lacks[s.Digest] && w.find(ctx, i) {
			continue
		}
		for _, in := range s.Inputs {
			w.needed[in] = true
		}
	}
}

// gather has a store that is far away bring what look will read, and returns what it lacks: the stages that somebody
// wants at once, then all inputs of those that aren't there, and so on. That is a round of questions for each stage of
// a picture, however many pictures there are. read says which stages others read.
func (w *walk) gather(ctx context.Context, read []bool) map[eligen.Digest]bool {
	far, ok := w.Store.(Gatherer)
	if !ok {
		return nil
	}
	lacks, seen := map[eligen.Digest]bool{}, make([]bool, len(read))
	var round []eligen.Ref
	add := func(i eligen.Ref) {
		if !seen[i] {
			seen[i] = true
			round = append(round, i)
		}
	}
	for i := range read {
		if w.needed[i] || !read[i] {
			add(eligen.Ref(i))
		}
	}
	for len(round) > 0 {
		var keys []eligen.Digest
		for _, i := range round {
			if !w.replaced[i] {
				keys = append(keys, w.plan.Stages[i].Digest)
			}
		}
		maps.Copy(lacks, far.Gather(ctx, keys))
		asked := round
		round = nil
		for _, i := range asked {
			if s := w.plan.Stages[i]; w.replaced[i] || lacks[s.Digest] {
				for _, in := range s.Inputs {
					add(in)
				}
			}
		}
	}
	return lacks
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

// all makes every stage. A stage, or a task of several, begins when its inputs have ended, the
// first in the plan's order first.
func (w *walk) all(ctx context.Context) {
	g := w.graph()
	n, tasks, ready := len(w.plan.Stages), g.tasks, g.ready
	done := make([]bool, n)
	ended := make(chan eligen.Ref)
	running, first := map[place]int{}, 0
	for left := g.count; left > 0; left-- {
		if w.pick != nil {
			w.pick(ready)
		}
		for k := 0; k < len(ready) && w.anyRoom(running); {
			i := ready[k]
			at, early := w.place(tasks[i]), int(tasks[i][0]) >= first+w.ahead() && w.pick == nil
			if early && w.Farm == nil {
				break // those behind it are early, too
			}
			if !w.room(at, running) || early {
				k++
				continue
			}
			ready = slices.Delete(ready, k, k+1)
			running[at]++
			go func() {
				if at == onFarm {
					w.task(ctx, tasks[i])
				} else {
					w.stage(ctx, i)
				}
				ended <- i
			}()
		}
		i := <-ended
		running[w.place(tasks[i])]--
		for _, member := range tasks[i] {
			done[member] = true
		}
		for first < n && done[first] {
			first++
		}
		for _, r := range g.readers[i] {
			if g.waits[r]--; g.waits[r] == 0 {
				at, _ := slices.BinarySearch(ready, r)
				ready = slices.Insert(ready, at, r)
			}
		}
	}
}

// A graph is tasks, each under its last stage.
type graph struct {
	tasks   [][]eligen.Ref
	count   int            // of tasks
	waits   []int          // how many inputs of a task have not ended
	readers [][]eligen.Ref // tasks that read what one makes
	ready   []eligen.Ref   // tasks that wait for nothing, ascending
}

// graph joins the plan's stages into tasks.
func (w *walk) graph() graph {
	n, root := len(w.plan.Stages), w.join()
	g := graph{tasks: make([][]eligen.Ref, n), waits: make([]int, n), readers: make([][]eligen.Ref, n)}
	for i, s := range w.plan.Stages {
		to := root[i]
		g.tasks[to] = append(g.tasks[to], eligen.Ref(i))
		for _, in := range s.Inputs {
			if from := root[in]; from != to {
				g.waits[to]++
				g.readers[from] = append(g.readers[from], to)
			}
		}
	}
	for i, stages := range g.tasks {
		if len(stages) > 0 {
			g.count++
			if g.waits[i] == 0 {
				g.ready = append(g.ready, eligen.Ref(i))
			}
		}
	}
	return g
}

// ahead returns how many stages may run before the first one that isn't done.
func (w *walk) ahead() int {
	if w.Farm == nil {
		return ahead
	}
	return max(ahead, stagesPerTask*w.Farm.Window())
}

// stagesPerTask is about how many stages a task has, and those before it that it shares with others.
const stagesPerTask = 8

// A place is where a stage runs.
type place int

const (
	onSide   place = iota // here, without the engine
	onEngine              // here
	onFarm
)

// place returns where the stages of a task run.
func (w *walk) place(stages []eligen.Ref) place {
	switch {
	case w.far(stages):
		return onFarm
	case w.engine(stages[0]):
		return onEngine
	}
	return onSide
}

// engine reports whether a stage will call the engine.
func (w *walk) engine(i eligen.Ref) bool {
	_, ok := w.plan.Stages[i].Op.(eligen.EngineOp)
	return ok && w.needed[i] && w.found[i] == nil
}

// anyRoom reports whether one more stage of any kind may run: thousands may be ready that can't.
func (w *walk) anyRoom(running map[place]int) bool {
	return w.room(onSide, running) || w.room(onEngine, running) || w.Farm != nil && w.room(onFarm, running)
}

// room reports whether one more stage may run.
func (w *walk) room(at place, running map[place]int) bool {
	switch {
	case at == onFarm:
		return running[onFarm] < max(1, w.Farm.Window())
	case w.Parallelism > 0:
		return running[onEngine]+running[onSide] < w.Parallelism
	case at == onEngine:
		return running[onEngine] == 0
	}
	return running[onSide] < w.processors
}
