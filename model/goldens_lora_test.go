package model_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/weights"
)

// blank is a base whose weights are 0: what a LoRA makes of it is the change alone.
type blank struct{ weights.Loader }

func (blank) Bytes(string, []byte) (bool, error) { return false, nil }

func (z blank) Floats(_ string, _ int, dst []float32) error {
	clear(dst)
	return nil
}

// testLoRAFile lays a file, as trainers write it, over a model, and compares the change of
// every weight with the one that the trainer's library makes.
func testLoRAFile(t *testing.T, g *golden) {
	path := g.path(g.name, g.text("open"))
	_, f, err := weights.OpenLoRA(path)
	if err != nil {
		if reason := later(t)["lora spellings"]; reason != "" && strings.Contains(err.Error(), "belong to no linear layer") {
			t.Skipf("later: lora spellings: %s", reason)
		}
		if !strings.HasPrefix(g.text("expect"), "load, or refuse") {
			t.Fatal(err)
		}
		g.names(t, "message_must_name", err.Error())
		return
	}
	if err := f.Check(); err != nil {
		t.Error(err)
	}
	if g.has("message_must_name_if_dropped") {
		g.names(t, "message_must_name_if_dropped", f.Dropped())
	}
	base := g.open(t, g.text("base"))
	l, err := lora.Over(blank{base}, lora.Layer{File: f, Scale: 1})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]tensor.Tensor{}
	for _, x := range base.Tensors() {
		change := tensor.New(x.Shape...)
		if err := l.Floats(x.Name, 0, change.Data); err != nil {
			t.Fatal(err)
		}
		if _, wanted := g.want[x.Name]; wanted {
			got[x.Name] = change
			continue
		}
		for _, v := range change.Data {
			if v != 0 {
				t.Errorf("%s changes by %v; no change is wanted", x.Name, v)
				break
			}
		}
	}
	g.compare(t, got, nil)
}

// testNegative opens what is no LoRA that can be used.
func testNegative(t *testing.T, g *golden) {
	r, err := inspect.Path(g.path(g.name, g.text("open")))
	if err == nil && r.Problem == "" {
		t.Fatalf("it is taken for %s", r.Title)
	}
	message := r.Problem
	if err != nil {
		message = err.Error()
	}
	message = strings.ReplaceAll(message, filepath.Dir(g.path(g.name, "x")), "")
	g.names(t, "message_must_name", message)
}

// names checks that a message has one word of each list.
func (g *golden) names(t *testing.T, field, message string) {
	t.Helper()
	var lists [][]string
	g.field(t, field, &lists)
	for _, words := range lists {
		found := false
		for _, w := range words {
			found = found || strings.Contains(message, w)
		}
		if !found {
			t.Errorf("the message has none of %q:\n%s", words, message)
		}
	}
}
