package dsl

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// svgFunction reads the closed outline of SVG's path syntax.
var svgFunction = function.New(&function.Spec{
	Description: "The inside of a closed path in SVG's syntax (M L H V C S Q T A Z, in fractions of the canvas), by the nonzero rule.",
	Params:      []function.Parameter{{Name: "path", Type: cty.String}},
	Type:        function.StaticReturnType(shapeType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		rings, err := outline(args[0].AsString())
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%v", err)
		}
		if len(rings) == 1 {
			return shapeValue(eligen.Region{Kind: "path", Parts: []eligen.Region{{Kind: "polygon", Numbers: rings[0]}}}), nil
		}
		r := eligen.Region{Kind: "path"}
		for _, ring := range rings {
			r.Parts = append(r.Parts, eligen.Region{Kind: "polygon", Numbers: ring})
		}
		return shapeValue(r), nil
	},
})

const (
	maxPath  = 64 << 10 // bytes of a path
	segments = 24       // straight lines that a curve is drawn with
)

// An svgReader walks through a path's text.
type svgReader struct {
	text  string
	at    int
	rings [][]float64
	ring  []float64
	x, y  float64 // where the pen is
	hx    float64 // the last curve's second control point, for S and T
	hy    float64
	total int

	all   []float64 // every point that the pen was at
	lines int       // that it drew: every M begins one
}

// outline returns the rings of a path, x y x y …, each closed.
func outline(text string) ([][]float64, error) {
	r, err := readPath(text)
	if err != nil {
		return nil, err
	}
	if len(r.rings) == 0 {
		return nil, fmt.Errorf("the path encloses nothing")
	}
	return r.rings, nil
}

// readPath walks through a path.
func readPath(text string) (*svgReader, error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes; at most %d are read", len(text), maxPath)
	}
	r := &svgReader{text: text}
	command, last := byte(0), byte(0)
	for r.space(); r.at < len(r.text); r.space() {
		c := r.text[r.at]
		switch {
		case strings.IndexByte("MmLlHhVvCcSsQqTtAaZz", c) >= 0:
			command = c
			r.at++
		case command == 0:
			return nil, fmt.Errorf("a path begins with M, as \"M 0.1 0.1 L 0.9 0.1 L 0.5 0.9 Z\"; this begins with %q",
				text[r.at:min(len(text), r.at+12)])
		case command == 'Z' || command == 'z':
			return nil, fmt.Errorf("after Z comes a command, not %q (character %d)", text[r.at:min(len(text), r.at+12)], r.at+1)
		case command == 'M': // numbers that follow are lines
			command = 'L'
		case command == 'm':
			command = 'l'
		}
		if len(r.rings) == 0 && r.ring == nil && command != 'M' && command != 'm' {
			return nil, fmt.Errorf("a path begins with M, not %c", command)
		}
		if err := r.draw(command, last); err != nil {
			return nil, err
		}
		last = command
		if r.total > maxPoints {
			return nil, fmt.Errorf("the path has more than %d points", maxPoints)
		}
	}
	r.close()
	return r, nil
}

// draw follows one command's numbers.
func (r *svgReader) draw(command, last byte) error {
	upper := command &^ 0x20
	n, err := r.numbers(map[byte]int{'M': 2, 'L': 2, 'H': 1, 'V': 1, 'C': 6, 'S': 4, 'Q': 4, 'T': 2, 'A': 7, 'Z': 0}[upper], upper)
	if err != nil {
		return err
	}
	if command != upper { // relative
		for i := range n {
			switch {
			case upper == 'A' && i < 5:
			case upper == 'V' || upper != 'H' && (i%2 == 1) != (upper == 'A'):
				n[i] += r.y
			default:
				n[i] += r.x
			}
		}
	}
	for _, f := range n {
		if math.Abs(f) > 1e6 {
			return fmt.Errorf("%v is no place on a canvas", f)
		}
	}
	// The reflection of the last control point, where the last command had one.
	mx, my := r.x, r.y
	if before := last &^ 0x20; (upper == 'S' && (before == 'C' || before == 'S')) || (upper == 'T' && (before == 'Q' || before == 'T')) {
		mx, my = 2*r.x-r.hx, 2*r.y-r.hy
	}
	switch upper {
	case 'M':
		r.close()
		r.x, r.y = n[0], n[1]
		r.ring = []float64{r.x, r.y}
		r.all = append(r.all, r.x, r.y)
		r.lines++
	case 'L':
		r.line(n[0], n[1])
	case 'H':
		r.line(n[0], r.y)
	case 'V':
		r.line(r.x, n[0])
	case 'C':
		r.cubic(n[0], n[1], n[2], n[3], n[4], n[5])
	case 'S':
		r.cubic(mx, my, n[0], n[1], n[2], n[3])
	case 'Q':
		r.quadratic(n[0], n[1], n[2], n[3])
	case 'T':
		r.quadratic(mx, my, n[0], n[1])
	case 'A':
		r.arc(n[0], n[1], n[2], n[3] != 0, n[4] != 0, n[5], n[6])
	case 'Z':
		if len(r.ring) >= 2 {
			r.x, r.y = r.ring[0], r.ring[1]
			r.all = append(r.all, r.x, r.y)
			r.close()
			r.ring = []float64{r.x, r.y} // what follows goes on from there
		}
	}
	return nil
}

func (r *svgReader) line(x, y float64) {
	r.x, r.y = x, y
	r.ring = append(r.ring, x, y)
	r.all = append(r.all, x, y)
	r.total++
}

func (r *svgReader) cubic(x1, y1, x2, y2, x, y float64) {
	x0, y0 := r.x, r.y
	for i := 1; i <= segments; i++ {
		t := float64(i) / segments
		u := 1 - t
		r.line(u*u*u*x0+3*u*u*t*x1+3*u*t*t*x2+t*t*t*x, u*u*u*y0+3*u*u*t*y1+3*u*t*t*y2+t*t*t*y)
	}
	r.hx, r.hy = x2, y2
}

func (r *svgReader) quadratic(x1, y1, x, y float64) {
	x0, y0 := r.x, r.y
	r.cubic(x0+2.0/3*(x1-x0), y0+2.0/3*(y1-y0), x+2.0/3*(x1-x), y+2.0/3*(y1-y), x, y)
	r.hx, r.hy = x1, y1
}

// arc draws a part of an ellipse from the pen to (x, y); SVG 1.1, appendix F.6.
func (r *svgReader) arc(rx, ry, degrees float64, large, sweep bool, x, y float64) {
	rx, ry = math.Abs(rx), math.Abs(ry)
	if rx == 0 || ry == 0 || x == r.x && y == r.y {
		r.line(x, y)
		return
	}
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	dx, dy := (r.x-x)/2, (r.y-y)/2
	px, py := cos*dx+sin*dy, cos*dy-sin*dx
	if k := px*px/(rx*rx) + py*py/(ry*ry); k > 1 { // too small to reach: as large as needed
		rx, ry = rx*math.Sqrt(k), ry*math.Sqrt(k)
	}
	f := math.Sqrt(max(0, (rx*rx*ry*ry-rx*rx*py*py-ry*ry*px*px)/(rx*rx*py*py+ry*ry*px*px)))
	if large == sweep {
		f = -f
	}
	qx, qy := f*rx*py/ry, -f*ry*px/rx
	cx, cy := cos*qx-sin*qy+(r.x+x)/2, sin*qx+cos*qy+(r.y+y)/2
	from := math.Atan2((py-qy)/ry, (px-qx)/rx)
	way := math.Atan2((-py-qy)/ry, (-px-qx)/rx) - from
	if sweep && way < 0 {
		way += 2 * math.Pi
	} else if !sweep && way > 0 {
		way -= 2 * math.Pi
	}
	for i := 1; i < segments; i++ {
		s, c := math.Sincos(from + way*float64(i)/segments)
		r.line(cx+cos*rx*c-sin*ry*s, cy+sin*rx*c+cos*ry*s)
	}
	r.line(x, y)
}

// close ends a ring; one of fewer than three points encloses nothing.
func (r *svgReader) close() {
	if len(r.ring) >= 6 && !onOneLine(r.ring) {
		r.rings = append(r.rings, r.ring)
	}
	r.ring = nil
}

func (r *svgReader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n,", r.text[r.at]) >= 0 {
		r.at++
	}
}

// numbers reads n numbers; the flags of an arc may stand without a space.
func (r *svgReader) numbers(n int, command byte) ([]float64, error) {
	var out []float64
	for i := range n {
		r.space()
		start := r.at
		flag := command == 'A' && (i == 3 || i == 4)
		if flag {
			if r.at < len(r.text) && (r.text[r.at] == '0' || r.text[r.at] == '1') {
				r.at++
			}
		} else {
			r.number()
		}
		f, err := strconv.ParseFloat(r.text[start:r.at], 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			if start >= len(r.text) {
				return nil, fmt.Errorf("%c needs %d numbers, and has %d before the path's end", command, n, i)
			}
			return nil, fmt.Errorf("%c needs %d numbers, and has %d before %q (character %d)", command, n, i,
				r.text[start:min(len(r.text), start+12)], start+1)
		}
		out = append(out, f)
	}
	return out, nil
}

// number moves over a number: a sign, digits with at most one point, an exponent.
func (r *svgReader) number() {
	digits := func() {
		for r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9' {
			r.at++
		}
	}
	sign := func() {
		if r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
	}
	sign()
	digits()
	if r.at < len(r.text) && r.text[r.at] == '.' {
		r.at++
		digits()
	}
	if r.at < len(r.text) && (r.text[r.at] == 'e' || r.text[r.at] == 'E') {
		r.at++
		sign()
		digits()
	}
}
