package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
)

// TestPlans holds the plan of every scene, and what each stage is named by: a change
// that is no change of plans leaves them alone. Where a digest moves, results that
// people have are made again.
func TestPlans(t *testing.T) {
	for _, path := range sceneFiles(t) {
		name := strings.TrimPrefix(strings.TrimSuffix(filepath.ToSlash(path), ".hcl"), "../../scenes/")
		t.Run(name, func(t *testing.T) {
			scene, ds := dsl.Load(t.Context(), path, dsl.Vars{})
			if err := ds.Err(); err != nil {
				t.Fatal(err)
			}
			p, ds := planner.Build(t.Context(), scene, paint.Engine{}.ID(), paint.Engine{}.Spec, planner.Options{})
			if err := ds.Err(); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "%s\n", page.Clean(planner.Print(p, planner.Known{}, planner.View{Verbose: true})))
			for _, s := range p.Stages {
				fmt.Fprintf(&b, "%s  %s\n", s.Digest.Short(), s.Name)
			}
			for _, d := range ds {
				fmt.Fprintf(&b, "%s: %s\n", d.Severity, d.Summary)
			}
			got := strings.ReplaceAll(filepath.ToSlash(b.String()), "../../", "")
			golden := filepath.Join("testdata", "plans", filepath.FromSlash(name)+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update if this is meant:\n%s", diff)
			}
		})
	}
}
