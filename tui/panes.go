package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

// shortName returns an address without its first word, the kind of block.
func shortName(address string) string {
	return flat(drawing.Name(address))
}

// title returns a pane's first line: its name, a rule, and its total.
func title(name, right string, width int, look Look) string {
	name = cut(name, width)
	room := width - lipgloss.Width(name)
	if right != "" && room >= lipgloss.Width(right)+4 {
		return name + " " + paint(look, theme.quiet, strings.Repeat("─", room-lipgloss.Width(right)-2)) + " " + right
	}
	if room < 2 {
		return name + strings.Repeat(" ", room)
	}
	return name + " " + paint(look, theme.quiet, strings.Repeat("─", room-1))
}

// A headLine is the screen's first line: the scene and the render, and the engine or the
// scene's state.
type headLine struct {
	scene, render, engine string
	number, of            int    // of the render
	state, colour         string // in place of the engine
	look                  Look
}

func (h *headLine) View(width int) string {
	left := flat(h.scene)
	if h.render != "" {
		left += " · " + flat(h.render)
		if h.of > 1 {
			left += fmt.Sprintf(" (%d of %d)", h.number+1, h.of)
		}
	}
	// What its version and backend are comes first; the rest tells engines apart, and is
	// in the journal.
	words := strings.Fields(flat(h.engine))
	words = words[:min(3, len(words))]
	engine := strings.Join(words, " ")
	if lipgloss.Width(left)+lipgloss.Width(engine)+2 > width {
		engine = ""
	}
	if h.state != "" {
		l, gap, r := sides(left, h.state, width)
		return bold(h.look, l) + gap + paint(h.look, h.colour, r)
	}
	l, gap, r := sides(left, engine, width)
	return bold(h.look, l) + gap + paint(h.look, theme.quiet, r)
}

// An entityPane lists the entities, with the selected one's whole prompt below, as far as
// there is room.
type entityPane struct {
	entities []eligen.Entity
	tokens   []int
	locality map[string]float64
	selected int
	prompt   string // of the render: what there is to say where it has no entities
	look     Look
}

func (p *entityPane) View(width, height int) []string {
	if len(p.entities) == 0 {
		return fit(append([]string{title("prompt", "", width, p.look)}, p.text(p.prompt, width, height-1)...), width, height)
	}
	numbers := func(i int) string {
		s := fmt.Sprintf("%6d", p.tokens[i])
		if len(p.locality) > 0 {
			v, ok := p.locality[p.entities[i].Address]
			if ok {
				s = fmt.Sprintf("%8.2f", v) + s
			} else {
				s = strings.Repeat(" ", 8) + s
			}
		}
		return s
	}
	columns := "tokens"
	if len(p.locality) > 0 {
		columns = "locality tokens"
	}
	lines := []string{title("entities", columns, width, p.look)}
	rows := min(len(p.entities), height-1)
	if len(p.entities) < height-1 || len(p.entities) > 2 && rows == height-1 {
		rows = min(len(p.entities), height-2) // one line for the prompt
	}
	from := min(max(0, p.selected-rows/2), max(0, len(p.entities)-rows))
	names := 0
	for _, e := range p.entities {
		names = max(names, min(width/3, lipgloss.Width(shortName(e.Address))))
	}
	below := "" // of the selected one, what the list has no room for
	for i := from; i < from+rows; i++ {
		e := p.entities[i]
		mark := " "
		if i == p.selected {
			mark = "▸"
		}
		name := cut(shortName(e.Address), width-12)
		text := name
		if width >= 44 {
			name = cut(name, names)
			text = name + strings.Repeat(" ", names-lipgloss.Width(name)) + "  " + flat(e.Prompt)
		}
		l, gap, r := sides(text, numbers(i), width-4)
		line := mark + " " + paint(p.look, inColour(drawing.Colour(i)), string(drawing.Letter(i))) + " "
		if i == p.selected {
			if below = e.Prompt; l == text && text != name && e.Region.Kind != "" {
				below = described(e)
			}
			l = bold(p.look, l)
		}
		lines = append(lines, line+l+gap+r)
	}
	if room := height - len(lines); room > 0 && p.selected < len(p.entities) {
		for _, l := range p.text(below, width-4, room) {
			lines = append(lines, "    "+l)
		}
	}
	return fit(lines, width, height)
}

// described returns an entity's region and strength.
func described(e eligen.Entity) string {
	s := e.Region.String()
	if e.Strength != 1 && e.Strength != 0 {
		s += fmt.Sprintf(", strength %g", e.Strength)
	}
	if e.Opacity != nil {
		s += fmt.Sprintf(", opacity %g", *e.Opacity)
	}
	return s
}

// text returns as much of a prompt as there is room for.
func (p *entityPane) text(prompt string, width, room int) []string {
	lines := wrap(flat(prompt), width)
	if room > 0 && len(lines) > room {
		lines = append(lines[:room-1], cut(lines[room-1]+" "+lines[room], width))
	}
	for i := range lines {
		lines[i] = paint(p.look, theme.quiet, lines[i])
	}
	return lines
}

// A stagePane lists the stages, with progress, speed and time left of the running ones.
type stagePane struct {
	progress *eligen.Progress
	now      time.Time
	look     Look
}

func (p *stagePane) View(width, height int) []string {
	if p.progress.Began.IsZero() {
		return fit(nil, width, height)
	}
	now := p.now
	if p.progress.Ended {
		now = p.progress.Latest
	}
	var lines []string
	at, least := 0, 0 // the line to keep in sight: of the stage at hand, best of one with steps
	for i := range p.progress.Stages {
		s := &p.progress.Stages[i]
		own := p.stage(s, now, width)
		rank := 0
		switch s.State {
		case eligen.Stepped:
			rank = 3
		case eligen.Started:
			rank = 2
		case eligen.Planned:
		default:
			rank = 1
		}
		if rank > least || rank == 1 && least == 1 {
			at, least = len(lines)+len(own)-1, rank
		}
		lines = append(lines, own...)
	}
	rows := max(0, height-1)
	from := min(max(0, at-rows*2/3), max(0, len(lines)-rows))
	lines = lines[from:min(len(lines), from+rows)]
	return fit(append([]string{title("stages", p.sum(now), width, p.look)}, lines...), width, height)
}

// sum returns how many stages are there, of how many, and for how long it has been going.
func (p *stagePane) sum(now time.Time) string {
	n := p.progress.Counts()
	s := fmt.Sprintf("%d of %d", n[eligen.Done]+n[eligen.Cached], len(p.progress.Stages))
	if n[eligen.Failed] > 0 {
		s += fmt.Sprintf(", %d failed", n[eligen.Failed])
	}
	s += "  " + seconds(now.Sub(p.progress.Began))
	if d, ok := left(p.progress, now); ok && !p.progress.Ended {
		s += ", " + seconds(d) + " left"
	}
	return s
}

// slow is how long a first step may take before the pane explains why.
const slow = 2 * time.Second

// stage returns one stage: a line, and where it has steps and runs one more, of what
// there is room for.
func (p *stagePane) stage(s *eligen.StageProgress, now time.Time, width int) []string {
	name := flat(s.Name)
	line := func(mark, colour, right string) string {
		if room := width - 2 - lipgloss.Width(right) - 1; right != "" && room < shortestCut {
			right = ""
		}
		room := width - 2
		if right != "" {
			room -= lipgloss.Width(right) + 1
		}
		l := cutLeft(name, room)
		return paint(p.look, colour, mark) + " " + l + strings.Repeat(" ", max(0, width-2-lipgloss.Width(l)-lipgloss.Width(right))) +
			paint(p.look, theme.quiet, right)
	}
	switch s.State {
	case eligen.Started, eligen.Stepped:
		out := []string{line("▶", theme.name, prefixed("", s.Worker, "  ")+seconds(now.Sub(s.Began)))}
		switch {
		case s.Of > 0:
			out = append(out, p.steps(s, now, width))
		case strings.HasPrefix(s.Kind, "denoise/") && now.Sub(s.Began) > slow:
			out = append(out, paint(p.look, theme.quiet, cut("  loading and compiling the model", width)))
		}
		return out
	case eligen.Done:
		took := ""
		if !s.Began.IsZero() {
			took = seconds(s.Latest.Sub(s.Began))
		}
		return []string{line("✓", theme.added, took)}
	case eligen.Cached:
		return []string{line("✓", theme.quiet, "cached")}
	case eligen.Failed:
		return []string{line("✗", theme.failed, "failed")}
	case eligen.Skipped:
		return []string{line("–", theme.quiet, "skipped")}
	}
	return []string{line("·", theme.quiet, "")}
}

// steps returns a stage's bar. What doesn't fit goes: the bar, then the speed.
func (p *stagePane) steps(s *eligen.StageProgress, now time.Time, width int) string {
	steps := fmt.Sprintf("%d/%d", s.Step, s.Of)
	speed, left := "", ""
	if each, ok := pace(s); ok {
		left = "  " + seconds(rest(s, each, now)) + " left"
		speed = "  " + seconds(each) + "/step"
		if each < time.Second && each > 0 {
			speed = fmt.Sprintf("  %.1f steps/s", 1/each.Seconds())
		}
	}
	for _, text := range []string{steps + speed + left, steps + left, steps} {
		bar := min(widestBar, width-4-lipgloss.Width(text))
		if bar >= narrowest {
			full := int(float64(s.Step)/float64(s.Of)*float64(bar) + 0.5)
			full = min(max(0, full), bar)
			return "  " + paint(p.look, theme.name, strings.Repeat("━", full)) + paint(p.look, theme.quiet, strings.Repeat("─", bar-full)) + "  " +
				text
		}
		if text != steps && lipgloss.Width(text)+2 <= width && width < 40 {
			return "  " + text
		}
	}
	return cut("  "+steps, width)
}

// A logLine is a line of the log with its colour.
type logLine struct{ text, colour string }

// A logPane shows the end of the log, or what lies so many lines before it.
type logPane struct {
	lines []logLine
	back  int
	title bool
	look  Look
}

func (p *logPane) View(width, height int) []string {
	rows := height
	if p.title {
		rows--
	}
	var all []logLine
	for _, l := range p.lines {
		if strings.Contains(l.text, "│") { // code and its carets stay together
			all = append(all, logLine{cut(l.text, width), l.colour})
			continue
		}
		if rows == 1 || lipgloss.Width(l.text) <= width {
			all = append(all, logLine{cut(l.text, width), l.colour})
			continue
		}
		indent := l.text[:len(l.text)-len(strings.TrimLeft(l.text, " "))]
		if len(indent) > width/2 {
			indent = ""
		}
		broken := wrap(l.text, width-len(indent))
		if len(broken) == 0 {
			broken = []string{""}
		}
		for _, s := range broken {
			all = append(all, logLine{indent + s, l.colour})
		}
	}
	var lines []string
	to := max(min(rows, len(all)), len(all)-p.back)
	from := max(0, to-rows)
	if p.title {
		right := ""
		if to < len(all) {
			right = fmt.Sprintf("%d more below", len(all)-to)
		}
		lines = append(lines, title("log", right, width, p.look))
	}
	for _, l := range all[from:to] {
		lines = append(lines, paint(p.look, l.colour, l.text))
	}
	return fit(lines, width, height)
}

// A footLine is the screen's last: what the run has come to, and the keys that there is
// room for.
type footLine struct {
	text string
	keys []key
	look Look
}

func (f *footLine) View(width int) string {
	said := ""
	if f.text != "" {
		said = cut(f.text, width)
		if width -= lipgloss.Width(said) + 2; width < 12 {
			return paint(f.look, theme.warned, said)
		}
		said = paint(f.look, theme.warned, said) + "  "
	}
	var first, last []string
	for _, k := range f.keys {
		s := k.name + " " + k.short
		switch {
		case k.always:
			last = append(last, s)
		case k.short != "":
			first = append(first, s)
		}
	}
	room := func(a, b []string) bool { return lipgloss.Width(strings.Join(slices.Concat(a, b), "  ")) <= width }
	for len(last) > 1 && !room(nil, last) {
		last = last[1:]
	}
	n := 0
	for n < len(first) && room(first[:n+1], last) {
		n++
	}
	return said + paint(f.look, theme.quiet, cut(strings.Join(slices.Concat(first[:n], last), "  "), width))
}

// A helpPane is every key and what it does: in a column, in two, or one after the
// other where there is room for no more.
type helpPane struct {
	keys []key
	look Look
}

func (p *helpPane) View(width, height int) []string {
	lines := []string{title("keys", "? or esc: back", width, p.look)}
	names, texts := 0, 0
	for _, k := range p.keys {
		names, texts = max(names, lipgloss.Width(k.name)), max(texts, lipgloss.Width(k.help))
	}
	var column []string
	for _, k := range p.keys {
		column = append(column, "  "+bold(p.look, k.name)+strings.Repeat(" ", names-lipgloss.Width(k.name))+"  "+k.help)
	}
	one := names + texts + 4
	switch rows := height - 1; {
	case len(column) <= rows && one <= width:
	case (len(column)+1)/2 <= rows && 2*one <= width:
		half := (len(column) + 1) / 2
		for i := range half {
			column[i] = fit([]string{column[i]}, one, 1)[0]
			if i+half < len(column) {
				column[i] += column[i+half]
			}
		}
		column = column[:half]
	default:
		column = nil
		line := ""
		for _, k := range p.keys {
			s := k.name + " " + k.brief()
			if line != "" && lipgloss.Width(line)+3+lipgloss.Width(s) > width {
				column, line = append(column, line), ""
			}
			if line != "" {
				line += " · "
			}
			line += s
		}
		column = append(column, line)
	}
	return fit(append(lines, column...), width, height)
}

func bold(look Look, s string) string {
	if !look.Colour {
		return s
	}
	return lipgloss.NewStyle().Bold(true).Render(s)
}
