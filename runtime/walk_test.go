package runtime_test

import (
	"context"
	"errors"
	"fmt"

	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
)

// A say is the smallest Op: it writes a word and what its inputs hold.
type say struct {
	Word  string
	Ran   *[]string `recipe:"-"`
	Error error     `recipe:"-"`
	Extra string    `recipe:"-"` // bytes that the recipe doesn't tell of
}

func (say) Kind() string { return "say/1" }

func (o say) Run(_ context.Context, c *eligen.Call) error {
	*o.Ran = append(*o.Ran, o.Word)
	if o.Word == "panic" {
		panic("out of cheese")
	}
	fmt.Fprint(c.Out, o.Word, o.Extra)
	for _, in := range c.Inputs {
		data, err := in.Read()
		if err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "(%s)", data)
	}
	return o.Error
}

// states writes what a run's events say of each stage, in the plan's order.
func states(p *eligen.Progress) string {
	var out []string
	for _, s := range p.Stages {
		out = append(out, s.Name+" "+string(s.State))
	}
	return strings.Join(out, ", ")
}

func content(t *testing.T, store *file.Store, plan *eligen.Plan, ref eligen.Ref) string {
	t.Helper()
	a, ok, err := store.Get(plan.Stages[ref].Digest)
	if !ok || err != nil {
		t.Fatalf("%s: %v, %v", plan.Stages[ref].Name, ok, err)
	}
	return string(a.Data)
}

func TestWalk(t *testing.T) {
	store := open(t, t.TempDir())
	var ran []string
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	a := plan.Add("a", eligen.Source{}, say{Word: "a", Ran: &ran})
	b := plan.Add("b", eligen.Source{}, say{Word: "b", Ran: &ran}, a)
	same := plan.Add("b again", eligen.Source{}, say{Word: "b", Ran: &ran}, a)
	c := plan.Add("c", eligen.Source{}, say{Word: "c", Ran: &ran}, a, b, same)

	progress, err := apply(t, store, plan)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, ran); diff != "" {
		t.Error(diff)
	}
	if got, want := content(t, store, plan, c), "c(a)(b(a))(b(a))"; got != want {
		t.Errorf("c holds %q, want %q", got, want)
	}
	if got, want := states(&progress), "a done, b done, c done"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// A later plan runs what is new only.
	ran = nil
	plan.Add("d", eligen.Source{}, say{Word: "d", Ran: &ran}, b)
	progress, err = apply(t, store, plan)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := states(&progress), "a cached, b cached, c cached, d done"; got != want || len(ran) != 1 {
		t.Errorf("%s, ran %v, want %s", got, ran, want)
	}
}

// TestFailure: a failure takes with it the stages that need it, and no others, and
// is reported once.
func TestFailure(t *testing.T) {
	store := open(t, t.TempDir())
	var ran []string
	boom := errors.New("no such word")
	at := eligen.Source{File: "scene.hcl", Line: 3, Code: `  prompt = "bad"`}
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	a := plan.Add("a", eligen.Source{}, say{Word: "a", Ran: &ran})
	bad := plan.Add("bad", at, say{Word: "bad", Ran: &ran, Error: boom}, a)
	c := plan.Add("c", eligen.Source{}, say{Word: "c", Ran: &ran}, bad)
	plan.Add("d", eligen.Source{}, say{Word: "d", Ran: &ran}, c)
	plan.Add("e", eligen.Source{}, say{Word: "e", Ran: &ran}, a)
	plan.Add("panic", eligen.Source{}, say{Word: "panic", Ran: &ran}, a)

	progress, err := apply(t, store, plan)
	if got, want := states(&progress), "a done, bad failed, c skipped, d skipped, e done, panic failed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var stageError *runtime.StageError
	if !errors.Is(err, boom) || !errors.As(err, &stageError) || stageError.Stage != "bad" ||
		strings.Count(err.Error(), "no such word") != 1 {
		t.Errorf("Apply: %v", err)
	}
	if !strings.Contains(err.Error(), "out of cheese, at runtime/walk_test.go:36. This is a bug in eligen") {
		t.Errorf("Apply: %v", err)
	}
	if p := progress.Stages[1].Problem; p == nil || p.Source == nil || p.Source.Line != 3 || !strings.Contains(p.Detail, "no such word") {
		t.Errorf("the problem is %+v", p)
	}

	// Nothing of a failed stage is kept.
	ran = nil
	if _, err := apply(t, store, plan); !errors.Is(err, boom) {
		t.Errorf("Apply: %v", err)
	}
	if diff := cmp.Diff([]string{"bad", "panic"}, ran); diff != "" {
		t.Error(diff)
	}

	// A run that halts skips what comes after, and says what is there already.
	ran = nil
	progress, err = apply(t, store, plan, func(r *runtime.Runner) { r.Halt = true })
	if got, want := states(&progress), "a cached, bad failed, c skipped, d skipped, e cached, panic skipped"; got != want || len(ran) != 1 {
		t.Errorf("%s, ran %v, want %s", got, ran, want)
	}
	if !errors.Is(err, boom) {
		t.Errorf("Apply: %v", err)
	}
}

// TestCancelled: a run that is over before it begins says so, and does nothing.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var ran []string
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	plan.Add("a", eligen.Source{}, say{Word: "a", Ran: &ran})
	var progress eligen.Progress
	r := &runtime.Runner{Store: open(t, t.TempDir()), Emit: progress.Add}
	if err := r.Apply(ctx, plan); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
	if got := states(&progress); got != "a skipped" || len(ran) != 0 || !progress.Ended {
		t.Errorf("%s, ran %v", got, ran)
	}
}

// TestNotDeterministic: an Op whose bytes depend on more than its recipe is found
// out when it runs twice. The store keeps the first result.
func TestNotDeterministic(t *testing.T) {
	store := open(t, t.TempDir())
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	var ran []string
	a := plan.Add("a", eligen.Source{}, say{Word: "a", Ran: &ran})
	if _, err := apply(t, store, plan); err != nil {
		t.Fatal(err)
	}
	d := plan.Stages[a].Digest
	if _, err := runtime.Put(t.Context(), store, d, []byte("a")); err != nil {
		t.Errorf("the same bytes again: %v", err)
	}
	if _, err := runtime.Put(t.Context(), store, d, []byte("a, differently")); !errors.Is(err, runtime.ErrNotDeterministic) {
		t.Errorf("other bytes: %v", err)
	}
	if got := content(t, store, plan, a); got != "a" {
		t.Errorf("the store holds %q", got)
	}

	// Two processes on one store: while one runs the stage, the other finishes it.
	plan = eligen.NewPlan("scene.hcl", "engine-1")
	plan.Add("b", eligen.Source{}, racing{say{Word: "b", Ran: &ran, Extra: "!"}, func() {
		if _, err := runtime.Put(t.Context(), store, plan.Stages[0].Digest, []byte("b")); err != nil {
			t.Error(err)
		}
	}})
	progress, err := apply(t, store, plan)
	if !errors.Is(err, runtime.ErrNotDeterministic) || progress.Stages[0].Problem.Summary != "Stage is not deterministic" {
		t.Errorf("Apply: %v", err)
	}
}

type racing struct {
	Say    say
	During func() `recipe:"-"`
}

func (racing) Kind() string { return "racing/1" }

func (o racing) Run(ctx context.Context, c *eligen.Call) error {
	o.During()
	return o.Say.Run(ctx, c)
}

// TestDamage flips, one at a time, every byte of a store: never is wrong content
// delivered. The damaged entry is put aside, reported once, and made again.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	var ran []string
	plan := eligen.NewPlan("scene.hcl", "engine-1")
	a := plan.Add("a", eligen.Source{}, say{Word: "words that matter", Ran: &ran})
	if _, err := apply(t, store, plan); err != nil {
		t.Fatal(err)
	}
	artifact, _, _ := store.Get(plan.Stages[a].Digest)
	sound, err := os.ReadFile(artifact.Path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, damaged []byte) {
		if err := os.WriteFile(artifact.Path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, ok, damage := store.Get(artifact.Digest); ok || damage == nil {
			t.Errorf("%s: got %q", what, got.Data)
		}
		if _, ok, damage := store.Get(artifact.Digest); ok || damage != nil {
			t.Errorf("%s: %v, %v the second time; want a plain miss", what, ok, damage)
		}
	}
	for i := range sound {
		damaged := append([]byte{}, sound...)
		damaged[i] ^= 0x10
		check(fmt.Sprint("byte ", i), damaged)
	}
	for n := range sound {
		check(fmt.Sprint("cut to ", n), sound[:n])
	}
	check("one byte more", append(append([]byte{}, sound...), 'x'))

	if err := os.WriteFile(artifact.Path, sound[:len(sound)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	ran = nil
	progress, err := apply(t, store, plan)
	if err != nil || len(ran) != 1 || len(progress.Reports) != 1 {
		t.Errorf("Apply: %v, ran %v, reported %v", err, ran, progress.Reports)
	}
	if got := content(t, store, plan, a); got != "words that matter" {
		t.Errorf("after the repair: %q", got)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "quarantine", "*")); len(aside) == 0 {
		t.Error("the damaged entry is not in quarantine")
	}
}

// TestCachedIsShown: what a run takes from the store is in its events with where it is,
// though nothing reads it, so that a screen can show it. What nobody needs and the store
// has lost isn't.
func TestCachedIsShown(t *testing.T) {
	cache := t.TempDir()
	store, plan := open(t, cache), build(t, picnic(t.TempDir()))
	if _, err := apply(t, store, plan); err != nil {
		t.Fatal(err)
	}
	lost := plan.Stages[0]
	if err := os.Remove(filepath.Join(cache, "results", string(lost.Digest[:2]), string(lost.Digest))); err != nil {
		t.Fatal(err)
	}
	progress, err := apply(t, store, plan)
	if n := progress.Counts(); err != nil || n[eligen.Cached] != len(plan.Stages) {
		t.Fatalf("%v, %v", n, err)
	}
	for _, s := range progress.Stages {
		if s.Name == lost.Name {
			if s.Artifact != nil {
				t.Errorf("%s is gone, and is in %s", s.Name, s.Artifact.Path)
			}
			continue
		}
		if s.Artifact == nil {
			t.Errorf("%s: it is not said where it is", s.Name)
			continue
		}
		if a, ok, err := store.Get(s.Artifact.Digest); !ok || err != nil || a.Size != s.Artifact.Size || a.Path != s.Artifact.Path {
			t.Errorf("%s: the event says %d bytes in %s, the store %d in %s, %v", s.Name, s.Artifact.Size, s.Artifact.Path,
				a.Size, a.Path, err)
		}
	}
}

// TestWarnings: what planning said is the first of a run's reports.
func TestWarnings(t *testing.T) {
	var ds eligen.Diagnostics
	ds.Warnf(&eligen.Source{File: "picnic.hcl", Line: 3}, "Regions overlap", "The cup and the apple share 4 image tokens.")
	ds.Warnf(nil, "Entity is small", "The apple covers 2 image tokens.")
	progress, err := apply(t, open(t, t.TempDir()), build(t, picnic(t.TempDir())), func(r *runtime.Runner) { r.Warnings = ds })
	if diff := cmp.Diff([]eligen.Diagnostic(ds), progress.Reports); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestTwoRuns: two runs of one plan at the same time, on one store, both end well,
// and with one result.
func TestTwoRuns(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	plan := build(t, picnic(dir))
	errs := make(chan error)
	for range 2 {
		store := open(t, cache)
		go func() {
			errs <- (&runtime.Runner{Store: store, Engine: paint.Engine{}, Recognise: still.Untouched}).Apply(t.Context(), plan)
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	progress, err := apply(t, open(t, cache), plan)
	if n := progress.Counts(); err != nil || n[eligen.Cached] != len(plan.Stages) {
		t.Errorf("afterwards: %v, %v", n, err)
	}
	if leftovers, _ := filepath.Glob(filepath.Join(dir, "out", ".*")); len(leftovers) > 0 {
		t.Errorf("left behind: %v", leftovers)
	}
}

// TestLeftovers: half-written files of runs that were killed go, in time; those of a
// run that may still be at work stay.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	old, fresh := filepath.Join(dir, "out/.eligen-new-old"), filepath.Join(dir, "out/.eligen-new-fresh")
	for _, name := range []string{old, fresh} {
		if err := os.WriteFile(name, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(old, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	if _, err := apply(t, open(t, t.TempDir()), build(t, picnic(dir))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("yesterday's is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("one that may be in use: %v", err)
	}
}
