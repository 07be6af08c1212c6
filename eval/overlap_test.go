package eval

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// An engine that draws the entities in the order of their z where the policy is
// "over", and in file order else, so that the second lies on top.
func TestOverlap(t *testing.T) {
	colours := map[string]color.NRGBA{"dog": {250, 30, 20, 255}, "cat": {20, 200, 30, 255}, "sun": {30, 40, 250, 255}}
	rows, err := overlap(t.Context(), Options{
		Samples: func(int) (annotated.Sample, error) { return annotated.Sample{Background: "a meadow"}, nil },
		Pairs:   4, Size: eligen.Size{W: side, H: side}, Classes: []string{"dog", "cat", "sun"},
		Prompt: func(c string) string { return "a " + c },
		Draw: func(_ context.Context, r eligen.Render) (*image.NRGBA, error) {
			img := canvas()
			order := r.Entities
			if len(order) == 2 && r.Overlap == "over" {
				order = []eligen.Entity{order[1], order[0]}
			}
			for _, e := range order {
				b := pixels(e.Region, img)
				for y := b.Min.Y; y < b.Max.Y; y++ {
					for x := b.Min.X; x < b.Max.X; x++ {
						img.SetNRGBA(x, y, colours[e.Name])
					}
				}
			}
			return img, nil
		},
		// What is at the corner of the box that the other box does not reach is what it is.
		Classify: func(img *image.NRGBA, box image.Rectangle) (string, float64, error) {
			count := map[string]int{}
			for y := box.Min.Y; y < box.Max.Y; y++ {
				for x := box.Min.X; x < box.Max.X; x++ {
					for name, c := range colours {
						if img.NRGBAAt(x, y) == c {
							count[name]++
						}
					}
				}
			}
			best := ""
			for name, n := range count {
				if best == "" || n > count[best] {
					best = name
				}
			}
			return best, 1, nil
		},
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 1, 0} {
		if m := rows[i].Metrics[0]; rows[i].Mode != Policies[i].Name || m.Name != "common pixels" || m.Value != want || m.N != 4 {
			t.Errorf("%s: %+v, want %v", rows[i].Mode, m, want)
		}
		for _, m := range rows[i].Metrics[1:] {
			if m.Value != 1 {
				t.Errorf("%s: %+v; boxes overlap by less than half, so each is still known", rows[i].Mode, m)
			}
		}
	}
	if s := (Report{Overlap: rows}).String(); !strings.Contains(s, "common pixels") || !strings.Contains(s, "over") {
		t.Errorf("the table:\n%s", s)
	}
}

// What a policy says stays with its renders. What acts through guidance is left out where there is none.
func TestPolicies(t *testing.T) {
	pair := Pair(0, []string{"a", "b"}, strings.ToUpper, "x", "blend", eligen.Size{W: side, H: side})
	var got []string
	for _, p := range (Options{Guided: true}).policies() {
		r := p.of(pair)
		s := fmt.Sprint(p.Name, ": ", r.Overlap, " ", r.Entities[0].AutoNegative && r.Entities[1].AutoNegative)
		if o := r.Entities[0].Opacity; o != nil {
			s += fmt.Sprint(" ", *o)
		}
		got = append(got, s)
	}
	want := []string{"blend: blend false", "over: over false", "layered, opacity 0.5: layered false 0.5",
		"blend, nowhere else: blend true", "over, nowhere else: over true"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if e := pair.Entities[0]; e.AutoNegative || e.Opacity != nil || pair.Overlap != "blend" {
		t.Errorf("the pair has become %+v", pair)
	}
	if n := len(Options{}.policies()); n != 3 {
		t.Errorf("%d policies without guidance, want 3", n)
	}
}

// Boxes of a pair overlap, and stay on the canvas.
func TestPair(t *testing.T) {
	for i := range 60 {
		r := Pair(i, []string{"a", "b", "c", "d"}, func(s string) string { return s }, "x", "over", eligen.Size{W: side, H: side})
		if r.Entities[0].Name == r.Entities[1].Name || r.Entities[0].Z <= r.Entities[1].Z {
			t.Fatalf("pair %d: %+v", i, r.Entities)
		}
		var boxes [2]image.Rectangle
		for k, e := range r.Entities {
			boxes[k] = pixels(e.Region, canvas())
			if !boxes[k].In(image.Rect(0, 0, side, side)) {
				t.Errorf("pair %d: %v leaves the canvas", i, boxes[k])
			}
		}
		common := boxes[0].Intersect(boxes[1])
		if share := float64(common.Dx()*common.Dy()) / float64(boxes[0].Dx()*boxes[0].Dy()); share < 0.15 || share > 0.45 {
			t.Errorf("pair %d overlaps by %.2f", i, share)
		}
	}
}
