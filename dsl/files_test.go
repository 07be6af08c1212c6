package dsl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two things that would be written to one file are refused, also where one is a frame of
// a clip, or one a folder of the other, or an accent is spelled in two ways.
func TestFilesThatMeet(t *testing.T) {
	const clip = "timeline \"t\" {\n  frames = 12\n  track {\n    target = sampler.cfg\n    keys   = [{ at = 0, value = 2 }]\n  }\n}\n"
	still := func(name, path string) string {
		return "render \"" + name + "\" {\n  prompt = \"x\"\n  output {\n    path = \"" + path + "\"\n  }\n}\n"
	}
	frames := func(name, path string) string {
		return strings.Replace(still(name, path), "output", "timeline = timeline.t\n  output", 1)
	}
	for name, c := range map[string]struct{ scene, want string }{
		"a still and a frame": {clip + frames("a", "out/f%04d.png") + still("b", "OUT/f0011.png"),
			`OUT/f0011.png would be written by render.b and by render.a, as its frame 11.`},
		"a still beyond the frames": {clip + frames("a", "out/f%04d.png") + still("b", "out/f0012.png"), ""},
		"a still without the zeros": {clip + frames("a", "out/f%04d.png") + still("b", "out/f11.png"), ""},
		"a digit before the number": {clip + frames("a", "out/2%d.png") + still("b", "out/27.png"),
			`out/27.png would be written by render.b and by render.a, as its frame 7.`},
		"frames of two widths": {clip + frames("a", "out/f%d.png") + frames("b", "out/f%02d.png"),
			`out/f10.png would be written by render.a and by render.b.`},
		"frames of two widths, apart": {clip + frames("a", "out/f%d.png") + frames("b", "out/f%03d.png"), ""},
		"a frame and what is read": {clip + frames("a", "in%d.png") + "render \"b\" {\n  prompt = \"x\"\n  init {\n    image = " +
			"image(\"in3.png\")\n  }\n}\n", `The scene reads in3.png, so frame 3 can't be written to it.`},
		"a file and a folder": {still("a", "out/a.png/b.png") + still("b", "out/A.png"),
			`out/A.png can't be a folder: another output writes it as a file`},
		"an accent in two spellings": {still("a", "out/\u00e9.png") + still("b", "out/e\u0301.png"), `Two outputs write `},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "s.hcl")
		if err := os.WriteFile(path, []byte(c.scene), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "in3.png"), []byte(encodePNG(t, bright(16, 16, 0, 255))), 0o600); err != nil {
			t.Fatal(err)
		}
		_, ds := Load(t.Context(), path, Vars{})
		got := ds.Error()
		if !strings.Contains(got, c.want) || c.want == "" && ds.HasErrors() {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Zero is what the language says it is: no limit.
func TestRecipeWithoutLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.hcl")
	if err := os.WriteFile(path, []byte("recipe \"base\" {\n  classes  = 0\n  pictures = 0\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ds := Load(t.Context(), path, Vars{}); len(ds) > 0 {
		t.Error(ds)
	}
}
