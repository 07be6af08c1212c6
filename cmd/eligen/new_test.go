package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/scenes"
)

// A language model's scene is written, and is a scene though it tries not to be; an
// answer that is none leaves no file.
func TestNewByLanguageModel(t *testing.T) {
	answers := map[string]string{
		"good": `{"prompt": "a sign that says \"${file(\"x\")}\" %{ if true }", "entities": [{"name": "render", "prompt": "a \\ and \"} ` +
			`render \"x\" {", "x": 0, "y": 0, "w": 1, "h": 1}]}`,
		"refined": `{"prompt": "a sign and a cat", "entities": [{"name": "render", "prompt": "a sign", "x": 0, "y": 0, "w": 0.5, "h": 1}, ` +
			`{"name": "cat", "prompt": "a cat", "x": 0.6, "y": 0.5, "w": 0.3, "h": 0.4}]}`,
		"hostile": `{"prompt": "p", "entities": [{"name": "a\" {}", "prompt": "b\u001b[31m", "x": 0, "y": 0, "w": 1, "h": 1}]}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Model string }
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || r.URL.Path != "/v1/chat/completions" ||
			r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("%s: %v", r.URL, err)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": map[string]any{"role": "assistant",
			"content": answers[req.Model]}}}})
	}))
	defer s.Close()
	t.Setenv("ELIGEN_LLM_KEY", "k")
	t.Setenv("OPENAI_API_KEY", "another")
	file := filepath.Join(t.TempDir(), "sign.hcl")
	if got := run([]string{"new", "--endpoint", s.URL + "/v1", "--model", "hostile", "--out", file, "a sign"}); got != exitError {
		t.Errorf("exit code %d", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a hostile answer made a file")
	}
	if got := run([]string{"new", "--endpoint", s.URL + "/v1", "--model", "good", "--out", file, "a sign"}); got != exitOK {
		t.Fatalf("exit code %d", got)
	}
	scene, ds := dsl.Load(t.Context(), file, dsl.Vars{})
	if len(ds) > 0 || scene.Renders[0].Prompt != `a sign that says "${file("x")}" %{ if true }` ||
		scene.Entities[0].Prompt != `a \ and "} render "x" {` {
		t.Errorf("%v %+v", ds, scene)
	}
	if got := run([]string{"new", "--endpoint", s.URL + "/v1", "--model", "refined", "--refine", file, "--out", file, "--force",
		"put a cat beside it"}); got != exitOK {
		t.Fatalf("exit code %d", got)
	}
	text, err := os.ReadFile(file)
	want := `# a sign
# put a cat beside it

render "sign" {
  prompt = "a sign and a cat"
}

entity "render" {
  prompt = "a sign"
  box    = xywh(0.00, 0.00, 0.50, 1.00)
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.60, 0.50, 0.30, 0.40)
}
`
	if err != nil || string(text) != want {
		t.Errorf("refined: %v\n%s", err, text)
	}
}

// Every file of the folder that a scene names is embedded and copied: the copies are
// valid by themselves.
func TestInitCopiesAreWhole(t *testing.T) {
	for _, e := range examples() {
		dir := t.TempDir()
		for _, f := range e.files {
			data, err := scenes.Files.ReadFile(path.Join(e.folder, f))
			to := filepath.Join(dir, filepath.FromSlash(f))
			if err != nil || os.MkdirAll(filepath.Dir(to), 0o755) != nil || os.WriteFile(to, data, 0o644) != nil {
				t.Fatalf("%s: %v", f, err)
			}
		}
		if _, ds := dsl.Load(t.Context(), filepath.Join(dir, e.files[0]), dsl.Vars{}); ds.HasErrors() {
			t.Errorf("%s: %v", e.name, ds)
		}
		if e.about == "" || len(e.about) > 200 {
			t.Errorf("%s: its comment begins with %q", e.name, e.about)
		}
	}
}

// A scene that an editor began with a byte order mark is refined as any other.
func TestRefineAfterAByteOrderMark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cat.hcl")
	scene := "\ufeff# a cat\n\nrender \"cat\" {\n  prompt = \"a cat\"\n}\n\nentity \"cat\" {\n  prompt = \"a cat\"\n  box    = xywh(0.30, " +
		"0.30, 0.40, 0.40)\n}\n"
	if err := os.WriteFile(file, []byte(scene), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := run([]string{"new", "--refine", file, "--out", file, "--force", "move the cat to the left"}); got != exitOK {
		t.Fatalf("exit code %d", got)
	}
	text, err := os.ReadFile(file)
	if want := "# a cat\n# move the cat to the left\n\nrender"; err != nil || !bytes.HasPrefix(text, []byte(want)) {
		t.Errorf("%v\n%s", err, text)
	}
}
