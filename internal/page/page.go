// Package page puts text for people on a terminal, in a pipe or in a CI's log: cleaned
// of everything that these would obey, in the theme's colours where they are wanted,
// and in tables that know how wide the terminal is.
//
// A [Writer] is the one place where text goes out. It cleans whatever it is given, so
// that nobody has to remember where a string came from: a prompt, a file's name, the
// metadata of somebody's picture. Colour is text marked by [Style.Of]; the writer makes
// it colour, or leaves it out.
package page

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Obeyed reports whether a terminal may obey a character, or put what follows in
// another place: a control character of C0 or C1, other than tab and newline, a control
// of writing direction, or one of Unicode's line separators.
func Obeyed(r rune) bool {
	switch {
	case r == '\t', r == '\n':
		return false
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return true
	}
	return r == '\u2028' || r == '\u2029'
}

// Clean returns a text in which every character that is [Obeyed], and every byte that isn't
// UTF-8, is escaped: \u001b, \x9b. It drops marks of styles.
func Clean(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case isMark(r):
		case Obeyed(r):
			b.WriteString(escape(r))
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// escape returns a character as JSON and HCL write it in a string, so that printed JSON
// stays the same JSON.
func escape(r rune) string { return fmt.Sprintf(`\u%04x`, r) }

// Width returns how many of a terminal's cells a line takes. Marks of styles take none.
func Width(s string) int {
	return uniseg.StringWidth(strip(s))
}

// strip returns a text without marks of styles.
func strip(s string) string {
	return strings.Map(func(r rune) rune {
		if isMark(r) {
			return -1
		}
		return r
	}, s)
}
