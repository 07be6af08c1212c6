package dsl

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen"
)

// Whatever the text, Load and Format return; a scene comes back exactly if
// there is no error; every diagnostic points into the text; formatting settles.
func FuzzLoad(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.hcl")
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src), false)
	}
	for _, seed := range []string{
		"render \"a\" { prompt = \"x\" }\n",
		"a = <<X\n${1 + \"2\"}\nX\n",
		"locals {\n  a = [for k, v in { x = 1 } : \"${k}-${v}\" if v > 0]\n  b = local.a[*]\n  c = local.b.*.x\n}\n",
		"entity \"é\" {\n\tprompt = \"%{if true}x%{else}y%{endif}\"\n\tbox = xyxy(0,0,1/0,1)\n}\n",
		"variable \"v\" {\n  type = map(object({ x = optional(number, 1) }))\n  default = { a = {} }\n}\n",
		"\xef\xbb\xbf# a byte order mark\r\nlocals { a = 1e300 * 1e300 }\r\n",
		"entity \"a\" {\n  prompt = \"a\n  box = 'x'\n}\nrender \"b\" {\n  seed = \n",
		"locals {\n  a = format(\"%5d\", 1)\n  b = jsondecode(\"[[1]]\")\n  c = csvdecode(\"a,b\\n1,2\")\n  d = regex(\"(a\", \"b\")\n}\n",
	} {
		f.Add(seed, false)
	}
	for _, seed := range []string{
		`{"render": {"a": {"prompt": "x ${1 + 1}"}}}`,
		`{"entity": [{"a": {"prompt": "\u00e4", "box": "${xywh(0, 0, 1, 1)}"}}], "//": "note"}`,
		`{"variable": {"v": {"type": "list(string)", "default": [1, true, null]}}}`,
	} {
		f.Add(seed, true)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src string, json bool) {
		name := "scene.hcl"
		if json {
			name = "scene.json"
		}
		if len(src) > 1<<16 {
			return
		}
		scene, ds := load(filepath.Join(dir, name), []byte(src), Vars{})
		if (scene == nil) != ds.HasErrors() {
			t.Fatalf("scene is nil: %v, errors: %v", scene == nil, ds.HasErrors())
		}
		points(t, src, ds)
		once, ds := Format(name, []byte(src))
		points(t, src, ds)
		if once == nil {
			return
		}
		twice, ds := Format(name, once)
		if ds.HasErrors() || !bytes.Equal(once, twice) {
			t.Fatalf("formatting twice: %q, then %q %s", once, twice, ds.Error())
		}
	})
}

func points(t *testing.T, src string, ds eligen.Diagnostics) {
	lines := bytes.Count([]byte(src), []byte("\n")) + 1
	for _, d := range ds {
		_ = d.String()
		s := d.Source
		if s == nil {
			continue
		}
		if s.Line < 1 || s.Line > lines || s.Start < 0 || s.End <= s.Start || s.Start > len([]rune(s.Code)) {
			t.Fatalf("%+v points nowhere in %d lines", *s, lines)
		}
	}
}
