package planner_test

import (
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/encode"
)

// traits is dev, whose adapters have the traits of their names.
func traits(of map[string]eligen.AdapterTraits) func(eligen.Model, []eligen.Adapter) (eligen.Spec, error) {
	return func(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
		s, err := dev(m, adapters)
		for _, a := range adapters {
			s.Traits = append(s.Traits, of[a.Name])
		}
		return s, err
	}
}

// A LoRA that changes text encoders is in the definition of every prompt's stage, with the scale
// of the frame; one that changes them alone is not in that of denoising. Without such a LoRA
// prompts are the stages that they were.
func TestLoRAsOnPrompts(t *testing.T) {
	scene := moving(eligen.Target{Block: "adapter.lora.moves", Attribute: "scale"}, 0, 1)
	planned := func(of map[string]eligen.AdapterTraits) (prompts []encode.Op, plan *eligen.Plan) {
		t.Helper()
		plan, ds := planner.Build(t.Context(), scene, "test", traits(of), planner.Options{})
		if err := ds.Err(); err != nil {
			t.Fatal(err)
		}
		for _, s := range plan.Stages {
			if op, ok := s.Op.(encode.Op); ok {
				prompts = append(prompts, op)
			}
		}
		return prompts, plan
	}
	plain, _ := planned(nil)
	for _, op := range plain {
		if op.Adapters != nil {
			t.Errorf("%s has adapters %+v", op, op.Adapters)
		}
	}
	scales := map[float64]int{}
	prompts, plan := planned(map[string]eligen.AdapterTraits{"moves": {Text: true}, "still": {Text: true, TextOnly: true}})
	for _, op := range prompts {
		if len(op.Adapters) != 2 || op.Adapters[0].Scale != 0.5 || op.Adapters[0].Factors || !op.Adapters[1].Factors {
			t.Fatalf("%s has adapters %+v", op, op.Adapters)
		}
		scales[op.Adapters[1].Scale]++
	}
	if want := len(plain); len(prompts) != 3*want || scales[0] != want || scales[0.5] != want || scales[1] != want {
		t.Errorf("%d prompts, at scales %v; want %d at each of three", len(prompts), scales, want)
	}
	for _, s := range plan.Stages {
		if op, ok := s.Op.(denoise.Op); ok && (len(op.Adapters) != 1 || !op.Adapters[0].Factors) {
			t.Errorf("denoising has %+v", op.Adapters)
		}
	}
}

// A track of a LoRA that can't be kept unmerged is an error at the track.
func TestLoRAThatCannotMove(t *testing.T) {
	scene := moving(eligen.Target{Block: "adapter.lora.moves", Attribute: "scale"}, 0, 1)
	scene.Renders[0].Clip.Timeline.Tracks[0].Source = line(70, "track")
	for name, wrong := range map[string]bool{"moves": true, "still": false} {
		spec := traits(map[string]eligen.AdapterTraits{name: {Fixed: "it is a DoRA"}})
		_, ds := planner.Build(t.Context(), scene, "test", spec, planner.Options{})
		err := ds.Err()
		if (err != nil) != wrong {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if wrong && (!strings.Contains(err.Error(), `The scale of adapter "moves" can't move: it is a DoRA.`) || ds[0].Source.Line != 70) {
			t.Errorf("got %v", err)
		}
	}
}

// The factors of a LoRA whose scale moves are counted beside the weights; one that lies in them takes nothing.
func TestFactorsTakeMemory(t *testing.T) {
	scene := moving(eligen.Target{Block: "adapter.lora.moves", Attribute: "scale"}, 0, 1)
	planned := func(of map[string]eligen.AdapterTraits) eligen.PlannedRender {
		t.Helper()
		plan, ds := planner.Build(t.Context(), scene, "test", traits(of), planner.Options{})
		if err := ds.Err(); err != nil {
			t.Fatal(err)
		}
		return plan.Renders[0]
	}
	plain := planned(nil)
	with := planned(map[string]eligen.AdapterTraits{
		"moves": {Text: true, Beside: 5 << 20, BesideText: 3 << 20}, "still": {Beside: 1 << 20, BesideText: 1 << 20}})
	if more, text := with.Transformer-plain.Transformer, with.Text-plain.Text; more != 5<<20 || text != 3<<20 || with.Memory <= plain.Memory {
		t.Errorf("factors take %d and %d bytes, want %d and %d; in all %d, %d without", more, text, 5<<20, 3<<20, with.Memory, plain.Memory)
	}
}
