package drawing_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

var canvas = eligen.Size{W: 256, H: 256}

func entity(name, prompt string, region eligen.Region) eligen.Entity {
	return eligen.Entity{Address: "entity." + name, Prompt: prompt, Region: region}
}

// drawn returns a layout on nothing, with its labels.
func drawn(l *drawing.Layout, w, h int) *image.NRGBA {
	img := drawing.Blank(w, h)
	l.Regions(img, drawing.Width(min(w, h)))
	l.Labels(img)
	return img
}

// TestWritable: labels leave out what their font has no glyphs for, and mark the gap.
// No box ever stands for a letter.
func TestWritable(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a frog", "a frog"},
		{"  a\n frog\t", "a frog"},
		{"ein Fro\u0308sch", "ein Frösch"},
		{"рыжий кот", "рыжий кот"},
		{"μια γάτα", "μια γάτα"},
		{"一只青蛙", ""},
		{"🐸", ""},
		{"👩\u200d🚀 🐸", ""},
		{"ضفدع", ""},
		{"개구리, 고양이!", ""},
		{"a 🐸 frog 青蛙 蛙 on a leaf", "a … frog … on a leaf"},
		{`bird["🐸"]`, `bird["…"]`},
		{"", ""},
	} {
		if got := drawing.Writable(c.text); got != c.want {
			t.Errorf("Writable(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

// TestUnwritable: an entity whose name and prompt the font can't write is labelled by
// its letter alone.
func TestUnwritable(t *testing.T) {
	box := eligen.Box(0.1, 0.1, 0.9, 0.9)
	letter := drawn(drawing.New(canvas, []eligen.Entity{entity("", "", box)}), 256, 256)
	for _, e := range []eligen.Entity{entity("青蛙", "一只青蛙", box), entity("蛙", "🐸🐸🐸", box)} {
		if got := drawn(drawing.New(canvas, []eligen.Entity{e}), 256, 256); !bytes.Equal(got.Pix, letter.Pix) {
			t.Errorf("%s, %q: more than a letter is drawn", e.Address, e.Prompt)
		}
	}
}

func TestName(t *testing.T) {
	for address, want := range map[string]string{
		"entity.frog":                                 "frog",
		`entity.bird["near"]`:                         `bird["near"]`,
		"module.left.entity.flower[0]":                "left.flower[0]",
		`module.row["a.b"].module.left.entity.flower`: `row["a.b"].left.flower`,
		"module.odd":                                  "module.odd",
		"timeline.walk":                               "walk",
		"frog":                                        "frog",
	} {
		if got := drawing.Name(address); got != want {
			t.Errorf("Name(%q) = %q, want %q", address, got, want)
		}
	}
}

// TestOrder: the higher z is drawn above, the later above the earlier, and what is
// selected above all.
func TestOrder(t *testing.T) {
	l := drawing.New(canvas, []eligen.Entity{{Z: 1}, {}, {}, {Z: -1}})
	if diff := cmp.Diff([]int{3, 1, 2, 0}, l.Order()); diff != "" {
		t.Error(diff)
	}
	l.Selected = 1
	if diff := cmp.Diff([]int{3, 2, 0, 1}, l.Order()); diff != "" {
		t.Error(diff)
	}
	house, moon := eligen.Box(0.3, 0.3, 0.9, 0.9), eligen.Box(0.1, 0.1, 0.6, 0.6)
	l = drawing.New(canvas, []eligen.Entity{{Region: house}, {Region: moon}})
	l.Selected = 0
	img := drawing.Blank(256, 256)
	l.Regions(img, 2)
	if got := img.NRGBAAt(100, 78); got != drawing.Colour(0) { // on the house's upper edge, inside the moon
		t.Errorf("the selected region's edge is %v where another one covers it, want %v", got, drawing.Colour(0))
	}
}

// TestOverPicture: over a picture regions are lines, and what is inside and outside
// keeps its colour.
func TestOverPicture(t *testing.T) {
	l := drawing.New(canvas, []eligen.Entity{entity("dog", "a dog", eligen.Box(0.25, 0.25, 0.75, 0.75))})
	l.Picture = true
	img := drawing.Blank(256, 256)
	l.Regions(img, 2)
	for _, p := range []image.Point{{8, 8}, {128, 128}} {
		if got := img.NRGBAAt(p.X, p.Y); got != drawing.Backdrop {
			t.Errorf("at %v: %v", p, got)
		}
	}
	if got := img.NRGBAAt(64, 128); got != drawing.Colour(0) {
		t.Errorf("the edge is %v", got)
	}
	cells := drawing.Blank(64, 64) // of a terminal, where a line of one is thick enough
	l.Regions(cells, 1)
	for _, p := range []image.Point{{15, 32}, {17, 32}} {
		if got := cells.NRGBAAt(p.X, p.Y); got != drawing.Backdrop {
			t.Errorf("beside a line of cells, at %v: %v", p, got)
		}
	}
}

// TestColours: any two neighbours among the colours can be told apart, and letters on
// each can be read.
func TestColours(t *testing.T) {
	for i := range 8 {
		c := drawing.Colour(i)
		if got := contrast(drawing.InkOn(c), c); got < 4.0 {
			t.Errorf("colour %d: the contrast of its letters is %.1f", i, got)
		}
	}
}

// contrast computes WCAG's contrast ratio of two colours.
func contrast(a, b color.NRGBA) float64 {
	luminance := func(c color.NRGBA) float64 {
		linear := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestPlace: labels stand on the canvas and not on one another, and every entity that
// is seen has one while there is room.
func TestPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 14))
	for round := range 60 {
		n := 1 + rng.IntN(24)
		var entities []eligen.Entity
		for i := range n {
			x, y := rng.Float64()*0.8, rng.Float64()*0.8
			e := entity(fmt.Sprint("thing", i), "a thing", eligen.Box(x, y, x+0.05+rng.Float64()*0.4, y+0.05+rng.Float64()*0.4))
			if i%3 == 1 {
				e.Region = eligen.Region{Kind: "ellipse", Numbers: []float64{x + 0.1, y + 0.1, 0.1, 0.05}}
			}
			entities = append(entities, e)
		}
		l := drawing.New(canvas, entities)
		l.Selected = round%(n+1) - 1
		w, h := 60, 40
		spots := l.Place(w, h, func(int) []image.Point { return []image.Point{{10, 1}, {1, 1}} })
		if len(spots) != n {
			t.Errorf("round %d: %d labels for %d entities", round, len(spots), n)
		}
		for i, s := range spots {
			if !s.At.In(image.Rect(0, 0, w, h)) {
				t.Errorf("round %d: a label at %v", round, s.At)
			}
			for _, o := range spots[:i] {
				if s.At.Overlaps(o.At) {
					t.Errorf("round %d: labels at %v and %v", round, s.At, o.At)
				}
			}
		}
	}
	gone := drawing.New(canvas, []eligen.Entity{entity("away", "", eligen.Box(2, 2, 3, 3)), {Address: "entity.nowhere"}})
	if spots := gone.Place(60, 40, func(int) []image.Point { return []image.Point{{1, 1}} }); len(spots) != 0 {
		t.Errorf("what is off the canvas has labels: %v", spots)
	}
}

// TestAnywhere: labels of any length fit on pictures of any size.
func TestAnywhere(t *testing.T) {
	for _, prompt := range []string{"", " ", "a", strings.Repeat("wool ", 100), strings.Repeat("w", 500), "一只在树下睡觉的狗"} {
		var entities []eligen.Entity
		for range 12 {
			entities = append(entities,
				entity(prompt, prompt, eligen.Region{Kind: "ellipse", Numbers: []float64{0.5, 0.5, 0.3, 0.6}}),
				entity("corner", prompt, eligen.Box(0.99, 0.99, 1, 1)), entity("off", prompt, eligen.Box(2, 2, 3, 3)))
		}
		for _, size := range []image.Point{{1, 1}, {7, 300}, {300, 16}, {128, 96}} {
			drawn(drawing.New(canvas, entities), size.X, size.Y)
		}
	}
}

// TestWay: a way is drawn through its places, far ones and all.
func TestWay(t *testing.T) {
	img := drawing.Blank(100, 100)
	drawing.Way(img, []float64{0.1, 0.5, 0.9, 0.5, 1e300, -1e300}, 0, drawing.Colour(0), 2)
	if got := img.NRGBAAt(50, 50); got.R < 150 || got.B > 40 {
		t.Errorf("between two places: %v", got)
	}
	if got := img.NRGBAAt(50, 80); got != drawing.Backdrop {
		t.Errorf("beside the way: %v", got)
	}
	drawing.Way(img, nil, 0, drawing.Colour(0), 2)
}
