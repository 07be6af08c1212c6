package flux

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
)

// Blocks is Velocity cut into four graphs, so that a network of any depth costs
// the compiling of one block of each kind: Begin, Double for each double block,
// Single for each single one, End. Nodes belong to the graph of the block that
// is being built.
type Blocks struct {
	Config
	Rows, Columns int        // of image tokens: h/2, w/2 of the latents
	Entities      []Entities // Tokens, TextLength and LogStrength
	Picture       *KeyValue  // of the block that is being built; nil for none
}

// Begin returns the image tokens [B,S,Dim] of latents [B,C,h,w], and all text
// [B,T,Dim]: the entities' [B,N,Te,Dim], then the global prompt's; text is
// EmbedText's result.
func (b Blocks) Begin(w nn.Weights, latents, global *Node, entities []*Node) (img, txt *Node) {
	in := Input{Txt: global, Embedded: true}
	for _, e := range entities {
		in.Entities = append(in.Entities, Entities{Txt: e})
	}
	img = b.Image(w, latents)
	return img, joinText(w, b.Config, in)
}

// Image returns the image tokens alone.
func (b Blocks) Image(w nn.Weights, latents *Node) *Node {
	return w.In("img_in").Linear(ConvertDType(patchify(latents), w("img_in.weight").DType()))
}

// Modulated returns what the first double block makes its image's queries, keys and
// values of: [B,S,Dim]. Modulation is the block's [B,12·Dim].
func (b Blocks) Modulated(img, modulation *Node) *Node {
	return modulations(modulation, img.Shape().Dim(0), b.Dim)(6)[0].apply(nn.LayerNorm(img, epsilon))
}

// Double runs a double block; w is scoped to it. Modulation [B,12·Dim] is its
// share of Modulation's result.
func (b Blocks) Double(w nn.Weights, img, txt, modulation *Node) (_, _ *Node) {
	return doubleBlock(w, b.attention(img, txt), img, txt, modulations(modulation, img.Shape().Dim(0), b.Dim))
}

// Single runs a single block; w is scoped to it. Modulation is [B,3·Dim].
func (b Blocks) Single(w nn.Weights, img, txt, modulation *Node) (_, _ *Node) {
	x := Concatenate([]*Node{txt, img}, 1)
	x = singleBlock(w, b.attention(img, txt), x, modulations(modulation, img.Shape().Dim(0), b.Dim))
	txt, img = regional.SplitRows(x, txt.Shape().Dim(1))
	return img, txt
}

// End returns the velocity [B,C,h,w], in the weights' dtype. Modulation is [B,2·Dim].
func (b Blocks) End(w nn.Weights, img, modulation *Node) *Node {
	m := modulations(modulation, img.Shape().Dim(0), b.Dim)(2)
	out := w.In("final_layer.linear").Linear(m[0].apply(nn.LayerNorm(img, epsilon)))
	return unpatchify(out, b.Rows, b.Columns)
}

func (b Blocks) attention(img, txt *Node) *attention {
	return newAttention(b.Config, Input{Entities: b.Entities}, txt.Shape().Dim(1), b.Rows*b.Columns,
		rope(img.Graph(), b.Config, b.Rows, b.Columns, nil)).seeing(b.Picture)
}
