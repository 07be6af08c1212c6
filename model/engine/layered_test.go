package engine

import (
	"testing"

	"github.com/eligen/eligen/model/internal/modeltest"
)

// Opaque layers are regions of which the lower has lost what the upper hides, and the way there is continuous.
func testLayered(t *testing.T, e *Engine) {
	_, d := job(t, e) // from the back: dog 0 1 4 5, cat 5 6 7, sky 1 2 3
	hidden := d
	hidden.Entities = append(hidden.Entities[:0:0], d.Entities...)
	hidden.Entities[0].Tokens = []int32{0, 4}
	layers := func(opacity float32) (out []float32) {
		l := hidden
		l.Entities = append(l.Entities[:0:0], hidden.Entities...)
		if opacity < 1 { // the cat and the sky let the dog through
			l.Entities[0].Tokens = []int32{0, 1, 4, 5}
			l.Entities[0].Share, l.Entities[0].Seen = []float32{1, 1 - opacity, 1, 1 - opacity}, []float32{1, 1 - opacity, 1, 1 - opacity}
		} else {
			l.Entities[0].Share, l.Entities[0].Seen = []float32{1, 1}, []float32{1, 1}
		}
		for i := 1; i < 3; i++ {
			l.Entities[i].Share, l.Entities[i].Seen = []float32{opacity, opacity, opacity}, []float32{1, 1, 1}
		}
		return denoise(t, e, l).Data
	}
	want := denoise(t, e, hidden).Data
	if diff := modeltest.Differ(layers(1), want); !(diff <= 2e-5) {
		t.Errorf("opaque layers are %g from hidden regions", diff)
	}
	if diff := modeltest.Differ(layers(0.9999), want); !(diff <= 5e-3) {
		t.Errorf("layers of an opacity of 0.9999 are %g from opaque ones", diff)
	}
	if diff := modeltest.Differ(layers(0.5), want); diff < 1e-3 {
		t.Errorf("layers of an opacity of 0.5 are %g from opaque ones", diff)
	}
	lone := d
	lone.Entities = append(lone.Entities[:0:0], d.Entities...)
	lone.Entities[0].Share, lone.Entities[0].Seen = []float32{1}, []float32{1}
	if _, err := e.Denoise(t.Context(), lone); err == nil {
		t.Error("one share for four tokens was taken")
	}
}
