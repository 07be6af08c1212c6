package eval

import (
	"context"
	"image"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/stage/measure"
)

// An engine that draws boxes exactly, on a ground that flickers unless frames are
// held together.
func TestMotion(t *testing.T) {
	sample := annotated.Sample{Prompt: "a dog and a cat", Entities: []annotated.Entity{
		{Class: "dog", Prompt: "a dog", Region: eligen.Box(0.125, 0.125, 0.4375, 0.4375)},
		{Class: "cat", Prompt: "a cat", Region: eligen.Box(0.5, 0.5, 0.875, 0.875)},
	}}
	flicker := 0
	frame := func(entities []eligen.Entity, by int) *image.NRGBA {
		var boxes []image.Rectangle
		for _, e := range entities {
			boxes = append(boxes, pixels(e.Region, canvas()))
		}
		img := canvas(boxes...)
		for i := range img.Pix {
			if i%4 != 3 {
				img.Pix[i] += uint8(by)
			}
		}
		return img
	}
	size := eligen.Size{W: side, H: side}
	rows, err := motion(t.Context(), Options{
		Samples: func(int) (annotated.Sample, error) { return sample, nil }, Clips: 2, Size: size, Geometry: eligen.DefaultGeometry,
		Placement: measure.Placement,
		Classify:  func(*image.NRGBA, image.Rectangle) (string, float64, error) { return "dog", 1, nil },
		Draw: func(_ context.Context, r eligen.Render) (*image.NRGBA, error) {
			flicker++
			return frame(r.Entities, flicker%2), nil
		},
		DrawClip: func(_ context.Context, r eligen.Render) (out []*image.NRGBA, err error) {
			for n := range r.Clip.Timeline.Frames {
				f, err := r.Clip.Timeline.At(n, r.Entities, size)
				if err != nil {
					return nil, err
				}
				out = append(out, frame(f.Entities, 0))
			}
			return out, nil
		},
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		want := 0.0
		if i == 0 {
			want = 1
		}
		m := row.Metrics
		if row.Mode != Motions[i] || m[0].Value != want || m[0].N != 2*(clipFrames-1) {
			t.Errorf("%s: %+v; every pixel outside changes by %v", row.Mode, m[0], want)
		}
		if m[1].Value < 0.95 || m[2].Value != 0.5 || m[2].N != 2*2*clipFrames {
			t.Errorf("%s: %+v", row.Mode, m[1:])
		}
	}
}
