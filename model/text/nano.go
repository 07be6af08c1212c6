package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxNanoWords keeps the vocabulary, and with it the embedded weights, small.
const maxNanoWords = 4096

// BuildNanoTokenizers makes the tokenizers of a small model from the words that
// its captions are made of, the most frequent first where that is known. Same
// words, same bytes.
//
// For T5, a tokenizer.json with one Unigram piece a word, and one for every
// printable ASCII character: a word that is not in the list is spelled. For
// CLIP, a vocab.json and a merges.txt in which every run of letters of the words
// is one token; other words fall apart into the parts that they share with known
// ones. Both ignore case. An entry of several words counts as these.
func BuildNanoTokenizers(words []string) (t5JSON, clipVocab, clipMerges []byte, err error) {
	list, err := nanoWords(words)
	if err != nil {
		return nil, nil, nil, err
	}
	if t5JSON, err = buildNanoT5(list); err != nil {
		return nil, nil, nil, err
	}
	clipVocab, clipMerges, err = buildNanoCLIP(list)
	return t5JSON, clipVocab, clipMerges, err
}

// nanoMarkers stand for themselves wherever they are written.
var nanoMarkers = [...]string{"<pad>", "</s>", "<unk>", clipBOS, clipEOS}

// nanoWords returns the list as the tokenizers will see it: single words, normalised,
// each once.
func nanoWords(entries []string) ([]string, error) {
	var list []string
	seen := map[string]bool{}
	for _, e := range entries {
		if !utf8.ValidString(e) {
			return nil, fmt.Errorf("the word %q is not valid UTF-8", e)
		}
		for _, w := range strings.Fields(lower(norm.NFKC.String(e))) {
			if strings.ContainsFunc(w, func(r rune) bool { return r == metaspace || !unicode.IsGraphic(r) }) {
				return nil, fmt.Errorf("the word %q has a character that no tokenizer can hold", w)
			}
			for _, marker := range nanoMarkers {
				if strings.Contains(w, marker) {
					return nil, fmt.Errorf("the word %q has the marker %s in it", w, marker)
				}
			}
			if !seen[w] {
				seen[w] = true
				list = append(list, w)
			}
		}
	}
	switch {
	case len(list) == 0:
		return nil, fmt.Errorf("no words to make tokenizers of")
	case len(list) > maxNanoWords:
		return nil, fmt.Errorf("%d words are too many for a small model's tokenizers: the limit is %d", len(list), maxNanoWords)
	}
	return list, nil
}

// metaspace is SentencePiece's mark of a space.
const metaspace = '▁'

func buildNanoT5(words []string) ([]byte, error) {
	// Spelling must lose against any word, so a character costs more than the
	// rarest word: ln of its rank, as in natural language (Zipf's law).
	cost := func(rank int) float64 { return -math.Log(float64(rank + 2)) }
	character := cost(maxNanoWords) - 1
	type entry = [2]any
	vocab := []entry{{"<pad>", 0.0}, {"</s>", 0.0}, {"<unk>", 0.0}, {string(metaspace), character}}
	letters := map[rune]bool{}
	for r := '!'; r <= '~'; r++ {
		letters[unicode.ToLower(r)] = true
	}
	for _, w := range words {
		for _, r := range w {
			letters[r] = true
		}
	}
	for _, r := range slices.Sorted(maps.Keys(letters)) {
		vocab = append(vocab, entry{string(r), character})
	}
	for i, w := range words {
		vocab = append(vocab, entry{string(metaspace) + w, cost(i)})
	}

	type object = map[string]any
	special := func(id int, content string) object {
		return object{"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
	}
	space := object{"type": "Metaspace", "replacement": string(metaspace), "prepend_scheme": "always", "split": true}
	var out bytes.Buffer
	enc := json.NewEncoder(&out) // sorts keys: same bytes every time
	enc.SetEscapeHTML(false)
	err := enc.Encode(object{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens": []object{special(0, "<pad>"), special(1, "</s>"), special(2, "<unk>")},
		"normalizer": object{"type": "Sequence", "normalizers": []object{
			{"type": "NFKC"},
			{"type": "Lowercase"},
			{"type": "Replace", "pattern": object{"Regex": `[\t\n\v\f\r\x{85}\p{Z}]+`}, "content": " "},
			{"type": "Strip", "strip_left": true, "strip_right": true},
		}},
		"pre_tokenizer": space,
		"post_processor": object{"type": "TemplateProcessing",
			"single": []object{{"Sequence": object{"id": "A", "type_id": 0}}, {"SpecialToken": object{"id": "</s>", "type_id": 0}}},
			"pair": []object{{"Sequence": object{"id": "A", "type_id": 0}}, {"SpecialToken": object{"id": "</s>", "type_id": 0}},
				{"Sequence": object{"id": "B", "type_id": 0}}, {"SpecialToken": object{"id": "</s>", "type_id": 0}}},
			"special_tokens": object{"</s>": object{"id": "</s>", "ids": []int{1}, "tokens": []string{"</s>"}}}},
		"decoder": space,
		"model":   object{"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": vocab},
	})
	return out.Bytes(), err
}

// buildNanoCLIP learns merges as byte pair encoding does, the most frequent pair
// first, but does not stop before every part is one token.
func buildNanoCLIP(list []string) (vocabJSON, merges []byte, err error) {
	l := newMergeLearner()
	l.read(list)
	var out bytes.Buffer
	out.WriteString("#version: 0.2\n")
	for len(l.counts) > 0 {
		a, b := l.merge()
		fmt.Fprintf(&out, "%s %s\n", a, b)
	}
	if len(l.merges) == 0 {
		return nil, nil, fmt.Errorf("no word has two letters: there is nothing to learn merges from")
	}
	l.id(clipBOS)
	l.id(clipEOS) // the largest id: the encoder finds the end by it

	vocabJSON, err = json.Marshal(l.vocab)
	return vocabJSON, out.Bytes(), err
}

// A mergeLearner learns a CLIP tokenizer's merges.
type mergeLearner struct {
	CLIPTokenizer
	tokens  []string // by id
	parts   []mergePart
	counts  map[mergePair]int
	holders map[mergePair]map[int]bool // parts that have, or had, a pair
}

type mergePair = [2]int32

// A mergePart is a part of words, as it is cut so far.
type mergePart struct {
	text  string
	times int
	ids   []int32
}

// newMergeLearner knows single bytes, in the order of CLIP's own vocabulary: printable bytes,
// the others, then all again as the last of a word.
func newMergeLearner() *mergeLearner {
	l := &mergeLearner{CLIPTokenizer: CLIPTokenizer{vocab: map[string]int32{}, merges: map[[2]int32]merge{}},
		counts: map[mergePair]int{}, holders: map[mergePair]map[int]bool{}}
	order := slices.SortedFunc(slices.Values(byteSymbols[:]), func(a, b string) int {
		ra, _ := utf8.DecodeRuneInString(a)
		rb, _ := utf8.DecodeRuneInString(b)
		return int(ra - rb)
	})
	for _, s := range order {
		l.id(s)
	}
	for _, s := range order {
		l.id(s + wordEnd)
	}
	for b, s := range byteSymbols {
		l.bytes[b], l.lastBytes[b] = l.vocab[s], l.vocab[s+wordEnd]
	}
	return l
}

// id returns a token's id. A new token gets the next one.
func (l *mergeLearner) id(token string) int32 {
	if _, ok := l.vocab[token]; !ok {
		l.vocab[token] = int32(len(l.tokens))
		l.tokens = append(l.tokens, token)
	}
	return l.vocab[token]
}

// read cuts words into parts, and counts the pairs in them.
func (l *mergeLearner) read(list []string) {
	at := map[string]int{}
	for _, w := range list {
		for _, p := range words(lower(norm.NFC.String(w))) {
			i, ok := at[p]
			if !ok {
				i = len(l.parts)
				at[p] = i
				l.parts = append(l.parts, mergePart{text: p})
			}
			l.parts[i].times++
		}
	}
	for i := range l.parts {
		l.parts[i].ids = l.CLIPTokenizer.merge(nil, l.parts[i].text)
		l.tally(i, 1)
	}
}

// tally adds the pairs of a part to the counts, or, with sign −1, takes them away.
func (l *mergeLearner) tally(i, sign int) {
	p := l.parts[i]
	for j := range len(p.ids) - 1 {
		k := mergePair{p.ids[j], p.ids[j+1]}
		if l.counts[k] += sign * p.times; l.counts[k] == 0 {
			delete(l.counts, k)
		}
		if sign > 0 {
			if l.holders[k] == nil {
				l.holders[k] = map[int]bool{}
			}
			l.holders[k][i] = true
		}
	}
}

// merge makes one token of the most frequent pair, which it returns.
func (l *mergeLearner) merge() (a, b string) {
	var best mergePair
	most := 0
	for k, n := range l.counts { // in any order: ties go to the smaller ids
		if n > most || n == most && slices.Compare(k[:], best[:]) < 0 {
			best, most = k, n
		}
	}
	a, b = l.tokens[best[0]], l.tokens[best[1]]
	l.merges[best] = merge{len(l.merges), l.id(a + b)}
	// Not only this pair changes: the new token may make a pair that an
	// earlier merge knows.
	for i := range l.holders[best] {
		l.tally(i, -1)
		l.parts[i].ids = l.CLIPTokenizer.merge(nil, l.parts[i].text)
		l.tally(i, 1)
	}
	delete(l.holders, best)
	return a, b
}
