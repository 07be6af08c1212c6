package dsl

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/text/unicode/runenames"
)

// invisible reports whether nobody sees that a character is there, or what it is: it
// looks like a space or like nothing.
func invisible(r rune) bool {
	return r != ' ' && r != '\n' && r != '\t' && unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Cc, unicode.Cf,
		unicode.Variation_Selector)
}

// unnameable reports whether a character has no place in the name of a file that is
// written. Joiners and variation selectors have: emoji and some scripts need them.
func unnameable(r rune) bool {
	joins := r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Variation_Selector, r)
	return invisible(r) && !joins
}

// codePoint names a character for a message, such as "U+00A0 (no-break space)".
func codePoint(r rune) string {
	name := strings.ToLower(runenames.Name(r))
	switch r {
	case '\ufeff':
		name = "byte order mark"
	case '\r':
		name = "carriage return"
	}
	if name == "" || strings.HasPrefix(name, "<") {
		name = "control character"
	}
	return fmt.Sprintf("U+%04X (%s)", r, name)
}

// hidden names the first invisible character of a word: " It holds …", or "".
func hidden(word string) string {
	if i := strings.IndexFunc(word, invisible); i >= 0 {
		r, _ := utf8.DecodeRuneInString(word[i:])
		return fmt.Sprintf(" It holds %s, which can't be seen.", codePoint(r))
	}
	return ""
}

// stray says what is wrong with the character at a place of the file that HCL has no
// use for, if it is one that people don't write on purpose; else "".
func (f *file) stray(at hcl.Range) string {
	if at.Start.Byte < 0 || at.Start.Byte >= len(f.src) {
		return ""
	}
	r, n := utf8.DecodeRune(f.src[at.Start.Byte:])
	what := "This is " + codePoint(r)
	switch {
	case r == utf8.RuneError && n == 1:
		return fmt.Sprintf("This byte, 0x%02X, is no text in UTF-8. Save the file in UTF-8.", f.src[at.Start.Byte])
	case r == '\r':
		return what + ", alone. Lines end with a line feed, or with both: save the file with the line ends of Unix or Windows."
	case unicode.Is(unicode.Zs, r) && r != ' ':
		return what + ", which looks like a space and is none. Replace it with a space."
	case unicode.In(r, unicode.Zl, unicode.Zp):
		return what + ", which ends no line here. Replace it with a line break."
	case r == '\n' || r == '\t' || r < utf8.RuneSelf && !unicode.IsControl(r):
		return ""
	case invisible(r):
		return what + ", which can't be seen. Remove it."
	case unicode.In(r, unicode.Pi, unicode.Pf) || r == '„' || r == '‚':
		return what + ". A text stands in straight quotes, \"…\"."
	case unicode.Is(unicode.Pd, r) || r == '−':
		return what + ". Replace it with -."
	case r == '×':
		return what + ". Replace it with *."
	case r == '÷':
		return what + ". Replace it with /."
	case r >= '！' && r <= '～': // full width
		return fmt.Sprintf("%s. Replace it with %c.", what, r-'！'+'!')
	case !unicode.IsLetter(r) && !unicode.IsDigit(r):
		return what + ". It has no meaning outside quotes."
	}
	return ""
}
