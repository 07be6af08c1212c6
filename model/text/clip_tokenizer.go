package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A CLIPTokenizer cuts prompts by byte pair encoding, as CLIP's published
// vocab.json and merges.txt say. It is safe for concurrent use.
//
// Sources: Sennrich et al. 2016 (byte pair encoding); OpenAI's CLIP; the Hugging
// Face tokenizers library, whose results it reproduces.
type CLIPTokenizer struct {
	vocab      map[string]int32
	merges     pairs
	bytes      [256]int32 // id of a byte inside a word
	lastBytes  [256]int32 // id of a byte that ends one
	bos, eos   int32
	rows       int
	raw, lower addedTokens // markers written in a prompt: as they are, and in any case
}

const (
	clipBOS  = "<|startoftext|>"
	clipEOS  = "<|endoftext|>"
	wordEnd  = "</w>"
	maxVocab = 1 << 24
)

// byteSymbols spell each byte as a printable character (GPT-2's alphabet):
// itself where it is one, else a character from U+0100 on.
var byteSymbols = func() (symbols [256]string) {
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if printable := b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae; !printable {
			r = next
			next++
		}
		symbols[b] = string(r)
	}
	return
}()

// NewCLIPTokenizer reads a vocab.json and a merges.txt.
func NewCLIPTokenizer(vocabJSON, merges []byte) (*CLIPTokenizer, error) {
	t, err := parseCLIPTokenizer(vocabJSON, merges)
	if err != nil {
		return nil, fmt.Errorf("not a CLIP tokenizer, or a damaged one: %w. Use tokenizer/vocab.json and tokenizer/merges.txt as "+
			"published with FLUX.1", err)
	}
	return t, nil
}

func parseCLIPTokenizer(vocabJSON, merges []byte) (*CLIPTokenizer, error) {
	t := &CLIPTokenizer{raw: addedTokens{}, lower: addedTokens{}}
	if err := json.Unmarshal(vocabJSON, &t.vocab); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	for token, id := range t.vocab {
		if id < 0 || id >= maxVocab {
			return nil, fmt.Errorf("vocab.json gives %q the impossible id %d", token, id)
		}
		t.rows = max(t.rows, int(id)+1)
	}
	find := func(token string) (id int32, err error) {
		id, ok := t.vocab[token]
		if !ok {
			err = fmt.Errorf("vocab.json has no token %s", token)
		}
		return id, err
	}
	var errs [2]error
	t.bos, errs[0] = find(clipBOS)
	t.eos, errs[1] = find(clipEOS)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	t.raw.add(addedToken{ID: t.eos, Content: clipEOS})
	t.lower.add(addedToken{ID: t.bos, Content: clipBOS})

	for b, symbol := range byteSymbols {
		// A byte that the vocabulary lacks is unknown, and that is the end marker.
		var ok bool
		if t.bytes[b], ok = t.vocab[symbol]; !ok {
			t.bytes[b] = t.eos
		}
		if t.lastBytes[b], ok = t.vocab[symbol+wordEnd]; !ok {
			t.lastBytes[b] = t.eos
		}
	}

	var err error
	t.merges, err = readPairs(t.vocab, merges)
	return t, err
}

// Vocab returns how many rows the encoder's embedding must have: one more than the
// largest id.
func (t *CLIPTokenizer) Vocab() int { return t.rows }

// Count returns the number of tokens of a prompt, both markers included: what Encode
// would give without a limit.
func (t *CLIPTokenizer) Count(prompt string) int { return len(t.tokens(prompt)) + 2 }

// Encode cuts a prompt into maxLength token ids: the begin marker, its tokens,
// the end marker, and more end markers as padding. A prompt that is too long
// loses its last tokens, not the marker. n is its whole length, both markers
// included: n > maxLength says that it was cut. A maxLength below 2 has no room
// for the markers and gives none.
func (t *CLIPTokenizer) Encode(prompt string, maxLength int) (ids []int32, n int) {
	all := t.tokens(prompt)
	n = len(all) + 2
	if maxLength < 2 {
		return nil, n
	}
	ids = append(make([]int32, 0, maxLength), t.bos)
	ids = append(ids, all[:min(len(all), maxLength-2)]...)
	for len(ids) < maxLength {
		ids = append(ids, t.eos)
	}
	return ids, n
}

// tokens returns the ids of a prompt without its markers.
func (t *CLIPTokenizer) tokens(prompt string) []int32 {
	var ids []int32
	for _, outer := range t.raw.split(strings.ToValidUTF8(prompt, "\uFFFD")) {
		if outer.added {
			ids = append(ids, outer.id)
			continue
		}
		// White space needs no folding: words leaves it out.
		for _, s := range t.lower.split(lower(norm.NFC.String(outer.text))) {
			if s.added {
				ids = append(ids, s.id)
				continue
			}
			for _, w := range words(s.text) {
				ids = t.merge(ids, w)
			}
		}
	}
	return ids
}

// words cuts lower-case text into contractions ('s 't 're 've 'm 'll 'd), runs of
// letters, single digits, and runs of whatever else is no white space.
func words(s string) []string {
	var out []string
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case unicode.IsSpace(r):
			s = s[n:]
			continue
		case r == '\'' && contraction(s) > 0:
			n = contraction(s)
		case unicode.IsLetter(r):
			n = run(s, unicode.IsLetter)
		case unicode.IsNumber(r):
		default:
			n = run(s, func(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r) })
		}
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

// contraction returns the length of the one that s starts with, or 0.
func contraction(s string) int {
	for _, c := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	return 0
}

// run returns the length of the stretch of s that in holds for.
func run(s string, in func(rune) bool) int {
	if i := strings.IndexFunc(s, func(r rune) bool { return !in(r) }); i >= 0 {
		return i
	}
	return len(s)
}

// merge appends the ids of a word, whose last byte is spelled as one that ends a word.
func (t *CLIPTokenizer) merge(ids []int32, word string) []int32 {
	symbols := make([]int32, len(word))
	for i := range symbols {
		symbols[i] = t.bytes[word[i]]
	}
	symbols[len(word)-1] = t.lastBytes[word[len(word)-1]]
	return t.merges.join(ids, symbols)
}

// A candidate is a pair that could be merged, by where its left half is.
type candidate struct {
	merge
	at int
}

// candidates is a heap: the smallest rank on top, the leftmost of equals.
type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}
