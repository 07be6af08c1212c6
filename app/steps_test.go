package app_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
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
