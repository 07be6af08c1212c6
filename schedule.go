package eligen

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Schedules are the names that [Sigmas] takes.
//
//   - "eligen" is DiffSynth-Studio's FLUX preset, EliGen's own: both ends of the
//     range are kept, so the last step goes from σ 0.0089 to 0; a constant shift of
//     3, at every size.
//   - "flux-dev" is Black Forest Labs' for FLUX.1-dev: a shift that grows with the
//     number of image tokens.
//   - "flux-schnell" is theirs for FLUX.1-schnell: no shift.
//   - "diffusers" is FlowMatchEulerDiscreteScheduler's as FluxPipeline calls it for
//     FLUX.1-dev. Its numbers are flux-dev's but for the last bits.
//   - "qwen" is Qwen-Image's: a shift that grows with the number of image tokens, stretched so that
//     the last step goes from σ 0.02 to 0. DiffSynth-Studio and diffusers have the same numbers.
//   - "qwen-lightning" is that of Qwen-Image-Lightning's LoRAs of 4 and 8 steps: a constant shift of
//     3, and no stretch.
var Schedules = []string{"eligen", "flux-dev", "flux-schnell", "diffusers", "qwen", "qwen-lightning"}

// DefaultShift is the time shift of schedule "eligen" where none is given.
const DefaultShift = 3.0

// MaxSteps is the largest number of steps that a schedule has.
const MaxSteps = 1000

// sigmaMin is the reference's: 0.003/1.002.
const sigmaMin = 0.003 / 1.002

// Sigmas returns a schedule: noise levels from the first step's to 0, one more than there
// are steps. The timestep that a model is given is 1000·σ.
//
// shift may be set for schedules "eligen", where nil is [DefaultShift], and "qwen", where it is
// e^µ and nil is what imageTokens give. imageTokens (a sixteenth of width times a sixteenth of
// height) matters to "flux-dev", "diffusers" and "qwen".
//
// strength, in (0, 1], is image to image's: 1 starts from noise alone. Schedules
// "eligen" and "qwen" spread all their steps over the smaller range, as DiffSynth-Studio
// does. The others leave out the first ⌊steps·(1−strength)⌋ steps, as diffusers'
// FluxImg2ImgPipeline does, so that fewer are returned than asked for, and always
// one at least.
//
// Arithmetic is float32, in the order in which PyTorch and NumPy do it.
func Sigmas(schedule string, steps int, shift *float64, strength float64, imageTokens int) ([]float32, error) {
	switch {
	case !slices.Contains(Schedules, schedule):
		return nil, fmt.Errorf("there is no schedule %q; choose one of: %s", schedule, strings.Join(Schedules, ", "))
	case steps < 1 || steps > MaxSteps:
		return nil, fmt.Errorf("%d steps: choose a number from 1 to %d", steps, MaxSteps)
	case !(strength > 0 && strength <= 1):
		return nil, fmt.Errorf("strength %g: choose a number above 0, up to 1", strength)
	case shift != nil && !TakesShift(schedule):
		return nil, fmt.Errorf("schedule %q takes no shift; schedules \"eligen\" and \"qwen\" do", schedule)
	case shift != nil && !(*shift > 0 && *shift <= math.MaxFloat32):
		return nil, fmt.Errorf("shift %g: choose a number above 0", *shift)
	case steps < LeastSteps(schedule):
		return nil, fmt.Errorf("%d steps: schedule %q takes 2 or more, since its last begins at σ 0.02", steps, schedule)
	case imageTokens < 1 && (schedule == "flux-dev" || schedule == "diffusers" || schedule == "qwen" && shift == nil):
		return nil, fmt.Errorf("schedule %q needs to know the number of image tokens, and was given %d", schedule, imageTokens)
	}

	if schedule == "eligen" {
		s := DefaultShift
		if shift != nil {
			s = *shift
		}
		return append(shifted(linspace(sigmaMin+(1-sigmaMin)*strength, sigmaMin, steps), s), 0), nil
	}

	var sigmas []float32
	switch schedule {
	case "qwen":
		mu := qwenMu(imageTokens)
		if shift != nil {
			mu = math.Log(*shift)
		}
		return append(stretched(exponential(linspace(strength, 0, steps+1)[:steps], mu)), 0), nil
	case "qwen-lightning":
		sigmas = shifted(linspace(1, 0, steps+1), 3)
	case "flux-dev":
		sigmas = exponential(linspace(1, 0, steps+1), dynamicMu(imageTokens))
	case "flux-schnell":
		sigmas = linspace(1, 0, steps+1)
	case "diffusers":
		u := make([]float32, steps)
		for i := range u { // numpy.linspace, in float64
			u[i] = 1
			if i > 0 {
				u[i] = float32(1 + float64(i)*((1/float64(steps)-1)/float64(steps-1)))
			}
		}
		sigmas = append(exponential(u, dynamicMu(imageTokens)), 0)
	}
	cut := int(float64(steps) - min(float64(steps)*strength, float64(steps)))
	return sigmas[cut:], nil
}

// linspace computes torch.linspace in float32: counted from both ends, each value by a
// fused multiply-add. (Its bits are those of PyTorch 2.15 on x86-64.)
func linspace(start, end float64, n int) []float32 {
	out := make([]float32, n)
	a, b := float32(start), float32(end)
	if n == 1 {
		out[0] = a
		return out
	}
	step := (b - a) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = float32(math.FMA(float64(step), float64(i), float64(a)))
		} else {
			out[i] = float32(math.FMA(-float64(step), float64(n-1-i), float64(b)))
		}
	}
	return out
}

// shifted computes s·u / (1 + (s−1)·u), in place. The conversions keep compilers from
// fusing a product with a sum, which changes the last bit.
func shifted(u []float32, shift float64) []float32 {
	s, less := float32(shift), float32(shift-1)
	for i, x := range u {
		u[i] = float32(s*x) / (1 + float32(less*x))
	}
	return u
}

// exponential computes e^µ / (e^µ + (1/u − 1)), in place: [shifted] with s = e^µ, rounded
// as Black Forest Labs and diffusers round it. u = 0 gives 0.
func exponential(u []float32, mu float64) []float32 {
	e := float32(math.Exp(mu))
	for i, x := range u {
		u[i] = e / (e + (1/x - 1))
	}
	return u
}

// dynamicMu returns the point at imageTokens of the line through (256, 0.5) and (4096,
// 1.15).
func dynamicMu(imageTokens int) float64 {
	m := (1.15 - 0.5) / (4096 - 256)
	return m*float64(imageTokens) + (0.5 - m*256)
}

// TakesShift reports whether a schedule's shift can be chosen.
func TakesShift(schedule string) bool { return schedule == "eligen" || schedule == "qwen" }

// LeastSteps returns the fewest steps that a schedule can have.
func LeastSteps(schedule string) int {
	if schedule == "qwen" {
		return 2 // the last begins at σ 0.02: alone, it would take next to no noise away
	}
	return 1
}

// qwenMu returns the point at imageTokens of the line through (256, 0.5) and (8192, 0.9).
func qwenMu(imageTokens int) float64 { return 0.5 + float64(imageTokens-256)*((0.9-0.5)/(8192-256)) }

// stretched moves noise levels away from 1 in proportion, in place, so that the last becomes 0.02.
func stretched(sigmas []float32) []float32 {
	scale := (1 - sigmas[len(sigmas)-1]) / (1 - 0.02)
	for i, s := range sigmas {
		sigmas[i] = 1 - (1-s)/scale
	}
	return sigmas
}
