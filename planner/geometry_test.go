package planner_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/noise"
	"github.com/eligen/eligen/stage/still"
)

// other answers like an engine with a model that is in nothing as FLUX.1: tokens of 12×12
// pixels, one encoder, text of its own length, no vector, no LoRA, no step cache.
func other(m eligen.Model, _ []eligen.Adapter) (eligen.Spec, error) {
	return eligen.Spec{
		Family: m.Family, Geometry: eligen.Geometry{Channels: 6, Factor: 4, Patch: 3}, Native: eligen.Size{W: 60, H: 36},
		Text: "text", Transformer: "dit", Autoencoder: "ae", DType: "float32",
		Encoders: []eligen.Encoder{{Name: "the encoder", Role: "which reads words", Count: func(p string) int {
			return len(strings.Fields(p))
		}}},
		Prompt: eligen.Reading{Length: 8, Unpadded: true}, EntityPrompt: eligen.Reading{Length: 3, Unpadded: true},
		Steps: 2, StepsWithEntities: 2, CFG: 1, CFGWithNegative: 2, CFGWithEntities: 1, Schedule: "eligen",
		Sizes: eligen.Sizes{Dim: 2, MLP: 4, Single: 1, TokenDim: 54, Transformer: 1, Text: 1},
	}, nil
}

// TestGeometry: whatever a plan cuts a picture into, it cuts by its model's numbers.
func TestGeometry(t *testing.T) {
	scene := picnic() // nine words, two entities of two
	scene.Renders[0].Negative = "blurry and dull"
	plan, diags := planner.Build(t.Context(), scene, "engine-1", other, planner.Options{})
	const cut = `the encoder, which reads words, reads 8 tokens of this prompt and would need 9. It is cut after "… apple on a green".`
	if len(diags) != 1 || diags[0].Detail != cut {
		t.Errorf("%v\nwant %s", diags, cut)
	}
	if r := plan.Renders[0]; r.Image != 15 || r.Prompt != 8 || r.Entities != 4 || r.Sequence() != 27 {
		t.Errorf("%d image tokens, %d of the prompt, %d of entities; want 15 (5×3), 8 and 2 × 2", r.Image, r.Prompt, r.Entities)
	}
	read := map[string]eligen.Reading{}
	for _, s := range plan.Stages {
		switch op := s.Op.(type) {
		case encode.Op:
			read[op.Prompt] = eligen.Reading{Length: op.Length, Unpadded: op.Unpadded, Pooled: op.Pooled}
		case noise.Op:
			if diff := cmp.Diff([]int{6, 9, 15}, op.Shape); diff != "" {
				t.Error(diff)
			}
		case denoise.Op:
			want := scene.Renders[0].Entities[0].Region.Tokens(eligen.Size{W: 60, H: 36}, eligen.Geometry{Channels: 6, Factor: 4, Patch: 3})
			if diff := cmp.Diff(want, op.Entities[0].Tokens); diff != "" || op.Patch != 3 || len(op.Adapters) > 0 {
				t.Errorf("tokens of %d×%d latents, %d LoRAs, %s", op.Patch, op.Patch, len(op.Adapters), diff)
			}
		case still.Op:
			if diff := cmp.Diff(eligen.Geometry{Channels: 6, Factor: 4, Patch: 3}, op.Resolved.Cut()); diff != "" {
				t.Error(diff)
			}
		}
	}
	whole, one := eligen.Reading{Length: 8, Unpadded: true}, eligen.Reading{Length: 3, Unpadded: true}
	if diff := cmp.Diff(map[string]eligen.Reading{"a dog and an apple on a green background": whole, "blurry and dull": whole, "a dog": one,
		"an apple": one}, read); diff != "" {
		t.Error(diff)
	}
}

// TestGeometryRefuses: what this model's numbers don't allow is said with its numbers.
func TestGeometryRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*eligen.Render)
		want   string
	}{
		"a size of another model": {func(r *eligen.Render) { r.Size = eligen.Size{W: 64, H: 36} },
			"must be a multiple of 12 pixels for this model; the nearest to 64 are 60 and 72."},
		"no token": {func(r *eligen.Render) { r.Entities[0].Region = eligen.Box(0, 0, 0.001, 0.001) },
			"none of the 15 image tokens (12×12 pixels each) of a 60×36 picture"},
		"fewer tokens of prompts that are not padded": {func(r *eligen.Render) { r.TextTokens = 4 }, "read prompts at their own length"},
		"a schedule": {func(r *eligen.Render) {
			r.Schedule = &eligen.StrengthSchedule{Strength: [][2]float64{{0, 1}, {1, 0}}}
		}, "have entities act in all steps"},
		"soft edges":   {func(r *eligen.Render) { r.Entities[0].Feather = 8 }, "hard edges only"},
		"a step cache": {func(r *eligen.Render) { r.Sampler.TeaCache = ptr(0.2) }, "have no step cache"},
		"one tile": {func(r *eligen.Render) { r.VAE = &eligen.VAE{Tiled: true, Tile: 16} },
			"One tile of 16 latents, 64 pixels, covers all of the 60×36 pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			scene := picnic()
			scene.Renders[0].Prompt = "a park"
			c.change(&scene.Renders[0])
			_, diags := planner.Build(t.Context(), scene, "engine-1", other, planner.Options{})
			if !strings.Contains(diags.Error(), c.want) {
				t.Errorf("%v\nwant %s", diags, c.want)
			}
		})
	}
}
