package farm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
)

// RunOptions say how the applying side uses a queue.
type RunOptions struct {
	Store    runtime.Store // of the Runner: what it reads comes from Far where this machine lacks it
	Far      runtime.Store // that workers share
	Scene    string        // path of the scene's file
	Engine   string        // ID
	Priority int           // higher goes first
	Trace    string        // W3C's traceparent of the run; "" is none
}

// A Submitted is a run whose stages workers make. It is a [runtime.Farm], and holds no state that
// the store doesn't: when it dies, another one plans again, and subtracts what the store has.
type Submitted struct {
	q   *Queue
	o   RunOptions
	ctx context.Context // ends with the run

	beats sync.WaitGroup
	stop  context.CancelFunc
	notes *nats.Subscription

	reports sync.Mutex
	report  func(eligen.Diagnostic)
	early   eligen.Diagnostics // before there is a report

	mu       sync.Mutex
	entry    Run
	classes  map[string]bool // those with a consumer
	pending  map[eligen.Digest]*pending
	sent     map[eligen.Digest]bool // inputs and blobs that are in Far
	workers  int                    // that are there
	reported map[string]bool
	strikes  map[string]int // damaged results, by worker
	known    *needs         // of the plan
}

var _ runtime.Farm = (*Submitted)(nil)

// A pending is a task that is with the queue.
type pending struct {
	data   []byte
	class  Class
	again  bool
	refs   map[eligen.Digest]eligen.Ref
	emit   func(eligen.Ref, eligen.Event)
	digest eligen.Digest

	supplies []supply
	ended    chan outcome  // takes one
	lacking  chan struct{} // takes one: a worker has missed a supply

	attempt int       // how often it was published; with heard, guarded by the run's mu
	heard   time.Time // of it, last
}

// An outcome is how a task has ended: made, failed, or lost by the queue.
type outcome struct {
	worker, name string
	content      eligen.Digest
	failed       *runtime.TaskError
	lost         bool
}

// Begin enters a run into the queue. It ends with End.
func (q *Queue) Begin(ctx context.Context, o RunOptions) (*Submitted, error) {
	r := &Submitted{q: q, o: o, classes: map[string]bool{}, pending: map[eligen.Digest]*pending{}, sent: map[eligen.Digest]bool{},
		reported: map[string]bool{}, strikes: map[string]int{}}
	r.entry = Run{Format: format, ID: newID(), Scene: filepath.Base(o.Scene), From: hostName(), Began: q.now(), Priority: o.Priority,
		Trace: o.Trace}
	var err error
	if r.entry.Mark, err = putBlob(ctx, o.Far, r.markText()); err != nil {
		return nil, fmt.Errorf("the store that workers share takes nothing: %w", err)
	}
	if r.notes, err = q.conn.Subscribe(prefix+"note."+r.entry.ID, r.note); err != nil {
		return nil, err
	}
	if err := r.enter(ctx); err != nil {
		_ = r.notes.Unsubscribe()
		return nil, err
	}
	r.count(ctx)
	q.sweep(ctx)
	r.ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.beats.Add(1)
	go r.beat()
	return r, nil
}

func (r *Submitted) markText() []byte { return []byte("eligen run " + r.entry.ID + "\n") }

// mark sees to it that the run's mark is in the shared store, where new workers look for it. A store that has
// lost it may have lost all that was sent.
func (r *Submitted) mark(ctx context.Context) {
	if _, err := r.o.Far.Stat(ctx, r.entry.Mark); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	r.forgetSent()
	_, _ = putBlob(ctx, r.o.Far, r.markText()) // or at the next beat but one
}

// ID returns the run's name in the queue.
func (r *Submitted) ID() string { return r.entry.ID }

// newID returns a name that nobody else has.
func newID() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// enter writes the run's entry.
func (r *Submitted) enter(ctx context.Context) error {
	r.mu.Lock()
	entry := r.entry
	entry.Classes, entry.Avoid, entry.Out = slices.Clone(entry.Classes), slices.Clone(entry.Avoid), len(r.pending)
	r.mu.Unlock()
	data, err := json.Marshal(entry)
	if err == nil {
		_, err = r.q.runs().Put(ctx, entry.ID, data)
	}
	return err
}

// beat says that the run is there, and compares what it waits for with the store and the queue.
func (r *Submitted) beat() {
	defer r.beats.Done()
	select { // who waits for workers learns it soon
	case <-r.ctx.Done():
		return
	case <-time.After(min(time.Second, r.q.beat())):
		r.count(r.ctx)
	}
	tick := time.NewTicker(r.q.beat())
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(r.ctx, max(r.q.patience/2, time.Second))
		err := r.enter(ctx)
		if err != nil && r.ctx.Err() == nil {
			r.once("queue", "Queue doesn't answer", fmt.Errorf("%s: %w. The run goes on as soon as it does", r.q.address, r.q.trouble(err)))
			err = r.q.prepare(ctx, Settings{Patience: r.q.patience, Tries: r.q.most})
		}
		if err == nil {
			r.count(ctx)
			if n%2 == 0 {
				r.mark(ctx)
				r.reconcile(ctx)
			}
		}
		cancel()
	}
}

// once reports a problem, the first time that it is seen.
func (r *Submitted) once(key, summary string, err error) {
	r.mu.Lock()
	again := r.reported[key]
	r.reported[key] = true
	r.mu.Unlock()
	if again {
		return
	}
	d := eligen.Problem(eligen.Warning, nil, summary, strings.TrimSuffix(err.Error(), ".")+".")
	r.reports.Lock()
	defer r.reports.Unlock()
	if r.report == nil {
		r.early = append(r.early, d)
		return
	}
	r.report(d)
}

// Reports has problems be told to a function, those of before too.
func (r *Submitted) Reports(to func(eligen.Diagnostic)) {
	r.reports.Lock()
	defer r.reports.Unlock()
	if r.report = to; to == nil {
		return
	}
	for _, d := range r.early {
		to(d)
	}
	r.early = nil
}

// Makes reports whether workers make stages of an Op's kind.
func (r *Submitted) Makes(op eligen.Op) bool { return Makes(op) }

// mostArrivals is how often a result may arrive damaged, or not at all.
const mostArrivals = 12

// least is how many tasks are in the queue where there are few workers.
const least = 4

// Window returns how many tasks are in the queue at the same time: two for each worker, the one that
// it makes and the next. More would be waste should the run end, and would hold up other runs.
func (r *Submitted) Window() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return window(r.workers)
}

func window(workers int) int { return max(least, 2*workers) }

// Make has a task made, and waits until its result is here.
func (r *Submitted) Make(ctx context.Context, t runtime.Task) error {
	p, err := r.pack(t)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.pending[p.digest] = p
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.pending, p.digest)
		r.mu.Unlock()
	}()
	if err := r.supply(ctx, p, false); err != nil {
		return err
	}
	for repair := false; ; {
		if err := r.publish(ctx, p, repair); err != nil {
			return err
		}
		end, err := r.outcome(ctx, p)
		if err != nil {
			return err
		}
		switch {
		case end.failed != nil:
			return end.failed
		case end.lost: // perhaps with the rest
			r.forgetSent()
			if err := r.supply(ctx, p, false); err != nil {
				return err
			}
			continue
		}
		there, err := r.arrived(ctx, p, end)
		if err != nil {
			return err
		}
		if there {
			r.mu.Lock()
			r.entry.Done++
			r.mu.Unlock()
			return nil
		}
		if repair = true; p.attempt > mostArrivals {
			return fmt.Errorf("the result arrived damaged, or not at all, %d times", p.attempt)
		}
	}
}

// outcome waits for how a task ends. What a worker misses meanwhile is put into the shared store again.
func (r *Submitted) outcome(ctx context.Context, p *pending) (outcome, error) {
	for missed := 0; ; missed++ {
		select {
		case <-ctx.Done():
			return outcome{}, ctx.Err()
		case end := <-p.ended:
			return end, nil
		case <-p.lacking:
		}
		if missed == mostArrivals {
			return outcome{}, fmt.Errorf("workers found no sound copy of what the task needs in the store that they share, %d times", missed)
		}
		r.forgetSent()
		if err := r.supply(ctx, p, true); err != nil {
			return outcome{}, err
		}
	}
}

// arrived reports whether a task's result is in the store, sound. A store that doesn't answer is waited for.
func (r *Submitted) arrived(ctx context.Context, p *pending, end outcome) (bool, error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		info, err := runtime.Verify(ctx, r.o.Store, p.digest)
		if err == nil {
			if end.content != "" && info.Content != end.content {
				r.strike(end, fmt.Errorf("the worker says of its content that it is %s, and it is %s", end.content.Short(), info.Content.Short()))
			}
			return true, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		var problems []error
		if f, ok := r.o.Store.(runtime.Flusher); ok {
			problems = f.Flush(ctx) // so that it asks the shared store again
		}
		if _, far := runtime.Verify(ctx, r.o.Far, p.digest); errors.Is(far, fs.ErrNotExist) || errors.Is(far, runtime.ErrCorrupt) {
			r.strike(end, far)
			return false, nil
		} else if far != nil {
			r.once("store", "Shared cache", fmt.Errorf("%w. The run waits for it", errors.Join(append(problems, far)...)))
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// strike notes that a worker's result was no good. After the second one, the run avoids the worker.
func (r *Submitted) strike(end outcome, err error) {
	if end.worker == "" {
		return
	}
	r.mu.Lock()
	r.strikes[end.worker]++
	n := r.strikes[end.worker]
	if n == 2 {
		r.entry.Avoid = append(r.entry.Avoid, end.worker)
	}
	r.mu.Unlock()
	if n == 2 {
		_ = r.enter(r.ctx) // or at the next beat
	}
	what := "It is made again"
	if n >= 2 {
		what = "The run takes no more from this worker"
	}
	r.once(fmt.Sprint("strike ", end.worker, min(n, 2)), "Damaged result",
		fmt.Errorf("a result of the worker %s can't be used: %w. %s", end.name, err, what))
}

// pack makes a message of a task, and lists what the worker needs in the shared store.
func (r *Submitted) pack(t runtime.Task) (*pending, error) {
	p := &pending{refs: map[eligen.Digest]eligen.Ref{}, emit: t.Emit, again: t.Again,
		ended: make(chan outcome, 1), lacking: make(chan struct{}, 1)}
	p.class = r.needs(t.Plan).class(r.o.Engine, t.Stages)
	var stages []json.RawMessage
	for _, i := range t.Stages {
		s := t.Plan.Stages[i]
		data, err := stage.Of(t.Plan, i).Encode()
		if err != nil {
			return nil, err
		}
		stages = append(stages, data)
		p.refs[s.Digest], p.digest = i, s.Digest
		for _, in := range s.Inputs {
			if !slices.Contains(t.Stages, in) {
				p.supplies = append(p.supplies, r.input(t.Plan.Stages[in].Digest))
			}
		}
		if picture := stage.PictureOf(s.Op); picture != "" {
			p.supplies = append(p.supplies, picturefile(picture, stage.PathOf(s.Op)))
		}
	}
	body, err := json.Marshal(stages)
	if err != nil {
		return nil, err
	}
	m := task{Format: format, Run: r.entry.ID, Digest: p.digest, Again: t.Again, Stages: body}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the stages of one picture have %d MiB as data; the limit is %d", len(body)>>20, maxBody>>20)
	}
	if len(body) > maxMessage/2 {
		m.Body, m.Stages = eligen.DigestOf(body), nil
		p.supplies = append(p.supplies, content(m.Body, "a list of stages", body))
	}
	p.data, err = json.Marshal(m)
	return p, err
}

// needs returns what a plan's stages need.
func (r *Submitted) needs(p *eligen.Plan) *needs {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || r.known.plan != p {
		r.known = needsOf(p)
	}
	return r.known
}

// publish puts a task into the queue. While the queue doesn't answer, it waits.
func (r *Submitted) publish(ctx context.Context, p *pending, repair bool) error {
	data := p.data
	if repair {
		var t task
		if err := json.Unmarshal(data, &t); err != nil {
			return err
		}
		t.Repair = true
		data, _ = json.Marshal(t) // it was JSON
	}
	r.mu.Lock()
	p.attempt++
	p.heard = time.Now()
	attempt := p.attempt
	r.mu.Unlock()
	subject := prefix + "work." + r.entry.ID + "." + p.class.ID + "." + string(p.digest)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := r.open(ctx, p.class)
		if err == nil {
			_, err = r.q.js.Publish(ctx, subject, data, jetstream.WithMsgID(fmt.Sprintf("%s %s %d", r.entry.ID, p.digest, attempt)))
		}
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		r.mu.Lock()
		delete(r.classes, p.class.ID) // the consumer may be gone with the rest
		r.mu.Unlock()
		r.once("queue", "Queue doesn't answer", fmt.Errorf("%s: %w. The run goes on as soon as it does", r.q.address, r.q.trouble(err)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// open makes the consumer of a class, from which workers pull.
func (r *Submitted) open(ctx context.Context, c Class) error {
	r.mu.Lock()
	there := r.classes[c.ID]
	r.mu.Unlock()
	if there {
		return nil
	}
	_, err := r.q.js.CreateOrUpdateConsumer(ctx, workStream, jetstream.ConsumerConfig{
		Durable: consumer(r.entry.ID, c.ID), FilterSubject: prefix + "work." + r.entry.ID + "." + c.ID + ".*",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.q.patience, MaxDeliver: -1, MaxAckPending: 100_000,
		InactiveThreshold: max(time.Hour, 10*r.q.patience),
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	known := slices.ContainsFunc(r.entry.Classes, func(o Class) bool { return o.ID == c.ID })
	if !known {
		r.entry.Classes = append(r.entry.Classes, c)
	}
	r.classes[c.ID] = true
	r.mu.Unlock()
	if known {
		return nil
	}
	return r.enter(ctx)
}

func consumer(run, class string) string { return run + "-" + class }

// note takes what a worker says.
func (r *Submitted) note(m *nats.Msg) {
	var n note
	if json.Unmarshal(m.Data, &n) != nil || n.Format != format {
		return
	}
	r.mu.Lock()
	p := r.pending[n.Task]
	if p != nil {
		p.heard = time.Now()
	}
	r.mu.Unlock()
	if p == nil {
		return
	}
	if n.Lacks {
		select {
		case p.lacking <- struct{}{}:
		default:
		}
		return
	}
	if n.Type == eligen.Ended {
		p.end(outcome{worker: n.Worker, name: shown(n.Name), content: n.Content})
		return
	}
	i, ok := p.refs[n.Stage]
	if !ok {
		return
	}
	switch n.Type {
	case eligen.Started:
		p.emit(i, eligen.Event{Type: eligen.Started, Worker: shown(n.Name)})
	case eligen.Stepped:
		if n.Step > 0 && n.Step <= n.Of {
			p.emit(i, eligen.Event{Type: eligen.Stepped, Step: n.Step, Of: n.Of})
		}
	case eligen.Done:
		p.emit(i, eligen.Event{Type: eligen.Done, Worker: shown(n.Name), Artifact: &eligen.Artifact{Digest: n.Stage, Size: n.Size}})
	case eligen.Failed:
		r.aside(r.ctx, p)
	}
}

// end gives a task its outcome, unless it has one.
func (p *pending) end(o outcome) {
	select {
	case p.ended <- o:
	default:
	}
}

// End takes the run out of the queue, with all that is left of it there.
func (r *Submitted) End(ctx context.Context) {
	r.stop()
	r.beats.Wait()
	_ = r.notes.Unsubscribe()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if !r.q.conn.IsConnected() {
		return // what is left there runs out
	}
	_ = r.q.Cancel(ctx, r.entry.ID) // as said
}
