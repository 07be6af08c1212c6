package dsl

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/google/go-cmp/cmp"
)

// families are what these tests' scenes may name.
var families = []eligen.Family{{Name: "nano"}, {Name: "flux", Source: "the folder or file of its weights"}}

var update = flag.Bool("update", false, "rewrite the goldens; read the diff")

// The scenes of testdata say of themselves what is wrong with them: a comment
//
//	# want "regexp" "regexp"
//
// expects one diagnostic for each regexp on its line ("# want above": on the
// line above, which a comment would change), matched against "Summary: Detail". A diagnostic that no comment expects is a failure too. A
// scene without errors has a golden of what it means.
func TestScenes(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scenes in testdata", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			wants := wantsOf(t, string(src))
			scene, ds := Load(t.Context(), path, Vars{Families: families})
			for _, d := range ds {
				text := worded(d)
				if d.Source == nil {
					t.Errorf("without a line: %s", text)
					continue
				}
				if !take(wants, d.Source.Line, text) {
					t.Errorf("%s: unexpected\n%s", d.Source, d)
				}
			}
			// What a scene means, the planner judges. What else it finds in these scenes, which
			// are about the language, is not for this test.
			_, all := judged(t.Context(), path, Vars{})
			for _, d := range all {
				if d.Source != nil && !slices.ContainsFunc(ds, func(o eligen.Diagnostic) bool { return o.String() == d.String() }) {
					take(wants, d.Source.Line, worded(d))
				}
			}
			for line, list := range wants {
				for _, re := range list {
					t.Errorf("%s:%d: nothing matches %q", path, line, re)
				}
			}
			if (scene == nil) != ds.HasErrors() {
				t.Errorf("scene is nil: %v, but errors: %v", scene == nil, ds.HasErrors())
			}
			if scene != nil {
				golden(t, strings.TrimSuffix(path, ".hcl")+".golden.json", describe(t, scene))
			}
		})
	}
}

// worded writes a diagnostic as comments expect it, with its notes on one line each.
func worded(d eligen.Diagnostic) string {
	text := d.Summary + ": " + d.Detail
	for _, n := range d.Notes {
		text += fmt.Sprintf("\nNote: %s", n.Text)
		if n.Source != nil {
			text += fmt.Sprintf(", at %s", n.Source)
		}
	}
	return text
}

var (
	wantComment = regexp.MustCompile(`# want (above )?(".*)$`)
	wantPattern = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

func wantsOf(t *testing.T, src string) map[int][]*regexp.Regexp {
	wants := map[int][]*regexp.Regexp{}
	for i, line := range strings.Split(src, "\n") {
		m := wantComment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := i + 1
		if m[1] != "" {
			at--
		}
		for _, q := range wantPattern.FindAllString(m[2], -1) {
			s, err := strconv.Unquote(q)
			if err != nil {
				t.Fatalf("line %d: %s: %v", i+1, q, err)
			}
			re, err := regexp.Compile("(?s)" + s)
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			wants[at] = append(wants[at], re)
		}
	}
	return wants
}

func take(wants map[int][]*regexp.Regexp, line int, text string) bool {
	for i, re := range wants[line] {
		if re.MatchString(text) {
			wants[line] = append(wants[line][:i:i], wants[line][i+1:]...)
			return true
		}
	}
	return false
}

// describe writes the scene as JSON, with every Source as "line: what it points at", and
// without what is nil.
func describe(t *testing.T, scene *eligen.Scene) string {
	t.Helper()
	raw, err := json.Marshal(scene)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(places(v), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func places(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = places(v[i])
		}
	case map[string]any:
		if code, ok := v["code"].(string); ok {
			start, end := int(v["start"].(float64)), int(v["end"].(float64))
			return fmt.Sprintf("%v: %s", v["line"], string([]rune(code + " ")[start:end]))
		}
		for k := range v {
			if v[k] = places(v[k]); v[k] == nil {
				delete(v, k) // not said
			}
		}
	}
	return v
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-golden +got; -update rewrites it):\n%s", path, diff)
	}
}

// What a person sees: the line with carets under the spot. The scenes hold
// tabs, letters of several bytes, and ten mistakes at once.
func TestDiagnosticsAsText(t *testing.T) {
	for _, name := range []string{"ten", "unicode"} {
		_, ds := judged(t.Context(), "testdata/"+name+".hcl", Vars{})
		golden(t, "testdata/"+name+".golden.txt", ds.Error())
	}
}

// write puts files into a new folder and returns it.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// one loads a scene that is to have exactly one error, and returns it.
func one(t *testing.T, path string, vars Vars) eligen.Diagnostic {
	t.Helper()
	_, ds := Load(t.Context(), path, vars)
	if len(ds) != 1 || ds[0].Severity != eligen.Error {
		t.Fatalf("want one error, got %d:\n%s", len(ds), ds.Error())
	}
	return ds[0]
}

// The same scene in HCL's JSON syntax means the same.
func TestJSONSyntax(t *testing.T) {
	const native = `
variable "who" {
  type    = string
  default = "dog"
}
model "flux" "m" {
  source = "./w"
}
module "flock" {
  source = "./flock"
  prompt = "a duck"
}
entity "dog" {
  prompt = "a ${var.who}"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}
entity "apple" {
  prompt = "an apple"
  region = union(entity.dog.box, ellipse(0.5, 0.5, 0.2, 0.1))
}
render "a" {
  model    = model.flux.m
  prompt   = "two things and ${module.flock.entity.bird.prompt}"
  size     = [512, 256]
  entities = [entity.apple, entity.dog]
  sampler {
    steps = 3
  }
  output {
    path = "a.png"
  }
  dynamic "output" {
    for_each = { b = true, c = false }
    content {
      path    = "${output.key}.png"
      overlay = output.value
    }
  }
}
recipe "base" {
  train   = lora(4)
  dropout = { prompt = 0.1 }
  optimizer "adamw" {
    learning_rate = 1e-3
  }
}
`
	const asJSON = `{
  "//": "a comment",
  "recipe": {"base": {"train": "${lora(4)}", "dropout": {"prompt": 0.1}, "optimizer": {"adamw": {"learning_rate": 1e-3}}}},
  "render": {"a": {
    "model": "${model.flux.m}",
    "prompt": "two things and ${module.flock.entity.bird.prompt}",
    "size": [512, 256],
    "entities": ["${entity.apple}", "${entity.dog}"],
    "sampler": {"steps": 3},
    "output": {"path": "a.png"},
    "dynamic": {"output": {"for_each": {"b": true, "c": false}, "content": {"path": "${output.key}.png", "overlay": "${output.value}"}}}
  }},
  "module": {"flock": {"source": "./flock", "prompt": "a duck"}},
  "entity": [
    {"dog": {"prompt": "a ${var.who}", "box": "${xywh(0.1, 0.2, 0.3, 0.4)}"}},
    {"apple": {"prompt": "an apple", "region": "${union(entity.dog.box, ellipse(0.5, 0.5, 0.2, 0.1))}"}}
  ],
  "model": {"flux": {"m": {"source": "./w"}}},
  "variable": {"who": {"type": "string", "default": "dog"}}
}`
	const flock = "variable \"prompt\" {\n}\nentity \"bird\" {\n  prompt = var.prompt\n  box    = xywh(0, 0, 1, 1)\n}\n"
	dir := write(t, map[string]string{"s.hcl": native, "s.hcl.json": asJSON, "flock/f.hcl": flock})
	load := func(name string) *eligen.Scene {
		s, ds := Load(t.Context(), filepath.Join(dir, name), Vars{})
		if len(ds) > 0 {
			t.Fatalf("%s:\n%s", name, ds.Error())
		}
		s.Path = ""
		return s
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().Type() == reflect.TypeFor[eligen.Source]() || strings.HasSuffix(p.GoString(), ".At")
	}, cmp.Ignore())
	if diff := cmp.Diff(load("s.hcl"), load("s.hcl.json"), ignore); diff != "" {
		t.Errorf("-native +JSON:\n%s", diff)
	}
}

// Mistakes in JSON have lines and columns too, inside strings as well.
func TestJSONDiagnostics(t *testing.T) {
	dir := write(t, map[string]string{"s.json": `{
  "render": {"a": {
    "prompt": "a ${entity.dgo.prompt}",
    "size": [256, 250],
    "sampler": {"step": 3}
  }},
  "entity": {"dog": {"prompt": "ä", "box": "${xywh(0, 0, 0.5, 0)}"}}
}`})
	_, ds := judged(t.Context(), filepath.Join(dir, "s.json"), Vars{})
	var got []string
	for _, d := range ds {
		s := d.Source
		got = append(got, fmt.Sprintf("%d %s: %s", s.Line, string([]rune(s.Code)[s.Start:s.End]), d.Summary))
	}
	want := []string{
		`3 dgo: Reference to undeclared name`,
		`4 250: Invalid size`,
		`5 "step": Unsupported argument`,
		`7 0: Invalid function argument`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A scene that can't be opened is an error that names it.
func TestUnreadable(t *testing.T) {
	dir := write(t, map[string]string{
		"picnic.hcl": "", "notes.txt": "x", "latin1.hcl": "entity \"\xe4\" {\n}\n", "big.hcl": strings.Repeat("# filler\n", 1<<17),
		"broken.json": `{"render": {"a": [}}`, "list.json": "[1]", "folder/x.hcl": "",
	})
	for name, want := range map[string]string{
		"picnik.hcl":  `Scene not found: .*Did you mean ".*/picnic.hcl"\?`,
		"picnic.hcl":  `Nothing to make: .*no render block`,
		"notes.txt":   `Not a scene: .*ends in .hcl or .json`,
		"latin1.hcl":  `Invalid character encoding`,
		"big.hcl":     `File too large: .*1 MiB`,
		"broken.json": `Missing JSON value`,
		"list.json":   `Incorrect JSON value type`,
		"folder":      `Not a scene: .*is a folder. .* such as .*x.hcl`,
	} {
		_, ds := Load(t.Context(), filepath.Join(dir, name), Vars{})
		if !ds.HasErrors() || !regexp.MustCompile("(?s)"+want).MatchString(ds[0].Summary+": "+ds[0].Detail) {
			t.Errorf("%s: want %s, got\n%s", name, want, ds.Error())
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"prompt", "box", "mask", "region", "negative", "entity.dog"}
	for name, want := range map[string]string{
		"promt": "prompt", "porpmt": "prompt", "bx": "box", "BOX": "box", "neg": "negative", "boxes": "box",
		"ma": "", "zzz": "", "x": "", "regoin": "region",
	} {
		if got := closest(name, names); got != want {
			t.Errorf("closest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestVersionMeets(t *testing.T) {
	for constraint, want := range map[string]bool{
		"0.1.0": true, "= 0.1": true, "!= 0.1.0": false, "~> 0.1": true, "~> 0.1.0": true, "~> 0.2": false, ">= 0.1, < 0.2": true,
		"> 0.1.0": false, "~> 1": false, "<= 1": true,
	} {
		got, err := versionMeets("0.1.0", constraint)
		if err != nil || got != want {
			t.Errorf("0.1.0 meets %q: %v, %v; want %v", constraint, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "~> ", "=> 1", "1.2.3.4", ">= 1,"} {
		if _, err := versionMeets("0.1.0", bad); err == nil {
			t.Errorf("%q is accepted as a constraint", bad)
		}
	}
}
