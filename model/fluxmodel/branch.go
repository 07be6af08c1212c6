package fluxmodel

import (
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
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// A branch is one of the two sides of guidance, ready for the steps: what they
// share is on the backend.
type branch struct {
	t        *Transformer
	graphs   stepGraphs
	txt      []*tensors.Tensor          // the global prompt's [1,T,Dim], then each group's [1,N,Te,Dim]
	mods     [][]byte                   // of each step, [1,M] in the weights' dtype
	marks    []*tensors.Tensor          // of each group: tokens, and strengths where they are needed
	waxing   []waxing                   // groups whose strengths differ from step to step or from block to block
	logs     map[string]*tensors.Tensor // their logarithms
	pictures []*tensors.Tensor          // of each block: keys and values [1,T,H,HeadDim] of image prompts; nil for none
	tea      *teaCache                  // nil: every step runs the blocks
	negative bool
}

// kept returns the inputs of a block's graph that are there for all steps.
func (b *branch) kept(step, block int) []*tensors.Tensor {
	marks := b.marks
	if len(b.waxing) > 0 {
		marks = slices.Clone(marks)
		for _, w := range b.waxing {
			marks[w.mark] = b.strengths(w.entities, step, block)
		}
	}
	if b.pictures == nil {
		return marks
	}
	return append(slices.Clone(b.pictures[2*block:2*block+2]), marks...)
}

// Close frees the tensors that the steps share.
func (b *branch) Close() {
	for _, t := range slices.Concat(b.marks, b.txt, b.pictures) {
		// The picture is done; a leak would show in the next one.
		_ = t.FinalizeAll()
	}
	for _, t := range b.logs {
		_ = t.FinalizeAll() // as above
	}
	if b.tea != nil {
		b.tea.finalize()
	}
	_ = b.t.Store.Settle() // as above
}

// prepare projects a branch's text and computes the modulations of all steps in
// one graph: inputs timesteps [K], guidance [K], vec [K,P], txt [1,T,D] and one
// text [1,N,Te,D] a group. Another branch of the same side has the modulations already.
func (t *Transformer) prepare(d eligen.Denoise, p eligen.Conditioning, groups []entityGroup,
	images []eligen.ImagePrompt, like *branch) (_ *branch, err error) {
	cfg, steps := t.Config, len(d.Sigmas)-1
	timesteps, guidance, vec := tensor.New(steps), tensor.New(steps), tensor.New(steps, cfg.PooledDim)
	for i := range steps {
		timesteps.Data[i] = 1000 * d.Sigmas[i]
		guidance.Data[i] = float32(d.Guidance)
		copy(vec.Data[i*cfg.PooledDim:], p[eligen.Vec].Data)
	}
	inputs := []*tensors.Tensor{exec.Upload(timesteps), exec.Upload(guidance), exec.Upload(vec), exec.Upload(p[eligen.Txt], 1)}
	for _, g := range groups {
		txt := tensor.New(len(g.entities), g.length, cfg.TextDim)
		for i, e := range g.entities {
			copy(txt.Data[i*g.length*cfg.TextDim:], e.Prompt[eligen.Txt].Data)
		}
		inputs = append(inputs, exec.Upload(txt, 1))
	}
	out, err := t.Runner.Run(conditioning(cfg), t.Store, inputs...)
	if err != nil {
		return nil, err
	}
	rows, columns := t.tile(d.Latents.Shape[1])/2, t.tile(d.Latents.Shape[2])/2
	b := &branch{t: t, txt: out[1:], graphs: stepGraphs{config: cfg, rows: rows, columns: columns, dtype: out[0].DType()}}
	switch {
	case like != nil:
		b.mods, err = like.mods, out[0].FinalizeAll()
	case byLayers(cfg):
		b.mods, err = t.modulations(out[0], steps)
	default:
		b.mods, err = split(nil, out[0], steps)
	}
	if d.TeaCache != 0 {
		b.tea = &teaCache{threshold: d.TeaCache}
	}
	b.mark(groups)
	if len(images) > 0 && err == nil {
		b.graphs.pictures = true
		b.pictures, err = t.Images.keysValues(images, cfg, b.graphs.dtype, t.Lean)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// split appends the rows of a tensor [steps,n] to those of each step, and finalises it.
func split(rows [][]byte, t *tensors.Tensor, steps int) ([][]byte, error) {
	if rows == nil {
		rows = make([][]byte, steps)
	}
	err := t.ConstBytes(func(data []byte) {
		size := len(data) / steps
		for i := range steps {
			rows[i] = append(rows[i], data[i*size:(i+1)*size]...)
		}
	})
	return rows, errors.Join(err, t.FinalizeAll())
}

// wholeUpTo is the width of a transformer whose modulations are all made in one graph. Those of a
// wider one are a quarter of its weights, and each layer's are made for itself. It follows from the
// model alone, since the last bits of the two may differ.
var wholeUpTo = 1024

func byLayers(c flux.Config) bool { return c.Dim > wholeUpTo }

// modulations returns all steps' modulations of conditioning vectors [steps,Dim], which it
// finalises, layer by layer: lean, a layer's weights go before the next one's come.
func (t *Transformer) modulations(vec *tensors.Tensor, steps int) (mods [][]byte, err error) {
	defer func() { err = errors.Join(err, vec.FinalizeAll()) }()
	for _, layer := range t.Config.ModulationLayers() {
		kind := strings.Map(func(r rune) rune { // without the block's number
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, layer)
		out, err := t.Runner.RunKeeping(exec.Graph{
			Name: fmt.Sprintf("modulation %s %s", exec.ConfigName(t.Config), kind), Scope: layer + ".",
			Build: func(w nn.Weights, in []*graph.Node) []*graph.Node { return []*graph.Node{flux.ModulationOf(w, in[0])} },
		}, t.Store, nil, []*tensors.Tensor{vec})
		if err != nil {
			return nil, err
		}
		if mods, err = split(mods, out[0], steps); err != nil {
			return nil, err
		}
		if t.Lean {
			if err := t.Store.ReleaseExcept(StepWeight); err != nil {
				return nil, err
			}
		}
	}
	return mods, nil
}

// conditioning returns the graph that prepare runs: all modulations, or the vector that they are
// made of.
func conditioning(cfg flux.Config) exec.Graph {
	name := "conditioning "
	if byLayers(cfg) {
		name = "conditioning-vector "
	}
	return exec.Graph{
		Name: name + exec.ConfigName(cfg),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			g := in[1]
			if !cfg.Guidance {
				g = nil
			}
			vec := flux.Embed(w, cfg, in[0], g, in[2])
			if !byLayers(cfg) {
				vec = flux.Modulation(w, cfg, vec)
			}
			out := []*graph.Node{vec}
			for _, txt := range in[3:] {
				out = append(out, flux.EmbedText(w, txt))
			}
			return out
		},
	}
}

// mark uploads the tokens of the groups' regions, and their strengths where they are needed.
func (b *branch) mark(groups []entityGroup) {
	for _, g := range groups {
		n := len(g.entities)
		tokens := make([]int32, 0, n*g.bucket)
		logs := make([]float32, n)
		for j, e := range g.entities {
			tokens = append(tokens, e.Tokens...)
			for len(tokens) < (j+1)*g.bucket {
				tokens = append(tokens, int32(b.graphs.rows*b.graphs.columns))
			}
			logs[j] = float32(math.Log(e.Strength))
		}
		b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(tokens, 1, n, g.bucket))
		if slices.ContainsFunc(g.entities, func(e eligen.EntityConditioning) bool { return e.Factors != nil || e.Blocks != nil }) {
			b.waxing = append(b.waxing, waxing{len(b.marks), g.entities})
		}
		if g.strong {
			b.marks = append(b.marks, tensors.FromFlatDataAndDimensions(logs, 1, n))
		}
		if g.layered {
			b.marks = append(b.marks, layers(g.entities, g.bucket)...)
		}
		if g.covered {
			b.marks = append(b.marks, covers(g.entities, g.bucket))
		}
		b.graphs.groups = append(b.graphs.groups, groupShape{g.length, g.strong, g.layered, g.covered})
	}
}

// covers returns how much entities' regions cover of their tokens, [1,N,K].
func covers(entities []eligen.EntityConditioning, bucket int) *tensors.Tensor {
	cover := slices.Repeat([]float32{1}, len(entities)*bucket)
	for i, e := range entities {
		copy(cover[i*bucket:], e.Cover)
	}
	return tensors.FromFlatDataAndDimensions(cover, 1, len(entities), bucket)
}

// layers returns entities' shares and what is seen of them, [1,N,K] each.
func layers(entities []eligen.EntityConditioning, bucket int) []*tensors.Tensor {
	n := len(entities)
	share, seen := make([]float32, n*bucket), slices.Repeat([]float32{1}, n*bucket)
	for i, e := range entities {
		copy(share[i*bucket:], e.Share)
		copy(seen[i*bucket:], e.Seen)
	}
	return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(share, 1, n, bucket), tensors.FromFlatDataAndDimensions(seen, 1, n, bucket)}
}

// requests returns all graphs of a branch's steps, to compile before the first.
func (b *branch) requests(s *exec.Store) []exec.CompileRequest {
	p, dim := b.graphs, b.graphs.config.Dim
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
		for _, t := range b.kept(0, 0) {
			in = append(in, t.Shape())
		}
		return in
	}
	var out []exec.CompileRequest
	if p.config.Double > 0 {
		out = append(out, p.double(0).Request(s, block(12)...))
	}
	if p.config.Single > 0 {
		out = append(out, p.single(0).Request(s, block(3)...))
	}
	if b.tea != nil {
		latents := begin[0]
		out = append(out, p.modulated().Request(s, latents, shapes.Make(p.dtype, 1, 12*dim)), p.change().Request(s, img, img),
			p.added().Request(s, latents, img), p.reused().Request(s, latents, img))
	}
	return append(out, p.begin().Request(s, begin...), p.end().Request(s, img, shapes.Make(p.dtype, 1, 2*dim)))
}
