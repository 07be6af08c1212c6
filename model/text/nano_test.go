package text

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The words of small captions: parts of one another, a name of two words, one
// with a hyphen, one with an accent.
var captionWords = []string{"a", "an", "and", "the", "apple", "app", "pear", "ear", "sea", "seashell", "shell", "she",
	"hot air balloon", "t-shirt", "crème", "Cat", "cats", "banana", "ananas", "on", "onion", "i", "aaaa", "aa"}

func nanoTokenizers(t *testing.T, words []string) (*T5Tokenizer, *CLIPTokenizer) {
	t.Helper()
	t5JSON, vocab, merges, err := BuildNanoTokenizers(words)
	if err != nil {
		t.Fatal(err)
	}
	t5, err := NewT5Tokenizer(t5JSON)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := NewCLIPTokenizer(vocab, merges)
	if err != nil {
		t.Fatal(err)
	}
	return t5, clip
}

func TestNanoWordsAreOneToken(t *testing.T) {
	t5, clip := nanoTokenizers(t, captionWords)
	seenT5, seenCLIP := map[int32]string{}, map[int32]string{}
	for _, entry := range captionWords {
		for _, w := range strings.Fields(entry) {
			if got := t5.tokens(w); len(got) != 1 || seenT5[got[0]] != "" {
				t.Errorf("T5: %q is %v, want one piece of its own", w, got)
			} else {
				seenT5[got[0]] = w
			}
			// CLIP cuts at anything that is no letter, whatever the vocabulary.
			if want := 1 + 2*strings.Count(w, "-"); len(clip.tokens(w)) != want {
				t.Errorf("CLIP: %q is %v, want %d tokens", w, clip.tokens(w), want)
			} else if got := clip.tokens(w); want == 1 {
				if seenCLIP[got[0]] != "" {
					t.Errorf("CLIP: %q is the same token as %q", w, seenCLIP[got[0]])
				}
				seenCLIP[got[0]] = w
			}
		}
	}
}

// A caption has as many tokens as words and punctuation marks, however it is
// written.
func TestNanoCaptions(t *testing.T) {
	t5, clip := nanoTokenizers(t, captionWords)
	const caption = "a cat and an apple, on the sea."
	if n := t5.Count(caption); n != 8+2+1 {
		t.Errorf("T5: %d tokens, want 11 with the end marker", n)
	}
	if n := clip.Count(caption); n != 8+2+2 {
		t.Errorf("CLIP: %d tokens, want 12 with both markers", n)
	}
	for _, same := range []string{"A CAT AND AN APPLE, ON THE SEA.", "  a\tcat\nand\u00a0an  apple, on the sea. ",
		"ａ cat and an apple, on the sea."} {
		if !slices.Equal(t5.tokens(same), t5.tokens(caption)) {
			t.Errorf("T5: %q is not what %q is", same, caption)
		}
		if !strings.Contains(same, "ａ") && !slices.Equal(clip.tokens(same), clip.tokens(caption)) {
			t.Errorf("CLIP: %q is not what %q is", same, caption)
		}
	}
}

// Words that are not in the list are spelled, by the known word that they start
// with where there is one; nothing that a keyboard has is unknown.
func TestNanoUnknownWords(t *testing.T) {
	t5, clip := nanoTokenizers(t, captionWords)
	if apples, apple := t5.tokens("apples"), t5.tokens("apple"); len(apples) != 2 || apples[0] != apple[0] {
		t.Errorf("T5: apples is %v, want apple %v and a letter", apples, apple)
	}
	if got := t5.tokens("zebu"); len(got) != 5 {
		t.Errorf("T5: zebu is %v, want a space and four letters", got)
	}
	if got := clip.tokens("zebu"); len(got) < 1 || len(got) > 4 {
		t.Errorf("CLIP: zebu is %v, want no more tokens than letters", got)
	}
	for r := rune(' '); r <= '~'; r++ {
		if slices.Contains(t5.tokens("x"+string(r)+"x"), t5.unkID) {
			t.Errorf("T5 does not know %q", r)
		}
		if slices.Contains(clip.tokens("x"+string(r)+"x"), clip.eos) {
			t.Errorf("CLIP does not know %q", r)
		}
	}
	if got := t5.tokens("日本"); !slices.Equal(got, []int32{3, t5.unkID}) {
		t.Errorf("T5: characters of no list are %v, want a space and one <unk>", got)
	}
}

// The end marker has the largest id, since CLIP's encoder finds the end by it.
func TestNanoMarkers(t *testing.T) {
	t5, clip := nanoTokenizers(t, captionWords)
	if t5.pad != 0 || t5.eos != 1 || t5.unkID != 2 {
		t.Errorf("T5's <pad>, </s>, <unk> are %d, %d, %d, want 0, 1, 2", t5.pad, t5.eos, t5.unkID)
	}
	if int(clip.eos) != clip.Vocab()-1 || clip.bos != clip.eos-1 {
		t.Errorf("CLIP's markers are %d and %d of %d", clip.bos, clip.eos, clip.Vocab())
	}
}

func TestNanoTokenizersAreReproducible(t *testing.T) {
	a1, b1, c1, _ := BuildNanoTokenizers(captionWords)
	for range 5 {
		a, b, c, err := BuildNanoTokenizers(captionWords)
		if err != nil || !bytes.Equal(a, a1) || !bytes.Equal(b, b1) || !bytes.Equal(c, c1) {
			t.Fatalf("the same words gave other files (error %v)", err)
		}
	}
}

func TestNanoTokenizersRefuse(t *testing.T) {
	many := make([]string, maxNanoWords+1)
	for i := range many {
		many[i] = "w" + strings.Repeat("x", i/26%50) + string(rune('a'+i%26)) + string(rune('a'+i/1300))
	}
	for name, c := range map[string]struct {
		words []string
		want  string
	}{
		"no words":       {nil, "no words"},
		"empty words":    {[]string{"", " "}, "no words"},
		"too many":       {many, "too many"},
		"no UTF-8":       {[]string{"\xff"}, "UTF-8"},
		"space mark":     {[]string{"a▁b"}, "no tokenizer can hold"},
		"control":        {[]string{"a\x01b"}, "no tokenizer can hold"},
		"single letters": {[]string{"a", "b"}, "two letters"},
		"marker in word": {[]string{"x</s>"}, "marker"},
	} {
		if _, _, _, err := BuildNanoTokenizers(c.words); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, c.want)
		}
	}
}

// Whatever the words, files come out that load, and in which each word is one
// T5 piece and each run of letters one CLIP token.
func FuzzBuildNanoTokenizers(f *testing.F) {
	f.Add(strings.Join(captionWords, "\n"))
	f.Add("aa aaa aaaa aaaaa baaab abab babab")
	f.Add("it's ½ x² ...'' İstanbul <|endoftext|> e\u0301\u0302")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 400 || !utf8.ValidString(text) {
			t.Skip()
		}
		list := strings.Split(text, "\n")
		t5JSON, vocab, merges, err := BuildNanoTokenizers(list)
		if err != nil {
			return
		}
		t5, err := NewT5Tokenizer(t5JSON)
		if err != nil {
			t.Fatal(err)
		}
		clip, err := NewCLIPTokenizer(vocab, merges)
		if err != nil {
			t.Fatal(err)
		}
		known, _ := nanoWords(list)
		for _, w := range known {
			if got := t5.tokens(w); len(got) != 1 {
				t.Errorf("T5: %q is %v", w, got)
			}
			for _, p := range words(w) {
				if got := clip.merge(nil, p); len(got) != 1 {
					t.Errorf("CLIP: %q is %v", p, got)
				}
			}
		}
	})
}
