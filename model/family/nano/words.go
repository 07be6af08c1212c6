package nano

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/fluxmodel"
)

// reader returns the Spec's Unread of a model that was taught few words.
func (m Manifest) reader(t *fluxmodel.Tokenizers) func(string) eligen.Unread {
	return func(prompt string) eligen.Unread {
		out := fluxmodel.Reader(t)(prompt)
		tokens, err := t.Get()
		if err != nil {
			return out
		}
		known := m.Taught
		if known == nil {
			known = &Taught{Words: tokens.Words()}
		}
		for _, w := range word.FindAllString(prompt, -1) {
			w = strings.ToLower(norm.NFKC.String(w))
			if !known.has(w) && tokens.Unknown(w) == nil && !slices.Contains(out.Words, w) {
				out.Words = append(out.Words, w)
			}
		}
		return out
	}
}

func (m Manifest) objects() []string {
	if m.Taught == nil {
		return nil
	}
	return m.Taught.Objects
}

// word is a run of letters or digits.
var word = regexp.MustCompile(`[\pL\pM\pN]+(?:['’]\pL+)?`)

// endings are what English adds to a word that stays the same thing. The tokenizer cuts
// them off too.
var endings = []string{"'s", "’s", "es", "s"}

// has reports whether a word was taught, as it is or without an ending.
func (t *Taught) has(w string) bool {
	known := func(w string) bool { return slices.Contains(t.Words, w) }
	return known(w) || slices.ContainsFunc(endings, func(end string) bool {
		stem, cut := strings.CutSuffix(w, end)
		return cut && known(stem)
	})
}
