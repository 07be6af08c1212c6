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
	b := newBuilder(ctx, scene, engineID, spec, o)
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

func newBuilder(ctx context.Context, scene *eligen.Scene, engineID string, spec func(eligen.Model, []eligen.Adapter) (eligen.Spec, error),
	o Options) *builder {
	if o.MinTokens == 0 {
		o.MinTokens = 4
	}
	if o.Noise == "" {
		o.Noise = noise.AVX2
	}
	b := &builder{
		judge: judge{
			problems: problems{several: map[string]*several{}, warned: map[string]bool{}},
			ctx:      ctx, options: o, spec: spec, specs: map[string]*answer{}, paths: map[string]eligen.Source{},
		},
		plan: eligen.NewPlan(scene.Path, engineID), names: map[string]bool{},
	}
	if o.Out != "" {
		b.plan.Folder = o.Out
	}
	b.folder = b.plan.Folder
	return b
}

// interrupted is what a builder panics with where its context has ended; Build is the
// boundary.
type interrupted struct{}

// goOn ends the planning where its context has ended. Whatever repeats by renders,
// entities or frames calls it.
func (jd *judge) goOn() {
	if jd.ctx.Err() != nil {
		panic(interrupted{})
	}
}

// problems collects what is wrong with a scene.
type problems struct {
	diags   eligen.Diagnostics
	several map[string]*several // that entities of one block share
	warned  map[string]bool     // places of warnings, since renders share entities
}

// A judge says what a render means for its model: it fills what the scene leaves open, and
// refuses what can't be honoured.
type judge struct {
	problems

	ctx     context.Context
	options Options
	spec    func(eligen.Model, []eligen.Adapter) (eligen.Spec, error)
	specs   map[string]*answer
	folder  string                   // that outputs are below
	paths   map[string]eligen.Source // of outputs
	video   string                   // the version of what writes videos
}

// A builder adds the stages of renders that were judged to a plan.
type builder struct {
	judge

	plan  *eligen.Plan
	names map[string]bool // of stages
}

// work is a render with nothing left open.
type work struct {
	render     *eligen.Render
	spec       eligen.Spec
	textTokens int // of entities' prompts, where they are fewer than the model's; 0 is the model's
	size       eligen.Size
	entities   []entity
	schedule   denoise.Schedule
	cfg        float64
	guidance   float64
	negative   bool
	onBoth     bool // entities on the negative branch too
	init       bool
	tea        float64        // threshold of the step cache; 0 is none
	tiles      *eligen.Tiling // of the autoencoder; nil for none
	outputs    []output
	frames     []*work // of a clip
	moving     bool    // it is a frame of a clip
	number     int     // of the frame
	noise      string  // the name of the noise's stage

	images       []imagePrompt
	imageAdapter eligen.Digest // that they are read by

	text, negativeText     int // tokens of the prompts; the latter is 0 without a negative side
	prompt, negativePrompt eligen.Ref
	entityPrompts          []eligen.Ref
	entityNegatives        map[string]eligen.Ref // by their addresses
	picture                eligen.Ref            // decoded; of a clip, the middle one of shown
	shown                  []*work               // the frames of a clip that are rendered
}

// resolve fills in what the author left out, and reports every problem of a
// render. It returns nil if the model can't be had.
func (jd *judge) resolve(r *eligen.Render) *work {
	jd.goOn()
	w := &work{render: r, noise: r.Address + ".noise"}
	adapters, ok := jd.modelOf(w)
	if !ok {
		return nil
	}
	spec := w.spec
	if r.Broken != nil {
		jd.sketch(w)
		return nil
	}
	lora := func(a eligen.Adapter) bool { return a.Kind == "lora" }
	if spec.WithoutLoRA != "" && len(r.Entities) > 0 && !slices.ContainsFunc(adapters, lora) {
		jd.diags.Warnf(r.Where("adapters"), "Entities without EliGen's adapter", "%s Leave out `adapters` to have it, or list it among them.",
			spec.WithoutLoRA)
	}

	jd.images(w, adapters)
	jd.size(w)
	jd.sampler(w)
	w.text = spec.TextTokens(r.Prompt, spec.Prompt)
	if w.negative {
		w.negativeText = spec.TextTokens(r.Negative, spec.Prompt)
	}
	jd.tea(w)
	jd.tiles(w)
	jd.init(w)
	jd.entities(w)
	jd.inpaint(w)
	jd.transfer(w, adapters)
	if r.VAE == nil {
		jd.fittingTiles(w)
	}
	jd.frames(w)
	jd.outputs(w)

	if r.Seed > math.MaxUint32 {
		jd.diags.Errorf(r.Where("seed"), outOfRange, "Seed %d is above 4294967295: PyTorch's generator, whose noise this is, uses 32 bits.",
			r.Seed)
	}
	jd.checkPrompt(r.Where("prompt"), r.Address, r.Prompt, spec, spec.Prompt, true)
	if w.negative && r.Negative != "" {
		jd.checkPrompt(r.Where("negative"), r.Address, r.Negative, spec, spec.Prompt, true)
	}
	return w
}

// modelOf asks the engine for a render's model, and then for the model with its adapters,
// which it returns. It sets w.spec.
func (jd *judge) modelOf(w *work) (adapters []eligen.Adapter, ok bool) {
	r := w.render
	if r.Broken["model"] || r.Broken["from"] {
		return nil, false
	}
	base, ok := jd.ask(r, []eligen.Adapter{})
	if !ok {
		if len(r.Adapters) > 0 {
			jd.ask(r, r.Adapters) // what they lack is reported along with what the model lacks
		}
		return nil, false
	}
	adapters = adaptersOf(r, base)
	for _, a := range adapters {
		if !finite(a.Scale) {
			jd.diags.Errorf(&a.Source, outOfRange, "The scale of adapter %q is %v; it must be a finite number.", a.Name, a.Scale)
			return nil, false
		}
	}
	w.spec, ok = jd.ask(r, adapters)
	if ok {
		jd.textTokens(w)
	}
	return adapters, ok
}

// textTokens has entities' prompts be read at the length that the render asks for.
func (jd *judge) textTokens(w *work) {
	n, own := w.render.TextTokens, w.spec.EntityPrompt
	at := w.render.Where("text_tokens")
	switch {
	case n == 0:
	case n < 0:
		jd.diags.Errorf(at, outOfRange, "text_tokens is %d; it must be a whole number above 0.", n)
	case own.Unpadded:
		jd.diags.Errorf(at, notApplicable, "Models of the family %s read prompts at their own length, and pad nothing. Remove text_tokens.",
			w.spec.Family)
	case n == own.Length: // as in a variant of a render with fewer
	case n > own.Length:
		jd.diags.Warnf(at, noEffect, "This model reads entities' prompts as %d tokens; text_tokens = %d takes none away.", own.Length, n)
	case len(w.render.Entities) == 0:
		jd.diags.Warnf(at, noEffect, "text_tokens is about entities' prompts, and %s has no entities.", w.render.Address)
	default:
		w.spec.EntityPrompt.Length, w.textTokens = n, n
	}
}

// sketch judges what can be judged of a render with mistakes: what depends on nothing that
// is broken.
func (jd *judge) sketch(w *work) {
	r := w.render
	jd.size(w)
	if !r.Broken["sampler"] && !r.Broken["timeline"] && !r.Broken["prompt"] {
		jd.sampler(w)
	}
	if r.Broken["timeline"] { // it says what moves, and what a file holds
		return
	}
	for i := range r.Entities {
		e := entity{Entity: &r.Entities[i]}
		jd.region(w, &e)
	}
	jd.outputs(w)
}

// once reports an error, once for the same position and text: renders share entities.
func (p *problems) once(at *eligen.Source, summary, detail string, args ...any) {
	key := fmt.Sprintf("%s|%s|%s", at, summary, fmt.Sprintf(detail, args...))
	if !p.warned[key] {
		p.warned[key] = true
		p.diags.Errorf(at, summary, detail, args...)
	}
}

// onceOf reports an error in an entity's region once, though renders share the entity: what
// is said of it differs by their names and sizes alone.
func (p *problems) onceOf(e *eligen.Entity, summary, detail string, args ...any) {
	if key := e.Address + "|" + summary; !p.warned[key] {
		p.warned[key] = true
		p.diags.Errorf(regionAt(e), summary, detail, args...)
	}
}

// warn warns, once for the same place and text: renders share entities.
func (p *problems) warn(at *eligen.Source, summary, detail string, args ...any) {
	key := fmt.Sprintf("%s|%s|%s", at, summary, fmt.Sprintf(detail, args...))
	if !p.warned[key] {
		p.warned[key] = true
		p.diags.Warnf(at, summary, detail, args...)
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
