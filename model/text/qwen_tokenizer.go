package text

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A QwenTokenizer cuts prompts by byte pair encoding, as Qwen2's published files say, and
// wraps them as Qwen-Image's text encoder was asked to read them. It is safe for concurrent
// use.
//
// Sources: Qwen2 technical report; the Hugging Face transformers library, whose results it
// reproduces; the template is that of Qwen-Image (arXiv 2508.02324).
type QwenTokenizer struct {
	bytes [256]int32
	pairs pairs
	added addedTokens
	rows  int
}

// What is around a prompt, and how many of the encoder's states are those of what is before it.
const (
	qwenBefore = "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, " +
		"spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
	qwenAfter = "<|im_end|>\n<|im_start|>assistant\n"

	// QwenDropped is how many states are in front of a prompt's own.
	QwenDropped = 34
)

// NewQwenTokenizer reads a merges.txt, a vocab.json, and the tokens added to them: an
// added_tokens.json, or a tokenizer_config.json that lists them. Without a vocab.json (nil) ids
// are those of the published one: the 256 bytes, then the merges in their order, then the added
// tokens.
func NewQwenTokenizer(vocabJSON, merges, added []byte) (*QwenTokenizer, error) {
	t, err := parseQwenTokenizer(vocabJSON, merges, added)
	if err != nil {
		return nil, fmt.Errorf("not a Qwen2 tokenizer, or a damaged one: %w. Use the folder tokenizer as published with Qwen-Image", err)
	}
	return t, nil
}

func parseQwenTokenizer(vocabJSON, merges, added []byte) (*QwenTokenizer, error) {
	t := &QwenTokenizer{added: addedTokens{}}
	vocab := map[string]int32{}
	if vocabJSON == nil {
		vocab = alphabet(merges)
	} else if err := json.Unmarshal(vocabJSON, &vocab); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	for b, symbol := range byteSymbols {
		var ok bool
		if t.bytes[b], ok = vocab[symbol]; !ok {
			return nil, fmt.Errorf("vocab.json has no token for the byte %#02x", b)
		}
	}
	var err error
	if t.pairs, err = readPairs(vocab, merges); err != nil {
		return nil, err
	}
	extra, err := parseAdded(added, len(vocab))
	if err != nil {
		return nil, err
	}
	maps.Copy(vocab, extra)
	for token, id := range vocab {
		if id < 0 || id >= maxVocab {
			return nil, fmt.Errorf("%q has the impossible id %d", token, id)
		}
		t.rows = max(t.rows, int(id)+1)
	}
	for content, id := range extra {
		t.added.add(addedToken{ID: id, Content: content})
	}
	for _, marker := range []string{"<|im_start|>", "<|im_end|>"} {
		if _, ok := extra[marker]; !ok {
			return nil, fmt.Errorf("it has no token %s", marker)
		}
	}
	return t, nil
}

// alphabet returns the vocabulary that merges imply: the bytes in the order of GPT-2's alphabet,
// printable ones first, and what each merge makes.
func alphabet(merges []byte) map[string]int32 {
	vocab := map[string]int32{}
	symbols := slices.Clone(byteSymbols[:])
	slices.Sort(symbols) // those without a character of their own come from U+0100 on
	for _, s := range symbols {
		vocab[s] = int32(len(vocab))
	}
	for line := range strings.Lines(string(merges)) {
		a, b, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if _, twice := vocab[a+b]; ok && !twice && !strings.HasPrefix(line, "#version") {
			vocab[a+b] = int32(len(vocab))
		}
	}
	return vocab
}

// qwenAdded are the tokens that were added to Qwen2.5-VL's vocabulary, in the order of their ids.
var qwenAdded = []string{
	"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
	"<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
	"<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
}

// parseAdded reads the added tokens; nil gives the published ones their ids behind a vocabulary.
func parseAdded(data []byte, behind int) (map[string]int32, error) {
	out := map[string]int32{}
	if data == nil {
		for i, content := range qwenAdded {
			out[content] = int32(behind + i)
		}
		return out, nil
	}
	var list struct {
		Decoder map[int32]addedToken `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(data, &list); err == nil && len(list.Decoder) > 0 {
		for id, a := range list.Decoder {
			out[a.Content] = id
		}
		return out, nil
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("its added tokens: %w", err)
	}
	return out, nil
}

// Vocab returns how many rows the encoder's embedding must have: one more than the largest id.
func (t *QwenTokenizer) Vocab() int { return t.rows }

// Count returns how many states of a prompt are kept, those of the template's end included.
func (t *QwenTokenizer) Count(prompt string) int {
	return len(t.tokens(qwenBefore+prompt+qwenAfter)) - QwenDropped
}

// Encode returns the ids of a prompt in its template, of which QwenDropped are before it, and at
// most length follow. n is how many would follow without a limit: n > length says that it was
// cut, and that the template's end is lost.
func (t *QwenTokenizer) Encode(prompt string, length int) (ids []int32, n int) {
	ids = t.tokens(qwenBefore + prompt + qwenAfter)
	n = len(ids) - QwenDropped
	return ids[:min(len(ids), QwenDropped+max(0, length))], n
}

// Tokens returns the ids of a text without a template.
func (t *QwenTokenizer) Tokens(text string) []int32 { return t.tokens(text) }

func (t *QwenTokenizer) tokens(text string) []int32 {
	var ids []int32
	for _, s := range t.added.split(strings.ToValidUTF8(text, "\uFFFD")) {
		if s.added {
			ids = append(ids, s.id)
			continue
		}
		for rest := norm.NFC.String(s.text); rest != ""; {
			n := qwenWord(rest)
			word := make([]int32, n)
			for i := range n {
				word[i] = t.bytes[rest[i]]
			}
			ids = t.pairs.join(ids, word)
			rest = rest[n:]
		}
	}
	return ids
}

// qwenWord returns the length of the word that s begins with: the first of
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)   [^\r\n\p{L}\p{N}]?\p{L}+   \p{N}   ?[^\s\p{L}\p{N}]+[\r\n]*   \s*[\r\n]+   \s+(?!\S)   \s+
//
// that matches. Go's regular expressions have no look-ahead.
func qwenWord(s string) int {
	first, size := utf8.DecodeRuneInString(s)
	if first == '\'' {
		if n := foldedContraction(s); n > 0 {
			return n
		}
	}
	if unicode.IsNumber(first) {
		return size
	}
	lead := 0 // of a character before letters
	if !unicode.IsLetter(first) && first != '\r' && first != '\n' {
		lead = size
	}
	if n := run(s[lead:], unicode.IsLetter); n > 0 {
		return lead + n
	}
	space := 0
	if first == ' ' {
		space = 1
	}
	if n := run(s[space:], isQwenSign); n > 0 {
		n += space
		return n + run(s[n:], isLineEnd)
	}
	blank := run(s, unicode.IsSpace)
	if i := strings.LastIndexFunc(s[:blank], isLineEnd); i >= 0 {
		return i + 1
	}
	if blank < len(s) {
		// The last blank belongs to the word behind it, unless it is the only one.
		if _, last := utf8.DecodeLastRuneInString(s[:blank]); last < blank {
			return blank - last
		}
	}
	return max(blank, 1)
}

func isLineEnd(r rune) bool { return r == '\r' || r == '\n' }

func isQwenSign(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

// foldedContraction returns the length of the contraction that s begins with, in any case, or 0.
func foldedContraction(s string) int {
	for _, c := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		n := 0
		for range c {
			if n < len(s) {
				_, size := utf8.DecodeRuneInString(s[n:])
				n += size
			}
		}
		if strings.EqualFold(s[:n], c) {
			return n
		}
	}
	return 0
}
