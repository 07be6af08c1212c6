package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/stage/still"
)

// A rough plan has a quarter of the steps, and is of renders whose pictures would take some and aren't
// there yet.
func TestRough(t *testing.T) {
	a := open(t)
	scene := filepath.Join(t.TempDir(), "scene.hcl")
	text := `
render "one" {
  prompt = "a dog"
  size   = [256, 256]
}

render "quick" {
  from = render.one

  sampler {
    steps = 4
  }
  output {
    path = "quick.png"
  }
}
`
	if err := os.WriteFile(scene, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	rough := func(engine string) (*app.Plan, string) {
		t.Helper()
		p, _, err := a.Plan(t.Context(), app.PlanRequest{Input: app.Input{Path: scene}, Engine: engine})
		if err != nil {
			t.Fatal(err)
		}
		return a.Rough(t.Context(), p)
	}
	p, steps := rough("model")
	if p == nil || steps != "5 of 20 steps" || len(p.Outputs) != 1 {
		t.Fatalf("a draft of %s: %+v", steps, p)
	}
	if r, ok := still.ResolvedOf(p.Stages[p.Outputs[0].Stage].Op); !ok || r.Steps != 5 || r.Render != "render.one" {
		t.Errorf("drafted %s with %d steps", r.Render, r.Steps)
	}
	if p, _ := rough("paint"); p != nil {
		t.Error("paint, which takes no time, has drafts")
	}
}
