package runtime_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// gallery returns a scene of several renders, with shared entities and an overlay.
func gallery(dir string, n int) *eligen.Scene {
	scene := picnic(dir)
	first := scene.Renders[0]
	first.Size = eligen.Size{W: 64, H: 48}
	scene.Renders = nil
	for i := range n {
		r := first
		r.Name = fmt.Sprintf("picnic%d", i)
		r.Address = "render." + r.Name
		r.Seed = uint64(i)
		r.Outputs = []eligen.Output{{Path: fmt.Sprintf("out/%d.png", i)}, {Path: fmt.Sprintf("out/%d-regions.png", i), Overlay: true}}
		scene.Renders = append(scene.Renders, r)
	}
	return scene
}

// contents reads all files below a folder, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(eligen.DigestOf(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The same bytes come of 1, 2 and 4 workers, and of stages in any order in which
// they can run.
func TestWorkers(t *testing.T) {
	var want, results map[string]string
	for _, workers := range []int{1, 0, 2, 4} {
		for order := range uint64(3) {
			dir, cache := t.TempDir(), t.TempDir()
			plan := build(t, gallery(dir, 4))
			progress, err := apply(t, open(t, cache), plan, func(r *runtime.Runner) {
				r.Parallelism = workers
				if random := rand.New(rand.NewPCG(order, 0)); order > 0 {
					runtime.Shuffle(r, func(ready []eligen.Ref) {
						random.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
					})
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := progress.Counts(); n[eligen.Done] != len(plan.Stages) {
				t.Errorf("%d workers: %v of %d stages", workers, n, len(plan.Stages))
			}
			files, made := contents(t, dir), contents(t, filepath.Join(cache, "results"))
			if want == nil {
				want, results = files, made
				t.Logf("%d stages, %d files, %d results", len(plan.Stages), len(files), len(made))
			}
			if diff := cmp.Diff(want, files); diff != "" {
				t.Errorf("%d workers, order %d:\n%s", workers, order, diff)
			}
			if diff := cmp.Diff(results, made); diff != "" {
				t.Errorf("%d workers, order %d:\n%s", workers, order, diff)
			}
		}
	}
}

// meet waits until another of its kind runs too.
type meet struct {
	N      int
	Others chan bool `recipe:"-"`
}

func (meet) Kind() string { return "meet/1" }

func (o meet) Run(ctx context.Context, c *eligen.Call) error {
	select {
	case o.Others <- true:
	case <-o.Others:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := fmt.Fprint(c.Out, o.N)
	return err
}

// Two workers work at the same time: either stage waits for the other.
func TestTwoStagesAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	others := make(chan bool)
	for i := range 2 {
		plan.Add(fmt.Sprint(i), eligen.Source{}, meet{i, others})
	}
	if err := (&runtime.Runner{Store: open(t, t.TempDir()), Parallelism: 2}).Apply(ctx, plan); err != nil {
		t.Error(err)
	}
}

// What is to be replaced runs again, with what is made from it, and nothing else
// does. It makes the same bytes, or that is an error.
func TestReplace(t *testing.T) {
	store := open(t, t.TempDir())
	var ran []string
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	a := plan.Add("a", eligen.Source{}, say{Word: "a", Ran: &ran})
	b := plan.Add("b", eligen.Source{}, say{Word: "b", Ran: &ran}, a)
	plan.Add("c", eligen.Source{}, say{Word: "c", Ran: &ran}, b)
	plan.Add("d", eligen.Source{}, say{Word: "d", Ran: &ran}, a)
	if _, err := apply(t, store, plan); err != nil {
		t.Fatal(err)
	}
	ran = nil
	progress, err := apply(t, store, plan, func(r *runtime.Runner) { r.Replace = []eligen.Ref{b} })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "c"}, ran); diff != "" {
		t.Error(diff)
	}
	if got, want := states(&progress), "a cached, b done, c done, d cached"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// Other bytes: refused where an engine rounds always alike, and taken from a GPU.
	for _, engine := range []string{"engine-1", "xla:cuda"} {
		plan := eligen.NewPlan("scene.hcl", engine)
		x := plan.Add("x", eligen.Source{}, say{Word: "x" + engine, Ran: &ran})
		if _, err := apply(t, store, plan); err != nil {
			t.Fatal(err)
		}
		s := &plan.Stages[x]
		s.Op = say{Word: "x" + engine, Ran: &ran, Extra: "!"}
		progress, err := apply(t, store, plan, func(r *runtime.Runner) { r.Replace = []eligen.Ref{x} })
		got := content(t, store, plan, x)
		switch engine {
		case "engine-1":
			if err == nil || got != "xengine-1" {
				t.Errorf("the store holds %q; %v", got, err)
			}
		default:
			if err != nil || got != "xxla:cuda!" || len(progress.Reports) != 1 {
				t.Errorf("the store holds %q, reported %v; %v", got, progress.Reports, err)
			}
		}
	}
}

// Outputs go below another folder, which is made.
func TestOut(t *testing.T) {
	dir := t.TempDir()
	plan := build(t, gallery(dir, 1))
	plan.Folder = filepath.Join(dir, "else", "where")
	for i, o := range plan.Outputs {
		name, _ := filepath.Rel(dir, o.Path)
		plan.Outputs[i].Path = filepath.Join(plan.Folder, name)
	}
	if _, err := apply(t, open(t, t.TempDir()), plan); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range contents(t, dir) {
		names = append(names, filepath.ToSlash(name))
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"else/where/out/0-regions.png", "else/where/out/0.png"}, names); diff != "" {
		t.Error(diff)
	}
	data, err := os.ReadFile(filepath.Join(plan.Folder, "out", "0.png"))
	if err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("%v", err)
	}
}
