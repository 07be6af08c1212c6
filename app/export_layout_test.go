package app_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/layouts"
)

// TestExportComesBack: what a form holds of a scene is the same after export and import, for every
// scene of the repository; what it doesn't hold is said.
func TestExportComesBack(t *testing.T) {
	a := app.New(app.Options{})
	paths, err := filepath.Glob("../scenes/*.hcl")
	more, also := filepath.Glob("../scenes/[fq]*/*.hcl") // of modules, which others call, no render is planned by itself
	if paths = append(paths, more...); err != nil || also != nil || len(paths) < 30 {
		t.Fatal(err, also, len(paths))
	}
	whole := map[string]int{}
	for _, path := range paths {
		in := app.Input{Path: path}
		list, ds, err := a.Layouts(t.Context(), app.LayoutRequest{Input: in})
		if err != nil || ds.HasErrors() {
			t.Fatal(path, err, ds.Err())
		}
		if len(list) == 0 {
			continue // a recipe
		}
		for _, to := range []string{"ideogram4", "flux3", "comfyui", "comfyui-couple", "coco"} {
			out, _, err := a.ExportLayout(t.Context(), app.LayoutExport{Input: in, To: to, Base: "x"})
			if err != nil {
				t.Fatalf("%s to %s: %v", path, to, err)
			}
			scenes := back(t, a, out)
			if len(scenes) != len(list) {
				t.Fatalf("%s to %s: %d scenes come back of %d", path, to, len(scenes), len(list))
			}
			for i, l := range list {
				said := strings.Join(out[min(i, len(out)-1)].Said, "\n")
				if d := differences(l, scenes[i], to, said); d != "" {
					t.Errorf("%s, %s to %s: %s", path, l.Render, to, d)
				}
				whole[to] += len(l.Entities)
				for _, en := range l.Entities {
					if en.Region.Kind != "box" {
						whole[to+" shapes"]++
					}
				}
			}
		}
	}
	for to, n := range whole {
		if n < 20 && !strings.HasSuffix(to, "shapes") || n < 5 {
			t.Errorf("%s: only %d entities were compared", to, n)
		}
	}
}

// back imports what was exported.
func back(t *testing.T, a *app.App, out []app.WrittenLayout) (scenes []layouts.Scene) {
	t.Helper()
	dir := t.TempDir()
	for i, e := range out {
		name := filepath.Join(dir, fmt.Sprintf("x%d%s", i, e.Ending))
		made := app.ImportedLayout{Text: e.Text, Files: e.Files}
		if err := made.Save(name, true); err != nil {
			t.Fatal(err)
		}
		r, err := a.ReadLayout(app.LayoutFile{Path: name})
		if err != nil {
			data, _ := os.ReadFile(name)
			t.Fatalf("%v\n%s", err, data)
		}
		if r.Verdict != layouts.Import {
			t.Fatalf("%s leaves something open: %v", r.Format, r.Ask)
		}
		scenes = append(scenes, r.Scenes...)
	}
	return scenes
}

// differences says what of a layout came back otherwise, and was not said.
func differences(l app.Layout, s layouts.Scene, to, said string) string {
	if to != "coco" && (s.Prompt == nil || strings.Join(strings.Fields(*s.Prompt), " ") != strings.Join(strings.Fields(l.Prompt), " ")) {
		return fmt.Sprintf("the prompt is %v", s.Prompt)
	}
	if strings.HasPrefix(to, "co") && (s.Canvas == nil || s.Canvas.W != l.Size.W || s.Canvas.H != l.Size.H) {
		return fmt.Sprintf("the size is %v", s.Canvas)
	}
	if len(s.Entities) != len(l.Entities) {
		return fmt.Sprintf("%d entities of %d", len(s.Entities), len(l.Entities))
	}
	tolerance := map[string]float64{"ideogram4": 0.0006, "flux3": 0.0006, "comfyui-couple": 0.51 / float64(min(l.Size.W,
		l.Size.H))}[to] + 0.0001
	for i, want := range l.Entities {
		got := s.Entities[i]
		if got.Prompt == nil || *got.Prompt != want.Prompt {
			return fmt.Sprintf("entity %d has the prompt %v", i+1, got.Prompt)
		}
		if want.Region.Kind != "box" {
			if to != "ideogram4" && to != "flux3" {
				if d := shapeDiffers(got, want, l.Size); d != "" {
					return fmt.Sprintf("%s: %s", want.Address, d)
				}
			} else if !strings.Contains(said, want.Address) {
				return want.Address + " is no box, and nothing was said of it"
			}
			continue
		}
		for k, n := range want.Region.Numbers {
			if want.Region.Pixels {
				n /= float64([]int{l.Size.W, l.Size.H}[k%2])
			}
			if got.Empty || math.Abs(min(max(n, 0), 1)-got.XYXY[k]) > tolerance {
				return fmt.Sprintf("%s is %v, of %v", want.Address, got.XYXY, want.Region.Numbers)
			}
		}
	}
	return ""
}

// shapeDiffers compares a region that is no box, as pixels of the render, with the polygon or mask that came back.
func shapeDiffers(got layouts.Entity, want eligen.Entity, size eligen.Size) string {
	pixels := want.Region.Sample(size, size)
	n, x0, y0, x1, y1 := 0, size.W, size.H, 0, 0
	for i, on := range pixels {
		if x, y := i%size.W, i/size.W; on {
			n, x0, y0, x1, y1 = n+1, min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
		}
	}
	switch got.Kind {
	case "mask":
		around := []float64{float64(x0) / float64(size.W), float64(y0) / float64(size.H), float64(x1) / float64(size.W),
			float64(y1) / float64(size.H)}
		for k := range around {
			if math.Abs(around[k]-got.XYXY[k]) > 0.0001 {
				return fmt.Sprintf("the mask lies at %v, of %v", got.XYXY, around)
			}
		}
		if share := float64(n) / float64(len(pixels)); math.Abs(share-got.Area) > 0.0001 {
			return fmt.Sprintf("the mask has %g of the canvas, of %g", got.Area, share)
		}
	case "polygon":
		for k, at := range got.Points {
			if math.Abs(at[0]-want.Region.Numbers[2*k]) > 0.0001 || math.Abs(at[1]-want.Region.Numbers[2*k+1]) > 0.0001 {
				return fmt.Sprintf("the polygon is %v, of %v", got.Points, want.Region.Numbers)
			}
		}
	default:
		return "it came back as a " + got.Kind
	}
	return ""
}
