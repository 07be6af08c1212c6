package qwen

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/weights"
)

// DiT is a model's transformer, as an engine holds it.
type DiT struct {
	Config qwen.Config
	Loader weights.Loader
	family.Numbers
	Digest eligen.Digest // of the weights
}

var _ family.Transformer = (*DiT)(nil)

// Weights returns what its weights are read from.
func (p *DiT) Weights() weights.Loader { return p.Loader }

// Held returns weights as they are held in memory: of integers, the matrices of its blocks that
// steps read. Modulations are read once a picture.
func (p *DiT) Held(over weights.Loader) (weights.Loader, error) {
	key := p.Digest
	if over != p.Loader {
		key = "" // LoRAs are in it
	}
	return weights.Integers(over, p.Rows, func(name string) bool {
		return strings.HasPrefix(name, "transformer_blocks.") && strings.HasSuffix(name, ".weight") && !strings.Contains(name, ".norm_") &&
			stepWeight(name)
	}, key)
}

// DType returns what it computes in.
func (p *DiT) DType() dtypes.DType { return p.Numbers.DType }

// Shape returns its sizes.
func (p *DiT) Shape() family.Shape {
	c := p.Config
	return family.Shape{
		Dim: c.Dim, MLP: c.MLP(), Heads: c.Heads, Double: c.Layers, TokenDim: c.PatchDim(), Scores: regional.AtOnce, Layered: true,
	}
}

// Scopes lists its blocks.
func (p *DiT) Scopes() []string { return scopes(p.Config) }

func scopes(c qwen.Config) (list []string) {
	for i := range c.Layers {
		list = append(list, qwen.Scope(i)+".")
	}
	return list
}

// StepWeight reports whether a step's graph reads a weight.
func (*DiT) StepWeight(name string) bool { return stepWeight(name) }

func stepWeight(name string) bool {
	for _, p := range []string{"txt_norm.", "txt_in.", "time_text_embed.", "norm_out."} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return !strings.Contains(name, ".img_mod.") && !strings.Contains(name, ".txt_mod.")
}

// Begin prepares a picture's two branches.
func (p *DiT) Begin(ctx context.Context, h family.Host, w family.Work) (sample.Branch, sample.Branch, error) {
	t := &Transformer{Config: p.Config, Runner: h.Runner(), Precompile: w.Precompile, Room: w.Room}
	if w.Images != nil {
		return nil, nil, errors.New("Qwen-Image takes no image prompts. This is a bug in eligen")
	}
	var err error
	if t.Store, err = w.Store(); err != nil {
		return nil, nil, err
	}
	t.Lean, t.Packed = h.Lean(t.Store), !h.Unpacks(t.Store)
	return t.Begin(ctx, w.Denoise)
}

// A Transformer integrates latents with Qwen-Image's velocity.
type Transformer struct {
	Config qwen.Config
	Store  *exec.Store
	Runner *exec.Runner

	Context []tensor.Tensor // latents [C,h,w] of pictures that are seen along, as Qwen-Image's in-context LoRAs do

	Packed     bool  // weights of fewer bits in the files are held as they are stored
	Lean       bool  // weights that the steps don't need go before the first of them
	Room       int64 // bytes that weights of steps may take; 0 is no limit
	Precompile []exec.CompileRequest
}

// Begin prepares both sides of guidance: that of the prompt with the entities, and that of the
// negative prompt, which is nil where CFG is 1 or there is none. What no step changes is computed
// here: the projected text, and all steps' modulations.
func (t *Transformer) Begin(ctx context.Context, d eligen.Denoise) (_, _ sample.Branch, err error) {
	defer panics.Catch("preparing the steps", &err)
	if err := t.check(d); err != nil {
		return nil, nil, err
	}
	positive, err := t.prepare(ctx, d, d.Prompt, group(d.Entities, nil))
	if err != nil {
		return nil, nil, err
	}
	sides := []*branch{positive}
	if d.Negative != nil && d.CFG != 1 {
		var groups []entityGroup
		if d.NegativeEntities {
			groups = group(d.Entities, d.Negative)
		}
		if len(d.Against) > 0 {
			groups = group(d.Against, nil)
		}
		negative, err := t.prepare(ctx, d, d.Negative, groups)
		if err != nil {
			positive.Close()
			return nil, nil, err
		}
		// Modulations know nothing of the text: one side's are the other's.
		negative.mods, sides = positive.mods, append(sides, negative)
	}
	if err := t.ready(ctx, d, sides); err != nil {
		for _, b := range sides {
			b.Close()
		}
		return nil, nil, err
	}
	if len(sides) == 1 {
		return positive, nil, nil
	}
	return positive, sides[1], nil
}

// check refuses what the graphs would fail on, or compute nonsense from.
func (t *Transformer) check(d eligen.Denoise) error {
	if len(d.ImagePrompts)+len(d.NegativeImagePrompts) > 0 || d.TeaCache != 0 || d.Guidance != 0 {
		return errors.New("Qwen-Image takes no image prompts, step cache and embedded guidance. This is a bug in eligen")
	}
	if err := sample.Check(d, eligen.Geometry{Channels: t.Config.LatentChannels, Patch: qwen.Patch}); err != nil {
		return err
	}
	return sample.CheckTexts(d, t.Config.TextDim)
}

// ready makes the modulations, frees what the steps don't need, and compiles what they do.
func (t *Transformer) ready(ctx context.Context, d eligen.Denoise, sides []*branch) error {
	mods, err := t.modulations(ctx, d.Sigmas[:len(d.Sigmas)-1])
	if err != nil {
		return err
	}
	if t.Lean {
		if err := t.Store.ReleaseExcept(stepWeight); err != nil {
			return err
		}
	}
	plan := t.Store.Plan(scopes(t.Config), stepWeight, t.Room, !t.Packed)
	if err := t.Store.Stream(plan, scopes(t.Config), stepWeight); err != nil {
		return err
	}
	requests := t.Precompile
	for _, b := range sides {
		b.mods = mods
		requests = append(requests, b.requests(t.Store)...)
	}
	return t.Runner.CompileAll(requests...)
}

// modulations returns each step's modulations in the weights' dtype: of each block the image's and the
// text's 6·Dim, then 2·Dim of the last norm. They are made layer by layer: lean, a layer's weights go
// before the next one's come.
func (t *Transformer) modulations(ctx context.Context, sigmas []float32) (mods [][]byte, err error) {
	c, steps := t.Config, len(sigmas)
	timesteps := tensor.New(steps)
	for i, s := range sigmas {
		timesteps.Data[i] = 1000 * s
	}
	out, err := t.Runner.Run(exec.Graph{Name: "qwen-time " + exec.ConfigName(c), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{qwen.Time(w, in[0])}
	}}, t.Store, exec.Upload(timesteps))
	if err != nil {
		return nil, err
	}
	vec := out[0]
	defer func() { err = errors.Join(err, vec.FinalizeAll()) }()
	mods = make([][]byte, steps)
	add := func(g exec.Graph) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := t.Runner.RunKeeping(g, t.Store, nil, []*tensors.Tensor{vec})
		if err != nil {
			return err
		}
		err = out[0].ConstBytes(func(data []byte) {
			size := len(data) / steps
			for i := range mods {
				mods[i] = append(mods[i], data[i*size:(i+1)*size]...)
			}
		})
		if err = errors.Join(err, out[0].FinalizeAll()); err == nil && t.Lean {
			err = t.Store.ReleaseExcept(stepWeight)
		}
		return err
	}
	for i := range c.Layers {
		err := add(exec.Graph{Name: "qwen-modulation " + exec.ConfigName(c), Scope: qwen.Scope(i) + ".",
			Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
				return []*graph.Node{graph.Concatenate([]*graph.Node{qwen.Modulation(w, "img_mod", in[0]), qwen.Modulation(w, "txt_mod", in[0])}, -1)}
			}})
		if err != nil {
			return nil, err
		}
	}
	final := func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{qwen.FinalModulation(w, in[0])}
	}
	return mods, add(exec.Graph{Name: "qwen-final-modulation " + exec.ConfigName(c), Build: final})
}

// An entityGroup is entities that one tensor holds.
type entityGroup struct {
	text, bucket int // tokens that texts and regions are padded to
	strong       bool
	layered      bool // they lie over one another
	entities     []eligen.EntityConditioning
}

// textStep is what the length of an entity's text is rounded up to: each length is a graph to compile.
const textStep = 16

// group puts entities of one padded text length and region size together, in an order that doesn't
// depend on their own. Those without a token are left out, since nothing attends to them. text, if not
// nil, replaces their prompts.
func group(all []eligen.EntityConditioning, text eligen.Conditioning) (groups []entityGroup) {
	for _, e := range all {
		if len(e.Tokens) == 0 {
			continue
		}
		if text != nil {
			e.Prompt = text
		}
		length := (e.Prompt[eligen.Txt].Shape[0] + textStep - 1) / textStep * textStep
		bucket := max(e.Bucket, len(e.Tokens))
		i := slices.IndexFunc(groups, func(g entityGroup) bool { return g.text == length && g.bucket == bucket })
		if i < 0 {
			i = len(groups)
			groups = append(groups, entityGroup{text: length, bucket: bucket})
		}
		groups[i].strong = groups[i].strong || e.Strength != 1
		groups[i].layered = e.Share != nil
		groups[i].entities = append(groups[i].entities, e)
	}
	slices.SortFunc(groups, func(a, b entityGroup) int {
		if a.text != b.text {
			return a.text - b.text
		}
		return a.bucket - b.bucket
	})
	return groups
}

// A branch is one of the two sides of guidance, ready for the steps: what they share is on the backend.
type branch struct {
	t      *Transformer
	shape  stepShape
	dtype  dtypes.DType
	txt    *tensors.Tensor   // all text, embedded: [1,T,Dim]
	marks  []*tensors.Tensor // of each group: tokens, text lengths, and strengths where they are needed
	others []*tensors.Tensor // of Context
	mods   [][]byte          // of each step
}

// A stepShape is what graphs of steps are compiled for.
type stepShape struct {
	Grids  []qwen.Grid
	Global int
	Groups []groupShape
}

type groupShape struct {
	N, Text int
	Strong  bool
	Layered bool `json:",omitempty"`
}

// prepare projects a branch's text, and uploads what tells regions.
func (t *Transformer) prepare(ctx context.Context, d eligen.Denoise, p eligen.Conditioning, groups []entityGroup) (_ *branch, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	width := t.Config.TextDim
	b := &branch{t: t, shape: stepShape{Global: p[eligen.Txt].Shape[0]}}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	image := 0
	for _, x := range append([]tensor.Tensor{d.Latents}, t.Context...) {
		g := qwen.Grid{Rows: x.Shape[1] / qwen.Patch, Columns: x.Shape[2] / qwen.Patch}
		b.shape.Grids, image = append(b.shape.Grids, g), image+g.Tokens()
	}
	for _, x := range t.Context {
		b.others = append(b.others, exec.Upload(x, 1))
	}
	all := tensor.Tensor{Shape: []int{0, width}}
	add := func(x tensor.Tensor, rows int) {
		all.Data = append(append(all.Data, x.Data...), make([]float32, (rows-x.Shape[0])*width)...)
		all.Shape[0] += rows
	}
	for _, g := range groups {
		for _, e := range g.entities {
			add(e.Prompt[eligen.Txt], g.text)
		}
		b.mark(g, image)
	}
	add(p[eligen.Txt], b.shape.Global)
	embed := func(w nn.Weights, in []*graph.Node) []*graph.Node { return []*graph.Node{qwen.EmbedText(w, in[0])} }
	out, err := t.Runner.Run(exec.Graph{Name: "qwen-embed " + exec.ConfigName(t.Config), Build: embed}, t.Store, exec.Upload(all, 1))
	if err != nil {
		return nil, err
	}
	b.txt, b.dtype = out[0], out[0].DType()
	return b, nil
}

// mark uploads the tokens of a group's regions, the lengths of its texts, and strengths where they are needed.
func (b *branch) mark(g entityGroup, image int) {
	n, own := len(g.entities), b.shape.Grids[0].Tokens()
	// The reference repeats a region over pictures of the same size.
	repeats := 1
	for _, x := range b.shape.Grids[1:] {
		if x == b.shape.Grids[0] {
			repeats++
		}
	}
	bucket := g.bucket * repeats
	tokens := make([]int32, 0, n*bucket)
	lengths, logs := make([]int32, n), make([]float32, n)
	share, seen := make([]float32, n*bucket), slices.Repeat([]float32{1}, n*bucket)
	for i, e := range g.entities {
		for j := range repeats {
			for _, t := range e.Tokens {
				tokens = append(tokens, t+int32(j*own))
			}
			copy(share[i*bucket+j*len(e.Tokens):], e.Share)
			copy(seen[i*bucket+j*len(e.Tokens):], e.Seen)
		}
		for len(tokens) < (i+1)*bucket {
			tokens = append(tokens, int32(image))
		}
		lengths[i], logs[i] = int32(e.Prompt[eligen.Txt].Shape[0]), float32(math.Log(e.Strength))
	}
	b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(tokens, 1, n, bucket), tensors.FromFlatDataAndDimensions(lengths, 1, n))
	if g.strong {
		b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(logs, 1, n))
	}
	if g.layered {
		b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(share, 1, n, bucket), tensors.FromFlatDataAndDimensions(seen, 1, n, bucket))
	}
	b.shape.Groups = append(b.shape.Groups, groupShape{n, g.text, g.strong, g.layered})
}

// Close frees the tensors that the steps share.
func (b *branch) Close() {
	all := slices.Concat(b.marks, b.others)
	if b.txt != nil {
		all = append(all, b.txt)
	}
	for _, t := range all {
		// The picture is done; a leak would show in the next one.
		_ = t.FinalizeAll()
	}
	_ = b.t.Store.Settle() // as above
}

func (b *branch) name(kind string) string {
	return kind + " " + exec.ConfigName(b.t.Config) + " " + exec.ConfigName(b.shape)
}

// blocks reads a block's last inputs, the marks of the groups.
func (b *branch) blocks(marks []*graph.Node) qwen.Blocks {
	out := qwen.Blocks{Config: b.t.Config, Grids: b.shape.Grids, Global: b.shape.Global}
	for _, g := range b.shape.Groups {
		x := qwen.Group{N: g.N, Text: g.Text, Tokens: marks[0], Lengths: marks[1]}
		if marks = marks[2:]; g.Strong {
			x.LogStrength, marks = marks[0], marks[1:]
		}
		if g.Layered {
			x.Share, x.Seen, marks = marks[0], marks[1], marks[2:]
		}
		out.Groups = append(out.Groups, x)
	}
	return out
}

// begin maps latents, text, other latents → img, txt.
func (b *branch) begin() exec.Graph {
	return exec.Graph{Name: b.name("qwen-begin"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		blocks := b.blocksOf()
		img := []*graph.Node{blocks.Image(w, in[0])}
		for _, x := range in[2:] {
			img = append(img, blocks.Image(w, x))
		}
		return []*graph.Node{graph.Concatenate(img, 1), graph.Identity(in[1])}
	}}
}

func (b *branch) blocksOf() qwen.Blocks { return qwen.Blocks{Config: b.t.Config, Grids: b.shape.Grids} }

// block maps img, txt, modulation [1,12·Dim], marks → img, txt.
func (b *branch) block(i int) exec.Graph {
	return exec.Graph{Name: b.name("qwen-block"), Scope: qwen.Scope(i) + ".", Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		mods := graph.Split(in[2], -1, 2)
		img, txt := b.blocks(in[3:]).Block(w, in[0], in[1], mods[0], mods[1])
		return []*graph.Node{img, txt}
	}}
}

// end maps img, modulation [1,2·Dim] → velocity.
func (b *branch) end() exec.Graph {
	return exec.Graph{Name: b.name("qwen-end"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(b.blocksOf().End(w, in[0], in[1]), dtypes.Float32)}
	}}
}

// requests returns all graphs of a branch's steps, to compile before the first.
func (b *branch) requests(s *exec.Store) []exec.CompileRequest {
	c, g := b.t.Config, b.shape.Grids[0]
	all := 0
	for _, x := range b.shape.Grids {
		all += x.Tokens()
	}
	begin := []shapes.Shape{shapes.Make(dtypes.Float32, 1, c.LatentChannels, qwen.Patch*g.Rows, qwen.Patch*g.Columns), b.txt.Shape()}
	for _, x := range b.others {
		begin = append(begin, x.Shape())
	}
	img := shapes.Make(b.dtype, 1, all, c.Dim)
	block := []shapes.Shape{img, b.txt.Shape(), shapes.Make(b.dtype, 1, 12*c.Dim)}
	for _, m := range b.marks {
		block = append(block, m.Shape())
	}
	return []exec.CompileRequest{b.begin().Request(s, begin...), b.block(0).Request(s, block...),
		b.end().Request(s, img, shapes.Make(b.dtype, 1, 2*c.Dim))}
}

// Velocity returns the branch's velocity in step i.
func (b *branch) Velocity(x tensor.Tensor, i int) (_ tensor.Tensor, err error) {
	defer panics.Catch("a step", &err)
	r, s, c := b.t.Runner, b.t.Store, b.t.Config
	modulation := func(at, n int) (*tensors.Tensor, error) {
		size := int(shapes.Make(b.dtype, c.Dim).ByteSize())
		return tensors.FromRaw(r.Backend, 0, shapes.Make(b.dtype, 1, n*c.Dim), b.mods[i][at*size:(at+n)*size])
	}
	out, err := r.RunKeeping(b.begin(), s, []*tensors.Tensor{exec.Upload(x, 1)}, append([]*tensors.Tensor{b.txt}, b.others...))
	if err != nil {
		return tensor.Tensor{}, err
	}
	for n := range c.Layers {
		m, err := modulation(12*n, 12)
		if err != nil {
			return tensor.Tensor{}, err
		}
		if out, err = r.RunKeeping(b.block(n), s, append(out, m), b.marks); err != nil {
			return tensor.Tensor{}, err
		}
	}
	m, err := modulation(12*c.Layers, 2)
	if err == nil {
		err = out[1].FinalizeAll() // nothing reads the text any more
	}
	if err != nil {
		return tensor.Tensor{}, err
	}
	if out, err = r.Run(b.end(), s, out[0], m); err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], x.Shape...)
}
