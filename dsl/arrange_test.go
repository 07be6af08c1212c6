package dsl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// Every shape function, drawn on two canvases: a square one, and one that is
// twice as wide as high. Read the pictures.
func TestShapesDrawn(t *testing.T) {
	var b strings.Builder
	for _, expr := range []string{
		`xywh(0.25, 0.25, 0.5, 0.25)`,
		`cxcywh(0.5, 0.5, 0.5, 0.5)`,
		`px(xyxy(2, 1, 6, 7))`,
		`ellipse(0.5, 0.5, 0.4, 0.25)`,
		`polygon([[0.1, 0.9], [0.5, 0.1], [0.9, 0.9]])`,
		`svg("M.1 .9 L.5 .1 .9 .9Z")`,
		`svg("m0.5 0.05c.6 0 .6 .9 0 .9s-.6-.9 0-.9zM.4 .35v.3h.2v-.3z")`,
		`svg("M0.1 0.5 A0.4 0.4 0 0 1 0.9 0.5 z")`,
		`svg("M0.1 0.5 Q 0.3 0 0.5 0.5 T 0.9 0.5 V1 H.1 Z")`,
		`union(xywh(0, 0, 0.5, 0.5), xywh(0.5, 0.5, 0.5, 0.5))`,
		`subtract(ellipse(0.5, 0.5, 0.5, 0.5), ellipse(0.5, 0.5, 0.25, 0.25))`,
		`intersect(xywh(0, 0, 0.75, 0.75), ellipse(0.75, 0.75, 0.5, 0.5))`,
		`invert(ellipse(0.5, 0.5, 0.4, 0.4))`,
		`grow(xywh(0.375, 0.375, 0.25, 0.25), 3)`,
		`grow(ellipse(0.5, 0.5, 0.5, 0.5), -3)`,
		`translate(ellipse(0.25, 0.25, 0.25, 0.25), 0.5, 0.25)`,
		`scale(polygon([[0.1, 0.9], [0.5, 0.1], [0.9, 0.9]]), 0.5)`,
		`scale(xywh(0.25, 0.25, 0.5, 0.5), 1.5, 0.5)`,
		`rotate(xywh(0.1, 0.4, 0.8, 0.2), 45)`,
		`rotate(px(xywh(2, 6, 12, 4)), 90)`,
		`mirror(polygon([[0, 0], [0.75, 0], [0, 1]]), "x")`,
		`mirror(svg("M0 0 L.75 0 0 1z"), "y")`,
		`above(xywh(0.25, 0.5, 0.5, 0.5), 0.25, 0.25, 0.125)`,
		`below(xywh(0.25, 0, 0.5, 0.5), 0.75, 0.25)`,
		`left_of(xywh(0.5, 0.25, 0.5, 0.5), 0.25, 0.5)`,
		`right_of(xywh(0, 0.25, 0.5, 0.5), 0.25, 1)`,
		`inside(xywh(0.25, 0, 0.5, 1), 0.5, 0.5)`,
		`union(grid(3, 2, 0.1)...)`,
		`cell(4, 2, 3, 1)`,
		`union(row(xywh(0, 0.25, 1, 0.5), 3, 0.125)...)`,
		`union(column(xywh(0.25, 0, 0.5, 1), 3, 0.125)...)`,
		`mirror(rotate(xywh(0, 0.4, 0.8, 0.2), 30), "x")`,
		`cxcywh(center(xywh(0.5, 0, 0.5, 0.5))[0], 0.5, area(xywh(0, 0, 0.5, 0.5)), 2 * iou(xywh(0, 0, 0.5, 1), xywh(0.25, 0, 0.5, 1)))`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "s.hcl")
		src := fmt.Sprintf("render \"r\" {\n  prompt = \"x\"\n}\n\nentity \"e\" {\n  prompt = \"x\"\n  region = %s\n}\n", expr)
		if err := os.WriteFile(path, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		scene, ds := Load(t.Context(), path, Vars{})
		fmt.Fprintf(&b, "%s\n", expr)
		if scene == nil {
			fmt.Fprintf(&b, "  %s: %s\n\n", ds[0].Summary, ds[0].Detail)
			continue
		}
		r := scene.Entities[0].Region.Round()
		square, wide := art(r, eligen.Size{W: 16, H: 16}), art(r, eligen.Size{W: 32, H: 16})
		for i := range square {
			fmt.Fprintf(&b, "  %s  %s\n", square[i], wide[i])
		}
		b.WriteByte('\n')
	}
	golden(t, "testdata/shapes.golden.txt", b.String())
}

func art(r eligen.Region, canvas eligen.Size) (lines []string) {
	mask := r.Mask(canvas)
	for y := range canvas.H {
		line := ""
		for x := range canvas.W {
			line += map[bool]string{true: "#", false: "·"}[mask[y*canvas.W+x]]
		}
		lines = append(lines, line)
	}
	return lines
}

// What shape functions refuse, and what they say then.
func TestShapesRefused(t *testing.T) {
	for expr, want := range map[string]string{
		`svg("0.1 0.1 L 1 1")`:                       `A path begins with M`,
		`svg("M 0.1 0.1 L 0.5")`:                     `L needs 2 numbers, and has 1 before`,
		`svg("M0 0 L1 1")`:                           `encloses nothing`,
		`svg("M0 0 L1 0 1 1 Z 5 5")`:                 `After Z comes a command`,
		`svg("M0 0 L1e400 0 1 1 Z")`:                 `L needs 2 numbers`,
		`scale(xywh(0, 0, 1, 1), -1)`:                `must be greater than 0; mirror() turns a shape over`,
		`scale(rotate(xywh(0, 0, 1, 1), 5), 2)`:      `Where a turned shape reaches to depends on the canvas`,
		`mirror(xywh(0, 0, 1, 1), "z")`:              `must be "x" (left and right change places) or "y"`,
		`grow(xywh(0, 0, 1, 1), 5000)`:               `must be from -4096 to 4096 pixels`,
		`above(xywh(0, 0.5, 1, 0.5), 0, 0.1)`:        `The width must be greater than 0`,
		`inside(xywh(0, 0, 1, 1), 2, 0.5)`:           `must be a share of the shape`,
		`union(grid(1000, 1000)...)`:                 `are more than 10000 boxes`,
		`union(grid(5, 5, 0.3)...)`:                  `a gap of 0.3 leaves no room for 5×5 boxes`,
		`cell(4, 2, 4, 0)`:                           `must be a whole number from 0 to 3`,
		`row(xywh(0, 0, 1, 1), 0)[0]`:                `must be a whole number from 1`,
		`xywh(0, 0, area(px(xywh(0, 0, 5, 5))), 1)`:  `is in pixels, whose share of the canvas depends on the render`,
		`translate(xywh(0, 0, 1, 1), 0.1, 0.1, 0.1)`: `It is called as translate(shape, dx, dy).`,
		`scale(xywh(0, 0, 1, 1), 1, 1, 1)`:           `There are at most 2 numbers`,
		`feather(xywh(0, 0, 1, 1), 3)`:               `this release of eligen can't do it`,
	} {
		path := filepath.Join(t.TempDir(), "s.hcl")
		src := fmt.Sprintf("render \"r\" {\n  prompt = \"x\"\n}\n\nentity \"e\" {\n  prompt = \"x\"\n  region = %s\n}\n", expr)
		if err := os.WriteFile(path, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		_, ds := Load(t.Context(), path, Vars{})
		if !strings.Contains(ds.Error(), want) {
			t.Errorf("%s: %s\nwant %q", expr, ds.Error(), want)
		}
	}
}
