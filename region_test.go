package eligen_test

import (
	"slices"
	"testing"

	"github.com/eligen/eligen"
)

// The reference looks at one pixel of each 8×8 block, the one at (4, 4), and a
// token is on when any of its four blocks is.
func TestTokensSampleOnePixelInEight(t *testing.T) {
	canvas := eligen.Size{W: 64, H: 48} // 4×3 tokens
	pixel := func(x, y float64) eligen.Region {
		r := eligen.Box(x, y, x+1, y+1)
		r.Pixels = true
		return r
	}
	for _, c := range []struct {
		name string
		r    eligen.Region
		want []int32
	}{
		{"the pixel that is looked at", pixel(4, 4), []int32{0}},
		{"its neighbour", pixel(5, 4), nil},
		{"the corner of the canvas", pixel(0, 0), nil},
		{"the last block of the last token", pixel(60, 44), []int32{11}},
		{"everything", eligen.Box(0, 0, 1, 1), []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"the left half", eligen.Box(0, 0, 0.5, 1), []int32{0, 1, 4, 5, 8, 9}},
		{"nothing", eligen.Box(0.5, 0.5, 0.5, 0.5), nil},
		{"a line thinner than a block, between samples", eligen.Region{Kind: "box", Pixels: true, Numbers: []float64{0, 5, 64, 12}}, nil},
	} {
		if got := c.r.Tokens(canvas, eligen.DefaultGeometry); !slices.Equal(got, c.want) {
			t.Errorf("%s: tokens %v, want %v", c.name, got, c.want)
		}
	}
}

func of(kind string, numbers []float64, parts ...eligen.Region) eligen.Region {
	return eligen.Region{Kind: kind, Numbers: numbers, Parts: parts}
}

func TestShapes(t *testing.T) {
	canvas := eligen.Size{W: 8, H: 4}
	square := eligen.Box(0, 0, 0.5, 1) // 4×4 pixels on the left
	for _, c := range []struct {
		name string
		r    eligen.Region
		want string
	}{
		{"box, half-open", eligen.Box(0.25, 0.25, 0.5, 0.75), "........ ..##.... ..##.... ........"},
		{"ellipse", eligen.Region{Kind: "ellipse", Numbers: []float64{0.5, 0.5, 0.25, 0.5}}, "...##... ..####.. ..####.. ...##..."},
		{"triangle", eligen.Region{Kind: "polygon", Numbers: []float64{0, 0, 1, 0, 0, 1}}, "#######. #####... ###..... #......."},
		{"pixels", eligen.Region{Kind: "box", Pixels: true, Numbers: []float64{1, 1, 3, 2}}, "........ .##..... ........ ........"},
		{"union", eligen.Region{Kind: "union", Parts: []eligen.Region{square, eligen.Box(0.75, 0, 1, 0.5)}},
			"####..## ####..## ####.... ####...."},
		{"subtract", eligen.Region{Kind: "subtract", Parts: []eligen.Region{square, eligen.Box(0, 0, 0.25, 0.5), eligen.Box(0, 0.75, 1, 1)}},
			"..##.... ..##.... ####.... ........"},
		{"intersect", eligen.Region{Kind: "intersect", Parts: []eligen.Region{square, eligen.Box(0.375, 0.5, 1, 1)}},
			"........ ........ ...#.... ...#...."},
		{"invert", of("invert", nil, square), "....#### ....#### ....#### ....####"},
		{"translate", of("translate", []float64{0.25, 0.5}, square), "........ ........ ..####.. ..####.."},
		{"scale around its centre", of("scale", []float64{0.5, 0.5, 0.25, 0.5}, square), "........ .##..... .##..... ........"},
		{"mirror left and right", of("mirror", []float64{0, 0.5}, square), "....#### ....#### ....#### ....####"},
		{"mirror top and bottom", of("mirror", []float64{1, 0.5}, eligen.Box(0, 0, 1, 0.25)), "........ ........ ........ ########"},
		{"rotate: pixels are square", of("rotate", []float64{90, 0.5, 0.5}, eligen.Box(0.25, 0.25, 0.75, 0.75)),
			"...##... ...##... ...##... ...##..."},
		{"rotate clockwise", of("rotate", []float64{90, 0.5, 0.5}, eligen.Box(0.25, 0, 0.5, 0.5)), "....##.. ....##.. ........ ........"},
		{"grow", of("grow", []float64{1}, eligen.Box(0.25, 0.25, 0.375, 0.5)), "..#..... .###.... ..#..... ........"},
		{"grow further", of("grow", []float64{1.5}, eligen.Box(0.25, 0.25, 0.375, 0.5)), ".###.... .###.... .###.... ........"},
		{"shrink", of("grow", []float64{-1}, eligen.Box(0.125, 0, 0.75, 1)), "..###... ..###... ..###... ..###..."},
		{"path with a hole", eligen.Region{Kind: "path", Parts: []eligen.Region{
			{Kind: "polygon", Numbers: []float64{0, 0, 1, 0, 1, 1, 0, 1}},
			{Kind: "polygon", Numbers: []float64{0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 0.75, 0.25}}, // the other way round
		}}, "######## ##....## ##....## ########"},
		{"path around the same twice", eligen.Region{Kind: "path", Parts: []eligen.Region{
			{Kind: "polygon", Numbers: []float64{0, 0, 1, 0, 1, 1, 0, 1}},
			{Kind: "polygon", Numbers: []float64{0.25, 0.25, 0.75, 0.25, 0.75, 0.75, 0.25, 0.75}},
		}}, "######## ######## ######## ########"},
		{"a bitmap, mirrored", of("mirror", []float64{0, 0.5}, eligen.Region{Kind: "image",
			Bitmap: eligen.NewBitmap(2, 2, func(x, y int) bool { return x == y })}), "....#### ....#### ####.... ####...."},
		{"in pixels", eligen.Region{Kind: "translate", Pixels: true, Numbers: []float64{3, 1},
			Parts: []eligen.Region{eligen.Box(0, 0, 0.25, 0.25)}}, "........ ...##... ........ ........"},
		{"without its part", eligen.Region{Kind: "rotate", Numbers: []float64{90, 0, 0}}, "........ ........ ........ ........"},
		{"no shape", eligen.Region{}, "........ ........ ........ ........"},
		{"bitmap, stretched", eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(2, 2, func(x, y int) bool { return x == y })},
			"####.... ####.... ....#### ....####"},
		{"bitmap, contained", eligen.Region{Kind: "image", Fit: "contain", Bitmap: eligen.NewBitmap(2, 2, func(x, y int) bool { return x == y })},
			"..##.... ..##.... ....##.. ....##.."},
		{"bitmap, covering", eligen.Region{Kind: "image", Fit: "cover", Bitmap: eligen.NewBitmap(2, 2, func(x, y int) bool { return x == y })},
			"####.... ####.... ....#### ....####"},
	} {
		got := ""
		for i, on := range c.r.Mask(canvas) {
			if i > 0 && i%canvas.W == 0 {
				got += " "
			}
			if on {
				got += "#"
			} else {
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// The rows and columns that a box is sampled by must say what each cell would.
func TestBoxAgreesWithPolygon(t *testing.T) {
	for _, b := range [][4]float64{{0.1, 0.2, 0.7, 0.9}, {0, 0, 1, 1}, {0.333, 0.5, 0.334, 0.51}, {-0.5, -0.5, 0.5, 0.5}} {
		p := eligen.Region{Kind: "polygon", Numbers: []float64{b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3]}}
		for _, s := range []eligen.Size{{W: 64, H: 64}, {W: 80, H: 48}, {W: 256, H: 128}} {
			if got, want := eligen.Box(b[0], b[1], b[2], b[3]).Tokens(s, eligen.DefaultGeometry), p.Tokens(s,
				eligen.DefaultGeometry); !slices.Equal(got, want) {
				t.Errorf("box %v at %v: %v, as a polygon %v", b, s, got, want)
			}
		}
	}
}
