package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// An addedToken is text that stands for one id wherever it is written.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only between characters that are no word's
	LStrip     bool   `json:"lstrip"`      // takes the white space before it along
	RStrip     bool   `json:"rstrip"`      // and after it
	Normalized bool   `json:"normalized"`  // looked for after normalisation, not before
}

// A segment is a stretch of a prompt: an added token, or text between them.
type segment struct {
	text  string
	id    int32
	added bool
}

// addedTokens splits text at the tokens, by the first byte of their content and
// the longest first.
type addedTokens map[byte][]addedToken

func (a addedTokens) add(t addedToken) {
	if t.Content == "" {
		return
	}
	list := a[t.Content[0]]
	i := 0
	for i < len(list) && len(list[i].Content) >= len(t.Content) {
		i++
	}
	list = append(list, t)
	copy(list[i+1:], list[i:])
	list[i] = t
	a[t.Content[0]] = list
}

// split returns s in order, without empty stretches. A token that may not stand
// where it was found leaves its text to its neighbours.
func (a addedTokens) split(s string) []segment {
	var out []segment
	done := 0
	for at := 0; at < len(s); {
		token, ok := a.at(s[at:])
		if !ok {
			at++
			continue
		}
		start, end := at, at+len(token.Content)
		at = end
		if token.SingleWord {
			before, _ := utf8.DecodeLastRuneInString(s[:start])
			after, _ := utf8.DecodeRuneInString(s[end:])
			if start > 0 && isWord(before) || end < len(s) && isWord(after) {
				continue
			}
		}
		if token.LStrip {
			start = max(done, len(strings.TrimRightFunc(s[:start], unicode.IsSpace)))
		}
		if token.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
			at = end
		}
		if done < start {
			out = append(out, segment{text: s[done:start]})
		}
		out = append(out, segment{id: token.ID, added: true})
		done = end
	}
	if done < len(s) {
		out = append(out, segment{text: s[done:]})
	}
	return out
}

func (a addedTokens) at(s string) (addedToken, bool) {
	for _, t := range a[s[0]] {
		if strings.HasPrefix(s, t.Content) {
			return t, true
		}
	}
	return addedToken{}, false
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.Nd, r)
}
