package eval

import (
	"context"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/stage/measure"
)

const side = 128

// canvas returns a soft gradient with filled boxes on it.
func canvas(boxes ...image.Rectangle) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.SetNRGBA(x, y, color.NRGBA{uint8(60 + y/2), uint8(120 + x/4), uint8(200 - y/2), 255})
		}
	}
	for i, b := range boxes {
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				img.SetNRGBA(x, y, color.NRGBA{uint8(250 - 90*i), uint8(30 + 60*i), 20, 255})
			}
		}
	}
	return img
}

func TestMetric(t *testing.T) {
	m := metric("x", "", []float64{1, 0, 1, 1})
	if m.Value != 0.75 || m.N != 4 || !(m.Low > 0.2 && m.Low < 0.3) || m.High != 1 {
		t.Errorf("%+v", m)
	}
	if m := metric("x", "", nil); m.N != 0 || m.Value != 0 {
		t.Errorf("of nothing: %+v", m)
	}
}

func TestSwappedNeverKeepsTheClass(t *testing.T) {
	classes := []string{"dog", "cat", "apple"}
	s := annotated.Sample{Entities: []annotated.Entity{{Class: "cat"}, {Class: "dog"}}}
	seen := map[string]bool{}
	for i := range 12 {
		o := Swapped(s, 0, classes, func(c string) string { return "a " + c }, i)
		if e := o.Entities[0]; e.Class == "cat" || e.Prompt != "a "+e.Class {
			t.Errorf("swap %d: %+v", i, e)
		}
		seen[o.Entities[0].Class] = true
	}
	if len(seen) != 2 || s.Entities[0].Class != "cat" {
		t.Errorf("swapped for %v; the sample itself has now %q", seen, s.Entities[0].Class)
	}
}

// An engine that draws exactly what it is asked for, if it is asked for
// entities, and nothing else otherwise, gets full marks in two rows of four.
func TestRun(t *testing.T) {
	a, b := image.Rect(16, 16, 56, 56), image.Rect(64, 64, 112, 112)
	sample := annotated.Sample{Prompt: "a dog and a cat", Background: "a sky", Image: canvas(a, b), Entities: []annotated.Entity{
		{Class: "dog", Prompt: "a dog", Region: eligen.Box(0.125, 0.125, 0.4375, 0.4375)},
		{Class: "cat", Prompt: "a cat", Region: eligen.Box(0.5, 0.5, 0.875, 0.875)},
	}}
	var asked []eligen.Render
	rep, err := Run(t.Context(), Options{
		Placement: measure.Placement, Locality: measure.Locality,
		Samples: func(int) (annotated.Sample, error) { return sample, nil }, N: 2, Swaps: 1, Size: eligen.Size{W: side, H: side},
		Classes: []string{"dog", "cat"}, Prompt: func(c string) string { return "a " + c },
		Draw: func(_ context.Context, r eligen.Render) (*image.NRGBA, error) {
			asked = append(asked, r)
			if len(r.Entities) == 0 {
				return canvas(), nil
			}
			if r.Entities[0].Prompt != "a dog" {
				return canvas(image.Rect(16, 16, 40, 40), b), nil
			}
			return canvas(a, b), nil
		},
		Classify: func(img *image.NRGBA, box image.Rectangle) (string, float64, error) {
			switch img.NRGBAAt((box.Min.X+box.Max.X)/2, (box.Min.Y+box.Max.Y)/2) {
			case color.NRGBA{250, 30, 20, 255}:
				return "dog", 1, nil
			case color.NRGBA{160, 90, 20, 255}:
				return "cat", 1, nil
			}
			return "nothing", 1, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 2*4+1 {
		t.Errorf("%d renders, want four modes of two layouts and a swap", len(asked))
	}
	for _, row := range rep.Rows {
		for _, m := range row.Metrics {
			want := 1.0
			if row.Mode == "neither" || row.Mode == "LoRA only" {
				want = 0
				if m.Name == "binding" {
					want = 1 // nothing is not the other
				}
			}
			if math.Abs(m.Value-want) > 0.05 {
				t.Errorf("%s, %s: %.3f, want %v", row.Mode, m.Name, m.Value, want)
			}
		}
	}
	both := rep.Rows[len(rep.Rows)-1].Metrics
	if i := slices.IndexFunc(both, func(m Metric) bool { return m.Name == "locality" }); i < 0 || both[i].Value != 1 {
		t.Errorf("locality of both: %+v", both)
	}
	if s := rep.String(); !strings.Contains(s, "composed pictures") || !strings.Contains(s, "LoRA only") {
		t.Errorf("the table:\n%s", s)
	}
}
