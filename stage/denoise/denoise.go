// Package denoise is the stage that makes latents out of noise: the model runs
// here, and nearly all of the time goes here.
package denoise

import (
	"bytes"
	"cmp"
	"context"
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
// entity's prompt in order, the latents to start from if Init, the latents to keep if
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
}

// Kind is the stage's name and version.
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

// Sigmas is the schedule's noise levels for a number of image tokens.
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
			if saved, err := latents(eligen.Artifact{Data: data}); err == nil && slices.Equal(saved.Shape, d.Latents.Shape) {
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
	if keeps { // an interrupt may not wait for the step at hand
		defer context.AfterFunc(ctx, func() { last.save(save) })()
	}
	d.Step = func(step, of int, x tensor.Tensor) {
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

// latest is the last step that is done and not saved.
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

// work reads the inputs in their order.
func (o Op) work(inputs []eligen.Artifact) (eligen.Denoise, error) {
	d := eligen.Denoise{
		Transformer: o.Transformer, Adapters: o.Adapters, Patch: cmp.Or(o.Patch, eligen.DefaultGeometry.Patch),
		CFG: o.CFG, Guidance: o.Guidance, NegativeEntities: o.NegativeEntities, TeaCache: o.TeaCache, Decoding: o.Decoding, ImageAdapter: o.ImageAdapter,
	}
	want := 2 + len(o.Entities)
	if o.Negative {
		want++
	}
	if o.Init {
		want++
	}
	if o.Fusion != nil {
		want++
	}
	want += len(o.Images)
	if o.Negative && len(o.Images) > 0 {
		want++
	}
	if len(inputs) != want {
		return d, fmt.Errorf("%d inputs instead of %d. This is a bug in eligen", len(inputs), want)
	}
	next := func() eligen.Artifact {
		in := inputs[0]
		inputs = inputs[1:]
		return in
	}

	noise, err := latents(next())
	if err != nil {
		return d, err
	}
	if d.Prompt, err = conditioning(next()); err != nil {
		return d, err
	}
	if o.Negative {
		if d.Negative, err = conditioning(next()); err != nil {
			return d, err
		}
	}
	for _, e := range o.Entities {
		cond, err := conditioning(next())
		if err != nil {
			return d, err
		}
		d.Entities = append(d.Entities, eligen.EntityConditioning{Prompt: cond, Tokens: e.Tokens, Bucket: e.Bucket, Strength: e.Strength})
	}
	h, w := noise.Shape[1], noise.Shape[2]
	if d.Sigmas, err = o.Schedule.Sigmas(h / d.Patch * (w / d.Patch)); err != nil {
		return d, err
	}
	d.Latents = noise
	picture := func() (tensor.Tensor, error) {
		x, err := latents(next())
		if err == nil && !slices.Equal(x.Shape, noise.Shape) {
			err = fmt.Errorf("the picture's latents are %v, the noise is %v. This is a bug in eligen", x.Shape, noise.Shape)
		}
		return x, err
	}
	if o.Init {
		start, err := picture()
		if err != nil {
			return d, err
		}
		d.Latents = mix(start, noise, d.Sigmas[0])
	}
	if f := o.Fusion; f != nil {
		keep, err := picture()
		if err != nil {
			return d, err
		}
		d.Fusion = &eligen.Fusion{Picture: keep, Paint: make([]float32, h*w), Before: f.Before, Background: f.Background}
		for _, i := range f.Paint {
			if i < 0 || int(i) >= h*w {
				return d, fmt.Errorf("cell %d is none of %d latents. This is a bug in eligen", i, h*w)
			}
			d.Fusion.Paint[i] = 1
		}
		// What is kept is led along a straight line, and from the picture to itself that
		// line is the picture.
		clean(d.Latents, keep, f.Clean)
	}
	for _, scale := range o.Images {
		p, err := imagePrompt(next(), scale)
		if err != nil {
			return d, err
		}
		d.ImagePrompts = append(d.ImagePrompts, p)
	}
	if o.Negative && len(o.Images) > 0 {
		// The reference's negative side has no scale of its own.
		p, err := imagePrompt(next(), 1)
		if err != nil {
			return d, err
		}
		d.NegativeImagePrompts = []eligen.ImagePrompt{p}
	}
	return d, nil
}

func imagePrompt(in eligen.Artifact, scale float64) (eligen.ImagePrompt, error) {
	tensors, err := read(in)
	if err != nil {
		return eligen.ImagePrompt{}, err
	}
	t, ok := tensors["tokens"]
	if !ok {
		return eligen.ImagePrompt{}, fmt.Errorf("an input holds no image prompt. This is a bug in eligen")
	}
	return eligen.ImagePrompt{Tokens: t, Scale: scale}, nil
}

// mix is a picture with noise: (1−σ)·x₀ + σ·ε.
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

func latents(in eligen.Artifact) (tensor.Tensor, error) {
	tensors, err := read(in)
	if err != nil {
		return tensor.Tensor{}, err
	}
	t, ok := tensors["latents"]
	if !ok || len(t.Shape) != 3 {
		return t, fmt.Errorf("an input holds no latents. This is a bug in eligen")
	}
	return t, nil
}

func conditioning(in eligen.Artifact) (eligen.Conditioning, error) {
	tensors, err := read(in)
	if err != nil {
		return nil, err
	}
	if _, ok := tensors[eligen.Txt]; !ok {
		return nil, fmt.Errorf("an input holds no encoded prompt. This is a bug in eligen")
	}
	return tensors, nil
}

// read returns the tensors of an input.
func read(in eligen.Artifact) (map[string]tensor.Tensor, error) {
	data, err := in.Read()
	if err != nil {
		return nil, err
	}
	return tensor.Read(data)
}
