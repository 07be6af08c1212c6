package engine

import (
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/internal/modeltest"
)

// Entities of the negative side that say what the render's negative prompt says are the reference's; by
// prompts of their own, they are what the definition makes of them, by the dense mask.
func testAgainst(t *testing.T, e *Engine, dense bool) {
	spec, d := job(t, e)
	encode := func(prompt string) eligen.Conditioning {
		c, err := e.EncodePrompt(t.Context(), spec.Text, prompt, spec.EntityPrompt)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	reference := d
	reference.NegativeEntities = true
	same := d
	for _, x := range d.Entities {
		x.Prompt = d.Negative
		same.Against = append(same.Against, x)
	}
	want := denoise(t, e, reference)
	if diff := modeltest.Differ(denoise(t, e, same).Data, want.Data); diff != 0 {
		t.Errorf("the reference's rule said otherwise is %g from it", diff)
	}
	same.NegativeEntities = true
	if _, err := e.Denoise(t.Context(), same); err == nil {
		t.Error("both ways at once were taken")
	}
	if !dense {
		return
	}
	var every []int32
	for i := range int32(12) {
		every = append(every, i)
	}
	// Overlapping, nested, of one token, everything, and what another leaves.
	all := []eligen.EntityConditioning{
		{Prompt: encode("cat"), Tokens: []int32{0, 1, 4, 5}, Bucket: 8, Strength: 1},
		{Prompt: encode("dog"), Tokens: []int32{2, 3, 6, 7, 8, 9, 10, 11}, Bucket: 8, Strength: 1},
		{Prompt: encode("sky and cat"), Tokens: []int32{5}, Bucket: 4, Strength: 2},
		{Prompt: encode("sky"), Tokens: every, Bucket: 12, Strength: 1},
		{Prompt: encode("dull"), Tokens: []int32{1, 5}, Bucket: 4, Strength: 0.5},
		{Prompt: encode("dog"), Tokens: []int32{0, 1, 2, 3}, Bucket: 4, Strength: 1},
		{Prompt: encode("cat"), Tokens: []int32{4, 5, 6, 7, 8, 9, 10, 11}, Bucket: 8, Strength: 1},
		{Prompt: encode("cat"), Tokens: []int32{11}, Bucket: 4, Strength: 1},
	}
	d.Sigmas = []float32{1, 0.6, 0}
	worst := 0.0
	for n := range len(all) + 1 {
		d.Against = all[:n]
		diff := modeltest.Differ(denoise(t, e, d).Data, defined(t, e, d, false).Data)
		if worst = max(worst, diff); !(diff <= 1e-5) {
			t.Errorf("%d entities against: latents differ from the definition's by %g", n, diff)
		}
	}
	t.Logf("the largest difference from the definition is %.2g", worst)
}
