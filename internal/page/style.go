package page

import "strings"

// A Style is the role of a piece of text; the theme gives it a look.
//
// Marked text carries characters that Unicode keeps for a program's own use
// (noncharacters). In somebody else's text, they change that text's colour at most.
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

// A look is the theme's drawing of a style.
type look struct {
	bold, faint bool
	colour      string // its number among the terminal's own; "" is that of text
}

var looks = map[Style]look{
	Title:   {bold: true},
	Quiet:   {faint: true, colour: "8"},
	Added:   {colour: "2"},
	Changed: {colour: "3"},
	Removed: {colour: "1"},
	Failed:  {bold: true, colour: "1"},
	Warned:  {bold: true, colour: "3"},
	Name:    {colour: "6"},
	Value:   {colour: "5"},
}

// sgr returns a style's parameters of the escape sequence "select graphic rendition".
func (s Style) sgr() string {
	l := looks[s]
	switch {
	case l.faint: // grey is no colour of its own everywhere
		return "2"
	case l.bold && l.colour == "":
		return "1"
	case l.bold:
		return "1;3" + l.colour
	}
	return "3" + l.colour
}

// Colour returns the number of a style's colour among the terminal's own, for those who draw
// cells and write no text.
func (s Style) Colour() string { return looks[s].colour }

// Of returns a text in a style, line by line, since a writer ends every style with the
// line. Styles don't nest: the inner one ends both.
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

func isMark(r rune) bool { return r >= rune(end) && r < rune(last) }
