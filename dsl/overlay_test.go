package dsl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an editor has not saved is read in place of the disk: the scene, modules' files, texts and
// variables. Nothing of it need be on the disk but the folders.
func TestUnsavedTexts(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	if err := os.MkdirAll(at("birds"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"s.hcl":          "this is no scene",
		"birds/main.hcl": "entity \"a\" {\n  prompt = \"saved\"\n  box = xywh(0, 0, 0.5, 0.5)\n}\n",
		"words.txt":      "saved words",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unsaved := map[string][]byte{
		at("s.hcl"): []byte("variable \"what\" {}\nvariable \"where\" {}\nmodule \"birds\" {\n  source = \"./birds\"\n}\nrender " +
			"\"r\" {\n  prompt = \"${file(\"words.txt\")} ${var.what} ${var.where}\"\n}\n"),
		at("birds/new.hcl"): []byte("entity \"b\" {\n  prompt = \"unsaved\"\n  box = xywh(0.5, 0, 0.5, 0.5)\n}\n"),
		at("words.txt"):     []byte("unsaved words"),
		at(autoFile):        []byte("what = \"of mine\"\n"),
		at("more.hclvars"):  []byte("where = \"here\"\n"),
	}
	scene, ds := Load(t.Context(), at("s.hcl"), Vars{Unsaved: unsaved, Files: []string{at("more.hclvars")}})
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	if got, want := scene.Renders[0].Prompt, "unsaved words of mine here"; got != want {
		t.Errorf("prompt %q, want %q", got, want)
	}
	var prompts []string
	for _, e := range scene.Entities {
		prompts = append(prompts, e.Prompt)
	}
	if got, want := strings.Join(prompts, ", "), "saved, unsaved"; got != want {
		t.Errorf("entities %q, want %q", got, want)
	}
	if _, ds := Load(t.Context(), at("s.hcl"), Vars{}); !ds.HasErrors() {
		t.Error("the text on the disk was not read without an overlay")
	}
}

// An overlay opens no door: a path that leads out of the folder is refused, whatever text it has.
func TestUnsavedTextsStayBelow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in", "s.hcl")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	_, ds := Load(t.Context(), path, Vars{Unsaved: map[string][]byte{
		path:                                  []byte("render \"r\" {\n  prompt = file(\"../words.txt\")\n}\n"),
		filepath.Join(dir, "words.txt"):       []byte("words"),
		filepath.Join(dir, "in", "large.txt"): make([]byte, maxFile+1),
	}})
	if got := ds.Error(); !strings.Contains(got, "leads out of the scene's folder") {
		t.Errorf("got %q", got)
	}
	_, ds = Load(t.Context(), path, Vars{Unsaved: map[string][]byte{path: make([]byte, maxFile+1)}})
	if got := ds.Error(); !strings.Contains(got, "File too large") {
		t.Errorf("got %q", got)
	}
}
