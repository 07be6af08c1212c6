package tui

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// View draws a run: a line for every problem, the running stage with its bar, and a count
// of the stages. No line is wider than the terminal.
func View(p *eligen.Progress, now time.Time, look Look) string {
	width := max(1, look.Width)
	var lines []string
	for _, d := range p.Reports {
		if look.Below {
			break
		}
		lines = append(lines, paint(look, theme.warned, cut("! "+plain(d.Summary+": "+firstLine(d.Detail)), width)))
	}
	var current *eligen.StageProgress
	for i := range p.Stages {
		s := &p.Stages[i]
		switch s.State {
		case eligen.Started, eligen.Stepped:
			current = s
		case eligen.Failed:
			line := "✗ " + plain(s.Name)
			if s.Problem != nil && !look.Below {
				line += ": " + plain(firstLine(s.Problem.Detail))
			}
			lines = append(lines, paint(look, theme.failed, cut(line, width)))
		}
	}
	if p.Ended {
		now = p.Latest
	} else if current != nil {
		lines = append(lines, stageLine(current, now, look))
	}
	sum := summary(p, now)
	if d, ok := left(p, now); ok && !p.Ended {
		sum += ", " + seconds(d) + " left"
	}
	lines = append(lines, paint(look, theme.quiet, cut(sum, width)))
	if look.Interrupted && !p.Ended {
		lines = append(lines, paint(look, theme.warned, cut("Interrupted: finishing and saving this step.", width)))
	}
	out := strings.Join(lines, "\n")
	if look.ASCII {
		out = ascii(out)
	}
	return out
}

// stageLine draws the running stage. If there is no room, it drops, in this order: the bar,
// the elapsed time, the time left, the beginning of the name.
func stageLine(s *eligen.StageProgress, now time.Time, look Look) string {
	took, left, name := seconds(now.Sub(s.Began)), "", plain(s.Name)
	if s.Of == 0 {
		return stretch(name, "", []string{took}, 0, look)
	}
	if r := remaining(s, now); r != "" {
		left = r + " left"
	}
	steps := fmt.Sprintf("%d/%d", s.Step, s.Of)
	return stretch(name, steps, []string{took, left}, float64(s.Step)/float64(s.Of), look)
}

const (
	widestBar   = 40
	narrowest   = 8 // of bars
	shortestCut = 6 // of names
)

func stretch(name, steps string, times []string, share float64, look Look) string {
	width := max(1, look.Width)
	tail := func(times []string) string {
		s := steps
		for _, t := range times {
			if t != "" && s != "" {
				s += "  "
			}
			s += t
		}
		return s
	}
	for drop := 0; drop <= len(times); drop++ {
		t := tail(times[drop:])
		room := width - lipgloss.Width(name) - lipgloss.Width(t) - 2
		if bar := min(widestBar, room-2); steps != "" && bar >= narrowest && drop == 0 {
			full := int(share*float64(bar) + 0.5)
			return name + "  " + paint(look, theme.name, strings.Repeat("━", full)) + paint(look, theme.quiet, strings.Repeat("─", bar-full)) +
				"  " + t
		}
		if room >= 0 {
			return strings.TrimRight(name+"  "+t, " ")
		}
	}
	t := tail(nil)
	if t == "" {
		return cut(name, width)
	}
	if room := width - lipgloss.Width(t) - 2; room >= shortestCut {
		return cutLeft(name, room) + "  " + t
	}
	return cut(t, width)
}

// problems returns all problems, whole, in the theme's styles and in lines of width cells
// (0: no limit). A live view has no room for them: they are written below its last frame.
func problems(p *eligen.Progress, width int) string {
	var b strings.Builder
	for _, d := range p.Reports {
		b.WriteString("\n" + page.Diagnostic(d, width))
	}
	for _, s := range p.Stages {
		if s.Problem != nil {
			b.WriteString("\n" + page.Diagnostic(*s.Problem, width))
		}
	}
	return b.String()
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func paint(look Look, colour, s string) string {
	if !look.Colour || s == "" {
		return s
	}
	if look.Few && strings.HasPrefix(colour, "#") {
		colour = few256(colour)
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color(colour)).Render(s)
}

// cut keeps the beginning of a string.
func cut(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && lipgloss.Width(string(r))+1 > width {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// cutLeft keeps the end of a string: the end of an address tells it apart.
func cutLeft(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && lipgloss.Width(string(r))+1 > width {
		r = r[1:]
	}
	return "…" + string(r)
}
