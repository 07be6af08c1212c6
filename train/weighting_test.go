package train

import (
	"math"
	"testing"
)

// TestReferenceWeight holds the weights of noise levels to the reference's table of 1000.
func TestReferenceWeight(t *testing.T) {
	for timestep, want := range map[float64]float64{
		1000: 0, 999.6671142578125: 0.0018415472004562616, 750.7477416992188: 1.2554763555526733, 8.928571701049805: 0.049386896193027496,
	} {
		if got := referenceWeight(timestep); math.Abs(got-want) > 1e-4 {
			t.Errorf("timestep %v weighs %v, want %v", timestep, got, want)
		}
	}
}
