package layouts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Limits of what is read of a file. Beyond them it is broken, or hostile.
const (
	MaxBytes    = 64 << 20 // of a file
	maxValues   = 2 << 20  // of a tree: values, nodes, attributes
	maxDepth    = 64
	maxScenes   = 20000
	maxEntities = 2000 // of a scene
)

// A value is a tree of JSON, YAML or Python, with members in the file's order. The zero value
// is one that isn't there.
type value struct {
	kind byte // 0 none, 'n' number, 's' string, 'b' boolean, '0' null, 'a' array, 'o' object
	num  string
	str  string
	yes  bool
	arr  []value
	obj  []member
}

type member struct {
	name string
	value
}

var (
	errTooMuch = errors.New("it holds more values than a layout has")
	errTooDeep = errors.New("its values are nested deeper than a layout's")
)

// parseJSON reads one JSON value and what follows it, if anything.
func parseJSON(data []byte) (v value, rest []byte, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	left := maxValues
	v, err = jsonValue(d, 0, &left)
	if err != nil {
		return value{}, nil, err
	}
	return v, data[d.InputOffset():], nil
}

// wholeJSON reads a file that is one JSON value.
func wholeJSON(data []byte) (value, error) {
	v, rest, err := parseJSON(data)
	if err == nil && len(bytes.TrimSpace(rest)) > 0 {
		err = errors.New("something follows the JSON value")
	}
	return v, err
}

func jsonValue(d *json.Decoder, depth int, left *int) (value, error) {
	if depth > maxDepth {
		return value{}, errTooDeep
	}
	if *left--; *left < 0 {
		return value{}, errTooMuch
	}
	t, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch t := t.(type) {
	case json.Delim:
		return jsonGroup(d, t, depth, left)
	case json.Number:
		return value{kind: 'n', num: t.String()}, nil
	case string:
		return value{kind: 's', str: t}, nil
	case bool:
		return value{kind: 'b', yes: t}, nil
	}
	return value{kind: '0'}, nil
}

func jsonGroup(d *json.Decoder, open json.Delim, depth int, left *int) (value, error) {
	v := value{kind: 'a'}
	if open == '{' {
		v.kind = 'o'
	}
	for d.More() {
		name := ""
		if v.kind == 'o' {
			t, err := d.Token()
			if err != nil {
				return value{}, err
			}
			name, _ = t.(string)
		}
		e, err := jsonValue(d, depth+1, left)
		if err != nil {
			return value{}, err
		}
		if v.kind == 'o' {
			v.obj = append(v.obj, member{name, e})
		} else {
			v.arr = append(v.arr, e)
		}
	}
	_, err := d.Token() // the end
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

// get returns a member of an object: of several, the last, as Python does.
func (v value) get(name string) value {
	for i := len(v.obj) - 1; i >= 0; i-- {
		if v.obj[i].name == name {
			return v.obj[i].value
		}
	}
	return value{}
}

// has reports whether an object has all of these members.
func (v value) has(names ...string) bool {
	for _, n := range names {
		if v.get(n).kind == 0 {
			return false
		}
	}
	return len(names) > 0
}

func (v value) isList() bool { return v.kind == 'a' }
func (v value) isObj() bool  { return v.kind == 'o' }

// null reports whether there is nothing, or null.
func (v value) null() bool { return v.kind == 0 || v.kind == '0' }

// text returns a string, or a number as it is written; "" of others.
func (v value) text() string {
	switch v.kind {
	case 's':
		return v.str
	case 'n':
		return v.num
	}
	return ""
}

// number returns a finite number, of a string too.
func (v value) number() (float64, bool) {
	s := v.num
	if v.kind == 's' {
		s = v.str
	} else if v.kind != 'n' {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && math.Abs(f) < 1e12
}

// integer returns a whole number.
func (v value) integer() (int, bool) {
	f, ok := v.number()
	return int(f), ok && f == math.Trunc(f) && math.Abs(f) < 1<<52
}

// numbers returns a list of n numbers; n < 0: of any count.
func (v value) numbers(n int) ([]float64, bool) {
	if v.kind != 'a' || n >= 0 && len(v.arr) != n {
		return nil, false
	}
	out := make([]float64, len(v.arr))
	for i, e := range v.arr {
		f, ok := e.number()
		if !ok || e.kind != 'n' {
			return nil, false
		}
		out[i] = f
	}
	return out, true
}

// seed returns a seed of 64 bits.
func (v value) seed() *uint64 {
	n, err := strconv.ParseUint(v.text(), 10, 64)
	if err != nil {
		f, ok := v.number()
		if !ok || f < 0 || f != math.Trunc(f) || f >= 1<<63 {
			return nil
		}
		n = uint64(f)
	}
	return &n
}

func (v value) intPtr() *int {
	if n, ok := v.integer(); ok {
		return &n
	}
	return nil
}

func (v value) floatPtr() *float64 {
	if f, ok := v.number(); ok {
		f = round4(f)
		return &f
	}
	return nil
}

// words returns a string's pointer, nil where there are no words.
func (v value) words() *string {
	s := v.text()
	if blank(s) {
		return nil
	}
	return &s
}

// size returns a width and a height that a canvas can have.
func sizeOf(w, h value) (*Canvas, error) {
	if w.null() && h.null() {
		return nil, nil
	}
	x, ok := w.integer()
	y, also := h.integer()
	if !ok || !also || x < 1 || y < 1 || x > 1<<16 || y > 1<<16 {
		return nil, fmt.Errorf("the size %s×%s is none", w.text(), h.text())
	}
	return &Canvas{x, y, "file"}, nil
}

// plain turns a value into what encoding/json writes in the same order of members.
func (v value) plain() any {
	switch v.kind {
	case 'n':
		return json.Number(v.num)
	case 's':
		return v.str
	case 'b':
		return v.yes
	case 'a':
		out := []any{}
		for _, e := range v.arr {
			out = append(out, e.plain())
		}
		return out
	case 'o':
		out := map[string]any{}
		for _, m := range v.obj {
			out[m.name] = m.plain()
		}
		return out
	}
	return nil
}

// others returns the names of an object's members that are not among the known ones.
func (v value) others(known ...string) []string {
	var out []string
next:
	for _, m := range v.obj {
		for _, k := range known {
			if m.name == k {
				continue next
			}
		}
		out = append(out, m.name)
	}
	return out
}
