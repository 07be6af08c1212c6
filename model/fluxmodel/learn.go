package fluxmodel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/weights"
)

// A Learner computes the loss of flow matching, and what it changes by with the factors of a LoRA,
// of a transformer that need not fit into memory: block by block. The base is frozen, in whatever
// numbers the store holds it.
//
// Forward, what each block is given is kept, and nothing of its inside. Backward, each block runs again
// with its gradient (Chen et al., arXiv 1604.06174), from the last to the first: so a step costs the
// blocks' weights twice, and the memory of one block. No gradient goes further down than the first
// block: nothing there learns.
type Learner struct {
	Config flux.Config
	Store  *exec.Store
	Runner *exec.Runner
	Room   int64 // bytes that the blocks' weights may take; 0 is no limit. Those that don't fit pass through
	Packed bool  // weights of fewer bits in the files are held as they are stored

	kept []kept // what each block was given
}

// kept is a block's input, on the host.
type kept struct{ img, txt *tensors.Tensor }

var _ family.Learning = (*DiT)(nil)

// Adaptable lists the matrices that EliGen's LoRA adapts, in the order in which blocks use them:
// modulations, attention projections and MLPs of double blocks, all three linear layers of single ones.
func (p *DiT) Adaptable() []weights.Weight { return adaptable(p.Config) }

func adaptable(c flux.Config) (list []weights.Weight) {
	shapes := map[string][]int{}
	for _, w := range c.Weights() {
		shapes[w.Name] = w.Shape
	}
	for _, scope := range Scopes(c) {
		for _, layer := range layersOf(scope) {
			name := scope + layer + ".weight"
			list = append(list, weights.Weight{Name: name, Shape: shapes[name]})
		}
	}
	return list
}

// Learn returns a lesson's loss and gradients, over the weights of a store.
func (p *DiT) Learn(ctx context.Context, h family.Host, s *exec.Store, room int64, x family.Lesson,
	f family.Factors) (float64, family.Factors, error) {
	l := Learner{Config: p.Config, Store: s, Runner: h.Runner(), Room: room, Packed: !h.Unpacks(s)}
	return l.Loss(ctx, x, f)
}

// layersOf lists the linear layers of a block.
func layersOf(scope string) []string {
	if strings.HasPrefix(scope, "single_blocks.") {
		return []string{"linear1", "linear2", "modulation.lin"}
	}
	return []string{"img_attn.proj", "img_attn.qkv", "img_mlp.0", "img_mlp.2", "img_mod.lin",
		"txt_attn.proj", "txt_attn.qkv", "txt_mlp.0", "txt_mlp.2", "txt_mod.lin"}
}

// BlockWeight reports whether a weight is of a block: those pass through where not all fit.
func BlockWeight(name string) bool { return strings.Contains(name, "_blocks.") }

// Loss returns a lesson's loss, w·mean((v − (ε − x₀))²), and its gradient with respect to each factor: none for a
// lesson that asks for the loss only.
func (l *Learner) Loss(ctx context.Context, x family.Lesson, factors family.Factors) (loss float64, gradients family.Factors, err error) {
	defer panics.Catch("learning", &err)
	defer func() { err = errors.Join(err, l.forget()) }()
	if err := l.check(x, factors); err != nil {
		return 0, nil, err
	}
	if err := l.order(x.Only); err != nil {
		return 0, nil, err
	}
	s := study{Learner: l, factors: factors, gradients: family.Factors{}}
	if err := s.begin(x); err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, scope := range Scopes(l.Config) {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		if err := s.forward(scope); err != nil {
			return 0, nil, err
		}
	}
	if loss, err = s.end(x); err != nil {
		return 0, nil, err
	}
	if x.Only {
		return loss, nil, nil
	}
	for _, scope := range slices.Backward(Scopes(l.Config)) {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		if err := s.backward(scope); err != nil {
			return 0, nil, err
		}
	}
	return loss, s.gradients, nil
}

// check refuses what graphs would fail on.
func (l *Learner) check(x family.Lesson, factors family.Factors) error {
	if n := len(x.Prompt[eligen.Vec].Data); n != l.Config.PooledDim {
		return fmt.Errorf("a prompt's vector has %d numbers; this model takes %d", n, l.Config.PooledDim)
	}
	if !slices.Equal(x.Latents.Shape, x.Noise.Shape) || len(x.Latents.Shape) != 3 || x.Latents.Shape[0] != l.Config.LatentChannels ||
		x.Latents.Shape[1]%flux.Patch != 0 || x.Latents.Shape[2]%flux.Patch != 0 {
		return fmt.Errorf("latents are %v and noise %v; both are [%d,h,w], of even h and w", x.Latents.Shape, x.Noise.Shape,
			l.Config.LatentChannels)
	}
	known := adaptable(l.Config)
	for name := range factors {
		if !slices.ContainsFunc(known, func(w weights.Weight) bool { return w.Name == name }) {
			return fmt.Errorf("no LoRA is learnt for %q", name)
		}
	}
	return nil
}

// order tells the store how the blocks of each step follow each other: there, and back again if there are gradients.
func (l *Learner) order(only bool) error {
	there := Scopes(l.Config)
	var back []string
	if !only {
		back = slices.Clone(there)
		slices.Reverse(back)
	}
	plan := l.Store.Plan(there, BlockWeight, l.Room, !l.Packed)
	return l.Store.Stream(plan, append(there, back...), BlockWeight)
}

// forget frees what is kept of a step.
func (l *Learner) forget() (err error) {
	for _, k := range l.kept {
		err = errors.Join(err, k.img.FinalizeAll(), k.txt.FinalizeAll())
	}
	l.kept = nil
	return err
}

// A study is one step over one lesson.
type study struct {
	*Learner
	factors   family.Factors
	gradients family.Factors
	graphs    stepGraphs
	vec       *tensors.Tensor   // [1,Dim], the conditioning vector
	marks     []*tensors.Tensor // of each group: tokens, and strengths where they are needed
	img, txt  *tensors.Tensor   // where the step is: the last block's outputs; backward, gradients
}

func (s *study) close() (err error) {
	for _, t := range append([]*tensors.Tensor{s.vec, s.img, s.txt}, s.marks...) {
		if t != nil {
			err = errors.Join(err, t.FinalizeAll())
		}
	}
	return err
}

// begin makes the image tokens of the noisy latents, the text, and the conditioning vector.
func (s *study) begin(x family.Lesson) error {
	cfg := s.Config
	groups := groupEntities(x.Entities, nil)
	in := []*tensors.Tensor{
		exec.Upload(tensor.Tensor{Shape: []int{1}, Data: []float32{1000 * x.Sigma}}),
		exec.Upload(tensor.Tensor{Shape: []int{1}, Data: []float32{x.Guidance}}),
		exec.Upload(tensor.Tensor{Shape: []int{cfg.PooledDim}, Data: x.Prompt[eligen.Vec].Data}, 1),
		exec.Upload(noised(x), 1), exec.Upload(x.Prompt[eligen.Txt], 1),
	}
	for _, g := range groups {
		in = append(in, exec.Upload(g.txt(cfg.TextDim), 1))
	}
	out, err := s.Runner.Run(exec.Graph{Name: "learn-begin " + exec.ConfigName(cfg), Build: func(w nn.Weights, in []*Node) []*Node {
		g := in[1]
		if !cfg.Guidance {
			g = nil
		}
		texts := make([]*Node, 0, len(in))
		for _, txt := range in[4:] {
			texts = append(texts, flux.EmbedText(w, txt))
		}
		img, txt := flux.Blocks{Config: cfg}.Begin(w, in[3], texts[0], texts[1:])
		return []*Node{flux.Embed(w, cfg, in[0], g, in[2]), img, txt}
	}}, s.Store, in...)
	if err != nil {
		return err
	}
	s.vec, s.img, s.txt = out[0], out[1], out[2]
	b := branch{graphs: stepGraphs{config: cfg, rows: x.Latents.Shape[1] / 2, columns: x.Latents.Shape[2] / 2, dtype: s.vec.DType()}}
	b.mark(groups)
	s.graphs, s.marks = b.graphs, b.marks
	return nil
}

// noised returns x_σ = (1 − σ)·x₀ + σ·ε.
func noised(x family.Lesson) tensor.Tensor {
	out := tensor.New(x.Latents.Shape...)
	for i, v := range x.Latents.Data {
		out.Data[i] = (1-x.Sigma)*v + x.Sigma*x.Noise.Data[i]
	}
	return out
}

// txt returns the text of a group's entities, [N,Te,dim].
func (g entityGroup) txt(dim int) tensor.Tensor {
	txt := tensor.New(len(g.entities), g.length, dim)
	for i, e := range g.entities {
		copy(txt.Data[i*g.length*dim:], e.Prompt[eligen.Txt].Data)
	}
	return txt
}

// adapted lists the layers of a block that have factors.
func (s *study) adapted(scope string) (layers []string) {
	for _, layer := range layersOf(scope) {
		if _, ok := s.factors[scope+layer+".weight"]; ok {
			layers = append(layers, layer)
		}
	}
	return layers
}

// inputs returns what a block's graph is given besides image and text: its factors, then what all share.
func (s *study) inputs(scope string, layers []string) (own, shared []*tensors.Tensor) {
	for _, layer := range layers {
		f := s.factors[scope+layer+".weight"]
		own = append(own, exec.Upload(f.A), exec.Upload(f.B))
	}
	return own, append([]*tensors.Tensor{s.vec}, s.marks...)
}

// block returns a block as a function of image, text and its other inputs.
func (s *study) block(scope string, layers []string) func(w nn.Weights, in []*Node) (img, txt *Node) {
	graphs := s.graphs
	return func(w nn.Weights, in []*Node) (img, txt *Node) {
		img, txt, in = in[0], in[1], in[2:]
		own, vec, marks := in[:2*len(layers)], in[2*len(layers)], in[2*len(layers)+1:]
		w = beside(w, layers, own)
		if strings.HasPrefix(scope, "single_blocks.") {
			return graphs.blocks(marks).Single(w, img, txt, flux.ModulationOf(w.In("modulation.lin"), vec))
		}
		mods := Concatenate([]*Node{flux.ModulationOf(w.In("img_mod.lin"), vec), flux.ModulationOf(w.In("txt_mod.lin"), vec)}, -1)
		return graphs.blocks(marks).Double(w, img, txt, mods)
	}
}

// beside lays factors, A and B of each layer, beside the weights that they adapt.
func beside(w nn.Weights, layers []string, factors []*Node) nn.Weights {
	seen := map[string]*Node{}
	return func(name string) *Node {
		if n, ok := seen[name]; ok {
			return n
		}
		n := w(name)
		seen[name] = n
		if i := slices.Index(layers, strings.TrimSuffix(name, ".weight")); i >= 0 && strings.HasSuffix(name, ".weight") {
			dtype := n.DType()
			if !dtype.IsFloat() {
				dtype = w(strings.TrimSuffix(name, "weight") + "bias").DType()
			}
			nn.Attach(n, name, []nn.Update{{A: ConvertDType(factors[2*i], dtype), B: ConvertDType(factors[2*i+1], dtype),
				S: Const(n.Graph(), float32(1))}})
		}
		return n
	}
}

// kind is a block's, with what tells its graphs from others'.
func (s *study) kind(way, scope string, layers []string) string {
	kind, _, _ := strings.Cut(scope, "_blocks.")
	return s.graphs.name("learn-"+way+"-"+kind) + " " + strings.Join(layers, " ")
}

// forward runs a block, and keeps what it was given.
func (s *study) forward(scope string) error {
	layers := s.adapted(scope)
	own, shared := s.inputs(scope, layers)
	block := s.block(scope, layers)
	all := slices.Concat([]*tensors.Tensor{s.img, s.txt}, own, shared)
	out, err := s.Runner.RunKeeping(exec.Graph{Name: s.kind("forward", scope, layers), Scope: scope, Learns: true,
		Build: func(w nn.Weights, in []*Node) []*Node {
			img, txt := block(w, in)
			return []*Node{img, txt}
		}}, s.Store, nil, all)
	err = errors.Join(err, finalize(own))
	if err != nil {
		return err
	}
	s.kept = append(s.kept, kept{s.img, s.txt})
	s.img, s.txt = out[0], out[1]
	return nil
}

func finalize(list []*tensors.Tensor) (err error) {
	for _, t := range list {
		err = errors.Join(err, t.FinalizeAll())
	}
	return err
}

// end computes the loss, and the gradient of the last block's outputs.
func (s *study) end(x family.Lesson) (float64, error) {
	target, weight := tensor.New(x.Latents.Shape...), tensor.New(1, x.Latents.Shape[1], x.Latents.Shape[2])
	for i, v := range x.Latents.Data {
		target.Data[i] = x.Noise.Data[i] - v
	}
	for i := range weight.Data {
		if weight.Data[i] = x.Weight; x.Of != nil {
			weight.Data[i] *= x.Of[i]
		}
	}
	cfg, graphs := s.Config, s.graphs
	in := []*tensors.Tensor{s.img, s.txt, exec.Upload(target, 1), exec.Upload(weight)}
	s.img, s.txt = nil, nil
	out, err := s.Runner.RunKeeping(exec.Graph{Name: graphs.name("learn-end"), Learns: true, Build: func(w nn.Weights, in []*Node) []*Node {
		img, txt, target, weight, vec := in[0], in[1], in[2], in[3], in[4]
		b := flux.Blocks{Config: cfg, Rows: graphs.rows, Columns: graphs.columns}
		v := ConvertDType(b.End(w, img, flux.ModulationOf(w.In("final_layer.adaLN_modulation.1"), vec)), dtypes.Float32)
		loss := ReduceAllMean(Mul(Square(Sub(v, target)), ExpandLeftToRank(weight, 4)))
		return []*Node{loss, Gradient(loss, img)[0], ZerosLike(txt)}
	}}, s.Store, in, []*tensors.Tensor{s.vec})
	if err != nil {
		return 0, err
	}
	s.img, s.txt = out[1], out[2]
	loss, err := exec.Download(out[0])
	if err != nil {
		return 0, err
	}
	if x := float64(loss.Data[0]); math.IsNaN(x) || math.IsInf(x, 0) {
		return x, fmt.Errorf("the loss is %v", x)
	}
	return float64(loss.Data[0]), nil
}

// backward runs the last block that was kept again, with its gradient.
func (s *study) backward(scope string) error {
	last := s.kept[len(s.kept)-1]
	s.kept = s.kept[:len(s.kept)-1]
	layers := s.adapted(scope)
	own, shared := s.inputs(scope, layers)
	block, n := s.block(scope, layers), 2*len(layers)
	first := len(s.kept) == 0 // nothing learns below
	name := s.kind("backward", scope, layers)
	if first {
		name += " first"
	}
	inputs := slices.Concat([]*tensors.Tensor{last.img, last.txt}, own, shared, []*tensors.Tensor{s.img, s.txt})
	out, err := s.Runner.RunKeeping(exec.Graph{Name: name, Scope: scope, Learns: true, Build: func(w nn.Weights, in []*Node) []*Node {
		dImg, dTxt := in[len(in)-2], in[len(in)-1]
		img, txt := block(w, in[:len(in)-2])
		// The gradient of Σ y·dy is that of the loss: dy is fixed.
		sum := func(y, dy *Node) *Node {
			return ReduceAllSum(Mul(ConvertDType(y, dtypes.Float32), ConvertDType(StopGradient(dy), dtypes.Float32)))
		}
		of := slices.Clone(in[2 : 2+n])
		if !first {
			of = append(of, in[0], in[1])
		}
		return Gradient(Add(sum(img, dImg), sum(txt, dTxt)), of...)
	}}, s.Store, nil, inputs)
	err = errors.Join(err, finalize(own), finalize([]*tensors.Tensor{s.img, s.txt, last.img, last.txt}))
	s.img, s.txt = nil, nil
	if err != nil {
		return err
	}
	if !first {
		s.img, s.txt = out[n], out[n+1]
	}
	for i, layer := range layers {
		f := s.factors[scope+layer+".weight"]
		a, err := exec.Download(out[2*i], f.A.Shape...)
		b, errB := exec.Download(out[2*i+1], f.B.Shape...)
		if err := errors.Join(err, errB); err != nil {
			return err
		}
		s.gradients[scope+layer+".weight"] = family.Pair{A: a, B: b}
	}
	return nil
}
