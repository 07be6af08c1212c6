package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/eligen/eligen"
)

// A T5Tokenizer cuts prompts into SentencePiece unigram pieces, as T5's
// published tokenizer.json says. It is safe for concurrent use.
//
// Sources: Kudo 2018 (unigram language model); the Hugging Face tokenizers
// library, whose results it reproduces.
type T5Tokenizer struct {
	raw, normalized addedTokens // looked for before and after normalize
	normalize       normalizer

	space   string // what a space becomes: "▁"
	prepend string // "always", "first" or "never" put a space before the text
	split   bool   // cut before every space

	pieces  map[string]int32
	scores  []float64
	longest int // bytes of the longest piece
	unkID   int32
	unk     float64 // score of an unknown character
	pad     int32
	eos     int32
	rows    int
}

// Unknown characters score this much below the worst piece.
const unknownPenalty = 10

// NewT5Tokenizer reads a tokenizer.json with a Unigram model. It refuses what it
// would have to guess at.
func NewT5Tokenizer(tokenizerJSON []byte) (*T5Tokenizer, error) {
	t, err := parseT5Tokenizer(tokenizerJSON)
	if err != nil {
		return nil, fmt.Errorf("not a T5 tokenizer.json, or a damaged one: %w. Use tokenizer_2/tokenizer.json as published with FLUX.1", err)
	}
	return t, nil
}

// t5File is the part of a tokenizer.json that is read.
type t5File struct {
	AddedTokens  []addedToken `json:"added_tokens"`
	Normalizer   json.RawMessage
	PreTokenizer *struct {
		Type           string
		Replacement    string
		PrependScheme  string `json:"prepend_scheme"`
		AddPrefixSpace *bool  `json:"add_prefix_space"`
		Split          *bool
	} `json:"pre_tokenizer"`
	Model struct {
		Type         string
		UnkID        *int32 `json:"unk_id"`
		ByteFallback bool   `json:"byte_fallback"`
		Vocab        []piece
	}
}

func parseT5Tokenizer(data []byte) (*T5Tokenizer, error) {
	var file t5File
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	m := file.Model
	switch {
	case m.Type != "Unigram":
		return nil, fmt.Errorf("its model is of type %q, not Unigram", m.Type)
	case m.ByteFallback:
		return nil, errors.New("its model falls back to bytes, which T5's does not")
	case len(m.Vocab) == 0:
		return nil, errors.New("its vocabulary is empty")
	case m.UnkID == nil || *m.UnkID < 0 || int(*m.UnkID) >= len(m.Vocab):
		return nil, errors.New("its model does not say which piece stands for unknown characters (unk_id)")
	}
	t := &T5Tokenizer{raw: addedTokens{}, normalized: addedTokens{}, unkID: *m.UnkID, rows: len(m.Vocab)}
	var err error
	if t.normalize, err = parseNormalizer(file.Normalizer, 0); err != nil {
		return nil, err
	}
	if err := t.readSpaces(file); err != nil {
		return nil, err
	}
	if err := t.readPieces(m.Vocab); err != nil {
		return nil, err
	}
	return t, t.readAdded(file)
}

// readSpaces reads how words are divided.
func (t *T5Tokenizer) readSpaces(file t5File) error {
	p := file.PreTokenizer
	if p == nil || p.Type != "Metaspace" {
		return errors.New("its pre-tokenizer is not of type Metaspace")
	}
	t.space, t.prepend, t.split = p.Replacement, p.PrependScheme, p.Split == nil || *p.Split
	if t.prepend == "" {
		t.prepend = "always"
		if p.AddPrefixSpace != nil && !*p.AddPrefixSpace {
			t.prepend = "never"
		}
	}
	if utf8.RuneCountInString(t.space) != 1 {
		return fmt.Errorf("its pre-tokenizer replaces spaces by %q, which is not one character", t.space)
	}
	if t.prepend != "always" && t.prepend != "first" && t.prepend != "never" {
		return fmt.Errorf("its pre-tokenizer has a prepend_scheme %q, which eligen does not know", t.prepend)
	}
	return nil
}

func (t *T5Tokenizer) readPieces(vocab []piece) error {
	t.pieces = make(map[string]int32, len(vocab))
	t.scores = make([]float64, len(vocab))
	worst := math.Inf(1)
	for i, v := range vocab {
		if v.text == "" {
			return fmt.Errorf("piece %d of its vocabulary is empty", i)
		}
		if _, twice := t.pieces[v.text]; twice {
			return fmt.Errorf("piece %q is in its vocabulary twice", v.text)
		}
		t.pieces[v.text], t.scores[i] = int32(i), v.score
		t.longest = max(t.longest, len(v.text))
		worst = min(worst, v.score)
	}
	t.unk = worst - unknownPenalty
	return nil
}

// readAdded reads the added tokens, and finds padding and the end marker.
func (t *T5Tokenizer) readAdded(file t5File) (err error) {
	special := map[string]int32{}
	for _, a := range file.AddedTokens {
		if a.ID < 0 || int(a.ID) > len(file.Model.Vocab)+len(file.AddedTokens) {
			return fmt.Errorf("the added token %q has the impossible id %d", a.Content, a.ID)
		}
		special[a.Content] = a.ID
		t.rows = max(t.rows, int(a.ID)+1)
		if a.Normalized {
			a.Content = t.normalize(a.Content)
			t.normalized.add(a)
		} else {
			t.raw.add(a)
		}
	}
	find := func(name string) (int32, error) {
		if id, ok := special[name]; ok {
			return id, nil
		}
		if id, ok := t.pieces[name]; ok {
			return id, nil
		}
		return 0, fmt.Errorf("it has no token %s", name)
	}
	if t.pad, err = find("<pad>"); err != nil {
		return err
	}
	t.eos, err = find("</s>")
	return err
}

// A piece is an entry ["text", score] of a Unigram vocabulary.
type piece struct {
	text  string
	score float64
}

func (p *piece) UnmarshalJSON(b []byte) error {
	var pair []any
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("a piece of its vocabulary is %.40s, not a pair of a text and a score", b)
	}
	var ok1, ok2 bool
	p.text, ok1 = pair[0].(string)
	p.score, ok2 = pair[1].(float64)
	if !ok1 || !ok2 {
		return fmt.Errorf("a piece of its vocabulary is %.40s, not a text and a score", b)
	}
	return nil
}

// Vocab returns how many rows the encoder's embedding must have: one more than the
// largest id.
func (t *T5Tokenizer) Vocab() int { return t.rows }

// Count returns the number of tokens of a prompt, the end marker included: what
// Encode would give without a limit.
func (t *T5Tokenizer) Count(prompt string) int { return len(t.tokens(prompt)) + 1 }

// Encode cuts a prompt into maxLength token ids: its pieces, the end marker
// </s>, and padding (id 0). A prompt that is too long loses its last pieces, not
// the marker. n is its whole length, the marker included: n > maxLength says
// that it was cut.
func (t *T5Tokenizer) Encode(prompt string, maxLength int) (ids []int32, n int) {
	all := t.tokens(prompt)
	n = len(all) + 1
	if maxLength <= 0 {
		return nil, n
	}
	ids = append(make([]int32, 0, maxLength), all[:min(len(all), maxLength-1)]...)
	ids = append(ids, t.eos)
	for len(ids) < maxLength {
		ids = append(ids, t.pad)
	}
	return ids, n
}

// Unknown returns the parts of a prompt that no piece stands for, as written there, in order, each
// once. All of it is the same to the encoder.
func (t *T5Tokenizer) Unknown(prompt string) []eligen.Stretch {
	unknown := map[rune]bool{}
	t.cut(prompt, func(c rune) { unknown[c] = true })
	if len(unknown) == 0 {
		return nil
	}
	// Those characters are normalised ones. What they come from is looked for cluster by
	// cluster, so that no accent or joint of an emoji is named alone.
	var out []eligen.Stretch
	var word, parts string
	inside := false // an unknown part
	end := func() {
		s := eligen.Stretch{Text: parts, Word: word}
		if parts == word {
			s.Word = ""
		}
		if parts != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
		word, parts, inside = "", "", false
	}
	for rest, state := prompt, -1; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		first, _ := utf8.DecodeRuneInString(cluster)
		switch {
		case strings.ContainsFunc(t.normalize(cluster), func(r rune) bool { return unknown[r] }):
			if parts != "" && !inside {
				parts += ", "
			}
			word, parts, inside = word+cluster, parts+cluster, true
		case isWord(first):
			word, inside = word+cluster, false
		default:
			end()
		}
	}
	end()
	return out
}

// Words returns the pieces that stand for a whole word each, in lower case where the
// tokenizer folds it.
func (t *T5Tokenizer) Words() []string {
	var out []string
	for piece := range t.pieces {
		if w, ok := strings.CutPrefix(piece, t.space); ok && w != "" {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return out
}

// tokens returns the ids of a prompt without the end marker.
func (t *T5Tokenizer) tokens(prompt string) []int32 { return t.cut(prompt, nil) }

// cut returns tokens, and also reports every character that no piece stands for, where
// somebody asks for it.
func (t *T5Tokenizer) cut(prompt string, unknown func(rune)) []int32 {
	var ids []int32
	first := true
	for _, outer := range t.raw.split(strings.ToValidUTF8(prompt, "\uFFFD")) {
		if outer.added {
			ids, first = append(ids, outer.id), false
			continue
		}
		for _, s := range t.normalized.split(t.normalize(outer.text)) {
			if s.added {
				ids, first = append(ids, s.id), false
				continue
			}
			text := strings.ReplaceAll(s.text, " ", t.space)
			if (t.prepend == "always" || t.prepend == "first" && first) && !strings.HasPrefix(text, t.space) {
				text = t.space + text
			}
			first = false
			if !t.split {
				ids = t.viterbi(ids, text, unknown)
				continue
			}
			for len(text) > 0 {
				_, head := utf8.DecodeRuneInString(text)
				end := len(text)
				if next := strings.Index(text[head:], t.space); next >= 0 {
					end = head + next
				}
				ids = t.viterbi(ids, text[:end], unknown)
				text = text[end:]
			}
		}
	}
	return ids
}

// viterbi appends the ids of the likeliest way to write text as pieces. Unknown
// characters in a row become one <unk>; unknown, if not nil, receives each.
func (t *T5Tokenizer) viterbi(ids []int32, text string, unknown func(rune)) []int32 {
	type node struct {
		score float64 // of the best way to get here
		from  int     // where its last piece starts; -1: nothing ends here
		id    int32
	}
	best := make([]node, len(text)+1)
	for i := range best {
		best[i].from = -1
	}
	offer := func(from, to int, id int32, score float64) {
		if score += best[from].score; best[to].from < 0 || score > best[to].score {
			best[to] = node{score, from, id}
		}
	}
	for from, r := range text {
		single := from + utf8.RuneLen(r)
		known := false
		limit := min(len(text), from+t.longest)
		for to := single; to <= limit; {
			if id, ok := t.pieces[text[from:to]]; ok {
				offer(from, to, id, t.scores[id])
				known = known || to == single
			}
			_, n := utf8.DecodeRuneInString(text[to:])
			if n == 0 {
				break
			}
			to += n
		}
		if !known {
			offer(from, single, t.unkID, t.unk)
		}
	}
	start := len(ids)
	for at := len(text); at > 0; at = best[at].from {
		id := best[at].id
		if c, _ := utf8.DecodeRuneInString(text[best[at].from:]); id == t.unkID && unknown != nil {
			unknown(c)
		}
		if id == t.unkID && len(ids) > start && ids[len(ids)-1] == id {
			continue
		}
		ids = append(ids, id)
	}
	for i, j := start, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}
