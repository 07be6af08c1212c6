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
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// A Transformer integrates latents with FLUX's velocity.
type Transformer struct {
	Config flux.Config
	Store  *Store
	Runner *Runner

	// Lean frees weights that the steps don't need before the first of them: the
	// modulations' are a quarter of FLUX.1, and are used once a picture.
	Lean bool
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
// What no step changes is computed once: the projected text, and all steps'
// modulations.
func (t *Transformer) Denoise(ctx context.Context, d eligen.Denoise) (_ eligen.Tensor, err error) {
	defer catch("denoising", &err)
	if err := t.check(d); err != nil {
		return eligen.Tensor{}, err
	}
	steps := len(d.Sigmas) - 1
	if err := ctx.Err(); err != nil {
		return eligen.Tensor{}, err
	}
	groups := groupEntities(d.Entities, nil)
	positive, err := t.prepare(d, d.Prompt, groups)
	if err != nil {
		return eligen.Tensor{}, err
	}
	defer positive.finalize()
	var negative *branch
	if d.Negative != nil && d.CFG != 1 {
		var groups []entityGroup
		if d.NegativeEntities {
			groups = groupEntities(d.Entities, &d.Negative.Txt)
		}
		if err := ctx.Err(); err != nil {
			return eligen.Tensor{}, err
		}
		negative, err = t.prepare(d, *d.Negative, groups)
		if err != nil {
			return eligen.Tensor{}, err
		}
		defer negative.finalize()
	}
	if t.Lean {
		var names []string
		for _, w := range t.Config.Weights() {
			if stepWeight(w.Name) {
				names = append(names, w.Name)
			}
		}
		if err := t.Store.Release(names...); err != nil {
			return eligen.Tensor{}, err
		}
	}

	x := eligen.Tensor{Shape: slices.Clone(d.Latents.Shape), Data: slices.Clone(d.Latents.Data)}
	for i := d.From; i < steps; i++ {
		if err := ctx.Err(); err != nil {
			return eligen.Tensor{}, err
		}
		v, err := t.velocity(positive, x, i)
		if err != nil {
			return eligen.Tensor{}, err
		}
		if negative != nil {
			if err := ctx.Err(); err != nil {
				return eligen.Tensor{}, err
			}
			n, err := t.velocity(negative, x, i)
			if err != nil {
				return eligen.Tensor{}, err
			}
			cfg := float32(d.CFG)
			for j, p := range v.Data {
				v.Data[j] = n.Data[j] + cfg*(p-n.Data[j])
			}
		}
		if d.Fuse != nil {
			v.Data = d.Fuse(i, v.Data)
			if len(v.Data) != len(x.Data) {
				return eligen.Tensor{}, fmt.Errorf("step %d: fusing gave %d numbers for %d", i+1, len(v.Data), len(x.Data))
			}
		}
		dt := d.Sigmas[i+1] - d.Sigmas[i]
		sum := 0.0
		for j := range x.Data {
			x.Data[j] += v.Data[j] * dt
			sum += float64(x.Data[j])
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return eligen.Tensor{}, fmt.Errorf("step %d of %d: the model gave numbers that are not finite. Its weights or adapters may be damaged, or a scale too large", i+1, steps)
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
		if len(p.Txt.Shape) != 2 || p.Txt.Shape[0] == 0 || p.Txt.Shape[1] != c.TextDim {
			return fmt.Errorf("the %s's text has shape %v; this model takes [tokens,%d]", what, p.Txt.Shape, c.TextDim)
		}
		if len(p.Vec.Data) != c.PooledDim {
			return fmt.Errorf("the %s's vector has %d numbers; this model takes %d", what, len(p.Vec.Data), c.PooledDim)
		}
		return nil
	}
	if err := conditioning("prompt", d.Prompt); err != nil {
		return err
	}
	if d.Negative != nil {
		if err := conditioning("negative prompt", *d.Negative); err != nil {
			return err
		}
	}
	image := s[1] / 2 * (s[2] / 2)
	for i, e := range d.Entities {
		if len(e.Txt.Shape) != 2 || e.Txt.Shape[0] == 0 || e.Txt.Shape[1] != c.TextDim {
			return fmt.Errorf("entity %d's text has shape %v; this model takes [tokens,%d]", i, e.Txt.Shape, c.TextDim)
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

// groupEntities puts entities of one text length and bucket together, in an
// order that doesn't depend on their own. Those without a token are left out,
// since nothing attends to them. txt, if not nil, replaces their text.
func groupEntities(all []eligen.EntityConditioning, txt *eligen.Tensor) []entityGroup {
	var groups []entityGroup
	for _, e := range all {
		if len(e.Tokens) == 0 {
			continue
		}
		if txt != nil {
			e.Txt = *txt
		}
		e.Bucket = max(e.Bucket, len(e.Tokens))
		i := slices.IndexFunc(groups, func(g entityGroup) bool { return g.length == e.Txt.Shape[0] && g.bucket == e.Bucket })
		if i < 0 {
			i = len(groups)
			groups = append(groups, entityGroup{length: e.Txt.Shape[0], bucket: e.Bucket})
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
	return groups
}

// A branch is one of the two sides of guidance, ready for the steps: what they
// share is on the backend.
type branch struct {
	graph    Graph
	txt      *tensors.Tensor // [1,T,Dim]
	mods     [][]byte        // of each step, [1,M] in the weights' dtype
	modShape shapes.Shape
	fixed    []*tensors.Tensor // of each group: text, tokens, and strengths where they are needed
}

func (b *branch) finalize() {
	for _, t := range append(b.fixed, b.txt) {
		// The picture is done; a leak would show in the next one.
		_ = t.FinalizeAll()
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
func (t *Transformer) prepare(d eligen.Denoise, p eligen.Conditioning, groups []entityGroup) (_ *branch, err error) {
	cfg, steps := t.Config, len(d.Sigmas)-1
	timesteps, guidance, vec := eligen.NewTensor(steps), eligen.NewTensor(steps), eligen.NewTensor(steps, cfg.PooledDim)
	for i := range steps {
		timesteps.Data[i] = 1000 * d.Sigmas[i]
		guidance.Data[i] = float32(d.Guidance)
		copy(vec.Data[i*cfg.PooledDim:], p.Vec.Data)
	}
	inputs := []*tensors.Tensor{upload(timesteps), upload(guidance), upload(vec), upload(p.Txt, 1)}
	for _, g := range groups {
		txt := eligen.NewTensor(len(g.entities), g.length, cfg.TextDim)
		for i, e := range g.entities {
			copy(txt.Data[i*g.length*cfg.TextDim:], e.Txt.Data)
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
	b := &branch{txt: out[1]}
	b.modShape = shapes.Make(out[0].DType(), 1, out[0].Shape().Dimensions[1])
	size := int(b.modShape.ByteSize())
	err = out[0].ConstBytes(func(data []byte) {
		for i := range steps {
			b.mods = append(b.mods, slices.Clone(data[i*size:(i+1)*size]))
		}
	})
	err = errors.Join(err, out[0].FinalizeAll())
	image := int32(d.Latents.Shape[1] / 2 * (d.Latents.Shape[2] / 2))
	strong := make([]bool, len(groups))
	for i, g := range groups {
		n := len(g.entities)
		tokens := make([]int32, 0, n*g.bucket)
		logs := make([]float32, n)
		for j, e := range g.entities {
			tokens = append(tokens, e.Tokens...)
			for len(tokens) < (j+1)*g.bucket {
				tokens = append(tokens, image)
			}
			logs[j] = float32(math.Log(e.Strength))
		}
		b.fixed = append(b.fixed, out[2+i], tensors.FromFlatDataAndDimensions(tokens, 1, n, g.bucket))
		if strong[i] = g.strong; g.strong {
			b.fixed = append(b.fixed, tensors.FromFlatDataAndDimensions(logs, 1, n))
		}
	}
	// One name for both branches: with equal shapes they are one executable.
	b.graph = Graph{Name: fmt.Sprintf("velocity %s %v", configName(cfg), strong), Build: stepGraph(cfg, strong)}
	if err != nil {
		b.finalize()
		return nil, err
	}
	return b, nil
}

// stepGraph is inputs latents [1,C,h,w], modulation [1,M], txt [1,T,Dim], and
// for each group text [1,N,Te,Dim], tokens [1,N,K] and, where strong, logarithms
// of strengths [1,N] → velocity [1,C,h,w].
func stepGraph(cfg flux.Config, strong []bool) func(nn.Weights, []*graph.Node) []*graph.Node {
	return func(w nn.Weights, in []*graph.Node) []*graph.Node {
		input := flux.Input{Latents: in[0], Modulation: in[1], Txt: in[2], Embedded: true}
		in = in[3:]
		for _, s := range strong {
			e := flux.Entities{Txt: in[0], Tokens: in[1]}
			in = in[2:]
			if s {
				e.LogStrength, in = in[0], in[1:]
			}
			input.Entities = append(input.Entities, e)
		}
		return []*graph.Node{graph.ConvertDType(flux.Velocity(w, cfg, input), dtypes.Float32)}
	}
}

// velocity runs one branch of step i.
func (t *Transformer) velocity(b *branch, x eligen.Tensor, i int) (eligen.Tensor, error) {
	mod, err := tensors.FromRaw(t.Runner.Backend, 0, b.modShape, b.mods[i])
	if err != nil {
		return eligen.Tensor{}, err
	}
	fixed := append([]*tensors.Tensor{b.txt}, b.fixed...)
	out, err := t.Runner.runKeeping(b.graph, t.Store, []*tensors.Tensor{upload(x, 1), mod}, fixed)
	if err != nil {
		return eligen.Tensor{}, err
	}
	return download(out[0], x.Shape...)
}
