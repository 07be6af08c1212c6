package text

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
)

// A published is what the published tokenizer makes of prompts.
type published struct {
	MaxLength int   `json:"max_length"`
	PadID     int32 `json:"pad_id"`
	Prompts   []struct {
		Prompt string
		IDs    []int32
		Pad    int `json:"n_pad"`
		Whole  int `json:"n_untruncated"`
	}
}

func readPublished(t *testing.T, name string) published {
	t.Helper()
	raw, err := os.ReadFile("testdata/tokenize/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var p published
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Prompts) != 62 {
		t.Fatalf("%s has %d prompts, want 62", name, len(p.Prompts))
	}
	return p
}

// Sixty-two prompts, from plain English to stacked accents, emoji, full width,
// control characters and the special tokens themselves: same ids, same count.
func TestTokenizersGiveThePublishedIDs(t *testing.T) {
	t5, err := EmbeddedT5()
	if err != nil {
		t.Fatal(err)
	}
	clip, err := EmbeddedCLIP()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file   string
		encode func(string, int) ([]int32, int)
		count  func(string) int
	}{
		{"t5_ids.json", t5.Encode, t5.Count},
		{"clip_ids.json", clip.Encode, clip.Count},
	} {
		p := readPublished(t, c.file)
		for _, want := range p.Prompts {
			ids, n := c.encode(want.Prompt, p.MaxLength)
			if diff := cmp.Diff(append(slices.Clone(want.IDs), slices.Repeat([]int32{p.PadID}, want.Pad)...), ids); diff != "" {
				t.Errorf("%s: %.60q (-published +got):\n%s", c.file, want.Prompt, diff)
			}
			if n != want.Whole || c.count(want.Prompt) != want.Whole {
				t.Errorf("%s: %.60q has %d tokens, got %d and %d", c.file, want.Prompt, want.Whole, n, c.count(want.Prompt))
			}
		}
	}
}

// Controls, separators, marks and joints, as the tokenizers library cuts them by the same
// tokenizer.json: some are white space to it, some nothing, and some unknown.
func TestControlsAreCutAsPublished(t *testing.T) {
	t5, err := EmbeddedT5()
	if err != nil {
		t.Fatal(err)
	}
	for prompt, want := range map[string][]int32{
		"blue\u007fbox":                     {1692, 2689, 1},
		"\u001f boat\u001f":                 {3432, 1},
		"boat\u2029house\u0085tree":         {3432, 629, 2, 929, 15, 1},
		"\ufeffa house":                     {3, 9, 629, 1},
		"tea\u00adpot":                      {2198, 575, 3013, 1},
		"\u200b\u200e star":                 {2213, 1},
		"\U0001f3f4\u200d\u2620\ufe0f flag": {3, 2, 3, 2, 5692, 1},
		"kite\u0000kite":                    {3650, 15, 2, 9229, 15, 1},
		"\ue000 moon \U000e0020":            {3, 2, 8114, 3, 2, 1},
		"\u001c\u000b\u000c":                {1},
		"sun\u3000moon\u00a0sea":            {1997, 8114, 2805, 1},
		"e\u0301\u0316t":                    {3, 154, 17, 1},
	} {
		if got, _ := t5.Encode(prompt, len(want)); !slices.Equal(got, want) || t5.Count(prompt) != len(want) {
			t.Errorf("%q: %v of %d, published are %v", prompt, got, t5.Count(prompt), want)
		}
	}
}

// What T5 can't read is named as it is written: no accent without its letter, no part of
// an emoji, and the word around it.
func TestUnknownIsNamedAsItIsWritten(t *testing.T) {
	t5, err := EmbeddedT5()
	if err != nil {
		t.Fatal(err)
	}
	type list = []eligen.Stretch
	for prompt, want := range map[string]list{
		"a photo of a frog, café, Frösche; 10 °C": nil,
		"青蛙":                        {{Text: "青蛙"}},
		"青蛙, a pond, 青蛙 和 池塘。":      {{Text: "青蛙"}, {Text: "和"}, {Text: "池塘。"}},
		"a jalapen\u0303o":          {{Text: "n\u0303", Word: "jalapen\u0303o"}},
		"лягушка":                   {{Text: "яг, ш", Word: "лягушка"}},
		"👩🏽\u200d🚀 flies":           {{Text: "👩🏽\u200d🚀"}},
		"a{b}":                      {{Text: "{, }", Word: "a{b}"}},
		"red\u0080frog":             {{Text: "\u0080", Word: "red\u0080frog"}},
		"one\u200btwo\u2028three\t": nil, // what can't be seen is white space to it
		"":                          nil,
	} {
		if diff := cmp.Diff(want, t5.Unknown(prompt)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", prompt, diff)
		}
	}
}

// What a prompt too long, or a room too small, becomes.
func TestEncodeCutsToTheRoomThereIs(t *testing.T) {
	t5, err := EmbeddedT5()
	if err != nil {
		t.Fatal(err)
	}
	clip, err := EmbeddedCLIP()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		encode    func(string, int) ([]int32, int)
		prompt    string
		maxLength int
		want      []int32
		n         int
	}{
		{"t5", t5.Encode, "a traditional monk", 10, []int32{3, 9, 1435, 1911, 157, 1, 0, 0, 0, 0}, 6},
		{"t5", t5.Encode, "a traditional monk", 6, []int32{3, 9, 1435, 1911, 157, 1}, 6},
		{"t5", t5.Encode, "a traditional monk", 4, []int32{3, 9, 1435, 1}, 6},
		{"t5", t5.Encode, "a traditional monk", 1, []int32{1}, 6},
		{"t5", t5.Encode, "a traditional monk", 0, nil, 6},
		{"clip", clip.Encode, "a traditional monk", 7, []int32{49406, 320, 5604, 16424, 49407, 49407, 49407}, 5},
		{"clip", clip.Encode, "a traditional monk", 4, []int32{49406, 320, 5604, 49407}, 5},
		{"clip", clip.Encode, "a traditional monk", 2, []int32{49406, 49407}, 5},
		{"clip", clip.Encode, "a traditional monk", 1, nil, 5},
		{"clip", clip.Encode, "", 3, []int32{49406, 49407, 49407}, 2},
	} {
		ids, n := c.encode(c.prompt, c.maxLength)
		if diff := cmp.Diff(c.want, ids); diff != "" || n != c.n {
			t.Errorf("%s: %q in %d: %d tokens, want %d (-want +got):\n%s", c.name, c.prompt, c.maxLength, n, c.n, diff)
		}
	}
}

// The embeddings of the published checkpoints have a row for every id.
func TestVocabFitsTheEncoders(t *testing.T) {
	t5, err := EmbeddedT5()
	if err != nil {
		t.Fatal(err)
	}
	clip, err := EmbeddedCLIP()
	if err != nil {
		t.Fatal(err)
	}
	if t5.Vocab() != 32100 || t5.Vocab() > T5XXL.Vocab {
		t.Errorf("T5 has %d ids, published are 32100", t5.Vocab())
	}
	if clip.Vocab() != CLIPViTL14.Vocab {
		t.Errorf("CLIP has %d ids, published are %d", clip.Vocab(), CLIPViTL14.Vocab)
	}
}

// A small, whole T5 tokenizer.json; the tests below break it.
const smallT5 = `{
	"added_tokens": [{"id": 0, "content": "<pad>"}, {"id": 1, "content": "</s>"}, {"id": 6, "content": "<mask>", "lstrip": true},
		{"id": 7, "content": "two", "single_word": true}, {"id": 8, "content": "<X>", "normalized": true, "rstrip": true}],
	"normalizer": {"type": "Sequence", "normalizers": [
		{"type": "Lowercase"}, {"type": "Replace", "pattern": {"String": "é"}, "content": "e"}]},
	"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
	"model": {"type": "Unigram", "unk_id": 2, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -2], ["▁on", -3], ["e", -4]]}
}`

func TestAddedTokens(t *testing.T) {
	tok, err := NewT5Tokenizer([]byte(smallT5))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Vocab() != 9 {
		t.Errorf("the largest id is 8, so the embedding needs 9 rows, not %d", tok.Vocab())
	}
	for prompt, want := range map[string][]int32{
		"on on":       {4, 4},
		"ONÉ":         {4, 5},          // normalised
		"onzzé":       {4, 2, 5},       // unknown characters in a row are one <unk>
		"on <mask>on": {4, 6, 4},       // takes the space before it along
		"on two on":   {4, 3, 7, 4},    // a word of its own, between its spaces
		"ontwo":       {4, 2},          // not inside another
		"on<x> on":    {4, 8, 4},       // normalised, as what it is compared with is; takes the space after it
		"<MASK>":      {3, 2},          // looked for before normalisation
		"":            nil,             //
		"\xff\xfe":    {3, 2},          // no text at all
		"e</s>e":      {3, 5, 1, 3, 5}, // markers in a prompt are markers
	} {
		if got := tok.tokens(prompt); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", prompt, got, want)
		}
	}
}

// A file that is cut short, damaged, or of another model is refused, in words
// that name the spot.
func TestDamagedTokenizersAreRefused(t *testing.T) {
	change := func(old, new string) []byte {
		if !strings.Contains(smallT5, old) {
			t.Fatalf("the small tokenizer has no %s", old)
		}
		return []byte(strings.Replace(smallT5, old, new, 1))
	}
	charsmap := func(base64 string) []byte {
		return change(`{"type": "Lowercase"}`, `{"type": "Precompiled", "precompiled_charsmap": "`+base64+`"}`)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "JSON"},
		{"cut short", []byte(smallT5[:len(smallT5)/2]), "JSON"},
		{"no JSON object", []byte(`[]`), "array"},
		{"another model", change(`"Unigram"`, `"BPE"`), `"BPE", not Unigram`},
		{"byte fallback", change(`"unk_id": 2`, `"unk_id": 2, "byte_fallback": true`), "falls back to bytes"},
		{"no unknown piece", change(`"unk_id": 2, `, ``), "unk_id"},
		{"unknown piece beyond the end", change(`"unk_id": 2`, `"unk_id": 6`), "unk_id"},
		{"no vocabulary", change(`"vocab": [[`, `"vocab": [], "v": [[`), "vocabulary is empty"},
		{"piece without a score", change(`["▁on", -3]`, `["▁on"]`), "not a pair"},
		{"score of no number", change(`["▁on", -3]`, `["▁on", "x"]`), `["▁on", "x"], not a text and a score`},
		{"piece twice", change(`["▁on", -3]`, `["e", -3]`), `"e" is in its vocabulary twice`},
		{"empty piece", change(`["▁on", -3]`, `["", -3]`), "piece 4"},
		{"impossible id", change(`"id": 6`, `"id": -6`), "impossible id -6"},
		{"huge id", change(`"id": 6`, `"id": 2000000000`), "impossible id"},
		{"no end marker", []byte(strings.ReplaceAll(smallT5, `"</s>"`, `"</t>"`)), "</s>"},
		{"another pre-tokenizer", change(`"Metaspace"`, `"Whitespace"`), "Metaspace"},
		{"another space", change(`"replacement": "▁"`, `"replacement": ""`), "not one character"},
		{"another prepend scheme", change(`"always"`, `"never ever"`), "never ever"},
		{"unknown normalizer", change(`"Lowercase"`, `"Nmt"`), `"Nmt"`},
		{"unknown pattern", change(`"String": "é"`, `"Regex": "(?=x)"`), "(?=x)"},
		{"pattern of another alphabet", change(`"String": "é"`, `"Regex": "\\s+"`), `\s+`},
		{"no pattern", change(`"String": "é"`, `"x": "é"`), "neither"},
		{"charsmap of no base64", charsmap("!"), "precompiled_charsmap is damaged"},
		{"charsmap cut short", charsmap("CAAAAAAAAAA="), "a trie of 8 bytes in 4"},
		{"charsmap without a trie", charsmap("AAAAAA=="), "a trie of 0 bytes"},
		{"empty charsmap", charsmap(""), "precompiled_charsmap is empty"},
		{"normalizers without end", change(`{"type": "Lowercase"}`,
			strings.Repeat(`{"type": "Sequence", "normalizers": [`, 20)+`{"type": "Lowercase"}`+strings.Repeat(`]}`, 20)), "nested too deeply"},
	} {
		if _, err := NewT5Tokenizer(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("T5, %s: got error %v, want one that says %q", c.name, err, c.want)
		}
	}
	const vocab = `{"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4}`
	const merges = "#version: 0.2\na b</w>\n"
	if _, err := NewCLIPTokenizer([]byte(vocab), []byte(merges)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, vocab, merges, want string }{
		{"empty vocabulary", "", merges, "vocab.json"},
		{"vocabulary cut short", vocab[:30], merges, "vocab.json"},
		{"id of no number", `{"a": "b"}`, merges, "vocab.json"},
		{"negative id", strings.Replace(vocab, "2", "-2", 1), merges, "impossible id -2"},
		{"huge id", strings.Replace(vocab, "2", "2000000000", 1), merges, "impossible id"},
		{"no markers", `{"a": 0}`, merges, "<|startoftext|>"},
		{"no merges", vocab, "#version: 0.2\n", "merges.txt is empty"},
		{"three symbols", vocab, merges + "a b c\n", `line 3 of merges.txt is "a b c"`},
		{"one symbol", vocab, "a\n", "line 1 of merges.txt"},
		{"merges of another vocabulary", vocab, "b a\n", "do not belong together"},
		{"files exchanged", merges, vocab, "vocab.json"},
	} {
		if _, err := NewCLIPTokenizer([]byte(c.vocab), []byte(c.merges)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("CLIP, %s: got error %v, want one that says %q", c.name, err, c.want)
		}
	}
}

// Any bytes are a prompt: the ids come padded to their length, none outside the
// embedding, and Count agrees.
func FuzzEncode(f *testing.F) {
	t5, err := EmbeddedT5()
	if err != nil {
		f.Fatal(err)
	}
	clip, err := EmbeddedCLIP()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"a photo of a cat", "\xff\x00\xf0\x9f", "e\u0301\u0302\r\n</s><|endoftext|>",
		"<|startoftext|> ﷺ İ ''s", "▁▁  ▁"} {
		f.Add(s, 16)
	}
	f.Fuzz(func(t *testing.T, prompt string, maxLength int) {
		maxLength = max(-1, min(maxLength, 600))
		for _, c := range []struct {
			encode func(string, int) ([]int32, int)
			count  func(string) int
			vocab  int
			least  int
		}{{t5.Encode, t5.Count, t5.Vocab(), 1}, {clip.Encode, clip.Count, clip.Vocab(), 2}} {
			ids, n := c.encode(prompt, maxLength)
			if n < c.least || n != c.count(prompt) {
				t.Errorf("%d tokens, and by Count %d", n, c.count(prompt))
			}
			if maxLength >= c.least && len(ids) != maxLength {
				t.Errorf("%d ids for a length of %d", len(ids), maxLength)
			}
			for _, id := range ids {
				if id < 0 || int(id) >= c.vocab {
					t.Errorf("id %d of a vocabulary of %d", id, c.vocab)
				}
			}
		}
	})
}

// Any bytes may pose as a tokenizer: they are refused, or they work.
func FuzzNewTokenizer(f *testing.F) {
	t5, clipVocab, clipMerges, err := BuildNanoTokenizers([]string{"a", "red", "apple"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(t5, []byte{}, "red apples")
	f.Add([]byte(smallT5), []byte{}, "on two on<x>")
	f.Add([]byte(strings.Replace(smallT5, `{"type": "Lowercase"}`,
		`{"type": "Precompiled", "precompiled_charsmap": "CAAAAAAAAAAAAAAA"}`, 1)), []byte{}, "é")
	f.Add(clipVocab, clipMerges, "red apples")
	f.Fuzz(func(t *testing.T, file, merges []byte, prompt string) {
		if tok, err := NewT5Tokenizer(file); err == nil {
			for _, id := range tok.tokens(prompt) {
				if id < 0 || int(id) >= tok.Vocab() {
					t.Errorf("id %d of a vocabulary of %d", id, tok.Vocab())
				}
			}
		}
		if tok, err := NewCLIPTokenizer(file, merges); err == nil {
			for _, id := range tok.tokens(prompt) {
				if id < 0 || int(id) >= tok.Vocab() {
					t.Errorf("id %d of a vocabulary of %d", id, tok.Vocab())
				}
			}
		}
	})
}
