package planner_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen/stage/denoise"
)

// An entity's negative prompt acts on its tokens, and its own prompt outside of them where it is nowhere else; others
// have the render's, if they are on the negative side. Layers are none of it.
func TestAgainst(t *testing.T) {
	left, upper := []int32{0, 1, 4, 5, 8, 9, 12, 13}, []int32{0, 1, 2, 3, 4, 5, 6, 7}
	right := []int32{2, 3, 6, 7, 10, 11, 14, 15}
	scene := layers("layered")
	r, half, three, both := &scene.Renders[0], 0.5, 3.0, true
	r.Sampler.CFG = &three
	plain := denoised(t, scene)
	r.Entities[0].Negative, r.Entities[0].AutoNegative = "b", true
	r.Entities[2].Opacity = &half
	r.Entities[1].Opacity = &half
	op := denoised(t, scene)
	want := []denoise.Entity{{Tokens: left, Bucket: 16, Strength: 1}, {Tokens: right, Bucket: 16, Strength: 1}}
	if diff := cmp.Diff(want, op.Against); diff != "" || op.NegativeEntities || !op.Layered {
		t.Errorf("%+v: %s", op, diff)
	}
	if plain.Against != nil {
		t.Errorf("nothing is said of the negative side, and it has %v", plain.Against)
	}

	r.Sampler.NegativeEntities = &both
	op = denoised(t, scene)
	want = append(want, denoise.Entity{Tokens: upper, Bucket: 16, Strength: 1}, denoise.Entity{Tokens: []int32{0}, Bucket: 16, Strength: 1})
	if diff := cmp.Diff(want, op.Against); diff != "" || op.NegativeEntities {
		t.Error(diff)
	}
}
