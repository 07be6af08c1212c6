package flux

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/sizes"
)

// An IPConfig is the size of an IP-Adapter (arXiv 2308.06721) for FLUX: pictures
// become tokens, and every block of the transformer gets keys and values of them.
//
// Names of weights are those of InstantX/FLUX.1-dev-IP-Adapter, blocks are counted
// through the double and then the single ones.
type IPConfig struct {
	ImageDim int // width of a picture's vector
	Hidden   int // width between the vector and the tokens
	Tokens   int // that a picture becomes
	TokenDim int // width of a token
	Dim      int // width of the transformer
	Blocks   int
}

// InstantX is InstantX/FLUX.1-dev-IP-Adapter.
var InstantX = IPConfig{ImageDim: 1152, Hidden: 2304, Tokens: 128, TokenDim: 4096, Dim: 3072, Blocks: 57}

// ipEpsilon is of both norms of an IP-Adapter: the tokens' and the keys'.
const ipEpsilon = 1e-5

// IPBlock returns the prefix of the names of a block's weights, without the last dot.
func IPBlock(i int) string { return fmt.Sprintf("ip_adapter.%d", i) }

// Weights lists every tensor that the graphs read.
func (c IPConfig) Weights() []Weight {
	list := []Weight{
		{"image_proj.proj.0.weight", []int{c.Hidden, c.ImageDim}},
		{"image_proj.proj.0.bias", []int{c.Hidden}},
		{"image_proj.proj.2.weight", []int{c.Tokens * c.TokenDim, c.Hidden}},
		{"image_proj.proj.2.bias", []int{c.Tokens * c.TokenDim}},
		{"image_proj.norm.weight", []int{c.TokenDim}},
		{"image_proj.norm.bias", []int{c.TokenDim}},
	}
	for i := range c.Blocks {
		for _, to := range []string{"k", "v"} {
			list = append(list, Weight{fmt.Sprintf("%s.to_%s_ip.weight", IPBlock(i), to), []int{c.Dim, c.TokenDim}})
		}
	}
	return list
}

// DetectIP reads an IP-Adapter's size from the shapes of a checkpoint's tensors;
// shape is nil for a name that the checkpoint lacks.
func DetectIP(shape func(name string) []int) (IPConfig, error) {
	at := func(name string, axis int) int {
		if s := shape(name); axis < len(s) {
			return s[axis]
		}
		return 0
	}
	key := func(i int) string { return IPBlock(i) + ".to_k_ip.weight" }
	c := IPConfig{
		ImageDim: at("image_proj.proj.0.weight", 1),
		Hidden:   at("image_proj.proj.0.weight", 0),
		TokenDim: at("image_proj.norm.weight", 0),
		Dim:      at(key(0), 0),
	}
	if c.TokenDim > 0 {
		c.Tokens = at("image_proj.proj.2.weight", 0) / c.TokenDim
	}
	for shape(key(c.Blocks)) != nil {
		c.Blocks++
	}
	for _, found := range []struct {
		name string
		n    int
	}{{"image_proj.proj.0.weight", c.ImageDim}, {"image_proj.norm.weight", c.TokenDim}, {"image_proj.proj.2.weight", c.Tokens},
		{key(0), c.Dim}} {
		if found.n == 0 {
			return IPConfig{}, fmt.Errorf("not the weights of an IP-Adapter: %s is missing or has the wrong shape", found.name)
		}
	}
	return c, nil
}

// Validate refuses sizes that no IP-Adapter can have.
func (c IPConfig) Validate() error {
	return sizes.Check(sizes.Size{Name: "ImageDim", N: c.ImageDim, Max: sizes.MaxWidth},
		sizes.Size{Name: "Hidden", N: c.Hidden, Max: sizes.MaxHidden},
		sizes.Size{Name: "Tokens", N: c.Tokens, Max: maxPictureTokens}, sizes.Size{Name: "TokenDim", N: c.TokenDim, Max: sizes.MaxWidth},
		sizes.Size{Name: "Dim", N: c.Dim, Max: sizes.MaxWidth}, sizes.Size{Name: "Blocks", N: c.Blocks, Max: 2 * sizes.MaxLayers})
}

// maxPictureTokens is the most tokens that a picture becomes.
const maxPictureTokens = 4096

// Fits returns why an IP-Adapter was not made for a transformer, or nil.
func (c IPConfig) Fits(t Config) error {
	if c.Dim != t.Dim || c.Blocks != t.Double+t.Single {
		return fmt.Errorf("the IP-Adapter is for a transformer of %d blocks and width %d; this one has %d + %d and width %d", c.Blocks,
			c.Dim, t.Double, t.Single, t.Dim)
	}
	return nil
}

// ImageTokens returns the tokens of pictures' vectors [B,ImageDim]: [B,Tokens,TokenDim].
// A vector of zeros, the picture of a negative prompt, has tokens as well.
func ImageTokens(w nn.Weights, vec *Node) *Node {
	w = w.In("image_proj")
	x := ConvertDType(vec, w("proj.0.weight").DType())
	x = w.In("proj.2").Linear(nn.GELU(w.In("proj.0").Linear(x))) // [B,Tokens·TokenDim]
	x = Reshape(x, x.Shape().Dim(0), -1, w("norm.weight").Shape().Dim(0))
	return w.In("norm").LayerNorm(x, ipEpsilon)
}

// KeyValue is all that a block sees of pictures: keys and values [B,T,H,HeadDim] of
// their tokens.
type KeyValue struct{ K, V *Node }

// ImageKeyValue makes a block's KeyValue of tokens [B,T,TokenDim], which may be
// those of several pictures; w is scoped to IPBlock.
func ImageKeyValue(w nn.Weights, cfg Config, tokens *Node) KeyValue {
	tokens = ConvertDType(tokens, w("to_k_ip.weight").DType())
	heads := func(x *Node) *Node {
		d := x.Shape().Dimensions
		return Reshape(x, d[0], d[1], cfg.Heads, cfg.HeadDim())
	}
	return KeyValue{
		K: nn.RMSNorm(heads(w.In("to_k_ip").LinearNoBias(tokens)), nil, ipEpsilon),
		V: heads(w.In("to_v_ip").LinearNoBias(tokens)),
	}
}

// Scaled returns kv with the values, and so the result of attending to them,
// multiplied by a number for each token, [B,T].
func (kv KeyValue) Scaled(by *Node) KeyValue {
	d := by.Shape().Dimensions
	kv.V = Mul(kv.V, ConvertDType(Reshape(by, d[0], d[1], 1, 1), kv.V.DType()))
	return kv
}

// seeing returns a for a block that sees pictures, or for one that doesn't, with nil.
func (a *attention) seeing(kv *KeyValue) *attention {
	b := *a
	b.picture = kv
	return &b
}

// addPicture adds to the result x [B,S,D] of some rows' attention what their
// queries [B,S,H,HeadDim] find in the pictures. Regions have no say in it.
//
// Pictures have no positions. Double blocks ask with queries before they are
// rotated, and for image rows only; single blocks with rotated ones, and for text
// rows too. That is what DiffSynth-Studio does.
func (a *attention) addPicture(x *Node, query func() *Node) *Node {
	if a.picture == nil {
		return x
	}
	o, _ := regional.Attention(query(), a.picture.K, a.picture.V, nil, false)
	return Add(x, regional.MergeHeads(o))
}
