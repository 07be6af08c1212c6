package app

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// sceneParts returns a scene in its own words; rename gives addresses their present form.
func sceneParts(s *eligen.Scene, rename func(string) string) []part {
	var out []part
	for _, r := range s.Renders {
		out = append(out, renderPart(r, filepath.Dir(s.Path), rename))
	}
	out = append(out, timelineParts(s, rename)...)
	for _, e := range s.Entities {
		out = append(out, entityPart(e, rename))
	}
	for _, c := range s.Checks {
		p := part{address: c.Address}
		for i, a := range c.Asserts {
			line := []rune(a.Source.Code)
			p.add(fmt.Sprintf("assert %d", i+1), "%s", string(line[min(a.Source.Start, len(line)):min(a.Source.End, len(line))]))
		}
		out = append(out, p)
	}
	for _, r := range s.Recipes {
		out = append(out, recipePart(r))
	}
	return out
}

func entityPart(e eligen.Entity, rename func(string) string) part {
	p := part{address: rename(e.Address), brief: fmt.Sprintf("%q in %s", e.Prompt, shorten(e.Region.String()))}
	where := "region"
	for _, name := range []string{"box", "mask"} {
		if _, ok := e.At[name]; ok {
			where = name
		}
	}
	p.facts = []fact{
		{"prompt", strconv.Quote(e.Prompt)}, {where, shorten(e.Region.String())},
		{"strength", fmt.Sprint(e.Strength)}, {"z", fmt.Sprint(e.Z)},
	}
	if e.Negative != "" {
		p.facts = append(p.facts, fact{"negative", strconv.Quote(e.Negative)})
	}
	if e.AutoNegative {
		p.facts = append(p.facts, fact{"auto_negative", "true"})
	}
	if len(e.Occludes) > 0 {
		var names []string
		for _, address := range e.Occludes {
			names = append(names, rename(address))
		}
		p.facts = append(p.facts, fact{"occludes", strings.Join(names, ", ")})
	}
	if e.Opacity != nil {
		p.facts = append(p.facts, fact{"opacity", fmt.Sprint(*e.Opacity)})
	}
	if e.Feather != 0 {
		p.facts = append(p.facts, fact{"feather", fmt.Sprint(e.Feather)})
	}
	if e.Schedule != nil {
		p.facts = append(p.facts, fact{"schedule", e.Schedule.String()})
	}
	return p
}

// recipePart lists the fields of a training, by the names of the Go struct.
func recipePart(r eligen.Recipe) part {
	p := part{address: "recipe." + r.Name}
	v := reflect.ValueOf(r)
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Name; name {
		case "Name", "Source":
		case "Model":
			p.add("model", "%s", strings.TrimSpace(r.Model.Family+" "+r.Model.Path))
		default:
			p.add(strings.ToLower(name), "%s", fmt.Sprint(v.Field(i)))
		}
	}
	return p
}

// renderPart describes a render. folder is the scene's.
func renderPart(r eligen.Render, folder string, rename func(string) string) part {
	p := part{address: rename(r.Address), brief: strconv.Quote(r.Prompt)}
	p.add("prompt", "%q", r.Prompt)
	if r.Negative != "" {
		p.add("negative", "%q", r.Negative)
	}
	if r.Size.W > 0 {
		p.add("size", "[%d, %d]", r.Size.W, r.Size.H)
	}
	p.add("seed", "%d", r.Seed)
	p.add("model", "%s", fields(r.Model.Family, r.Model.Name, r.Model.Path, r.Model.DType))
	if r.Adapters != nil {
		p.add("adapters", "[%s]", strings.Join(adapterTexts(r.Adapters), ", "))
	}
	var list []string
	for _, e := range r.Entities {
		list = append(list, rename(e.Address))
	}
	p.add("entities", "[%s]", strings.Join(list, ", "))
	if r.Schedule != nil {
		p.add("schedule", "%s", r.Schedule)
	}
	if r.TextTokens != 0 {
		p.add("text_tokens", "%d", r.TextTokens)
	}
	if r.Overlap != "" && r.Overlap != "blend" {
		p.add("overlap", "%q", r.Overlap)
	}
	p.sampling(r)
	p.motion(r.Clip, rename)
	p.pictures(r, folder)
	p.outputs(r.Outputs)
	return p
}

// fields joins words with single spaces, without the empty ones.
func fields(words ...string) string {
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

func adapterTexts(adapters []eligen.Adapter) []string {
	var out []string
	for _, a := range adapters {
		text := strings.TrimSpace(fmt.Sprintf("%s %s %s", a.Kind, a.Name, a.Path)) + fmt.Sprintf(" × %g", a.Scale)
		for _, p := range a.Images {
			text += fmt.Sprintf(" %s (%s)", p.Path, p.Digest.Short())
		}
		out = append(out, strings.TrimSpace(text+" "+a.Encoder))
	}
	return out
}

// sampling adds what a render sets of its sampler and autoencoder.
func (p *part) sampling(r eligen.Render) {
	sampler := reflect.ValueOf(r.Sampler)
	for i, name := range []string{"steps", "cfg", "guidance", "schedule", "shift", "negative_entities", "tea_cache"} {
		if v := sampler.Field(i); !v.IsZero() {
			p.add("sampler."+name, "%v", reflect.Indirect(v))
		}
	}
	if v := r.VAE; v != nil && v.Tiled {
		p.add("vae.tiled", "true")
		if v.Tile != 0 {
			p.add("vae.tile", "%d", v.Tile)
		}
		if v.Stride != 0 {
			p.add("vae.stride", "%d", v.Stride)
		}
	}
}

// motion adds what makes a render a clip.
func (p *part) motion(c *eligen.Clip, rename func(string) string) {
	if c == nil {
		return
	}
	p.add("timeline", "%s", rename(c.Timeline.Address))
	if w := c.Warm; w != nil {
		p.add("warm_start.strength", "%g", w.Strength)
		if w.Every != 0 {
			p.add("warm_start.every", "%d", w.Every)
		}
	}
	if c.Lock {
		p.add("background.lock", "true")
	}
}

// pictures adds the pictures that a render begins with, and what is kept of them.
func (p *part) pictures(r eligen.Render, folder string) {
	if r.Init != nil {
		p.picture("init.image", r.Init.Image, folder)
		p.fit("init", r.Init.Fit)
		p.add("init.strength", "%g", r.Init.Strength)
	}
	if in := r.Inpaint; in != nil {
		p.picture("inpaint.image", in.Image, folder)
		p.fit("inpaint", in.Fit)
		p.keeping("inpaint", in.Keeping)
	}
	if t := r.Transfer; t != nil {
		p.picture("transfer.source", t.From, folder)
		p.picture("transfer.target", t.To, folder)
		p.fit("transfer", t.Fit)
		p.keeping("transfer", t.Keeping)
		if t.Clean != nil {
			p.add("transfer.clean_source", "%t", *t.Clean)
		}
	}
}

func (p *part) fit(block, fit string) {
	if fit != "" {
		p.add(block+".fit", "%q", fit)
	}
}

func (p *part) picture(name string, picture eligen.Picture, folder string) {
	path, err := filepath.Rel(folder, picture.Path)
	if err != nil {
		path = picture.Path
	}
	p.add(name, "%s (%s)%s", filepath.ToSlash(path), picture.Digest.Short(), SeenText(picture.Behind(), picture.Profile))
}

func (p *part) keeping(block string, k eligen.Keeping) {
	p.add(block+".mode", "%q", cmp.Or(k.Mode, "exact"))
	if k.Feather != 0 {
		p.add(block+".feather", "%g", k.Feather)
	}
	if k.Background != 0 {
		p.add(block+".background_weight", "%g", k.Background)
	}
}

func (p *part) outputs(outputs []eligen.Output) {
	for i, o := range outputs {
		text := o.Path
		if o.Overlay {
			text += ", overlay"
		}
		if o.StripMetadata {
			text += ", strip_metadata"
		}
		if o.Unmarked {
			text += ", no mark"
		}
		if o.Quality != 0 {
			text += fmt.Sprintf(", quality %d", o.Quality)
		}
		if o.Sheet {
			text += ", sheet"
		}
		if o.Loop != 0 {
			text += fmt.Sprintf(", loop %d", o.Loop)
		}
		if o.Dither != "" {
			text += fmt.Sprintf(", dither %q", o.Dither)
		}
		name := "output"
		if i > 0 {
			name = fmt.Sprintf("output %d", i+1)
		}
		p.add(name, "%s", text)
	}
}
