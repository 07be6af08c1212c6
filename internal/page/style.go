package page

import "strings"

// A Style is what a piece of text is, and so how the theme shows it.
//
// Marked text carries characters that Unicode keeps for a program's own use
// (noncharacters). In a text of somebody else's they change that text's colour at the
// most.
type Style rune

// The theme. Its colours are the terminal's own, so that they suit a light terminal as
// they suit a dark one, and nobody has to ask which it is.
const (
	end     Style = 0xfdd0 + iota
	Title         // headings, and what an error is about
	Quiet         // what may be passed over
	Added         // what is or will be made
	Changed       // what is or will be different
	Removed       // what is or will be gone
	Failed        // errors
	Warned        // warnings
	Name          // addresses, commands and flags
	Value         // values, placeholders
	last
)

// sgr is each style's parameters of the escape sequence "select graphic rendition".
var sgr = map[Style]string{
	end:     "",
	Title:   "1",
	Quiet:   "2",
	Added:   "32",
	Changed: "33",
	Removed: "31",
	Failed:  "1;31",
	Warned:  "1;33",
	Name:    "36",
	Value:   "35",
}

// Of is a text in a style: of each of its lines, since a writer ends every style with
// the line. Styles don't lie within one another: the inner one ends both.
func (s Style) Of(text string) string {
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = string(s) + l + string(end)
		}
	}
	return strings.Join(lines, "\n")
}

// SGR is the style's parameters of the escape sequence that sets colours, for those who
// draw a whole screen and write no text.
func (s Style) SGR() string { return sgr[s] }

func isMark(r rune) bool { return r >= rune(end) && r < rune(last) }
