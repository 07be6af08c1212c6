package dsl

import (
	"fmt"
	"math"

	"github.com/eligen/eligen"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Functions that make shapes from shapes.

// maxCells is how many boxes grid, row and column make.
const maxCells = 10_000

func arrangeFunctions() map[string]function.Function {
	return map[string]function.Function{
		"invert":    invertFunction,
		"grow":      growFunction,
		"translate": translateFunction,
		"scale":     scaleFunction,
		"rotate":    rotateFunction,
		"mirror":    mirrorFunction,
		"svg":       svgFunction,

		"above":    beside(func(b [4]float64, w, h, gap float64) (x, y float64) { return (b[0] + b[2] - w) / 2, b[1] - gap - h }),
		"below":    beside(func(b [4]float64, w, h, gap float64) (x, y float64) { return (b[0] + b[2] - w) / 2, b[3] + gap }),
		"left_of":  beside(func(b [4]float64, w, h, gap float64) (x, y float64) { return b[0] - gap - w, (b[1] + b[3] - h) / 2 }),
		"right_of": beside(func(b [4]float64, w, h, gap float64) (x, y float64) { return b[2] + gap, (b[1] + b[3] - h) / 2 }),
		"inside":   insideFunction,
		"grid":     gridFunction,
		"cell":     cellFunction,
		"row":      lined(true),
		"column":   lined(false),
		"center":   centerFunction,
		"iou":      iouFunction,
		"area":     areaFunction,
	}
}

// derive makes a shape from one, with its limits.
func derive(from *shape, r eligen.Region) (cty.Value, error) {
	out := &shape{region: r, depth: from.depth + 1, leaves: from.leaves}
	if out.depth > maxShapeDepth {
		return cty.NilVal, function.NewArgErrorf(0, "shapes are put together more than %d deep", maxShapeDepth)
	}
	return cty.CapsuleVal(shapeType, out), nil
}

// shapeFunction makes a function of a shape and numbers. optional is how many of the last
// numbers may be left out.
func shapeFunction(description string, names []string, optional int, f func(s *shape, n []float64) (cty.Value, error)) function.Function {
	params := []function.Parameter{{Name: "shape", Type: shapeType}}
	params = append(params, numberParams(names[:len(names)-optional]...)...)
	spec := &function.Spec{
		Description: description,
		Params:      params,
		Type:        function.StaticReturnType(shapeType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s := shapeOf(args[0])
			if s.trouble != "" {
				return cty.NilVal, function.NewArgErrorf(0, "%s", s.trouble)
			}
			if len(args)-1 > len(names) {
				return cty.NilVal, function.NewArgErrorf(len(names)+1, "there are at most %d numbers: %v", len(names), names)
			}
			n, err := finite(args[1:])
			if err != nil {
				return cty.NilVal, fmt.Errorf("%v", err)
			}
			return f(s, n)
		},
	}
	if optional > 0 {
		spec.VarParam = &function.Parameter{Name: "options", Type: cty.Number}
	}
	return function.New(spec)
}

// boundsFor returns the box around a shape, for a function that can't do without.
func boundsFor(s *shape) ([4]float64, bool, error) {
	b, pixels, problem := boundsOf(s)
	if problem != "" {
		return b, pixels, function.NewArgErrorf(0, "%s", problem)
	}
	return b, pixels, nil
}

var invertFunction = function.New(&function.Spec{
	Description: "Everything outside the shape.",
	Params:      []function.Parameter{{Name: "shape", Type: shapeType}},
	Type:        function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		s := shapeOf(args[0])
		if s.trouble != "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s", s.trouble)
		}
		return derive(s, eligen.Region{Kind: "invert", Parts: []eligen.Region{s.region}})
	},
})

var growFunction = shapeFunction("The shape grown by so many pixels in every direction; a negative number shrinks it.", []string{"pixels"},
	0,
	func(s *shape, n []float64) (cty.Value, error) {
		if math.Abs(n[0]) > 4096 {
			return cty.NilVal, function.NewArgErrorf(1, "must be from -4096 to 4096 pixels")
		}
		return derive(s, eligen.Region{Kind: "grow", Numbers: n, Parts: []eligen.Region{s.region}})
	})

var translateFunction = shapeFunction("The shape moved right by dx and down by dy, in its own unit.", []string{"dx", "dy"}, 0,
	func(s *shape, n []float64) (cty.Value, error) {
		dx, dy := n[0], n[1]
		r := mapped(s.region, pixelsIn(s.region), func(x, y float64) (float64, float64) { return x + dx, y + dy }, 1, 1,
			func(p eligen.Region, pixels bool) eligen.Region {
				return eligen.Region{Kind: "translate", Pixels: pixels, Numbers: n, Parts: []eligen.Region{p}}
			})
		return rederive(s, r)
	})

var scaleFunction = shapeFunction("The shape made sx times as wide and sy times as high around its centre; one number is both.",
	[]string{"sx", "sy"}, 1,
	func(s *shape, n []float64) (cty.Value, error) {
		sx, sy := n[0], n[0]
		if len(n) > 1 {
			sy = n[1]
		}
		if !(sx > 0 && sy > 0) {
			return cty.NilVal, function.NewArgErrorf(1, "must be greater than 0; mirror() turns a shape over")
		}
		b, _, err := boundsFor(s)
		if err != nil {
			return cty.NilVal, err
		}
		cx, cy := (b[0]+b[2])/2, (b[1]+b[3])/2
		r := mapped(s.region, pixelsIn(s.region), func(x, y float64) (float64, float64) { return cx + sx*(x-cx), cy + sy*(y-cy) }, sx, sy,
			func(p eligen.Region, pixels bool) eligen.Region {
				return eligen.Region{Kind: "scale", Pixels: pixels, Numbers: []float64{sx, sy, cx, cy}, Parts: []eligen.Region{p}}
			})
		return rederive(s, r)
	})

var rotateFunction = shapeFunction("The shape turned clockwise by degrees around its centre, in pixels: nothing is sheared on a canvas "+
	"that is not square.", []string{"degrees"}, 0,
	func(s *shape, n []float64) (cty.Value, error) {
		b, pixels, err := boundsFor(s)
		if err != nil {
			return cty.NilVal, err
		}
		return derive(s, eligen.Region{Kind: "rotate", Pixels: pixels, Numbers: []float64{n[0], (b[0] + b[2]) / 2, (b[1] + b[3]) / 2},
			Parts: []eligen.Region{s.region}})
	})

var mirrorFunction = function.New(&function.Spec{
	Description: "The shape turned over in its place: \"x\" exchanges left and right, \"y\" top and bottom.",
	Params:      []function.Parameter{{Name: "shape", Type: shapeType}, {Name: "axis", Type: cty.String}},
	Type:        function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		s, axis := shapeOf(args[0]), args[1].AsString()
		if s.trouble != "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s", s.trouble)
		}
		b, _, err := boundsFor(s)
		if err != nil {
			return cty.NilVal, err
		}
		var n []float64
		move := func(x, y float64) (float64, float64) { return b[0] + b[2] - x, y }
		switch axis {
		case "x":
			n = []float64{0, (b[0] + b[2]) / 2}
		case "y":
			n = []float64{1, (b[1] + b[3]) / 2}
			move = func(x, y float64) (float64, float64) { return x, b[1] + b[3] - y }
		default:
			return cty.NilVal, function.NewArgErrorf(1, "must be \"x\" (left and right change places) or \"y\" (top and bottom), not %q", axis)
		}
		return rederive(s, mapped(s.region, pixelsIn(s.region), move, 1, 1, func(p eligen.Region, pixels bool) eligen.Region {
			return eligen.Region{Kind: "mirror", Pixels: pixels, Numbers: n, Parts: []eligen.Region{p}}
		}))
	},
})

// rederive derives a shape as derive does, where the result may be no deeper than s is.
func rederive(s *shape, r eligen.Region) (cty.Value, error) {
	if r.Kind == s.region.Kind && len(r.Parts) == len(s.region.Parts) {
		return cty.CapsuleVal(shapeType, &shape{region: r, depth: s.depth, leaves: s.leaves}), nil
	}
	return derive(s, r)
}

// pixelsIn reports whether a region's numbers are pixels.
func pixelsIn(r eligen.Region) bool {
	if r.Pixels || len(r.Parts) == 0 {
		return r.Pixels
	}
	return pixelsIn(r.Parts[0])
}

// mapped moves the numbers of a region's parts, so that a box stays a box; what
// has no numbers to move is wrapped.
func mapped(r eligen.Region, pixels bool, move func(x, y float64) (float64, float64), sx, sy float64,
	wrap func(eligen.Region, bool) eligen.Region) eligen.Region {
	n := append([]float64(nil), r.Numbers...)
	switch r.Kind {
	case "box":
		x0, y0 := move(n[0], n[1])
		x1, y1 := move(n[2], n[3])
		r.Numbers = []float64{min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)}
		return r
	case "ellipse":
		n[0], n[1] = move(n[0], n[1])
		n[2], n[3] = n[2]*sx, n[3]*sy
		r.Numbers = n
		return r
	case "polygon":
		for i := 0; i+1 < len(n); i += 2 {
			n[i], n[i+1] = move(n[i], n[i+1])
		}
		r.Numbers = n
		return r
	case "union", "intersect", "subtract", "path", "invert":
		parts := make([]eligen.Region, len(r.Parts))
		for i, p := range r.Parts {
			parts[i] = mapped(p, pixels, move, sx, sy, wrap)
		}
		r.Parts = parts
		return r
	}
	return wrap(r, pixels)
}

// beside makes a box of a size next to a shape.
func beside(place func(b [4]float64, w, h, gap float64) (x, y float64)) function.Function {
	return shapeFunction("A box of the width and height beside the shape, centred on it, with a gap between them (0 where none is given), "+
		"all in the shape's unit.", []string{"w", "h", "gap"}, 1,
		func(s *shape, n []float64) (cty.Value, error) {
			for i := range 2 {
				if !(n[i] > 0) {
					return cty.NilVal, function.NewArgErrorf(1+i, "the %s must be greater than 0, not %v", []string{"width", "height"}[i], n[i])
				}
			}
			gap := 0.0
			if len(n) > 2 {
				gap = n[2]
			}
			b, pixels, err := boundsFor(s)
			if err != nil {
				return cty.NilVal, err
			}
			x, y := place(b, n[0], n[1], gap)
			return boxAt(pixels, x, y, x+n[0], y+n[1]), nil
		})
}

func boxAt(pixels bool, x0, y0, x1, y1 float64) cty.Value {
	r := eligen.Box(tidyNumber(x0), tidyNumber(y0), tidyNumber(x1), tidyNumber(y1))
	r.Pixels = pixels
	return shapeValue(r)
}

// tidyNumber takes the dust of binary fractions off: 0.1 + 0.2 is 0.3.
func tidyNumber(f float64) float64 { return math.Round(f*1e12) / 1e12 }

var insideFunction = shapeFunction("A box in the middle of the shape, w times as wide and h times as high as the box around it.",
	[]string{"w", "h"}, 0,
	func(s *shape, n []float64) (cty.Value, error) {
		for i := range 2 {
			if !(n[i] > 0 && n[i] <= 1) {
				return cty.NilVal, function.NewArgErrorf(1+i, "must be a share of the shape, greater than 0 and at most 1, not %v", n[i])
			}
		}
		b, pixels, err := boundsFor(s)
		if err != nil {
			return cty.NilVal, err
		}
		dx, dy := (1-n[0])/2*(b[2]-b[0]), (1-n[1])/2*(b[3]-b[1])
		return boxAt(pixels, b[0]+dx, b[1]+dy, b[2]-dx, b[3]-dy), nil
	})

// cells divides a box into columns and rows with a gap between them.
func cells(b [4]float64, pixels bool, columns, rows int, gap float64) ([]cty.Value, error) {
	w := (b[2] - b[0] - gap*float64(columns-1)) / float64(columns)
	h := (b[3] - b[1] - gap*float64(rows-1)) / float64(rows)
	if !(w > 0 && h > 0) || gap < 0 {
		return nil, fmt.Errorf("a gap of %v leaves no room for %d×%d boxes", gap, columns, rows)
	}
	var out []cty.Value
	for j := range rows {
		for i := range columns {
			x, y := b[0]+float64(i)*(w+gap), b[1]+float64(j)*(h+gap)
			out = append(out, boxAt(pixels, x, y, x+w, y+h))
		}
	}
	return out, nil
}

// number of columns and rows; both from 1, together at most maxCells.
func cellCount(args []cty.Value) (columns, rows int, err error) {
	var n [2]int
	for i, a := range args {
		k, problem := wholeNumber(a, 1, maxCells)
		if problem != "" {
			return 0, 0, function.NewArgErrorf(i, "must be %s", problem)
		}
		n[i] = int(k)
	}
	if n[0]*n[1] > maxCells {
		return 0, 0, function.NewArgErrorf(1, "%d×%d are more than %d boxes", n[0], n[1], maxCells)
	}
	return n[0], n[1], nil
}

var canvas = [4]float64{0, 0, 1, 1}

var gridFunction = function.New(&function.Spec{
	Description: "The canvas as columns × rows boxes, row by row, with a gap between them (0 where none is given).",
	Params:      numberParams("columns", "rows"),
	VarParam:    &function.Parameter{Name: "gap", Type: cty.Number},
	Type:        function.StaticReturnType(cty.List(shapeType)),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		columns, rows, err := cellCount(args[:2])
		if err != nil {
			return cty.NilVal, err
		}
		gap, err := lastNumber(args, 2)
		if err != nil {
			return cty.NilVal, err
		}
		list, err := cells(canvas, false, columns, rows, gap)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.ListVal(list), nil
	},
})

// lastNumber returns the optional last argument.
func lastNumber(args []cty.Value, at int) (float64, error) {
	if len(args) > at+1 {
		return 0, function.NewArgErrorf(at+1, "there are at most %d arguments", at+1)
	}
	n, err := finite(args[at:])
	if err != nil || len(n) == 0 {
		return 0, err
	}
	return n[0], nil
}

var cellFunction = function.New(&function.Spec{
	Description: "One box of a grid over the canvas: columns, rows, and which of them, counted from 0.",
	Params:      numberParams("columns", "rows", "column", "row"),
	Type:        function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		columns, rows, err := cellCount(args[:2])
		if err != nil {
			return cty.NilVal, err
		}
		var at [2]int
		for i, limit := range []int{columns, rows} {
			k, problem := wholeNumber(args[2+i], 0, int64(limit-1))
			if problem != "" {
				return cty.NilVal, function.NewArgErrorf(2+i, "must be %s", problem)
			}
			at[i] = int(k)
		}
		list, err := cells(canvas, false, columns, rows, 0)
		if err != nil {
			return cty.NilVal, err
		}
		return list[at[1]*columns+at[0]], nil
	},
})

// lined divides the box around a shape into n boxes side by side.
func lined(across bool) function.Function {
	return function.New(&function.Spec{
		Description: "The box around the shape, divided into n boxes side by side (row) or one above the other (column), with a gap " +
			"between them.",
		Params:   append([]function.Parameter{{Name: "shape", Type: shapeType}}, numberParams("n")...),
		VarParam: &function.Parameter{Name: "gap", Type: cty.Number},
		Type:     function.StaticReturnType(cty.List(shapeType)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			s := shapeOf(args[0])
			if s.trouble != "" {
				return cty.NilVal, function.NewArgErrorf(0, "%s", s.trouble)
			}
			n, problem := wholeNumber(args[1], 1, maxCells)
			if problem != "" {
				return cty.NilVal, function.NewArgErrorf(1, "must be %s", problem)
			}
			gap, err := lastNumber(args, 2)
			if err != nil {
				return cty.NilVal, err
			}
			b, pixels, err := boundsFor(s)
			if err != nil {
				return cty.NilVal, err
			}
			columns, rows := int(n), 1
			if !across {
				columns, rows = 1, int(n)
			}
			list, err := cells(b, pixels, columns, rows, gap)
			if err != nil {
				return cty.NilVal, err
			}
			return cty.ListVal(list), nil
		},
	})
}

var centerFunction = function.New(&function.Spec{
	Description: "The centre of the box around a shape, [x, y], in the shape's unit.",
	Params:      []function.Parameter{{Name: "shape", Type: shapeType}},
	Type:        function.StaticReturnType(cty.List(cty.Number)),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		s := shapeOf(args[0])
		if s.trouble != "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s", s.trouble)
		}
		b, _, err := boundsFor(s)
		if err != nil {
			return cty.NilVal, err
		}
		return cty.ListVal([]cty.Value{cty.NumberFloatVal(tidyNumber((b[0] + b[2]) / 2)), cty.NumberFloatVal(tidyNumber((b[1] + b[3]) / 2))}), nil
	},
})

// The canvas on which iou and area count pixels, since they must not depend on
// the render's.
var counting = eligen.Size{W: 512, H: 512}

func countable(args []cty.Value) ([]eligen.Region, error) {
	var out []eligen.Region
	for i, a := range args {
		s := shapeOf(a)
		if s.trouble != "" {
			return nil, function.NewArgErrorf(i, "%s", s.trouble)
		}
		if pixelsIn(s.region) {
			return nil, function.NewArgErrorf(i, "is in pixels, whose share of the canvas depends on the render")
		}
		out = append(out, s.region)
	}
	return out, nil
}

var iouFunction = function.New(&function.Spec{
	Description: "How much two shapes are one: the area that they share over the area of both together, from 0 to 1.",
	Params:      []function.Parameter{{Name: "a", Type: shapeType}, {Name: "b", Type: shapeType}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		r, err := countable(args)
		if err != nil {
			return cty.NilVal, err
		}
		a, b := r[0].Mask(counting), r[1].Mask(counting)
		both, either := 0, 0
		for i := range a {
			if a[i] && b[i] {
				both++
			}
			if a[i] || b[i] {
				either++
			}
		}
		return cty.NumberFloatVal(float64(both) / float64(max(1, either))), nil
	},
})

var areaFunction = function.New(&function.Spec{
	Description: "The share of the canvas that a shape covers, from 0 to 1.",
	Params:      []function.Parameter{{Name: "shape", Type: shapeType}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		r, err := countable(args)
		if err != nil {
			return cty.NilVal, err
		}
		on := 0
		for _, x := range r[0].Mask(counting) {
			if x {
				on++
			}
		}
		return cty.NumberFloatVal(float64(on) / float64(counting.W*counting.H)), nil
	},
})
