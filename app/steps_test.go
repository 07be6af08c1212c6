package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// The pictures of steps are fitted to what an autoencoder has decoded: the first run has none where nothing
// is known, the second has one a step, and the last one is about the picture itself.
func TestStepPictures(t *testing.T) {
	f := newFrontEnd(t)
	var steps []app.StepPicture
	run := func(text string) image.Image {
		steps = nil
		p := f.planned(t, f.request("rain.hcl", text, "colour=green"))
		r, err := f.app.Apply(t.Context(), p, app.Run{Previews: func(s app.StepPicture) { steps = append(steps, s) }})
		if err != nil {
			t.Fatal(err)
		}
		data, err := f.app.Read(t.Context(), eligen.Artifact{Digest: p.Stages[r.Files[0].Stage].Digest})
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	run(stillScene)
	if len(steps) != 0 {
		t.Errorf("%d pictures of an autoencoder that has decoded nothing", len(steps))
	}
	img := run(stillScene + "\nentity \"toad\" {\n  prompt = \"a toad\"\n  box = xywh(0, 0, 0.5, 0.5)\n}\n")
	if len(steps) != 4 || steps[3].Step != 4 || steps[3].Of != 4 || steps[3].Stage != "render.rain.denoise" {
		t.Fatalf("steps %+v", steps)
	}
	last := steps[3].Image
	sum := 0.0
	for y := range last.Rect.Dy() {
		for x := range last.Rect.Dx() {
			a, b := last.NRGBAAt(x, y), color.NRGBAModel.Convert(img.At(x*8+4, y*8+4)).(color.NRGBA)
			sum += math.Abs(float64(a.R)-float64(b.R)) + math.Abs(float64(a.G)-float64(b.G)) + math.Abs(float64(a.B)-float64(b.B))
		}
	}
	if far := sum / float64(3*last.Rect.Dx()*last.Rect.Dy()); far > 20 {
		t.Errorf("the last step's picture is %.1f of 255 away from the picture", far)
	}
}

// TestStepPicturesLearn: an autoencoder is known by what it encodes, too, and the next App on the folder knows it.
// What is kept may be damaged: then it is learned again.
func TestStepPicturesLearn(t *testing.T) {
	folder, scenes := t.TempDir(), t.TempDir()
	var start bytes.Buffer
	if err := png.Encode(&start, image.NewNRGBA(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(scenes, "start.png"), start.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := ""
	run := func(colour string) (learned, steps int) {
		f := frontEnd{app.New(app.Options{Folder: folder}), scenes}
		text := strings.Replace(stillScene, "[64, 64]", "[64, 64]\n  init {\n    image    = image(\"start.png\")\n    strength = 0.9\n  }", 1)
		p := f.planned(t, f.request("rain.hcl", text, "colour="+colour))
		_, err := f.app.Apply(t.Context(), p, app.Run{Pictures: true, Events: func(e eligen.Event) {
			if e.Picture != nil {
				steps++
			}
		}})
		if err := errors.Join(err, f.app.Close()); err != nil {
			t.Fatal(err)
		}
		list, err := filepath.Glob(filepath.Join(folder, "previews", "*.json"))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		data, err := os.ReadFile(list[0])
		var m struct{ Pictures int }
		if err = errors.Join(err, json.Unmarshal(data, &m)); err != nil {
			t.Fatal(err)
		}
		kept = list[0]
		return m.Pictures, steps
	}
	if n, _ := run("green"); n != 2 {
		t.Errorf("learned from %d pictures, not from the one that was encoded and the one that was decoded", n)
	}
	if n, steps := run("red"); n != 4 || steps == 0 {
		t.Errorf("the second App has learned from %d pictures and made %d", n, steps)
	}
	if err := os.WriteFile(kept, []byte(`{"pictures": 9, "square": [[1, 2]]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, _ := run("blue"); n != 2 {
		t.Errorf("learned from %d pictures after the map was damaged", n)
	}
}
