package fluxmodel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/weights"
)

// Each branch has a cache of its own, and entities go on acting.
func TestTeaCacheOfTwoBranches(t *testing.T) {
	r := modeltest.GoRunner(t)
	transformer := &Transformer{Config: modeltest.SmallFlux, Store: exec.NewStore(r.Backend,
		modeltest.RandomCheckpoint(t, weights.List(modeltest.SmallFlux.Weights())), dtypes.Float32), Runner: r}
	prompt := eligen.Conditioning{eligen.Txt: tensor.New(2, 6), eligen.Vec: tensor.New(4)}
	negative := eligen.Conditioning{eligen.Txt: tensor.New(2, 6), eligen.Vec: tensor.New(4)}
	negative[eligen.Vec].Data[1] = 2
	entity := eligen.EntityConditioning{Prompt: eligen.Conditioning{eligen.Txt: tensor.New(3, 6)}, Tokens: []int32{1, 4}, Strength: 1}
	entity.Prompt[eligen.Txt].Data[5] = 3
	work := eligen.Denoise{
		Latents: tensor.New(4, 4, 6), Sigmas: []float32{1, 0.9, 0.7, 0.4, 0}, CFG: 2,
		Prompt: prompt, Negative: negative, Entities: []eligen.EntityConditioning{entity},
	}
	work.Latents.Data[7] = 1
	var seen []string
	sums := map[float64]bool{}
	transformer.Tea = func(step int, negative bool, s TeaStep) {
		seen = append(seen, fmt.Sprintf("%d %t %t", step, negative, s.Reused))
		if step == 1 {
			sums[s.Sum] = true
		}
	}
	denoise := func(threshold float64) []float32 {
		seen = nil
		work.TeaCache = threshold
		x, err := transformer.Denoise(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		return x.Data
	}
	whole := denoise(0)
	if len(seen) > 0 {
		t.Errorf("without a cache it decides %v", seen)
	}
	if !slices.Equal(denoise(1e-9), whole) {
		t.Error("a cache that reuses nothing changes the picture")
	}
	entities := denoise(1e9)
	want := []string{"0 false false", "0 true false", "1 false true", "1 true true", "2 false true", "2 true true", "3 false false",
		"3 true false"}
	if !slices.Equal(seen, want) || len(sums) != 2 {
		t.Errorf("decisions %q, sums of step 1 %v; want %q, and two sums", seen, sums, want)
	}
	if slices.Equal(entities, whole) {
		t.Error("steps without blocks change nothing")
	}
	work.Entities = nil
	if slices.Equal(denoise(1e9), entities) {
		t.Error("entities have no effect")
	}
	for r := 0.0; r < 2; r += 1e-4 {
		if x := teaChange(r); !(x > LeastTeaCache) {
			t.Fatalf("a change of %g is estimated at %g", r, x)
		}
	}
	work.TeaCache = math.NaN()
	if _, err := transformer.Denoise(t.Context(), work); err == nil {
		t.Error("a threshold that is no number passes")
	}
}
