package eligen_test

import (
	"testing"

	"github.com/eligen/eligen"
)

func TestRegionText(t *testing.T) {
	box := eligen.Box(0.2, 0.25, 0.7, 0.75)
	pixels := eligen.Region{Kind: "box", Pixels: true, Numbers: []float64{8, 16, 40, 48.5}}
	mask := eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(4, 2, func(x, _ int) bool { return x > 1 })}
	rounded := eligen.Box(209715.0/(1<<20), 0, 734003.0/(1<<20), 1) // 0.2 and 0.7, as the planner has them
	for want, r := range map[string]eligen.Region{
		"nowhere":                                  {},
		"xywh(0.2, 0.25, 0.5, 0.5)":                box,
		"xywh(0.2, 0, 0.5, 1)":                     rounded,
		"px(xywh(8, 16, 32, 32.5))":                pixels,
		"ellipse(0.5, 0.5, 0.25, 0.125)":           {Kind: "ellipse", Numbers: []float64{0.5, 0.5, 0.25, 0.125}},
		"polygon([[0, 1], [0.333333, 0], [1, 1]])": {Kind: "polygon", Numbers: []float64{0, 1, 1.0 / 3, 0, 1, 1}},
		`svg("M 0 0 L 1 0 L 1 1 Z")`: {Kind: "path",
			Parts: []eligen.Region{{Kind: "polygon", Numbers: []float64{0, 0, 1, 0, 1, 1}}}},
		"union(xywh(0.2, 0.25, 0.5, 0.5), px(xywh(8, 16, 32, 32.5)))": {Kind: "union", Parts: []eligen.Region{box, pixels}},
		"px(rotate(xywh(8, 16, 32, 32.5), 30))": {Kind: "rotate", Pixels: true, Numbers: []float64{30, 24, 32.25},
			Parts: []eligen.Region{pixels}},
		`mirror(grow(xywh(0.2, 0.25, 0.5, 0.5), -3), "y")`: {Kind: "mirror", Numbers: []float64{1, 0.5},
			Parts: []eligen.Region{{Kind: "grow", Numbers: []float64{-3}, Parts: []eligen.Region{box}}}},
		"invert(image(4×2, " + mask.Bitmap.Digest.Short() + "))": {Kind: "invert", Parts: []eligen.Region{mask}},
	} {
		if got := r.String(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if got := mask.Text(func(eligen.Region) string { return `image("m.png")` }); got != `image("m.png")` {
		t.Error(got)
	}
}
