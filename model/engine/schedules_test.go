package engine

import (
	"slices"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/internal/modeltest"
)

// inStep returns entities as a step has them: at the strength that it gives them, without those that it leaves out.
func inStep(entities []eligen.EntityConditioning, step int) (out []eligen.EntityConditioning) {
	for _, e := range entities {
		if e.Factors != nil {
			if e.Factors[step] == 0 {
				continue
			}
			e.Strength *= float64(e.Factors[step])
			e.Factors = nil
		}
		out = append(out, e)
	}
	return out
}

// Entities whose strength goes along the steps, that act in some blocks only, and that cover tokens in part, are what the
// definition makes of them, by a dense mask for each block.
func testSchedules(t *testing.T, e *Engine, dense bool) {
	spec, d := job(t, e)
	encode := func(prompt string) eligen.Conditioning {
		c, err := e.EncodePrompt(t.Context(), spec.Text, prompt, spec.EntityPrompt)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	d.Sigmas = []float32{1, 0.7, 0.4, 0}

	// One that no step has is no entity, to the bit; one that is everywhere is the same as ever.
	plain := d
	never := plain
	never.Entities = append(slices.Clone(plain.Entities),
		eligen.EntityConditioning{Prompt: encode("dog"), Tokens: []int32{0, 1}, Bucket: 4, Strength: 1, Factors: []float32{0, 0, 0}})
	want := denoise(t, e, plain)
	if diff := modeltest.Differ(denoise(t, e, never).Data, want.Data); diff != 0 {
		t.Errorf("an entity that is in no step changes latents by %g", diff)
	}
	ever := plain
	ever.Entities = slices.Clone(plain.Entities)
	for i := range ever.Entities {
		ever.Entities[i].Factors, ever.Entities[i].Blocks = []float32{1, 1, 1}, &[2]int{0, spec.Blocks - 1}
	}
	if diff := modeltest.Differ(denoise(t, e, ever).Data, want.Data); !(diff <= 1e-6) {
		t.Errorf("a schedule that says nothing changes latents by %g", diff)
	}
	short := d
	short.Entities = []eligen.EntityConditioning{{Prompt: encode("dog"), Tokens: []int32{0}, Bucket: 4, Strength: 1, Factors: []float32{1}}}
	if _, err := e.Denoise(t.Context(), short); err == nil {
		t.Error("strengths for other steps were taken")
	}
	if !dense {
		return
	}
	var every []int32
	for i := range int32(12) {
		every = append(every, i)
	}
	first, last := &[2]int{0, 0}, &[2]int{1, spec.Blocks - 1}
	all := []eligen.EntityConditioning{
		{Prompt: encode("cat"), Tokens: []int32{0, 1, 4, 5}, Bucket: 8, Strength: 1, Factors: []float32{1, 0.5, 0}},
		{Prompt: encode("dog"), Tokens: []int32{2, 3, 6, 7, 8, 9, 10, 11}, Bucket: 8, Strength: 1, Blocks: first},
		{Prompt: encode("sky and cat"), Tokens: []int32{5}, Bucket: 4, Strength: 2, Factors: []float32{0, 1, 1}, Blocks: last},
		{Prompt: encode("sky"), Tokens: every, Bucket: 12, Strength: 1, Cover: []float32{1, 0.5, 0.25, 1, 1, 0.01, 1, 1, 0.75, 1, 0.1, 1}},
		{Prompt: encode("dull"), Tokens: []int32{1, 5}, Bucket: 4, Strength: 0.5, Factors: []float32{2, 0, 2}},
		{Prompt: encode("dog"), Tokens: nil, Bucket: 4, Strength: 1, Factors: []float32{1, 1, 0}},
		{Prompt: encode("cat"), Tokens: []int32{4, 5, 6, 7, 8, 9, 10, 11}, Bucket: 8, Strength: 1, Blocks: last,
			Cover: []float32{0.5, 1, 1, 0.5, 0.5, 1, 1, 0.5}},
		{Prompt: encode("cat"), Tokens: []int32{11}, Bucket: 4, Strength: 1, Factors: []float32{0, 0, 1}},
	}
	worst := 0.0
	for _, n := range []int{1, 2, 4, len(all)} {
		x := d
		x.Entities = all[:n]
		of := x
		of.Entities = slices.DeleteFunc(slices.Clone(x.Entities), func(e eligen.EntityConditioning) bool { return len(e.Tokens) == 0 })
		diff := modeltest.Differ(denoise(t, e, x).Data, defined(t, e, of, x.NegativeEntities).Data)
		if worst = max(worst, diff); !(diff <= 1e-5) {
			t.Errorf("%d entities with schedules: latents differ from the definition's by %g", n, diff)
		}
	}
	t.Logf("the largest difference from the definition is %.2g", worst)
}
