package tui

import (
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/eligen/eligen/internal/page"
)

// A Look tells how to draw.
type Look struct {
	Width       int  // of the terminal, in cells
	Height      int  // of the terminal, in lines; 0 is not known
	Colour      bool // otherwise no escape codes are written
	ASCII       bool // the terminal shows no other characters
	Below       bool // problems are written whole below: the view only names the stages that failed
	Interrupted bool // say that the run stops after the current step
	Ink         Ink  // how pictures are drawn
	Few         bool // of colours the terminal has 256
}

// theme holds the colours of the theme, which text has, too.
var theme = struct{ quiet, added, failed, warned, name, value string }{
	page.Quiet.Colour(), page.Added.Colour(), page.Failed.Colour(), page.Warned.Colour(), page.Name.Colour(), page.Value.Colour(),
}

// Ink is how pictures are drawn.
type Ink string

// The inks.
const (
	Kitty   Ink = "kitty"   // the terminal draws them: the graphics protocol with Unicode placeholders
	Halves  Ink = "halves"  // ▀, two pixels a cell
	Spaces  Ink = "spaces"  // coloured cells, where there is colour and no Unicode
	Letters Ink = "letters" // shades of grey as characters, regions as their letters
)

// LookOf returns a terminal's abilities, from its environment.
func LookOf(env func(string) string) Look {
	l := Look{Colour: page.Colours(env), ASCII: !unicode(env)}
	switch {
	case !l.Colour:
		l.Ink = Letters
	case l.ASCII:
		l.Ink = Spaces
	case graphics(env):
		l.Ink = Kitty
	default:
		l.Ink = Halves
	}
	return l
}

// PrintLook returns LookOf for drawings that stay among the lines of a terminal of some
// size.
func PrintLook(env func(string) string, width, height int) Look {
	l := LookOf(env)
	l.Width, l.Height, l.Few = width, height, few(env)
	return l
}

// unicode reports whether the locale's characters are UTF-8. Windows has no locale
// in its environment, and its terminals show Unicode.
func unicode(env func(string) string) bool {
	if env("OS") == "Windows_NT" {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// graphics reports whether the terminal has kitty's graphics protocol with Unicode
// placeholders, which scroll, clip and go away like text. WezTerm and Konsole have the
// protocol without them, and a multiplexer passes it on only if configured to.
func graphics(env func(string) string) bool {
	term := env("TERM")
	if env("TMUX") != "" || env("STY") != "" || strings.HasPrefix(term, "screen") || strings.HasPrefix(term, "tmux") {
		return false
	}
	return term == "xterm-kitty" || term == "xterm-ghostty" || env("TERM_PROGRAM") == "ghostty"
}

// inASCII replaces the screen's characters by ASCII.
var inASCII = strings.NewReplacer(
	"━", "=", "─", "-", "│", "|", "◆", "*", "▼", "v", "▶", ">", "▸", ">", "…", "~", "·", ".", "×", "x", "–", "-", "’", "'",
	"✓", "+", "✗", "x", "▁", "_", "▂", "_", "▃", ".", "▄", "-", "▅", "-", "▆", "=", "▇", "=", "█", "#",
	"←", "<", "→", ">", "↑", "^", "↓", "v",
)

// ascii returns a drawing in ASCII, with every character as wide as before.
func ascii(s string) string {
	s = inASCII.Replace(s)
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Repeat("?", lipgloss.Width(string(r))))
		}
	}
	return b.String()
}

// flat returns a stranger's text on one line, without anything that a terminal obeys.
func flat(s string) string { return strings.Join(strings.Fields(plain(s)), " ") }

// plain returns flat's text with a line's spaces, so that carets stay under what they mark.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || page.Obeyed(r) {
			return ' '
		}
		return r
	}, s)
}

// fit makes lines fit a pane of a width and height.
func fit(lines []string, width, height int) []string {
	out := make([]string, height)
	for i := range out {
		s := ""
		if i < len(lines) {
			s = lines[i]
		}
		if w := lipgloss.Width(s); w > width {
			s = lipgloss.NewStyle().MaxWidth(width).Render(s)
		} else {
			s += strings.Repeat(" ", width-w)
		}
		out[i] = s
	}
	return out
}

// sides puts one string at the left and one at the right. It cuts the left one.
func sides(left, right string, width int) (l, gap, r string) {
	if room := width - lipgloss.Width(right) - 1; right != "" && room < min(8, lipgloss.Width(left)) {
		right = ""
	}
	if right == "" {
		l = cut(left, width)
		return l, strings.Repeat(" ", max(0, width-lipgloss.Width(l))), ""
	}
	l = cut(left, width-lipgloss.Width(right)-1)
	return l, strings.Repeat(" ", width-lipgloss.Width(l)-lipgloss.Width(right)), right
}

// wrap breaks a text between words, and words that are longer than a line anywhere.
func wrap(s string, width int) []string {
	width = max(1, width)
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		for lipgloss.Width(word) > width {
			if line != "" {
				out, line = append(out, line), ""
			}
			n := 0
			r := []rune(word)
			for n < len(r)-1 && lipgloss.Width(string(r[:n+1])) <= width {
				n++
			}
			n = max(1, n)
			out, word = append(out, string(r[:n])), string(r[n:])
		}
		switch {
		case line == "":
			line = word
		case lipgloss.Width(line)+1+lipgloss.Width(word) <= width:
			line += " " + word
		default:
			out, line = append(out, line), word
		}
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}
