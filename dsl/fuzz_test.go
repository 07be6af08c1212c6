package dsl

import (
	"bytes"
	"context"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/zclconf/go-cty/cty"
)

// Scenes that fuzzing starts from, beside those of testdata: in HCL, and in its
// JSON syntax.
var (
	fuzzHCL = []string{
		"render \"a\" { prompt = \"x\" }\n",
		"a = <<X\n${1 + \"2\"}\nX\n",
		"locals {\n  a = [for k, v in { x = 1 } : \"${k}-${v}\" if v > 0]\n  b = local.a[*]\n  c = local.b.*.x\n}\n",
		"entity \"é\" {\n\tprompt = \"%{if true}x%{else}y%{endif}\"\n\tbox = xyxy(0,0,1/0,1)\n}\n",
		"variable \"v\" {\n  type = map(object({ x = optional(number, 1) }))\n  default = { a = {} }\n}\n",
		"\xef\xbb\xbf# a byte order mark\r\nlocals { a = 1e300 * 1e300 }\r\n",
		"entity \"a\" {\n  prompt = \"a\n  box = 'x'\n}\nrender \"b\" {\n  seed = \n",
		"locals {\n  a = format(\"%5d\", 1)\n  b = jsondecode(\"[[1]]\")\n  c = csvdecode(\"a,b\\n1,2\")\n  d = regex(\"(a\", \"b\")\n}\n",
		"render \"a\" {\n  count = 2\n  prompt = try(each.value, \"x\")\n  dynamic \"output\" {\n    for_each = [1]\n    iterator = x\n    " +
			"content {\n      path = \"${x.key}-${count.index}.png\"\n    }\n  }\n}\n",
		"module \"m\" {\n  source = \"./\"\n  a = module.m.entity.x\n}\nmoved {\n  from = entity.a[0]\n  to = module.m.entity.b\n}\n",
		"check \"c\" {\n  assert {\n    condition = can(psnr(render.a, render.b))\n    error_message = \"${placement(render.a, 1)}\"\n  }\n}\n",
	}
	fuzzJSON = []string{
		`{"render": {"a": {"prompt": "x ${1 + 1}"}}}`,
		`{"entity": [{"a": {"prompt": "\u00e4", "box": "${xywh(0, 0, 1, 1)}"}}], "//": "note"}`,
		`{"variable": {"v": {"type": "list(string)", "default": [1, true, null]}}}`,
		`{"render": {"a": {"prompt": "x", "dynamic": {"output": {"for_each": [1], "content": {"path": "${output.value}.png"}}}}}}`,
	}
)

func addScenes(f *testing.F) {
	for _, glob := range []string{"testdata/*.hcl", "testdata/wrong/*.hcl", "testdata/wrong/*.json"} {
		paths, _ := filepath.Glob(glob)
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src), isJSON(path))
		}
	}
	for _, seed := range fuzzHCL {
		f.Add(seed, false)
	}
	for _, seed := range fuzzJSON {
		f.Add(seed, true)
	}
}

func sceneName(json bool) string {
	if json {
		return "scene.json"
	}
	return "scene.hcl"
}

// Whatever the text, Load returns; a scene comes back exactly if there is no error;
// every diagnostic points into the text.
func FuzzLoad(f *testing.F) {
	addScenes(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src string, json bool) {
		if len(src) > 1<<16 {
			return
		}
		scene, ds := load(t.Context(), filepath.Join(dir, sceneName(json)), []byte(src), Vars{})
		if (scene == nil) != ds.HasErrors() {
			t.Fatalf("scene is nil: %v, errors: %v", scene == nil, ds.HasErrors())
		}
		points(t, src, ds)
	})
}

// Whatever the text, Format returns; what it has formatted stays as it is, and is
// a scene exactly if the text was one.
func FuzzFormat(f *testing.F) {
	addScenes(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src string, json bool) {
		if len(src) > 1<<16 {
			return
		}
		name := sceneName(json)
		once, ds := Format(name, []byte(src))
		points(t, src, ds)
		if once == nil {
			return
		}
		twice, ds := Format(name, once)
		if ds.HasErrors() || !bytes.Equal(once, twice) {
			t.Fatalf("formatting twice: %q, then %q %s", once, twice, ds.Error())
		}
		before, _ := load(t.Context(), filepath.Join(dir, name), []byte(src), Vars{})
		after, ds := load(t.Context(), filepath.Join(dir, name), once, Vars{})
		if (before == nil) != (after == nil) {
			t.Fatalf("a scene before: %v, after: %v\n%s\n%s", before != nil, after != nil, once, ds.Error())
		}
	})
}

// Whatever the template, it becomes a text or a mistake in it.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"a ${who} in ${place}", "%{ for x in list ~}\n- ${x}\n%{ endfor ~}", "%{ if who == \"a dog\" }woof%{ endif }",
		"$${who} %%{ who }", "${who", "${templatefile(\"x\", {})}", "${file(\"/etc/passwd\")}", "${var.x}", "${list[9]}",
		"${[for x in list : x]}",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 1<<16 {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "t.tmpl"), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		scene, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"),
			[]byte("render \"r\" {\n  prompt = templatefile(\"t.tmpl\", { who = \"a dog\", place = \"a park\", list = [1, 2] })\n}\n"), Vars{})
		if (scene == nil) != ds.HasErrors() {
			t.Fatalf("scene is nil: %v, errors: %v", scene == nil, ds.HasErrors())
		}
	})
}

// Whatever is in a module's file, the scene that takes it in is loaded or refused.
func FuzzModule(f *testing.F) {
	for _, glob := range []string{"testdata/flock/*.hcl", "testdata/wrong/*.hcl"} {
		paths, _ := filepath.Glob(glob)
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
	const scene = "module \"m\" {\n  source = \"./m\"\n  where = xywh(0, 0, 1, 1)\n}\nrender \"r\" {\n  prompt = \"r\"\n  entities = " +
		"try([module.m.entity.dog], [])\n}\n"
	dir := write(f, map[string]string{"m/m.hcl": ""})
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 1<<16 {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "m", "m.hcl"), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		s, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte(scene), Vars{})
		if (s == nil) != ds.HasErrors() {
			t.Fatalf("scene is nil: %v, errors: %v", s == nil, ds.HasErrors())
		}
		_ = ds.Error()
	})
}

// Whatever the path, svg() makes a shape that can be drawn, or says why not.
func FuzzSVG(f *testing.F) {
	for _, seed := range []string{
		"M.1 .9 L.5 .1 .9 .9Z", "m0.5 0.05c.6 0 .6 .9 0 .9s-.6-.9 0-.9zM.4 .35v.3h.2v-.3z", "M0.1 0.5 A0.4 0.4 0 0 1 0.9 0.5 z",
		"M0.1 0.5 Q 0.3 0 0.5 0.5 T 0.9 0.5 V1 H.1 Z", "M0 0", "L1 1", "M1e999 0Z", "M0 0A0 0 0 0 0 0 0z", "M-1-1-1-1", "M0,0,,1",
	} {
		f.Add(seed)
	}
	svg := newLoader(context.Background(), nil).allFunctions()["svg"]
	f.Fuzz(func(t *testing.T, path string) {
		if len(path) > 1<<12 {
			return
		}
		v, err := svg.Call([]cty.Value{cty.StringVal(path)})
		if err != nil {
			return
		}
		canvas := eligen.Size{W: 16, H: 16}
		if n := len(shapeOf(v).region.Round().Mask(canvas)); n != 256 {
			t.Fatalf("%d pixels", n)
		}
	})
}

// Whatever the bytes, a picture is refused or becomes masks of the size that its
// header says.
func FuzzPicture(f *testing.F) {
	for _, name := range []string{"masks/disc.png", "masks/alpha.png", "masks/mat.png"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, bright(32, 16, 20, 235), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(photo.Bytes())
	f.Add([]byte(claims(5000, 5000)))
	f.Add([]byte(unbase64(f, whiteWebP)))
	f.Add([]byte(unbase64(f, blackWebP)))
	f.Add([]byte("GIF89a"))
	f.Add([]byte(strings.Repeat("\x00", 64)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := pixels.Open(data)
		if err != nil || file.Size.W*file.Size.H > 1<<20 { // it may be, but takes long
			return
		}
		img, err := file.Numbers()
		if err != nil {
			return
		}
		size := file.Size
		var p picture
		p.masks(img)
		for _, m := range []*eligen.Bitmap{p.luminance, p.alpha} {
			if m != nil && (m.W != size.W || m.H != size.H) {
				t.Fatalf("a mask of %d×%d for a picture of %v", m.W, m.H, size)
			}
		}
		if p.luminance == nil || p.varies && p.alpha == nil {
			t.Fatal("a mask is missing")
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
