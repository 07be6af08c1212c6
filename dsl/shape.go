package dsl

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/eligen/eligen"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// A shape is the value of a shape function: a region, or a picture file that
// can be one.
type shape struct {
	region  eligen.Region
	picture *eligen.Picture // of image()
	options bool            // image() was told how to be a mask
	trouble string          // why the picture can't be a mask; "" if it can
	depth   int             // of parts inside parts
	leaves  int             // how many parts in all
	bitmap  [4]float64      // of image: the box around what is on, in fractions of the picture
}

var shapeType = cty.CapsuleWithOps("shape", reflect.TypeOf(shape{}), &cty.CapsuleOps{
	GoString:     func(any) string { return "shape" },
	TypeGoString: func(reflect.Type) string { return "shape" },
	RawEquals:    func(a, b any) bool { return reflect.DeepEqual(a.(*shape).region, b.(*shape).region) },
	HashKey: func(a any) string {
		r := a.(*shape).region
		return fmt.Sprint(r.Kind, r.Pixels, r.Numbers, len(r.Parts))
	},
})

// Limits of a shape that is made of shapes, each of which is drawn.
const (
	maxShapeDepth  = 32
	maxShapeLeaves = 10_000
	maxPoints      = 10_000
)

var shapeNames = []string{"xywh", "xyxy", "cxcywh", "px", "ellipse", "polygon", "union", "subtract", "intersect", "image", "bounds",
	"svg", "invert", "grow", "translate", "scale", "rotate", "mirror", "above", "below", "left_of", "right_of", "inside", "grid", "cell",
	"row", "column", "center", "iou", "area"}

func shapeValue(r eligen.Region) cty.Value {
	return cty.CapsuleVal(shapeType, &shape{region: r, leaves: 1})
}

func shapeOf(v cty.Value) *shape { return v.EncapsulatedValue().(*shape) }

func numberParams(names ...string) []function.Parameter {
	var out []function.Parameter
	for _, n := range names {
		out = append(out, function.Parameter{Name: n, Type: cty.Number})
	}
	return out
}

// finite returns the arguments as float64s; canvases are far below a million pixels.
func finite(args []cty.Value) ([]float64, error) {
	out := make([]float64, len(args))
	for i, a := range args {
		f, _ := a.AsBigFloat().Float64()
		if math.Abs(f) > 1e6 {
			return nil, function.NewArgErrorf(i, "%s is no place on a canvas", plain(a.AsBigFloat()))
		}
		out[i] = f
	}
	return out, nil
}

// boxFunction makes boxes from four numbers by one of the field's conventions.
// corners adds in decimal precision, so that 0.6 and 0.3 make 0.9.
func boxFunction(params []string, corners func(n []cty.Value) (x0, y0, x1, y1 cty.Value)) function.Function {
	return function.New(&function.Spec{
		Params: numberParams(params...),
		Type:   function.StaticReturnType(shapeType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			n, err := finite(args)
			if err != nil {
				return cty.NilVal, err
			}
			var c [4]float64
			v0, v1, v2, v3 := corners(args)
			for i, v := range []cty.Value{v0, v1, v2, v3} {
				c[i], _ = v.AsBigFloat().Float64()
			}
			x0, y0, x1, y1 := c[0], c[1], c[2], c[3]
			for i, size := range []float64{x1 - x0, y1 - y0} {
				if size > 0 {
					continue
				}
				way := []string{"width", "height"}[i]
				if params[2] == "x1" {
					return cty.NilVal, function.NewArgErrorf(2+i, "%s must be greater than %s, else the box has no %s", params[2+i], params[i], way)
				}
				return cty.NilVal, function.NewArgErrorf(2+i, "the %s must be greater than 0, not %v", way, n[2+i])
			}
			return shapeValue(eligen.Box(x0, y0, x1, y1)), nil
		},
	})
}

var half = cty.NumberFloatVal(0.5)

func (l *disk) shapeFunctions() map[string]function.Function {
	out := map[string]function.Function{
		"xywh": boxFunction([]string{"x", "y", "w", "h"}, func(n []cty.Value) (x0, y0, x1, y1 cty.Value) {
			return n[0], n[1], n[0].Add(n[2]), n[1].Add(n[3])
		}),
		"xyxy": boxFunction([]string{"x0", "y0", "x1", "y1"}, func(n []cty.Value) (x0, y0, x1, y1 cty.Value) {
			return n[0], n[1], n[2], n[3]
		}),
		"cxcywh": boxFunction([]string{"cx", "cy", "w", "h"}, func(n []cty.Value) (x0, y0, x1, y1 cty.Value) {
			w, h := n[2].Multiply(half), n[3].Multiply(half)
			return n[0].Subtract(w), n[1].Subtract(h), n[0].Add(w), n[1].Add(h)
		}),
		"ellipse":   ellipseFunction,
		"polygon":   polygonFunction,
		"px":        pxFunction,
		"bounds":    boundsFunction,
		"union":     combine("union", 1),
		"subtract":  combine("subtract", 2),
		"intersect": combine("intersect", 1),
		"image":     l.imageFunction(),
	}
	maps.Copy(out, arrangeFunctions())
	return out
}

var ellipseFunction = function.New(&function.Spec{
	Params: numberParams("cx", "cy", "rx", "ry"),
	Type:   function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		n, err := finite(args)
		if err != nil {
			return cty.NilVal, err
		}
		for i := 2; i < 4; i++ {
			if n[i] <= 0 {
				return cty.NilVal, function.NewArgErrorf(i, "a radius must be greater than 0, not %v", n[i])
			}
		}
		return shapeValue(eligen.Region{Kind: "ellipse", Numbers: n}), nil
	},
})

var polygonFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "points", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		const want = "must be a list of at least three points [x, y], as [[0.1, 0.9], [0.5, 0.1], [0.9, 0.9]]"
		points, err := toType(args[0], cty.List(cty.List(cty.Number)))
		if err != nil || !points.IsWhollyKnown() || points.IsNull() || points.LengthInt() < 3 {
			return cty.NilVal, function.NewArgErrorf(0, "%s", want)
		}
		if points.LengthInt() > maxPoints {
			return cty.NilVal, function.NewArgErrorf(0, "a polygon has at most %d points, not %d", maxPoints, points.LengthInt())
		}
		var numbers []float64
		for i, p := range points.AsValueSlice() {
			if p.IsNull() || p.LengthInt() != 2 || p.AsValueSlice()[0].IsNull() || p.AsValueSlice()[1].IsNull() {
				return cty.NilVal, function.NewArgErrorf(0, "point %d is not [x, y]; it %s", i, want)
			}
			xy, err := finite(p.AsValueSlice())
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "point %d: %v", i, err)
			}
			numbers = append(numbers, xy...)
		}
		if onOneLine(numbers) {
			return cty.NilVal, function.NewArgErrorf(0, "all points lie on one line, so the polygon has no area")
		}
		return shapeValue(eligen.Region{Kind: "polygon", Numbers: numbers}), nil
	},
})

// onOneLine reports whether no three of the points x y x y … span a triangle.
func onOneLine(n []float64) bool {
	var dx, dy float64 // from the first point to the first that differs from it
	for i := 2; i+1 < len(n); i += 2 {
		x, y := n[i]-n[0], n[i+1]-n[1]
		if dx == 0 && dy == 0 {
			dx, dy = x, y
		} else if math.Abs(dx*y-dy*x) > 1e-12 {
			return false
		}
	}
	return true
}

var pxFunction = function.New(&function.Spec{
	Description: "The same shape with its numbers read as pixels of the canvas.",
	Params:      []function.Parameter{{Name: "shape", Type: shapeType}},
	Type:        function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		s := *shapeOf(args[0])
		r, ok := inPixels(s.region)
		if !ok {
			return cty.NilVal, function.NewArgErrorf(0, "a mask picture covers the canvas whatever its size, so it can't be given in pixels")
		}
		s.region = r
		return cty.CapsuleVal(shapeType, &s), nil
	},
})

func inPixels(r eligen.Region) (eligen.Region, bool) {
	if r.Kind == "image" {
		return r, false
	}
	parts := slices.Clone(r.Parts)
	for i, p := range parts {
		var ok bool
		if parts[i], ok = inPixels(p); !ok {
			return r, false
		}
	}
	r.Parts = parts
	switch r.Kind {
	case "box", "ellipse", "polygon", "translate", "scale", "mirror", "rotate":
		r.Pixels = true
	}
	return r, true
}

// combine makes union, subtract and intersect.
func combine(kind string, least int) function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "shapes", Type: shapeType},
		Type:     function.StaticReturnType(shapeType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) < least {
				return cty.NilVal, fmt.Errorf("it takes at least %d shape%s", least, map[bool]string{true: "s"}[least > 1])
			}
			out := shape{region: eligen.Region{Kind: kind}}
			for i, a := range args {
				s := shapeOf(a)
				if s.trouble != "" {
					return cty.NilVal, function.NewArgErrorf(i, "%s", s.trouble)
				}
				out.region.Parts = append(out.region.Parts, s.region)
				out.depth = max(out.depth, s.depth+1)
				out.leaves += s.leaves
				if out.depth > maxShapeDepth {
					return cty.NilVal, function.NewArgErrorf(i, "shapes are put together more than %d deep", maxShapeDepth)
				}
				if out.leaves > maxShapeLeaves {
					return cty.NilVal, function.NewArgErrorf(i, "this shape is made of more than %d shapes", maxShapeLeaves)
				}
			}
			return cty.CapsuleVal(shapeType, &out), nil
		},
	})
}

var boundsType = cty.Object(map[string]cty.Type{
	"x": cty.Number, "y": cty.Number, "w": cty.Number, "h": cty.Number,
	"x0": cty.Number, "y0": cty.Number, "x1": cty.Number, "y1": cty.Number, "cx": cty.Number, "cy": cty.Number,
})

var boundsFunction = function.New(&function.Spec{
	Description: "The box around a shape, in the shape's own unit. Of subtract it is the box around its first shape.",
	Params:      []function.Parameter{{Name: "shape", Type: shapeType}},
	Type:        function.StaticReturnType(boundsType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		s := shapeOf(args[0])
		if s.trouble != "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s", s.trouble)
		}
		b, _, problem := boundsOf(s)
		if problem != "" {
			return cty.NilVal, function.NewArgErrorf(0, "%s", problem)
		}
		v := map[string]cty.Value{}
		for k, f := range map[string]float64{
			"x": b[0], "y": b[1], "w": b[2] - b[0], "h": b[3] - b[1],
			"x0": b[0], "y0": b[1], "x1": b[2], "y1": b[3], "cx": (b[0] + b[2]) / 2, "cy": (b[1] + b[3]) / 2,
		} {
			v[k] = cty.NumberFloatVal(f)
		}
		return cty.ObjectVal(v), nil
	},
})

// boundsOf returns the box around a shape: x0, y0, x1, y1, in pixels or fractions.
func boundsOf(s *shape) (b [4]float64, pixels bool, problem string) {
	if s.region.Kind == "image" && (s.region.Fit == "" || s.region.Fit == "stretch") {
		return s.bitmap, false, "" // as Box, which would look at every pixel again
	}
	return s.region.Box()
}
