package app_test

import (
	"errors"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// open returns the operations, with a store of the test's own.
func open(t *testing.T) *app.App {
	t.Helper()
	a := app.New(app.Options{Folder: t.TempDir()})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// Close waits for a run that goes on, which comes out as if nobody had closed; later calls are refused.
func TestCloseWaits(t *testing.T) {
	f := frontEnd{app.New(app.Options{Folder: t.TempDir()}), t.TempDir()}
	r := f.request("walk.hcl", clipScene)
	p := f.planned(t, r)
	closed := make(chan error, 1)
	refused := false
	made, err := f.app.Apply(t.Context(), p, app.Run{Unwritten: true, Events: func(e eligen.Event) {
		if e.Type != eligen.Done || refused {
			return
		}
		go func() { closed <- f.app.Close() }()
		for !refused { // until Close has begun
			_, err := f.app.Outlook(t.Context(), p)
			refused = errors.Is(err, app.ErrClosed)
		}
		select {
		case err := <-closed:
			t.Errorf("closed while a run goes on: %v", err)
		default:
		}
	}})
	if err != nil || made == nil || !refused {
		t.Errorf("%v, refused %v", err, refused)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	_, _, planned := f.app.Plan(t.Context(), r)
	_, validated := f.app.Validate(t.Context(), r.Input)
	_, applied := f.app.Apply(t.Context(), p, app.Run{})
	_, listed := f.app.Runs()
	for _, err := range []error{planned, validated, applied, listed} {
		if !errors.Is(err, app.ErrClosed) {
			t.Errorf("called later: %v", err)
		}
	}
	if err := f.app.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
