package app_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/memory"
)

// TestAnyStore: results go to whatever store the front end brings. Two Apps that share one
// share what was made, with a folder of their own or without.
func TestAnyStore(t *testing.T) {
	shared, path := memory.New(), filepath.Join(t.TempDir(), "rain.hcl")
	apply := func(folder string) (cached, done int) {
		a := app.New(app.Options{Folder: folder, Store: shared})
		defer a.Close()
		p, _, err := a.Plan(context.Background(), app.PlanRequest{
			Input:  app.Input{Path: path, Vars: []string{"colour=green"}, Unsaved: map[string][]byte{path: []byte(stillScene)}},
			Engine: "paint",
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Apply(context.Background(), p, app.Run{Unwritten: true, Events: func(e eligen.Event) {
			switch e.Type {
			case eligen.Cached:
				cached++
			case eligen.Done:
				done++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return cached, done
	}
	if cached, done := apply(t.TempDir()); cached != 0 || done == 0 {
		t.Errorf("at first, %d stages are cached and %d made", cached, done)
	}
	if cached, done := apply(""); cached == 0 || done != 0 {
		t.Errorf("from the same store, %d stages are cached and %d made", cached, done)
	}
}

// TestStoreWithoutFolder: what asks the store works on any, and needs no folder.
func TestStoreWithoutFolder(t *testing.T) {
	store := memory.New()
	a := app.New(app.Options{Store: store})
	f := frontEnd{a, t.TempDir()}
	p := f.planned(t, f.request("rain.hcl", stillScene, "colour=green"))
	if o, err := a.Outlook(t.Context(), p); err != nil || o.Missing != len(p.Stages) {
		t.Errorf("%d of %d stages are missing, %v", o.Missing, len(p.Stages), err)
	}
	made, err := a.Apply(t.Context(), p, app.Run{Unwritten: true})
	if err != nil || len(made.Checks) != 1 {
		t.Fatal(made, err)
	}
	if o, err := a.Outlook(t.Context(), p); err != nil || o.Missing > 0 {
		t.Errorf("%d stages are missing afterwards, %v", o.Missing, err)
	}
	data, err := a.Read(t.Context(), eligen.Artifact{Digest: p.Stages[p.Outputs[0].Stage].Digest})
	if err != nil || len(data) == 0 {
		t.Error(err)
	}
}

// A seen store counts what is opened.
type seen struct {
	runtime.Store
	opened int
}

func (s *seen) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	s.opened++
	return s.Store.Open(ctx, key)
}

// TestRoughReadsNothing: a draft asks whether a picture is there, and leaves it there.
func TestRoughReadsNothing(t *testing.T) {
	store := &seen{Store: memory.New()}
	a := app.New(app.Options{Store: store})
	f := frontEnd{a, t.TempDir()}
	r := f.request("rain.hcl", "render \"rain\" {\n  prompt = \"a frog\"\n}\n")
	r.Engine = "model"
	p := f.planned(t, r)
	if draft, _ := a.Rough(t.Context(), p); draft == nil {
		t.Error("no draft, though there is no picture")
	}
	if _, err := runtime.Put(t.Context(), store, p.Stages[p.Outputs[0].Stage].Digest, []byte("a picture")); err != nil {
		t.Fatal(err)
	}
	if draft, _ := a.Rough(t.Context(), p); draft != nil || store.opened > 0 {
		t.Errorf("a draft of what is there: %v; %d results were read", draft != nil, store.opened)
	}
}

// TestJournals: runs are recorded where the options say, or by the store, or in the folder.
func TestJournals(t *testing.T) {
	named, store := memory.New(), memory.New()
	bare := struct{ runtime.Store }{memory.New()} // it keeps nothing but results
	runs := func(o app.Options) (list [3]int) {
		o.Folder = t.TempDir()
		a := app.New(o)
		defer a.Close()
		f := frontEnd{a, t.TempDir()}
		if _, err := a.Apply(t.Context(), f.planned(t, f.request("rain.hcl", stillScene, "colour=green")), app.Run{Unwritten: true}); err != nil {
			t.Fatal(err)
		}
		past, err := a.Runs()
		if err != nil {
			t.Fatal(err)
		}
		return [3]int{len(named.Runs()), len(store.Runs()), len(past)}
	}
	got := [][3]int{runs(app.Options{Store: store, Journals: named}), runs(app.Options{Store: store}), runs(app.Options{Store: bare})}
	if diff := cmp.Diff([][3]int{{1, 0, 0}, {1, 1, 0}, {1, 1, 1}}, got); diff != "" {
		t.Error(diff)
	}
}
