package text

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sizes"
)

// CLIPConfig is the size of a CLIP text encoder (Radford et al. 2021).
type CLIPConfig struct {
	Dim       int
	FF        int
	Heads     int
	Layers    int
	Vocab     int
	Positions int // longest token sequence, begin and end included
}

// CLIPViTL14 is FLUX.1's text_encoder: the text half of OpenAI's CLIP ViT-L/14.
var CLIPViTL14 = CLIPConfig{Dim: 768, FF: 3072, Heads: 12, Layers: 12, Vocab: 49408, Positions: 77}

// CLIPNano returns the size of the embedded model's encoder, for a vocabulary of its own.
func CLIPNano(vocab int) CLIPConfig {
	return CLIPConfig{Dim: 128, FF: 512, Heads: 2, Layers: 2, Vocab: vocab, Positions: 32}
}

const (
	clipTokens    = "text_model.embeddings.token_embedding.weight"
	clipPositions = "text_model.embeddings.position_embedding.weight"
)

// Weights lists every tensor that [CLIP] asks for, under its Hugging Face name.
func (c CLIPConfig) Weights() []Weight {
	out := []Weight{{clipTokens, []int{c.Vocab, c.Dim}}, {clipPositions, []int{c.Positions, c.Dim}}}
	add := func(name string, shape ...int) {
		out = append(out, Weight{name + ".weight", shape}, Weight{name + ".bias", shape[:1]})
	}
	for i := range c.Layers {
		b := fmt.Sprintf("text_model.encoder.layers.%d.", i)
		add(b+"layer_norm1", c.Dim)
		for _, p := range []string{"q", "k", "v", "out"} {
			add(b+"self_attn."+p+"_proj", c.Dim, c.Dim)
		}
		add(b+"layer_norm2", c.Dim)
		add(b+"mlp.fc1", c.FF, c.Dim)
		add(b+"mlp.fc2", c.Dim, c.FF)
	}
	add("text_model.final_layer_norm", c.Dim)
	return out
}

// Validate refuses sizes that no CLIP text encoder can have.
func (c CLIPConfig) Validate() error {
	err := sizes.Check(sizes.Size{Name: "Dim", N: c.Dim, Max: sizes.MaxWidth}, sizes.Size{Name: "FF", N: c.FF, Max: sizes.MaxHidden},
		sizes.Size{Name: "Heads", N: c.Heads, Max: sizes.MaxHeads}, sizes.Size{Name: "Layers", N: c.Layers, Max: sizes.MaxLayers},
		sizes.Size{Name: "Vocab", N: c.Vocab, Max: sizes.MaxVocab}, sizes.Size{Name: "Positions", N: c.Positions, Max: sizes.MaxTokens})
	if err == nil && c.Dim%c.Heads != 0 {
		err = fmt.Errorf("its Dim is %d, which doesn't divide into %d heads", c.Dim, c.Heads)
	}
	return err
}

// DetectCLIP reads a CLIP text encoder's size from the shapes of a checkpoint's
// tensors by name, and checks that all of them are there. The number of heads
// leaves no trace in shapes: 0 takes heads of 64, as all published CLIP have.
func DetectCLIP(shapes map[string][]int, heads int) (CLIPConfig, error) {
	at := func(name string, axis int) int {
		if s := shapes[name]; axis < len(s) {
			return s[axis]
		}
		return 0
	}
	c := CLIPConfig{
		Dim:       at(clipTokens, 1),
		FF:        at("text_model.encoder.layers.0.mlp.fc1.weight", 0),
		Heads:     heads,
		Layers:    layers(shapes, "text_model.encoder.layers.", ".mlp.fc1.weight"),
		Vocab:     at(clipTokens, 0),
		Positions: at(clipPositions, 0),
	}
	if c.Dim == 0 || c.FF == 0 || c.Positions == 0 || c.Layers == 0 {
		return c, fmt.Errorf("not the weights of a CLIP text encoder: one of %s, %s and text_model.encoder.layers.0.mlp.fc1.weight "+
			"is missing or has the wrong number of axes",
			clipTokens, clipPositions)
	}
	if c.Heads == 0 {
		c.Heads = c.Dim / 64
	}
	if c.Heads <= 0 || c.Dim%c.Heads != 0 {
		return c, fmt.Errorf("a CLIP text encoder of width %d can't have %d heads: set num_attention_heads to that of its config.json",
			c.Dim, c.Heads)
	}
	return c, check("CLIP text encoder", shapes, c.Weights())
}

// CLIP encodes token ids int32 [B,L], L at most Positions, as one vector a
// prompt [B,Dim]: the final row of the first token with the largest id, which is
// the end marker. No text projection follows.
//
// Source: CLIP's text model as FLUX.1 runs it (causal mask, padding not masked,
// quick GELU).
func CLIP(w nn.Weights, c CLIPConfig, ids *Node, trace ...Trace) *Node {
	var t Trace
	if len(trace) > 0 {
		t = trace[0]
	}
	g, d := ids.Graph(), ids.Shape().Dimensions
	length := d[1]
	position := ExpandLeftToRank(Slice(w(clipPositions), AxisRange(0, length)), 3)
	x := Add(Gather(w(clipTokens), InsertAxes(ids, -1)), position) // [B,L,D]

	square := shapes.Make(dtypes.Int32, 1, 1, length, length)
	future := GreaterThan(Iota(g, square, 3), Iota(g, square, 2)) // key after query
	none := Zeros(g, shapes.Make(x.DType(), 1, 1, length, length))
	mask := Where(future, AddScalar(none, -1e30), none)

	scale := 1 / math.Sqrt(float64(c.Dim/c.Heads))
	for i := range c.Layers {
		b := w.In(fmt.Sprintf("text_model.encoder.layers.%d", i))
		attn := b.In("self_attn")
		h := b.In("layer_norm1").LayerNorm(x, 1e-5)
		q := nn.SplitHeads(attn.In("q_proj").Linear(h), c.Heads) // [B,H,L,d]
		k := nn.SplitHeads(attn.In("k_proj").Linear(h), c.Heads)
		v := nn.SplitHeads(attn.In("v_proj").Linear(h), c.Heads)
		h = nn.MergeHeads(nn.Attention(q, k, v, scale, mask)) // [B,L,D]
		x = Add(x, attn.In("out_proj").Linear(h))

		h = b.In("layer_norm2").LayerNorm(x, 1e-5)
		h = nn.QuickGELU(b.In("mlp.fc1").Linear(h)) // [B,L,FF]
		x = Add(x, b.In("mlp.fc2").Linear(h))
		t.see(fmt.Sprintf("layer.%d", i), x)
	}
	x = w.In("text_model.final_layer_norm").LayerNorm(x, 1e-5)
	t.see("final_layer_norm", x)

	// Not ArgMax: backends need not agree on which of equal maxima it returns.
	seat := Iota(g, ids.Shape(), 1)
	end := ReduceMin(Where(Equal(ids, ReduceAndKeep(ids, ReduceMax, -1)), seat, AddScalar(ZerosLike(seat), length)), -1) // [B]
	row := Iota(g, end.Shape(), 0)
	return Gather(x, Stack([]*Node{row, end}, -1)) // [B,D]
}
