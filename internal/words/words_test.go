package words

import "testing"

// What people wrote keeps its case: a path that is capitalised is another path.
func TestCapital(t *testing.T) {
	for in, want := range map[string]string{
		"there is no file x.png":            "There is no file x.png",
		"a mask has no area":                "A mask has no area",
		"it doesn't end":                    "It doesn't end",
		"don't":                             "Don't",
		"élan is a word":                    "Élan is a word",
		"md/fp8/model.safetensors is empty": "md/fp8/model.safetensors is empty",
		"cat.png: unexpected EOF":           "cat.png: unexpected EOF",
		"./weights: no such folder":         "./weights: no such folder",
		"weights: no such folder":           "weights: no such folder",
		"entity.cat has no box":             "entity.cat has no box",
		"image_prompts are for a base":      "image_prompts are for a base",
		"\"../x\" leads out":                "\"../x\" leads out",
		"ffmpeg isn't installed":            "ffmpeg isn't installed",
		"2 files are missing":               "2 files are missing",
		"":                                  "",
		"\xff":                              "\xff",
	} {
		if got := Capital(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for want, list := range map[string][]string{"": nil, `"a"`: {"a"}, `"a" or "b"`: {"a", "b"}, `"a", "b" or "c"`: {"a", "b", "c"}} {
		if got := Quoted(list, "or"); got != want {
			t.Errorf("%v: %s, want %s", list, got, want)
		}
	}
}
