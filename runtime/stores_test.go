package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/memory"
	"github.com/eligen/eligen/store/remote"
)

// cache starts a server of Bazel's protocol, over a folder.
func cache(t *testing.T) *remote.Store {
	t.Helper()
	dir := t.TempDir()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(dir, filepath.FromSlash(r.URL.Path))
		if r.Method != http.MethodPut {
			http.ServeFile(w, r, path)
			return
		}
		data, err := io.ReadAll(r.Body)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755)); err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	s, err := remote.New(server.URL, remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStores: a scene is the same files whatever the store, and a second run finds
// everything. A store that has no leases and partial results borrows them.
func TestStores(t *testing.T) {
	scene := func(dir string) *eligen.Scene { return small(dir, 1) }
	want := reference(t, scene)
	local := open(t, t.TempDir())
	for name, r := range map[string]runtime.Runner{
		"memory":               {Store: memory.New()},
		"remote":               {Store: cache(t)},
		"remote and local":     {Store: cache(t), Leaser: local, Partials: local, Journals: local},
		"local, other leases":  {Store: open(t, t.TempDir()), Leaser: &memory.Leases{Term: time.Minute}},
		"local, other journal": {Store: open(t, t.TempDir()), Journals: memory.New()},
	} {
		t.Run(name, func(t *testing.T) {
			for run, state := range []eligen.EventType{eligen.Done, eligen.Cached} {
				dir := t.TempDir()
				plan := build(t, scene(dir))
				progress, err := apply(t, nil, plan, func(with *runtime.Runner) {
					with.Store, with.Leaser, with.Partials, with.Journals = r.Store, r.Leaser, r.Partials, r.Journals
				})
				if n := progress.Counts(); err != nil || n[state] != len(plan.Stages) || len(progress.Reports) > 0 {
					t.Errorf("run %d: %v, %v, reports %v", run, n, err, progress.Reports)
				}
				if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
					t.Errorf("run %d:\n%s", run, diff)
				}
			}
		})
	}
	entries, err := local.Entries()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range entries {
		kinds[e.Kind]++
	}
	if diff := cmp.Diff(map[string]int{"run": 2}, kinds); diff != "" {
		t.Errorf("the store that was lent from holds:\n%s", diff)
	}
}

// TestInterruptOnMemory: what an interrupted run has saved in memory, the next one resumes
// from.
func TestInterruptOnMemory(t *testing.T) {
	store := memory.New()
	plan := build(t, small(t.TempDir(), 1))
	ctx, cancel := context.WithCancel(t.Context())
	err := (&runtime.Runner{Store: store, Engine: paint.Engine{}, Emit: func(e eligen.Event) {
		if e.Type == eligen.Stepped && e.Step == 5 {
			cancel()
		}
	}}).Apply(ctx, plan)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	first := 0
	_, err = apply(t, nil, plan, func(r *runtime.Runner) {
		r.Store = store
		r.Emit = eligen.Tee(r.Emit, func(e eligen.Event) {
			if e.Type == eligen.Stepped && first == 0 {
				first = e.Step
			}
		})
	})
	if err != nil || first != 6 {
		t.Errorf("resumed at step %d: %v", first, err)
	}
	if runs := store.Runs(); len(runs) != 2 || !bytes.Contains(runs[1], []byte(`"type":"ended"`)) {
		t.Errorf("%d journals", len(runs))
	}
}

// A bulk is an Op with a large result.
type bulk struct{ Blocks int }

func (bulk) Kind() string { return "bulk/1" }

func (o bulk) Run(_ context.Context, c *eligen.Call) error {
	for range o.Blocks {
		if _, err := c.Out.Write(blockOfBulk); err != nil {
			return err
		}
	}
	return nil
}

var blockOfBulk = bytes.Repeat([]byte("sixteen letters."), 1<<12)

// A copier is an Op that passes its input on.
type copier struct{}

func (copier) Kind() string { return "copier/1" }

func (copier) Run(_ context.Context, c *eligen.Call) error {
	in, err := c.Inputs[0].Open()
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{c.Out}, in, make([]byte, 1<<16))
	return err
}

// A holder is an Op that needs all of its input at once.
type holder struct{}

func (holder) Kind() string { return "holder/1" }

func (holder) Run(_ context.Context, c *eligen.Call) error {
	data, err := c.Inputs[0].Read()
	if err != nil {
		return err
	}
	_, err = c.Out.Write(data[:10])
	return err
}

// TestRunStreams: results of 64 MiB are made, passed on, copied to files and found again,
// and a run holds none of them. An Op that needs one whole holds it once.
func TestRunStreams(t *testing.T) {
	const size = 64 << 20
	dir, store := t.TempDir(), open(t, t.TempDir())
	plan := eligen.NewPlan(filepath.Join(dir, "scene.hcl"), "engine-1")
	made := plan.Add("made", eligen.Source{}, bulk{size / len(blockOfBulk)})
	passed := plan.Add("passed", eligen.Source{}, copier{}, made)
	plan.Outputs = []eligen.PlannedOutput{{Path: filepath.Join(dir, "out"), Stage: passed}}
	run := func(limit uint64) {
		t.Helper()
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		progress, err := apply(t, store, plan, func(r *runtime.Runner) { r.Recognise = nil }) // it reads pictures whole
		goruntime.ReadMemStats(&after)
		if err != nil || len(progress.Files) != len(plan.Outputs) {
			t.Errorf("%v, wrote %v", err, progress.Files)
		}
		took := after.TotalAlloc - before.TotalAlloc
		if took > limit {
			t.Errorf("a run took %d MiB of memory, more than %d", took>>20, limit>>20)
		}
		t.Logf("%d KiB allocated for results of %d MiB", took>>10, size>>20)
	}
	run(size / 16)
	run(size / 16) // all is cached, and the file is there
	if info, err := os.Stat(plan.Outputs[0].Path); err != nil || info.Size() != size {
		t.Errorf("the file: %v, %v", info, err)
	}
	plan.Add("held", eligen.Source{}, holder{}, made)
	run(size + size/16)
}

// A slow is an Op that takes its time.
type slow struct{ Minutes int }

func (slow) Kind() string { return "slow/1" }

func (slow) UsesEngine() {}

func (o slow) Run(context.Context, *eligen.Call) error {
	time.Sleep(time.Duration(o.Minutes) * time.Minute)
	return nil
}

// TestLeaseIsRenewed: a run keeps its lease, however long a stage takes and however short
// the lease's term is, and lets go of it at the end. One that was lost is reported once
// and stops nothing.
func TestLeaseIsRenewed(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := memory.New()
			store.Term = 30 * time.Second
			plan := eligen.NewPlan("scene.hcl", "engine-1")
			ref := plan.Add("slow", eligen.Source{}, slow{Minutes: 10})
			var progress eligen.Progress
			ended := make(chan error)
			r := &runtime.Runner{Store: store, Emit: progress.Add}
			if lost {
				r.Leaser = deaf{store}
			}
			began := time.Now()
			go func() { ended <- r.Apply(t.Context(), plan) }()
			synctest.Wait()
			lease, err := store.Lease(t.Context(), plan.Stages[ref].Digest, func() {})
			if err != nil {
				t.Fatal(err)
			}
			waited := time.Since(began)
			lease.Release()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if lost && (waited != 30*time.Second || len(progress.Reports) != 1 || progress.Reports[0].Summary != "Lease lost") {
				t.Errorf("lost: another got the lease after %v; reported %v", waited, progress.Reports)
			}
			if !lost && (waited != 10*time.Minute || len(progress.Reports) != 0) {
				t.Errorf("another got the lease after %v; reported %v", waited, progress.Reports)
			}
		})
	}
}

// deaf gives leases whose renewals come to nothing.
type deaf struct{ runtime.Leaser }

type deafLease struct{ runtime.Lease }

func (d deaf) Lease(ctx context.Context, key eligen.Digest, waiting func()) (runtime.Lease, error) {
	l, err := d.Leaser.Lease(ctx, key, waiting)
	return deafLease{l}, err
}

func (deafLease) Renew(context.Context) error { return runtime.ErrLeaseLost }

// TestRenewalFails: a renewal that doesn't come through is tried again, and nobody is
// told. Where none does for a whole term, the lease is lost, which is said once.
func TestRenewalFails(t *testing.T) {
	for failures, want := range map[int]int{1: 0, 2: 0, 1000: 1} {
		synctest.Test(t, func(t *testing.T) {
			store := memory.New()
			store.Term = 30 * time.Second
			leaser := &flaky{Leaser: store, failures: failures}
			plan := eligen.NewPlan("scene.hcl", "engine-1")
			plan.Add("slow", eligen.Source{}, slow{Minutes: 10})
			var progress eligen.Progress
			r := &runtime.Runner{Store: store, Leaser: leaser, Emit: progress.Add}
			if err := r.Apply(t.Context(), plan); err != nil {
				t.Error(err)
			}
			if n := len(progress.Reports); n != want || n > 0 && progress.Reports[0].Summary != "Lease lost" {
				t.Errorf("%d renewals fail: reported %v", failures, progress.Reports)
			}
			if calls := leaser.calls; want == 0 && calls < 50 || want == 1 && calls != 4 {
				t.Errorf("%d renewals fail: %d were tried", failures, calls)
			}
		})
	}
}

// flaky gives leases whose first renewals don't come through.
type flaky struct {
	runtime.Leaser
	failures, calls int
}

type flakyLease struct {
	runtime.Lease
	of *flaky
}

func (f *flaky) Lease(ctx context.Context, key eligen.Digest, waiting func()) (runtime.Lease, error) {
	l, err := f.Leaser.Lease(ctx, key, waiting)
	return flakyLease{l, f}, err
}

func (l flakyLease) Renew(ctx context.Context) error {
	if l.of.calls++; l.of.calls <= l.of.failures {
		return errors.New("the queue does not answer")
	}
	return l.Lease.Renew(ctx)
}

// TestNoLeases: a leaser that fails is reported once, and the run goes on.
func TestNoLeases(t *testing.T) {
	plan := build(t, gallery(t.TempDir(), 2))
	progress, err := apply(t, open(t, t.TempDir()), plan, func(r *runtime.Runner) { r.Leaser = failing{} })
	if err != nil || len(progress.Reports) != 1 || progress.Reports[0].Summary != "No leases" {
		t.Errorf("%v, reported %v", err, progress.Reports)
	}
}

type failing struct{}

func (failing) Lease(context.Context, eligen.Digest, func()) (runtime.Lease, error) {
	return nil, errors.New("the queue does not answer")
}

// TestUnreadable: a store that can't be read is reported once a run, and not as damage.
// What it didn't tell is made again.
func TestUnreadable(t *testing.T) {
	plan := build(t, gallery(t.TempDir(), 2))
	store := open(t, t.TempDir())
	if _, err := apply(t, store, plan); err != nil {
		t.Fatal(err)
	}
	down := &downStore{Store: store}
	down.left.Store(3)
	progress, err := apply(t, nil, plan, func(r *runtime.Runner) { r.Store = down })
	if err != nil || len(progress.Reports) != 1 || progress.Reports[0].Code != "E0921" {
		t.Errorf("%v, reported %v", err, progress.Reports)
	}
	if made := progress.Counts()[eligen.Done]; made == 0 || made > 3 {
		t.Errorf("%d stages were made again", made)
	}
}

// A downStore can't be read a number of times.
type downStore struct {
	runtime.Store
	left atomic.Int32
}

func (d *downStore) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	if d.left.Add(-1) >= 0 {
		return nil, errors.New("connection refused")
	}
	return d.Store.Open(ctx, key)
}

// TestDamagedInput: an input that is damaged while a run is under way fails the stages
// that read it, and no wrong picture is made; the next run makes it again.
func TestDamagedInput(t *testing.T) {
	store := open(t, t.TempDir())
	plan := build(t, small(t.TempDir(), 1))
	want := reference(t, func(dir string) *eligen.Scene { return small(dir, 1) })
	damaged := false
	_, err := apply(t, store, plan, func(r *runtime.Runner) {
		r.Emit = eligen.Tee(r.Emit, func(e eligen.Event) {
			if e.Type == eligen.Done && e.Kind == "noise/1" {
				damaged = true
				data, err := os.ReadFile(e.Artifact.Path)
				if err == nil {
					data[len(data)-1] ^= 1
					err = os.WriteFile(e.Artifact.Path, data, 0o644)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	})
	if !damaged || !errors.Is(err, runtime.ErrCorrupt) {
		t.Errorf("damaged %v: %v", damaged, err)
	}
	if _, err := apply(t, store, plan); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, contents(t, plan.Folder)); diff != "" {
		t.Error(diff)
	}
}
