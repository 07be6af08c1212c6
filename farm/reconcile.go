package farm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// count counts the workers that could take something, and reports a class that none can make.
func (r *Submitted) count(ctx context.Context) {
	all, err := r.q.Workers(ctx)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.workers = 0
	classes := slices.Clone(r.entry.Classes)
	waits := len(r.pending) > 0
	for _, w := range all {
		if !w.Draining {
			r.workers++
		}
	}
	r.mu.Unlock()
	if !waits {
		return
	}
	if len(all) == 0 {
		r.once("nobody", "No worker is there", fmt.Errorf("nobody takes from the queue %s yet. Start a worker on another machine, or here, "+
			"with\n\n    eligen worker --queue %s", r.q.address, r.q.address))
		return
	}
	var resting []string
	for _, w := range all {
		if strings.HasPrefix(w.Unfit, ofAny) {
			resting = append(resting, shown(w.Name)+": "+shown(strings.TrimPrefix(w.Unfit, ofAny)))
		}
	}
	if len(resting) == len(all) {
		r.once("resting", "No worker can make this", fmt.Errorf("%s. The run waits until one can", strings.Join(resting, "; ")))
		return
	}
	for _, c := range classes {
		var reasons []string
		for _, w := range all {
			if why := mismatch(c, w.Engine, w.Memory); why != "" {
				reasons = append(reasons, shown(w.Name)+" "+why)
			}
		}
		if len(reasons) == len(all) {
			r.once("class "+c.ID, "No worker can make this", fmt.Errorf("%s. The run waits for one that can", strings.Join(reasons, "; ")))
		}
	}
}

// ofAny begins the Unfit of a worker whose machine is at fault.
const ofAny = "of any run: "

// mismatch returns why a worker can't make tasks of a class, as far as its engine and its memory say.
func mismatch(c Class, engine string, memory int64) string {
	switch {
	case c.Engine != engine:
		return fmt.Sprintf("runs the engine %s, and the run needs %s", shown(engine), c.Engine)
	case memory > 0 && c.Memory > memory:
		return fmt.Sprintf("may take %d GiB of memory, and a render needs about %d GiB", memory>>30, c.Memory>>30)
	}
	return ""
}

// reconcile compares what the run waits for with the store, with what was set aside and with the queue: a
// note may have been lost, and the queue may have lost everything.
func (r *Submitted) reconcile(ctx context.Context) {
	type quiet struct {
		*pending
		again bool // the store can't tell
		long  bool // for so long that a worker would have been heard
	}
	r.mu.Lock()
	var tasks []quiet
	byClass := map[string]int{}
	for _, p := range r.pending {
		byClass[p.class.ID]++
		if silent := time.Since(p.heard); silent > 2*r.q.beat() {
			tasks = append(tasks, quiet{p, p.again || p.attempt > 1, silent > 2*r.q.patience})
		}
	}
	r.mu.Unlock()
	left := map[string][]quiet{}
	for _, p := range tasks {
		if !p.again {
			if _, err := r.o.Far.Stat(ctx, p.digest); err == nil {
				p.end(outcome{})
				continue
			}
		}
		if !r.aside(ctx, p.pending) {
			left[p.class.ID] = append(left[p.class.ID], p)
		}
	}
	for class, tasks := range left {
		held, err := r.held(ctx, class)
		if err != nil {
			continue
		}
		for _, p := range tasks {
			if held == 0 || held < byClass[class] && p.long {
				r.mu.Lock()
				delete(r.classes, class)
				r.mu.Unlock()
				p.end(outcome{lost: true})
			}
		}
	}
}

// held returns how many tasks of a class the queue has.
func (r *Submitted) held(ctx context.Context, class string) (int, error) {
	c, err := r.q.js.Consumer(ctx, workStream, consumer(r.entry.ID, class))
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	info := c.CachedInfo()
	return int(info.NumPending) + info.NumAckPending, nil //nolint:gosec // as many as this run has tasks
}

// aside looks whether a task was set aside, and fails it. The bucket is what counts, not the note.
func (r *Submitted) aside(ctx context.Context, p *pending) bool {
	e, err := r.q.set().Get(ctx, string(p.digest))
	if err != nil {
		return false
	}
	var a Aside
	if json.Unmarshal(e.Value(), &a) != nil || a.Run != r.entry.ID {
		return false // of an earlier run: this one tries again
	}
	i, ok := p.refs[a.Stage]
	if !ok {
		i = p.refs[p.digest]
	}
	problem := a.Problem
	problem.Severity, problem.Source = eligen.Error, nil
	p.end(outcome{failed: &runtime.TaskError{Stage: i, Problem: problem}})
	return true
}
