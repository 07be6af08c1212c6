package app_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// numbered is a scene that asks the environment for a number.
const numbered = `
variable "n" {
  type = number
}

render "a" {
  prompt = "a dog"
  size   = [var.n, 64]
}
`

// numberedIn returns an App with an environment, and the scene numbered.
func numberedIn(t *testing.T, env func(string) (string, bool)) (*app.App, app.Input) {
	path := filepath.Join(t.TempDir(), "scene.hcl")
	return app.New(app.Options{Env: env}), app.Input{Path: path, Unsaved: map[string][]byte{path: []byte(numbered)}}
}

// A scene is read once: mistakes that are gone when somebody looks again are still the error.
func TestOpenReadsOnce(t *testing.T) {
	asked := 0
	a, in := numberedIn(t, func(string) (string, bool) {
		if asked++; asked == 1 {
			return "many", true
		}
		return "64", true
	})
	scene, _, err := a.Open(t.Context(), in)
	var ds eligen.Diagnostics
	if scene != nil || !errors.As(err, &ds) || asked != 1 {
		t.Errorf("%v, %v, after %d readings", scene, err, asked)
	}
}

// What a call that was cancelled leaves running sets nothing that the caller got: the race detector looks.
func TestCancelledReadingIsAlone(t *testing.T) {
	for range 50 { // the goroutine that is left may be first, too
		ctx, cancel := context.WithCancel(t.Context())
		a, in := numberedIn(t, func(string) (string, bool) {
			cancel()
			return "64", true
		})
		scene, ds, err := a.Open(ctx, in)
		if scene != nil || ds != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v, %v", scene, ds, err)
		}
	}
}
