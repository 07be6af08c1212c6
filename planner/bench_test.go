package planner_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
)

// BenchmarkPlan10000 plans 10 000 stages: renders of two entities at FLUX's native
// size, each at places of their own. The goals are a second, and 200 MB held.
func BenchmarkPlan10000(b *testing.B) {
	scene := picnic()
	first := scene.Renders[0]
	scene.Renders = nil
	for i := range 1428 { // of seven stages each
		r := first
		r.Name = fmt.Sprintf("picnic%d", i)
		r.Address, r.Seed = "render."+r.Name, uint64(i)
		r.Prompt = fmt.Sprintf("picnic number %d", i)
		r.Outputs = []eligen.Output{{Path: "out/" + r.Name + ".png"}}
		r.Entities = append([]eligen.Entity{}, r.Entities...)
		for k := range r.Entities {
			e := &r.Entities[k]
			e.Address, e.Prompt = fmt.Sprintf("%s[%d]", e.Address, i), fmt.Sprintf("%s, number %d", e.Prompt, i)
			x, y := 0.3*float64(i%40)/40, 0.3*float64(i/40)/40
			e.Region = eligen.Box(x+0.35*float64(k), y, x+0.35*float64(k)+0.3, y+0.3)
		}
		scene.Renders = append(scene.Renders, r)
	}
	b.ReportAllocs()
	var before, after runtime.MemStats
	var plan *eligen.Plan
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		var diags eligen.Diagnostics
		plan, diags = planner.Build(b.Context(), scene, "engine-1", dev, planner.Options{})
		if diags.HasErrors() || len(plan.Stages) < 9990 {
			b.Fatalf("%d stages, %v", len(plan.Stages), diags)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-held")
	b.ReportMetric(float64(b.Elapsed().Seconds())/float64(b.N), "s/plan")
	b.ReportMetric(float64(len(plan.Stages)), "stages")
	runtime.KeepAlive(plan)
}
