//go:build unix

package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/file"
)

// TestPipesInTheStore puts a named pipe, a folder and a link to nowhere wherever the
// store has a file or a folder: a run ends, and ends well where it can.
func TestPipesInTheStore(t *testing.T) {
	sound := t.TempDir()
	plan := build(t, picnic(t.TempDir()))
	if _, err := apply(t, open(t, sound), plan); err != nil {
		t.Fatal(err)
	}
	last := plan.Stages[len(plan.Stages)-1].Digest
	runs, err := filepath.Glob(filepath.Join(sound, "runs", "*"))
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	link := func(path string) error { return os.Symlink("/nowhere", path) }
	for _, c := range []struct {
		name string // below the store's folder
		put  func(path string) error
		fine bool // the run ends well
	}{
		{"results/" + string(last[:2]) + "/" + string(last), pipe, true},
		{"results/" + string(last[:2]) + "/" + string(last), folder, true},
		{"results/" + string(last[:2]) + "/" + string(last), link, true},
		{"results/" + string(last[:2]) + "/" + string(last) + ".partial", pipe, true},
		{"results/" + string(last[:2]), pipe, false},
		{"results", pipe, false},
		{"runs/" + filepath.Base(runs[0]), pipe, true},
		{"runs", pipe, true},
		{"leases", pipe, true},
		{"leases/" + string(plan.Stages[0].Digest), pipe, true},
		{"quarantine", pipe, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, filepath.FromSlash(c.name))
			if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o755), c.put(path)); err != nil {
				t.Fatal(err)
			}
			store := open(t, dir)
			done := make(chan error)
			go func() {
				store.History(plan.Engine, plan.Scene)
				_, listed := store.Entries()
				_, _, verified := store.Verify()
				_, collected := store.Collect(file.Collecting{MaxSize: 0, OlderThan: time.Minute})
				if err := errors.Join(listed, verified, collected); err != nil {
					t.Error(err)
				}
				done <- (&runtime.Runner{Store: store, Engine: paint.Engine{}, Recognise: nil, Force: true}).Apply(t.Context(), plan)
			}()
			select {
			case err := <-done:
				if (err == nil) != c.fine {
					t.Errorf("Apply: %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("it hangs")
			}
			if _, ok, err := store.Get(last); c.fine && (!ok || err != nil) {
				t.Errorf("afterwards, the store has the result: %v, %v", ok, err)
			}
		})
	}
}

// TestPipeAsOutput: what lies where a picture belongs and is no file stays, and nothing
// waits for it.
func TestPipeAsOutput(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "out"), 0o700),
		syscall.Mkfifo(filepath.Join(dir, "out/picnic.png"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var diags eligen.Diagnostics
	if _, err := apply(t, open(t, t.TempDir()), build(t, picnic(dir))); !errors.As(err, &diags) {
		t.Errorf("Apply: %v", err)
	}
}
