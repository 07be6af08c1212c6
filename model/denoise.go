package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// A Transformer integrates latents with FLUX's velocity.
type Transformer struct {
	Config flux.Config
	Store  *Store
	Runner *Runner
	Images *ImageAdapter // that image prompts are read by; nil for none

	// Tiles, if not nil, is denoising tile by tile as the reference does: no entities,
	// and nothing that keeps the tiles of one picture alike.
	Tiles *eligen.Tiling
	// Tea is shown what each step's cache decided on each branch; may be nil.
	Tea func(step int, negative bool, s TeaStep)

	// Lean frees weights that the steps don't need before the first of them: the
	// modulations' are a quarter of FLUX.1, and are used once a picture.
	Lean bool
	// Later are graphs that will be wanted after this, to be compiled along with
	// the steps'.
	Later []errand
}

// Denoise follows the velocity along the schedule by Euler's method:
//
//	x ← x + v·(σᵢ₊₁ − σᵢ),   v = v₋ + cfg·(v₊ − v₋)
//
// v₊ is the prompt's velocity with the entities, v₋ that of the negative
// prompt, which isn't computed where CFG is 1 or Negative is nil. Embedded
// guidance goes to both. Latents [C,h,w] stay float32 between steps, and
// timesteps and guidance are not rounded to the weights' dtype before they are
// embedded; the reference rounds all three to bfloat16.
//
// What no step changes is computed once: the projected text, all steps'
// modulations, and the keys and values of image prompts.
func (t *Transformer) Denoise(ctx context.Context, d eligen.Denoise) (_ tensor.Tensor, err error) {
	defer catch("denoising", &err)
	if err := t.check(d); err != nil {
		return tensor.Tensor{}, err
	}
	steps := len(d.Sigmas) - 1
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	groups := groupEntities(d.Entities, nil)
	positive, err := t.prepare(d, d.Prompt, groups, d.ImagePrompts)
	if err != nil {
		return tensor.Tensor{}, err
	}
	defer positive.finalize()
	var negative *branch
	if d.Negative != nil && d.CFG != 1 {
		var groups []entityGroup
		if d.NegativeEntities {
			txt := d.Negative[eligen.Txt]
			groups = groupEntities(d.Entities, &txt)
		}
		if err := ctx.Err(); err != nil {
			return tensor.Tensor{}, err
		}
		negative, err = t.prepare(d, d.Negative, groups, d.NegativeImagePrompts)
		if err != nil {
			return tensor.Tensor{}, err
		}
		negative.negative = true
		defer negative.finalize()
	}
	if t.Lean {
		var names []string
		for name := range t.Store.shapes {
			if stepWeight(name) {
				names = append(names, name)
			}
		}
		if err := t.Store.Release(names...); err != nil {
			return tensor.Tensor{}, err
		}
	}

	errands := append(positive.errands(t.Store), t.Later...)
	if negative != nil {
		errands = append(errands, negative.errands(t.Store)...)
	}
	if err := t.Runner.compileAll(errands...); err != nil {
		return tensor.Tensor{}, err
	}

	x := tensor.Tensor{Shape: slices.Clone(d.Latents.Shape), Data: slices.Clone(d.Latents.Data)}
	for i := d.From; i < steps; i++ {
		if err := ctx.Err(); err != nil {
			return tensor.Tensor{}, err
		}
		v, err := t.predict(positive, x, i)
		if err != nil {
			return tensor.Tensor{}, err
		}
		if d.Fusion != nil && d.Fusion.Before {
			d.Fusion.Fuse(v.Data, x.Data, d.Sigmas[i])
		}
		if negative != nil {
			if err := ctx.Err(); err != nil {
				return tensor.Tensor{}, err
			}
			n, err := t.predict(negative, x, i)
			if err != nil {
				return tensor.Tensor{}, err
			}
			cfg := float32(d.CFG)
			for j, p := range v.Data {
				v.Data[j] = n.Data[j] + cfg*(p-n.Data[j])
			}
		}
		if d.Velocity != nil {
			d.Velocity(i, v.Data)
		}
		if d.Fusion != nil && !d.Fusion.Before {
			d.Fusion.Fuse(v.Data, x.Data, d.Sigmas[i])
		}
		dt := d.Sigmas[i+1] - d.Sigmas[i]
		sum := 0.0
		for j := range x.Data {
			x.Data[j] += v.Data[j] * dt
			sum += float64(x.Data[j])
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return tensor.Tensor{}, fmt.Errorf("step %d of %d: the model gave numbers that are not finite. Its weights or adapters may be damaged, or a scale too large", i+1, steps)
		}
		if d.Step != nil {
			d.Step(i+1, steps, x)
		}
	}
	return x, nil
}

// stepWeight reports whether a step's graph reads a weight.
func stepWeight(name string) bool {
	for _, p := range []string{"txt_in.", "time_in.", "guidance_in.", "vector_in.", "final_layer.adaLN_modulation."} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return !strings.Contains(name, "_mod.lin.") && !strings.Contains(name, ".modulation.lin.")
}

// check refuses what the graphs would fail on, or compute nonsense from.
func (t *Transformer) check(d eligen.Denoise) error {
	c := t.Config
	s := d.Latents.Shape
	if len(s) != 3 || s[0] != c.LatentChannels || s[1] <= 0 || s[2] <= 0 || s[1]%2 != 0 || s[2]%2 != 0 {
		return fmt.Errorf("latents have shape %v; this model takes [%d,h,w] with h and w even", s, c.LatentChannels)
	}
	if len(d.Sigmas) < 2 {
		return fmt.Errorf("a schedule of %d sigmas has no step", len(d.Sigmas))
	}
	if d.From < 0 || d.From >= len(d.Sigmas) {
		return fmt.Errorf("can't go on from step %d of %d", d.From, len(d.Sigmas)-1)
	}
	conditioning := func(what string, p eligen.Conditioning) error {
		if s := p[eligen.Txt].Shape; len(s) != 2 || s[0] == 0 || s[1] != c.TextDim {
			return fmt.Errorf("the %s's text has shape %v; this model takes [tokens,%d]", what, s, c.TextDim)
		}
		if n := len(p[eligen.Vec].Data); n != c.PooledDim {
			return fmt.Errorf("the %s's vector has %d numbers; this model takes %d", what, n, c.PooledDim)
		}
		return nil
	}
	if err := conditioning("prompt", d.Prompt); err != nil {
		return err
	}
	if d.Negative != nil {
		if err := conditioning("negative prompt", d.Negative); err != nil {
			return err
		}
	}
	if math.IsNaN(d.TeaCache) || d.TeaCache < 0 {
		return fmt.Errorf("a step cache has the threshold %v; it must be a number above 0, or 0 for none", d.TeaCache)
	}
	if d.TeaCache != 0 && c.Double == 0 {
		return fmt.Errorf("a step cache looks at the first double block, and this model has none")
	}
	if err := t.checkTiles(d); err != nil {
		return err
	}
	for _, prompts := range [][]eligen.ImagePrompt{d.ImagePrompts, d.NegativeImagePrompts} {
		if err := t.Images.check(prompts, c); err != nil {
			return err
		}
	}
	if p := d.Fusion; p != nil && (!slices.Equal(p.Picture.Shape, s) || len(p.Paint) != s[1]*s[2]) {
		return fmt.Errorf("the picture to keep has latents of shape %v and a mask of %d; the latents to denoise have %v", p.Picture.Shape, len(p.Paint), s)
	}
	image := s[1] / 2 * (s[2] / 2)
	for i, e := range d.Entities {
		if s := e.Prompt[eligen.Txt].Shape; len(s) != 2 || s[0] == 0 || s[1] != c.TextDim {
			return fmt.Errorf("entity %d's text has shape %v; this model takes [tokens,%d]", i, s, c.TextDim)
		}
		if e.Bucket != 0 && e.Bucket < len(e.Tokens) {
			return fmt.Errorf("entity %d's region of %d tokens doesn't fit into %d", i, len(e.Tokens), e.Bucket)
		}
		for j, n := range e.Tokens {
			if n < 0 || int(n) >= image || j > 0 && n <= e.Tokens[j-1] {
				return fmt.Errorf("entity %d's region has token %d; tokens must ascend, from 0 to %d", i, n, image-1)
			}
		}
		if math.IsNaN(e.Strength) || e.Strength < 0 || math.IsInf(e.Strength, 0) {
			return fmt.Errorf("entity %d has the strength %v; it must be a number from 0", i, e.Strength)
		}
	}
	return nil
}

// An entityGroup is entities that one tensor holds.
type entityGroup struct {
	length, bucket int
	strong         bool // one of them has another strength than 1
	entities       []eligen.EntityConditioning
}

// mergedRows is how many rows of padding are taken for one group fewer.
const mergedRows = 128

// groupEntities puts entities of one text length and bucket together, in an
// order that doesn't depend on their own. Those without a token are left out,
// since nothing attends to them. txt, if not nil, replaces their text.
func groupEntities(all []eligen.EntityConditioning, txt *tensor.Tensor) []entityGroup {
	var groups []entityGroup
	for _, e := range all {
		if len(e.Tokens) == 0 {
			continue
		}
		if txt != nil {
			e.Prompt = eligen.Conditioning{eligen.Txt: *txt}
		}
		length := e.Prompt[eligen.Txt].Shape[0]
		e.Bucket = max(e.Bucket, len(e.Tokens))
		i := slices.IndexFunc(groups, func(g entityGroup) bool { return g.length == length && g.bucket == e.Bucket })
		if i < 0 {
			i = len(groups)
			groups = append(groups, entityGroup{length: length, bucket: e.Bucket})
		}
		groups[i].strong = groups[i].strong || e.Strength != 1
		groups[i].entities = append(groups[i].entities, e)
	}
	slices.SortFunc(groups, func(a, b entityGroup) int {
		if a.length != b.length {
			return a.length - b.length
		}
		return a.bucket - b.bucket
	})
	// Every group is a part of each block's graph, to compile and to launch:
	// padding a small region to a larger one's size costs less.
	for i := len(groups) - 2; i >= 0; i-- {
		a, b := groups[i], groups[i+1]
		if a.length != b.length || len(a.entities)*(b.bucket-a.bucket) > mergedRows {
			continue
		}
		a.bucket, a.strong, a.entities = b.bucket, a.strong || b.strong, append(a.entities, b.entities...)
		groups[i] = a
		groups = slices.Delete(groups, i+1, i+2)
	}
	for i := range groups {
		for j := range groups[i].entities {
			groups[i].entities[j].Bucket = groups[i].bucket
		}
	}
	return groups
}

// A branch is one of the two sides of guidance, ready for the steps: what they
// share is on the backend.
type branch struct {
	parts    parts
	txt      []*tensors.Tensor // the global prompt's [1,T,Dim], then each group's [1,N,Te,Dim]
	mods     [][]byte          // of each step, [1,M] in the weights' dtype
	marks    []*tensors.Tensor // of each group: tokens, and strengths where they are needed
	pictures []*tensors.Tensor // of each block: keys and values [1,T,H,HeadDim] of image prompts; nil for none
	tea      *teaCache         // nil: every step runs the blocks
	negative bool
}

// kept are the inputs of a block's graph that are there for all steps.
func (b *branch) kept(block int) []*tensors.Tensor {
	if b.pictures == nil {
		return b.marks
	}
	return append(slices.Clone(b.pictures[2*block:2*block+2]), b.marks...)
}

func (b *branch) finalize() {
	for _, t := range slices.Concat(b.marks, b.txt, b.pictures) {
		// The picture is done; a leak would show in the next one.
		_ = t.FinalizeAll()
	}
	if b.tea != nil {
		b.tea.finalize()
	}
}

// configName tells graphs of different configurations apart.
func configName(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // configurations are plain structs
	}
	return string(b)
}

// prepare projects a branch's text and computes the modulations of all steps in
// one graph: inputs timesteps [K], guidance [K], vec [K,P], txt [1,T,D] and one
// text [1,N,Te,D] a group.
func (t *Transformer) prepare(d eligen.Denoise, p eligen.Conditioning, groups []entityGroup, images []eligen.ImagePrompt) (_ *branch, err error) {
	cfg, steps := t.Config, len(d.Sigmas)-1
	timesteps, guidance, vec := tensor.New(steps), tensor.New(steps), tensor.New(steps, cfg.PooledDim)
	for i := range steps {
		timesteps.Data[i] = 1000 * d.Sigmas[i]
		guidance.Data[i] = float32(d.Guidance)
		copy(vec.Data[i*cfg.PooledDim:], p[eligen.Vec].Data)
	}
	inputs := []*tensors.Tensor{upload(timesteps), upload(guidance), upload(vec), upload(p[eligen.Txt], 1)}
	for _, g := range groups {
		txt := tensor.New(len(g.entities), g.length, cfg.TextDim)
		for i, e := range g.entities {
			copy(txt.Data[i*g.length*cfg.TextDim:], e.Prompt[eligen.Txt].Data)
		}
		inputs = append(inputs, upload(txt, 1))
	}
	out, err := t.Runner.Run(Graph{
		Name: "conditioning " + configName(cfg),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			g := in[1]
			if !cfg.Guidance {
				g = nil
			}
			out := []*graph.Node{flux.Modulation(w, cfg, flux.Embed(w, cfg, in[0], g, in[2]))}
			for _, txt := range in[3:] {
				out = append(out, flux.EmbedText(w, txt))
			}
			return out
		},
	}, t.Store, inputs...)
	if err != nil {
		return nil, err
	}
	rows, columns := t.tile(d.Latents.Shape[1])/2, t.tile(d.Latents.Shape[2])/2
	b := &branch{txt: out[1:], parts: parts{config: cfg, rows: rows, columns: columns, dtype: out[0].DType()}}
	err = out[0].ConstBytes(func(data []byte) {
		size := len(data) / steps
		for i := range steps {
			b.mods = append(b.mods, slices.Clone(data[i*size:(i+1)*size]))
		}
	})
	err = errors.Join(err, out[0].FinalizeAll())
	if d.TeaCache != 0 {
		b.tea = &teaCache{threshold: d.TeaCache}
	}
	for _, g := range groups {
		n := len(g.entities)
		tokens := make([]int32, 0, n*g.bucket)
		logs := make([]float32, n)
		for j, e := range g.entities {
			tokens = append(tokens, e.Tokens...)
			for len(tokens) < (j+1)*g.bucket {
				tokens = append(tokens, int32(rows*columns))
			}
			logs[j] = float32(math.Log(e.Strength))
		}
		b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(tokens, 1, n, g.bucket))
		if g.strong {
			b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(logs, 1, n))
		}
		b.parts.groups = append(b.parts.groups, partGroup{g.length, g.strong})
	}
	if len(images) > 0 && err == nil {
		b.parts.pictures = true
		b.pictures, err = t.Images.keysValues(images, cfg, b.parts.dtype, t.Lean)
	}
	if err != nil {
		b.finalize()
		return nil, err
	}
	return b, nil
}

// parts are the graphs of one step of a branch. Branches of equal shapes have
// equal graphs.
type parts struct {
	config        flux.Config
	rows, columns int // of image tokens
	dtype         dtypes.DType
	groups        []partGroup
	pictures      bool // there are image prompts
}

type partGroup struct {
	length int // of its entities' text
	strong bool
}

func (p parts) name(kind string) string {
	name := fmt.Sprintf("%s %s %d×%d %v", kind, configName(p.config), p.rows, p.columns, p.groups)
	if p.pictures {
		name += " pictures"
	}
	return name
}

// blocks reads a block's last inputs: keys and values of the image prompts, if
// there are any, and the marks of the groups: tokens [1,N,K], and, where strong,
// logarithms of strengths [1,N].
func (p parts) blocks(marks []*graph.Node) flux.Blocks {
	b := flux.Blocks{Config: p.config, Rows: p.rows, Columns: p.columns}
	if p.pictures {
		b.Picture = &flux.KeyValue{K: marks[0], V: marks[1]}
		marks = marks[2:]
	}
	for _, g := range p.groups {
		e := flux.Entities{TextLength: g.length, Tokens: marks[0]}
		marks = marks[1:]
		if g.strong {
			e.LogStrength, marks = marks[0], marks[1:]
		}
		b.Entities = append(b.Entities, e)
	}
	return b
}

// begin is latents [1,C,h,w], texts → img, txt.
func (p parts) begin() Graph {
	return Graph{Name: p.name("begin"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		img, txt := flux.Blocks{Config: p.config}.Begin(w, in[0], in[1], in[2:])
		return []*graph.Node{img, txt}
	}}
}

// double is img, txt, modulation [1,12·Dim], kept → img, txt.
func (p parts) double(i int) Graph {
	return Graph{Name: p.name("double"), Scope: fmt.Sprintf("double_blocks.%d.", i), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		img, txt := p.blocks(in[3:]).Double(w, in[0], in[1], in[2])
		return []*graph.Node{img, txt}
	}}
}

// single is img, txt, modulation [1,3·Dim], kept → img, txt.
func (p parts) single(i int) Graph {
	return Graph{Name: p.name("single"), Scope: fmt.Sprintf("single_blocks.%d.", i), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		img, txt := p.blocks(in[3:]).Single(w, in[0], in[1], in[2])
		return []*graph.Node{img, txt}
	}}
}

// end is img, modulation [1,2·Dim] → velocity [1,C,h,w] float32.
func (p parts) end() Graph {
	return Graph{Name: p.name("end"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		b := flux.Blocks{Config: p.config, Rows: p.rows, Columns: p.columns}
		return []*graph.Node{graph.ConvertDType(b.End(w, in[0], in[1]), dtypes.Float32)}
	}}
}

// errands are all graphs of a branch's steps, for compiling before the first.
func (b *branch) errands(s *Store) []errand {
	p, dim := b.parts, b.parts.config.Dim
	begin := []shapes.Shape{shapes.Make(dtypes.Float32, 1, p.config.LatentChannels, 2*p.rows, 2*p.columns)}
	text := b.txt[0].Shape().Dim(1)
	for _, t := range b.txt {
		begin = append(begin, t.Shape())
	}
	for _, t := range b.txt[1:] {
		text += t.Shape().Dim(1) * t.Shape().Dim(2)
	}
	img, txt := shapes.Make(p.dtype, 1, p.rows*p.columns, dim), shapes.Make(p.dtype, 1, text, dim)
	block := func(modulation int) []shapes.Shape {
		in := []shapes.Shape{img, txt, shapes.Make(p.dtype, 1, modulation*dim)}
		for _, t := range b.kept(0) {
			in = append(in, t.Shape())
		}
		return in
	}
	out := []errand{{p.begin(), s, begin}, {p.end(), s, []shapes.Shape{img, shapes.Make(p.dtype, 1, 2*dim)}}}
	if b.tea != nil {
		latents := begin[0]
		out = append(out, errand{p.modulated(), s, []shapes.Shape{latents, shapes.Make(p.dtype, 1, 12*dim)}},
			errand{p.change(), s, []shapes.Shape{img, img}},
			errand{p.added(), s, []shapes.Shape{latents, img}}, errand{p.reused(), s, []shapes.Shape{latents, img}})
	}
	if p.config.Double > 0 {
		out = append(out, errand{p.double(0), s, block(12)})
	}
	if p.config.Single > 0 {
		out = append(out, errand{p.single(0), s, block(3)})
	}
	return out
}

// predict is the velocity of one branch in step i.
func (t *Transformer) predict(b *branch, x tensor.Tensor, i int) (tensor.Tensor, error) {
	if t.Tiles != nil {
		return t.tiled(b, x, i)
	}
	return t.velocity(b, x, i)
}

// velocity runs one branch of step i.
func (t *Transformer) velocity(b *branch, x tensor.Tensor, i int) (tensor.Tensor, error) {
	img, err := t.image(b, x, i)
	if err != nil {
		return tensor.Tensor{}, err
	}
	c := b.parts.config
	m, err := t.modulation(b, i, 12*c.Double+3*c.Single, 2)
	if err != nil {
		return tensor.Tensor{}, err
	}
	out, err := t.Runner.Run(b.parts.end(), t.Store, img, m)
	if err != nil {
		return tensor.Tensor{}, err
	}
	return download(out[0], x.Shape...)
}

// image is the last block's image [1,S,Dim] in step i, or the step cache's.
func (t *Transformer) image(b *branch, x tensor.Tensor, i int) (*tensors.Tensor, error) {
	if b.tea == nil {
		return t.blocks(b, x, i)
	}
	m, err := t.modulation(b, i, 0, 12)
	if err != nil {
		return nil, err
	}
	s, err := b.tea.decide(t, b.parts, x, m, i, len(b.mods))
	if err != nil {
		return nil, err
	}
	if t.Tea != nil {
		t.Tea(i, b.negative, s)
	}
	if s.Reused {
		return b.tea.reuse(t, b.parts, x)
	}
	img, err := t.blocks(b, x, i)
	if err != nil {
		return nil, err
	}
	return img, b.tea.keep(t, b.parts, x, img)
}

// modulation is n parts of step i's modulations, from part at on: [1,n·Dim].
func (t *Transformer) modulation(b *branch, i, at, n int) (*tensors.Tensor, error) {
	part := int(shapes.Make(b.parts.dtype, 1, b.parts.config.Dim).ByteSize())
	return tensors.FromRaw(t.Runner.Backend, 0, shapes.Make(b.parts.dtype, 1, n*b.parts.config.Dim), b.mods[i][at*part:(at+n)*part])
}

// blocks runs all blocks of one branch in step i.
func (t *Transformer) blocks(b *branch, x tensor.Tensor, i int) (img *tensors.Tensor, err error) {
	p := b.parts
	out, err := t.Runner.runKeeping(p.begin(), t.Store, []*tensors.Tensor{upload(x, 1)}, b.txt)
	if err != nil {
		return nil, err
	}
	number, at := 0, 0
	block := func(g Graph, parts int) error {
		m, err := t.modulation(b, i, at, parts)
		if err != nil {
			return err
		}
		out, err = t.Runner.runKeeping(g, t.Store, append(out, m), b.kept(number))
		number, at = number+1, at+parts
		return err
	}
	for i := range p.config.Double {
		if err := block(p.double(i), 12); err != nil {
			return nil, err
		}
	}
	for i := range p.config.Single {
		if err := block(p.single(i), 3); err != nil {
			return nil, err
		}
	}
	return out[0], out[1].FinalizeAll() // nothing reads the text any more
}
