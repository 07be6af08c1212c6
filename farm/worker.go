package farm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// WorkOptions say what a worker works with.
type WorkOptions struct {
	// Runner has the worker's stores and its engine. Its Store is one of this machine in front of Far.
	Runner runtime.Runner
	Far    runtime.Store // that all share
	// Has reports whether the engine has weights; nil is an engine that needs none. It runs no others.
	Has      func(eligen.Digest) bool
	Presence Presence                             // Version, Engine, Backend, Families, Weights, Memory; Name, if it isn't the machine's
	Stop     <-chan struct{}                      // closed: what is being made is interrupted
	Log      func(format string, args ...any)     // for people; may be nil
	Event    func(run, scene string, e WorkEvent) // may be nil
}

// A WorkEvent says what a worker did with a task.
type WorkEvent struct {
	Task    string // address of the last stage
	Stages  int    // that were made
	Seconds float64
	Problem string // "" where it was made
	Trace   string // W3C's traceparent of the run, as its entry says it
}

// A worker is a worker at work.
type worker struct {
	q      *Queue
	o      WorkOptions
	folder string // of pictures
	engine chan struct{}
	inHand chan struct{}

	mu        sync.Mutex
	presence  Presence
	runs      map[string]seenRun
	consumers map[string]jetstream.Consumer
	marks     map[eligen.Digest]bool // of runs whose store is this worker's
	ledger    ledger
	cancels   map[string]map[*job]bool
	changed   chan struct{} // holds one while there is news of runs
	pausedTo  time.Time     // after a fault of this machine
	pauses    int
}

// seenRun is a run, and when its entry came here.
type seenRun struct {
	Run
	at time.Time
}

// Work takes tasks from the queue and makes them, until ctx ends: then it finishes what it has and takes no
// more. A worker takes what its engine, its weights and its memory allow. It holds two tasks at most: the next
// one begins when the engine is done with the last.
func (q *Queue) Work(ctx context.Context, o WorkOptions) error {
	folder, err := os.MkdirTemp("", "eligen-worker-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	w := &worker{
		q: q, o: o, folder: folder, engine: make(chan struct{}, 1), inHand: make(chan struct{}, 2), presence: o.Presence,
		runs: map[string]seenRun{}, consumers: map[string]jetstream.Consumer{}, marks: map[eligen.Digest]bool{}, ledger: ledger{},
		cancels: map[string]map[*job]bool{}, changed: make(chan struct{}, 1),
	}
	p := &w.presence
	p.Format, p.ID, p.Since = format, newID(), q.now()
	if p.Name == "" {
		p.Name = hostName()
	}
	if err := w.say(ctx); err != nil {
		return fmt.Errorf("the queue %s can't be used: %w", q.address, err)
	}
	cancelled, err := q.conn.Subscribe(prefix+"cancel.*", w.cancelled)
	if err != nil {
		return err
	}
	defer func() { _ = cancelled.Unsubscribe() }()
	taking, drain := context.WithCancel(ctx)
	defer drain()
	drained, err := q.conn.Subscribe(prefix+"drain."+p.ID, func(*nats.Msg) { drain() })
	if err != nil {
		return err
	}
	defer func() { _ = drained.Unsubscribe() }()
	beats, stop := context.WithCancel(context.WithoutCancel(ctx))
	var beating sync.WaitGroup
	beating.Go(func() { w.beat(beats) })
	beating.Go(func() { w.watch(beats) })
	w.take(taking)
	stop()
	beating.Wait()
	gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if q.conn.IsConnected() {
		_ = q.here().Purge(gone, p.ID) // else it runs out
	}
	return nil
}

// logf tells people.
func (w *worker) logf(format string, args ...any) {
	if w.o.Log != nil {
		w.o.Log(format, args...)
	}
}

// say writes the worker's presence.
func (w *worker) say(ctx context.Context) error {
	w.mu.Lock()
	data, err := json.Marshal(w.presence)
	id := w.presence.ID
	w.mu.Unlock()
	if err == nil {
		_, err = w.q.here().Put(ctx, id, data)
	}
	return err
}

// beat says that the worker is there. A queue that has lost everything gets its streams and buckets again.
func (w *worker) beat(ctx context.Context) {
	tick := time.NewTicker(w.q.beat())
	defer tick.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		limited, cancel := context.WithTimeout(ctx, max(w.q.patience/2, time.Second))
		err := w.say(limited)
		if err != nil && ctx.Err() == nil {
			if !away {
				w.logf("the queue doesn't answer: %v; waiting for it", w.q.trouble(err))
			}
			away = true
			_ = w.q.prepare(limited, Settings{Patience: w.q.patience, Tries: w.q.most}) // or at the next beat
		} else if away {
			w.logf("the queue is back")
			away = false
		}
		cancel()
	}
}

// watch keeps up with the runs that there are.
func (w *worker) watch(ctx context.Context) {
	for ctx.Err() == nil {
		watcher, err := w.q.runs().WatchAll(ctx)
		if err == nil {
			w.follow(ctx, watcher)
			_ = watcher.Stop()
		}
		select {
		case <-ctx.Done():
		case <-time.After(w.q.beat()):
		}
	}
}

// follow reads what a watcher tells, until it tells nothing for long: runs say that they are there.
func (w *worker) follow(ctx context.Context, watcher jetstream.KeyWatcher) {
	quiet := time.NewTimer(6 * w.q.beat())
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			return
		case e, ok := <-watcher.Updates():
			if !ok {
				return
			}
			quiet.Reset(6 * w.q.beat())
			if e != nil {
				w.heard(e)
			}
		}
	}
}

// heard takes note of a run's entry.
func (w *worker) heard(e jetstream.KeyValueEntry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var r Run
	sound := e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &r) == nil && r.Format == format
	if !sound || r.ID != e.Key() || !isToken(r.ID) {
		delete(w.runs, e.Key())
		return
	}
	if old := w.runs[r.ID]; len(old.Classes) != len(r.Classes) {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	w.runs[r.ID] = seenRun{r, time.Now()}
}

// take takes tasks until ctx ends, and waits for those in hand.
func (w *worker) take(ctx context.Context) {
	var jobs sync.WaitGroup
	for ctx.Err() == nil {
		select {
		case w.engine <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		select {
		case w.inHand <- struct{}{}:
		case <-ctx.Done():
			<-w.engine
			continue
		}
		m, run := w.next(ctx)
		if m != nil && ctx.Err() != nil {
			_ = m.Nak() // it came too late; else it comes again after the queue's patience
			m = nil
		}
		if m == nil {
			<-w.engine
			<-w.inHand
			continue
		}
		jobs.Go(func() {
			defer func() { <-w.inHand }()
			w.handle(m, run)
		})
	}
	w.mu.Lock()
	w.presence.Draining = true
	w.mu.Unlock()
	_ = w.say(context.WithoutCancel(ctx)) // or it is seen at the next beat
	jobs.Wait()
}

// idle is how long a worker waits for a task in one request. A request that is given up could still be given a
// task, which nobody would make before the queue's patience ends: so none is.
const idle = time.Second

// next takes a task, the most wanted first. It returns nil after a while without one.
func (w *worker) next(ctx context.Context) (jetstream.Msg, Run) {
	choices, runs := w.choices(ctx)
	for _, c := range choices {
		if m := w.fetch(ctx, c, func(from jetstream.Consumer) (jetstream.MessageBatch, error) { return from.FetchNoWait(1) }); m != nil {
			return m, runs[c.run]
		}
	}
	wait := min(idle, 2*w.q.beat())
	if len(choices) == 0 {
		select {
		case <-ctx.Done():
		case <-w.changed:
		case <-time.After(wait):
		}
		return nil, Run{}
	}
	c := choices[0]
	wait /= time.Duration(len(choices)) // others may get something meanwhile
	return w.fetch(ctx, c, func(from jetstream.Consumer) (jetstream.MessageBatch, error) {
		return from.Fetch(1, jetstream.FetchMaxWait(wait))
	}), runs[c.run]
}

// choices lists from where the worker may take a task, in order.
func (w *worker) choices(ctx context.Context) ([]choice, map[string]Run) {
	w.mu.Lock()
	runs := map[string]Run{}
	for id, r := range w.runs {
		if time.Since(r.at) > 6*w.q.beat() {
			delete(w.runs, id)
			continue
		}
		runs[id] = r.Run
	}
	w.ledger.keep(func(run string) bool { _, ok := runs[run]; return ok })
	paused := time.Until(w.pausedTo)
	w.mu.Unlock()
	if paused > 0 {
		return nil, nil
	}
	var out []choice
	unfit := ""
	for id, r := range runs {
		for _, c := range r.Classes {
			if why := w.unfit(ctx, r, c); why != "" {
				unfit = fmt.Sprintf("of the run %s of %s: it %s", id, shown(r.Scene), why)
				continue
			}
			w.mu.Lock()
			out = append(out, choice{id, c.ID, r.Priority, w.ledger.of(id)})
			w.mu.Unlock()
		}
	}
	w.mu.Lock()
	if unfit != w.presence.Unfit && unfit != "" {
		defer w.logf("takes nothing %s", unfit)
	}
	w.presence.Unfit = unfit
	w.mu.Unlock()
	order(out)
	return out, runs
}

// unfit returns why the worker can't make a class of a run; "" where it can.
func (w *worker) unfit(ctx context.Context, r Run, c Class) string {
	if !isToken(c.ID) {
		return "has a class without a name"
	}
	if slices.Contains(r.Avoid, w.presence.ID) {
		return "avoids this worker, whose results were damaged"
	}
	if why := mismatch(c, w.presence.Engine, w.presence.Memory); why != "" {
		return why
	}
	for _, d := range c.Weights {
		if w.o.Has != nil && !w.o.Has(d) {
			return fmt.Sprintf("lacks the weights %s: name a scene that uses them behind eligen worker", d.Short())
		}
	}
	w.mu.Lock()
	same := w.marks[r.Mark]
	w.mu.Unlock()
	if same {
		return ""
	}
	if _, err := w.o.Far.Stat(ctx, r.Mark); err != nil {
		return fmt.Sprintf("has another store of results (%v): pass the same --cache to worker and apply, or none to both", err)
	}
	w.mu.Lock()
	w.marks[r.Mark] = true
	w.mu.Unlock()
	return ""
}

// fetch asks a consumer for a task.
func (w *worker) fetch(ctx context.Context, c choice, ask func(jetstream.Consumer) (jetstream.MessageBatch, error)) jetstream.Msg {
	name := consumer(c.run, c.class)
	w.mu.Lock()
	from, ok := w.consumers[name]
	w.mu.Unlock()
	if !ok {
		var err error
		if from, err = w.q.js.Consumer(ctx, workStream, name); err != nil {
			w.pause(ctx)
			return nil
		}
		w.mu.Lock()
		w.consumers[name] = from
		w.mu.Unlock()
	}
	batch, err := ask(from)
	if err == nil {
		for m := range batch.Messages() {
			return m
		}
		err = batch.Error()
	}
	if err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) {
		w.mu.Lock()
		delete(w.consumers, name)
		w.mu.Unlock()
		w.pause(ctx)
	}
	return nil
}

// pause waits a moment after a fault of the queue.
func (w *worker) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(w.q.beat() / 2):
	}
}

// cancelled interrupts what the worker makes for a run.
func (w *worker) cancelled(m *nats.Msg) {
	run := m.Subject[len(prefix+"cancel."):]
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.runs, run)
	for j := range w.cancels[run] {
		j.drop()
	}
}
