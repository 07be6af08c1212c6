package farm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/farm/server"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/layered"
	"github.com/eligen/eligen/store/memory"
)

// pictures plans n pictures of different seeds.
func pictures(t *testing.T, n int, change ...func(*eligen.Render)) *eligen.Plan {
	t.Helper()
	scene := &eligen.Scene{Path: filepath.Join(t.TempDir(), "pond.hcl")}
	for i := range n {
		r := eligen.Render{
			Name: fmt.Sprintf("pond%d", i), Address: fmt.Sprintf("render.pond%d", i),
			Model: eligen.Model{Family: "nano"}, Prompt: "a green pond",
			Size: eligen.Size{W: 64, H: 64}, Seed: uint64(i), Outputs: []eligen.Output{{Path: fmt.Sprintf("%d.png", i)}},
			Entities: []eligen.Entity{
				{Name: "frog", Address: "entity.frog", Prompt: "a frog", Region: eligen.Box(0.25, 0.25, 0.75, 0.75), Strength: 1},
			},
		}
		for _, c := range change {
			c(&r)
		}
		scene.Renders = append(scene.Renders, r)
	}
	p, ds := planner.Build(t.Context(), scene, paint.Engine{}.ID(), paint.Engine{}.Spec, planner.Options{})
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A hand is a worker of a test.
type hand struct {
	near  *memory.Store
	drain context.CancelFunc
	made  atomic.Int64
	mu    sync.Mutex
	log   []string
	ended chan error
}

// said returns what the worker has told.
func (h *hand) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.log, "\n")
}

// hire starts a worker of paint with a store of its own, until the test ends.
func hire(t *testing.T, q *Queue, name string, change ...func(*WorkOptions)) *hand {
	t.Helper()
	h := &hand{near: memory.New(), ended: make(chan error, 1)}
	far, err := q.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := WorkOptions{
		Runner: runtime.Runner{Engine: paint.Engine{}, Partials: h.near, Leaser: h.near}, Far: far,
		Presence: Presence{Name: name, Engine: paint.Engine{}.ID()},
		Log: func(format string, args ...any) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.log = append(h.log, fmt.Sprintf(format, args...))
		},
		Event: func(_, _ string, e WorkEvent) { h.made.Add(int64(e.Stages)) },
	}
	for _, c := range change {
		c(&o)
	}
	if o.Runner.Store == nil {
		o.Runner.Store = layered.New(h.near, o.Far, false)
	}
	ctx, drain := context.WithCancel(context.Background())
	h.drain = drain
	go func() { h.ended <- q.Work(ctx, o) }()
	t.Cleanup(func() {
		drain()
		if err := <-h.ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("%s: %s", name, h.said())
		}
	})
	return h
}

// submit applies a plan by the queue, with a store of its own.
func submit(t *testing.T, q *Queue, p *eligen.Plan, change ...func(*RunOptions)) (eligen.Progress, error) {
	t.Helper()
	return submitUntil(t, q, p, func(eligen.Event) bool { return false }, change...)
}

// submitUntil is submit, which is interrupted by an event.
func submitUntil(
	t *testing.T, q *Queue, p *eligen.Plan, stop func(eligen.Event) bool, change ...func(*RunOptions),
) (eligen.Progress, error) {
	t.Helper()
	far, err := q.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	near := memory.New()
	o := RunOptions{Store: layered.New(near, far, false), Far: far, Scene: p.Scene, Engine: p.Engine}
	for _, c := range change {
		c(&o)
	}
	s, err := q.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.End(t.Context())
	var progress eligen.Progress
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := runtime.Runner{Store: o.Store, Partials: near, Leaser: near, Engine: paint.Engine{}, Farm: s, Force: true}
	r.Emit = func(e eligen.Event) {
		if progress.Add(e); stop(e) {
			cancel()
		}
	}
	return progress, r.Apply(ctx, p)
}

// hold compares a plan's files with those of one machine.
func hold(t *testing.T, p *eligen.Plan) {
	t.Helper()
	alone := *p
	alone.Folder = t.TempDir()
	alone.Outputs = nil
	for _, o := range p.Outputs {
		o.Path = filepath.Join(alone.Folder, filepath.Base(o.Path))
		alone.Outputs = append(alone.Outputs, o)
	}
	if err := (&runtime.Runner{Store: memory.New(), Engine: paint.Engine{}}).Apply(t.Context(), &alone); err != nil {
		t.Fatal(err)
	}
	for i, o := range p.Outputs {
		got, err := os.ReadFile(o.Path)
		want, err2 := os.ReadFile(alone.Outputs[i].Path)
		if err != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another picture than one machine's: %v, %v", filepath.Base(o.Path), err, err2)
		}
	}
}

// TestCluster: three servers hold the queue together, and one of them dies while workers make pictures.
func TestCluster(t *testing.T) {
	var servers []*server.Server
	var routes, urls []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", freePort(t)))
		_ = i
	}
	for i := range 3 {
		servers = append(servers, serve(t, func(o *server.Options) {
			o.Name, o.Cluster, o.Routes = fmt.Sprintf("node%d", i), "pond", routes
			o.RouteListen = strings.TrimPrefix(routes[i], "nats://")
		}))
		urls = append(urls, servers[i].URL(""))
	}
	for i := 0; !servers[0].JetStreamIsClustered() || !servers[0].JetStreamIsCurrent() || servers[0].NumRoutes() < 2; i++ {
		if i > 500 {
			t.Fatal("the servers find no leader")
		}
		time.Sleep(20 * time.Millisecond)
	}
	all := strings.Join(urls, ",")
	var q *Queue
	for i := 0; ; i++ { // until there is a leader
		var err error
		if q, err = Open(t.Context(), Options{URL: all}, Settings{Patience: time.Second}); err == nil {
			break
		}
		if i > 20 {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Cleanup(q.Close)
	if n := q.parts.Load().replicas; n != 3 {
		t.Fatalf("there are %d copies of what the queue holds", n)
	}
	for _, name := range []string{"anvil", "bellows"} {
		hire(t, connect(t, Options{URL: all}, Settings{}), name)
	}
	p := pictures(t, 12)
	var once sync.Once
	progress, err := submit(t, q, p, func(o *RunOptions) {
		o.Store = &watched{o.Store, func() { once.Do(func() { go servers[1].Stop() }) }}
	})
	if err != nil {
		t.Fatal(err, progress.Reports)
	}
	hold(t, p)
}

// watched is a store that tells when something is read.
type watched struct {
	runtime.Store
	opened func()
}

func (w *watched) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	r, err := w.Store.Open(ctx, key)
	if err == nil {
		w.opened()
	}
	return r, err
}

// TestDuplicates: the queue may repeat what it likes. Every task is published three times, and each stage is
// made once.
func TestDuplicates(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: time.Second})
	sub, err := q.conn.Subscribe(prefix+"work.>", nil)
	if err == nil {
		_ = sub.Unsubscribe()
	}
	again, err := q.conn.SubscribeSync(prefix + "work.>")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := again.NextMsg(10 * time.Second)
			if err != nil {
				return
			}
			if m.Header.Get("Again") == "" {
				for range 2 {
					m.Header = map[string][]string{"Again": {"1"}}
					m.Reply = ""
					_ = q.conn.PublishMsg(m)
				}
			}
		}
	}()
	a, b := hire(t, q, "anvil"), hire(t, q, "bellows")
	p := pictures(t, 8)
	if _, err := submit(t, q, p); err != nil {
		t.Fatal(err)
	}
	hold(t, p)
	_ = again.Unsubscribe()
	stages, made := len(p.Stages), 0
	for range 250 { // a worker says what it made when the run may have ended
		if made = int(a.made.Load() + b.made.Load()); made >= stages {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if made < stages || made > stages+2 {
		t.Errorf("of %d stages, %d were made", stages, made)
	}
}

// spoiled is a store that damages what is put into it, where it keeps it.
type spoiled struct {
	runtime.Store
	t *testing.T
	q *Queue
}

func (s *spoiled) Create(ctx context.Context, key eligen.Digest) (runtime.Writer, error) {
	w, err := s.Store.Create(ctx, key)
	return &spoiling{w, s, key}, err
}

type spoiling struct {
	runtime.Writer
	s   *spoiled
	key eligen.Digest
}

func (w *spoiling) Commit(replace bool) (runtime.Info, error) {
	info, err := w.Writer.Commit(replace)
	if err == nil {
		damage(w.s.t, w.s.q, w.key, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
	}
	return info, err
}

// TestDamagedResults: one worker's results arrive damaged. Each is found by its digest and made again, and the run
// takes no more from that worker.
func TestDamagedResults(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: time.Second})
	bad := hire(t, q, "anvil", func(o *WorkOptions) { o.Far = &spoiled{o.Far, t, q} })
	p := pictures(t, 6)
	go func() {
		for bad.made.Load() < 2 {
			time.Sleep(5 * time.Millisecond)
		}
		hire(t, q, "bellows")
	}()
	progress, err := submit(t, q, p)
	if err != nil {
		t.Fatal(err, progress.Reports)
	}
	hold(t, p)
	text := progress.Reports
	if len(text) < 2 || !strings.Contains(text[0].Detail, "anvil") || !strings.Contains(text[1].Detail, "takes no more from this worker") {
		t.Errorf("reports %v", text)
	}
}

// TestSkew: clocks that are ten years off, of a worker and of the applying side, change nothing: nobody compares
// times of two machines.
func TestSkew(t *testing.T) {
	s := serve(t)
	early, late := connect(t, Options{URL: s.URL("")}, Settings{}), connect(t, Options{URL: s.URL("")}, Settings{})
	early.now = func() time.Time { return time.Now().AddDate(-10, 0, 0) }
	late.now = func() time.Time { return time.Now().AddDate(10, 0, 0) }
	hire(t, early, "anvil")
	hire(t, late, "bellows")
	for _, q := range []*Queue{early, late} {
		p := pictures(t, 3)
		if progress, err := submit(t, q, p); err != nil || len(progress.Reports) > 0 {
			t.Fatal(err, progress.Reports)
		}
		hold(t, p)
	}
}

// TestLateWorker: what was queued while nobody was there is made when somebody comes, and it is said.
func TestLateWorker(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: 500 * time.Millisecond})
	p := pictures(t, 3)
	time.AfterFunc(300*time.Millisecond, func() { hire(t, q, "anvil") })
	progress, err := submit(t, q, p)
	if err != nil {
		t.Fatal(err)
	}
	hold(t, p)
	if len(progress.Reports) != 1 || progress.Reports[0].Summary != "No worker is there" {
		t.Errorf("reports %v", progress.Reports)
	}
}

// TestMemory: a worker takes what fits, and a large picture waits for one that has more memory.
func TestMemory(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: 500 * time.Millisecond})
	small := hire(t, q, "anvil", func(o *WorkOptions) { o.Presence.Memory = 2 << 30 })
	p := pictures(t, 2)
	p.Renders[0].Memory, p.Renders[1].Memory = 1<<30, 5<<30
	go func() {
		for small.made.Load() < 1 || !strings.Contains(small.said(), "may take 2 GiB of memory, and a render needs about 5 GiB") {
			time.Sleep(5 * time.Millisecond)
		}
		hire(t, q, "bellows", func(o *WorkOptions) { o.Presence.Memory = 8 << 30 })
	}()
	if progress, err := submit(t, q, p); err != nil {
		t.Fatal(err, progress.Reports)
	}
	hold(t, p)
}

// TestPriority: while two runs wait, the one of the higher priority is made first.
func TestPriority(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{})
	var mu sync.Mutex
	var made []string
	low, high := pictures(t, 6), pictures(t, 6, func(r *eligen.Render) { r.Prompt = "a red pond" })
	var both sync.WaitGroup
	for _, r := range []struct {
		plan     *eligen.Plan
		priority int
	}{{low, 0}, {high, 5}} {
		both.Go(func() {
			if _, err := submit(t, q, r.plan, func(o *RunOptions) { o.Priority = r.priority }); err != nil {
				t.Error(err)
			}
		})
	}
	for {
		runs, err := q.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) == 2 && runs[0].Queued >= 2 && runs[1].Queued >= 2 {
			if runs[0].Priority != 5 {
				t.Errorf("the list begins with priority %d", runs[0].Priority)
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	hire(t, q, "anvil", func(o *WorkOptions) {
		o.Event = func(run, _ string, _ WorkEvent) {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, run)
		}
	})
	both.Wait()
	first := 0
	for _, run := range made[:6] {
		if run == made[0] {
			first++
		}
	}
	if first < 5 { // what the run still has to put into the queue may let one of the other's pass
		t.Errorf("in the order of %v", made)
	}
}

// TestWeights: a worker runs no weights that it was not given, though a message names them.
func TestWeights(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: 500 * time.Millisecond})
	h := hire(t, q, "anvil", func(o *WorkOptions) { o.Has = func(eligen.Digest) bool { return false } })
	p := pictures(t, 1)
	go func() {
		for !strings.Contains(h.said(), "lacks the weights") {
			time.Sleep(5 * time.Millisecond)
		}
		hire(t, q, "bellows")
	}()
	if _, err := submit(t, q, p); err != nil {
		t.Fatal(err)
	}
	hold(t, p)
	if h.made.Load() != 0 {
		t.Errorf("it made %d stages", h.made.Load())
	}
}

// TestSweep: what a run that was killed has left in the queue goes when the next one begins.
func TestSweep(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{})
	far, err := q.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := pictures(t, 1)
	o := RunOptions{Store: memory.New(), Far: far, Scene: p.Scene, Engine: p.Engine}
	killed, err := q.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := needsOf(p).class(p.Engine, []eligen.Ref{0})
	if err := killed.publish(t.Context(), &pending{data: []byte("{}"), class: c, digest: p.Stages[0].Digest}, false); err != nil {
		t.Fatal(err)
	}
	killed.stop() // no more beats: its entry runs out
	killed.beats.Wait()
	if err := q.runs().Delete(t.Context(), killed.ID()); err != nil {
		t.Fatal(err)
	}
	r, err := q.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.End(t.Context())
	info, err := q.work().Info(t.Context())
	if err != nil || info.State.Msgs != 0 || info.State.Consumers != 0 {
		t.Errorf("there are %d messages and %d consumers, %v", info.State.Msgs, info.State.Consumers, err)
	}
}

// TestFair: two runs share one worker evenly while both wait, though one began with more in the queue.
func TestFair(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{})
	var mu sync.Mutex
	var made []string
	large, small := pictures(t, 24), pictures(t, 8, func(r *eligen.Render) { r.Prompt = "a red pond" })
	var both sync.WaitGroup
	for _, p := range []*eligen.Plan{large, small} {
		both.Go(func() {
			if _, err := submit(t, q, p); err != nil {
				t.Error(err)
			}
		})
	}
	for {
		runs, err := q.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) == 2 && runs[0].Queued >= 2 && runs[1].Queued >= 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	hire(t, q, "anvil", func(o *WorkOptions) {
		o.Event = func(run, _ string, _ WorkEvent) {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, run)
		}
	})
	both.Wait()
	count := map[string]int{}
	for _, run := range made[:12] {
		count[run]++
	}
	for run, n := range count {
		if n < 4 || n > 8 {
			t.Errorf("of the first 12 tasks, %d are of %s: %v", n, run, made)
		}
	}
	if len(count) != 2 {
		t.Errorf("one run alone: %v", made)
	}
}

// TestFullQueue: a queue whose store is full is said, by worker, and the run waits.
func TestFullQueue(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: 500 * time.Millisecond, MaxBytes: 20_000})
	hire(t, q, "anvil")
	progress, err := submitUntil(t, q, pictures(t, 24), func(e eligen.Event) bool {
		return e.Problem != nil && strings.Contains(e.Problem.Detail, "can't be stored") // nobody would end it
	})
	if err == nil || len(progress.Reports) == 0 {
		t.Fatalf("%v; reports %v", err, progress.Reports)
	}
	last := progress.Reports[len(progress.Reports)-1]
	if last.Code != "E0932" || !strings.Contains(last.Detail, "anvil: the result can't be stored") {
		t.Errorf("reports %v", progress.Reports)
	}
}

// TestLongTask: stages that don't fit into a message go by the store.
func TestLongTask(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{})
	hire(t, q, "anvil")
	p := pictures(t, 1, func(r *eligen.Render) { r.Prompt = strings.Repeat("a green pond ", 50_000) })
	if progress, err := submit(t, q, p); err != nil {
		t.Fatal(err, progress.Reports)
	}
	hold(t, p)
}

// TestLostInputs: a queue that loses its results while a run goes on gets again what workers need of them. A new
// worker finds neither inputs, nor stages, nor the run's mark, and no task counts that as a failure.
func TestLostInputs(t *testing.T) {
	for name, damage := range map[string]func(*Queue) error{
		"lost": func(q *Queue) error {
			s, err := q.js.Stream(t.Context(), "OBJ_"+results)
			if err != nil {
				return err
			}
			return s.Purge(t.Context())
		},
		"without their content": func(q *Queue) error {
			s, err := q.js.Stream(t.Context(), "OBJ_"+results)
			if err != nil {
				return err
			}
			return s.Purge(t.Context(), jetstream.WithPurgeSubject("$O."+results+".C.>"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			q := connect(t, Options{URL: s.URL("")}, Settings{Patience: time.Second})
			anvil := hire(t, q, "anvil")
			p := pictures(t, 12, func(r *eligen.Render) { r.Prompt = strings.Repeat("a green pond ", 50_000) })
			made := make(chan struct{})
			var read atomic.Int64
			var progress eligen.Progress
			ended := make(chan error, 1)
			go func() {
				var err error
				progress, err = submit(t, q, p, func(o *RunOptions) {
					o.Store = &watched{o.Store, func() {
						if read.Add(1) == 8 { // some pictures are here, and others wait in the queue
							close(made)
						}
					}}
				})
				ended <- err
			}()
			<-made
			anvil.drain()
			if err := <-anvil.ended; err != nil {
				t.Fatal(err)
			}
			anvil.ended <- nil // for the test's end
			if err := damage(q); err != nil {
				t.Fatal(err)
			}
			bellows := hire(t, connect(t, Options{URL: s.URL("")}, Settings{}), "bellows")
			if err := <-ended; err != nil {
				t.Fatal(err, progress.Reports)
			}
			hold(t, p)
			if bellows.made.Load() == 0 || !strings.Contains(bellows.said(), "the run sends it again") {
				t.Errorf("bellows made %d stages and lacked nothing:\n%s", bellows.made.Load(), bellows.said())
			}
		})
	}
}
