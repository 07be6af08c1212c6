package fluxmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/sample"
)

// A Transformer integrates latents with FLUX's velocity.
type Transformer struct {
	Config flux.Config
	Store  *exec.Store
	Runner *exec.Runner
	Images *ImageAdapter // that image prompts are read by; nil for none

	// Tiles, if not nil, is denoising tile by tile as the reference does: no entities,
	// and nothing that keeps the tiles of one picture alike.
	Tiles *eligen.Tiling
	// Tea is shown what each step's cache decided on each branch; may be nil.
	Tea func(step int, negative bool, s TeaStep)

	// Lean frees weights that the steps don't need before the first of them: the
	// modulations' are a quarter of FLUX.1, and are used once a picture.
	Lean   bool
	Packed bool  // weights of fewer bits in the files are held as they are stored, and decoded in each step
	Room   int64 // bytes that weights of steps may take; 0 is no limit. Blocks that don't fit pass through
	// Later are graphs that will be wanted after this, to be compiled along with
	// the steps'.
	Precompile []exec.CompileRequest
}

// Denoise integrates latents; see [sample.Integrate].
func (t *Transformer) Denoise(ctx context.Context, d eligen.Denoise) (_ tensor.Tensor, err error) {
	defer panics.Catch("denoising", &err)
	positive, negative, err := t.Begin(ctx, d)
	if err != nil {
		return tensor.Tensor{}, err
	}
	defer positive.Close()
	if negative != nil {
		defer negative.Close()
	}
	return sample.Integrate(ctx, d, positive, negative)
}

// Begin prepares both sides of guidance: that of the prompt with the entities, and that
// of the negative prompt, which is nil where CFG is 1 or there is none. Embedded guidance
// goes to both. Timesteps and guidance are not rounded to the weights' dtype before they
// are embedded; the reference rounds them, and the latents between steps, to bfloat16.
//
// What no step changes is computed here: the projected text, all steps' modulations, and
// the keys and values of image prompts.
func (t *Transformer) Begin(ctx context.Context, d eligen.Denoise) (sample.Branch, sample.Branch, error) {
	if err := t.check(d); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	positive, err := t.side(d, d.Prompt, d.Entities, nil, d.ImagePrompts)
	if err != nil {
		return nil, nil, err
	}
	negative, err := t.negative(ctx, d)
	if err == nil {
		err = t.ready(positive, negative)
	}
	if err != nil {
		positive.Close()
		if negative != nil {
			negative.Close()
		}
		return nil, nil, err
	}
	if negative == nil {
		return positive, nil, nil
	}
	return positive, negative, nil
}

// negative prepares the negative side; nil where there is none.
func (t *Transformer) negative(ctx context.Context, d eligen.Denoise) (*side, error) {
	if d.Negative == nil || d.CFG == 1 {
		return nil, nil
	}
	var entities []eligen.EntityConditioning
	var text eligen.Conditioning
	if d.NegativeEntities {
		entities, text = d.Entities, d.Negative
	}
	if len(d.Against) > 0 {
		entities, text = d.Against, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := t.side(d, d.Negative, entities, text, d.NegativeImagePrompts)
	if err != nil {
		return nil, err
	}
	for _, b := range s.branches {
		b.negative = true
	}
	return s, nil
}

// ready frees what the steps don't need, and compiles what they do.
func (t *Transformer) ready(positive, negative *side) error {
	if t.Lean {
		if err := t.Store.ReleaseExcept(StepWeight); err != nil {
			return err
		}
	}
	scopes := Scopes(t.Config)
	plan := t.Store.Plan(scopes, StepWeight, t.Room, !t.Packed)
	if err := t.Store.Stream(plan, scopes, StepWeight); err != nil {
		return err
	}
	// The decoder takes as long as a block: the longest first, or processors idle at the end.
	requests := slices.Clone(t.Precompile)
	for _, s := range []*side{positive, negative} {
		if s == nil {
			continue
		}
		for _, b := range s.branches {
			requests = append(requests, b.requests(t.Store)...)
		}
	}
	return t.Runner.CompileAll(requests...)
}

// Scopes lists what the names of each block's weights begin with, in the order in which steps run
// the blocks.
func Scopes(c flux.Config) (list []string) {
	for i := range c.Double {
		list = append(list, fmt.Sprintf("double_blocks.%d.", i))
	}
	for i := range c.Single {
		list = append(list, fmt.Sprintf("single_blocks.%d.", i))
	}
	return list
}

// StepWeight reports whether a step's graph reads a weight.
func StepWeight(name string) bool {
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
	if err := sample.Check(d, eligen.Geometry{Channels: c.LatentChannels, Patch: flux.Patch}); err != nil {
		return err
	}
	if err := sample.CheckTexts(d, c.TextDim); err != nil {
		return err
	}
	for _, p := range []eligen.Conditioning{d.Prompt, d.Negative} {
		if n := len(p[eligen.Vec].Data); p != nil && n != c.PooledDim {
			return fmt.Errorf("a prompt's vector has %d numbers; this model takes %d", n, c.PooledDim)
		}
	}
	if d.TeaCache != 0 && c.Double == 0 {
		return fmt.Errorf("a step cache looks at the first double block, and this model has none")
	}
	if err := errors.Join(checkSchedules(d), t.checkTiles(d)); err != nil {
		return err
	}
	for _, prompts := range [][]eligen.ImagePrompt{d.ImagePrompts, d.NegativeImagePrompts} {
		if err := t.Images.check(prompts, c); err != nil {
			return err
		}
	}
	return nil
}

// Velocity returns the branch's velocity in step i.
func (b *branch) Velocity(x tensor.Tensor, i int) (tensor.Tensor, error) {
	if b.t.Tiles != nil {
		return b.t.tiled(b, x, i)
	}
	return b.t.velocity(b, x, i)
}

// velocity runs one branch of step i.
func (t *Transformer) velocity(b *branch, x tensor.Tensor, i int) (tensor.Tensor, error) {
	img, err := t.image(b, x, i)
	if err != nil {
		return tensor.Tensor{}, err
	}
	c := b.graphs.config
	m, err := t.modulation(b, i, 12*c.Double+3*c.Single, 2)
	if err != nil {
		return tensor.Tensor{}, err
	}
	out, err := t.Runner.Run(b.graphs.end(), t.Store, img, m)
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], x.Shape...)
}

// image returns the last block's image [1,S,Dim] in step i, or the step cache's.
func (t *Transformer) image(b *branch, x tensor.Tensor, i int) (*tensors.Tensor, error) {
	if b.tea == nil {
		return t.blocks(b, x, i)
	}
	m, err := t.modulation(b, i, 0, 12)
	if err != nil {
		return nil, err
	}
	s, err := b.tea.decide(t, b.graphs, x, m, i, len(b.mods))
	if err != nil {
		return nil, err
	}
	if t.Tea != nil {
		t.Tea(i, b.negative, s)
	}
	if s.Reused {
		return b.tea.reuse(t, b.graphs, x)
	}
	img, err := t.blocks(b, x, i)
	if err != nil {
		return nil, err
	}
	return img, b.tea.keep(t, b.graphs, x, img)
}

// modulation returns n parts of step i's modulations, from part at on: [1,n·Dim].
func (t *Transformer) modulation(b *branch, i, at, n int) (*tensors.Tensor, error) {
	part := int(shapes.Make(b.graphs.dtype, 1, b.graphs.config.Dim).ByteSize())
	return tensors.FromRaw(t.Runner.Backend, 0, shapes.Make(b.graphs.dtype, 1, n*b.graphs.config.Dim), b.mods[i][at*part:(at+n)*part])
}

// blocks runs all blocks of one branch in step i.
func (t *Transformer) blocks(b *branch, x tensor.Tensor, i int) (img *tensors.Tensor, err error) {
	p := b.graphs
	out, err := t.Runner.RunKeeping(p.begin(), t.Store, []*tensors.Tensor{exec.Upload(x, 1)}, b.txt)
	if err != nil {
		return nil, err
	}
	number, at := 0, 0
	block := func(g exec.Graph, parts int) error {
		m, err := t.modulation(b, i, at, parts)
		if err != nil {
			return err
		}
		out, err = t.Runner.RunKeeping(g, t.Store, append(out, m), b.kept(i, number))
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
