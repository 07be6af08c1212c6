package layouts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// answers are the flags by which the files that ask are read as they should be.
var answers = map[string]Answer{
	"coco-results/bbox_results.json":                   {Images: "images.json"},
	"comfyui/api_bfl_flux3_image_bboxes.workflow.json": {Picture: "ship.png"},
	"hidream/layout_bboxes.json":                       {Words: []string{"a bottle", "a vase"}},
	"roboflow/createml/val/_annotations.createml.json": {Size: eligen.Size{W: 10, H: 5}, Convention: "corner"},
	"instancediffusion/demo_palm_point.json":           {Radius: 0.1},
	"comfyui/freefuse_flux.prompt.json":                {Places: map[string][4]float64{"e1": {0, 0, 0.5, 1}, "e2": {0.5, 0, 1, 1}}},
}

// expected is what the files of ELIGEN_INPUTS are to be read as.
type expected struct {
	Format     string
	Verdict    string
	Convention struct{ Order, Unit string }
	Tolerance  float64
	Prompts    int
	Scenes     []map[string]any
}

// TestInputs: files that others made are read as expected/ says, with ELIGEN_INPUTS a folder of them.
func TestInputs(t *testing.T) {
	dir := os.Getenv("ELIGEN_INPUTS")
	if dir == "" {
		t.Skip("ELIGEN_INPUTS names no folder with files that others made, and expected/ of them")
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(dir, "expected"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".json") {
			return err
		}
		rel, _ := filepath.Rel(filepath.Join(dir, "expected"), p)
		name := strings.TrimSuffix(filepath.ToSlash(rel), ".json")
		files++
		t.Run(name, func(t *testing.T) { checkInput(t, dir, name) })
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files: %v", files, err)
	}
}

func checkInput(t *testing.T, dir, name string) {
	var want expected
	data, err := os.ReadFile(filepath.Join(dir, "expected", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	r := readInput(t, dir, name, Answer{})
	if r.Verdict != want.Verdict || r.Format != want.Format || r.Prompts != want.Prompts {
		t.Errorf("%s, %s, %d prompts: want %s, %s, %d (%v)", r.Format, r.Verdict, r.Prompts, want.Format, want.Verdict, want.Prompts, r.Ask)
	}
	if a, ok := answers[name]; ok {
		answered := readInput(t, dir, name, a)
		if answered.Verdict != Import {
			t.Errorf("still %s: %v", answered.Verdict, answered.Ask)
		}
		if len(a.Words) == 0 && a.Radius == 0 && a.Places == nil { // others add what the file hasn't
			r = answered
		}
	} else if want.Verdict == Asking {
		t.Error("the test has no answer for a file that asks")
	}
	if c := want.Convention; !strings.HasPrefix(c.Order, r.Convention.Order) || c.Unit != r.Convention.Unit {
		t.Errorf("read as %q, %q: want %q, %q", r.Convention.Order, r.Convention.Unit, c.Order, c.Unit)
	}
	if len(r.Scenes) != len(want.Scenes) {
		t.Fatalf("%d scenes: want %d", len(r.Scenes), len(want.Scenes))
	}
	var got struct{ Scenes []map[string]any }
	out, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for i, w := range want.Scenes {
		for _, d := range differences(got.Scenes[i], w, want.Tolerance) {
			t.Errorf("scene %d (%v): %s", i+1, w["name"], d)
		}
		list, _ := w["entities"].([]any)
		for k, e := range list {
			if m, _ := e.(map[string]any)["mask"].(string); m != "" {
				checkMask(t, filepath.Join(dir, "expected", m), r.Scenes[i].Entities[k].shape.mask)
			}
		}
	}
	if t.Failed() {
		t.Logf("%s", out[:min(len(out), 3000)])
	}
}

// checkMask compares a mask with a picture, pixel by pixel.
func checkMask(t *testing.T, path string, m *bitmap) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if m == nil || img.Bounds().Dx() != m.w || img.Bounds().Dy() != m.h {
		t.Fatalf("%s is %v, and the mask %v", path, img.Bounds(), m)
	}
	wrong := 0
	for y := range m.h {
		for x := range m.w {
			if v, _, _, _ := img.At(x, y).RGBA(); (v >= 0x8000) != m.on[y*m.w+x] {
				wrong++
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d pixels of %d are others", path, wrong, m.w*m.h)
	}
}

func readInput(t *testing.T, dir, name string, a Answer) *Reading {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(filepath.Join(dir, name))
	r, err := Read(Source{Name: name, Data: data, Open: func(p string) ([]byte, error) {
		return os.ReadFile(filepath.Join(folder, filepath.FromSlash(p)))
	}}, a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// loose are members that an expectation words in its own way, or that are of no scene.
var loose = map[string]bool{"from": true, "note": true, "mask": true, "id": true, "ask": true}

// differences lists what of want isn't so.
func differences(got, want any, tolerance float64) (out []string) {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if loose[k] && (k != "from" || !isNumber(v)) {
				continue
			}
			for _, d := range differences(g[k], v, tolerance) {
				out = append(out, k+": "+d)
			}
		}
		return out
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return []string{fmt.Sprintf("%d (%v), want %d (%v)", len(g), got, len(w), want)}
		}
		for i := range w {
			for _, d := range differences(g[i], w[i], tolerance) {
				out = append(out, fmt.Sprintf("%d: %s", i+1, d))
			}
		}
		return out
	case float64:
		if g, ok := got.(float64); ok && math.Abs(g-w) <= tolerance*1.001 {
			return nil
		}
		if fmt.Sprint(got) == fmt.Sprint(w) { // a node's number
			return nil
		}
	case string:
		if g, ok := got.(string); ok && strings.TrimSpace(g) == strings.TrimSpace(w) {
			return nil
		}
	case bool:
		if got == w || got == nil && !w {
			return nil
		}
	case nil:
		if got == nil {
			return nil
		}
	}
	return []string{fmt.Sprintf("%v, want %v", got, want)}
}

func isNumber(v any) bool { _, ok := v.(float64); return ok }
