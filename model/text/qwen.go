package text

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/sizes"
)

// QwenConfig is the size of the language half of Qwen2.5-VL (arXiv 2502.13923): a decoder with
// causal attention and grouped keys and values.
type QwenConfig struct {
	Dim     int     // width of the residual stream
	FF      int     // width inside the feed-forward part
	Heads   int     // of queries, Dim/Heads features each
	KVHeads int     // of keys and values; each serves Heads/KVHeads heads of queries
	Layers  int     //
	Vocab   int     // rows of the embedding, which may be more than the tokenizer has tokens
	Theta   float64 // base of the rotary positions
	Epsilon float64 // of every norm
}

// QwenVL7B is Qwen-Image's text encoder: 7.07 G parameters.
var QwenVL7B = QwenConfig{Dim: 3584, FF: 18944, Heads: 28, KVHeads: 4, Layers: 28, Vocab: 152064, Theta: 1e6, Epsilon: 1e-6}

// HeadDim returns the features of an attention head.
func (c QwenConfig) HeadDim() int { return c.Dim / c.Heads }

const (
	qwenEmbedding = "model.embed_tokens.weight"
	qwenNorm      = "model.norm.weight"
)

// Weights lists every tensor that [Qwen] asks for, under its Hugging Face name.
func (c QwenConfig) Weights() []Weight {
	out := []Weight{{qwenEmbedding, []int{c.Vocab, c.Dim}}}
	kv := c.KVHeads * c.HeadDim()
	for i := range c.Layers {
		b := QwenScope(i)
		out = append(out, Weight{b + "input_layernorm.weight", []int{c.Dim}})
		for _, p := range []struct {
			name string
			rows int
		}{{"q", c.Dim}, {"k", kv}, {"v", kv}} {
			out = append(out, Weight{b + "self_attn." + p.name + "_proj.weight", []int{p.rows, c.Dim}},
				Weight{b + "self_attn." + p.name + "_proj.bias", []int{p.rows}})
		}
		out = append(out,
			Weight{b + "self_attn.o_proj.weight", []int{c.Dim, c.Dim}},
			Weight{b + "post_attention_layernorm.weight", []int{c.Dim}},
			Weight{b + "mlp.gate_proj.weight", []int{c.FF, c.Dim}},
			Weight{b + "mlp.up_proj.weight", []int{c.FF, c.Dim}},
			Weight{b + "mlp.down_proj.weight", []int{c.Dim, c.FF}})
	}
	return append(out, Weight{qwenNorm, []int{c.Dim}})
}

// QwenScope returns what the names of a layer's weights begin with.
func QwenScope(layer int) string { return fmt.Sprintf("model.layers.%d.", layer) }

// Validate refuses sizes that no such decoder can have.
func (c QwenConfig) Validate() error {
	err := sizes.Check(sizes.Size{Name: "Dim", N: c.Dim, Max: sizes.MaxWidth}, sizes.Size{Name: "FF", N: c.FF, Max: sizes.MaxHidden},
		sizes.Size{Name: "Heads", N: c.Heads, Max: sizes.MaxHeads}, sizes.Size{Name: "KVHeads", N: c.KVHeads, Max: sizes.MaxHeads},
		sizes.Size{Name: "Layers", N: c.Layers, Max: sizes.MaxLayers}, sizes.Size{Name: "Vocab", N: c.Vocab, Max: sizes.MaxVocab})
	switch {
	case err != nil:
		return err
	case c.Dim%c.Heads != 0 || c.HeadDim()%2 != 0:
		return fmt.Errorf("width %d doesn't divide into %d heads of an even number of features", c.Dim, c.Heads)
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%d heads don't divide among %d of keys and values", c.Heads, c.KVHeads)
	case !(c.Theta > 1) || math.IsInf(c.Theta, 0) || !(c.Epsilon > 0 && c.Epsilon < 1):
		return fmt.Errorf("theta %v or epsilon %v is out of range", c.Theta, c.Epsilon)
	}
	return nil
}

// DetectQwen reads a size from the shapes of a checkpoint's tensors by name, and checks that all
// of them are there. Shapes don't tell how many heads there are: heads and kvHeads say so, where
// they aren't 0; without them a head has 128 features.
func DetectQwen(shapes map[string][]int, heads, kvHeads int) (QwenConfig, error) {
	at := func(name string, axis int) int {
		if s := shapes[name]; axis < len(s) {
			return s[axis]
		}
		return 0
	}
	c := QwenVL7B
	b := QwenScope(0)
	c.Vocab, c.Dim = at(qwenEmbedding, 0), at(qwenEmbedding, 1)
	c.FF = at(b+"mlp.gate_proj.weight", 0)
	c.Layers = layers(shapes, "model.layers.", ".self_attn.q_proj.weight")
	kv := at(b+"self_attn.k_proj.weight", 0)
	c.Heads, c.KVHeads = heads, kvHeads
	if heads == 0 {
		c.Heads = c.Dim / 128
	}
	if kvHeads == 0 && c.Dim > 0 {
		c.KVHeads = kv * c.Heads / c.Dim
	}
	if c.Dim == 0 || c.FF == 0 || c.Layers == 0 || c.Heads == 0 || c.KVHeads == 0 {
		return c, fmt.Errorf("not the weights of Qwen2.5-VL: one of %s, %sself_attn.q_proj.weight, %[2]sself_attn.k_proj.weight "+
			"and %[2]smlp.gate_proj.weight is missing or has the wrong number of axes", qwenEmbedding, b)
	}
	return c, check("Qwen2.5-VL", shapes, c.Weights())
}

// Qwen encodes token ids int32 [B,L] as [B,L,Dim], in the dtype of the weights: the last hidden
// states, after the final norm. A token sees those before it alone, so that padding on the right
// changes nothing of what is before it.
//
// Source: Qwen2.5-VL's language model, text alone: its three rotary axes have the same position then.
func Qwen(w nn.Weights, c QwenConfig, ids *Node, trace ...Trace) *Node {
	var t Trace
	if len(trace) > 0 {
		t = trace[0]
	}
	x := QwenBegin(w, ids)
	cos, sin := qwenRope(c, x.Graph(), ids.Shape().Dim(1))
	t.see("rope_cos", cos)
	t.see("rope_sin", sin)
	for i := range c.Layers {
		x = QwenLayer(w.In(fmt.Sprintf("model.layers.%d", i)), c, x)
		t.see(fmt.Sprintf("layer.%d", i), x)
	}
	return QwenEnd(w, c, x)
}

// QwenBegin, QwenLayer for each layer, and QwenEnd are [Qwen] cut into graphs, so that no more of
// it than a layer need be in memory. Begin returns the first layer's input [B,L,Dim].
func QwenBegin(w nn.Weights, ids *Node) *Node { return Gather(w(qwenEmbedding), InsertAxes(ids, -1)) }

// QwenLayer runs a layer on x [B,L,Dim]; w is scoped to it.
func QwenLayer(w nn.Weights, c QwenConfig, x *Node) *Node {
	y := nn.RMSNorm(x, w("input_layernorm.weight"), c.Epsilon)
	x = Add(x, w.In("self_attn.o_proj").LinearNoBias(qwenAttention(w.In("self_attn"), c, y)))
	y = nn.RMSNorm(x, w("post_attention_layernorm.weight"), c.Epsilon)
	w = w.In("mlp")
	y = Mul(nn.SiLU(w.In("gate_proj").LinearNoBias(y)), w.In("up_proj").LinearNoBias(y))
	return Add(x, w.In("down_proj").LinearNoBias(y))
}

// QwenEnd returns the states [B,L,Dim] of the last layer's x.
func QwenEnd(w nn.Weights, c QwenConfig, x *Node) *Node { return nn.RMSNorm(x, w(qwenNorm), c.Epsilon) }

// qwenAttention returns causal attention of x [B,L,Dim], before its projection. The queries that
// share a head of keys are rows of it, one of them after the other.
func qwenAttention(w nn.Weights, c QwenConfig, x *Node) *Node {
	g, d := x.Graph(), x.Shape().Dimensions
	l, shared := d[1], c.Heads/c.KVHeads
	cos, sin := qwenRope(c, g, l)
	heads := func(name string, n int) *Node { // [B,L,n,HeadDim]
		return Reshape(w.In(name).Linear(x), d[0], l, n, c.HeadDim())
	}
	q := rotateHalves(heads("q_proj", c.Heads), cos, sin)
	k, v := rotateHalves(heads("k_proj", c.KVHeads), cos, sin), heads("v_proj", c.KVHeads)

	q = TransposeAllAxes(Reshape(q, d[0], l, c.KVHeads, shared, c.HeadDim()), 0, 3, 1, 2, 4) // [B,shared,L,KVHeads,HeadDim]
	q = Reshape(q, d[0], shared*l, c.KVHeads, c.HeadDim())
	rows := shapes.Make(dtypes.Int32, shared, l, l)
	later := Reshape(GreaterThan(Iota(g, rows, 2), Iota(g, rows, 1)), 1, 1, shared*l, l)
	o, _ := regional.Attention(q, k, v, MulScalar(ConvertDType(later, dtypes.Float32), regional.Never), false)
	o = TransposeAllAxes(Reshape(o, d[0], shared, l, c.KVHeads, c.HeadDim()), 0, 2, 3, 1, 4) // [B,L,KVHeads,shared,HeadDim]
	return Reshape(o, d[0], l, c.Dim)
}

// qwenRope returns the cosines and sines of positions 0 to length − 1: [L,HeadDim/2].
func qwenRope(c QwenConfig, g *Graph, length int) (cos, sin *Node) {
	n := c.HeadDim() / 2
	table := func(f func(float64) float64) *Node {
		t := make([]float32, length*n)
		for i := range t {
			t[i] = float32(f(float64(i/n) * math.Pow(c.Theta, -float64(i%n)/float64(n))))
		}
		return Reshape(Const(g, t), length, n)
	}
	return table(math.Cos), table(math.Sin)
}

// rotateHalves rotates pairs of features half a head apart of x [B,L,H,HeadDim], in float32.
func rotateHalves(x, cos, sin *Node) *Node {
	dtype, d := x.DType(), x.Shape().Dimensions
	x = ConvertDType(x, dtypes.Float32)
	a, b := SliceAxis(x, -1, AxisRange(0, d[3]/2)), SliceAxis(x, -1, AxisRange(d[3]/2))
	cos, sin = Reshape(cos, 1, d[1], 1, d[3]/2), Reshape(sin, 1, d[1], 1, d[3]/2)
	return ConvertDType(Concatenate([]*Node{Sub(Mul(a, cos), Mul(b, sin)), Add(Mul(b, cos), Mul(a, sin))}, -1), dtype)
}
