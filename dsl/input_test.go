package dsl

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/google/go-cmp/cmp"
)

func encodePNG(t *testing.T, img image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bright draws a picture with the left half at one grey and the right half at another.
func bright(w, h int, left, right uint8) *image.Gray {
	g := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			g.SetGray(x, y, color.Gray{Y: left})
			if x >= w/2 {
				g.SetGray(x, y, color.Gray{Y: right})
			}
		}
	}
	return g
}

// claims makes a PNG whose header says w×h pixels, and nothing else.
func claims(w, h uint32) string {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	chunk = append(chunk, 8, 0, 0, 0, 0)
	b.Write(binary.BigEndian.AppendUint32(nil, 13))
	b.Write(chunk)
	b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(chunk)))
	return b.String()
}

// WebP pictures of one pixel each, lossy and lossless.
const (
	whiteWebP = "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAwA0JaQAA3AA/vuUAAA="
	blackWebP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
)

func unbase64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// maskScene has one entity with a mask.
func maskScene(expr string) string {
	return fmt.Sprintf("render \"a\" {\n  prompt = \"x\"\n}\nentity \"e\" {\n  prompt = \"e\"\n  mask   = %s\n}\n", expr)
}

// A mask is on where its luminance is at least 128 of 255, in every format.
func TestMasks(t *testing.T) {
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, bright(32, 16, 20, 235), nil); err != nil {
		t.Fatal(err)
	}
	translucent := image.NewNRGBA(image.Rect(0, 0, 32, 16))
	for y := range 16 {
		for x := range 32 {
			// White where it can't be seen, dark red where it can.
			c := color.NRGBA{255, 255, 255, 127}
			if x >= 16 {
				c = color.NRGBA{90, 0, 0, 128}
			}
			translucent.SetNRGBA(x, y, c)
		}
	}
	wide := image.NewGray16(image.Rect(0, 0, 32, 16))
	for y := range 16 {
		for x := 16; x < 32; x++ {
			wide.SetGray16(x, y, color.Gray16{Y: 0x8000})
		}
	}
	dir := write(t, map[string]string{
		"threshold.png": encodePNG(t, bright(32, 16, 127, 128)),
		"wide.png":      encodePNG(t, wide),
		"photo.jpg":     jpg.String(),
		"clear.png":     encodePNG(t, translucent),
		"white.webp":    unbase64(t, whiteWebP),
		"black.webp":    unbase64(t, blackWebP),
	})
	left, right := func(x int) bool { return x < 16 }, func(x int) bool { return x >= 16 }
	for expr, on := range map[string]func(x int) bool{
		`image("threshold.png")`:                        right,
		`image("./threshold.png", { fit = "cover" })`:   right,
		`image("wide.png")`:                             right,
		`image("photo.jpg")`:                            right,
		`image("clear.png", { channel = "alpha" })`:     right,
		`image("clear.png", { channel = "luminance" })`: left,
	} {
		path := filepath.Join(dir, "scene.hcl")
		s, ds := load(t.Context(), path, []byte(maskScene(expr)), Vars{})
		if len(ds) > 0 {
			t.Errorf("%s:\n%s", expr, ds.Error())
			continue
		}
		m := s.Renders[0].Entities[0].Region.Bitmap
		if m.W != 32 || m.H != 16 {
			t.Errorf("%s has %d×%d pixels", expr, m.W, m.H)
		}
		for x := range 32 {
			if m.On(x, 8) != on(x) {
				t.Errorf("%s: column %d is %v", expr, x, m.On(x, 8))
				break
			}
		}
	}
	for file, empty := range map[string]bool{"white.webp": false, "black.webp": true} {
		s, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte(maskScene(`image("`+file+`")`)), Vars{})
		switch {
		case empty && (len(ds) != 1 || !strings.Contains(ds[0].Detail, "is empty: none of its pixels")):
			t.Errorf("%s: want an empty mask, got\n%s", file, ds.Error())
		case !empty && (len(ds) > 0 || !s.Renders[0].Entities[0].Region.Bitmap.On(0, 0)):
			t.Errorf("%s: want one pixel that is on, got\n%s", file, ds.Error())
		}
	}
}

// A picture that can't be used is an error at the line that names it.
func TestBadPictures(t *testing.T) {
	whole := encodePNG(t, bright(32, 16, 0, 255))
	frame := "VP8 " + string(binary.LittleEndian.AppendUint32(nil, 20)) + "\x50\x00\x00\x9d\x01\x2a\xff\x3f\xff\x3f" +
		strings.Repeat("\x00", 10)
	dir := write(t, map[string]string{
		"good.png":  whole,
		"cut.png":   whole[:len(whole)-20],
		"head.png":  whole[:20],
		"flip.png":  whole[:45] + "\xff" + whole[46:],
		"huge.png":  claims(1<<30, 1<<30),
		"wide.png":  claims(5000, 5000),
		"none.png":  claims(0, 5),
		"dark.png":  encodePNG(t, bright(8, 8, 0, 0)),
		"empty.png": "",
		"gif.png":   "GIF89a",
		"big.png":   whole + strings.Repeat("\x00", pixels.MaxBytes),
		"bomb.webp": "RIFF" + string(binary.LittleEndian.AppendUint32(nil, uint32(4+8+10+len(frame)))) + "WEBPVP8X" +
			string(binary.LittleEndian.AppendUint32(nil, 10)) + strings.Repeat("\x00", 10) + frame,
		"dir/x": "",
	})
	outside := write(t, map[string]string{"secret.png": whole})
	if err := os.Symlink(filepath.Join(outside, "secret.png"), filepath.Join(dir, "link.png")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("good.png", filepath.Join(dir, "inside.png")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"cut.png":           "damaged or cut off",
		"head.png":          "header is damaged or cut off",
		"flip.png":          "damaged or cut off",
		"huge.png":          "more pixels than can be counted",
		"wide.png":          "5000×5000 pixels are more than a picture may have",
		"none.png":          "header",
		"dark.png":          "is empty: none of its pixels",
		"empty.png":         "the file is empty",
		"gif.png":           "not a PNG, JPEG, WebP or TIFF picture",
		"big.png":           "at most 33554432 .32 MiB.",
		"bomb.webp":         "16 MP",
		"dir":               "no regular file",
		"dir/y":             "There is no file dir/y",
		"goood.png":         "Did you mean .good.png.\\?$",
		"":                  "The path is empty",
		"..":                "leads out of the scene's folder",
		"dir/../../x.png":   "leads out of the scene's folder",
		"/etc/passwd":       "is absolute",
		"C:/x.png":          "is absolute",
		`dir\\x.png`:        "write paths with /",
		"link.png":          "a link that leads out of the scene's folder",
		"linked/secret.png": "a link that leads out of the scene's folder",
	} {
		path := filepath.Join(dir, "scene.hcl")
		_, ds := load(t.Context(), path, []byte(maskScene(`image("`+file+`")`)), Vars{})
		if len(ds) != 1 || ds[0].Source.Line != 6 || !regexp.MustCompile(want).MatchString(ds[0].Detail) {
			t.Errorf("%s: want %q at line 6, got\n%s", file, want, ds.Error())
		}
	}
	if _, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"), []byte(maskScene(`image("inside.png")`)), Vars{}); len(ds) > 0 {
		t.Errorf("a link inside the folder: %s", ds.Error())
	}
	_, ds := load(t.Context(), filepath.Join(dir, "scene.hcl"),
		[]byte("render \"a\" {\n  prompt = \"x\"\n  output {\n    path = \"linked/x.png\"\n  }\n}\n"), Vars{})
	if len(ds) != 1 || ds[0].Source.Line != 4 || !strings.Contains(ds[0].Detail, "leads out of") {
		t.Errorf("an output through a link: %s", ds.Error())
	}
}

// Values from outside, from the weakest to the strongest.
func TestVars(t *testing.T) {
	scene := `
variable "a" {
  type    = string
  default = "default"
}
variable "n" {
  type    = number
  default = 1
}
variable "list" {
  type    = list(number)
  default = []
}
render "x" {
  prompt = "${var.a} ${var.n} ${jsonencode(var.list)}"
}
`
	dir := write(t, map[string]string{
		"s.hcl":            scene,
		"one.hclvars":      "a = \"one\"\nn = 2\n",
		"two.hclvars":      "a = \"two\"\n",
		"vars.json":        `{"list": [1, 2]}`,
		"bad.hclvars":      "a = [1]\nb = 1\nn = var.a\n",
		"auto/s.hcl":       scene,
		"auto/" + autoFile: "a = \"auto\"\n",
	})
	at := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, filepath.Join(dir, n))
		}
		return out
	}
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"ELIGEN_VAR_a": "env", "ELIGEN_VAR_list": "[7]"}[name]
		return v, ok
	}
	for _, c := range []struct {
		scene string
		vars  Vars
		want  string
	}{
		{"s.hcl", Vars{}, "default 1 []"},
		{"s.hcl", Vars{Env: env}, "env 1 [7]"},
		{"auto/s.hcl", Vars{Env: env}, "auto 1 [7]"},
		{"auto/s.hcl", Vars{Files: at("one.hclvars", "two.hclvars", "vars.json")}, "two 2 [1,2]"},
		{"s.hcl", Vars{Files: at("two.hclvars"), Set: []string{"a=set", "a = last=one", "n=3", "list=[1 + 1]"}, Env: env}, " last=one 3 [2]"},
	} {
		s, ds := Load(t.Context(), filepath.Join(dir, c.scene), c.vars)
		if len(ds) > 0 {
			t.Errorf("%+v:\n%s", c.vars, ds.Error())
		} else if got := s.Renders[0].Prompt; got != c.want {
			t.Errorf("%+v: %q, want %q", c.vars, got, c.want)
		}
	}

	path := filepath.Join(dir, "s.hcl")
	for _, c := range []struct {
		vars Vars
		want string
	}{
		{Vars{Set: []string{"b=1"}}, `declares no variable "b"`},
		{Vars{Set: []string{"lst=1"}}, `Did you mean "list"\?`},
		{Vars{Set: []string{"a"}}, `write name=value`},
		{Vars{Set: []string{"n=x"}}, `The value "x" of "n", from --var, must be number`},
		{Vars{Set: []string{"list=[1"}}, `Unterminated|bracket`},
		{Vars{Set: []string{"list=" + strings.Repeat("!", 1000)}}, `operators`},
		{Vars{Set: []string{"list=var.a"}}, `can't refer to anything`},
		{Vars{Files: at("nowhere.hclvars")}, `nowhere.hclvars`},
	} {
		d := one(t, path, c.vars)
		if !regexp.MustCompile(c.want).MatchString(d.Detail) {
			t.Errorf("%+v: want %q, got\n%s", c.vars, c.want, d)
		}
	}
	_, ds := Load(t.Context(), path, Vars{Files: at("bad.hclvars")})
	var got []string
	for _, d := range ds {
		got = append(got, fmt.Sprintf("%s %d %s", filepath.Base(d.Source.File), d.Source.Line, d.Summary))
	}
	want := []string{"bad.hclvars 1 Incorrect type", "bad.hclvars 2 Value for an undeclared variable", "bad.hclvars 3 References not allowed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, ds.Error())
	}
}

// Paths of weights come back ready to be opened, and repositories as they are.
func TestWeightPaths(t *testing.T) {
	dir := write(t, nil)
	t.Chdir(dir)
	if err := os.Mkdir("sub", 0o755); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"./w":         "./sub/w",
		"../w":        "./w",
		"../../w":     "../w",
		"/data/w":     "/data/w",
		"owner/name":  "owner/name",
		"./owner/n.x": "./sub/owner/n.x",
	} {
		s, ds := load(t.Context(), filepath.Join("sub", "s.hcl"), []byte("model \"flux\" \"m\" {\n  source = \""+source+
			"\"\n}\nrender \"a\" {\n  prompt = \"x\"\n  model = model.flux.m\n}\n"), Vars{})
		if len(ds) > 0 {
			t.Errorf("%s:\n%s", source, ds.Error())
		} else if got := filepath.ToSlash(s.Renders[0].Model.Path); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

// Formatting makes one layout of all, and what is formatted stays as it is.
func TestFormat(t *testing.T) {
	const messy = "\xef\xbb\xbfentity   \"dog\"   {\nprompt=\"a dog\"   # said so\n      box = xywh( 0.1,0.2 ,0.3,  " +
		"0.4)\n\n\n}\nlocals{\n x={a=1,\n bb=2}\n}\n\n\n"
	const neat = "entity \"dog\" {\n  prompt = \"a dog\" # said so\n  box    = xywh(0.1, 0.2, 0.3, 0.4)\n\n\n}\nlocals {\n  x = { a = " +
		"1,\n  bb = 2 }\n}\n"
	got, ds := Format("x.hcl", []byte(messy))
	if diff := cmp.Diff(neat, string(got)); diff != "" || len(ds) > 0 {
		t.Errorf("-want +got:\n%s\n%s", diff, ds.Error())
	}
	got, ds = Format("x.hcl.json", []byte(`{"entity":{"dog":{"box":"${xywh(0,0,1,1)}"}}}`))
	if want := "{\n  \"entity\": {\n    \"dog\": {\n      \"box\": \"${xywh(0,0,1,1)}\"\n    }\n  }\n}\n"; string(got) != want || len(ds) > 0 {
		t.Errorf("JSON: got\n%s\n%s", got, ds.Error())
	}
	if got, ds := Format("x.hcl", nil); len(got) != 0 || len(ds) != 0 {
		t.Errorf("an empty file becomes %q, %s", got, ds.Error())
	}

	paths, _ := filepath.Glob("testdata/*.hcl")
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		once, ds := Format(path, src)
		if ds.HasErrors() {
			if once != nil {
				t.Errorf("%s does not parse, but is formatted", path)
			}
			continue
		}
		twice, _ := Format(path, once)
		if !bytes.Equal(once, twice) {
			t.Errorf("%s: formatting twice changes it:\n%s", path, cmp.Diff(string(once), string(twice)))
		}
	}
}

// Places are counted in characters, whatever a character takes in bytes or cells.
func TestColumns(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, line, spot string }{
		{"plain", `  prompt = wrong`, "wrong"},
		{"tabs", "\t\tprompt\t=\twrong", "wrong"},
		{"two bytes", `  /* äöü */ prompt = wrong`, "wrong"},
		{"four bytes", `  /* 🍏🍎 */ prompt = wrong # 🍐`, "wrong"},
		{"combining", "  /* e\u0301e\u0301 */ prompt = wrong", "wrong"},
		{"family", "  /* 👨‍👩‍👧 */ prompt = wrong", "wrong"},
		{"carriage return", "  prompt = wrong\r", "wrong"},
		{"name beyond ASCII", `  prompt = entity.größe.x`, "größe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ds := load(t.Context(), filepath.Join(dir, "s.hcl"), []byte("render \"a\" {\n"+c.line+"\n}\n"), Vars{})
			if len(ds) != 1 {
				t.Fatalf("want one error, got\n%s", ds.Error())
			}
			s := ds[0].Source
			if s.Line != 2 || s.Code != strings.TrimSuffix(c.line, "\r") {
				t.Errorf("line %d: %q", s.Line, s.Code)
			}
			if got := string([]rune(s.Code)[s.Start:s.End]); got != c.spot {
				t.Errorf("it points at %q, want %q", got, c.spot)
			}
		})
	}
}

// Shapes keep the numbers that were written, in decimal.
func TestShapes(t *testing.T) {
	for expr, want := range map[string]eligen.Region{
		"xywh(0.6, 0.1, 0.3, 0.35)":           eligen.Box(0.6, 0.1, 0.9, 0.45),
		"xyxy(0.6, 0.1, 0.9, 0.45)":           eligen.Box(0.6, 0.1, 0.9, 0.45),
		"cxcywh(0.5, 0.5, 0.2, 0.1)":          eligen.Box(0.4, 0.45, 0.6, 0.55),
		"px(xywh(1, 2, 3, 4))":                {Kind: "box", Pixels: true, Numbers: []float64{1, 2, 4, 6}},
		"ellipse(0.5, 0.5, 0.2, 0.1)":         {Kind: "ellipse", Numbers: []float64{0.5, 0.5, 0.2, 0.1}},
		"polygon([[0, 0], [1, 0], [0.5, 1]])": {Kind: "polygon", Numbers: []float64{0, 0, 1, 0, 0.5, 1}},
		"px(union(xywh(0, 0, 9, 9), ellipse(9, 9, 2, 2)))": {Kind: "union", Parts: []eligen.Region{
			{Kind: "box", Pixels: true, Numbers: []float64{0, 0, 9, 9}, Parts: []eligen.Region{}},
			{Kind: "ellipse", Pixels: true, Numbers: []float64{9, 9, 2, 2}, Parts: []eligen.Region{}},
		}},
		"xywh(bounds(ellipse(0.5, 0.5, 0.25, 0.125)).x, 0, bounds(ellipse(0.5, 0.5, 0.25, 0.125)).w, 1)": eligen.Box(0.25, 0, 0.75, 1),
		"[for x in range(3) : xywh(x / 4, 0, 1 / 4, 1)][2]":                                              eligen.Box(0.5, 0, 0.75, 1),
	} {
		src := "render \"a\" {\n  prompt = \"x\"\n}\nentity \"e\" {\n  prompt = \"e\"\n  region = " + expr + "\n}\n"
		s, ds := load(t.Context(), "testdata/s.hcl", []byte(src), Vars{})
		if len(ds) > 0 {
			t.Errorf("%s:\n%s", expr, ds.Error())
			continue
		}
		got := s.Renders[0].Entities[0].Region
		if diff := cmp.Diff(describeRegion(want), describeRegion(got)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", expr, diff)
		}
	}
}

func describeRegion(r eligen.Region) string {
	s := fmt.Sprint(r.Kind, r.Pixels, r.Numbers)
	for _, p := range r.Parts {
		s += " (" + describeRegion(p) + ")"
	}
	return s
}

// Entities are values: they can be chosen, collected and looked at, and the
// list that a render gets is in the order of its expression.
func TestEntityValues(t *testing.T) {
	const entities = `
variable "pet" {
  default = "dog"
}
locals {
  left = xywh(0, 0, 0.5, 1)
  all  = { a = entity.apple, d = entity.dog }
}
entity "dog" {
  prompt = "a dog"
  box    = local.left
}
entity "apple" {
  prompt = "an apple beside ${entity.dog.prompt}"
  box    = local.left
}
render "r" {
  prompt   = "x"
  entities = %s
}
`
	for expr, want := range map[string]string{
		`null`:                          "dog apple",
		`[]`:                            "",
		`[entity.apple]`:                "apple",
		`[entity["apple"], entity.dog]`: "apple dog",
		`values(local.all)`:             "apple dog",
		`[var.pet == "dog" ? entity.dog : entity.apple]`:                                   "dog",
		`var.pet == "cat" ? [] : [entity.dog]`:                                             "dog",
		`[for k, e in local.all : e if e.prompt == "a dog"]`:                               "dog",
		`[for e in [entity.dog, entity.apple] : e if e.mask == null && e.center[0] < 0.5]`: "dog apple",
		`reverse([entity.dog, entity.apple])`:                                              "apple dog",
		`tolist([local.all.d])`:                                                            "dog",
		`[local.all["a"]]`:                                                                 "apple",
		`flatten([[entity.dog], [[entity.apple]]])`:                                        "dog apple",
		`[element([entity.dog, entity.apple], 1)]`:                                         "apple",
		`[{ dog = entity.dog }[var.pet]]`:                                                  "dog",
	} {
		s, ds := load(t.Context(), "testdata/s.hcl", fmt.Appendf(nil, entities, expr), Vars{})
		if ds.HasErrors() {
			t.Errorf("%s:\n%s", expr, ds.Error())
			continue
		}
		var got []string
		for _, e := range s.Renders[0].Entities {
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", expr, got, want)
		}
	}
}

// A failing expression is shown with the values that it used.
func TestReasons(t *testing.T) {
	src := `
variable "quality" {
  default = "drft"
}
locals {
  side  = 1000
  steps = { draft = 8, final = 50 }[var.quality]
}
render "r" {
  prompt = "x"
  size   = [local.side, 512]
  sampler {
    steps = local.side - 1001
  }
}
`
	ds := judgedText(t, src)
	var got []string
	for _, d := range ds {
		for _, n := range d.Notes {
			got = append(got, fmt.Sprint(d.Source.Line, " ", n.Text, ", ", n.Source.Line))
		}
	}
	want := []string{`7 var.quality is "drft", 3`, `11 local.side is 1000, 6`, `13 local.side is 1000, 6`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s\n%s", diff, ds.Error())
	}
}
