package text

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sizes"
)

// T5Config is the size of a T5 v1.1 encoder ("Scaling up T5", Google 2020; the
// architecture of Raffel et al. 2020 with gated GELU).
type T5Config struct {
	Dim     int // width of the residual stream (d_model)
	FF      int // width inside the feed-forward part (d_ff)
	HeadDim int // d_kv; Heads·HeadDim need not be Dim
	Heads   int
	Layers  int
	Vocab   int // rows of the embedding, which may be more than the tokenizer has pieces
}

// T5XXL is FLUX.1's text_encoder_2: 4.76 G parameters.
var T5XXL = T5Config{Dim: 4096, FF: 10240, HeadDim: 64, Heads: 64, Layers: 24, Vocab: 32128}

// T5Nano returns the size of the embedded model's encoder, for a vocabulary of its own.
func T5Nano(vocab int) T5Config {
	return T5Config{Dim: 192, FF: 512, HeadDim: 64, Heads: 3, Layers: 3, Vocab: vocab}
}

// The relative position buckets: 16 a direction, 8 of them exact distances, the
// others growing as logarithms up to distance 128. All published T5 use these.
const t5Buckets = 32

// t5BucketStarts are the smallest distances of the buckets 8 to 15:
// 8+⌊8·ln(n/8)/ln(128/8)⌋, solved for n.
var t5BucketStarts = [...]int{8, 12, 16, 23, 32, 46, 64, 91}

// t5Bucket returns the bucket of the relative position key − query.
func t5Bucket(relative int) int {
	bucket := 0
	if relative > 0 {
		bucket = t5Buckets / 2
	} else {
		relative = -relative
	}
	if relative < t5BucketStarts[0] {
		return bucket + relative
	}
	for i, start := range t5BucketStarts {
		if relative < start {
			return bucket + 7 + i
		}
	}
	return bucket + t5Buckets/2 - 1
}

const (
	t5Embedding = "shared.weight"
	t5Bias      = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
)

// Weights lists every tensor that [T5] asks for, under its Hugging Face name.
func (c T5Config) Weights() []Weight {
	inner := c.Heads * c.HeadDim
	out := []Weight{{t5Embedding, []int{c.Vocab, c.Dim}}}
	for i := range c.Layers {
		b := fmt.Sprintf("encoder.block.%d.layer.", i)
		out = append(out,
			Weight{b + "0.layer_norm.weight", []int{c.Dim}},
			Weight{b + "0.SelfAttention.q.weight", []int{inner, c.Dim}},
			Weight{b + "0.SelfAttention.k.weight", []int{inner, c.Dim}},
			Weight{b + "0.SelfAttention.v.weight", []int{inner, c.Dim}},
			Weight{b + "0.SelfAttention.o.weight", []int{c.Dim, inner}})
		if i == 0 {
			out = append(out, Weight{t5Bias, []int{t5Buckets, c.Heads}})
		}
		out = append(out,
			Weight{b + "1.layer_norm.weight", []int{c.Dim}},
			Weight{b + "1.DenseReluDense.wi_0.weight", []int{c.FF, c.Dim}},
			Weight{b + "1.DenseReluDense.wi_1.weight", []int{c.FF, c.Dim}},
			Weight{b + "1.DenseReluDense.wo.weight", []int{c.Dim, c.FF}})
	}
	return append(out, Weight{"encoder.final_layer_norm.weight", []int{c.Dim}})
}

// Validate refuses sizes that no T5 encoder can have.
func (c T5Config) Validate() error {
	return sizes.Check(sizes.Size{Name: "Dim", N: c.Dim, Max: sizes.MaxWidth}, sizes.Size{Name: "FF", N: c.FF, Max: sizes.MaxHidden},
		sizes.Size{Name: "HeadDim", N: c.HeadDim, Max: sizes.MaxWidth}, sizes.Size{Name: "Heads", N: c.Heads, Max: sizes.MaxHeads},
		sizes.Size{Name: "Layers", N: c.Layers, Max: sizes.MaxLayers}, sizes.Size{Name: "Vocab", N: c.Vocab, Max: sizes.MaxVocab})
}

// DetectT5 reads a T5 encoder's size from the shapes of a checkpoint's tensors
// by name, and checks that all of them are there.
func DetectT5(shapes map[string][]int) (T5Config, error) {
	at := func(name string, axis int) int {
		if s := shapes[name]; axis < len(s) {
			return s[axis]
		}
		return 0
	}
	const b = "encoder.block.0.layer."
	c := T5Config{
		Dim:    at(t5Embedding, 1),
		FF:     at(b+"1.DenseReluDense.wi_0.weight", 0),
		Heads:  at(t5Bias, 1),
		Layers: layers(shapes, "encoder.block.", ".layer.0.SelfAttention.q.weight"),
		Vocab:  at(t5Embedding, 0),
	}
	if c.Heads > 0 {
		c.HeadDim = at(b+"0.SelfAttention.q.weight", 0) / c.Heads
	}
	if c.Dim == 0 || c.FF == 0 || c.HeadDim == 0 || c.Layers == 0 {
		return c, fmt.Errorf("not the weights of a T5 v1.1 encoder: one of %s, %s and %s0.SelfAttention.q.weight, "+
			"%[3]s1.DenseReluDense.wi_0.weight is missing or has the wrong number of axes",
			t5Embedding, t5Bias, b)
	}
	return c, check("T5 v1.1 encoder", shapes, c.Weights())
}

// T5 encodes token ids int32 [B,L] as [B,L,Dim], in the dtype of the weights.
// Nothing is masked: padding is attended to, as it was when FLUX.1 was trained.
//
// Source: T5 v1.1 as FLUX.1 runs it (no score scaling, no biases, the position
// bias of block 0 in all blocks).
func T5(w nn.Weights, c T5Config, ids *Node, trace ...Trace) *Node {
	var t Trace
	if len(trace) > 0 {
		t = trace[0]
	}
	x, bias := T5Begin(w, ids)
	t.see("position_bias", bias)
	for i := range c.Layers {
		x = T5Layer(w.In(fmt.Sprintf("encoder.block.%d", i)), c, x, bias)
		t.see(fmt.Sprintf("block.%d", i), x)
	}
	return T5End(w, x)
}

// T5Begin, T5Layer for each layer, and T5End are [T5] cut into graphs, so that no more of a large
// encoder than a layer need be in memory. Begin returns the layers' input [B,L,Dim] and the
// position bias [1,H,L,L] of ids [B,L].
func T5Begin(w nn.Weights, ids *Node) (x, bias *Node) {
	return Gather(w(t5Embedding), InsertAxes(ids, -1)), t5PositionBias(w(t5Bias), ids.Shape().Dimensions[1])
}

// T5Layer runs a layer on x [B,L,Dim]; w is scoped to it.
func T5Layer(w nn.Weights, c T5Config, x, bias *Node) *Node {
	b := w.In("layer")
	attn := b.In("0.SelfAttention")
	h := nn.RMSNorm(x, b("0.layer_norm.weight"), 1e-6)
	q := nn.SplitHeads(attn.In("q").LinearNoBias(h), c.Heads) // [B,H,L,d]
	k := nn.SplitHeads(attn.In("k").LinearNoBias(h), c.Heads)
	v := nn.SplitHeads(attn.In("v").LinearNoBias(h), c.Heads)
	h = nn.MergeHeads(nn.Attention(q, k, v, 1, bias)) // [B,L,H·d]
	x = Add(x, attn.In("o").LinearNoBias(h))

	ff := b.In("1.DenseReluDense")
	h = nn.RMSNorm(x, b("1.layer_norm.weight"), 1e-6)
	h = Mul(nn.GELUTanh(ff.In("wi_0").LinearNoBias(h)), ff.In("wi_1").LinearNoBias(h)) // [B,L,FF]
	return Add(x, ff.In("wo").LinearNoBias(h))
}

// T5End returns the hidden states [B,L,Dim] of the last layer's result.
func T5End(w nn.Weights, x *Node) *Node {
	return nn.RMSNorm(x, w("encoder.final_layer_norm.weight"), 1e-6)
}

// T5Scope is what the names of a layer's weights begin with.
func T5Scope(layer int) string { return fmt.Sprintf("encoder.block.%d.", layer) }

// t5PositionBias spreads table [buckets,H] to [1,H,L,L] over (query, key).
func t5PositionBias(table *Node, length int) *Node {
	g := table.Graph()
	// One entry a relative position 1−L … L−1 keeps the constant small: the L×L
	// indices into it are made on the device.
	buckets := make([]int32, 2*length-1)
	for i := range buckets {
		buckets[i] = int32(t5Bucket(i - (length - 1)))
	}
	line := Gather(table, InsertAxes(Const(g, buckets), -1)) // [2L−1,H]
	square := shapes.Make(dtypes.Int32, length, length)
	relative := Sub(Iota(g, square, 1), Iota(g, square, 0)) // key − query
	bias := Gather(line, InsertAxes(AddScalar(relative, length-1), -1))
	return InsertAxes(TransposeAllAxes(bias, 2, 0, 1), 0)
}
