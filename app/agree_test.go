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
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
)

// problems lists the errors among diagnostics, each with its position.
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
		"../scenes/flux/*.hcl", "../scenes/qwen/*.hcl"} {
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
			agreesWithParts(t, path, ds)
			said, has := map[string]bool{}, map[string]bool{}
			for _, d := range ds {
				if text := d.String(); said[text] {
					t.Errorf("%s: said twice:\n%s", path, text)
				} else {
					said[text] = true
				}
				if has[d.Code] = true; d.Code == "" {
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
				beyond := func(d eligen.Diagnostic) bool { return beyondValidate[d.Code] && !has[d.Code] }
				want := ds
				if slices.ContainsFunc(planned, beyond) { // of a model that can't be used, a plan finds less
					planned = slices.DeleteFunc(planned, beyond)
					known := problems(planned)
					want = slices.DeleteFunc(slices.Clone(ds), func(d eligen.Diagnostic) bool {
						return d.Severity == eligen.Error && !slices.Contains(known, problems(eligen.Diagnostics{d})[0])
					})
				}
				if diff := cmp.Diff(problems(want), problems(planned)); diff != "" {
					t.Errorf("%s, planned for %s (-validate +plan):\n%s", path, engine, diff)
				}
			}
		}
	}
	if right < 10 || wrong < 100 {
		t.Errorf("%d scenes are right, %d wrong", right, wrong)
	}
}

// agreesWithParts holds what Validate says to what reading the scene and planning it say, each by itself.
func agreesWithParts(t *testing.T, path string, validated eligen.Diagnostics) {
	t.Helper()
	scene, ds := dsl.Load(t.Context(), path, dsl.Vars{Families: families.All.Known()})
	if scene == nil { // planning finds more in what could be read
		for _, p := range problems(ds) {
			if !slices.Contains(problems(validated), p) {
				t.Errorf("%s: validate doesn't say: %s", path, p)
			}
		}
		return
	}
	e := paint.Engine{Families: families.All}
	_, more := planner.Build(t.Context(), scene, e.ID(), e.Spec, planner.Options{})
	if diff := cmp.Diff(problems(append(ds, more...).Tidy()), problems(validated)); diff != "" {
		t.Errorf("%s (-parts +validate):\n%s", path, diff)
	}
}

// beyondValidate are the codes of what needs more than the scene: weights; and that a
// scene of recipes is trained, and not rendered.
var beyondValidate = map[string]bool{"E0601": true, "E0602": true, "E0006": true}
