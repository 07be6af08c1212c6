package runtime_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/runtime"
)

// next is a farm of one machine: it makes tasks in a store of its own, as a worker does, and keeps which ones.
type next struct {
	store runtime.Store
	tasks [][]string
}

func (n *next) Makes(op eligen.Op) bool         { return !strings.HasPrefix(op.Kind(), "sheet/") }
func (n *next) Reports(func(eligen.Diagnostic)) {}
func (n *next) Window() int                     { return 1 }

func (n *next) Make(ctx context.Context, t runtime.Task) error {
	var names []string
	keep := make([]bool, len(t.Plan.Stages))
	for _, i := range slices.Backward(t.Stages) {
		names = append([]string{t.Plan.Stages[i].Name}, names...)
		keep[i] = true
	}
	for i := len(keep) - 1; i >= 0; i-- { // what they need is in the store
		for _, in := range t.Plan.Stages[i].Inputs {
			keep[in] = keep[in] || keep[i]
		}
	}
	n.tasks = append(n.tasks, names)
	part, _ := t.Plan.Only(keep)
	part.Outputs = nil
	return (&runtime.Runner{Store: n.store, Engine: paint.Engine{}}).Apply(ctx, part)
}

// TestTasks: a picture's stages are one task; what two pictures share is a task of its own; what needs no engine is
// made here.
func TestTasks(t *testing.T) {
	store := open(t, t.TempDir())
	farm := &next{store: store}
	dir := t.TempDir()
	plan := build(t, gallery(dir, 2))
	progress, err := apply(t, store, plan, func(r *runtime.Runner) { r.Farm = farm })
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"render.picnic0.prompt"},
		{"entity.cup.prompt"},
		{"entity.apple.prompt"},
		{"render.picnic0.noise", "render.picnic0.denoise", "render.picnic0.decode"}, // its picture is read twice
		{"render.picnic1.noise", "render.picnic1.denoise", "render.picnic1.decode"},
	}
	if diff := cmp.Diff(want, farm.tasks); diff != "" {
		t.Error(diff)
	}
	if n := progress.Counts(); n[eligen.Done] != len(plan.Stages) {
		t.Errorf("%v of %d stages", n, len(plan.Stages))
	}
	alone := t.TempDir()
	if _, err := apply(t, open(t, t.TempDir()), build(t, gallery(alone, 2))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(t, alone), contents(t, dir)); diff != "" {
		t.Error(diff)
	}
	farm.tasks = nil
	if _, err := apply(t, store, plan, func(r *runtime.Runner) { r.Farm = farm }); err != nil || len(farm.tasks) > 0 {
		t.Errorf("the second time, %v; %v", farm.tasks, err)
	}
}
