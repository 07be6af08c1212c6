package app

import "testing"

// The usual backend and its name are one engine: two would hold a model's weights twice.
func TestOneEngineOfABackend(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	a := New(Options{})
	defer a.Close()
	usual, err := a.modelEngine("", "")
	if err != nil {
		t.Fatal(err)
	}
	named, err := a.modelEngine("go", "")
	if err != nil {
		t.Fatal(err)
	}
	if usual != named {
		t.Error("there are two engines of the backend go")
	}
}
