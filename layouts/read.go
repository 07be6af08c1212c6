package layouts

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/eligen/eligen"
)

// A Source is a file to read, and how to open those next to it.
type Source struct {
	Name string // for messages, and for the scene's name
	Data []byte
	// Open reads a file by its path from the folder of the source, with at most MaxBytes. It may
	// leave that folder by "..". nil: there are no others.
	Open func(name string) ([]byte, error)
}

// A format is a form of files.
type format struct {
	name string
	// match says why a file is of this format, or "".
	match func(*content) string
	read  func(*reader) error
}

// A content is a file's text, read as all that it can be.
type content struct {
	*Source
	ext    string
	json   value // of JSON, or of JSON lines as a list
	lines  bool  // JSON lines
	xml    *node // of XML, else nil
	yaml   value // of YAML
	rows   [][]string
	chunks map[string]string // text chunks of a picture
	tail   value             // the JSON list at the end, or at the beginning, of words
	words  string            // those words
	bad    error             // why the file isn't what it seems to be
}

// A reader fills a Reading.
type reader struct {
	*content
	*Reading
	ans    Answer
	conv   boxes
	masked int             // pixels of masks that were decoded
	most   float64         // of the numbers of boxes
	parts  bool            // some of those numbers are not whole
	took   map[string]bool // flags whose answers were needed
	placed map[string]bool // names of --place that were
}

// Read reads a layout. The error is of a file that can't be read; what is open is in the Reading.
func Read(src Source, a Answer) (*Reading, error) {
	c := open(&src)
	if c.bad != nil {
		return nil, fmt.Errorf("%s: %w", src.Name, c.bad)
	}
	var found *format
	why := ""
	for i := range formats {
		if why = formats[i].match(c); why != "" {
			found = &formats[i]
			break
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s is of no form that eligen knows. It reads: %s", src.Name, Formats())
	}
	r := &reader{content: c, ans: a, took: map[string]bool{}, placed: map[string]bool{},
		Reading: &Reading{File: src.Name, Format: found.name, Why: why, Verdict: Import}}
	r.Convention = Convention{Order: "-", Unit: "none", Origin: "top-left", Beyond: "inside", By: "the format"}
	if err := found.read(r); err != nil {
		return nil, fmt.Errorf("%s, read as %s: %w", src.Name, found.name, err)
	}
	if err := r.finish(); err != nil {
		return nil, fmt.Errorf("%s, read as %s: %w", src.Name, found.name, err)
	}
	return r.Reading, nil
}

// Formats lists the formats' names.
func Formats() string {
	var names []string
	for _, f := range formats {
		if len(names) == 0 || names[len(names)-1] != f.name {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// stem returns the file's name without its endings.
func (c *content) stem() string {
	s := path.Base(strings.ReplaceAll(c.Name, `\`, "/"))
	s = strings.TrimSuffix(s, path.Ext(s))
	for _, end := range []string{".prompt", ".workflow"} {
		s = strings.TrimSuffix(s, end)
	}
	return s
}

// named opens a file that the source names: it must lie in the source's folder, or below.
func (c *content) named(name string) ([]byte, error) {
	name = strings.ReplaceAll(name, `\`, "/")
	clean := path.Clean(name)
	if name == "" || path.IsAbs(name) || strings.Contains(name, ":") || clean == ".." || strings.HasPrefix(clean, "../") {
		return nil, fmt.Errorf("%q leads out of the file's folder", name)
	}
	return c.beside(name)
}

// beside opens a file by a path from the source's folder.
func (c *content) beside(name string) ([]byte, error) {
	if c.Open == nil {
		return nil, errors.New("no files are next to it")
	}
	return c.Open(path.Clean(name))
}

// plainName reports whether a name is of a file, and leads nowhere.
func plainName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, `/\:`)
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// tidy puts words on one line.
func tidy(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// boxes is how four numbers are a box.
type boxes struct {
	order string  // xyxy, yxyx, xywh, cxcywh, xxyy
	unit  float64 // what is the whole canvas: 1, 100, 1000; 0: pixels
}

var orders = map[string]string{
	"xyxy": "x0 y0 x1 y1", "yxyx": "y0 x0 y1 x1", "xywh": "left top width height",
	"cxcywh": "cx cy width height", "xxyy": "x0 x1 y0 y1", "yyxx": "y0 y1 x0 x1",
}

var units = map[string]float64{"px": 0, "1": 1, "90": 90, "100": 100, "1000": 1000}

func unitName(u float64) string {
	switch u {
	case 0:
		return "px"
	case 1:
		return "fraction"
	case 100:
		return "percent"
	}
	return "1/" + strconv.FormatFloat(u, 'f', -1, 64)
}

// ParseConvention reads --convention: an order, a unit, or both, as "yxyx/1000".
func ParseConvention(s string) (order string, unit float64, err error) {
	unit = -1
	order, after, both := strings.Cut(s, "/")
	if u, ok := units[order]; ok && !both {
		return "", u, nil
	}
	switch order {
	case "ltwh", "corner":
		order = "xywh"
	case "centre", "center":
		order = "cxcywh"
	}
	if _, ok := orders[order]; !ok {
		return "", 0, fmt.Errorf("no convention %q: pass xyxy, yxyx, xywh, cxcywh, xxyy or yyxx, and /px, /1, /100 or /1000", s)
	}
	if both {
		u, ok := units[after]
		if !ok {
			return "", 0, fmt.Errorf("no unit %q: pass px, 1, 100 or 1000", after)
		}
		unit = u
	}
	return order, unit, nil
}

// convention sets how boxes are read, as the format means it or as a flag says.
func (r *reader) convention(order string, unit float64, describe ...string) error {
	r.conv = boxes{order, unit}
	r.Convention.Order, r.Convention.Unit = orders[order], unitName(unit)
	for i, d := range describe {
		if d != "" && i == 0 {
			r.Convention.Order = d
		} else if d != "" {
			r.Convention.Unit = d
		}
	}
	if r.ans.Convention == "" || r.special() {
		return nil
	}
	r.took["convention"] = true
	o, u, err := ParseConvention(r.ans.Convention)
	if err != nil {
		return err
	}
	if o != "" {
		r.conv.order, r.Convention.Order = o, orders[o]
	}
	if u >= 0 {
		r.conv.unit, r.Convention.Unit = u, unitName(u)
	}
	r.Convention.By = "--convention"
	return nil
}

// special reports whether --convention names a layout of the format, and no order of numbers.
func (r *reader) special() bool { return r.ans.Convention == "SR" }

// box returns four numbers as fractions of a canvas. pixels says that the canvas is needed and not known.
func (b boxes) box(n []float64, c *Canvas) (out [4]float64, pixels bool) {
	switch b.order {
	case "xyxy":
		out = [4]float64{n[0], n[1], n[2], n[3]}
	case "yxyx":
		out = [4]float64{n[1], n[0], n[3], n[2]}
	case "xywh":
		out = [4]float64{n[0], n[1], n[0] + n[2], n[1] + n[3]}
	case "cxcywh":
		out = [4]float64{n[0] - n[2]/2, n[1] - n[3]/2, n[0] + n[2]/2, n[1] + n[3]/2}
	case "xxyy":
		out = [4]float64{n[0], n[2], n[1], n[3]}
	case "yyxx":
		out = [4]float64{n[2], n[0], n[3], n[1]}
	}
	switch {
	case b.unit > 0:
		for i := range out {
			out[i] /= b.unit
		}
	case c == nil:
		return out, true
	default:
		for i, side := range []int{c.W, c.H, c.W, c.H} {
			out[i] /= float64(side)
		}
	}
	return out, false
}

// place gives an entity a box. where names it in messages.
func (r *reader) place(e *Entity, n []float64, s *Scene, where string) error {
	for _, v := range n {
		r.most = max(r.most, math.Abs(v))
		r.parts = r.parts || v != math.Trunc(v)
	}
	b, pixels := r.conv.box(n, s.Canvas)
	if b[2] < b[0] || b[3] < b[1] {
		flip := "another order"
		return fmt.Errorf("%s: the box %v ends before it begins, read as %s. Pass --convention with %s",
			where, n, r.Convention.Order, flip)
	}
	if u := r.conv.unit; u > 0 && max(b[0], b[1]) > 1.5 && r.Convention.By != "--convention" {
		return fmt.Errorf("%s: %v lies wholly beyond the canvas, read as %s in %s. Pass --convention with another unit, such as /px",
			where, n, r.Convention.Order, unitName(u))
	}
	e.shape = shape{kind: "box", box: b, pixels: pixels}
	return nil
}

// picks the canvas of --size where the file has none.
func (r *reader) canvas(c *Canvas) *Canvas {
	if c == nil && r.ans.Size != (eligen.Size{}) {
		return &Canvas{r.ans.Size.W, r.ans.Size.H, "--size"}
	}
	return c
}

// polygon gives an entity polygons, in pixels where unit is 0, of a canvas that is known.
func (r *reader) polygon(e *Entity, pieces [][][2]float64, c *Canvas, unit float64) {
	kind := "polygon"
	if len(pieces) > 1 {
		kind = "polygons"
	}
	w, h := unit, unit
	if unit == 0 && c != nil {
		w, h = float64(c.W), float64(c.H)
	} else if unit == 0 {
		w, h = 1, 1
	}
	out := make([][][2]float64, len(pieces))
	for i, p := range pieces {
		for _, at := range p {
			out[i] = append(out[i], [2]float64{at[0] / w, at[1] / h})
		}
	}
	e.shape = shape{kind: kind, pieces: out, pixels: unit == 0 && c == nil}
}

// pairs returns a flat list of coordinates as points.
func pairs(n []float64) [][2]float64 {
	var out [][2]float64
	for i := 0; i+1 < len(n); i += 2 {
		out = append(out, [2]float64{n[i], n[i+1]})
	}
	return out
}

// bounds returns the box around points.
func bounds(pieces [][][2]float64) (b [4]float64) {
	b = [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, p := range pieces {
		for _, at := range p {
			b = [4]float64{min(b[0], at[0]), min(b[1], at[1]), max(b[2], at[0]), max(b[3], at[1])}
		}
	}
	if b[0] > b[2] {
		return [4]float64{}
	}
	return b
}

func cut(b [4]float64) [4]float64 {
	for i := range b {
		b[i] = min(max(b[i], 0), 1)
	}
	return b
}

func area(b [4]float64) float64 { return max(0, b[2]-b[0]) * max(0, b[3]-b[1]) }
