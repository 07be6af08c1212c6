package planner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eligen/eligen"
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

// Print is a plan for people: each render with its entities, what it asks of the
// machine, and its files; what is different from the last run; then each stage and
// whether it has to run.
func Print(p *eligen.Plan, known Known) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s\n", p.Scene, p.Engine)

	asked := map[string]eligen.PlannedRender{}
	for _, r := range p.Renders {
		asked[r.Address] = r
	}
	for _, group := range renders(p) {
		r := group.resolved
		total := r.Size.W / 16 * (r.Size.H / 16)
		fmt.Fprintf(&b, "\n%s  %d×%d, %d image tokens, %s, seed %d\n", r.Render, r.Size.W, r.Size.H, total, sampler(r), r.Seed)
		if group.frames > 0 {
			fmt.Fprintf(&b, "  %s; entities as in the first\n", frames(group.frames, group.fps))
		}
		fmt.Fprintf(&b, "  %s\n", model(r))
		fmt.Fprintf(&b, "  %s\n", quote(r.Prompt, 72))
		if r.Negative != "" {
			fmt.Fprintf(&b, "  not %s\n", quote(r.Negative, 68))
		}
		planned := asked[r.Render]
		var rows [][]string
		for i, e := range r.Entities {
			tokens := fmt.Sprintf("%d tokens", e.Tokens)
			if i < len(planned.Regions) && planned.Regions[i] != e.Tokens {
				tokens = fmt.Sprintf("%d of %d tokens", e.Tokens, planned.Regions[i]) // others lie above
			}
			row := []string{"  " + e.Address, quote(e.Prompt, 40), tokens, fmt.Sprintf("%.0f %%", 100*float64(e.Tokens)/float64(total))}
			if e.Strength != 1 {
				row = append(row, fmt.Sprintf("strength %g", e.Strength))
			}
			rows = append(rows, row)
		}
		table(&b, rows)
		for _, line := range estimates(planned) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		for _, path := range group.paths {
			fmt.Fprintf(&b, "  → %s\n", path)
		}
	}

	for _, o := range p.Outputs {
		if sheet, ok := p.Stages[o.Stage].Op.(still.Sheet); ok {
			fmt.Fprintf(&b, "\n%d pictures side by side\n  → %s\n", len(sheet.Captions), o.Path)
		}
	}

	if !known.Since.IsZero() {
		fmt.Fprintf(&b, "\nsince the run of %s\n", known.Since.Local().Format("2006-01-02 15:04"))
		for _, c := range known.Changes {
			fmt.Fprintf(&b, "  %s\n", c)
		}
		if len(known.Changes) == 0 {
			b.WriteString("  nothing has changed\n")
		}
	}

	rows := [][]string{{"stage", "kind", "what", ""}}
	run := 0
	sum, all := 0.0, true
	for _, s := range p.Stages {
		row := []string{s.Name, s.Op.Kind(), short(what(s.Op), 44), "cached"}
		if !known.cached(s.Digest) {
			run++
			row[3] = "run"
			t, ok := known.seconds(s)
			if ok {
				row = append(row, "about "+duration(t))
			}
			sum, all = sum+t, all && ok
		}
		rows = append(rows, row)
	}
	b.WriteByte('\n')
	table(&b, rows)
	plural := "s"
	if len(p.Stages) == 1 {
		plural = ""
	}
	fmt.Fprintf(&b, "\n%d stage%s: %d cached, %d to run", len(p.Stages), plural, len(p.Stages)-run, run)
	switch {
	case run == 0 || sum == 0:
	case all:
		fmt.Fprintf(&b, ", about %s", duration(sum))
	default:
		fmt.Fprintf(&b, ", about %s and those that have never run", duration(sum))
	}
	b.WriteString(".\n")
	return b.String()
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
	frames   int // of a clip
	fps      float64
	paths    []string
}

func renders(p *eligen.Plan) []group {
	var out []group
	for _, o := range p.Outputs {
		resolved, ok := still.ResolvedOf(p.Stages[o.Stage].Op)
		g := group{resolved: resolved, paths: []string{o.Path}}
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

// table writes rows in columns as wide as their widest cell.
func table(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func what(op eligen.Op) string {
	if s, ok := op.(fmt.Stringer); ok {
		return s.String()
	}
	return ""
}

func quote(s string, n int) string {
	return fmt.Sprintf("%q", short(strings.Join(strings.Fields(s), " "), n))
}

// short cuts a text to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// JSON is a plan for programs: what Print shows and each stage's whole recipe.
func JSON(p *eligen.Plan, known Known) ([]byte, error) {
	type stage struct {
		Address string        `json:"address"`
		Kind    string        `json:"kind"`
		Digest  eligen.Digest `json:"digest"`
		Inputs  []string      `json:"inputs"`
		Cached  bool          `json:"cached"`
		Seconds *float64      `json:"seconds,omitempty"` // going by earlier runs
		Source  string        `json:"source,omitempty"`  // file:line
		Recipe  eligen.Op     `json:"recipe"`
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
		next := stage{s.Name, s.Op.Kind(), s.Digest, inputs, known.cached(s.Digest), nil, s.Source.String(), s.Op}
		if t, ok := known.seconds(s); ok {
			next.Seconds = &t
		}
		plan.Stages = append(plan.Stages, next)
	}
	for _, o := range p.Outputs {
		plan.Outputs = append(plan.Outputs, output{o.Render, o.Path, p.Stages[o.Stage].Name})
	}
	return json.MarshalIndent(plan, "", "  ")
}
