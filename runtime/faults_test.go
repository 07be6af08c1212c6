package runtime_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// small returns a whole scene, entities, overlay and partial results included.
func small(dir string, seed uint64) *eligen.Scene {
	scene := picnic(dir)
	steps := 6
	r := &scene.Renders[0]
	r.Size, r.Seed, r.Sampler.Steps = eligen.Size{W: 64, H: 48}, seed, &steps
	return scene
}

// reference returns the files of a scene, made in one go.
func reference(t *testing.T, scene func(dir string) *eligen.Scene) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if _, err := apply(t, open(t, t.TempDir()), build(t, scene(dir))); err != nil {
		t.Fatal(err)
	}
	return contents(t, dir)
}

// TestFaults breaks the n-th file operation of a run, for every n. Whatever it was,
// what is found afterwards is whole, the error says what went wrong, and the next
// run makes the same pictures as if nothing had happened.
func TestFaults(t *testing.T) {
	want := reference(t, func(dir string) *eligen.Scene { return small(dir, 1) })
	operations := map[string]int{}
	for n := 1; ; n++ {
		dir, cache := t.TempDir(), t.TempDir()
		store, err := file.Open(cache)
		if err != nil {
			t.Fatal(err)
		}
		plan := build(t, small(dir, 1))
		count, lines, broken := 0, 0, ""
		files.SetFault(func(operation, name string) error {
			if operation == "write" && strings.HasPrefix(name, "runs") {
				if lines++; lines > 3 { // one line of the journal is like another
					return nil
				}
			}
			if count++; count == n {
				broken = operation + " " + name
				operations[operation]++
				return &os.PathError{Op: operation, Path: name, Err: syscall.ENOSPC}
			}
			return nil
		})
		progress, err := apply(t, store, plan)
		store.Close()
		files.SetFault(nil)
		if broken == "" {
			t.Logf("%d file operations failed in turn: %v", n-1, operations)
			if n < 80 {
				t.Errorf("a run has %d file operations: the seam is not where files are written", n-1)
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: Apply: %v", broken, err)
		}
		if err == nil && len(progress.Files) != 2 {
			t.Errorf("%s: no error, and wrote %v", broken, progress.Files)
		}
		for name, digest := range contents(t, dir) {
			if !strings.Contains(name, ".eligen-new-") && want[name] != digest {
				t.Errorf("%s: %s is there, and is another picture", broken, name)
			}
		}

		again := open(t, cache)
		for _, s := range plan.Stages {
			if _, _, damage := again.Get(s.Digest); damage != nil {
				t.Errorf("%s: %v", broken, damage)
			}
		}
		if after, err := apply(t, again, plan); err != nil || len(after.Files) != 2 {
			t.Errorf("%s: the next run: %v, wrote %v", broken, err, after.Files)
		}
		found := contents(t, dir)
		for name := range found {
			if strings.Contains(name, ".eligen-new-") {
				if !strings.HasPrefix(broken, "remove") {
					t.Errorf("%s: %s is left behind", broken, name)
				}
				delete(found, name)
			}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("%s: the next run's files:\n%s", broken, diff)
		}
	}
}

// TestPowerLoss cuts the power before the n-th file operation, for every n: what was
// written and not synced is lost, and so is a name that its folder wasn't synced
// after. What is left is whole, and the next run makes the same pictures.
func TestPowerLoss(t *testing.T) {
	want := reference(t, func(dir string) *eligen.Scene { return small(dir, 1) })
	lost := 0
	for n := 1; ; n++ {
		dir, cache := t.TempDir(), t.TempDir()
		store, err := file.Open(cache)
		if err != nil {
			t.Fatal(err)
		}
		plan := build(t, small(dir, 1))
		// Names are relative to the store's folder or the scene's; both are looked in.
		count, lines, off, temp := 0, 0, false, ""
		dirty, named := map[string]bool{}, map[string]bool{}
		files.SetFault(func(operation, name string) error {
			if operation == "write" && strings.HasPrefix(name, "runs") {
				dirty[name] = true
				if lines++; lines > 3 {
					return nil
				}
			}
			if count++; count >= n {
				off = true
				return &os.PathError{Op: operation, Path: name, Err: syscall.EIO}
			}
			switch operation {
			case "create":
				temp, dirty[name], named[name] = name, true, true
			case "sync":
				delete(dirty, name)
			case "rename": // of what was created last
				dirty[name], named[name] = dirty[temp], true
				delete(dirty, temp)
			case "syncdir":
				for file := range named {
					if filepath.Dir(file) == name {
						delete(named, file)
					}
				}
			}
			return nil
		})
		_, _ = apply(t, store, plan)
		store.Close()
		files.SetFault(nil)
		if !off {
			t.Logf("the power was cut before each of %d file operations; %d files lost their content or their name", n-1, lost)
			if lost == 0 {
				t.Error("nothing was lost")
			}
			return
		}
		for _, folder := range []string{dir, cache} {
			for file, isDirty := range dirty {
				if info, err := os.Stat(filepath.Join(folder, file)); err == nil && isDirty {
					lost++
					if err := os.Truncate(filepath.Join(folder, file), info.Size()/2); err != nil {
						t.Fatal(err)
					}
				}
			}
			for file := range named {
				if strings.HasPrefix(file, "runs") || os.Remove(filepath.Join(folder, file)) != nil {
					continue
				}
				lost++
			}
		}
		again := open(t, cache)
		if after, err := apply(t, again, plan); err != nil || len(after.Files) != 2 || len(after.Reports) > 0 {
			t.Errorf("cut before operation %d: %v, wrote %v, reported %v", n, err, after.Files, after.Reports)
		}
		found := contents(t, dir)
		for name := range found {
			if strings.Contains(name, ".eligen-new-") {
				delete(found, name)
			}
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("cut before operation %d:\n%s", n, diff)
		}
	}
}

// TestFlippedBytes flips every byte of a small store, one at a time. Of results, each
// is found; of all else, none does any harm; and pictures never change.
func TestFlippedBytes(t *testing.T) {
	want := reference(t, func(dir string) *eligen.Scene { return small(dir, 1) })
	dir, cache := t.TempDir(), t.TempDir()
	store := open(t, cache)
	plan := build(t, small(dir, 1))
	if _, err := apply(t, store, plan); err != nil {
		t.Fatal(err)
	}
	found, harmless, applied, bytesOf := 0, 0, 0, map[string]int{}
	names := []string{} // now: the runs below add to the store
	for name := range contents(t, cache) {
		names = append(names, name)
	}
	slices.Sort(names)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		path := filepath.Join(cache, name)
		sound, err := os.ReadFile(path)
		must(err)
		folder, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		bytesOf[folder] += len(sound)
		digest := eligen.Digest(filepath.Base(name))
		for i := range sound {
			sound[i] ^= 1 << (i % 8)
			must(os.WriteFile(path, sound, 0o644))
			switch folder {
			case "results":
				if a, ok, damage := store.Get(digest); ok || damage == nil {
					t.Errorf("byte %d of %s: read as %d bytes", i, name, len(a.Data))
				} else {
					found++
				}
			default:
				if i%16 == 0 {
					store.History(plan.Engine, plan.Scene)
					_, err := store.Entries()
					must(err)
				}
				harmless++
			}
			if i%499 == 0 { // a whole run is slower than a look
				applied++
				must(os.WriteFile(path, sound, 0o644))
				must(os.RemoveAll(filepath.Join(dir, "out")))
				if _, err := apply(t, open(t, cache), plan); err != nil {
					t.Errorf("byte %d of %s: %v", i, name, err)
				}
				if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
					t.Errorf("byte %d of %s:\n%s", i, name, diff)
				}
			}
			sound[i] ^= 1 << (i % 8)
		}
		must(os.WriteFile(path, sound, 0o644))
		runs, err := filepath.Glob(filepath.Join(cache, "runs", "*")) // the new ones make looking slow
		must(err)
		for _, run := range runs {
			if name, _ := filepath.Rel(cache, run); !slices.Contains(names, name) {
				must(os.Remove(run))
			}
		}
	}
	t.Logf("%v bytes in %d files: of results %d of %d found, %d others without effect; after %d of them a whole run", bytesOf,
		len(names), found, bytesOf["results"], harmless, applied)
	if found != bytesOf["results"] || found == 0 || harmless == 0 {
		t.Errorf("%d of %d found", found, bytesOf["results"])
	}
}

// The environment of a run that is to be killed: its scene's folder, its store and its
// seed.
const childDir, childCache, childSeed = "ELIGEN_TEST_DIR", "ELIGEN_TEST_CACHE", "ELIGEN_TEST_SEED"

// long returns a scene that takes a while.
func long(dir string, seed uint64) *eligen.Scene {
	scene := gallery(dir, 4)
	steps := 20
	for i := range scene.Renders {
		r := &scene.Renders[i]
		r.Size, r.Seed, r.Sampler.Steps = eligen.Size{W: 192, H: 128}, 100*seed+uint64(i), &steps
	}
	return scene
}

// TestKilledRun runs in the processes of TestKill and TestTwoProcesses.
func TestKilledRun(t *testing.T) {
	if os.Getenv(childDir) == "" {
		t.Skip("other tests start this")
	}
	seed, err := strconv.ParseUint(os.Getenv(childSeed), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	store, err := file.Open(os.Getenv(childCache))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := &runtime.Runner{Store: store, Engine: paint.Engine{}, Recognise: still.Untouched}
	if err := r.Apply(t.Context(), build(t, long(os.Getenv(childDir), seed))); err != nil {
		t.Fatal(err)
	}
}

// child starts a process that applies a scene.
func child(t *testing.T, dir, cache string, seed uint64) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKilledRun$")
	c.Env = append(os.Environ(), childDir+"="+dir, childCache+"="+cache, fmt.Sprintf("%s=%d", childSeed, seed))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKill kills runs at random moments, ELIGEN_TEST_KILLS of them: whatever they
// were doing, what they leave is whole, and the next run makes the same pictures.
func TestKill(t *testing.T) {
	kills := 10
	if s := os.Getenv("ELIGEN_TEST_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir, cache := t.TempDir(), t.TempDir()
	start := func(seed uint64) *exec.Cmd { return child(t, dir, cache, seed) }
	began := time.Now()
	if err := start(0).Wait(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)

	killed, resumed, temporary := 0, 0, map[string]bool{}
	runs := 0
	for ; killed < kills && runs < 10*kills; runs++ {
		seed := uint64(runs + 1)
		after := time.Duration(rand.Int64N(int64(whole)))
		c := start(seed)
		time.Sleep(after)
		_ = c.Process.Kill() // it may have ended
		if err := c.Wait(); err != nil {
			killed++
		} else {
			whole = max(whole*9/10, time.Millisecond) // too late: the machine has become faster
		}
		store := open(t, cache)
		if _, damaged, err := store.Verify(); err != nil || len(damaged) > 0 {
			t.Fatalf("killed after %v: %d damaged results, %v", after, len(damaged), err)
		}
		for name := range contents(t, dir) {
			if strings.Contains(name, ".eligen-new-") {
				temporary[name] = true
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := png.Decode(bytes.NewReader(data)); err != nil || !still.Untouched(bytes.NewReader(data)) {
				t.Fatalf("killed after %v: %s is no whole picture: %v", after, name, err)
			}
		}
		plan := build(t, long(dir, seed))
		progress, err := apply(t, store, plan)
		if err != nil {
			t.Fatalf("killed after %v: the next run: %v", after, err)
		}
		if n := progress.Counts()[eligen.Cached]; n > 0 && n < len(plan.Stages) {
			resumed++
		}
		want := reference(t, func(dir string) *eligen.Scene { return long(dir, seed) })
		got := contents(t, dir)
		for name := range got {
			if strings.Contains(name, ".eligen-new-") {
				delete(got, name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("killed after %v:\n%s", after, diff)
		}
		store.Close()
	}
	t.Logf(
		"%d runs, %d of them killed before they ended (a whole one takes about %v); %d went on from results, %d half-written files were left",
		runs, killed, whole.Round(time.Millisecond), resumed, len(temporary))
	if killed < kills {
		t.Errorf("only %d were killed", killed)
	}
}

// Two processes on one store at the same time both end well, with one result.
func TestTwoProcesses(t *testing.T) {
	cache := t.TempDir()
	var dirs [2]string
	var runs [2]*exec.Cmd
	for i := range runs {
		dirs[i] = t.TempDir()
		runs[i] = child(t, dirs[i], cache, 1)
	}
	for _, c := range runs {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	want := reference(t, func(dir string) *eligen.Scene { return long(dir, 1) })
	for _, dir := range dirs {
		if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
	if sound, damaged, err := open(t, cache).Verify(); err != nil || sound != len(build(t, long(dirs[0], 1)).Stages) || len(damaged) > 0 {
		t.Errorf("%d sound results, %d damaged, %v", sound, len(damaged), err)
	}
}
