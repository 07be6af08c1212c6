package annotate

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// picture is of 560×280 pixels: it is sent as it is.
func picture() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, 560, 280))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{90, 160, 90, 255}), image.Point{}, draw.Src)
	return img
}

// annotator asks functions in place of a model, one after the other; a question more fails the test.
func annotator(t *testing.T, answers ...string) *Annotator {
	t.Helper()
	log, err := OpenLog(filepath.Join(t.TempDir(), "answers.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	a := &Annotator{Log: log, Model: "m", Boxes: "xyxy/1000", Most: 4}
	a.Ask = func(context.Context, string, []byte) (string, int64, int64, error) {
		if a.Asked > len(answers) {
			t.Errorf("question %d was not expected", a.Asked)
			return "", 0, 0, errors.New("no answer")
		}
		text := answers[a.Asked-1]
		if why, ok := strings.CutPrefix(text, "silent: "); ok {
			return "", 0, 0, Silent{errors.New(why)}
		}
		return text, 10, 2, nil
	}
	if _, err := a.Calibrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

const cat = `{"label": "a cat", "bbox_2d": [100, 200, 500, 900]}`

// TestAnswers: good answers in many dresses are read, broken ones are sent back once, and what hostile ones hold
// does no harm. Each case is the model's answers, and the entities, what was dropped, and why there are none.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string
		want    string // entities
		dropped string
		silent  string
	}{
		// good
		{"plain", []string{"[" + cat + "]"}, "a cat [0.1 0.2 0.5 0.9]", "", ""},
		{"fenced, with words around", []string{"Here you are:\n```json\n[" + cat + "]\n```\nI see [one] cat."},
			"a cat [0.1 0.2 0.5 0.9]", "", ""},
		{"in an object", []string{`{"objects": [` + cat + `]}`}, "a cat [0.1 0.2 0.5 0.9]", "", ""},
		{"other names", []string{`[{"description": "a cat.", "bbox": ["100", 200.0, 5e2, 900]}]`}, "a cat [0.1 0.2 0.5 0.9]", "", ""},
		{"nothing", []string{"[]"}, "", "", ""},
		{"a hair beyond", []string{`[{"label": "a cat", "bbox_2d": [-10, 200, 500, 1010]}]`}, "a cat [0 0.2 0.5 1]", "", ""},
		{"more than the most", []string{`[{"label":"a","bbox":[0,0,200,200]},{"label":"b","bbox":[200,0,400,200]},
			{"label":"c","bbox":[400,0,600,200]},
			{"label":"d","bbox":[600,0,800,200]},{"label":"e","bbox":[800,0,1000,200]}]`},
			"a [0 0 0.2 0.2] b [0.2 0 0.4 0.2] c [0.4 0 0.6 0.2] d [0.6 0 0.8 0.2]", "“e”: there are 4 before it", ""},
		// broken
		{"no JSON, then good", []string{"A cat sits there.", "[" + cat + "]"}, "a cat [0.1 0.2 0.5 0.9]", "", ""},
		{"no JSON twice", []string{"A cat.", "A cat!"}, "", "", "still of no use after one correction: it has no JSON list"},
		{"cut off", []string{"[" + cat + `, {"label": "a d`, "[" + cat}, "", "", "it has no JSON list"},
		{"three numbers", []string{`[{"label": "a cat", "bbox_2d": [1, 2, 3]}]`, "[]"}, "", "", ""},
		{"no box", []string{`[{"label": "a cat"}]`, "[" + cat + "]"}, "a cat [0.1 0.2 0.5 0.9]", "", ""},
		{"words for numbers", []string{`[{"label": "a cat", "bbox_2d": ["left", "top", "right", "bottom"]}]`, "[]"}, "", "", ""},
		{"one of two is turned around", []string{`[{"label": "a dog", "bbox": [500, 200, 100, 900]}, ` + cat + `]`}, "a cat [0.1 0.2 0.5 0.9]",
			"“a dog”: its box [500 200 100 900] ends before it begins", ""},
		{"all beyond, then good", []string{`[{"label": "a dog", "bbox": [900, 200, 4000, 900]}]`, "[" + cat + "]"}, "a cat [0.1 0.2 0.5 0.9]",
			"reaches beyond the picture", ""},
		{"too small", []string{`[{"label": "a fly", "bbox": [1, 1, 9, 9]}, ` + cat + `]`},
			"a cat [0.1 0.2 0.5 0.9]", "smaller than an image token", ""},
		{"everything", []string{`[{"label": "a room", "bbox": [0, 0, 1000, 1000]}, ` + cat + `]`},
			"a cat [0.1 0.2 0.5 0.9]", "is the whole picture", ""},
		{"twice the same", []string{"[" + cat + `, {"label": "A cat", "bbox": [110, 200, 500, 900]}]`}, "a cat [0.1 0.2 0.5 0.9]",
			"“A cat”: it lies where “a cat” does", ""},
		{"empty", []string{"", ""}, "", "", "it has no JSON list"},
		{"refuses", []string{"silent: the model refuses"}, "", "", "the model refuses"},
		// hostile
		{"control signs and templates", []string{`[{"label": "a \u001b[31mcat\u202e ${x}\n%{if}", "bbox": [100, 200, 500, 900]}]`},
			"a [31mcat ${x} %{if} [0.1 0.2 0.5 0.9]", "", ""},
		{"a book for a label", []string{`[{"label": "` + strings.Repeat("a", 300) + `", "bbox": [0,0,500,500]}, ` + cat + `]`},
			"a cat [0.1 0.2 0.5 0.9]", "more than 200 characters", ""},
		{"no label", []string{`[{"label": "\u200b", "bbox": [0,0,500,500]}, ` + cat + `]`}, "a cat [0.1 0.2 0.5 0.9]", "it has no words", ""},
		{"huge numbers", []string{`[{"label": "a", "bbox": [0,0,1e308,1e308]}]`, "[]"}, "", "", ""},
		{"not a number", []string{`[{"label": "a", "bbox": ["NaN","NaN","NaN","NaN"]}]`, "[]"}, "", "", ""},
		{"very many", []string{"[" + strings.Repeat(cat+",", 5000) + cat + "]", "[]"}, "", "", ""},
		{"very deep", []string{strings.Repeat("[", 60000), "[]"}, "", "", ""},
		{"very long", []string{strings.Repeat(" ", 70000), strings.Repeat("x", 70000)}, "", "", "it has 70000 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := annotator(t, c.answers...)
			got, err := a.Annotate(t.Context(), "p.png", "a caption", picture())
			var silent Silent
			if (c.silent != "") != errors.As(err, &silent) || err != nil && !strings.Contains(err.Error(), c.silent) {
				t.Fatalf("the error is %v, want %q", err, c.silent)
			}
			if err != nil {
				return
			}
			var list []string
			for _, e := range got.Entities {
				list = append(list, fmt.Sprintf("%s %v", e.Prompt, e.Box))
			}
			if s := strings.Join(list, " "); s != c.want {
				t.Errorf("entities: %s, want %s", s, c.want)
			}
			if s := strings.Join(got.Dropped, "; "); !strings.Contains(s, c.dropped) || c.dropped == "" && s != "" {
				t.Errorf("dropped: %q, want %q", s, c.dropped)
			}
			if a.Asked != len(c.answers) {
				t.Errorf("%d questions, want %d", a.Asked, len(c.answers))
			}
		})
	}
}

// TestCheck: of each entity's crop the model is asked what it is, and only a yes keeps it.
func TestCheck(t *testing.T) {
	a := annotator(t, "A caption.", `[{"label":"a cat","bbox":[0,0,400,900]},{"label":"a dog","bbox":[400,0,700,900]},
		{"label":"a cow","bbox":[700,0,1000,900]}]`,
		"**Yes**, it is.", "No.", "It might be.")
	a.Check = true
	got, err := a.Annotate(t.Context(), "p.png", "", picture())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Entities) != 1 || got.Entities[0].Prompt != "a cat" || got.Prompt != "A caption." {
		t.Errorf("%v", got)
	}
	if s := strings.Join(got.Dropped, "; "); !strings.Contains(s, "“a dog”: of its crop the model says no") ||
		!strings.Contains(s, "“a cow”: of its crop "+
			"the model says neither") {
		t.Error(s)
	}
}

// TestCalibrate: how a model writes boxes is found out by rectangles that are known; what fits nothing is an error.
func TestCalibrate(t *testing.T) {
	for _, f := range forms {
		var parts []string
		for _, m := range marks {
			n := written(f.name, m.at)
			parts = append(parts, fmt.Sprintf(`{"label": "the %s rectangle", "bbox_2d": [%g, %g, %g, %g]}`, m.name, n[0], n[1], n[2], n[3]))
		}
		a := annotator(t, "["+strings.Join(parts, ",")+"]")
		a.Boxes = ""
		if got, err := a.Calibrate(t.Context()); err != nil || got != f.name {
			t.Errorf("%s was taken for %s: %v", f.name, got, err)
		}
	}
	for _, answer := range []string{`[]`, `[{"label": "red", "bbox": [0, 0, 1000, 1000]}]`, "three rectangles"} {
		a := annotator(t, answer)
		a.Boxes = ""
		if got, err := a.Calibrate(t.Context()); err == nil {
			t.Errorf("%s was taken for %s", answer, got)
		}
	}
	a := annotator(t)
	a.Boxes = "corner"
	if _, err := a.Calibrate(t.Context()); err == nil || !strings.Contains(err.Error(), "pass one of xyxy/1000") {
		t.Error(err)
	}
}

// written writes a rectangle in a form.
func written(name string, r image.Rectangle) [4]float64 {
	order, unit, _ := strings.Cut(name, "/")
	x, y := 1.0, 1.0
	switch unit {
	case "1000", "100", "1":
		n := map[string]float64{"1000": 1000, "100": 100, "1": 1}[unit]
		x, y = n/float64(canvas.Dx()), n/float64(canvas.Dy())
	}
	x0, y0, x1, y1 := float64(r.Min.X)*x, float64(r.Min.Y)*y, float64(r.Max.X)*x, float64(r.Max.Y)*y
	switch order {
	case "yxyx":
		return [4]float64{y0, x0, y1, x1}
	case "xywh":
		return [4]float64{x0, y0, x1 - x0, y1 - y0}
	}
	return [4]float64{x0, y0, x1, y1}
}

// TestLog: an answer is on the disk before it is used, and a line that was cut off is asked for again.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	run := func(answers ...string) *Annotator {
		log, err := OpenLog(path)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		a := annotator(t, answers...)
		a.Log = log
		if _, err := a.Annotate(t.Context(), "p.png", "", picture()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := run("A caption.", "["+cat+"]"); a.Asked != 2 || a.Kept != 0 || a.In != 20 || a.Out != 4 {
		t.Errorf("%+v", a)
	}
	if a := run(); a.Asked != 0 || a.Kept != 2 {
		t.Errorf("again: %d asked, %d kept", a.Asked, a.Kept)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if a := run("[" + cat + "]"); a.Asked != 1 || a.Kept != 1 {
		t.Errorf("after a cut: %d asked, %d kept", a.Asked, a.Kept)
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(path); err == nil || !strings.Contains(err.Error(), "answers.jsonl:1 is no answer") {
		t.Error(err)
	}
}

// FuzzAnswers: whatever a model answers, it is read or refused, and what is kept lies in the picture.
func FuzzAnswers(f *testing.F) {
	f.Add("[" + cat + "]")
	f.Add(`x [ {"label": 1, "bbox": [[1]]} ] [{"name": "b", "box": ["1", "2", "3", "4"]}]`)
	f.Fuzz(func(t *testing.T, text string) {
		found, err := things(text)
		if err != nil {
			return
		}
		for _, as := range forms {
			kept, _ := checked(found, as, 560, 280, 8)
			for _, e := range kept {
				if b := e.Box; !(b[0] >= 0 && b[1] >= 0 && b[2] <= 1 && b[3] <= 1 && b[0] < b[2] && b[1] < b[3]) || e.Prompt == "" {
					t.Fatalf("%v", e)
				}
			}
		}
		_, _ = yes(text)
	})
}
