package dsl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// Characters that come with text from elsewhere are named, where they are. The scenes
// are written with escapes, so that they can be seen here.
func TestCharactersThatNobodySees(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"no-break space", "seed\u00a0= 3", "U+00A0 (no-break space), which looks like a space"},
		{"no-break spaces before", "\u00a0\u00a0seed = 3", "U+00A0 (no-break space), which looks like a space"},
		{"ideographic space", "seed\u3000= 3", "U+3000 (ideographic space), which looks like a space"},
		{"zero width space in a name", "se\u200bed = 3", "U+200B (zero width space), which can't be seen. Remove it."},
		{"zero width space after a name", "seed\u200b = 3", "U+200B (zero width space)"},
		{"zero width space in a function", "seed = m\u200bax(1, 2)", "U+200B (zero width space)"},
		{"joiner in a name", "se\u200ded = 3", "It holds U+200D (zero width joiner), which can't be seen. Did you mean \"seed\"?"},
		{"variation selector in a name", "see\ufe0fd = 3",
			"It holds U+FE0F (variation selector-16), which can't be seen. Did you mean \"seed\"?"},
		{"variation selector in a function", "seed = m\ufe0fax(1, 2)", "It holds U+FE0F (variation selector-16)"},
		{"soft hyphen", "se\u00aded = 3", "U+00AD (soft hyphen)"},
		{"byte order mark inside", "seed = \ufeff3", "U+FEFF (byte order mark)"},
		{"bidi override", "\u202eseed = 3", "U+202E (right-to-left override)"},
		{"bidi isolate", "seed = \u20663", "U+2066 (left-to-right isolate)"},
		{"line separator", "seed = 3\u2028", "U+2028 (line separator), which ends no line here."},
		{"bell", "seed = 3\a", "U+0007 (control character)"},
		{"zero", "seed = 3\x00", "U+0000 (control character)"},
		{"double quotes of a text processor", "negative = \u201cfog\u201d",
			"U+201C (left double quotation mark). A text stands in straight quotes"},
		{"single ones", "negative = \u2018fog\u2019", "U+2018 (left single quotation mark)"},
		{"German ones", "negative = \u201efog\u201c", "U+201E (double low-9 quotation mark)"},
		{"dash for minus", "seed = 4 \u2013 1", "U+2013 (en dash). Replace it with -."},
		{"the sign minus", "seed = \u22121", "U+2212 (minus sign). Replace it with -."},
		{"times", "seed = 2 \u00d7 3", "U+00D7 (multiplication sign). Replace it with *."},
		{"full width", "seed = 2 \uff0b 3", "U+FF0B (fullwidth plus sign). Replace it with +."},
		{"Latin-1", "seed = 3 \xe9", "This byte, 0xE9, is no text in UTF-8."},
		{"in a value of a list", "overlap = \"over\u00a0\"", "It holds U+00A0 (no-break space), which can't be seen. Did you mean \"over\"?"},
		{"in the name of a file", "init {\n    image = image(\"a\u200b.png\")\n    strength = 0.5\n  }",
			"It holds U+200B (zero width space), which can't be seen."},
		{"in a label", "}\n\nentity \"do\u200bg\" {\n  prompt = \"a dog\"\n  box = xywh(0, 0, 1, 1)",
			"It holds U+200B (zero width space), which can't be seen."},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.hcl")
			if err := os.WriteFile(path, []byte("render \"r\" {\n  prompt = \"a road\"\n  "+c.line+"\n}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, ds := Load(t.Context(), path, Vars{})
			if len(ds) != 1 || !strings.Contains(ds[0].Detail, c.want) || ds[0].Source == nil {
				t.Errorf("says %v\nwant one, with %s", ds, c.want)
			}
		})
	}
	// In a prompt they may be meant: emoji are joined by one.
	path := filepath.Join(t.TempDir(), "s.hcl")
	if err := os.WriteFile(path, []byte("render \"r\" {\n  prompt = \"\U0001f469\u200d\U0001f680 on\u00a0Mars\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ds := Load(t.Context(), path, Vars{}); len(ds) > 0 {
		t.Error(ds)
	}
}

// HCL composes letters and accents; many a file system keeps them apart.
func TestFilesHoweverTheirNamesAreComposed(t *testing.T) {
	mask := encodePNG(t, bright(64, 64, 0, 255))
	for _, form := range []struct {
		name string
		of   func(string) string
	}{{"composed", norm.NFC.String}, {"decomposed", norm.NFD.String}} {
		t.Run(form.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				path := filepath.Join(dir, form.of(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("étude/maské.png", mask)
			write("étude/prompté.txt", "a dog")
			write("modulé/é.hcl", "render \"inner\" {\n  prompt = file(\"ê.txt\")\n}\n")
			write("modulé/ê.txt", "a cat")
			write("datené/x", "")
			write("é.hcl", `
render "r" {
  prompt = file("étude/prompté.txt")
  output {
    path = "étude/é.png"
  }
}
entity "e" {
  prompt = "a dog"
  mask   = image("étude/maské.png")
}
module "m" {
  source = "./modulé"
}
recipe "base" {
  dataset = "./datené"
}
`)
			scene, ds := Load(t.Context(), filepath.Join(dir, norm.NFC.String("é.hcl")), Vars{})
			if ds.HasErrors() {
				t.Fatal(ds)
			}
			if got, want := scene.Renders[0].Outputs[0].Path, form.of("étude")+"/"+norm.NFC.String("é.png"); got != want {
				t.Errorf("the output is %q, want %q: in the folder that is there", got, want)
			}
			// What comes back can be opened.
			if _, err := os.Stat(scene.Recipes[0].Dataset); err != nil {
				t.Error(err)
			}
		})
	}
}

// The name of a file that is written has nothing that nobody sees; emoji keep what joins
// them.
func TestOutputNames(t *testing.T) {
	for name, want := range map[string]string{
		"out/a\\u202eb.png":      "The name holds U+202E (right-to-left override), which can't be seen. Remove it.",
		"out/a\\u200bb.png":      "The name holds U+200B (zero width space), which can't be seen. Remove it.",
		"out/a\\nb.png":          `"out/a\nb.png" holds a control character.`,
		"out/👨\\u200d👩.png":      "",
		"out/\\u2764\\ufe0f.png": "",
	} {
		_, ds := load(t.Context(), "scene.hcl", []byte("render \"r\" {\n  prompt = \"r\"\n  output {\n    path = \""+name+"\"\n  }\n}\n"), Vars{})
		got := ""
		if len(ds) > 0 {
			got = ds[0].Detail
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
