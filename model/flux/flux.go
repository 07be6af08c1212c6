package flux

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/regional"
)

// An Input is all that the transformer sees in one step.
type Input struct {
	Latents  *Node // [B,C,h,w]; h and w even
	Timestep *Node // [B], 1000·sigma
	Guidance *Node // [B], before the factor of 1000; only where Config.Guidance
	Txt      *Node // [B,T,TextDim], T5 states of the global prompt
	Vec      *Node // [B,PooledDim], CLIP vector of the global prompt

	// Origin is the row and column of the first image token, [B,2], where Latents
	// are a window of a larger picture; nil is (0, 0). [B,P,2] is of P such windows,
	// which lie side by side in Latents, equally wide.
	Origin *Node

	Entities []Entities // nil for plain FLUX
	Pictures []KeyValue // of an IP-Adapter, for each block, double ones first; nil for none

	// What doesn't change from step to step can be computed before the first.
	Embedded   bool  // Txt, here and in Entities, is EmbedText's result: [.., Dim]
	Modulation *Node // Modulation's result, in place of Timestep, Guidance and Vec

	// Trace, if not nil, receives intermediate results.
	Trace func(name string, value *Node)
}

// Velocity returns the model's prediction of noise − image, [B,C,h,w].
func Velocity(w nn.Weights, cfg Config, in Input) *Node {
	trace := in.Trace
	if trace == nil {
		trace = func(string, *Node) {}
	}
	dtype := w("img_in.weight").DType()
	dims := in.Latents.Shape().Dimensions
	b, h, wd := dims[0], dims[2]/Patch, dims[3]/Patch

	img := w.In("img_in").Linear(ConvertDType(patchify(in.Latents), dtype)) // [B,S,D]
	trace("x_embed", img)
	txt := joinText(w, cfg, in) // [B,T,D], entities first
	trace("ctx_embed", txt)

	mod := in.Modulation
	if mod == nil {
		mod = Modulation(w, cfg, embed(w, cfg, in.Timestep, in.Guidance, in.Vec, trace))
	}
	next := modulations(mod, b, cfg.Dim)

	r := rope(img.Graph(), cfg, h, wd, in.Origin)
	trace("rope_cos", r.cos)
	trace("rope_sin", r.sin)
	a := newAttention(cfg, in, txt.Shape().Dim(1), h*wd, r)
	if a.mask != nil {
		trace("attention_mask", a.mask)
	}

	some := slices.ContainsFunc(in.Entities, func(e Entities) bool { return e.Blocks != nil })
	at := func(block int) *attention {
		b := a
		if some {
			b = newAttention(cfg, in.within(block), a.text, h*wd, r)
		}
		return b.seeing(in.picture(block))
	}
	for i := range cfg.Double {
		img, txt = doubleBlock(w.In(fmt.Sprintf("double_blocks.%d", i)), at(i), img, txt, next)
		trace(fmt.Sprintf("double.%d.img", i), img)
		trace(fmt.Sprintf("double.%d.txt", i), txt)
	}
	if cfg.Single > 0 {
		x := Concatenate([]*Node{txt, img}, 1) // [B,L,D]
		for i := range cfg.Single - 1 {
			x = singleBlock(w.In(fmt.Sprintf("single_blocks.%d", i)), at(cfg.Double+i), x, next)
			trace(fmt.Sprintf("single.%d", i), x)
		}
		last := cfg.Single - 1
		img = lastSingleBlock(w.In(fmt.Sprintf("single_blocks.%d", last)), at(cfg.Double+last), x, next)
		trace(fmt.Sprintf("single.%d", last), img)
	}

	m := next(2)
	img = m[0].apply(nn.LayerNorm(img, epsilon))
	trace("final_norm", img)
	out := w.In("final_layer.linear").Linear(img) // [B,S,C·4]
	trace("final_proj", out)
	out = ConvertDType(unpatchify(out, h, wd), in.Latents.DType())
	trace("out", out)
	return out
}

func (in Input) picture(block int) *KeyValue {
	if in.Pictures == nil {
		return nil
	}
	return &in.Pictures[block]
}

// EmbedText projects T5 states [.., T, TextDim] to the transformer's width.
func EmbedText(w nn.Weights, txt *Node) *Node {
	return w.In("txt_in").Linear(ConvertDType(txt, w("txt_in.weight").DType()))
}

// joinText returns all text, entity by entity, then the global prompt: [B,T,D].
func joinText(w nn.Weights, cfg Config, in Input) *Node {
	var segments []*Node
	for _, e := range in.Entities {
		d := e.Txt.Shape().Dimensions
		segments = append(segments, Reshape(e.Txt, d[0], d[1]*d[2], d[3]))
	}
	txt := in.Txt
	if len(segments) > 0 {
		txt = Concatenate(append(segments, txt), 1)
	}
	if !in.Embedded {
		txt = EmbedText(w, txt)
	}
	return ConvertDType(txt, w("img_in.weight").DType())
}

// Embed returns the conditioning vector [B,Dim] of a timestep on the scale of 0 to
// 1000, the guidance scale (nil where the model has none) and the CLIP vector
// [B,PooledDim].
func Embed(w nn.Weights, cfg Config, timestep, guidance, vec *Node) *Node {
	return embed(w, cfg, timestep, guidance, vec, func(string, *Node) {})
}

func embed(w nn.Weights, cfg Config, timestep, guidance, vec *Node, trace func(string, *Node)) *Node {
	mlp := func(name string, x *Node) *Node {
		x = ConvertDType(x, w(name+".in_layer.weight").DType())
		return w.In(name + ".out_layer").Linear(nn.SiLU(w.In(name + ".in_layer").Linear(x)))
	}
	sum := mlp("time_in", nn.Sinusoid(timestep))
	trace("temb_time", sum)
	pooled := mlp("vector_in", vec)
	trace("temb_pooled", pooled)
	sum = Add(sum, pooled)
	if cfg.Guidance {
		if guidance == nil {
			panic(fmt.Errorf("flux: this variant takes a guidance scale, and was given none"))
		}
		g := mlp("guidance_in", nn.Sinusoid(MulScalar(ConvertDType(guidance, dtypes.Float32), 1000)))
		trace("temb_guidance", g)
		sum = Add(sum, g)
	}
	trace("temb", sum)
	return sum
}

// Modulation returns what shifts, scales and gates every block at a conditioning
// vector [B,Dim]: [B, (12·Double + 3·Single + 2)·Dim]. It knows nothing of
// image and text, so that the modulations of all steps can be had at once, with
// the steps as the batch.
func Modulation(w nn.Weights, cfg Config, vec *Node) *Node {
	vec = nn.SiLU(vec)
	var all []*Node
	for _, layer := range cfg.ModulationLayers() {
		all = append(all, w.In(layer).Linear(vec))
	}
	return Concatenate(all, -1)
}

// ModulationLayers lists the layers that Modulation puts together, in order.
func (c Config) ModulationLayers() (list []string) {
	for i := range c.Double {
		for _, stream := range []string{"img", "txt"} {
			list = append(list, fmt.Sprintf("double_blocks.%d.%s_mod.lin", i, stream))
		}
	}
	for i := range c.Single {
		list = append(list, fmt.Sprintf("single_blocks.%d.modulation.lin", i))
	}
	return append(list, "final_layer.adaLN_modulation.1")
}

// ModulationOf is one layer's share of Modulation, [B, n·Dim]; w is scoped to the layer.
func ModulationOf(w nn.Weights, vec *Node) *Node { return w.Linear(nn.SiLU(vec)) }

// A modulation is one adaptive layer norm, each part [B,1,D]; the final layer
// has no gate.
type modulation struct{ shift, scale, gate *Node }

func (m modulation) apply(x *Node) *Node {
	return Add(Mul(x, OnePlus(m.scale)), m.shift)
}

// modulations deals out Modulation's result in order: next(n) takes n parts of
// width dim, which are shift, scale and gate in turns.
func modulations(all *Node, batch, dim int) (next func(n int) []modulation) {
	at := 0
	return func(n int) (list []modulation) {
		var parts []*Node
		for range n {
			part := Slice(all, AxisRange(), AxisRange(at, at+dim))
			parts = append(parts, Reshape(part, batch, 1, dim))
			at += dim
		}
		for len(parts) >= 3 {
			list = append(list, modulation{parts[0], parts[1], parts[2]})
			parts = parts[3:]
		}
		if len(parts) > 0 {
			list = append(list, modulation{shift: parts[0], scale: parts[1]})
		}
		return list
	}
}

// doubleBlock: img [B,S,D] and txt [B,T,D] have weights of their own and meet
// in the attention.
func doubleBlock(w nn.Weights, a *attention, img, txt *Node, next func(int) []modulation) (_, _ *Node) {
	imgMod, txtMod := next(6), next(6)

	project := func(name string, x *Node, m modulation) regional.QKV {
		x = m.apply(nn.LayerNorm(x, epsilon))
		return a.heads(w.In(name), w.In(name+".qkv").Linear(x))
	}
	txtIn, imgIn := project("txt_attn", txt, txtMod[0]), project("img_attn", img, imgMod[0])
	txtOut, imgOut := a.attend(txtIn, imgIn, true)
	imgOut = a.addPicture(imgOut, func() *Node { return imgIn.Q })

	finish := func(name string, x, attended *Node, m []modulation) *Node {
		x = Add(x, Mul(m[0].gate, w.In(name+"_attn.proj").Linear(attended)))
		y := m[1].apply(nn.LayerNorm(x, epsilon))
		y = w.In(name + "_mlp.2").Linear(nn.GELUTanh(w.In(name + "_mlp.0").Linear(y)))
		return Add(x, Mul(m[1].gate, y))
	}
	return finish("img", img, imgOut, imgMod), finish("txt", txt, txtOut, txtMod)
}

// singleBlock: x [B,L,D] is text, then image; attention and MLP run side by side.
func singleBlock(w nn.Weights, a *attention, x *Node, next func(int) []modulation) *Node {
	m := next(3)[0]
	y := w.In("linear1").Linear(m.apply(nn.LayerNorm(x, epsilon))) // [B,L,3D+MLP]
	d := x.Shape().Dim(2)
	in := a.heads(w, Slice(y, AxisRange(), AxisRange(), AxisRange(0, 3*d)))
	txtIn, imgIn := in.Split(a.text)
	txt, img := a.attend(txtIn, imgIn, true)
	mlp := nn.GELUTanh(Slice(y, AxisRange(), AxisRange(), AxisRange(3*d)))
	attended := a.addPicture(Concatenate([]*Node{txt, img}, 1), func() *Node {
		return Concatenate([]*Node{txtIn.Q, a.rotation.apply(imgIn.Q)}, 1)
	})
	y = Concatenate([]*Node{attended, mlp}, -1)
	return Add(x, Mul(m.gate, w.In("linear2").Linear(y)))
}

// lastSingleBlock computes singleBlock where only the image [B,S,D] is still wanted: text
// rows need no more than keys and values.
func lastSingleBlock(w nn.Weights, a *attention, x *Node, next func(int) []modulation) *Node {
	m := next(3)[0]
	y := m.apply(nn.LayerNorm(x, epsilon))
	d := x.Shape().Dim(2)
	txt, img := regional.SplitRows(y, a.text)

	kv := func(rows *Node) *Node {
		return Slice(rows, AxisRange(d, 3*d))
	}
	txtKV := Add(nn.MatMulT(txt, kv(w("linear1.weight"))), ExpandLeftToRank(kv(w("linear1.bias")), 3)) // [B,T,2D]
	y = w.In("linear1").Linear(img)                                                                    // [B,S,3D+MLP]
	txtIn, imgIn := a.heads(w, txtKV), a.heads(w, Slice(y, AxisRange(), AxisRange(), AxisRange(0, 3*d)))
	_, attended := a.attend(txtIn, imgIn, false)
	attended = a.addPicture(attended, func() *Node { return a.rotation.apply(imgIn.Q) })
	mlp := nn.GELUTanh(Slice(y, AxisRange(), AxisRange(), AxisRange(3*d)))
	y = w.In("linear2").Linear(Concatenate([]*Node{attended, mlp}, -1))
	_, img = regional.SplitRows(x, a.text)
	return Add(img, Mul(m.gate, y))
}

// patchify makes tokens of 2×2 latents, row by row, channels outermost in a
// token: [B,C,h,w] → [B,(h/2)(w/2),C·4].
func patchify(x *Node) *Node {
	d := x.Shape().Dimensions
	h, w := d[2]/Patch, d[3]/Patch
	x = TransposeAllAxes(Reshape(x, d[0], d[1], h, Patch, w, Patch), 0, 2, 4, 1, 3, 5)
	return Reshape(x, d[0], h*w, d[1]*Patch*Patch)
}

// unpatchify undoes patchify for h×w tokens.
func unpatchify(x *Node, h, w int) *Node {
	d := x.Shape().Dimensions
	c := d[2] / (Patch * Patch)
	x = TransposeAllAxes(Reshape(x, d[0], h, w, c, Patch, Patch), 0, 3, 1, 4, 2, 5)
	return Reshape(x, d[0], c, h*Patch, w*Patch)
}

// rotation is a table of angles for the image tokens, [S,HeadDim/2], or
// [B,S,HeadDim/2] where they differ from sample to sample. Text tokens all are
// at position 0, where the rotation is the identity.
type rotation struct{ cos, sin *Node }

// rope returns the table for h×w tokens at positions (0, row, column), counted from
// origin, [B,2] or [B,P,2], which may be nil.
func rope(g *Graph, cfg Config, h, w int, origin *Node) rotation {
	n := cfg.HeadDim() / 2
	if origin != nil {
		return movedRope(cfg, h, w, origin)
	}
	table := func(f func(float64) float64) *Node {
		axis := func(size, features int) *Node {
			t := make([][]float32, size)
			for p := range t {
				for _, f0 := range ropeFrequencies(features) {
					t[p] = append(t[p], float32(f(float64(p)*f0)))
				}
			}
			return Const(g, t)
		}
		parts := []*Node{}
		for i, size := range []int{1, h, w} {
			features := cfg.Axes[i]
			if features == 0 {
				continue
			}
			t := axis(size, features)
			shape := []int{1, 1, features / 2}
			if i > 0 {
				shape[i-1] = size
			}
			parts = append(parts, BroadcastToDims(Reshape(t, shape...), h, w, features/2))
		}
		return Reshape(Concatenate(parts, -1), h*w, n)
	}
	return rotation{table(math.Cos), table(math.Sin)}
}

// movedRope computes rope with positions known only when the graph runs: in float32,
// which is good enough for training.
func movedRope(cfg Config, h, w int, origin *Node) rotation {
	if origin.Rank() == 3 {
		b, p, n := origin.Shape().Dim(0), origin.Shape().Dim(1), cfg.HeadDim()/2
		r := movedRope(cfg, h, w/p, Reshape(origin, b*p, 2))
		beside := func(x *Node) *Node { // [B·P,h·w/P,n] → [B,h·w,n]
			return Reshape(TransposeAllAxes(Reshape(x, b, p, h, w/p, n), 0, 2, 1, 3, 4), b, h*w, n)
		}
		return rotation{beside(r.cos), beside(r.sin)}
	}
	g := origin.Graph()
	b := origin.Shape().Dim(0)
	origin = ConvertDType(origin, dtypes.Float32)
	var parts []*Node
	for i, size := range []int{1, h, w} {
		features := cfg.Axes[i]
		if features == 0 {
			continue
		}
		at := Zeros(g, shapes.Make(dtypes.Float32, b, 1))
		if i > 0 {
			at = Add(Slice(origin, AxisRange(), AxisElem(i-1)), Iota(g, shapes.Make(dtypes.Float32, 1, size), 1)) // [B,size]
		}
		f := make([]float32, 0, features/2)
		for _, x := range ropeFrequencies(features) {
			f = append(f, float32(x))
		}
		angle := Mul(ExpandAxes(at, -1), Reshape(Const(g, f), 1, 1, -1)) // [B,size,features/2]
		shape := []int{b, 1, 1, features / 2}
		if i > 0 {
			shape[i] = size
		}
		parts = append(parts, BroadcastToDims(Reshape(angle, shape...), b, h, w, features/2))
	}
	angles := Reshape(Concatenate(parts, -1), b, h*w, cfg.HeadDim()/2)
	return rotation{Cos(angles), Sin(angles)}
}

// ropeFrequencies returns an axis' angles per position.
func ropeFrequencies(features int) []float64 {
	f := make([]float64, features/2)
	for j := range f {
		f[j] = math.Pow(10000, -float64(2*j)/float64(features))
	}
	return f
}

// apply rotates adjacent pairs of x [B,S,H,HeadDim], in float32.
func (r rotation) apply(x *Node) *Node {
	dtype, d := x.DType(), x.Shape().Dimensions
	f := Reshape(ConvertDType(x, dtypes.Float32), d[0], d[1], d[2], d[3]/2, 2)
	x0 := Slice(f, AxisRange(), AxisRange(), AxisRange(), AxisRange(), AxisElem(0))
	x1 := Slice(f, AxisRange(), AxisRange(), AxisRange(), AxisRange(), AxisElem(1))
	samples := r.cos.Shape().Size() / (d[1] * d[3] / 2)
	cos := Reshape(r.cos, samples, d[1], 1, d[3]/2, 1)
	sin := Reshape(r.sin, samples, d[1], 1, d[3]/2, 1)
	f = Concatenate([]*Node{
		Sub(Mul(cos, x0), Mul(sin, x1)),
		Add(Mul(sin, x0), Mul(cos, x1)),
	}, -1)
	return ConvertDType(Reshape(f, d...), dtype)
}
