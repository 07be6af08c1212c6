package planner_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
)

// A schedule is worked out step by step, an entity's own in place of the render's. One that says nothing is no part of a
// recipe.
func TestSchedules(t *testing.T) {
	scene := layers("")
	r, steps := &scene.Renders[0], 5
	r.Sampler.Steps = &steps
	plain := denoised(t, scene)
	r.Schedule = &eligen.StrengthSchedule{Strength: [][2]float64{{0, 1}, {1, 1}}}
	if diff := cmp.Diff(plain, denoised(t, scene)); diff != "" {
		t.Errorf("a schedule of 1 throughout: %s", diff)
	}
	r.Schedule.Strength[1][1] = 0
	r.Entities[1].Schedule = &eligen.StrengthSchedule{Blocks: &[2]int{0, 18}}
	op := denoised(t, scene)
	falling := []float32{1, 0.75, 0.5, 0.25, 0}
	for i, want := range [][]float32{falling, nil, falling} {
		if e := op.Entities[i]; !slices.Equal(e.Factors, want) || (i == 1) != slices.Equal(e.Blocks, []int{0, 18}) {
			t.Errorf("entity %d: factors %v, blocks %v", i, e.Factors, e.Blocks)
		}
	}
}

// A region with a feather covers its tokens by how far inside it their pixels lie. Outside, where an entity is nowhere
// else, tokens are whole.
func TestFeather(t *testing.T) {
	scene := layers("")
	r := &scene.Renders[0]
	r.Size = eligen.Size{W: 128, H: 128}
	r.Entities = r.Entities[:1]
	r.Entities[0].Region = eligen.Box(0.25, 0.25, 0.75, 0.75) // 4×4 tokens
	plain := denoised(t, scene)
	r.Entities[0].Feather = 16
	op := denoised(t, scene)
	corner := 0.0
	for y := range 16 {
		for x := range 16 {
			corner += (float64(min(x, y)) + 0.5) / 16 / 256
		}
	}
	edge, inner, c := 0.5, 1.0, corner
	want := []float64{c, edge, edge, c, edge, inner, inner, edge, edge, inner, inner, edge, c, edge, edge, c}
	got := op.Entities[0].Cover
	if len(got) != len(want) {
		t.Fatalf("covers %v", got)
	}
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > 1e-6 {
			t.Errorf("token %d: %v, not %v", i, got[i], want[i])
		}
	}
	op.Entities[0].Cover = nil
	if diff := cmp.Diff(plain, op); diff != "" {
		t.Errorf("a feather changes more than what is covered: %s", diff)
	}
	three := 3.0
	r.Sampler.CFG, r.Entities[0].AutoNegative = &three, true
	if a := denoised(t, scene).Against; len(a) != 1 || a[0].Cover != nil {
		t.Errorf("against: %v", a)
	}
}
