package flux

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
)

// Entities are N entities with text of the same length and regions padded to
// the same size; an Input has one of these for each such pair of sizes. The
// order of entities has no effect on the image.
//
// Who may attend to whom: image tokens to all image tokens, to the global prompt
// and to the text of the entities whose regions they are in; the text of an
// entity to itself and its region; the global prompt to itself and the image.
//
// Regions come in one of two forms. Tokens keeps the attention in unmasked
// blocks, which no mask of the size of the square sequence is ever made for.
// Members makes that mask: simpler, and good enough for short sequences. All of
// an Input's Entities use the same form.
type Entities struct {
	Txt        *Node // [B,N,Te,TextDim]
	TextLength int   // Te, where a graph of one block has no Txt; it takes Tokens, not Members

	Tokens  *Node // [B,N,K], the image tokens of each region, padded with S; none may appear twice
	Members *Node // [B,N,S], 1 where the image token is in the region, else 0; or how much of it is

	// LogStrength [B,N] is added to the logits of image queries on an entity's
	// text; nil is 0, the paper's attention.
	LogStrength *Node

	// Blocks are the first and the last block in which the image attends to the entities' text, in Velocity; nil is
	// all. Blocks, which are built one by one, take LogStrength for it.
	Blocks *[2]int

	// Cover [B,N,K], or nil, is regional.Group.Covered's, and goes with Tokens.
	Cover *Node

	// Share and Seen [B,N,K], or nil, are regional.Group.Layered's; they go with Tokens. All of an
	// Input's Entities have them, or none.
	Share, Seen *Node
}

// attention is shared by all blocks of one step.
type attention struct {
	cfg      Config
	text     int // rows of text, all segments
	rotation rotation
	mask     *Node // [B,L,L] to add to the logits; nil for the block form
	groups   []regional.Group
	picture  *KeyValue // that the current block sees, or nil
}

func newAttention(cfg Config, in Input, text, image int, r rotation) *attention {
	a := &attention{cfg: cfg, text: text, rotation: r}
	if len(in.Entities) == 0 {
		return a
	}
	if in.Entities[0].Members != nil {
		a.mask = Mask(in.Entities, in.Txt.Shape().Dim(1))
		return a
	}
	for _, e := range in.Entities {
		length := e.TextLength
		if e.Txt != nil {
			length = e.Txt.Shape().Dim(2)
		}
		g := regional.NewGroup(e.Tokens, e.LogStrength, length, image)
		if e.Share != nil {
			g = g.Layered(e.Share, e.Seen)
		}
		if e.Cover != nil {
			g = g.Covered(e.Cover)
		}
		a.groups = append(a.groups, g)
	}
	return a
}

// within returns the input as a block sees it: entities that don't act there are as good as absent.
func (in Input) within(block int) Input {
	in.Entities = append([]Entities(nil), in.Entities...)
	for i := range in.Entities {
		e := &in.Entities[i]
		if e.Blocks != nil && (block < e.Blocks[0] || block > e.Blocks[1]) {
			d := e.Txt.Shape().Dimensions
			e.LogStrength = MulScalar(Ones(e.Txt.Graph(), shapes.Make(dtypes.Float32, d[0], d[1])), regional.Never)
		}
	}
	return in
}

// Mask returns the attention's additive mask, [B,L,L] float32, over the entities'
// text, global text of a length, and the image, for Entities with Members.
func Mask(entities []Entities, global int) *Node {
	var all []regional.Members
	for _, e := range entities {
		all = append(all, regional.Members{Members: e.Members, LogStrength: e.LogStrength, TextLength: e.Txt.Shape().Dim(2)})
	}
	return regional.Mask(all, global)
}

// heads cuts a projection [B,S,3D], or [B,S,2D] without queries, into heads and
// normalises queries and keys.
func (a *attention) heads(w nn.Weights, x *Node) regional.QKV {
	d := x.Shape().Dimensions
	n := d[2] / a.cfg.Dim
	part := func(i int) *Node {
		return Reshape(Slice(x, AxisRange(), AxisRange(), AxisRange(i*a.cfg.Dim, (i+1)*a.cfg.Dim)),
			d[0], d[1], a.cfg.Heads, a.cfg.HeadDim())
	}
	out := regional.QKV{
		K: nn.RMSNorm(part(n-2), w("norm.key_norm.scale"), epsilon),
		V: part(n - 1),
	}
	if n == 3 {
		out.Q = nn.RMSNorm(part(0), w("norm.query_norm.scale"), epsilon)
	}
	return out
}

// attend returns the joint attention of text and image rows, before its projection:
// [B,T,D] and [B,S,D]. Without wantText, txt needs no queries, and there is no
// text result.
func (a *attention) attend(txt, img regional.QKV, wantText bool) (txtOut, imgOut *Node) {
	img.Q, img.K = a.rotation.apply(img.Q), a.rotation.apply(img.K)
	if len(a.groups) == 0 {
		return regional.Joint(txt, img, a.mask, wantText)
	}
	return regional.Attend(a.groups, txt, img, wantText)
}
