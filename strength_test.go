package eligen

import (
	"slices"
	"testing"
)

func TestStrengthSchedule(t *testing.T) {
	for _, c := range []struct {
		of    [][2]float64
		steps int
		want  []float32
	}{
		{nil, 3, nil},
		{[][2]float64{{0, 1}, {1, 1}}, 4, nil},
		{[][2]float64{{0, 1}, {0.5, 1}, {1, 0}}, 5, []float32{1, 1, 1, 0.5, 0}},
		{[][2]float64{{0.5, 0}}, 2, []float32{0, 0}},
		{[][2]float64{{0.25, 0}, {0.75, 2}}, 5, []float32{0, 0, 1, 2, 2}},
		{[][2]float64{{0.5, 1}, {0.5, 0}}, 5, []float32{1, 1, 0, 0, 0}}, // a point behind the other is what counts from there on
		{[][2]float64{{0, 0.5}, {1, 1}}, 1, []float32{0.5}},
	} {
		s := &StrengthSchedule{Strength: c.of}
		if got := s.Factors(c.steps); !slices.Equal(got, c.want) {
			t.Errorf("%v in %d steps: %v, not %v", c.of, c.steps, got, c.want)
		}
	}
	if got := (*StrengthSchedule)(nil).Factors(3); got != nil {
		t.Errorf("none: %v", got)
	}
	s := &StrengthSchedule{Strength: [][2]float64{{0, 1}, {1, 0}}, Blocks: &[2]int{0, 18}}
	if got := s.String(); got != "strength 1 at 0, 0 at 1; blocks 0-18" {
		t.Error(got)
	}
}
