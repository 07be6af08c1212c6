package app_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// problems are the errors among diagnostics, each with its position.
func problems(ds eligen.Diagnostics) (out []string) {
	for _, d := range ds {
		if d.Severity == eligen.Error {
			out = append(out, fmt.Sprintf("%s at %v: %s: %s", d.Code, d.Source, d.Summary, d.Detail))
		}
	}
	return out
}

// TestValidateAndPlanAgree: what is wrong with a scene is the same, at the same positions
// and each once, whether it is validated or planned; and what validate passes, plan does.
// Models beside nano, which is embedded, may not be on this machine.
func TestValidateAndPlanAgree(t *testing.T) {
	a := open(t)
	right, wrong := 0, 0
	for _, pattern := range []string{"../dsl/testdata/wrong/*.hcl", "../dsl/testdata/wrong/*.json", "../dsl/testdata/*.hcl", "../scenes/*.hcl",
		"../scenes/flux/*.hcl"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			in := app.Input{Path: path}
			ds, err := a.Validate(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			said := map[string]bool{}
			for _, d := range ds {
				if text := d.String(); said[text] {
					t.Errorf("%s: said twice:\n%s", path, text)
				} else {
					said[text] = true
				}
				if d.Code == "" {
					t.Errorf("%s: no code: %s", path, d.Summary)
				}
			}
			if ds.HasErrors() {
				wrong++
			} else {
				right++
			}
			for _, engine := range []string{"paint", "model"} {
				var planned eligen.Diagnostics
				_, _, err := a.Plan(t.Context(), app.PlanRequest{Input: in, Engine: engine, Memory: app.NoLimit})
				if err != nil && !errors.As(err, &planned) {
					t.Errorf("%s, %s: %v", path, engine, err)
				}
				beyond := func(d eligen.Diagnostic) bool { return beyondValidate[d.Code] }
				if slices.ContainsFunc(planned, beyond) && !slices.ContainsFunc(ds, beyond) {
					continue
				}
				if diff := cmp.Diff(problems(ds), problems(planned)); diff != "" {
					t.Errorf("%s, planned for %s (-validate +plan):\n%s", path, engine, diff)
				}
			}
		}
	}
	if right < 10 || wrong < 100 {
		t.Errorf("%d scenes are right, %d wrong", right, wrong)
	}
}

// beyondValidate are the codes of what needs more than the scene: weights; and that a
// scene of recipes is trained, and not rendered.
var beyondValidate = map[string]bool{"E0601": true, "E0602": true, "E0006": true}
