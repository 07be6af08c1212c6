package planner_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/denoise"
)

// moving returns picnic as a clip of three frames in which a number goes from one value
// to another in a straight line.
func moving(target eligen.Target, from, to float64) *eligen.Scene {
	scene := picnic()
	r := &scene.Renders[0]
	r.Adapters = []eligen.Adapter{
		{Kind: "lora", Name: "still", Scale: 0.5, Alpha: "file"},
		{Kind: "lora", Name: "moves", Scale: 1, Alpha: "file"},
	}
	ease, _ := eligen.ParseEase("linear")
	r.Clip = &eligen.Clip{Timeline: eligen.Timeline{Frames: 3, FPS: 8, Tracks: []eligen.Track{{
		Target: target,
		Keys: []eligen.Key{{Frame: 0, Value: eligen.Value{Numbers: []float64{from}}, Ease: ease},
			{Frame: 2, Value: eligen.Value{Numbers: []float64{to}}}},
	}}}}
	r.Outputs = []eligen.Output{{Path: "out/%04d.png"}}
	return scene
}

// frames returns the denoise stages of a clip, in order.
func frames(t *testing.T, scene *eligen.Scene) (ops []denoise.Op, plan *eligen.Plan) {
	t.Helper()
	plan, ds := planner.Build(t.Context(), scene, "test", dev, planner.Options{})
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range plan.Stages {
		if op, ok := s.Op.(denoise.Op); ok {
			ops = append(ops, op)
		}
	}
	if len(ops) != 3 {
		t.Fatalf("%d denoise stages, want 3", len(ops))
	}
	return ops, plan
}

// A LoRA whose scale moves is kept as factors in every frame, also in those where the
// scale is the scene's own; the other LoRA stays in the weights.
func TestMovingScale(t *testing.T) {
	ops, _ := frames(t, moving(eligen.Target{Block: "adapter.lora.moves", Attribute: "scale"}, 0, 1))
	for n, op := range ops {
		still, moves := op.Adapters[0], op.Adapters[1]
		if still.Scale != 0.5 || still.Factors {
			t.Errorf("frame %d: the LoRA that stays is %+v", n, still)
		}
		if moves.Scale != float64(n)/2 || !moves.Factors {
			t.Errorf("frame %d: the LoRA that moves is %+v", n, moves)
		}
	}
}

// A frame whose cfg is 1 has no negative branch and says so; the others have one.
func TestMovingCFG(t *testing.T) {
	cfg := eligen.Target{Block: "sampler", Attribute: "cfg"}
	ops, plan := frames(t, moving(cfg, 1, 3))
	for n, op := range ops {
		if op.CFG != 1+float64(n) || op.Negative != (n > 0) {
			t.Errorf("frame %d: cfg %v, negative %v", n, op.CFG, op.Negative)
		}
	}
	negatives := 0
	for _, s := range plan.Stages {
		if strings.HasSuffix(s.Name, ".negative") {
			negatives++
		}
	}
	if negatives != 1 {
		t.Errorf("the negative prompt is encoded %d times", negatives)
	}

	// Where no frame is guided, a negative prompt has nothing to act through, whatever
	// the sampler's own cfg is.
	off := moving(cfg, 1, 1)
	three := 3.0
	off.Renders[0].Negative, off.Renders[0].Sampler.CFG = "blurry", &three
	if _, ds := planner.Build(t.Context(), off, "test", dev, planner.Options{}); !strings.Contains(fmt.Sprint(ds.Err()),
		"Negative prompt without guidance") {
		t.Errorf("a negative prompt without guidance: %v", ds.Err())
	}
	below := moving(cfg, 1, -3)
	if _, ds := planner.Build(t.Context(), below, "test", dev, planner.Options{}); !strings.Contains(fmt.Sprint(ds.Err()),
		"In frame 2 cfg is -3") && !strings.Contains(fmt.Sprint(ds.Err()), "In frame 1 cfg is -1") {
		t.Errorf("a cfg below 0: %v", ds.Err())
	}
}
