package planner

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// Known is what is known beside a plan. Its zero value is nothing.
type Known struct {
	// Cached says whether a result is there already.
	Cached func(eligen.Digest) bool
	// Seconds is how long a stage of a kind takes for an amount of work, going by
	// earlier runs.
	Seconds func(kind string, work float64) (seconds float64, ok bool)
	// Since is when the scene was last run, and Changes what is different now, in
	// words.
	Since   time.Time
	Changes []string
}

func (k Known) cached(d eligen.Digest) bool { return k.Cached != nil && k.Cached(d) }

// seconds is how long a stage will take; 0 if it is cached.
func (k Known) seconds(s eligen.Stage) (seconds float64, ok bool) {
	if k.cached(s.Digest) {
		return 0, true
	}
	if k.Seconds == nil {
		return 0, false
	}
	return k.Seconds(s.Op.Kind(), s.Work)
}

// A View is how a plan is laid out.
type View struct {
	Width   int  // of a line, in cells; 0: no limit
	Verbose bool // every render and stage by itself; else what repeats is put together
}

// many is how many renders or stages that differ in a key or a number only are put
// together, and most how many lines are about them.
const (
	many = 5
	most = 24
)

// Print is a plan for people: in a sentence what is to be made; each render with its
// entities, what it asks of the machine, and its files; what is different from the last
// run; then the stages and whether they have to run.
func Print(p *eligen.Plan, known Known, view View) string {
	out := &printer{plan: p, known: known, view: view, asked: map[string]eligen.PlannedRender{}}
	for _, r := range p.Renders {
		out.asked[r.Address] = r
	}
	out.b.WriteString(page.Title.Of(out.summary()) + "\n")
	out.wrap("", "  ", page.Quiet.Of(fmt.Sprintf("%s on %s", p.Scene, p.Engine)))
	for _, family := range families(renders(p), view.Verbose) {
		if len(family) == 1 {
			out.render(family[0])
		} else {
			out.family(family)
		}
	}
	out.sheets()
	out.changes()
	out.stages()
	return out.b.String()
}

// A printer lays a plan out.
type printer struct {
	b     strings.Builder
	plan  *eligen.Plan
	known Known
	view  View
	asked map[string]eligen.PlannedRender
}

// wrap writes a line, and below it what is too long for it.
func (p *printer) wrap(first, hanging, text string) {
	lines := []string{text}
	if room := p.view.Width - len(hanging); p.view.Width > 0 {
		lines = page.WrapLine(text, max(20, room))
	}
	for i, l := range lines {
		indent := hanging
		if i == 0 {
			indent = first
		}
		p.b.WriteString(indent + l + "\n")
	}
}

// table writes a table, and how many rows were left out.
func (p *printer) table(rows [][]string, left int, columns ...page.Column) {
	p.b.WriteString(page.Table(rows, p.view.Width, columns...))
	if left > 0 {
		p.b.WriteString(page.Quiet.Of(fmt.Sprintf("    … and %d more; --verbose shows all", left)) + "\n")
	}
}

// summary is the plan in a sentence: "1 picture to make, 3 stages in the store, about
// 23 s."
func (p *printer) summary() string {
	made, all := map[string]int{}, map[string]int{}
	names := []string{"picture", "clip", "contact sheet"}
	for _, o := range p.plan.Outputs {
		s := p.plan.Stages[o.Stage]
		kind := names[0]
		if _, ok := clip.ResolvedOf(s.Op); ok {
			kind = names[1]
		} else if _, ok := s.Op.(still.Sheet); ok {
			kind = names[2]
		}
		all[kind]++
		if !p.known.cached(s.Digest) {
			made[kind]++
		}
	}
	var parts []string
	for _, kind := range names {
		switch n := made[kind]; {
		case n == 0:
		case n < all[kind]:
			parts = append(parts, fmt.Sprintf("%d of %s", n, counted(all[kind], kind)))
		default:
			parts = append(parts, counted(n, kind))
		}
	}
	run, sum, sure := p.toRun()
	cached := len(p.plan.Stages) - run
	if run == 0 {
		return fmt.Sprintf("Nothing to make: %s in the store.", counted(cached, "stage"))
	}
	if len(parts) == 0 {
		parts = []string{counted(run, "measurement")}
	}
	text := strings.Join(parts, " and ") + " to make"
	if cached > 0 {
		text += fmt.Sprintf(", %s in the store", counted(cached, "stage"))
	}
	return text + about(sum, sure) + "."
}

// about is how long something takes, if anything is known of it.
func about(seconds float64, sure bool) string {
	switch {
	case seconds == 0:
		return ""
	case sure:
		return ", about " + duration(seconds)
	}
	return ", at least " + duration(seconds)
}

// toRun is how many stages have to run, how long those take that have run before, and
// whether these are all.
func (p *printer) toRun() (run int, seconds float64, all bool) {
	all = true
	for _, s := range p.plan.Stages {
		if !p.known.cached(s.Digest) {
			t, ok := p.known.seconds(s)
			run, seconds, all = run+1, seconds+t, all && ok
		}
	}
	return run, seconds, all
}

// counted is a number of things in words.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// sign says what becomes of a render: + it is made for the first time, ~ it is made
// again, differently; nothing, if it is in the store.
func (p *printer) sign(g group) string {
	switch {
	case g.stage >= 0 && p.known.cached(p.plan.Stages[g.stage].Digest):
		return " "
	case p.known.Since.IsZero() || slices.Contains(p.known.Changes, g.resolved.Render+": new"):
		return page.Added.Of("+")
	}
	return page.Changed.Of("~")
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

// entities are the rows of a render's entities.
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

// settings are what a render has in common with others of its family.
func (p *printer) settings(g group) string {
	r := g.resolved
	return fmt.Sprintf("%d×%d, %d image tokens, %s", r.Size.W, r.Size.H, total(r), sampler(r))
}

// total is how many image tokens a render has.
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

// changes writes what is different from the last run.
func (p *printer) changes() {
	if p.known.Since.IsZero() {
		return
	}
	fmt.Fprintf(&p.b, "\nsince the run of %s\n", p.known.Since.Local().Format("2006-01-02 15:04"))
	for i, c := range p.known.Changes {
		if i == most && !p.view.Verbose {
			p.b.WriteString(page.Quiet.Of(fmt.Sprintf("    … and %d more; --verbose shows all", len(p.known.Changes)-most)) + "\n")
			break
		}
		mark := page.Changed.Of("~")
		if strings.HasSuffix(c, ": new") {
			mark = page.Added.Of("+")
		} else if strings.HasSuffix(c, ": removed") {
			mark = page.Removed.Of("-")
		}
		p.wrap(mark+" ", "    ", c)
	}
	if len(p.known.Changes) == 0 {
		p.b.WriteString("  nothing has changed\n")
	}
}

// sign is the column of signs, before the first one.
var sign = page.Column{Tight: true}

// A stageRow is a stage, or several that differ in a key or a number only, and are all
// in the store or all not.
type stageRow struct {
	name, kind, what string
	cached           bool
	seconds          float64
	sure             bool
}

// stages writes the stages, and how many there are.
func (p *printer) stages() {
	rows := [][]string{{page.Quiet.Of("stage"), page.Quiet.Of("kind"), page.Quiet.Of("what")}}
	columns := []page.Column{{Fit: page.CutLeft}, {}, {Fit: page.Cut}}
	for _, r := range p.stageRows() {
		state, took := page.Quiet.Of("cached"), ""
		if !r.cached {
			state = page.Added.Of("run")
		}
		if !r.cached && r.sure {
			took = "about " + duration(r.seconds)
		}
		rows = append(rows, []string{r.name, page.Quiet.Of(r.kind), short(r.what, 44), state, took})
	}
	if p.view.Width > 0 && p.view.Width < page.Readable && !p.view.Verbose { // its name says the kind
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 1, 2)
		}
		columns = slices.Delete(columns, 1, 2)
	}
	p.b.WriteByte('\n')
	p.table(rows, 0, columns...)
	run, sum, sure := p.toRun()
	fmt.Fprintf(&p.b, "\n%s: %d cached, %d to run%s.\n", counted(len(p.plan.Stages), "stage"), len(p.plan.Stages)-run, run, about(sum, sure))
}

// inBrackets are the keys and numbers in a stage's name, and the seeds of --seed.
var inBrackets = regexp.MustCompile(`\["(?:[^"\\]|\\.)*"\]|\[[0-9]+\]|\.seed-[0-9]+`)

// stageRows are the rows of the stages.
func (p *printer) stageRows() []stageRow {
	type kind struct {
		name, kind string
		cached     bool
	}
	kindOf := func(s eligen.Stage) kind { return kind{pattern(s.Name), s.Op.Kind(), p.known.cached(s.Digest)} }
	count := map[kind]int{}
	for _, s := range p.plan.Stages {
		count[kindOf(s)]++
	}
	var out []stageRow
	at := map[kind]int{}
	for _, s := range p.plan.Stages {
		k := kindOf(s)
		row := stageRow{name: s.Name, kind: k.kind, what: what(s.Op), cached: k.cached}
		row.seconds, row.sure = p.known.seconds(s)
		if p.view.Verbose || count[k] < many {
			out = append(out, row)
			continue
		}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			row.name = k.name
			out = append(out, row)
			continue
		}
		x := &out[i]
		x.what = common(x.what, row.what)
		x.seconds, x.sure = x.seconds+row.seconds, x.sure && row.sure
	}
	for k, i := range at {
		out[i].what = strings.TrimSpace(fmt.Sprintf("%d × %s", count[k], out[i].what))
	}
	return out
}

// pattern is a stage's name without keys, numbers and seeds.
func pattern(name string) string {
	return inBrackets.ReplaceAllStringFunc(name, func(key string) string {
		if strings.HasPrefix(key, ".") {
			return ".seed-…"
		}
		return "[…]"
	})
}

// common is the words that two texts begin with.
func common(a, b string) string {
	if a == b {
		return a
	}
	x, y := strings.Fields(a), strings.Fields(b)
	n := 0
	for n < len(x) && n < len(y) && strings.TrimRight(x[n], ",") == strings.TrimRight(y[n], ",") {
		n++
	}
	if n == 0 {
		return ""
	}
	return strings.TrimRight(strings.TrimSuffix(strings.Join(x[:n], " "), " …"), ",") + " …"
}

// estimates are what a render asks of the machine, in lines.
func estimates(r eligen.PlannedRender) []string {
	if r.Image == 0 {
		return nil
	}
	line := fmt.Sprintf("sequence %d: %d image tokens, %d of the prompt", r.Sequence(), r.Image, r.Prompt)
	if n := len(r.Regions); n > 0 {
		line += fmt.Sprintf(", %d × %d of entities", n, r.Entities/n)
	}
	lines := []string{line}
	line = ""
	if r.Total > 0 {
		line = fmt.Sprintf("step %s, attention %s", operations(r.Total), operations(r.Attention))
	}
	if r.Memory > 0 {
		if line != "" {
			line += "; "
		}
		line += fmt.Sprintf("memory at the peak about %s", bytesText(r.Memory))
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// duration is a number of seconds for people.
func duration(seconds float64) string {
	switch {
	case seconds < 0.095:
		return "0.1 s"
	case seconds < 9.95:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 59.5:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 3570:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

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
		k := slices.IndexFunc(out, func(x group) bool { return x.resolved.Render == g.resolved.Render })
		if k < 0 {
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

func what(op eligen.Op) string {
	if s, ok := op.(fmt.Stringer); ok {
		return s.String()
	}
	return ""
}

func quote(s string, n int) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(short(strings.Join(strings.Fields(s), " "), n)) + `"`
}

// short cuts a text to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// JSON is a plan for programs: what Print shows and each stage's whole definition.
func JSON(p *eligen.Plan, known Known) ([]byte, error) {
	type stage struct {
		Address    string          `json:"address"`
		Kind       string          `json:"kind"`
		Digest     eligen.Digest   `json:"digest"`
		Inputs     []string        `json:"inputs"`
		Cached     bool            `json:"cached"`
		Seconds    *float64        `json:"seconds,omitempty"` // going by earlier runs
		Source     string          `json:"source,omitempty"`  // file:line
		Definition json.RawMessage `json:"definition"`        // the Op: all that its digest is of, but inputs and engine
		Recipe     json.RawMessage `json:"recipe"`            // what definition was called; gone in 0.3
	}
	type output struct {
		Render string `json:"render"`
		Path   string `json:"path"`
		Stage  string `json:"stage"`
	}
	type render struct {
		Address    string  `json:"address"`
		Sequence   int     `json:"sequence"` // tokens that attention is over
		Image      int     `json:"image_tokens"`
		Prompt     int     `json:"prompt_tokens"`
		Entities   int     `json:"entity_tokens"`         // of their prompts
		Regions    []int   `json:"regions"`               // image tokens of each entity
		Attention  float64 `json:"attention_flop"`        // of a step
		Total      float64 `json:"flop"`                  // of a step
		PeakMemory int64   `json:"peak_memory,omitempty"` // bytes
	}
	plan := struct {
		Scene   string   `json:"scene"`
		Engine  string   `json:"engine"`
		Renders []render `json:"renders"`
		Stages  []stage  `json:"stages"`
		Outputs []output `json:"outputs"`
		Changes []string `json:"changes,omitempty"` // since the last run
	}{p.Scene, p.Engine, []render{}, []stage{}, []output{}, known.Changes}
	for _, r := range p.Renders {
		plan.Renders = append(plan.Renders, render{r.Address, r.Sequence(), r.Image, r.Prompt, r.Entities, append([]int{}, r.Regions...), r.Attention, r.Total, r.Memory})
	}
	for _, s := range p.Stages {
		inputs := []string{}
		for _, in := range s.Inputs {
			inputs = append(inputs, p.Stages[in].Name)
		}
		definition, err := json.Marshal(s.Op)
		if err != nil {
			return nil, err
		}
		next := stage{s.Name, s.Op.Kind(), s.Digest, inputs, known.cached(s.Digest), nil, s.Source.String(), definition, definition}
		if t, ok := known.seconds(s); ok {
			next.Seconds = &t
		}
		plan.Stages = append(plan.Stages, next)
	}
	for _, o := range p.Outputs {
		plan.Outputs = append(plan.Outputs, output{o.Render, o.Path, p.Stages[o.Stage].Name})
	}
	data, err := json.MarshalIndent(plan, "", "  ")
	return page.LowerKeys(data), err
}
