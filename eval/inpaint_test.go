package eval

import (
	"context"
	"image"
	"image/color"
	"image/draw"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// What is painted is asked for in the region alone, and a pixel that changes beside
// it is counted.
func TestInpaint(t *testing.T) {
	size := eligen.Size{W: side, H: side}
	pair := annotated.Sample{
		Name: "pair", Prompt: "left an apple, right an apple on grass", Before: image.NewNRGBA(image.Rect(0, 0, 2*side, side)),
		Entities: []annotated.Entity{{Class: "apple", Prompt: "an apple", Region: eligen.Box(0.75, 0, 1, 0.5)}},
	}
	box := image.Rect(side/2, 0, side, side/2)
	rows, err := inpaint(t.Context(), Options{
		Panels: func(int) (annotated.Sample, error) { return pair, nil }, Inpaints: 2, Size: size,
		File: func(*image.NRGBA) (eligen.Picture, error) { return eligen.Picture{Digest: "x", Size: size}, nil },
		Draw: func(_ context.Context, r eligen.Render) (*image.NRGBA, error) {
			if r.Inpaint == nil || r.Transfer != nil || r.Inpaint.Image.Digest != "x" || r.Prompt != "an apple on grass" || len(r.Adapters) != 1 {
				t.Errorf("asked for %+v", r)
			}
			img := image.NewNRGBA(image.Rect(0, 0, side, side))
			draw.Draw(img, box, image.White, image.Point{}, draw.Src)
			if r.Inpaint.Mode == "reference" { // a row of pixels below the region
				draw.Draw(img, image.Rect(side/2, side/2, side, side/2+1), image.NewUniform(color.NRGBA{9, 9, 9, 255}), image.Point{}, draw.Src)
			}
			return img, nil
		},
		Classify: func(_ *image.NRGBA, b image.Rectangle) (string, float64, error) {
			if b != box {
				t.Errorf("asked for what is in %v, the object is in %v", b, box)
			}
			return "apple", 1, nil
		},
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"exact": 0, "reference": float64(side/2) / float64(side*side*3/4)}
	for _, r := range rows {
		if r.Metrics[0].Value != 1 || r.Metrics[1].Value != want[r.Mode] {
			t.Errorf("%s: identity %v, changed outside %v, want 1 and %v", r.Mode, r.Metrics[0].Value, r.Metrics[1].Value, want[r.Mode])
		}
	}
}
