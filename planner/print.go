package planner

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// Print is a plan for people: each render with its entities and files, then each
// stage and whether it has to run. cached says whether the store has a result.
func Print(p *eligen.Plan, cached func(eligen.Digest) bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s\n", p.Scene, p.Engine)

	for _, group := range renders(p) {
		r := group.resolved
		total := r.Size.W / 16 * (r.Size.H / 16)
		fmt.Fprintf(&b, "\n%s  %d×%d, %d image tokens, %s, seed %d\n", r.Render, r.Size.W, r.Size.H, total, sampler(r), r.Seed)
		fmt.Fprintf(&b, "  %s\n", model(r))
		fmt.Fprintf(&b, "  %s\n", quote(r.Prompt, 72))
		if r.Negative != "" {
			fmt.Fprintf(&b, "  not %s\n", quote(r.Negative, 68))
		}
		var rows [][]string
		for _, e := range r.Entities {
			row := []string{"  " + e.Address, quote(e.Prompt, 40), fmt.Sprintf("%d tokens", e.Tokens), fmt.Sprintf("%.0f %%", 100*float64(e.Tokens)/float64(total))}
			if e.Strength != 1 {
				row = append(row, fmt.Sprintf("strength %g", e.Strength))
			}
			rows = append(rows, row)
		}
		table(&b, rows)
		for _, path := range group.paths {
			fmt.Fprintf(&b, "  → %s\n", path)
		}
	}

	rows := [][]string{{"stage", "kind", "what", ""}}
	run := 0
	for _, s := range p.Stages {
		state := "cached"
		if !cached(s.Digest) {
			state = "run"
			run++
		}
		rows = append(rows, []string{s.Name, s.Op.Kind(), short(what(s.Op), 44), state})
	}
	b.WriteByte('\n')
	table(&b, rows)
	plural := "s"
	if len(p.Stages) == 1 {
		plural = ""
	}
	fmt.Fprintf(&b, "\n%d stage%s: %d cached, %d to run.\n", len(p.Stages), plural, len(p.Stages)-run, run)
	return b.String()
}

// A group is a render, and the files it is written to.
type group struct {
	resolved still.Resolved
	paths    []string
}

func renders(p *eligen.Plan) []group {
	var out []group
	for _, o := range p.Outputs {
		op, ok := p.Stages[o.Stage].Op.(still.Op)
		if !ok {
			continue
		}
		if n := len(out); n > 0 && out[n-1].resolved.Render == o.Render {
			out[n-1].paths = append(out[n-1].paths, o.Path)
			continue
		}
		out = append(out, group{op.Resolved, []string{o.Path}})
	}
	return out
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
	if r.Init != nil {
		s += fmt.Sprintf(", from picture %s at strength %g", r.Init.Picture.Short(), r.Init.Strength)
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
func JSON(p *eligen.Plan, cached func(eligen.Digest) bool) ([]byte, error) {
	type stage struct {
		Address string        `json:"address"`
		Kind    string        `json:"kind"`
		Digest  eligen.Digest `json:"digest"`
		Inputs  []string      `json:"inputs"`
		Cached  bool          `json:"cached"`
		Source  string        `json:"source,omitempty"` // file:line
		Recipe  eligen.Op     `json:"recipe"`
	}
	type output struct {
		Render string `json:"render"`
		Path   string `json:"path"`
		Stage  string `json:"stage"`
	}
	plan := struct {
		Scene   string   `json:"scene"`
		Engine  string   `json:"engine"`
		Stages  []stage  `json:"stages"`
		Outputs []output `json:"outputs"`
	}{p.Scene, p.Engine, []stage{}, []output{}}
	for _, s := range p.Stages {
		inputs := []string{}
		for _, in := range s.Inputs {
			inputs = append(inputs, p.Stages[in].Name)
		}
		plan.Stages = append(plan.Stages, stage{s.Name, s.Op.Kind(), s.Digest, inputs, cached(s.Digest), s.Source.String(), s.Op})
	}
	for _, o := range p.Outputs {
		plan.Outputs = append(plan.Outputs, output{o.Render, o.Path, p.Stages[o.Stage].Name})
	}
	return json.MarshalIndent(plan, "", "  ")
}
