package model

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/eligen/eligen"
)

// reader is the Spec's Unread of a model that was taught more words than anybody lists.
func reader(t *tokenizers) func(string) eligen.Unread {
	return func(prompt string) eligen.Unread {
		tokens, err := t.get()
		if err != nil {
			return eligen.Unread{} // EncodePrompt reports it
		}
		return eligen.Unread{Pieces: tokens.unknown(prompt)}
	}
}

// reader is the Spec's Unread of a model that was taught few words.
func (m Manifest) reader(t *tokenizers) func(string) eligen.Unread {
	return func(prompt string) eligen.Unread {
		out := reader(t)(prompt)
		tokens, err := t.get()
		if err != nil {
			return out
		}
		known := m.Taught
		if known == nil {
			known = &Taught{Words: tokens.words()}
		}
		for _, w := range word.FindAllString(prompt, -1) {
			w = strings.ToLower(norm.NFKC.String(w))
			if !known.has(w) && tokens.unknown(w) == nil && !slices.Contains(out.Words, w) {
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
