package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/codes"
	"github.com/eligen/eligen/internal/page"
)

// An Explanation tells more about one kind of problem.
type Explanation = codes.Entry

// Explanations lists all kinds of problems, ordered by code.
func Explanations() []Explanation { return codes.All() }

// Explain returns the explanation of a code, such as "E0107", in upper or lower case, with or without
// the E; or those of problems whose title holds all words of a text. Without one, near is the code,
// title or word of one that is most like the text, "" where none is.
func Explain(text string) (found []Explanation, near string) {
	text = strings.TrimSpace(text)
	// E0506 by its number, too: 506.
	for _, code := range []string{text, fmt.Sprintf("E%04s", strings.TrimLeft(text, "eE"))} {
		if e, ok := codes.Find(code); ok {
			return []Explanation{e}, ""
		}
	}
	if found = codes.Search(text); len(found) > 0 {
		if exact := slices.IndexFunc(found, func(e Explanation) bool { return strings.EqualFold(e.Summary, text) }); exact >= 0 {
			return found[exact : exact+1], ""
		}
		return found, ""
	}
	var names []string
	for _, e := range codes.All() {
		names = append(names, e.Code, e.Summary)
		for _, word := range strings.Fields(strings.ToLower(e.Summary)) {
			if len(word) > 4 { // any short word is like another
				names = append(names, word)
			}
		}
	}
	for _, spelled := range []string{text, strings.ToUpper(text), strings.ToLower(text)} {
		if near = page.Nearest(spelled, names); near != "" {
			return nil, near
		}
	}
	return nil, ""
}
