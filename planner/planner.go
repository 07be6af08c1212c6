// Package planner turns a Scene into a Plan.
//
// It is pure: no files, no clock, no weights. The same scene and the same answers
// of the engine's Spec give the same plan on any machine.
package planner

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/composite"
	"github.com/eligen/eligen/stage/decode"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/image"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/noise"
	"github.com/eligen/eligen/stage/still"
)

// Kinds is an Op of every kind that a plan may hold.
var Kinds = []eligen.Op{encode.Op{}, image.Op{}, noise.Op{}, denoise.Op{}, decode.Op{}, still.Op{}, still.JPEG{}, still.WebP{},
	still.Sheet{}, measure.Op{}, composite.Op{}, image.Picture{}, image.Prompt{}, image.Resize{}, image.Panels{}, image.Right{},
	image.Latents{}, clip.GIF{}, clip.APNG{}, clip.WebP{}, clip.Video{}}

// Summaries that several places use.
const (
	outOfRange    = "Value out of range"
	unknown       = "Unknown value"
	missing       = "Missing required argument"
	conflicting   = "Conflicting arguments"
	notApplicable = "Argument not applicable"
	noEffect      = "Argument without effect"
	badPath       = "Invalid output path"
)

// Options tune what Build warns of, and which of PyTorch's noises it plans.
type Options struct {
	Frames    func(n int) bool // which frames of clips; nil is all
	MinTokens int              // warn of regions with fewer image tokens; 0 is 4
	Noise     noise.Variant    // "" is avx2
	// Video is the version of the ffmpeg that writes a format, or why it can't be
	// written; nil refuses nothing.
	Video  func(format string) (version string, err error)
	Memory int64 // bytes that a render may take; 0 is no limit
	// MemoryFrom says for people what sets Memory: "this machine's memory".
	MemoryFrom string
	// Recorded is how a render was decoded when it was recorded, for renders that leave
	// that to the planner: in tiles, or whole (nil). ok is false for one without a record,
	// which is decoded whole where there is memory for it. The function may be nil.
	Recorded func(address string) (tiles *eligen.Tiling, ok bool)
	Out      string // folder that outputs are written below; "" is the scene's
}

// Build plans all renders of a scene for an engine, and says what can't be
// honoured or looks like a mistake. spec is the engine's [eligen.Engine.Spec]; a
// plan with errors among its diagnostics must not be applied.
//
// Stages come in the order in which they run: first every prompt of the scene, and
// every image prompt, so that their encoders are done with before the large model
// starts, then render by render.
//
// Where ctx ends before the plan is made, the one diagnostic is an error that says so.
func Build(ctx context.Context, scene *eligen.Scene, engineID string, spec func(eligen.Model, []eligen.Adapter) (eligen.Spec, error),
	o Options) (plan *eligen.Plan, ds eligen.Diagnostics) {
	if o.MinTokens == 0 {
		o.MinTokens = 4
	}
	if o.Noise == "" {
		o.Noise = noise.AVX2
	}
	b := &builder{
		ctx:  ctx,
		plan: eligen.NewPlan(scene.Path, engineID), options: o,
		spec: spec, specs: map[string]*answer{}, names: map[string]bool{}, paths: map[string]eligen.Source{}, warned: map[string]bool{},
		several: map[string]*several{},
	}
	if o.Out != "" {
		b.plan.Folder = o.Out
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interrupted:
			plan, ds = b.plan, nil
			ds.Errorf(nil, "Interrupted", "Planning %s was interrupted.", scene.Path)
		default:
			panic(r)
		}
	}()
	var works []*work
	for i := range scene.Renders {
		w := b.resolve(&scene.Renders[i])
		if w == nil {
			continue
		}
		works = append(works, w)
		if w.sizeOK() {
			e := b.estimate(w)
			b.fits(w, e)
			b.plan.Renders = append(b.plan.Renders, e)
		}
	}
	b.nameSeveral()
	if b.diags.HasErrors() {
		return b.plan, b.diags
	}
	for _, w := range works {
		b.prompts(w)
	}
	for _, w := range works {
		b.imagePrompts(w)
	}
	for _, w := range works {
		b.picture(w)
	}
	for _, s := range scene.Sheets {
		b.sheet(s, works)
	}
	for i := range scene.Checks {
		b.check(&scene.Checks[i], works)
	}
	return b.plan, b.diags
}

// interrupted is what a builder panics with where its context has ended; Build is the
// boundary.
type interrupted struct{}

// goOn ends the planning where its context has ended. Whatever repeats by renders,
// entities or frames calls it.
func (b *builder) goOn() {
	if b.ctx.Err() != nil {
		panic(interrupted{})
	}
}

type builder struct {
	ctx     context.Context
	plan    *eligen.Plan
	diags   eligen.Diagnostics
	options Options
	spec    func(eligen.Model, []eligen.Adapter) (eligen.Spec, error)
	specs   map[string]*answer
	names   map[string]bool          // of stages
	paths   map[string]eligen.Source // of outputs
	several map[string]*several      // problems that entities of one block share
	warned  map[string]bool          // places of warnings, since renders share entities
	video   string                   // the version of what writes videos
}

// work is a render with nothing left open.
type work struct {
	render   *eligen.Render
	spec     eligen.Spec
	size     eligen.Size
	entities []entity
	schedule denoise.Schedule
	cfg      float64
	guidance float64
	negative bool
	onBoth   bool // entities on the negative branch too
	init     bool
	tea      float64        // threshold of the step cache; 0 is none
	tiles    *eligen.Tiling // of the autoencoder; nil for none
	outputs  []output
	frames   []*work // of a clip
	moving   bool    // it is a frame of a clip
	number   int     // of the frame
	noise    string  // the name of the noise's stage

	images       []imagePrompt
	imageAdapter eligen.Digest // that they are read by

	text, negativeText     int // tokens of the prompts; the latter is 0 without a negative side
	prompt, negativePrompt eligen.Ref
	entityPrompts          []eligen.Ref
	picture                eligen.Ref // decoded
}

// resolve fills in what the author left out, and reports every problem of a
// render. It returns nil if the model can't be had.
func (b *builder) resolve(r *eligen.Render) *work {
	b.goOn()
	w := &work{render: r, noise: r.Address + ".noise"}
	if r.Broken["model"] || r.Broken["from"] {
		return nil
	}
	base, ok := b.ask(r, []eligen.Adapter{})
	if !ok {
		return nil
	}
	adapters := adaptersOf(r, base)
	for _, a := range adapters {
		if !finite(a.Scale) {
			b.diags.Errorf(&a.Source, outOfRange, "The scale of adapter %q is %v; it must be a finite number.", a.Name, a.Scale)
			return nil
		}
	}
	spec, ok := b.ask(r, adapters)
	if !ok {
		return nil
	}
	w.spec = spec
	if r.Broken != nil {
		b.sketch(w)
		return nil
	}
	lora := func(a eligen.Adapter) bool { return a.Kind == "lora" }
	if spec.WithoutLoRA != "" && len(r.Entities) > 0 && !slices.ContainsFunc(adapters, lora) {
		b.diags.Warnf(r.Where("adapters"), "Entities without EliGen's adapter", "%s Leave out `adapters` to have it, or list it among them.",
			spec.WithoutLoRA)
	}

	b.images(w, adapters)
	b.size(w)
	b.sampler(w)
	w.text = spec.TextTokens(r.Prompt, spec.Prompt)
	if w.negative {
		w.negativeText = spec.TextTokens(r.Negative, spec.Prompt)
	}
	b.tea(w)
	b.tiles(w)
	b.init(w)
	b.entities(w)
	b.inpaint(w)
	b.transfer(w, adapters)
	if r.VAE == nil {
		b.fittingTiles(w)
	}
	b.frames(w)
	b.outputs(w)

	if r.Seed > math.MaxUint32 {
		b.diags.Errorf(r.Where("seed"), outOfRange, "Seed %d is above 4294967295: PyTorch's generator, whose noise this is, uses 32 bits.",
			r.Seed)
	}
	b.checkPrompt(r.Where("prompt"), r.Address, r.Prompt, spec, spec.Prompt, true)
	if w.negative && r.Negative != "" {
		b.checkPrompt(r.Where("negative"), r.Address, r.Negative, spec, spec.Prompt, true)
	}
	return w
}

// sketch judges what can be judged of a render with mistakes: what depends on nothing that
// is broken.
func (b *builder) sketch(w *work) {
	r := w.render
	b.size(w)
	if !r.Broken["sampler"] && !r.Broken["timeline"] && !r.Broken["prompt"] {
		b.sampler(w)
	}
	if r.Broken["timeline"] { // it says what moves, and what a file holds
		return
	}
	for i := range r.Entities {
		e := entity{Entity: &r.Entities[i]}
		b.region(w, &e)
	}
	b.outputs(w)
}

// once reports an error, once for the same position and text: renders share entities.
func (b *builder) once(at *eligen.Source, summary, detail string, args ...any) {
	key := fmt.Sprintf("%s|%s|%s", at, summary, fmt.Sprintf(detail, args...))
	if !b.warned[key] {
		b.warned[key] = true
		b.diags.Errorf(at, summary, detail, args...)
	}
}

// warn warns, once for the same place and text: renders share entities.
func (b *builder) warn(at *eligen.Source, summary, detail string, args ...any) {
	key := fmt.Sprintf("%s|%s|%s", at, summary, fmt.Sprintf(detail, args...))
	if !b.warned[key] {
		b.warned[key] = true
		b.diags.Warnf(at, summary, detail, args...)
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
