// Package sample is the denoising loop of FLUX's transformer: guidance, fusion, entities, image
// prompts, tiles, and the step cache.
package sample

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/panics"
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
	Lean bool
	// Later are graphs that will be wanted after this, to be compiled along with
	// the steps'.
	Precompile []exec.CompileRequest
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
	defer panics.Catch("denoising", &err)
	if err := t.check(d); err != nil {
		return tensor.Tensor{}, err
	}
	branches, err := t.branches(ctx, d)
	for _, b := range branches {
		defer b.finalize()
	}
	if err != nil {
		return tensor.Tensor{}, err
	}
	if t.Lean {
		if err := t.Store.ReleaseExcept(StepWeight); err != nil {
			return tensor.Tensor{}, err
		}
	}
	requests := slices.Clone(t.Precompile)
	for _, b := range branches {
		requests = append(requests, b.requests(t.Store)...)
	}
	if err := t.Runner.CompileAll(requests...); err != nil {
		return tensor.Tensor{}, err
	}

	steps := len(d.Sigmas) - 1
	x := tensor.Tensor{Shape: slices.Clone(d.Latents.Shape), Data: slices.Clone(d.Latents.Data)}
	for i := d.From; i < steps; i++ {
		v, err := t.guided(ctx, d, branches, x, i)
		if err != nil {
			return tensor.Tensor{}, err
		}
		dt := d.Sigmas[i+1] - d.Sigmas[i]
		sum := 0.0
		for j := range x.Data {
			x.Data[j] += v.Data[j] * dt
			sum += float64(x.Data[j])
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return tensor.Tensor{}, fmt.Errorf("step %d of %d: the model gave numbers that are not finite. "+
				"Its weights or adapters may be damaged, or a scale too large", i+1, steps)
		}
		if d.Step != nil {
			d.Step(i+1, steps, x)
		}
	}
	return x, nil
}

// branches prepares the prompt's branch, and that of the negative prompt where it acts. What
// is ready when it fails is returned, too.
func (t *Transformer) branches(ctx context.Context, d eligen.Denoise) (out []*branch, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	positive, err := t.prepare(d, d.Prompt, groupEntities(d.Entities, nil), d.ImagePrompts)
	if err != nil {
		return nil, err
	}
	out = append(out, positive)
	if d.Negative == nil || d.CFG == 1 {
		return out, nil
	}
	var groups []entityGroup
	if d.NegativeEntities {
		txt := d.Negative[eligen.Txt]
		groups = groupEntities(d.Entities, &txt)
	}
	if err := ctx.Err(); err != nil {
		return out, err
	}
	negative, err := t.prepare(d, d.Negative, groups, d.NegativeImagePrompts)
	if err != nil {
		return out, err
	}
	negative.negative = true
	return append(out, negative), nil
}

// guided returns the velocity of step i at latents x: that of both branches, fused with what is
// kept.
func (t *Transformer) guided(ctx context.Context, d eligen.Denoise, branches []*branch, x tensor.Tensor,
	i int) (v tensor.Tensor, err error) {
	if err := ctx.Err(); err != nil {
		return v, err
	}
	if v, err = t.predict(branches[0], x, i); err != nil {
		return v, err
	}
	if d.Fusion != nil && d.Fusion.Before {
		d.Fusion.Fuse(v.Data, x.Data, d.Sigmas[i])
	}
	if len(branches) > 1 {
		if err := ctx.Err(); err != nil {
			return v, err
		}
		n, err := t.predict(branches[1], x, i)
		if err != nil {
			return v, err
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
	return v, nil
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
		return fmt.Errorf("the picture to keep has latents of shape %v and a mask of %d; the latents to denoise have %v",
			p.Picture.Shape, len(p.Paint), s)
	}
	return t.checkEntities(d.Entities, s[1]/2*(s[2]/2))
}

// checkEntities refuses entities of a picture of so many image tokens.
func (t *Transformer) checkEntities(entities []eligen.EntityConditioning, image int) error {
	c := t.Config
	for i, e := range entities {
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

// predict returns the velocity of one branch in step i.
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
		out, err = t.Runner.RunKeeping(g, t.Store, append(out, m), b.kept(number))
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
