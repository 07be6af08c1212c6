package eligen_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

func ptr[T any](v T) *T { return &v }

// TestSigmas holds each schedule to the bit to what the program named computes
// (DiffSynth-Studio 2.1.12 on torch 2.15, diffusers 0.42.1).
func TestSigmas(t *testing.T) {
	for _, c := range []struct {
		name     string
		schedule string
		steps    int
		shift    *float64
		strength float64
		tokens   int
		want     []float64 // where it is shorter than the schedule: the first ones, a gap (-1), the last ones
	}{
		{"DiffSynth-Studio, EliGen's 50 steps", "eligen", 50, nil, 1, 4096,
			[]float64{1, 0.9931244254112244, 0.9860570430755615, -1, 0.06690017133951187, 0.008928571827709675, 0}},
		{"six steps", "eligen", 6, nil, 1, 256, []float64{1, 0.9233424663543701, 0.8189233541488647, 0.668326735496521, 0.4322250783443451,
			0.008928571827709675, 0}},
		{"one step starts from pure noise", "eligen", 1, nil, 1, 256, []float64{1, 0}},
		{"image to image spreads its steps over the smaller range", "eligen", 20, nil, 0.6, 256,
			[]float64{0.8189233541488647, 0.7988775372505188, -1, 0.0967627763748169, 0.008928571827709675, 0}},
		{"shift 1 is a straight line", "eligen", 10, ptr(1.0), 1, 256,
			[]float64{1, 0.8892215490341187, -1, 0.113772451877594, 0.002994012087583542, 0}},
		{"shift and strength", "eligen", 12, ptr(5.5), 0.8, 256, []float64{0.9566773772239685, 0.9364160299301147, -1, 0.30995675921440125,
			0.016248155385255814, 0}},

		{"diffusers, 1024×1024: µ = 1.15", "diffusers", 28, nil, 1, 4096,
			[]float64{1, 0.988408625125885, 0.9762224555015564, -1, 0.19545459747314453, 0.10472089797258377, 0}},
		{"diffusers, 512×512: µ = 0.63", "diffusers", 4, nil, 1, 1024,
			[]float64{1, 0.8492348194122314, 0.652489423751831, 0.38494473695755005, 0}},
		{"diffusers, 2048×1024: µ is extrapolated", "diffusers", 10, nil, 1, 8192,
			[]float64{1, 0.9827163219451904, 0.9619341492652893, -1, 0.6123114824295044, 0.41243910789489746, 0}},
		{"Black Forest Labs' formula is the same", "flux-dev", 4, nil, 1, 1024,
			[]float64{1, 0.8492348194122314, 0.652489423751831, 0.38494473695755005, 0}},
		{"schnell is a straight line to 0", "flux-schnell", 4, nil, 1, 1024, []float64{1, 0.75, 0.5, 0.25, 0}},

		{"image to image leaves out the first steps", "flux-schnell", 4, nil, 0.5, 1024, []float64{0.5, 0.25, 0}},
		{"a part of a step is kept whole", "flux-schnell", 4, nil, 0.6, 1024, []float64{0.75, 0.5, 0.25, 0}},
		{"one step at least", "flux-schnell", 4, nil, 0.01, 1024, []float64{0.25, 0}},
	} {
		got, err := eligen.Sigmas(c.schedule, c.steps, c.shift, c.strength, c.tokens)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		head, tail := c.want, c.want[:0]
		if gap := slices.Index(c.want, -1); gap >= 0 {
			head, tail = c.want[:gap], c.want[gap+1:]
		} else if len(got) != len(c.want) {
			t.Errorf("%s: %d noise levels, want %d", c.name, len(got), len(c.want))
		}
		for i, want := range head {
			if float64(got[i]) != want {
				t.Errorf("%s: σ %d is %v, want %v", c.name, i, float64(got[i]), want)
			}
		}
		for i, want := range tail {
			if at := len(got) - len(tail) + i; float64(got[at]) != want {
				t.Errorf("%s: σ %d is %v, want %v", c.name, at, float64(got[at]), want)
			}
		}
	}
}

func TestSigmasRefuse(t *testing.T) {
	for _, c := range []struct {
		schedule string
		steps    int
		shift    *float64
		strength float64
		tokens   int
		want     string
	}{
		{"euler", 20, nil, 1, 256, "choose one of: eligen, flux-dev"},
		{"eligen", 0, nil, 1, 256, "from 1 to 1000"},
		{"eligen", 1001, nil, 1, 256, "from 1 to 1000"},
		{"eligen", 20, nil, 0, 256, "strength 0"},
		{"eligen", 20, nil, math.NaN(), 256, "strength NaN"},
		{"eligen", 20, ptr(0.0), 1, 256, "shift 0"},
		{"eligen", 20, ptr(math.Inf(1)), 1, 256, "shift +Inf"},
		{"flux-dev", 20, ptr(3.0), 1, 256, "takes no shift"},
		{"diffusers", 20, nil, 1, 0, "image tokens"},
	} {
		if got, err := eligen.Sigmas(c.schedule, c.steps, c.shift, c.strength, c.tokens); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Sigmas(%q, %d, …) = %v, %v; want an error with %q", c.schedule, c.steps, got, err, c.want)
		}
	}
}
