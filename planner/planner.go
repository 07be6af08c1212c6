// Package planner turns a Scene into a Plan.
//
// It is pure: no files, no clock, no weights. The same scene and the same answers
// of the engine's Spec give the same plan on any machine.
package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
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
var Kinds = []eligen.Op{encode.Op{}, image.Op{}, noise.Op{}, denoise.Op{}, decode.Op{}, still.Op{}, still.JPEG{}, still.WebP{}, still.Sheet{}, measure.Op{}, composite.Op{}, image.Picture{}, image.Prompt{}, image.Resize{}, image.Panels{}, image.Right{}, image.Latents{}, clip.GIF{}, clip.APNG{}, clip.WebP{}, clip.Video{}}

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

// MaxPixels is the largest canvas: 16 megapixels.
const MaxPixels = 16 << 20

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
func Build(ctx context.Context, scene *eligen.Scene, engineID string, spec func(eligen.Model, []eligen.Adapter) (eligen.Spec, error), o Options) (plan *eligen.Plan, ds eligen.Diagnostics) {
	if o.MinTokens == 0 {
		o.MinTokens = 4
	}
	if o.Noise == "" {
		o.Noise = noise.AVX2
	}
	b := &builder{
		ctx:  ctx,
		plan: eligen.NewPlan(scene.Path, engineID), options: o,
		spec: spec, specs: map[string]*answer{}, names: map[string]bool{}, paths: map[string]eligen.Source{}, warned: map[string]bool{}, several: map[string]*several{},
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

// An answer is what spec said of a model, kept, since renders share models.
type answer struct {
	spec eligen.Spec
	ok   bool
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

type entity struct {
	*eligen.Entity
	region   eligen.Region // rounded
	covered  int           // image tokens of the region
	tokens   []int32       // those that the render's rule for overlaps leaves to it
	strength float64
	outside  bool // the canvas, which was reported
	text     int  // tokens of its prompt
}

type output struct {
	eligen.Output
	local string // the path, ready to open
	ext   string
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
	lora := func(a eligen.Adapter) bool { return a.Kind == "lora" }
	if spec.WithoutLoRA != "" && len(r.Entities) > 0 && !slices.ContainsFunc(adapters, lora) {
		b.diags.Warnf(r.Where("adapters"), "Entities without EliGen's adapter", "%s Leave out `adapters` to have it, or list it among them.", spec.WithoutLoRA)
	}

	if r.Broken != nil {
		b.sketch(w)
		return nil
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
		b.diags.Errorf(r.Where("seed"), outOfRange, "Seed %d is above 4294967295: PyTorch's generator, whose noise this is, uses 32 bits.", r.Seed)
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
	if !r.Broken["timeline"] {
		for i := range r.Entities {
			e := entity{Entity: &r.Entities[i]}
			b.region(w, &e)
		}
	}
	if !r.Broken["timeline"] {
		b.outputs(w)
	}
}

// adaptersOf are a render's adapters: where it names none, those that its family brings.
func adaptersOf(r *eligen.Render, spec eligen.Spec) []eligen.Adapter {
	adapters := []eligen.Adapter{}
	if r.Adapters != nil {
		return append(adapters, r.Adapters...)
	}
	own := func(name, path string, at eligen.Source) {
		adapters = append(adapters, eligen.Adapter{Kind: "lora", Name: name, Path: path, Scale: 1, Alpha: "file", Source: at})
	}
	if spec.EliGen && len(r.Entities) > 0 {
		own("eligen", "", r.Source)
	}
	if spec.InContext && r.Transfer != nil && len(r.Entities) > 0 {
		own("in-context", eligen.InContext, *r.Where("transfer"))
	}
	return adapters
}

// ask asks for a model's Spec, once.
func (b *builder) ask(r *eligen.Render, adapters []eligen.Adapter) (eligen.Spec, bool) {
	model := r.Model
	model.Source = eligen.Source{}
	key := fmt.Sprintf("%q", model)
	for _, a := range adapters {
		a.Source = eligen.Source{}
		key += fmt.Sprintf("%q", fmt.Sprint(a))
	}
	if a, ok := b.specs[key]; ok {
		return a.spec, a.ok
	}
	spec, err := b.spec(r.Model, adapters)
	b.specs[key] = &answer{spec, err == nil}
	at := &r.Model.Source
	if at.File == "" {
		at = r.Where("model")
	}
	if err == nil {
		b.take(spec.Warnings, at)
		return spec, true
	}
	var ds eligen.Diagnostics
	if !errors.As(err, &ds) {
		b.diags.Errorf(at, "Model can't be used", "%v.", strings.TrimSuffix(err.Error(), "."))
		return spec, false
	}
	b.take(ds, at)
	return spec, false
}

// take reports what an engine says of a model, each once: renders that share an adapter
// share what is wrong with it.
func (b *builder) take(ds eligen.Diagnostics, at *eligen.Source) {
	for _, d := range ds {
		if d.Source == nil || d.Source.File == "" {
			d.Source = at
		}
		if !slices.ContainsFunc(b.diags, func(o eligen.Diagnostic) bool { return o.String() == d.String() }) {
			b.diags = append(b.diags, d)
		}
	}
}

// size checks a render's size. What a model's sides are multiples of is for its family to
// say, so that nothing but this judges sizes.
func (b *builder) size(w *work) {
	r := w.render
	w.size = r.Size
	if w.size == (eligen.Size{}) {
		w.size = w.spec.Native
	}
	at := r.Where("size")
	if r.Broken["size"] {
		w.size = eligen.Size{}
		return
	}
	m := w.spec.Geometry.Token()
	for i, side := range []struct {
		name string
		n    int
	}{{"width", w.size.W}, {"height", w.size.H}} {
		if side.n > 0 && side.n%m == 0 {
			continue
		}
		near, low := fmt.Sprintf("is %d", m), side.n/m*m
		if low > 0 {
			near = fmt.Sprintf("are %d and %d", low, low+m)
		}
		at := at
		if s, ok := r.At[fmt.Sprintf("size[%d]", i)]; ok {
			at = &s
		}
		b.uses(b.diags.Errorf(at, "Invalid size", "The %s must be a multiple of %d pixels for this model; the nearest to %d %s.", side.name, m, side.n, near), r.Uses["size"])
	}
	b.known(w)
	if int64(w.size.W)*int64(w.size.H) > MaxPixels || w.size.W > MaxPixels || w.size.H > MaxPixels {
		b.uses(b.diags.Errorf(at, "Invalid size", "A picture of %d×%d has more than 16 megapixels, which is the limit.", w.size.W, w.size.H), r.Uses["size"])
	} else if c := w.canvas(); int64(c.W)*int64(c.H) > MaxPixels {
		b.uses(b.diags.Errorf(at, "Invalid size", "A transfer works on two panels side by side, and two of %d×%d have more than 16 megapixels, which is the limit.", w.size.W, w.size.H), r.Uses["size"])
	}
}

// uses adds what an argument's value comes from to a problem with it.
func (b *builder) uses(d *eligen.Diagnostic, notes []eligen.Note) {
	d.Notes = append(d.Notes, notes...)
}

// sizeOK reports whether the size is one that regions can be laid on.
func (w *work) sizeOK() bool {
	m, s := w.spec.Geometry.Token(), w.size
	return s.W >= m && s.H >= m && s.W%m == 0 && s.H%m == 0 && w.canvas().W <= MaxPixels/s.H
}

func (b *builder) sampler(w *work) {
	r, s, spec := w.render, w.render.Sampler, w.spec

	steps := spec.Steps
	if len(r.Entities) > 0 {
		steps = spec.StepsWithEntities
	}
	if s.Steps != nil {
		steps = *s.Steps
	}
	if steps < 1 || steps > eligen.MaxSteps {
		b.diags.Errorf(r.Where("sampler.steps"), outOfRange, "%d steps were asked for; choose a number from 1 to %d.", steps, eligen.MaxSteps)
	}

	w.cfg = spec.CFG
	if len(r.Entities) > 0 {
		w.cfg = spec.CFGWithEntities
	}
	if r.Transfer != nil && spec.CFGWithSource > 0 {
		w.cfg = spec.CFGWithSource
	}
	if r.Negative != "" {
		w.cfg = max(w.cfg, spec.CFGWithNegative)
	}
	if s.CFG != nil {
		w.cfg = *s.CFG
	}
	if !finite(w.cfg) || w.cfg < 0 {
		b.diags.Errorf(r.Where("sampler.cfg"), outOfRange, "cfg is %v; it must be a finite number, 0 or above.", w.cfg)
		w.cfg = 1
	}
	w.negative = w.guided()
	if r.Negative != "" && !w.negative {
		d := b.diags.Errorf(r.Where("negative"), "Negative prompt without guidance",
			"A negative prompt acts through classifier-free guidance only, and cfg is 1, which is off. Set cfg in `sampler` to something above 1, such as 3, or remove the negative prompt.")
		d.Note(r.At["sampler.cfg"], "cfg is set here")
	}
	if s.NegativeEntities != nil && *s.NegativeEntities {
		w.onBoth = true
		switch {
		case !w.negative:
			b.diags.Errorf(r.Where("sampler.negative_entities"), notApplicable,
				"negative_entities puts the entities' regions on the negative branch, and with cfg 1 there is none. Set cfg to something above 1, such as 3, or remove negative_entities.").
				Note(r.At["sampler.cfg"], "cfg is set here")
		case len(r.Entities) == 0:
			b.diags.Warnf(r.Where("sampler.negative_entities"), noEffect, "negative_entities does nothing: %s has no entities.", r.Address)
			w.onBoth = false
		}
	}

	if s.Guidance != nil && !spec.HasGuidance {
		b.diags.Errorf(r.Where("sampler.guidance"), notApplicable,
			"This model has no guidance embedding, so guidance = %v can't act. Remove it; cfg works with every model.", *s.Guidance)
	} else if spec.HasGuidance {
		w.guidance = spec.Guidance
		if s.Guidance != nil {
			w.guidance = *s.Guidance
		}
		if !finite(w.guidance) || w.guidance < 0 {
			b.diags.Errorf(r.Where("sampler.guidance"), outOfRange, "guidance is %v; it must be a finite number, 0 or above.", w.guidance)
			w.guidance = 0
		}
	}

	w.schedule = denoise.Schedule{Name: s.Schedule, Steps: steps, Strength: 1}
	if w.schedule.Name == "" {
		w.schedule.Name = spec.Schedule
	}
	if w.schedule.Name == "" {
		w.schedule.Name = "eligen"
	}
	switch {
	case !slices.Contains(eligen.Schedules, w.schedule.Name):
		b.diags.Errorf(r.Where("sampler.schedule"), unknown, "There is no schedule %q. Choose one of: %s.", w.schedule.Name, strings.Join(eligen.Schedules, ", "))
	case s.Shift != nil && w.schedule.Name != "eligen":
		b.diags.Errorf(r.Where("sampler.shift"), notApplicable,
			"Schedule %q computes its own shift, or has none. Remove shift, or set schedule = \"eligen\", which takes one.", w.schedule.Name).
			Note(r.At["sampler.schedule"], "the schedule is set here")
	case s.Shift != nil && !(*s.Shift > 0 && *s.Shift <= math.MaxFloat32):
		b.diags.Errorf(r.Where("sampler.shift"), outOfRange, "shift is %v; it must be a finite number above 0.", *s.Shift)
	case w.schedule.Name == "eligen":
		w.schedule.Shift = eligen.DefaultShift
		if s.Shift != nil {
			w.schedule.Shift = *s.Shift
		}
	}
}

// tea is the step cache.
func (b *builder) tea(w *work) {
	r, s := w.render, w.render.Sampler
	if s.TeaCache == nil || *s.TeaCache == 0 {
		return
	}
	at := r.Where("sampler.tea_cache")
	switch x := *s.TeaCache; {
	case !finite(x) || x < 0:
		b.diags.Errorf(at, outOfRange, "tea_cache is %v; it must be a finite number, 0 or above.", x)
	case w.spec.LeastTeaCache == 0:
		b.diags.Errorf(at, notApplicable, "Models of the family %s have no step cache. Remove tea_cache.", w.spec.Family)
	case x <= w.spec.LeastTeaCache:
		b.diags.Warnf(at, noEffect, "tea_cache = %v reuses no step: what changes from step to step is never estimated below %v. Try 0.2, or 0.4 for fewer exact steps.", x, w.spec.LeastTeaCache)
	case w.schedule.Steps < 3:
		b.diags.Warnf(at, noEffect, "tea_cache leaves the first and the last step as they are, and %s has no other.", r.Address)
	default:
		w.tea = x
	}
}

// tiles are what the autoencoder works in.
func (b *builder) tiles(w *work) {
	r := w.render
	if r.VAE == nil || !r.VAE.Tiled {
		return
	}
	where := func(name string) *eligen.Source {
		if _, ok := r.At[name]; ok {
			return r.Where(name)
		}
		return &r.VAE.Source
	}
	t := eligen.Tiling{Tile: r.VAE.Tile, Stride: r.VAE.Stride}
	if t.Tile == 0 {
		t.Tile = eligen.DefaultTile
	}
	if t.Stride == 0 {
		t.Stride = max(1, min(eligen.DefaultStride, t.Tile/2))
	}
	canvas, factor := w.canvas(), w.spec.Geometry.Factor
	switch {
	case t.Tile < 1:
		b.diags.Errorf(where("vae.tile"), outOfRange, "A tile of %d latents has no side; choose a number from 1.", t.Tile)
	case t.Stride < 1:
		b.diags.Errorf(where("vae.stride"), outOfRange, "A stride of %d latents goes nowhere; choose a number from 1.", t.Stride)
	case t.Stride > t.Tile:
		b.diags.Errorf(where("vae.stride"), outOfRange, "Tiles of %d latents that begin every %d leave gaps. The stride must be at most the tile; half of it blends well.", t.Tile, t.Stride)
	case canvas.W/factor <= t.Tile && canvas.H/factor <= t.Tile:
		b.diags.Warnf(where("vae.tiled"), noEffect, "One tile of %d latents, %d pixels, covers all of the %d×%d pixels of %s. Choose a smaller tile, or leave vae out.", t.Tile, factor*t.Tile, canvas.W, canvas.H, r.Address)
	default:
		if t.Stride == t.Tile {
			b.diags.Warnf(where("vae.stride"), "Tiles don't overlap", "Tiles of %d latents that begin every %d lie edge to edge, and their seams show. Half a tile blends well.", t.Tile, t.Stride)
		}
		w.tiles = &t
	}
}

// leastTile is the smallest tile that is chosen for a render that leaves it open: a
// smaller one sees too little of a picture.
const leastTile = 32

// fittingTiles has a render that leaves it open decoded as it was recorded, else whole
// where there is memory for it, else in the largest tiles that there is memory for.
func (b *builder) fittingTiles(w *work) {
	r, limit := w.render, b.options.Memory
	if b.options.Recorded != nil {
		if tiles, ok := b.options.Recorded(r.Address); ok {
			w.tiles = tiles
			return
		}
	}
	whole := coding(w)
	if limit <= 0 || whole <= limit || !w.sizeOK() {
		return
	}
	canvas, factor := w.canvas(), w.spec.Geometry.Factor
	for t := eligen.DefaultTile; t >= leastTile; t /= 2 {
		if canvas.W <= factor*t && canvas.H <= factor*t {
			continue // one tile is the whole picture
		}
		w.tiles = &eligen.Tiling{Tile: t, Stride: t / 2}
		if coding(w) > limit {
			continue
		}
		b.diags.Warnf(&r.Source, "Decoded in tiles", "%s takes about %s where the autoencoder works on its %d×%d pixels at once, and there are %s, by %s. It works in tiles of %d pixels instead: seams may show, and a machine with more memory makes a slightly different picture. "+
			"Write vae { tiled = true } to have tiles everywhere, or vae { tiled = false } to have an error where the picture doesn't fit.",
			r.Address, bytesText(whole), canvas.W, canvas.H, bytesText(limit), b.memoryFrom(), factor*t)
		return
	}
	w.tiles = nil
}

func (b *builder) init(w *work) {
	r := w.render
	if r.Init == nil {
		return
	}
	at := r.Where("init.strength")
	if _, ok := r.At["init.strength"]; !ok {
		at = &r.Init.Source
	}
	switch s := r.Init.Strength; {
	case !(s > 0 && s <= 1):
		b.diags.Errorf(at, outOfRange, "The strength of init is %v; it must be above 0 and at most 1. Small values keep the picture, 1 ignores it.", s)
	case s == 1:
		b.diags.Warnf(at, noEffect, "With strength 1 the render starts from noise alone, and the picture of init is ignored. Try 0.6.")
	default:
		w.schedule.Strength = s
		w.init = true
	}
	b.shape(w, r.Where("init.image"), r.Init.Image, r.Init.Fit)
}

func (b *builder) entities(w *work) {
	r, spec := w.render, w.spec
	if n := spec.MaxEntities; n > 0 && len(r.Entities) > n {
		b.diags.Errorf(r.Where("entities"), "Too many entities", "%s has %d entities; this model takes %d.", r.Address, len(r.Entities), n)
	}
	for i := range r.Entities {
		e := entity{Entity: &r.Entities[i], strength: r.Entities[i].Strength, text: spec.TextTokens(r.Entities[i].Prompt, spec.EntityPrompt)}
		if _, set := e.At["strength"]; e.strength == 0 && !set {
			e.strength = 1
		}
		if !(e.strength > 0 && finite(e.strength)) {
			b.diags.Errorf(e.Where("strength"), outOfRange, "The strength of %s is %v; it must be a finite number above 0. 1 is EliGen's own.", e.Address, e.strength)
			e.strength = 1
		}
		b.checkPrompt(e.Where("prompt"), e.Address, e.Prompt, spec, spec.EntityPrompt, false)
		b.region(w, &e)
		w.entities = append(w.entities, e)
	}
	b.overlaps(w)
}

// region rounds an entity's region and counts its tokens.
func (b *builder) region(w *work, e *entity) {
	b.goOn()
	at := regionAt(e.Entity)
	if e.Region.Kind == "" {
		b.diags.Errorf(at, missing, "%s says what, but not where. Give it one of `box`, `mask` and `region`.", e.Address)
		return
	}
	if !finiteRegion(e.Region) {
		b.diags.Errorf(at, outOfRange, "The region of %s holds a number that is not finite.", e.Address)
		return
	}
	e.region = e.Region.Round()
	if e.outside = !b.onCanvas(w, e); e.outside || !w.sizeOK() || !b.maskFits(w, at, e.Region) {
		return
	}
	g := w.spec.Geometry
	e.tokens = e.region.Tokens(w.size, g)
	e.covered = len(e.tokens)
	total := g.Tokens(w.size)
	switch n := len(e.tokens); {
	case w.render.Clip != nil: // where the scene has it is no frame
	case n == 0:
		b.diags.Errorf(at, "Region covers no image token",
			"The region of %s covers none of the %d image tokens (%[3]d×%[3]d pixels each) of a %[4]d×%[5]d picture, so its prompt has nowhere to act. It may lie outside the picture, or between the points at which regions are looked at, %[6]d pixels apart. Make it larger, or move it.%[7]s",
			e.Address, total, g.Token(), w.size.W, w.size.H, g.Factor, unitHint(e.Region))
	case n < b.options.MinTokens:
		b.warn(at, "Region is small", "The region of %s covers %d of the %d image tokens (%[4]d×%[4]d pixels each) of a %[5]d×%[6]d picture; with fewer than %[7]d, an entity is rarely recognisable. Make it larger, or render a larger picture.",
			e.Address, n, total, g.Token(), w.size.W, w.size.H, b.options.MinTokens)
	default:
		if lost := lostShare(e.region, e.tokens, w.size, g); lost > 0.1 {
			b.warn(at, "Region has thin parts", "Regions are looked at every %[5]d pixels, and %.0[1]f %% of the region of %s, in parts thinner than that, is lost at %d×%d. Make them %[5]d pixels wide or more.",
				100*lost, e.Address, w.size.W, w.size.H, g.Factor)
		}
	}
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

// checkPrompt reports a prompt that encoders can't take whole.
func (b *builder) checkPrompt(at *eligen.Source, address, prompt string, spec eligen.Spec, as eligen.Reading, whole bool) {
	if !utf8.ValidString(prompt) {
		b.diags.Errorf(at, "Prompt is no text", "The prompt of %s is not valid UTF-8.", address)
		return
	}
	b.read(at, prompt, spec, whole)
	b.tooLong(at, prompt, spec.Encoders, as)
}

// tooLong warns of a prompt that text encoders cut.
func (b *builder) tooLong(at *eligen.Source, prompt string, encoders []eligen.Encoder, as eligen.Reading) {
	first := ""
	for i, e := range encoders {
		if e.Pooled && !as.Pooled {
			continue
		}
		limit, n := cmp.Or(e.Limit, as.Length), e.Count(prompt)
		cut := func() string { return cutAt(prompt, func(s string) bool { return e.Count(s) <= limit }) }
		switch {
		case i == 0 && n > limit:
			first = e.Name + " reads on"
			b.warn(at, "Prompt is too long", "%s, %s, reads %d tokens of this prompt and would need %d. It is cut after %q.", e.Name, e.Role, limit, n, cut())
		case i == 0:
			first = e.Name + " reads it all"
		case n > limit: // the first one reads more
			b.warn(at, "Prompt is too long for one encoder", "%s, %s, reads %d tokens and would need %d. It is cut after %q; %s.", e.Name, e.Role, limit, n, cut(), first)
		}
	}
}

// cutAt is the last words of the longest beginning of a prompt that fits.
func cutAt(prompt string, fits func(string) bool) string {
	words := strings.Fields(prompt)
	low, high := 0, len(words)
	for low < high {
		mid := (low + high + 1) / 2
		if fits(strings.Join(words[:mid], " ")) {
			low = mid
		} else {
			high = mid - 1
		}
	}
	if low > 4 {
		return "… " + strings.Join(words[low-4:low], " ")
	}
	return strings.Join(words[:low], " ")
}

func (b *builder) outputs(w *work) {
	r := w.render
	outputs := r.Outputs
	if len(outputs) == 0 {
		ext := ".png"
		if r.Clip != nil {
			ext = ".gif"
		}
		outputs = []eligen.Output{{Path: "out/" + r.Name + ext, Source: r.Source}}
	}
	for _, o := range outputs {
		if o.Path == "" && r.Broken["output"] {
			continue
		}
		local, ok := b.path(o.Path, &o.Source)
		if !ok || !b.format(w, o) {
			continue
		}
		b.applicable(w, o)
		ext := strings.ToLower(filepath.Ext(local))
		if format := strings.TrimPrefix(ext, "."); r.Clip != nil && (format == clip.MP4 || format == clip.WebM) && b.options.Video != nil {
			version, err := b.options.Video(format)
			if err != nil {
				b.diags.Errorf(&o.Source, "Video can't be written", "%s.", sentence(err))
				continue
			}
			b.video = version
		}
		if o.Overlay && len(r.Entities) == 0 {
			b.diags.Warnf(&o.Source, noEffect, "overlay draws regions, and %s has no entities.", r.Address)
			o.Overlay = false
		}
		w.outputs = append(w.outputs, output{o, local, ext})
	}
}

func sentence(err error) string {
	return words.Capital(strings.TrimSuffix(err.Error(), "."))
}

// path is where a file that the scene names is written, if it may be.
func (b *builder) path(name string, at *eligen.Source) (string, bool) {
	local := filepath.FromSlash(name)
	if !filepath.IsLocal(local) {
		b.diags.Errorf(at, badPath, "Outputs are written below the folder of the scene, and %q is not there.", name)
		return "", false
	}
	local = filepath.Clean(local)
	if first, taken := b.paths[local]; taken {
		b.diags.Errorf(at, "Duplicate output", "Two outputs write %s. Give one of them another path.", name).Note(first, "the other output is here")
		return "", false
	}
	b.paths[local] = *at
	return filepath.Join(b.plan.Folder, local), true
}

// sheet plans a picture of several renders.
func (b *builder) sheet(s eligen.Sheet, works []*work) {
	path, ok := b.path(s.Path, &s.Source)
	if !ok {
		return
	}
	op := still.Sheet{Shown: &still.Shown{}}
	var inputs []eligen.Ref
	var first *work
	for i, address := range s.Renders {
		for _, w := range works {
			if w.render.Address != address {
				continue
			}
			if first == nil {
				first, op.Size = w, w.size
			}
			if w.size == op.Size {
				inputs, op.Captions = append(inputs, w.picture), append(op.Captions, s.Captions[i])
				resolved := b.resolved(w)
				op.Shown.Renders = append(op.Shown.Renders, resolved)
				op.Background = either(op.Background, resolved.Background())
			}
		}
	}
	if first == nil {
		return
	}
	ref := b.add(first, first.render.Address+".sheet", s.Source, op, inputs...)
	b.plan.Outputs = append(b.plan.Outputs, eligen.PlannedOutput{Path: path, Stage: ref, Source: s.Source})
}

// add adds a stage under a name that no other stage has: an entity that two models
// draw has two prompts.
func (b *builder) add(w *work, name string, at eligen.Source, op eligen.Op, inputs ...eligen.Ref) eligen.Ref {
	b.goOn()
	if b.names[name] {
		name = w.render.Address + "." + name
	}
	ref := b.plan.Add(name, at, op, inputs...)
	if s := &b.plan.Stages[ref]; int(ref) == len(b.plan.Stages)-1 {
		b.names[s.Name] = true
		s.Work = w.amount(op)
	}
	return ref
}

// amount is a stage's Work. What a model does to tokens and pixels grows with its
// weights.
func (w *work) amount(op eligen.Op) float64 {
	s, pixels := w.spec.Sizes, float64(w.size.W)*float64(w.size.H)
	switch op := op.(type) {
	case image.Prompt:
		return float64(max(1, s.Pictures))
	case encode.Op:
		length := w.spec.TextTokens(op.Prompt, eligen.Reading{Length: op.Length, Unpadded: op.Unpadded})
		return float64(length) * float64(max(1, s.Text))
	case denoise.Op:
		seen, _ := w.seen()
		_, step := branch(w, w.text, w.entities, seen)
		if w.negative {
			step *= 2
		}
		sigmas, err := op.Schedule.Sigmas(w.tokens())
		if err != nil {
			return 0 // the stage says so
		}
		return float64(len(sigmas)-1) * max(step, float64(w.tokens()))
	case decode.Op, image.Op, image.Latents:
		return w.coded() * float64(max(1, s.Autoencoder))
	}
	return pixels
}

// prompts plans the text encoders' work of a render.
func (b *builder) prompts(w *work) {
	r, s := w.render, w.spec
	w.prompt = b.add(w, r.Address+".prompt", *r.Where("prompt"), promptOp(s, r.Prompt, s.Prompt))
	if w.negative {
		w.negativePrompt = b.add(w, r.Address+".negative", *r.Where("negative"), promptOp(s, r.Negative, s.Prompt))
	}
	for _, e := range w.entities {
		w.entityPrompts = append(w.entityPrompts, b.add(w, e.Address+".prompt", *e.Where("prompt"), promptOp(s, e.Prompt, s.EntityPrompt)))
	}
}

// promptOp is the stage that reads a prompt.
func promptOp(s eligen.Spec, prompt string, as eligen.Reading) encode.Op {
	return encode.Op{Text: s.Text, Prompt: prompt, Length: as.Length, Pooled: as.Pooled, Unpadded: as.Unpadded}
}

// picture plans the rest of a render, and its outputs.
func (b *builder) picture(w *work) {
	r := w.render
	if r.Clip != nil {
		b.clip(w)
		return
	}
	w.picture = b.decoded(w, w.entityPrompts, "")
	resolved := b.resolved(w)
	for _, o := range w.outputs {
		b.still(w, o, o.local, resolved, w.picture)
	}
}

// still plans a picture's file.
func (b *builder) still(w *work, o output, path string, resolved still.Resolved, picture eligen.Ref) {
	name := w.render.Address + ".still"
	if o.Overlay {
		name = w.render.Address + ".overlay"
	}
	var op eligen.Op
	switch o.ext {
	case ".jpg", ".jpeg":
		quality := o.Quality
		if quality == 0 {
			quality = 90
		}
		op, name = still.JPEG{Resolved: resolved, Overlay: o.Overlay, Strip: o.StripMetadata, Quality: quality}, name+".jpeg"
	case ".webp":
		op, name = still.WebP{Resolved: resolved, Overlay: o.Overlay, Strip: o.StripMetadata}, name+".webp"
	default:
		op = still.Op{Resolved: resolved, Overlay: o.Overlay, Strip: o.StripMetadata}
	}
	ref := b.add(w, name, o.Source, op, picture)
	b.plan.Outputs = append(b.plan.Outputs, eligen.PlannedOutput{Render: w.render.Address, Path: path, Stage: ref, Source: o.Source})
}

// decoded plans a render's picture, with the prompts of its entities given; what
// distinguishes it goes behind the stages' names.
func (b *builder) decoded(w *work, entityPrompts []eligen.Ref, suffix string) eligen.Ref {
	var start []eligen.Ref
	if r := w.render; w.init {
		start = append(start, b.latents(w, r.Address+".init", r.Init.Source, r.Init.Image, r.Init.Fit))
	}
	_, picture := b.draw(w, entityPrompts, suffix, start, b.plate(w))
	return picture
}

// draw plans the model's work on a picture, from the latents to start from, if
// there are any, over the plate that is kept, if there is one.
func (b *builder) draw(w *work, entityPrompts []eligen.Ref, suffix string, start []eligen.Ref, plate *plate) (latents, picture eligen.Ref) {
	r, s := w.render, w.spec
	op := denoise.Op{
		Transformer: s.Transformer, Schedule: w.schedule,
		CFG: w.cfg, Guidance: w.guidance, Negative: w.negative, NegativeEntities: w.onBoth, Init: len(start) > 0,
		TeaCache: w.tea, Decoding: w.tiles,
	}
	if s.Geometry.Patch != eligen.DefaultGeometry.Patch {
		op.Patch = s.Geometry.Patch
	}
	w.see(&op)
	total, columns := w.tokens(), s.Geometry.Grid(w.size).W
	for _, e := range w.entities {
		op.Entities = append(op.Entities, denoise.Entity{Tokens: w.onCanvas(e.tokens, columns), Bucket: Bucket(len(e.tokens), total), Strength: e.strength})
	}

	inputs := []eligen.Ref{
		b.add(w, w.noise, *r.Where("seed"), noise.Op{Seed: r.Seed, Shape: s.Geometry.Shape(w.canvas()), Variant: b.options.Noise, DType: s.DType}),
		w.prompt,
	}
	if w.negative {
		inputs = append(inputs, w.negativePrompt)
	}
	inputs = append(inputs, entityPrompts...)
	inputs = append(inputs, start...)
	if plate != nil {
		op.Fusion = &plate.fusion
		inputs = append(inputs, plate.latents)
	}
	inputs = append(inputs, b.imagePrompts(w)...)
	latents = b.add(w, r.Address+".denoise"+suffix, r.Source, op, inputs...)
	decode := decode.Op{Autoencoder: s.Autoencoder, Tiles: w.tiles}
	if r.Transfer != nil {
		panels := b.add(w, r.Address+".panels.decode"+suffix, r.Source, decode, latents)
		picture = b.add(w, r.Address+".right"+suffix, r.Source, image.Right{}, panels)
	} else {
		picture = b.add(w, r.Address+".decode"+suffix, r.Source, decode, latents)
	}
	return latents, plate.over(b, w, r.Address+".composite"+suffix, r.Source, picture)
}

// resolved is what the render's picture says about itself.
func (b *builder) resolved(w *work) still.Resolved {
	r, s := w.render, w.spec
	out := still.Resolved{
		Format: 1, Version: eligen.Version, Engine: b.plan.Engine, Render: r.Address,
		Size: w.size, Prompt: r.Prompt, Negative: r.Negative, Seed: r.Seed, Noise: string(b.options.Noise),
		Steps: w.schedule.Steps, CFG: w.cfg, Guidance: w.guidance, Schedule: w.schedule.Name, Shift: w.schedule.Shift, NegativeEntities: w.onBoth, Overlap: r.Overlap,
		Model: still.Model{Family: s.Family, Name: r.Model.Name, DType: s.DType, Text: s.Text, Transformer: s.Transformer, Autoencoder: s.Autoencoder},
	}
	if s.Geometry != eligen.DefaultGeometry {
		out.Geometry = s.Geometry
	}
	for i, a := range s.Adapters {
		out.Adapters = append(out.Adapters, still.Adapter{Kind: a.Kind, Digest: a.Digest, Scale: a.Scale, Alpha: a.Alpha, Factors: a.Factors, Pictures: w.picturesOf(i), Background: w.backgroundOf(i)})
	}
	for _, e := range w.entities {
		out.Entities = append(out.Entities, still.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.region, Strength: e.strength, Tokens: len(e.tokens)})
	}
	if w.init {
		out.Init = &still.Init{Picture: r.Init.Image.Digest, Fit: r.Init.Fit, Strength: r.Init.Strength, Background: r.Init.Image.Behind()}
	}
	if w.tea != 0 || w.tiles != nil {
		out.Approximate = &still.Approximate{TeaCache: w.tea, Tiles: w.tiles}
	}
	if p := r.Inpaint; p != nil {
		out.Inpaint = &still.Inpaint{Picture: p.Image.Digest, Fit: p.Fit, Mode: either(p.Mode, "exact"), Feather: p.Feather, Background: p.Background, Colour: p.Image.Behind(), Profile: p.Image.Profile}
	}
	if t := r.Transfer; t != nil {
		out.Transfer = &still.Transfer{Source: t.From.Digest, Target: t.To.Digest, Fit: t.Fit, Mode: either(t.Mode, "exact"), Feather: t.Feather, Background: t.Background, Clean: w.cleanSource(), Colour: either(t.From.Behind(), t.To.Behind()), Profile: t.To.Profile}
	}
	return out
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
