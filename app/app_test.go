package app_test

import (
	"testing"

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
