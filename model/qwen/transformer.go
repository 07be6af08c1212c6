package qwen

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
)

// An Input is all that the transformer sees in one step.
type Input struct {
	Latents  *Node // [B,C,h,w]; h and w even
	Timestep *Node // [B], 1000·sigma
	Txt      *Node // [B,T,TextDim], states of the global prompt, at its own length

	Entities []Entities // nil for the plain model

	// Edits are latents [B,C,h',w'] of pictures that are seen along, of any size: their tokens
	// follow the picture's.
	Edits []*Node
	// ZeroTime has the tokens of Edits modulated as at timestep 0, as Qwen-Image-Edit-2511 was
	// trained.
	ZeroTime bool

	// Trace, if not nil, receives intermediate results.
	Trace func(name string, value *Node)
}

// Entities are N entities whose text is padded to the same length, and their regions to the same
// size.
type Entities struct {
	Txt     *Node // [B,N,Te,TextDim]
	Lengths *Node // int32 [B,N], of each one's text; nil: none is padded

	// Regions in one of two forms; see package regional. Tokens are counted over the picture and,
	// behind it, all Edits.
	Tokens  *Node // [B,N,K], padded with the number of all image tokens
	Members *Node // [B,N,S], 1 where the image token is in the region, else 0

	LogStrength *Node // [B,N], as in regional.NewGroup; nil is 0

	Share, Seen *Node // [B,N,K], as in regional.Group.Layered; nil, or of all Entities
}

// A Grid is a picture's rows and columns of image tokens.
type Grid struct{ Rows, Columns int }

// Tokens returns their number.
func (g Grid) Tokens() int { return g.Rows * g.Columns }

// Velocity returns the model's prediction of noise − image, [B,C,h,w].
func Velocity(w nn.Weights, cfg Config, in Input) *Node {
	trace := in.Trace
	if trace == nil {
		trace = func(string, *Node) {}
	}
	dims := in.Latents.Shape().Dimensions
	b := Blocks{Config: cfg}
	var img []*Node
	for _, x := range append([]*Node{in.Latents}, in.Edits...) {
		d := x.Shape().Dimensions
		b.Grids = append(b.Grids, Grid{d[2] / Patch, d[3] / Patch})
		img = append(img, b.Image(w, x))
	}
	trace("time_proj", nn.Sinusoid(in.Timestep))
	vec := Time(w, in.Timestep)
	trace("temb", vec)
	var txt []*Node
	for _, e := range in.Entities {
		d := e.Txt.Shape().Dimensions
		txt = append(txt, EmbedText(w, Reshape(e.Txt, d[0], d[1]*d[2], d[3])))
		b.Groups = append(b.Groups, Group{
			N: d[1], Text: d[2], Tokens: e.Tokens, Members: e.Members, Lengths: e.Lengths, LogStrength: e.LogStrength,
			Share: e.Share, Seen: e.Seen,
		})
	}
	txt = append(txt, EmbedText(w, in.Txt))
	x, t := Concatenate(img, 1), Concatenate(txt, 1)
	trace("img_embed", x)
	trace("txt_embed", t)
	b.Global = in.Txt.Shape().Dim(1)
	r := b.rope(x.Graph())
	trace("rope_cos", r.cos)
	trace("rope_sin", r.sin)
	if m := b.mask(); m != nil {
		trace("attention_mask", m)
	}
	edited := vec
	if in.ZeroTime {
		edited = Time(w, ZerosLike(in.Timestep))
		trace("temb_zero", edited)
	}
	for i := range cfg.Layers {
		s := w.In(Scope(i))
		imgMod, txtMod := Modulation(s, "img_mod", vec), Modulation(s, "txt_mod", vec)
		if in.ZeroTime {
			imgMod = b.mixed(imgMod, Modulation(s, "img_mod", edited))
		}
		x, t = b.Block(s, x, t, imgMod, txtMod)
		trace(fmt.Sprintf("block.%d.img", i), x)
		trace(fmt.Sprintf("block.%d.txt", i), t)
	}
	x = b.normOut(x, FinalModulation(w, vec))
	trace("norm_out", x)
	x = w.In("proj_out").Linear(x)
	trace("proj_out", x)
	out := ConvertDType(unpatchify(SliceAxis(x, 1, AxisRange(0, b.Grids[0].Tokens())), b.Grids[0]), in.Latents.DType())
	if dims[1] != out.Shape().Dim(1) {
		panic(fmt.Errorf("latents of %d channels, and velocities of %d", dims[1], out.Shape().Dim(1)))
	}
	trace("out", out)
	return out
}

// Time returns the conditioning vector [B,Dim] of timesteps [B] on the scale of 0 to 1000.
func Time(w nn.Weights, timestep *Node) *Node {
	w = w.In("time_text_embed.timestep_embedder")
	x := ConvertDType(nn.Sinusoid(timestep), w("linear_1.weight").DType())
	return w.In("linear_2").Linear(nn.SiLU(w.In("linear_1").Linear(x)))
}

// EmbedText projects the encoder's states [..,T,TextDim] to the transformer's width.
func EmbedText(w nn.Weights, txt *Node) *Node {
	norm := w("txt_norm.weight")
	return w.In("txt_in").Linear(nn.RMSNorm(ConvertDType(txt, norm.DType()), norm, epsilon))
}

// Modulation returns what shifts, scales and gates one stream, "img_mod" or "txt_mod", of a block
// at conditioning vectors [B,Dim]: [B,6·Dim], of the attention, then of the MLP. w is scoped to
// the block.
func Modulation(w nn.Weights, stream string, vec *Node) *Node {
	return w.In(stream + ".1").Linear(nn.SiLU(vec))
}

// FinalModulation returns what scales and shifts the last norm: [B,2·Dim].
func FinalModulation(w nn.Weights, vec *Node) *Node {
	return w.In("norm_out.linear").Linear(nn.SiLU(vec))
}

// Blocks is Velocity cut into graphs, so that a network of any depth costs the compiling of one
// block. Nodes belong to the graph that is being built.
type Blocks struct {
	Config
	Grids  []Grid // the picture's, then those of Edits
	Groups []Group
	Global int // tokens of the global prompt, which come behind the groups'
}

// A Group is an Entities whose text is among the rows of text already.
type Group struct {
	N, Text                               int
	Tokens, Members, Lengths, LogStrength *Node
	Share, Seen                           *Node
}

// Image returns the image tokens [B,S,Dim] of latents [B,C,h,w].
func (b Blocks) Image(w nn.Weights, latents *Node) *Node {
	return w.In("img_in").Linear(ConvertDType(patchify(latents), w("img_in.weight").DType()))
}

// tokens returns how many image tokens there are.
func (b Blocks) tokens() (n int) {
	for _, g := range b.Grids {
		n += g.Tokens()
	}
	return n
}

// mixed returns modulations [B,S,6·Dim] of the picture's tokens and of those behind them.
func (b Blocks) mixed(own, others *Node) *Node {
	d := own.Shape().Dimensions
	n := b.Grids[0].Tokens()
	each := func(x *Node, n int) *Node { return BroadcastToDims(Reshape(x, d[0], 1, d[1]), d[0], n, d[1]) }
	return Concatenate([]*Node{each(own, n), each(others, b.tokens()-n)}, 1)
}

// Block runs a block on image [B,S,Dim] and text [B,T,Dim], with Modulation's results for each; w
// is scoped to it. A modulation of rank 3 is of each row.
func (b Blocks) Block(w nn.Weights, img, txt, imgMod, txtMod *Node) (_, _ *Node) {
	im, tm := b.split(imgMod), b.split(txtMod)
	attn := w.In("attn")
	heads := func(x *Node, q, k, v, nq, nk string) regional.QKV {
		cut := func(name string) *Node {
			d := x.Shape().Dimensions
			return Reshape(attn.In(name).Linear(x), d[0], d[1], b.Heads, b.HeadDim())
		}
		return regional.QKV{
			Q: nn.RMSNorm(cut(q), attn(nq+".weight"), epsilon), K: nn.RMSNorm(cut(k), attn(nk+".weight"), epsilon), V: cut(v),
		}
	}
	i := heads(im[0].apply(nn.LayerNorm(img, epsilon)), "to_q", "to_k", "to_v", "norm_q", "norm_k")
	t := heads(tm[0].apply(nn.LayerNorm(txt, epsilon)), "add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k")
	text := txt.Shape().Dim(1)
	ofText, ofImage := b.rope(img.Graph()).split(text)
	t.Q, t.K, i.Q, i.K = ofText.apply(t.Q), ofText.apply(t.K), ofImage.apply(i.Q), ofImage.apply(i.K)
	var txtOut, imgOut *Node
	if mask := b.mask(); mask != nil {
		txtOut, imgOut = regional.Joint(t, i, mask, true)
	} else {
		txtOut, imgOut = regional.Attend(b.groups(), t, i, true)
	}

	finish := func(x, attended *Node, m [2]modulation, proj, mlp string) *Node {
		x = Add(x, Mul(m[0].gate, attn.In(proj).Linear(attended)))
		y := w.In(mlp + ".net.0.proj").Linear(m[1].apply(nn.LayerNorm(x, epsilon)))
		if b.Tanh {
			y = nn.GELUTanh(y)
		} else {
			y = nn.QuickGELU(y)
		}
		return Add(x, Mul(m[1].gate, w.In(mlp+".net.2").Linear(y)))
	}
	return finish(img, imgOut, im, "to_out.0", "img_mlp"), finish(txt, txtOut, tm, "to_add_out", "txt_mlp")
}

// End returns the velocity [B,C,h,w] of the picture, in the weights' dtype, with FinalModulation's
// result.
func (b Blocks) End(w nn.Weights, img, modulation *Node) *Node {
	g := b.Grids[0]
	img = SliceAxis(img, 1, AxisRange(0, g.Tokens()))
	return unpatchify(w.In("proj_out").Linear(b.normOut(img, modulation)), g)
}

func (b Blocks) normOut(img, modulation *Node) *Node {
	parts := Split(ExpandAxes(modulation, 1), -1, 2)
	return modulation2{scale: parts[0], shift: parts[1]}.apply(nn.LayerNorm(img, epsilon))
}

// groups returns the groups in block form.
func (b Blocks) groups() (list []regional.Group) {
	for _, g := range b.Groups {
		r := regional.NewGroup(g.Tokens, g.LogStrength, g.Text, b.tokens())
		if g.Lengths != nil {
			r = r.Padded(ConvertDType(g.Lengths, dtypes.Int32))
		}
		if g.Share != nil {
			r = r.Layered(g.Share, g.Seen)
		}
		list = append(list, r)
	}
	return list
}

// mask returns the attention's mask where regions come as Members, whose text is not padded; or nil.
func (b Blocks) mask() *Node {
	if len(b.Groups) == 0 || b.Groups[0].Members == nil {
		return nil
	}
	var all []regional.Members
	for _, g := range b.Groups {
		all = append(all, regional.Members{Members: g.Members, LogStrength: g.LogStrength, TextLength: g.Text})
	}
	return regional.Mask(all, b.Global)
}

// A modulation is one adaptive layer norm with its gate, each part [B,1,D] or [B,S,D].
type modulation struct {
	modulation2
	gate *Node
}

type modulation2 struct{ shift, scale *Node }

func (m modulation2) apply(x *Node) *Node { return Add(Mul(x, OnePlus(m.scale)), m.shift) }

// split deals out a Modulation's result.
func (b Blocks) split(all *Node) (list [2]modulation) {
	if all.Rank() == 2 {
		all = ExpandAxes(all, 1)
	}
	p := Split(all, -1, 6)
	return [2]modulation{{modulation2{p[0], p[1]}, p[2]}, {modulation2{p[3], p[4]}, p[5]}}
}

// patchify makes tokens of 2×2 latents, row by row, channels outermost in a
// token: [B,C,h,w] → [B,(h/2)(w/2),C·4].
func patchify(x *Node) *Node {
	d := x.Shape().Dimensions
	h, w := d[2]/Patch, d[3]/Patch
	x = TransposeAllAxes(Reshape(x, d[0], d[1], h, Patch, w, Patch), 0, 2, 4, 1, 3, 5)
	return Reshape(x, d[0], h*w, d[1]*Patch*Patch)
}

// unpatchify undoes patchify.
func unpatchify(x *Node, g Grid) *Node {
	d := x.Shape().Dimensions
	c := d[2] / (Patch * Patch)
	x = TransposeAllAxes(Reshape(x, d[0], g.Rows, g.Columns, c, Patch, Patch), 0, 3, 1, 4, 2, 5)
	return Reshape(x, d[0], c, g.Rows*Patch, g.Columns*Patch)
}
