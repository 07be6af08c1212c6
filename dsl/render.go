package dsl

import (
	"errors"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

const (
	maxSide   = 16_384
	maxPixels = 1 << 24 // 16 MP
	multiple  = 16      // pixels a token covers in each direction
	maxSteps  = eligen.MaxSteps
)

// Schedules of timesteps, by their names in a sampler block.
var schedules = []string{"eligen", "flux-dev", "flux-schnell", "diffusers"}

var (
	renderGrammar = &grammar{
		what:        "a render",
		required:    []string{"prompt"},
		optional:    []string{"model", "adapters", "size", "negative", "entities", "seed"},
		blocks:      []hcl.BlockHeaderSchema{{Type: "sampler"}, {Type: "init"}, {Type: "output"}},
		many:        []string{"output"},
		later:       []string{"for_each", "count", "from", "timeline", "overlap", "depends_on"},
		laterBlocks: []hcl.BlockHeaderSchema{{Type: "inpaint"}, {Type: "transfer"}, {Type: "warm_start"}, {Type: "background"}, {Type: "vae"}, {Type: "dynamic", LabelNames: []string{"name"}}},
		inside: map[string]string{
			"steps": "sampler", "cfg": "sampler", "guidance": "sampler", "schedule": "sampler", "shift": "sampler", "negative_entities": "sampler",
			"strength": "init", "image": "init", "path": "output", "overlay": "output", "box": "entity", "mask": "entity", "region": "entity",
		},
	}
	samplerGrammar = &grammar{
		what:     "a sampler",
		optional: []string{"steps", "cfg", "guidance", "schedule", "shift", "negative_entities"},
		later:    []string{"tea_cache"},
		inside:   map[string]string{"seed": "render", "negative": "render", "strength": "init"},
	}
	initGrammar = &grammar{
		what:     "an init",
		required: []string{"image", "strength"},
		later:    []string{"fit"},
	}
	outputGrammar = &grammar{
		what:     "an output",
		optional: []string{"path", "overlay"},
		later:    []string{"strip_metadata", "quality"},
	}
)

func (l *loader) render(block *hcl.Block) {
	b := l.open(block, renderGrammar)
	name := block.Labels[0]
	r := eligen.Render{Name: name, Address: "render." + name, Model: eligen.Model{Family: "nano"}, Source: l.source(b.rng), At: b.at}
	r.Model.Source = r.Source

	r.Prompt, _ = b.text("prompt")
	r.Negative, _ = b.text("negative")
	if v, ok := b.value("model"); ok {
		if n, ok := l.block(b.place("model"), "model", v); !ok {
			b.failed = true
		} else {
			r.Model = *n.model
			if n.model.Source.File == "" { // predeclared: no line of the scene's
				r.Model.Source = b.at["model"]
			}
		}
	}
	r.Adapters = b.adapters()
	r.Size = b.size()
	if seed, ok := b.whole("seed", 0, math.MaxUint32); ok {
		r.Seed = uint64(seed)
	}
	b.sampler(&r)
	b.init(&r)
	r.Entities = b.entities(r.Address, r.Size)
	b.outputs(&r, block)

	if cfg := r.Sampler.CFG; r.Negative != "" && cfg != nil && *cfg == 1 {
		b.errorf(b.attrs["negative"].Expr.Range(), "Negative prompt without effect",
			"A negative prompt acts through classifier-free guidance, and cfg = 1 (at %s) turns that off. Raise cfg, as to 3, or remove one of the two.", r.At["sampler.cfg"])
	}
	if !b.failed {
		l.renders = append(l.renders, r)
	}
}

func (b *body) adapters() []eligen.Adapter {
	values, places, ok := b.elements("adapters", "a list of adapters, as [adapter.lora.eligen]")
	if !ok {
		return nil
	}
	out := []eligen.Adapter{}
	for i, v := range values {
		if n, ok := b.l.block(places[i], "adapter", v); ok {
			out = append(out, *n.adapter)
		} else {
			b.failed = true
		}
	}
	return out
}

// size reads [width, height].
func (b *body) size() eligen.Size {
	values, places, ok := b.elements("size", "[width, height] in pixels, as [1024, 1024]")
	if !ok {
		return eligen.Size{}
	}
	if len(values) != 2 {
		b.errorf(b.place("size"), wrongType, "\"size\" must be [width, height] in pixels, as [1024, 1024]; this has %d elements.", len(values))
		return eligen.Size{}
	}
	var n [2]int64
	good := true
	for i, v := range values {
		what := []string{"width", "height"}[i]
		if !v.IsKnown() {
			good = false
			continue
		}
		v, err := toType(v, cty.Number)
		if err != nil || v.IsNull() {
			b.errorf(places[i], wrongType, "The %s must be a whole number of pixels; this is %s.", what, short(values[i]))
			good = false
			continue
		}
		var problem string
		if n[i], problem = wholeNumber(v, 1, maxSide); problem != "" {
			b.errorf(places[i], "Invalid size", "The %s must be %s.%s", what, problem, b.reason("size"))
			good = false
		} else if below := n[i] / multiple * multiple; below != n[i] {
			if below == 0 {
				b.errorf(places[i], "Invalid size", "The %s must be a multiple of %d; the nearest to %d is %d.%s", what, multiple, n[i], multiple, b.reason("size"))
			} else {
				b.errorf(places[i], "Invalid size", "The %s must be a multiple of %d; the nearest to %d are %d and %d.%s", what, multiple, n[i], below, below+multiple, b.reason("size"))
			}
			good = false
		}
	}
	if good && n[0]*n[1] > maxPixels {
		b.errorf(b.place("size"), "Invalid size", "%d×%d are %d pixels; a picture has at most %d (16 MP).", n[0], n[1], n[0]*n[1], maxPixels)
		good = false
	}
	if !good {
		return eligen.Size{}
	}
	return eligen.Size{W: int(n[0]), H: int(n[1])}
}

// child reads a block inside this one; its places go into the same map.
func (b *body) child(block *hcl.Block, g *grammar) *body {
	c := &body{l: b.l, g: g, rng: b.l.header(block), at: b.at, prefix: block.Type + "."}
	b.at[block.Type] = b.l.source(c.rng)
	c.read(block.Body)
	return c
}

func (b *body) sampler(r *eligen.Render) {
	block := b.inner("sampler")
	if block == nil {
		return
	}
	s := b.child(block, samplerGrammar)
	defer func() { b.failed = b.failed || s.failed }()
	if n, ok := s.whole("steps", 1, maxSteps); ok {
		steps := int(n)
		r.Sampler.Steps = &steps
	}
	if f, ok := s.number("cfg", 0, 1000); ok {
		r.Sampler.CFG = &f
	}
	if f, ok := s.number("guidance", 0, 1000); ok {
		r.Sampler.Guidance = &f
	}
	r.Sampler.Schedule, _ = s.choice("schedule", schedules...)
	if f, ok := s.number("shift", 0, 1000); ok {
		r.Sampler.Shift = &f
		if f == 0 {
			s.errorf(s.place("shift"), outOfRange, "\"shift\" must be greater than 0.")
		}
		if x := r.Sampler.Schedule; x != "" && x != "eligen" {
			s.errorf(s.place("shift"), "Option without effect", "Only the schedule \"eligen\" takes a shift; %q has its own. Remove one of the two.", x)
		}
	}
	if v, ok := s.boolean("negative_entities"); ok {
		r.Sampler.NegativeEntities = &v
	}
}

func (b *body) init(r *eligen.Render) {
	block := b.inner("init")
	if block == nil {
		return
	}
	i := b.child(block, initGrammar)
	defer func() { b.failed = b.failed || i.failed }()
	out := &eligen.Init{Source: b.l.source(i.rng)}
	if v, ok := i.value("image"); ok {
		switch {
		case v.Type() == shapeType && shapeOf(v).picture != nil && shapeOf(v).options:
			i.errorf(i.place("image"), notYet, "Options of the picture to start from: %s. Write image(\"…\") alone; channel and fit are for masks.", notYetDetail)
		case v.Type() == shapeType && shapeOf(v).picture != nil:
			out.Image = *shapeOf(v).picture
		default:
			hint := ""
			if v.Type() == cty.String {
				hint = " Write image(" + short(v) + ")."
			}
			i.errorf(i.place("image"), wrongType, "\"image\" must be a picture, image(\"…\"); this is %s.%s", short(v), hint)
		}
	}
	if f, ok := i.number("strength", 0, 1); ok {
		out.Strength = f
		if f == 0 {
			i.errorf(i.place("strength"), outOfRange, "\"strength\" must be greater than 0: at 0 nothing would be drawn. 1 ignores the picture.")
		}
	}
	r.Init = out
}

// entities reads the list of entities, or takes all of the file.
func (b *body) entities(render string, canvas eligen.Size) []eligen.Entity {
	var nodes []*node
	values, places, ok := b.elements("entities", "a list of entities, as [entity.dog, entity.apple]")
	_, given := b.at["entities"] // and not null
	if ok {
		seen := map[*node]bool{}
		for i, v := range values {
			n, ok := b.l.block(places[i], "entity", v)
			if !ok {
				b.failed = true
				continue
			}
			if seen[n] {
				b.errorf(places[i], "Entity listed twice", "%s is in this list already. A second copy of what it should look like needs an entity block of its own.", n.address())
				continue
			}
			seen[n] = true
			nodes = append(nodes, n)
		}
	}
	if !given {
		for _, n := range b.l.order {
			if n.kind == "entity" {
				n.used = true
				if n.entity == nil {
					b.failed = true
					continue
				}
				nodes = append(nodes, n)
			}
		}
	}
	out := []eligen.Entity{}
	for _, n := range nodes {
		b.fits(n, render, canvas)
		out = append(out, *n.entity)
	}
	return out
}

// fits checks what depends on the canvas: pixels, and the shape of masks.
func (b *body) fits(n *node, render string, canvas eligen.Size) {
	if canvas.W == 0 {
		return
	}
	e, at := n.entity, n.region
	if box, pixels, problem := regionBounds(e.Region); pixels && problem == "" {
		b.onCanvas(at, box, true, canvas, render)
	}
	for _, m := range images(e.Region) {
		w, h := float64(m.Bitmap.W), float64(m.Bitmap.H)
		// A whole number of pixels can't match every ratio: less than one is no difference.
		off := math.Abs(w*float64(canvas.H) - h*float64(canvas.W))
		if m.Fit == "" && off >= math.Max(float64(canvas.W), float64(canvas.H)) {
			b.errorf(at, "Mask does not fit the canvas", "This mask has %d×%d pixels, which is another shape than the %d×%d of %s. Say how it is laid over the canvas: image(\"…\", { fit = \"stretch\" }), or \"cover\" or \"contain\".",
				m.Bitmap.W, m.Bitmap.H, canvas.W, canvas.H, render)
		}
	}
}

func (b *body) outputs(r *eligen.Render, block *hcl.Block) {
	blocks := 0
	for _, inner := range b.blocks {
		if inner.Type != "output" {
			continue
		}
		blocks++
		o := b.child(inner, outputGrammar)
		out := eligen.Output{Path: "out/" + r.Name + ".png", Source: b.l.source(o.rng)}
		at := o.rng
		if s, ok := o.text("path"); ok {
			out.Path, at = s, o.place("path")
			out.Source = b.l.source(at)
		}
		if a := o.attrs["path"]; a == nil || at != o.rng {
			out.Path = o.output(at, out.Path)
		}
		out.Overlay, _ = o.boolean("overlay")
		b.failed = b.failed || o.failed
		r.Outputs = append(r.Outputs, out)
	}
	if blocks == 0 && !b.l.again[block] {
		p := b.output(b.rng, "out/"+r.Name+".png")
		r.Outputs = []eligen.Output{{Path: p, Source: r.Source}}
	}
}

// output checks the path of a picture that is to be written.
func (b *body) output(at hcl.Range, name string) string {
	clean, err := localPath(name)
	switch {
	case err != nil:
		b.errorf(at, "Invalid output path", "%s.", capital(err.Error()))
		return ""
	case strings.HasSuffix(name, "/"):
		b.errorf(at, "Invalid output path", "%q is a folder. Name the file, as %q.", name, path.Join(clean, "picture.png"))
		return ""
	case strings.Contains(name, "%"):
		b.errorf(at, notYet, "Numbered outputs, as \"%%04d.png\": %s.", notYetDetail)
		return ""
	}
	switch ext := strings.ToLower(path.Ext(clean)); ext {
	case ".png":
	case ".jpg", ".jpeg", ".webp", ".gif", ".mp4", ".apng", ".avif":
		b.errorf(at, notYet, "Outputs of type %s: %s. Write a .png.", ext, notYetDetail)
		return ""
	default:
		b.errorf(at, "Invalid output path", "The name of an output ends in .png; %q does not.", name)
		return ""
	}
	// What exists already along the path must stay inside the folder.
	var trouble error
	for p := clean; p != "."; p = path.Dir(p) {
		info, err := b.l.root.Stat(filepath.FromSlash(p))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		switch {
		case err != nil && escapes(err):
			b.errorf(at, "Invalid output path", "%q goes through a link that leads out of the scene's folder.", name)
		case err != nil:
			trouble = err // a file on the way, most often: found further up
			continue
		case p == clean && info.IsDir():
			b.errorf(at, "Invalid output path", "%q is a folder. Name the file, as %q.", name, path.Join(clean, "picture.png"))
		case p != clean && !info.IsDir():
			b.errorf(at, "Invalid output path", "%q can't be written: %s is a file, not a folder.", name, p)
		default:
			continue
		}
		return ""
	}
	if trouble != nil {
		b.errorf(at, "Invalid output path", "%q can't be written: %v.", name, trouble)
		return ""
	}
	// Some file systems don't tell upper from lower case.
	key := strings.ToLower(clean)
	if first, ok := b.l.outputs[key]; ok {
		b.errorf(at, "Duplicate output", "%s is already written by the output at %s. Give one of the two another path.", clean, first)
		return ""
	}
	b.l.outputs[key] = b.l.source(at)
	return clean
}

// overwrites complains about outputs that are also read.
func (l *loader) overwrites() {
	for name, p := range l.pictures {
		clean, err := localPath(name)
		if err != nil || p.err != nil {
			continue
		}
		if at, ok := l.outputs[strings.ToLower(clean)]; ok {
			l.diags.Errorf(&at, "Output overwrites an input", "The scene reads %s, so it can't be written too. Give the output another path.", clean)
		}
	}
}
