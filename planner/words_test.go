package planner

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
)

// Warnings of prompts: what the model can't read or was never taught, and what other
// programs would have read. Each prompt is warned of once.
func TestPromptWarnings(t *testing.T) {
	at := func(line int) *eligen.Source { return &eligen.Source{File: "s.hcl", Line: line} }
	spec := eligen.Spec{Family: "nano", Geometry: eligen.DefaultGeometry,
		Encoders: []eligen.Encoder{{Name: "T5", Count: func(string) int { return 0 }}}, Objects: []string{"apple", "dog"},
		Unread: func(prompt string) (out eligen.Unread) {
			for _, w := range strings.Fields(prompt) {
				if word, part, ok := strings.Cut(w, "/"); ok {
					out.Pieces = append(out.Pieces, eligen.Stretch{Text: part, Word: word})
				} else if w[0] > 0x7f {
					out.Pieces = append(out.Pieces, eligen.Stretch{Text: w})
				} else if w != "a" && w != "dog" {
					out.Words = append(out.Words, w)
				}
			}
			return out
		}}
	for _, c := range []struct {
		name, prompt string
		whole        bool // a render's
		want         []string
	}{
		{"taught", "a dog", false, nil},
		{"Chinese", "青蛙", false, []string{"T5 has no piece for 青蛙."}},
		{"three scripts", "лягушка 青蛙 🐸", false, []string{"T5 has no piece for лягушка, 青蛙 and 🐸."}},
		{"a part of a word", "jalapeño/ñ", false, []string{"T5 has no piece for ñ in jalapeño."}},
		{"what can't be seen", "\u202e \ufe0f", false, []string{`T5 has no piece for "\u202e" and "\ufe0f".`}},
		{"an emoji of several", "👩🏽\u200d🚀", false, []string{"T5 has no piece for 👩🏽\u200d🚀."}},
		{"a long one", strings.Repeat("蛙", 30), false, []string{"T5 has no piece for " + strings.Repeat("蛙", 20) + "…."}},
		{"one word", "a unicorn", false, []string{`nano was never taught the word "unicorn". It knows 2 kinds of object: apple, dog.`}},
		{"many words", "one two three four five six seven eight", false,
			[]string{`nano was never taught the words "one", "two", "three", "four", "five", "six" and 2 more.`}},
	} {
		b := &problems{warned: map[string]bool{}}
		for range 2 {
			b.read(at(3), c.prompt, spec, c.whole)
		}
		var got []string
		for _, d := range b.diags {
			if d.Source.Line != 3 || d.Severity != eligen.Warning {
				t.Errorf("%s: %v at %v", c.name, d.Severity, d.Source)
			}
			got = append(got, d.Detail)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s: %s", c.name, cmp.Diff(c.want[i], got[i]))
			}
		}
	}
}

// What a prompt has of other programs' notation, and what only looks like it.
func TestNotation(t *testing.T) {
	for prompt, want := range map[string]string{
		"a (cat:1.3) on a mat":     "(cat:1.3)",
		"a (red cat : .8)":         "(red cat : .8)",
		"((cat)), a mat":           "((cat))",
		"(((cat)))":                "((cat))",
		"[cat] and mat":            "[cat]",
		"[cat:dog:0.5]":            "[cat:dog:0.5]",
		"{{cat}}":                  "{{cat}}",
		"cat::2 dog::-0.5":         "cat::2",
		"a cat --ar 16:9 --no dog": "--ar",
		"<lora:ink:0.8> a cat":     "<lora:ink:0.8>",

		"a cat (tabby) on a mat":                      "",
		"[LEFT] a cat, [RIGHT] the cat on a mug":      "",
		"[TOP-LEFT] a cat; [SCENE-1] a mat":           "",
		"a clock at 10:30, a 16:9 screen, 4:1":        "",
		"a sign that says 'Open (9:30)'":              "",
		"a cat -- a dog":                              "",
		"two cats, one (left) white, one (right) red": "",
	} {
		b := &problems{warned: map[string]bool{}}
		b.notation(&eligen.Source{File: "s.hcl", Line: 1}, prompt, false)
		got := ""
		if len(b.diags) > 0 {
			got, _, _ = strings.Cut(strings.TrimPrefix(b.diags[0].Detail, `"`), `" is how`)
		}
		if got != want || len(b.diags) > 1 {
			t.Errorf("%s: %q, want %q", prompt, got, want)
		}
	}
}

// A size is warned of where a model says what it knows, and only far from it.
func TestSizesOutsideOfWhatAModelKnows(t *testing.T) {
	for _, c := range []struct {
		pixels [2]int
		size   eligen.Size
		want   string
	}{
		{[2]int{128 * 128, 384 * 256}, eligen.Size{W: 256, H: 256}, ""},
		{[2]int{128 * 128, 384 * 256}, eligen.Size{W: 384, H: 256}, ""},
		{[2]int{128 * 128, 384 * 256}, eligen.Size{W: 512, H: 512}, "at 512×512, objects tear and repeat"},
		{[2]int{128 * 128, 384 * 256}, eligen.Size{W: 64, H: 64}, "at 64×64, objects have too few image tokens"},
		{[2]int{}, eligen.Size{W: 2048, H: 2048}, ""},
	} {
		b := &problems{warned: map[string]bool{}}
		w := &work{render: &eligen.Render{}, size: c.size, spec: eligen.Spec{Family: "nano", Native: eligen.Size{W: 256, H: 256},
			Pixels: c.pixels}}
		for range 2 {
			b.known(w)
		}
		if got := b.diags.Error(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || len(b.diags) > 1 {
			t.Errorf("%v: %q, want %q", c.size, got, c.want)
		}
	}
}
