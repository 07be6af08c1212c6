package tui

import (
	"image"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"

	"github.com/eligen/eligen"
)

// TestPicturesFit: pictures among the lines of a terminal are never wider than it, and
// leave room for what is said about them.
func TestPicturesFit(t *testing.T) {
	wide := image.NewNRGBA(image.Rect(0, 0, 300, 40))
	for _, c := range []struct {
		pictures []image.Image
		more     int
		says     string
	}{
		{[]image.Image{sunset()}, 0, ""},
		{[]image.Image{sunset(), sunset(), wide}, 0, ""},
		{[]image.Image{sunset(), sunset(), sunset(), sunset(), sunset(), sunset()}, 3, "more"},
		{nil, 0, ""},
	} {
		for _, env := range []string{colourful, colorless, "LC_ALL=C TERM=xterm-256color"} {
			for width := 8; width < 200; width += 23 {
				for _, height := range []int{0, 5, 24, 80} {
					got := Pictures(c.pictures, c.more, PrintLook(environment(env), width, height))
					lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
					if len(lines) > tallest+1 || height > 9 && len(lines) > height {
						t.Fatalf("%d lines on %d×%d", len(lines), width, height)
					}
					for _, l := range lines {
						if w := lipgloss.Width(l); w > max(width, len("… and 9 more")) {
							t.Fatalf("%d wide on %d: %q", w, width, l)
						}
					}
					if !strings.Contains(got, c.says) {
						t.Errorf("on %d×%d it doesn't say %q", width, height, c.says)
					}
				}
			}
		}
	}
}

// TestSketch: a clip's layout is drawn at four of its frames, and the letters are told.
func TestSketch(t *testing.T) {
	got := strip(Sketch(leap().Layouts[0], PrintLook(environment(colourful), 120, 40)))
	for _, want := range []string{"frame 0", "frame 7", "frame 15", "frame 23", " A cat ", "A cat   a ginger tabby cat, mid-leap\n",
		"B bird  a swallow\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q:\n%s", want, got)
		}
	}
	// Pictures and the letters below them keep to the colours that the terminal has.
	few := Sketch(leap().Layouts[0], PrintLook(environment(colourful), 120, 40))
	many := Sketch(leap().Layouts[0], PrintLook(environment(colourful+" COLORTERM=truecolor"), 120, 40))
	if strings.Contains(few, "8;2;") || !strings.Contains(few, "8;5;") || strings.Contains(many, "8;5;") || !strings.Contains(many, "8;2;") {
		t.Errorf("of 256 colours:\n%q\nof all:\n%q", few, many)
	}
	hostile := Layout{Render: "render.x", Size: eligen.Size{W: 64, H: 64},
		Entities: []eligen.Entity{{Address: "entity.\x1b[2J", Prompt: "\x1b]0;x\x07", Region: eligen.Box(0, 0, 1, 1)}}}
	if got := Sketch(hostile, PrintLook(environment(colourful), 80, 24)); strings.Contains(got, "\x1b[2J") || strings.Contains(got, "\x1b]") {
		t.Errorf("a name's escape reaches the terminal: %q", got)
	}
	if got := Sketch(hostile, PrintLook(environment("LC_ALL=C TERM=xterm-kitty"), 80, 24)); strings.ContainsFunc(got,
		func(r rune) bool { return r > 0x7e }) {
		t.Errorf("more than ASCII: %q", got)
	}
}
