package planner

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMotionChanges: what moves otherwise than in the last run is named by its track.
func TestMotionChanges(t *testing.T) {
	motion := func(fps string, tracks string) Motion {
		m, ok := MotionOf(json.RawMessage(`{"Timeline": "timeline.drive", "Resolved": {"render": "render.drive",
			"fps": ` + fps + `, "frames": 16, "timeline": [` + tracks + `]}}`))
		if !ok {
			t.Fatalf("no motion in %s", tracks)
		}
		return m
	}
	car, further := `{"target": "entity.car.box", "keys": [{"frame": 0}]}`, `{"target": "entity.car.box", "keys": [{"frame": 8}]}`
	tree := `{"target": "entity.tree.strength"}`
	for _, c := range []struct {
		name     string
		old, now Motion
		want     []string
	}{
		{"the same", motion("8", car), motion("8", car), nil},
		{"a key", motion("8", car+","+tree), motion("8", further+","+tree), []string{"timeline.drive: track of entity.car.box changed"}},
		{"a track more, one less", motion("8", tree), motion("8", car),
			[]string{"timeline.drive: track of entity.car.box added", "timeline.drive: track of entity.tree.strength removed"}},
		{"faster", motion("8", car), motion("12", car), []string{"timeline.drive: fps 8 → 12"}},
		{"a still before", Motion{}, motion("8", car), nil},
	} {
		if d := cmp.Diff(c.want, MotionChanges(c.old, c.now)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	if _, ok := MotionOf(json.RawMessage(`{"Resolved": {"render": "render.rain"}}`)); ok {
		t.Error("a still moves")
	}
}
