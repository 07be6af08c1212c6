package planner

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// sign says what becomes of a render: + it is made for the first time, ~ it is made
// again, differently; nothing, if it is in the store.
func (p *printer) sign(g group) string {
	switch {
	case g.stage >= 0 && p.known.cached(p.plan.Stages[g.stage].Digest):
		return " "
	case p.known.Since.IsZero() || p.isNew(g.resolved.Render):
		return page.Added.Of("+")
	}
	return page.Changed.Of("~")
}

// isNew reports whether the changes say of a render that it is new.
func (p *printer) isNew(render string) bool {
	if p.fresh == nil {
		p.fresh = map[string]bool{}
		for _, c := range p.known.Changes {
			p.fresh[c] = true
		}
	}
	return p.fresh[render+": new"]
}

// render writes a render.
func (p *printer) render(g group) {
	r := g.resolved
	p.b.WriteByte('\n')
	p.heading(p.sign(g), r.Render, fmt.Sprintf("%s, seed %d", p.settings(g), r.Seed))
	if g.frames > 0 {
		p.wrap("    ", "    ", frames(g.frames, g.fps)+"; entities as in the first")
	}
	p.wrap("    ", "    ", page.Quiet.Of(model(r)))
	p.wrap("    ", "    ", quote(r.Prompt, 72))
	if r.Negative != "" {
		p.wrap("    ", "    ", "not "+quote(r.Negative, 68))
	}
	p.table(p.entities(g), 0, entityColumns...)
	for _, line := range estimates(p.asked[r.Render]) {
		p.wrap("    ", "      ", page.Quiet.Of(line))
	}
	for _, path := range g.paths {
		p.b.WriteString("    → " + path + "\n")
	}
}

var entityColumns = []page.Column{sign, {Fit: page.CutLeft}, {Fit: page.Cut}, {Right: true}, {Right: true}}

// entities returns the rows of a render's entities.
func (p *printer) entities(g group) [][]string {
	planned := p.asked[g.resolved.Render]
	var rows [][]string
	for i, e := range g.resolved.Entities {
		if i == most && !p.view.Verbose {
			return append(rows, []string{"   ", page.Quiet.Of(fmt.Sprintf("… and %d more; --verbose shows all", len(g.resolved.Entities)-most))})
		}
		tokens := fmt.Sprintf("%d tokens", e.Tokens)
		if i < len(planned.Regions) && planned.Regions[i] != e.Tokens {
			tokens = fmt.Sprintf("%d of %d tokens", e.Tokens, planned.Regions[i]) // others lie above
		}
		row := []string{"   ", e.Address, quote(e.Prompt, 40), tokens, fmt.Sprintf("%.0f %%", 100*float64(e.Tokens)/float64(total(g.resolved)))}
		if e.Strength != 1 {
			row = append(row, fmt.Sprintf("strength %g", e.Strength))
		}
		if e.Opacity != nil {
			row = append(row, fmt.Sprintf("opacity %g", *e.Opacity))
		}
		if e.Feather != 0 {
			row = append(row, fmt.Sprintf("feather %g", e.Feather))
		}
		if e.Schedule != "" {
			row = append(row, e.Schedule)
		}
		if e.Negative != "" {
			row = append(row, "not "+quote(e.Negative, 30))
		}
		if e.AutoNegative {
			row = append(row, "nowhere else")
		}
		rows = append(rows, row)
	}
	return rows
}

// heading names a render, and what it is made with: next to its name, or below it where
// the line is too short.
func (p *printer) heading(mark, address, settings string) {
	if line := fmt.Sprintf("%s %s  %s", mark, page.Name.Of(address), settings); p.view.Width == 0 || page.Width(line) <= p.view.Width {
		p.b.WriteString(line + "\n")
		return
	}
	p.wrap(mark+" ", "    ", page.Name.Of(address))
	p.wrap("    ", "    ", settings)
}

// settings returns what a render has in common with others of its family.
func (p *printer) settings(g group) string {
	r := g.resolved
	return fmt.Sprintf("%d×%d, %d image tokens, %s", r.Size.W, r.Size.H, total(r), sampler(r))
}

// total returns how many image tokens a render has.
func total(r still.Resolved) int { return r.Cut().Tokens(r.Size) }

// family writes renders that come from one block and have their settings in common, a
// line each.
func (p *printer) family(list []group) {
	first := list[0].resolved
	block, _ := blockOf(first.Render)
	p.b.WriteByte('\n')
	settings := fmt.Sprintf("%s: %s", counted(len(list), "render"), p.settings(list[0]))
	differ := func(what func(still.Resolved) string) bool {
		return slices.ContainsFunc(list, func(g group) bool { return what(g.resolved) != what(first) })
	}
	seeds := differ(func(r still.Resolved) string { return fmt.Sprint(r.Seed) })
	prompts := differ(func(r still.Resolved) string { return r.Prompt })
	if !seeds {
		settings += fmt.Sprintf(", seed %d", first.Seed)
	}
	p.heading(" ", block, settings)
	p.wrap("    ", "    ", page.Quiet.Of(model(first)))
	if !prompts {
		p.wrap("    ", "    ", quote(first.Prompt, 72))
	}
	shared := p.entities(list[0])
	if !slices.ContainsFunc(list, func(g group) bool { return !reflect.DeepEqual(p.entities(g), shared) }) {
		p.table(shared, 0, entityColumns...)
	}
	lines := estimates(p.asked[first.Render])
	for _, g := range list {
		if e := estimates(p.asked[g.resolved.Render]); !slices.Equal(e, lines) {
			lines = nil // each has its own; --verbose shows them
		}
	}
	for _, line := range lines {
		p.wrap("    ", "      ", page.Quiet.Of(line))
	}
	var rows [][]string
	for _, g := range list {
		r := g.resolved
		_, key := blockOf(r.Render)
		row := []string{p.sign(g), key}
		if prompts {
			row = append(row, quote(r.Prompt, 40))
		}
		if seeds {
			row = append(row, fmt.Sprintf("seed %d", r.Seed))
		}
		rows = append(rows, append(row, "→ "+strings.Join(g.paths, ", ")))
	}
	columns := []page.Column{sign, {Fit: page.CutLeft}}
	if prompts {
		columns = append(columns, page.Column{Fit: page.Cut})
	}
	if seeds {
		columns = append(columns, page.Column{})
	}
	columns = append(columns, page.Column{Fit: page.CutLeft})
	left := 0
	if len(rows) > most { // what is to be made is what one looks for
		slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(b[0], a[0]) })
		rows, left = rows[:most], len(rows)-most
	}
	p.table(rows, left, columns...)
}

// blockOf takes an address apart: what several renders have in common, and what each has
// of its own, a seed of --seed or a key.
func blockOf(address string) (block, key string) {
	if i := strings.LastIndex(address, ".seed-"); i >= 0 {
		return address[:i], address[i+1:]
	}
	if i := strings.Index(address, "["); i >= 0 {
		return address[:i], address[i:]
	}
	return address, ""
}

// families puts renders together that come from one block, next to one another, with the
// same settings: at least so many, and none if each is to stand by itself.
func families(list []group, each bool) [][]group {
	same := func(a, b group) bool {
		x, key := blockOf(a.resolved.Render)
		y, _ := blockOf(b.resolved.Render)
		return key != "" && x == y && a.frames == 0 && b.frames == 0 && a.resolved.Size == b.resolved.Size &&
			sampler(a.resolved) == sampler(b.resolved) && model(a.resolved) == model(b.resolved)
	}
	var out [][]group
	for len(list) > 0 {
		n := 1
		for n < len(list) && same(list[0], list[n]) {
			n++
		}
		if n < many || each {
			n = 1
		}
		out = append(out, list[:n])
		list = list[n:]
	}
	return out
}

// sheets writes the contact sheets.
func (p *printer) sheets() {
	for _, o := range p.plan.Outputs {
		if sheet, ok := p.plan.Stages[o.Stage].Op.(still.Sheet); ok {
			mark := page.Added.Of("+")
			if p.known.cached(p.plan.Stages[o.Stage].Digest) {
				mark = " "
			}
			fmt.Fprintf(&p.b, "\n%s %d pictures side by side\n    → %s\n", mark, len(sheet.Captions), o.Path)
		}
	}
}

// sign is the column of signs, before the first one.
var sign = page.Column{Tight: true}

// A group is a render, and the files it is written to.
type group struct {
	resolved still.Resolved
	stage    eligen.Ref // that makes its first file
	frames   int        // of a clip
	fps      float64
	paths    []string
}

func renders(p *eligen.Plan) []group {
	var out []group
	at := map[string]int{} // in out, by the render's address
	for _, o := range p.Outputs {
		resolved, ok := still.ResolvedOf(p.Stages[o.Stage].Op)
		g := group{resolved: resolved, stage: o.Stage, paths: []string{o.Path}}
		address, frame, numbered := strings.Cut(resolved.Render, ".frame[")
		if numbered {
			g.resolved.Render, g.frames = address, 1
		}
		if moving, is := clip.ResolvedOf(p.Stages[o.Stage].Op); is {
			ok = true
			if len(moving.First) > 0 && json.Unmarshal(moving.First, &g.resolved) != nil {
				continue // it was just made from one
			}
			g.resolved.Render, g.resolved.Size, g.frames, g.fps = moving.Render, moving.Size, moving.Frames, moving.FPS
		}
		if !ok {
			continue
		}
		k, known := at[g.resolved.Render]
		if !known {
			at[g.resolved.Render] = len(out)
			if numbered {
				g.paths[0] += " (frame " + strings.TrimSuffix(frame, "]") + ")"
			}
			out = append(out, g)
			continue
		}
		// Of a clip's numbered frames, the first path and their number say all.
		if x := &out[k]; !numbered {
			x.paths = append(x.paths, o.Path)
			x.frames, x.fps = max(x.frames, g.frames), max(x.fps, g.fps)
		} else {
			x.frames++
		}
	}
	return out
}

func frames(n int, fps float64) string {
	s := fmt.Sprintf("%d frames", n)
	if n == 1 {
		s = "1 frame"
	}
	if fps > 0 {
		s += fmt.Sprintf(" at %g a second, %.1f s", fps, float64(n)/fps)
	}
	return s
}

func sampler(r still.Resolved) string {
	s := fmt.Sprintf("%d steps", r.Steps)
	if r.Steps == 1 {
		s = "1 step"
	}
	s += fmt.Sprintf(" (%s", r.Schedule)
	if r.Shift != 0 && r.Shift != eligen.DefaultShift {
		s += fmt.Sprintf(", shift %g", r.Shift)
	}
	s += fmt.Sprintf("), cfg %g", r.CFG)
	if r.Guidance != 0 {
		s += fmt.Sprintf(", guidance %g", r.Guidance)
	}
	if r.Overlap == "layered" {
		s += ", entities in layers"
	}
	if r.Approximate != nil {
		s += fmt.Sprintf(", approximate (%v)", r.Approximate)
	}
	if r.Init != nil {
		s += fmt.Sprintf(", from picture %s at strength %g", r.Init.Picture.Short(), r.Init.Strength)
	}
	if r.Inpaint != nil {
		s += fmt.Sprintf(", painted into picture %s (%s)", r.Inpaint.Picture.Short(), r.Inpaint.Mode)
	}
	if t := r.Transfer; t != nil {
		s += fmt.Sprintf(", transferred from picture %s into %s (%s)", t.Source.Short(), t.Target.Short(), t.Way())
	}
	return s
}

func model(r still.Resolved) string {
	s := "model " + r.Model.Family
	if r.Model.Name != "" {
		s += " " + r.Model.Name
	}
	s += fmt.Sprintf(" %s (%s)", r.Model.Transformer.Short(), r.Model.DType)
	for _, a := range r.Adapters {
		s += fmt.Sprintf(", %s %s at scale %g", a.Kind, a.Digest.Short(), a.Scale)
		if a.Factors {
			s += " beside the weights"
		}
		for i, p := range a.Pictures {
			s += map[bool]string{true: " of picture ", false: ", "}[i == 0] + p.Short()
		}
	}
	return s
}
