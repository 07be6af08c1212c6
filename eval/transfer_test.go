package eval

import (
	"context"
	"image"
	"image/color"
	"image/draw"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// What is painted in the source's colours gets full marks, what is painted in
// others half of them.
func TestTransfer(t *testing.T) {
	purple, red := color.NRGBA{160, 30, 200, 255}, color.NRGBA{220, 30, 20, 255}
	box := image.Rect(32, 40, 96, 104)
	panels := func(right color.Color) *image.NRGBA {
		img := image.NewNRGBA(image.Rect(0, 0, 2*side, side))
		draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{200, 220, 240, 255}), image.Point{}, draw.Src)
		draw.Draw(img, image.Rect(16, 16, 112, 112), image.NewUniform(purple), image.Point{}, draw.Src)
		if right != nil {
			draw.Draw(img, box.Add(image.Pt(side, 0)), image.NewUniform(right), image.Point{}, draw.Src)
		}
		return img
	}
	mask := func(r image.Rectangle) *image.Gray {
		m := image.NewGray(image.Rect(0, 0, 2*side, side))
		draw.Draw(m, r, image.White, image.Point{}, draw.Src)
		return m
	}
	pair := annotated.Sample{
		Name: "pair", Prompt: "left an apple, right an apple", Image: panels(purple), Before: panels(nil),
		Entities: []annotated.Entity{{Class: "apple", Prompt: "an apple", Hue: 300, Mask: mask(box.Add(image.Pt(side, 0))),
			Region: eligen.Box((128+32)/256.0, 40/128.0, (128+96)/256.0, 104/128.0)}},
		Reference: &annotated.Entity{Class: "apple", Prompt: "an apple", Hue: 300, Mask: mask(image.Rect(16, 16, 112, 112))},
	}
	var asked []eligen.Render
	var kept []*image.NRGBA
	rows, err := transfer(t.Context(), Options{
		Panels: func(int) (annotated.Sample, error) { return pair, nil }, Transfers: 2, Size: eligen.Size{W: side, H: side},
		File: func(img *image.NRGBA) (eligen.Picture, error) {
			kept = append(kept, img)
			return eligen.Picture{Digest: "x"}, nil
		},
		Turn: func(img *image.NRGBA, _ int) *image.NRGBA { return img },
		Draw: func(_ context.Context, r eligen.Render) (*image.NRGBA, error) {
			asked = append(asked, r)
			if len(r.Adapters) == 2 {
				return half(panels(purple), 1), nil
			}
			return half(panels(red), 1), nil
		},
		Classify: func(img *image.NRGBA, b image.Rectangle) (string, float64, error) {
			if b != box {
				t.Errorf("asked for what is in %v, the object is in %v", b, box)
			}
			return "apple", 1, nil
		},
	}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{1, 0, 1} {
		if c, h := rows[i].Metrics[0], rows[i].Metrics[1]; c.Value != 1 || h.Value != want || h.N != 2 {
			t.Errorf("%s: class %+v, hue %+v, want %v", rows[i].Mode, c, h, want)
		}
	}
	if r := asked[0]; len(asked) != 4 || r.Transfer == nil || r.Entities[0].Region.Numbers[0] != 0.25 ||
		r.Entities[0].Region.Numbers[2] != 0.75 {
		t.Errorf("%d renders, the first %+v", len(asked), r)
	}
	if kept[0].NRGBAAt(64, 64) != purple || kept[1].NRGBAAt(64, 64) == purple {
		t.Error("the source should show the object, and the target not")
	}
	if s := (Report{Transfer: rows}).String(); !strings.Contains(s, "with in-context") {
		t.Errorf("the table:\n%s", s)
	}
}

func TestSameHue(t *testing.T) {
	for _, c := range []struct {
		a, b [2]float64
		want bool
	}{
		{[2]float64{100, 0}, [2]float64{30, 10}, true}, {[2]float64{100, 0}, [2]float64{30, 20}, false},
		{[2]float64{100, 0}, [2]float64{-30, 0}, false}, {[2]float64{100, 0}, [2]float64{0, 0}, false},
	} {
		if got := sameHue(c.a, c.b); got != c.want {
			t.Errorf("%v and %v: %v", c.a, c.b, got)
		}
	}
}
