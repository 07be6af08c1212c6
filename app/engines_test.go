package app

import "testing"

// The usual backend and its name are one engine: two would hold a model's weights twice.
func TestOneEngineOfABackend(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	a := New(Options{})
	defer a.Close()
	for _, backend := range []string{"", "go"} {
		if _, err := a.modelEngine(backend, ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.engines) != 1 {
		t.Errorf("there are %d engines of the backend go", len(a.engines))
	}
}
