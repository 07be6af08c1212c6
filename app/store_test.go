package app_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
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
