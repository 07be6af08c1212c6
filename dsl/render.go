package dsl

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/text/unicode/norm"
)

const (
	maxSide  = 16_384
	maxSteps = eligen.MaxSteps
)

var (
	renderGrammar = &grammar{
		what: "a render",
		optional: []string{"from", "prompt", "model", "adapters", "size", "negative", "entities", "overlap", "text_tokens", "seed", "timeline",
			"for_each", "count"},
		blocks: []hcl.BlockHeaderSchema{{Type: "sampler"}, {Type: "init"}, {Type: "inpaint"}, {Type: "transfer"}, {Type: "vae"},
			{Type: "schedule"}, {Type: "warm_start"}, {Type: "background"}, {Type: "output"}, dynamicBlock},
		many: []string{"output"},
		never: map[string]string{
			"depends_on": "What a render needs is what it refers to; nothing else has an order.",
		},
		inside: map[string]string{
			"steps": "sampler", "cfg": "sampler", "guidance": "sampler", "schedule": "sampler", "shift": "sampler", "negative_entities": "sampler",
			"tea_cache": "sampler",
			"tiled":     "vae", "tile": "vae", "stride": "vae",
			"strength": "init", "image": "init", "path": "output", "overlay": "output", "box": "entity", "mask": "entity", "region": "entity",
		},
	}
	samplerGrammar = &grammar{
		what:     "a sampler",
		optional: []string{"steps", "cfg", "guidance", "schedule", "shift", "negative_entities", "tea_cache"},
		inside:   map[string]string{"seed": "render", "negative": "render", "strength": "init"},
	}
	vaeGrammar = &grammar{
		what:     "a vae",
		optional: []string{"tiled", "tile", "stride"},
	}
	initGrammar = &grammar{
		what:     "an init",
		optional: []string{"image", "strength", "fit", "background"},
	}
	outputGrammar = &grammar{
		what:     "an output",
		optional: []string{"path", "overlay", "strip_metadata", "mark", "quality", "sheet", "loop", "dither"},
	}
)

// What happens where regions meet, by their names in a render.
var overlaps = []string{"blend", "over", "layered", "exclusive"}

// A renderBody is a render block.
type renderBody struct{ *body }

func (l *loader) render(block *hcl.Block, n *node) cty.Value {
	b := renderBody{l.open(block, renderGrammar)}
	base := b.base()
	r := b.begun(base)
	r.Name, r.Address, r.Key, r.Source, r.At = n.name, n.address(), n.key, l.source(b.rng), b.at

	var shown []*node
	known := true
	broken := map[string]bool{"from": b.failed && b.has("from"), "": b.failed}
	for _, part := range []struct {
		name string
		read func()
	}{
		{"prompt", func() { b.prompts(&r) }},
		{"model", func() { b.model(&r.Model) }},
		{"adapters", func() {
			if list := b.adapters(); list != nil {
				r.Adapters = list
			}
		}},
		{"size", func() { b.canvas(&r) }},
		{"seed", func() {
			if seed, ok := b.whole("seed", 0, math.MaxUint32); ok {
				r.Seed = uint64(seed)
			}
		}},
		{"overlap", func() {
			if s, ok := b.choice("overlap", overlaps...); ok {
				r.Overlap = s
			}
		}},
		{"text_tokens", func() {
			if n, ok := b.whole("text_tokens", 1, 4096); ok {
				r.TextTokens = int(n)
			}
		}},
		{"sampler", func() { b.sampler(&r) }},
		{"schedule", func() { b.strengths(&r.Schedule) }},
		{"init", func() { b.init(&r) }},
		{"inpaint", func() { b.inpaint(&r) }},
		{"transfer", func() { b.transfer(&r) }},
		{"vae", func() { b.vae(&r) }},
		{"entities", func() { shown = b.entities(&r, base) }},
		{"timeline", func() { known = b.clip(&r, shown) }},
		{"output", func() {
			if known {
				b.outputs(&r, n)
			}
		}},
	} {
		before := b.failed
		b.failed = false
		part.read()
		broken[part.name] = b.failed
		b.failed = b.failed || before
	}
	if b.failed {
		r.Broken = broken
		n.draft = &r
		return cty.DynamicVal
	}
	n.render, n.shown = &r, shown
	return renderValue(n)
}

// canvas reads the size of a render.
func (b renderBody) canvas(r *eligen.Render) {
	if size := b.size("size"); size.W > 0 {
		r.Size, r.Uses = size, map[string][]eligen.Note{"size": b.uses("size")}
	}
}

// begun returns the render that a block begins with: a copy of the one that it is a
// variant of, or an empty one.
func (b renderBody) begun(base *node) eligen.Render {
	if base == nil {
		return eligen.Render{Model: eligen.Model{Family: "nano", Source: b.l.source(b.rng)}}
	}
	r := *base.render
	r.Outputs = nil // a second picture at the same path would replace the first
	at := maps.Clone(base.render.At)
	for k := range at {
		if k == "output" || strings.HasPrefix(k, "output.") {
			delete(at, k)
		}
	}
	maps.Copy(at, b.at)
	b.at = at
	return r
}

func renderValue(n *node) cty.Value {
	r := n.render
	size := cty.NullVal(cty.List(cty.Number))
	if r.Size.W > 0 {
		size = cty.ListVal([]cty.Value{cty.NumberIntVal(int64(r.Size.W)), cty.NumberIntVal(int64(r.Size.H))})
	}
	return cty.ObjectVal(map[string]cty.Value{
		"name": cty.StringVal(r.Name), "address": cty.StringVal(r.Address), "prompt": cty.StringVal(r.Prompt), "negative": orNull(r.Negative),
		"seed": cty.NumberUIntVal(r.Seed), "size": size, identityName: cty.CapsuleVal(identityType, n),
	})
}

// prompts reads what a render shows, and what it must not.
func (b renderBody) prompts(r *eligen.Render) {
	if s, ok := b.text("prompt"); ok {
		r.Prompt = s
	} else if !b.has("from") && !b.damaged && !b.guessed["prompt"] && !b.guessed["from"] {
		if a := b.attrs["prompt"]; a == nil {
			b.errorf(b.rng, missing, "A render needs the argument \"prompt\", or \"from\" with the render that it is a variant of.")
		} else if !b.has("prompt") {
			b.errorf(a.Expr.Range(), missing, "A render needs the argument \"prompt\"; null leaves it out.")
		}
	}
	if s, ok := b.text("negative"); ok {
		r.Negative = s
	}
}

// model reads a reference to a model.
func (b *body) model(into *eligen.Model) {
	v, ok := b.value("model")
	if !ok {
		return
	}
	n, ok := b.l.block(b.place("model"), "model", v)
	if !ok {
		b.failed = true
		return
	}
	*into = *n.model
	if n.model.Source.File == "" { // predeclared: no line of the scene's
		into.Source = b.at["model"]
	}
}

// base returns the render that this one is a variant of, or nil.
func (b renderBody) base() *node {
	v, ok := b.value("from")
	if !ok {
		return nil
	}
	n, ok := b.l.block(b.place("from"), "render", v)
	if !ok || n.render == nil {
		b.failed = true
		return nil
	}
	return n
}

func (b renderBody) adapters() []eligen.Adapter {
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
func (b *body) size(name string) eligen.Size {
	values, places, ok := b.elements(name, "[width, height] in pixels, as [1024, 1024]")
	if !ok {
		return eligen.Size{}
	}
	if len(values) != 2 {
		b.errorf(b.place(name), wrongType, "%q must be [width, height] in pixels, as [1024, 1024]; this has %d elements.", name, len(values))
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
		b.at[fmt.Sprintf("%s%s[%d]", b.prefix, name, i)] = b.l.source(places[i])
		var problem string
		if n[i], problem = wholeNumber(v, 1, maxSide); problem != "" {
			b.wrong(name, places[i], outOfRange, "The %s must be %s.", what, problem)
			good = false
		}
	}
	if !good {
		return eligen.Size{}
	}
	return eligen.Size{W: int(n[0]), H: int(n[1])}
}

// child reads a block inside this one; its places go into the same map.
func (b *body) child(block *hcl.Block, g *grammar) *body {
	c := &body{l: b.l, g: g, rng: b.l.header(block), at: b.at, prefix: block.Type + ".", iteration: b.made[block]}
	b.at[block.Type] = b.l.source(c.rng)
	c.read(block.Body)
	return c
}

func (b renderBody) sampler(r *eligen.Render) {
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
	if name, ok := s.choice("schedule", eligen.Schedules...); ok {
		r.Sampler.Schedule = name
	}
	if f, ok := s.number("shift", 0, 1000); ok {
		r.Sampler.Shift = &f
		if f == 0 {
			s.errorf(s.place("shift"), outOfRange, "\"shift\" must be greater than 0.")
		}
	}
	if v, ok := s.boolean("negative_entities"); ok {
		r.Sampler.NegativeEntities = &v
	}
	if f, ok := s.number("tea_cache", 0, 1000); ok {
		r.Sampler.TeaCache = &f
	}
}

// maxTile is the largest tile, in latents, of which none is smaller than a pixel.
const maxTile = maxSide

func (b renderBody) vae(r *eligen.Render) {
	block := b.inner("vae")
	if block == nil {
		return
	}
	v := b.child(block, vaeGrammar)
	defer func() { b.failed = b.failed || v.failed }()
	out := eligen.VAE{Source: b.l.source(v.rng)}
	if r.VAE != nil {
		out.Tiled, out.Tile, out.Stride = r.VAE.Tiled, r.VAE.Tile, r.VAE.Stride
	}
	if on, ok := v.boolean("tiled"); ok {
		out.Tiled = on
	}
	number := func(name string, into *int) {
		n, ok := v.whole(name, 1, maxTile)
		if !ok {
			return
		}
		*into = int(n)
		if !out.Tiled && !v.failed {
			v.errorf(v.place(name), notApplicable,
				"%q is of the tiles that the autoencoder works in, and it works in none. Set tiled = true, or remove it.", name)
		}
	}
	number("tile", &out.Tile)
	number("stride", &out.Stride)
	r.VAE = &out
}

func (b renderBody) init(r *eligen.Render) {
	block := b.inner("init")
	if block == nil {
		return
	}
	i := b.child(block, initGrammar)
	defer func() { b.failed = b.failed || i.failed }()
	out := &eligen.Init{Source: b.l.source(i.rng)}
	if r.Init != nil { // of the render that this one is a variant of
		*out = *r.Init
	} else if !i.damaged {
		for _, name := range []string{"image", "strength"} {
			if !i.has(name) && !i.guessed[name] {
				i.errorf(i.rng, missing, "An init needs the argument %q.", name)
			}
		}
	}
	if p := i.picture("image"); p != nil {
		p.Background = out.Image.Background
		out.Image = *p
	}
	i.background(&out.Image)
	if s, ok := i.choice("fit", fits...); ok {
		out.Fit = s
	}
	if f, ok := i.number("strength", 0, 1); ok {
		out.Strength = f
		if f == 0 {
			i.errorf(i.place("strength"), outOfRange, "\"strength\" must be greater than 0: at 0 nothing would be drawn. 1 ignores the picture.")
		}
	}
	r.Init = out
}

// picture reads an argument that is a whole picture, not a mask. It returns a copy that
// may be changed.
func (b *body) picture(name string) *eligen.Picture {
	v, ok := b.value(name)
	if !ok {
		return nil
	}
	return b.pictureOf(v, strconv.Quote(name), b.place(name))
}

// pictureOf reads a value that is a whole picture.
func (b *body) pictureOf(v cty.Value, what string, at hcl.Range) *eligen.Picture {
	switch {
	case v.Type() == shapeType && !v.IsNull() && shapeOf(v).picture != nil && shapeOf(v).options:
		b.errorf(at, notYet, "Options of a whole picture: %s. Write image(\"…\") alone; channel and fit are for masks.", notYetDetail)
	case v.Type() == shapeType && !v.IsNull() && shapeOf(v).picture != nil:
		p := *shapeOf(v).picture
		return &p
	default:
		hint := ""
		if v.Type() == cty.String && !v.IsNull() {
			hint = " Write image(" + short(v) + ")."
		}
		b.errorf(at, wrongType, "%s must be a picture, image(\"…\"); this is %s.%s", what, short(v), hint)
	}
	return nil
}

// entities reads the list of entities, or takes those of the render that this
// one is a variant of, or all of the file.
func (b renderBody) entities(r *eligen.Render, base *node) []*node {
	var nodes []*node
	values, places, ok := b.elements("entities", "a list of entities, as [entity.dog, entity.apple]")
	a := b.attrs["entities"]
	given := a != nil && (ok || b.at["entities"].File != "") // and not null
	if ok {
		seen := map[*node]bool{}
		for i, v := range values {
			n, ok := b.l.block(places[i], "entity", v)
			if !ok {
				b.failed = true
				continue
			}
			if seen[n] {
				b.errorf(places[i], "Entity listed twice",
					"%s is in this list already. A second copy of what it should look like needs an entity block of its own.", b.l.shown(n))
				continue
			}
			seen[n] = true
			nodes = append(nodes, n)
		}
	}
	if !given {
		if base != nil {
			nodes = base.shown
		}
		for _, n := range slices.Clone(b.l.order) {
			if n.kind != "entity" || b.has("from") {
				continue
			}
			b.l.resolve(n)
			b.failed = b.failed || n.broken
			n.each(func(one *node) {
				one.used = true
				if one.entity == nil {
					b.failed = true
					return
				}
				if !n.again { // a second of its name is no entity of the scene's
					nodes = append(nodes, one)
				}
			})
		}
	}
	if !b.l.expand(b.place("entities"), len(nodes)) {
		b.failed = true
		return nil
	}
	out := []eligen.Entity{}
	for _, n := range nodes {
		out = append(out, *n.entity)
	}
	r.Entities = out
	return nodes
}

func (b renderBody) outputs(r *eligen.Render, n *node) {
	standard := "out/" + fileName(n) + ".png"
	if r.Clip != nil {
		standard = "out/" + fileName(n) + ".gif"
	}
	blocks := 0
	for _, inner := range b.blocks {
		if inner.Type != "output" {
			continue
		}
		blocks++
		o := outputBody{b.child(inner, outputGrammar)}
		out := eligen.Output{Path: standard, Source: b.l.source(o.rng), At: map[string]eligen.Source{}}
		at := o.rng
		if s, ok := o.text("path"); ok {
			out.Path, at = s, o.place("path")
			out.Source = b.l.source(at)
		}
		out.Sheet, _ = o.boolean("sheet")
		if !o.has("path") || at != o.rng {
			out.Path = o.output(at, out.Path, o.instanceOf(r.Address))
		}
		out.Overlay, _ = o.boolean("overlay")
		out.StripMetadata, _ = o.boolean("strip_metadata")
		if mark, ok := o.boolean("mark"); ok {
			out.Unmarked = !mark
		}
		if n, ok := o.whole("quality", 1, 100); ok {
			out.Quality = int(n)
		}
		if n, ok := o.whole("loop", 0, math.MaxUint16); ok {
			out.Loop = int(n)
		}
		out.Dither, _ = o.choice("dither", "none", "floyd-steinberg", "ordered")
		for name, a := range o.attrs {
			if o.has(name) {
				out.At[name] = b.l.source(a.NameRange)
			}
		}
		b.failed = b.failed || o.failed
		r.Outputs = append(r.Outputs, out)
	}
	if blocks == 0 && !n.again {
		p := outputBody(b).output(b.rng, standard, r.Address)
		r.Outputs = []eligen.Output{{Path: p, Source: r.Source}}
	}
}

// fileName returns a node's name where it names a file: poster-dawn for
// render.poster["dawn"], birds-poster for module.birds.render.poster.
func fileName(n *node) string {
	name, _, several := strings.Cut(n.name, "[")
	name = strings.Join(append(moduleNames(n.module), name), "-")
	if !several {
		return name
	}
	key := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r) {
			return r
		}
		return '_'
	}, n.key)
	return name + "-" + key
}

// numbered is where a frame's number goes in the name of a file.
var numbered = regexp.MustCompile(`%(0[1-9])?d`)

// An outputBody is an output block, or the render that has none.
type outputBody struct{ *body }

// output checks the path of a file that is to be written, and nothing of its format. who
// names the writer where two write it.
func (b outputBody) output(at hcl.Range, name, who string) string {
	clean, err := localPath(name, "scene's")
	verbs := len(numbered.FindAllString(name, -1))
	switch {
	case err != nil:
		b.errorf(at, "Invalid output path", "%s.", capital(err.Error()))
		return ""
	case strings.ContainsFunc(name, unnameable):
		r, _ := utf8.DecodeRuneInString(name[strings.IndexFunc(name, unnameable):])
		b.errorf(at, "Invalid output path", "The name holds %s, which can't be seen. Remove it.", codePoint(r))
		return ""
	case strings.HasSuffix(name, "/"):
		b.errorf(at, "Invalid output path", "%q is a folder. Name the file, as %q.", name, path.Join(clean, "picture.png"))
		return ""
	case strings.Contains(name, "%") && (verbs != 1 || strings.Count(name, "%") != 1):
		b.errorf(at, "Invalid output path", "%q has a %% that is not the place of a frame's number: write %%04d, once.", name)
		return ""
	}
	key := fileKey(clean)
	clean = spelledIn(b.l.out, clean)
	// What exists already along the path must stay inside the folder.
	var trouble error
	for p := clean; p != "."; p = path.Dir(p) {
		info, err := b.l.out.Stat(filepath.FromSlash(p))
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
	if first, ok := b.l.outputs[key]; ok {
		b.collides(at, clean, first, who)
		return ""
	}
	b.l.outputs[key] = writer{b.l.source(at), who, clean}
	return clean
}

// A writer is an output: where the scene says so, and who writes it.
type writer struct {
	at   eligen.Source
	who  string
	path string
}

// collides complains about two outputs with one path. Of instances it names the two.
func (b outputBody) collides(at hcl.Range, path string, first writer, who string) {
	word, place := b.keyWord(), b.l.source(at)
	a := b.attrs["path"]
	b.failed = true
	module := func(who string) string { before, _, _ := strings.Cut(who, "render."); return before }
	switch {
	case first.at == place && module(first.who) != module(who):
		b.l.diags.Errorf(&place, duplicateOutput, "%s would be written by %s and by %s: the two modules are of one folder, and in names of "+
			"files upper and lower case are one. Write an output block with a variable of the module in its path.", path, first.who, who)
	case word == "" || first.at != place:
		b.errorf(at, duplicateOutput, "Two outputs write %s. Give one of them another path.", path).Note(first.at, "the other output is here")
	case a == nil || a.Expr.Range() != at:
		b.l.diags.Errorf(&place, duplicateOutput, "%s would be written by %s and by %s: in names of files, upper and lower case are one, and "+
			"what is no letter, digit, \"-\", \"_\" or \".\" becomes \"_\". Name the keys so that they differ in more, or write an output block "+
			"with another path.", path, first.who, who)
	case !b.variesBy(a.Expr):
		b.errorf(at, duplicateOutput, "Every instance writes %s. Put %s into the path.", path, word)
	default:
		b.l.diags.Errorf(&place, duplicateOutput, "%s would be written by %s and by %s. Put more of what tells them apart into the path, as %s.",
			path, first.who, who, word)
	}
}

const duplicateOutput = "Duplicate output"

// fileKey rewrites a path as file systems may see it that don't tell upper from lower
// case, or one spelling of an accent from the other.
func fileKey(clean string) string { return strings.ToLower(norm.NFC.String(clean)) }

// A numberedOutput is all that a clip's frames are written to.
type numberedOutput struct {
	key    string // of the path, with its %04d
	frames int
	writer
}

// frame returns the file of a frame, as its key.
func (o numberedOutput) frame(n int) string { return fmt.Sprintf(o.key, n) }

// filesMeet complains about a clip's numbered frames that something else is written to or
// read from, and about files that would have to be folders of others.
func (l *loader) filesMeet(renders []eligen.Render) {
	byEnds := map[[2]string][]numberedOutput{} // by what stands around the number
	for i := range renders {
		r := &renders[i]
		for _, o := range r.Outputs {
			at := numbered.FindStringIndex(o.Path)
			if at == nil || r.Clip == nil {
				continue
			}
			ends := [2]string{fileKey(o.Path[:at[0]]), fileKey(o.Path[at[1]:])}
			n := numberedOutput{ends[0] + o.Path[at[0]:at[1]] + ends[1], r.Clip.Timeline.Frames, writer{o.Source, r.Address, o.Path}}
			for _, other := range byEnds[ends] {
				if f, meet := n.meets(other); meet {
					l.diags.Errorf(&n.at, duplicateOutput, "%s would be written by %s and by %s. Give one of the two another path.", n.frame(f), other.who,
						n.who)
				}
			}
			byEnds[ends] = append(byEnds[ends], n)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.outputs)) {
		w := l.outputs[key]
		for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
			if file, ok := l.outputs[dir]; ok {
				l.diags.Errorf(&w.at, "Invalid output path", "%s can't be a folder: another output writes it as a file. Give one of the two "+
					"another path.", file.path).Note(file.at, "written as a file here")
			}
		}
		if o, f, ok := frameOf(byEnds, key); ok {
			l.diags.Errorf(&w.at, duplicateOutput, "%s would be written by %s and by %s, as its frame %d. Give one of the two another path.", w.path,
				w.who, o.who, f)
		}
	}
	for name, p := range l.pictures {
		clean, err := localPath(name, "scene's")
		if err != nil || p.err != nil {
			continue
		}
		if o, f, ok := frameOf(byEnds, fileKey(clean)); ok {
			l.diags.Errorf(&o.at, "Output overwrites an input",
				"The scene reads %s, so frame %d can't be written to it. Give the output another path.", clean, f)
		}
	}
}

// meets returns the first frame that two outputs with equal ends write to one file.
func (o numberedOutput) meets(p numberedOutput) (frame int, ok bool) {
	for _, f := range []int{0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000} { // where a number fills its zeros
		if f < min(o.frames, p.frames) && o.frame(f) == p.frame(f) {
			return f, true
		}
	}
	return 0, false
}

// frameOf returns the clip that a file belongs to, and the frame that it is.
func frameOf(byEnds map[[2]string][]numberedOutput, key string) (o numberedOutput, frame int, ok bool) {
	if len(byEnds) == 0 {
		return o, 0, false
	}
	digit := func(i int) bool { return i < len(key) && '0' <= key[i] && key[i] <= '9' }
	for i := range key {
		for j := i + 1; digit(j-1) && j-i <= 9; j++ {
			n, _ := strconv.Atoi(key[i:j]) // digits alone, and few
			for _, o := range byEnds[[2]string{key[:i], key[j:]}] {
				if n < o.frames && o.frame(n) == key {
					return o, n, true
				}
			}
		}
	}
	return o, 0, false
}

// variesBy reports whether an expression looks at which instance it is evaluated for.
func (b outputBody) variesBy(e hcl.Expression) bool {
	return slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool {
		return t.RootName() == "each" || t.RootName() == "count" || b.iteration != nil && t.RootName() == b.iteration.name
	})
}

// overwrites complains about outputs that are also read.
func (l *loader) overwrites() {
	for name, p := range l.pictures {
		clean, err := localPath(name, "scene's")
		if err != nil || p.err != nil {
			continue
		}
		if at, ok := l.outputs[fileKey(clean)]; ok {
			l.diags.Errorf(&at.at, "Output overwrites an input", "The scene reads %s, so it can't be written too. Give the output another path.",
				clean)
		}
	}
}
