package train

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Initial draws the numbers that a weight starts from, by its name and shape:
// norms at one, biases at zero, modulations and last layers of residual
// branches at zero (Peebles and Xie's adaLN-Zero), the rest by fan-in.
func Initial(rng *rand.Rand, name string, shape []int) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := make([]float32, n)
	normal := func(std float64) []float32 {
		for i := range out {
			out[i] = float32(rng.NormFloat64() * std)
		}
		return out
	}
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(name, p) })
	}
	switch {
	case strings.HasSuffix(name, ".bias") && has("conv"):
		// Not zero: a group norm forgets how large a flat colour is, unless
		// biases give it something to be large against.
		for i := range out {
			out[i] = float32(rng.Float64() - 0.5)
		}
		return out
	case strings.HasSuffix(name, ".bias"):
		return out
	case len(shape) == 1: // norms: ".weight" or ".scale"
		for i := range out {
			out[i] = 1
		}
		return out
	case has("img_mod.lin", "txt_mod.lin", "modulation.lin", "adaLN_modulation", "final_layer.linear", "to_v_ip"):
		return out
	case len(shape) == 4 && (has(".conv2.", ".proj_out.")):
		return out
	case has("relative_attention_bias"):
		return out
	case has("shared.weight", "embed_tokens"):
		return normal(1)
	case has("token_embedding", "position_embedding"):
		return normal(0.02)
	case has("SelfAttention.q.weight"):
		// T5 does not scale its scores: the query's weights do.
		return normal(1 / math.Sqrt(float64(shape[1])*64))
	}
	fanIn := n / shape[0]
	if len(shape) == 4 {
		return normal(math.Sqrt(1 / float64(fanIn)))
	}
	return normal(math.Sqrt(1 / float64(fanIn)))
}
