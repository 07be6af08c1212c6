package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/farm"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
	"github.com/eligen/eligen/store/layered"
	"github.com/eligen/eligen/store/remote"
	"github.com/eligen/eligen/store/remote/bucket"
)

// ErrNoQueue says that an App has no queue.
var ErrNoQueue = errors.New("no queue is set")

// queue connects to the options' queue, once.
func (a *App) queue(ctx context.Context) (*farm.Queue, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	if a.options.Queue.URL == "" {
		return nil, ErrNoQueue
	}
	if a.farm != nil {
		return a.farm, nil
	}
	q, err := farm.Open(ctx, a.options.Queue, farm.Settings{})
	if err != nil {
		return nil, &InputError{"queue", "", err.Error()}
	}
	a.farm = q
	return q, nil
}

// farStore returns the store that machines share: the cache of the options, or else the queue's own. It is nil
// without either.
func (a *App) farStore(ctx context.Context) (runtime.Store, error) {
	if a.options.Cache != "" {
		return a.cache(ctx)
	}
	if a.options.Queue.URL == "" {
		return nil, nil
	}
	q, err := a.queue(ctx)
	if err != nil {
		return nil, err
	}
	far, err := q.Store(ctx)
	if err != nil {
		return nil, err // not far: a nil pointer in it would be a store
	}
	return far, nil
}

// cache returns the store at the address of the options. That of a bucket is opened once.
func (a *App) cache(ctx context.Context) (runtime.Store, error) {
	address := a.options.Cache
	if !bucket.Is(address) {
		far, err := remote.New(address, remote.Options{})
		if err != nil {
			return nil, &InputError{"cache", "", err.Error()}
		}
		return far, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	if a.bucket == nil {
		b, err := bucket.Open(ctx, address)
		if err != nil {
			return nil, &InputError{"cache", "", err.Error()}
		}
		a.bucket = b
	}
	return remote.Over(a.bucket, remote.Options{}), nil
}

// submit enters a plan into the queue, where there is one, and has a runner use it. What it returns ends that.
func (a *App) submit(ctx context.Context, r *runtime.Runner, p *Plan, priority int, trace string) (end func(), err error) {
	if a.options.Queue.URL == "" {
		return func() {}, nil
	}
	q, err := a.queue(ctx)
	if err != nil {
		return nil, err
	}
	far, err := a.farStore(ctx)
	if err != nil {
		return nil, err
	}
	s, err := q.Begin(ctx, farm.RunOptions{
		Store: r.Store, Far: far, Scene: p.Plan.Scene, Engine: p.Engine, Priority: priority, Trace: trace,
	})
	if err != nil {
		return nil, fmt.Errorf("the queue %s: %w", q.Address(), err)
	}
	r.Farm = s
	return func() { s.End(ctx) }, nil
}

// A WorkRequest says how to work for a queue.
type WorkRequest struct {
	Engine  string          // "model" or "paint"; "" is "model"
	Backend string          // that models run on
	Scenes  []Input         // whose weights the worker has; nano is always there
	Memory  int64           // bytes that a task may take; 0 is what the machine has, NoLimit is any
	Name    string          // for people; "" is the machine's
	Stop    <-chan struct{} // closed: what is being made is interrupted, and another worker makes it
	Log     func(format string, args ...any)
	Event   func(run, scene string, e farm.WorkEvent)
}

// Work makes what runs on other machines put into the queue, until ctx ends; then it finishes what it has.
// ready is told once the worker waits for tasks.
func (a *App) Work(ctx context.Context, r WorkRequest, ready func(farm.Presence)) error {
	if err := a.begin(); err != nil {
		return err
	}
	defer a.running.Done()
	q, err := a.queue(ctx)
	if err != nil {
		return err
	}
	far, err := a.farStore(ctx)
	if err != nil {
		return err
	}
	runner, err := a.runner()
	if err != nil {
		return err
	}
	e, err := a.engine(r.Engine, r.Backend)
	if err != nil {
		return err
	}
	memory := limit(r.Memory, "--memory", e.ID())
	hold(e, memory)
	given, err := a.given(ctx, e, r)
	if err != nil {
		return err
	}
	if own, ok := runner.Store.(runtime.Partials); ok && runner.Partials == nil {
		runner.Partials = own
	}
	if runner.Partials != nil {
		if runner.Partials, err = q.Partials(ctx, runner.Partials); err != nil {
			return err
		}
	}
	runner.Engine = e
	p := farm.Presence{
		Name: r.Name, Version: version(), Engine: e.ID(), Backend: r.Backend, Families: given.families, Weights: len(given.weights),
		Memory: memory.bytes,
	}
	if ready != nil {
		ready(p)
	}
	return q.Work(ctx, farm.WorkOptions{Runner: runner, Far: far, Has: given.has(), Presence: p, Stop: r.Stop, Log: r.Log,
		Event: func(run, scene string, e farm.WorkEvent) {
			for _, to := range []func(string, string, farm.WorkEvent){a.options.Worked, r.Event} {
				if to != nil {
					to(run, scene, e)
				}
			}
		}})
}

// version returns eligen's, and that of Go.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		return eligen.Version + " (" + b.GoVersion + ")"
	}
	return eligen.Version
}

// weightsGiven are those that a worker may run.
type weightsGiven struct {
	weights  map[eligen.Digest]bool // nil: the engine needs none
	families []string
}

// has returns what reports whether the worker was given weights; nil where the engine needs none.
func (g weightsGiven) has() func(eligen.Digest) bool {
	if g.weights == nil {
		return nil
	}
	return func(d eligen.Digest) bool { return g.weights[d] }
}

func (g *weightsGiven) add(family string, digests ...eligen.Digest) {
	for _, d := range digests {
		if d != "" {
			g.weights[d] = true
		}
	}
	if !slices.Contains(g.families, family) {
		g.families = append(g.families, family)
	}
}

// given has the engine open the weights of nano, and those that scenes use.
func (a *App) given(ctx context.Context, e eligen.Engine, r WorkRequest) (g weightsGiven, err error) {
	if r.Engine == "paint" {
		return weightsGiven{families: []string{"paint"}}, nil
	}
	g.weights = map[eligen.Digest]bool{}
	for _, adapters := range [][]eligen.Adapter{nil, {{Kind: "lora", Scale: 1, Alpha: "file"}},
		{{Kind: "lora", Path: eligen.InContext, Scale: 1, Alpha: "file"}}, {{Kind: "ip", Scale: 1}}} {
		s, err := e.Spec(eligen.Model{Family: embedded}, adapters)
		if err != nil {
			continue // this family brings no such adapter
		}
		g.add(s.Family, s.Text, s.Transformer, s.Autoencoder)
		for _, w := range s.Adapters {
			g.add(s.Family, w.Digest)
		}
	}
	for _, in := range r.Scenes {
		p, _, err := a.Plan(ctx, PlanRequest{Input: in, Engine: r.Engine, Backend: r.Backend, Memory: NoLimit})
		if err != nil {
			return g, err
		}
		for _, s := range p.Stages {
			g.add(p.Scene.Renders[0].Model.Family, stage.WeightsOf(s.Op)...)
		}
	}
	return g, nil
}

// embedded is the family of the model that is always there.
const embedded = "nano"

// Workers lists the workers of the queue.
func (a *App) Workers(ctx context.Context) ([]farm.Presence, error) {
	return asked(ctx, a, (*farm.Queue).Workers)
}

// Waiting lists the runs in the queue.
func (a *App) Waiting(ctx context.Context) ([]farm.Waiting, error) {
	return asked(ctx, a, (*farm.Queue).Runs)
}

// SetAside lists the tasks that workers have set aside.
func (a *App) SetAside(ctx context.Context) ([]farm.Aside, error) {
	return asked(ctx, a, (*farm.Queue).SetAside)
}

// CancelRuns takes runs out of the queue, by their names there.
func (a *App) CancelRuns(ctx context.Context, names []string) error {
	_, err := asked(ctx, a, func(q *farm.Queue, ctx context.Context) (none struct{}, err error) {
		runs, err := q.Runs(ctx)
		if err != nil {
			return none, err
		}
		var known []string
		for _, r := range runs {
			known = append(known, r.ID)
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				return none, Unknown("run", name, "run", known)
			}
			if err := q.Cancel(ctx, name); err != nil {
				return none, err
			}
		}
		return none, nil
	})
	return err
}

// Drain has workers finish what they make and end: those of names or IDs, or all. It returns whom it told.
func (a *App) Drain(ctx context.Context, names []string) ([]farm.Presence, error) {
	return asked(ctx, a, func(q *farm.Queue, ctx context.Context) ([]farm.Presence, error) { return q.Drain(ctx, names) })
}

// asked asks the queue.
func asked[T any](ctx context.Context, a *App, ask func(*farm.Queue, context.Context) (T, error)) (T, error) {
	var none T
	if err := a.begin(); err != nil {
		return none, err
	}
	defer a.running.Done()
	q, err := a.queue(ctx)
	if err != nil {
		return none, err
	}
	return ask(q, ctx)
}

// layered returns the folder's store in front of the one that machines share.
func (a *App) layered(ctx context.Context, near runtime.Store) (runtime.Store, error) {
	far, err := a.farStore(ctx)
	if err != nil || far == nil {
		return near, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shared == nil {
		a.shared = layered.New(near, far, a.options.CacheReadOnly)
	}
	return a.shared, nil
}
