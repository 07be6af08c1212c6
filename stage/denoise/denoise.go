// Package denoise is the stage that makes latents out of noise: the model runs
// here, and nearly all of the time goes here.
package denoise

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// Every is how many steps lie between two savings of the latents.
const Every = 4

// Op denoises latents along a schedule.
//
// Its inputs are the noise, the prompt, the negative prompt if Negative, each
// entity's prompt in order, that of each of Against in order, the latents to start from if Init, the latents to keep if
// Fusion, each of Images' pictures in order, and, if there are any and Negative, what is
// seen of no picture. It writes a safetensors file of one tensor, "latents" [channels, h, w].
type Op struct {
	Transformer      eligen.Digest // of the weights
	Adapters         []eligen.AdapterWeights
	Schedule         Schedule
	CFG              float64 // 1 runs no negative branch
	Guidance         float64 // 0 where the model takes none
	Negative         bool    // there is a negative prompt among the inputs
	NegativeEntities bool
	Entities         []Entity
	Init             bool // there are a picture's latents among the inputs
	Fusion           *Fusion
	ImageAdapter     eligen.Digest  `recipe:"omitzero"` // IP-Adapter that Images are read by
	Images           []float64      `recipe:"omitzero"` // scales of the pictures that it brings in
	TeaCache         float64        `recipe:"omitzero"` // threshold of the step cache; 0 is none
	Patch            int            `recipe:"omitzero"` // latents that an image token covers in each direction; 0 is eligen.DefaultGeometry's
	Against          []Entity       `recipe:"omitzero"` // that the negative side has, by prompts of their own; NegativeEntities adds none then
	Layered          bool           `recipe:"omitzero"` // entities lie over one another, and have an Opacity
	Decoding         *eligen.Tiling `recipe:"-"`        // of the picture; a hint of what to compile
}

// Fusion keeps a part of a picture.
type Fusion struct {
	Paint      []int32 // latent cells that are painted, ascending; the others are kept
	Before     bool    // fused before guidance, as the reference does
	Background float64
	// Clean is how many columns of cells, from the left, are seen without noise, as the
	// latents to keep have them: a transfer's source.
	Clean int `recipe:"omitzero"`
}

// Schedule holds the arguments of [eligen.Sigmas]. The noise levels themselves
// are no part of a recipe, since processors compute them with different last bits.
type Schedule struct {
	Name     string
	Steps    int
	Shift    float64 // 0 where the schedule takes none
	Strength float64
}

// An Entity is where an entity's prompt acts.
type Entity struct {
	Tokens   []int32 // image tokens, ascending
	Bucket   int     // how many tokens the region is padded to
	Strength float64
	Opacity  float64   `recipe:"omitzero"` // of Layered
	Seen     []float32 `recipe:"omitzero"` // of Layered, of each of Tokens: what the entities above it let through; nil is 1
	Cover    []float32 `recipe:"omitzero"` // how much of each of Tokens the region covers; nil is 1
	Factors  []float32 `recipe:"omitzero"` // that Strength is multiplied by in each step; nil is 1
	Blocks   []int     `recipe:"omitzero"` // the first and the last of the model's in which it acts; nil is all
}

// conditioning returns the entity as a model sees it.
func (e Entity) conditioning(layered bool, prompt eligen.Conditioning) (eligen.EntityConditioning, error) {
	c := eligen.EntityConditioning{Prompt: prompt, Tokens: e.Tokens, Bucket: e.Bucket, Strength: e.Strength, Factors: e.Factors,
		Cover: e.Cover}
	if len(e.Blocks) == 2 {
		c.Blocks = (*[2]int)(e.Blocks)
	}
	if !layered {
		return c, nil
	}
	if e.Seen != nil && len(e.Seen) != len(e.Tokens) {
		return c, fmt.Errorf("%d tokens are seen of %d. This is a bug in eligen", len(e.Seen), len(e.Tokens))
	}
	c.Seen, c.Share = e.Seen, make([]float32, len(e.Tokens))
	if c.Seen == nil {
		c.Seen = slices.Repeat([]float32{1}, len(e.Tokens))
	}
	for i, seen := range c.Seen {
		c.Share[i] = float32(e.Opacity) * seen
	}
	return c, nil
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "denoise/1" }

// UsesEngine marks that its bytes depend on the engine.
func (Op) UsesEngine() {}

// String says how it is denoised, for people.
func (o Op) String() string {
	s := fmt.Sprintf("%d steps, cfg %g", o.Schedule.Steps, o.CFG)
	if o.Schedule.Steps == 1 {
		s = fmt.Sprintf("1 step, cfg %g", o.CFG)
	}
	if o.Guidance != 0 {
		s += fmt.Sprintf(", guidance %g", o.Guidance)
	}
	if o.TeaCache != 0 {
		s += fmt.Sprintf(", approximate: tea_cache %g", o.TeaCache)
	}
	switch n := len(o.Entities); n {
	case 0:
	case 1:
		s += ", 1 entity"
	default:
		s += fmt.Sprintf(", %d entities", n)
	}
	if o.Layered {
		s += " in layers"
	}
	if n := len(o.Against); n > 0 {
		s += fmt.Sprintf(", %d against", n)
	}
	switch n := len(o.Images); n {
	case 0:
	case 1:
		s += ", 1 image prompt"
	default:
		s += fmt.Sprintf(", %d image prompts", n)
	}
	if p := o.Fusion; p != nil {
		s += fmt.Sprintf(", inpainting %d latents", len(p.Paint))
		if p.Before {
			s += " as the reference does"
		}
		if p.Clean > 0 {
			s += fmt.Sprintf(", %d columns without noise", p.Clean)
		}
	}
	return s
}

// Sigmas returns the schedule's noise levels for a number of image tokens.
func (s Schedule) Sigmas(imageTokens int) ([]float32, error) {
	var shift *float64
	if s.Shift != 0 {
		shift = &s.Shift
	}
	return eligen.Sigmas(s.Name, s.Steps, shift, s.Strength, imageTokens)
}

// Run denoises, from the beginning or from where an interrupted run was.
func (o Op) Run(ctx context.Context, c *eligen.Call) error {
	d, err := o.work(c.Inputs)
	if err != nil {
		return err
	}
	of := len(d.Sigmas) - 1
	// What a step cache holds isn't saved, and a step without it has other bits.
	whole := o.TeaCache != 0
	if c.Saved != nil && !whole {
		if data, step := c.Saved(); step > 0 && step < of {
			r := &reader{inputs: []eligen.Artifact{{Data: data}}}
			if saved := r.latents(d.Latents.Shape); r.err == nil {
				d.Latents, d.From = saved, step
			}
		}
	}
	save := func(step int, x tensor.Tensor) {
		var b bytes.Buffer
		if tensor.Write(&b, nil, tensor.Named{Name: "latents", Tensor: x}) == nil {
			c.Save(b.Bytes(), step)
		}
	}
	keeps := c.Save != nil && !whole
	var last latest
	if keeps { // an interrupted run may not wait for the current step
		defer context.AfterFunc(ctx, func() { last.save(save) })()
	}
	show := shower(c, d)
	d.Step = func(step, of int, x tensor.Tensor) {
		show(step, x)
		if keeps && step < of {
			last.set(step, x)
			if step%Every == 0 || ctx.Err() != nil {
				last.save(save)
			}
		}
		c.Step(step, of)
	}
	out, err := c.Engine.Denoise(ctx, d)
	if err != nil {
		if keeps && ctx.Err() != nil {
			last.save(save) // an engine may end before the function above has begun
		}
		return err
	}
	return tensor.Write(c.Out, nil, tensor.Named{Name: "latents", Tensor: out})
}

// shower returns what shows the latents that a step leads to. Along a straight path from the latents
// before it, x, through those behind it, y, they are y − σ₊·(y − x)/(σ₊ − σ).
func shower(c *eligen.Call, d eligen.Denoise) func(step int, y tensor.Tensor) {
	if c.Show == nil {
		return func(int, tensor.Tensor) {}
	}
	x := slices.Clone(d.Latents.Data)
	return func(step int, y tensor.Tensor) {
		before, after := d.Sigmas[step-1], d.Sigmas[step]
		end := tensor.Tensor{Shape: slices.Clone(y.Shape), Data: make([]float32, len(y.Data))}
		for i, v := range y.Data {
			end.Data[i] = v - after*(v-x[i])/(after-before)
		}
		copy(x, y.Data)
		c.Show(end)
	}
}

// latest holds the last step that is done and not saved.
type latest struct {
	mu   sync.Mutex
	step int // 0: there is none
	x    tensor.Tensor
}

func (l *latest) set(step int, x tensor.Tensor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step, l.x = step, tensor.Tensor{Shape: slices.Clone(x.Shape), Data: slices.Clone(x.Data)}
}

func (l *latest) save(to func(int, tensor.Tensor)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step > 0 {
		to(l.step, l.x)
	}
	l.step = 0
}

// inputs returns how many inputs the Op has.
func (o Op) inputs() int {
	n := 2 + len(o.Entities) + len(o.Against) + len(o.Images)
	for _, there := range []bool{o.Negative, o.Init, o.Fusion != nil, o.Negative && len(o.Images) > 0} {
		if there {
			n++
		}
	}
	return n
}

// work reads the inputs in their order.
func (o Op) work(inputs []eligen.Artifact) (eligen.Denoise, error) {
	d := eligen.Denoise{
		Transformer: o.Transformer, Adapters: o.Adapters, Patch: cmp.Or(o.Patch, eligen.DefaultGeometry.Patch),
		CFG: o.CFG, Guidance: o.Guidance, NegativeEntities: o.NegativeEntities, TeaCache: o.TeaCache,
		Decoding: o.Decoding, ImageAdapter: o.ImageAdapter,
	}
	if len(inputs) != o.inputs() {
		return d, fmt.Errorf("%d inputs instead of %d. This is a bug in eligen", len(inputs), o.inputs())
	}
	r := &reader{inputs: inputs}
	noise := r.latents(nil)
	d.Prompt = r.conditioning()
	if o.Negative {
		d.Negative = r.conditioning()
	}
	for _, e := range o.Entities {
		c, err := e.conditioning(o.Layered, r.conditioning())
		if err != nil {
			return d, err
		}
		d.Entities = append(d.Entities, c)
	}
	for _, e := range o.Against {
		c, err := e.conditioning(false, r.conditioning())
		if err != nil {
			return d, err
		}
		d.Against = append(d.Against, c)
	}
	if r.err != nil {
		return d, r.err
	}
	h, w := noise.Shape[1], noise.Shape[2]
	if d.Sigmas, r.err = o.Schedule.Sigmas(h / d.Patch * (w / d.Patch)); r.err != nil {
		return d, r.err
	}
	d.Latents = noise
	if o.Init {
		if start := r.latents(noise.Shape); r.err == nil {
			d.Latents = mix(start, noise, d.Sigmas[0])
		}
	}
	if o.Fusion != nil {
		o.fuse(&d, r, h*w)
	}
	for _, scale := range o.Images {
		d.ImagePrompts = append(d.ImagePrompts, r.imagePrompt(scale))
	}
	if o.Negative && len(o.Images) > 0 {
		// The reference's negative side has no scale of its own.
		d.NegativeImagePrompts = []eligen.ImagePrompt{r.imagePrompt(1)}
	}
	return d, r.err
}

// fuse reads the picture to keep, of that many cells.
func (o Op) fuse(d *eligen.Denoise, r *reader, cells int) {
	f := o.Fusion
	keep := r.latents(d.Latents.Shape)
	if r.err != nil {
		return
	}
	d.Fusion = &eligen.Fusion{Picture: keep, Paint: make([]float32, cells), Before: f.Before, Background: f.Background}
	for _, i := range f.Paint {
		if i < 0 || int(i) >= cells {
			r.err = fmt.Errorf("cell %d is none of %d latents. This is a bug in eligen", i, cells)
			return
		}
		d.Fusion.Paint[i] = 1
	}
	// What is kept is led along a straight line, and from the picture to itself that
	// line is the picture.
	clean(d.Latents, keep, f.Clean)
}

// A reader reads inputs in their order, until the first error.
type reader struct {
	inputs []eligen.Artifact
	err    error
}

// next returns the tensors of the next input; nil after an error.
func (r *reader) next() map[string]tensor.Tensor {
	if r.err != nil {
		return nil
	}
	data, err := r.inputs[0].Read()
	r.inputs = r.inputs[1:]
	if err != nil {
		r.err = err
		return nil
	}
	tensors, err := tensor.Read(data)
	r.err = err
	return tensors
}

// latents reads latents of a shape, or of any with nil.
func (r *reader) latents(shape []int) tensor.Tensor {
	tensors := r.next()
	if r.err != nil {
		return tensor.Tensor{}
	}
	t, ok := tensors["latents"]
	switch {
	case !ok || len(t.Shape) != 3:
		r.err = errors.New("an input holds no latents. This is a bug in eligen")
	case shape != nil && !slices.Equal(t.Shape, shape):
		r.err = fmt.Errorf("the picture's latents are %v, the noise is %v. This is a bug in eligen", t.Shape, shape)
	}
	return t
}

// conditioning reads an encoded prompt.
func (r *reader) conditioning() eligen.Conditioning {
	tensors := r.next()
	if _, ok := tensors[eligen.Txt]; !ok && r.err == nil {
		r.err = errors.New("an input holds no encoded prompt. This is a bug in eligen")
	}
	return tensors
}

// imagePrompt reads an image prompt.
func (r *reader) imagePrompt(scale float64) eligen.ImagePrompt {
	t, ok := r.next()["tokens"]
	if !ok && r.err == nil {
		r.err = errors.New("an input holds no image prompt. This is a bug in eligen")
	}
	return eligen.ImagePrompt{Tokens: t, Scale: scale}
}

// mix returns a picture with noise: (1−σ)·x₀ + σ·ε.
func mix(picture, noise tensor.Tensor, sigma float32) tensor.Tensor {
	out := tensor.New(noise.Shape...)
	for i := range out.Data {
		out.Data[i] = float32((1-sigma)*picture.Data[i]) + float32(sigma*noise.Data[i])
	}
	return out
}

// clean puts the picture into the first columns of x, both [C,h,w].
func clean(x, picture tensor.Tensor, columns int) {
	w := x.Shape[2]
	for row := 0; row < len(x.Data); row += w {
		copy(x.Data[row:row+min(columns, w)], picture.Data[row:])
	}
}
