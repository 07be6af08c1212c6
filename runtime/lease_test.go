package runtime_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
)

// locks reports whether this system can lock files.
func locks(t *testing.T, dir string) bool {
	t.Helper()
	free, ok, err := files.Claim(dir)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer func() {
		if err := free(); err != nil {
			t.Error(err)
		}
	}()
	_, again, err := files.Claim(dir)
	return err == nil && !again
}

// Two runs on one store: what one is making, the other waits for and finds. Both end
// with the same pictures, and the work is done once.
func TestLease(t *testing.T) {
	cache := t.TempDir()
	if !locks(t, t.TempDir()) {
		t.Skip("files can't be locked here: nobody waits")
	}
	dirs := [2]string{t.TempDir(), t.TempDir()}
	plans := [2]*eligen.Plan{build(t, gallery(dirs[0], 2)), build(t, gallery(dirs[1], 2))}
	started, waiting := make(chan bool), make(chan bool)
	var progress [2]eligen.Progress
	errs := make(chan error, 2)
	run := func(i int, emit eligen.Sink) {
		r := &runtime.Runner{
			Store:       open(t, cache),
			Engine:      paint.Engine{},
			Recognise:   still.Untouched,
			Parallelism: 1,
			Emit:        eligen.Tee(progress[i].Add, emit),
		}
		errs <- r.Apply(t.Context(), plans[i])
	}
	// The first stops in its first denoising until the second waits for it.
	once := false
	go run(0, func(e eligen.Event) {
		if e.Type == eligen.Stepped && !once {
			once = true
			close(started)
			<-waiting
		}
	})
	<-started
	told := 0
	go run(1, func(e eligen.Event) {
		if e.Type == eligen.Reported && e.Problem.Summary == "Waiting for another run" {
			if told++; told == 1 {
				close(waiting)
			}
		}
	})
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(contents(t, dirs[0]), contents(t, dirs[1])); diff != "" {
		t.Errorf("the two runs' files differ:\n%s", diff)
	}
	steps := 0
	for _, p := range progress {
		for _, s := range p.Stages {
			if strings.HasSuffix(s.Name, ".denoise") && s.State == eligen.Done {
				steps++
			}
		}
	}
	if steps != 2 || told == 0 {
		t.Errorf("the second run was told %d times; two renders were denoised %d times", told, steps)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "leases", "*")); len(left) > 0 {
		t.Errorf("leases are left: %v", left)
	}
}

// A run that is interrupted while it waits ends at once, with nothing done.
func TestInterruptedWait(t *testing.T) {
	cache := t.TempDir()
	if !locks(t, t.TempDir()) {
		t.Skip("files can't be locked here: nobody waits")
	}
	holding, release := make(chan bool), make(chan bool)
	end := make(chan error)
	plan := build(t, gallery(t.TempDir(), 1))
	go func() {
		once := false
		r := &runtime.Runner{Store: open(t, cache), Engine: paint.Engine{}, Parallelism: 1, Emit: func(e eligen.Event) {
			if e.Type == eligen.Stepped && !once {
				once = true
				close(holding)
				<-release
			}
		}}
		end <- r.Apply(t.Context(), plan)
	}()
	<-holding
	ctx, cancel := context.WithCancel(t.Context())
	r := &runtime.Runner{Store: open(t, cache), Engine: paint.Engine{}, Parallelism: 1, Emit: func(e eligen.Event) {
		if e.Type == eligen.Reported {
			cancel()
		}
	}}
	if err := r.Apply(ctx, build(t, gallery(t.TempDir(), 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting run: %v", err)
	}
	close(release)
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// Room is made beside a run: what it has made stays, however small the store should
// be, and goes when the run has ended. What it found at its beginning stays too.
func TestCollectBesideARun(t *testing.T) {
	cache := t.TempDir()
	if !locks(t, t.TempDir()) {
		t.Skip("files can't be locked here: nobody waits")
	}
	other := open(t, cache)
	collect := func(grace time.Duration) int {
		removed, err := other.Collect(file.Collecting{MaxSize: 0, Grace: grace})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range removed {
			if e.Kind == "result" {
				n++
			}
		}
		return n
	}
	dir := t.TempDir()
	plan := build(t, gallery(dir, 2))
	calls, gone := 0, 0
	_, err := apply(t, open(t, cache), plan, func(r *runtime.Runner) {
		r.Emit = eligen.Tee(r.Emit, func(e eligen.Event) {
			if e.Type == eligen.Done {
				calls++
				gone += collect(time.Nanosecond)
			}
		})
	})
	if err != nil || gone > 0 || calls != len(plan.Stages) {
		t.Errorf("%d of %d results went during the run: %v", gone, calls, err)
	}

	// Yesterday's results, found again by a run that has to draw one picture anew.
	yesterday := time.Now().Add(-24 * time.Hour)
	for _, s := range plan.Stages {
		a, ok, err := other.Get(s.Digest)
		if !ok || err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(a.Path, yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(cache, "runs")); err != nil {
		t.Fatal(err)
	}
	gone = 0
	var decode eligen.Ref
	for i, s := range plan.Stages {
		if s.Op.Kind() == "decode/1" {
			decode = eligen.Ref(i)
		}
	}
	_, err = apply(t, open(t, cache), plan, func(r *runtime.Runner) {
		r.Replace = []eligen.Ref{decode}
		r.Emit = eligen.Tee(r.Emit, func(e eligen.Event) {
			if e.Type == eligen.Started {
				gone += collect(file.Grace)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if gone == 0 {
		t.Error("nothing went: what the run has no use for is a day old")
	}
	if n := collect(time.Nanosecond); n == 0 {
		t.Error("after the run, nothing goes")
	}
	if progress, err := apply(t, open(t, cache), plan); err != nil || len(progress.Files) != len(plan.Outputs) {
		t.Errorf("after all is gone: %v", err)
	}
}

// A store or a folder that can't be written is a clear error, and so is a full disk.
func TestUnwritable(t *testing.T) {
	for _, c := range []struct {
		cause         error
		summary, want string
	}{
		{syscall.ENOSPC, "Disk is full", "Make room"},
		{syscall.EROFS, "Read-only file system", "ELIGEN_CACHE_DIR"},
		{syscall.EACCES, "No permission to write", "ELIGEN_CACHE_DIR"},
	} {
		cache := t.TempDir()
		store := open(t, cache)
		files.SetFault(func(operation, name string) error {
			if operation == "read" || operation == "list" {
				return nil
			}
			return &os.PathError{Op: operation, Path: name, Err: c.cause}
		})
		dir := t.TempDir()
		progress, err := apply(t, store, build(t, gallery(dir, 1)))
		files.SetFault(nil)
		if !errors.Is(err, c.cause) {
			t.Errorf("%v: %v", c.cause, err)
		}
		failed := false
		for _, s := range progress.Stages {
			if s.Problem != nil {
				failed = failed || s.Problem.Summary == c.summary && strings.Contains(s.Problem.Detail, c.want)
			}
		}
		if !failed || len(progress.Reports) == 0 || progress.Reports[0].Summary != "Run is not recorded" {
			t.Errorf("%v: reported %v, stages %+v", c.cause, progress.Reports, progress.Stages)
		}
		if found := contents(t, dir); len(found) > 0 {
			t.Errorf("%v: there are files: %v", c.cause, found)
		}
	}
}
