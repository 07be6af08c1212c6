package edit

import (
	"bytes"
	"fmt"
)

// points finds a polygon that is written point by point, and returns where each point stands.
func (t *Text) points(address, attribute string) ([]Span, error) {
	_, a, err := t.find(address, attribute)
	if err != nil {
		return nil, err
	}
	if a == nil || a.Shape == nil || a.Shape.Call != "polygon" {
		return nil, &DerivedError{address, attribute, -1, textOf(a), refsOf(a)}
	}
	var out []Span
	for i := 0; i+1 < len(a.Shape.Slots); i += 2 {
		x, y := a.Shape.Slots[i], a.Shape.Slots[i+1]
		out = append(out, Span{bytes.LastIndexByte(t.src[:x.From], '['), y.To + bytes.IndexByte(t.src[y.To:], ']') + 1})
	}
	return out, nil
}

// AddPoint writes a point of a polygon behind the point of a number.
func (t *Text) AddPoint(address, attribute string, behind int, numbers [2]string) ([]byte, error) {
	list, err := t.points(address, attribute)
	if err != nil {
		return nil, err
	}
	if behind < 0 || behind >= len(list) {
		return nil, fmt.Errorf("%s.%s has %d points", address, attribute, len(list))
	}
	for _, n := range numbers {
		if err := isNumber(n); err != nil {
			return nil, err
		}
	}
	at := list[behind].To
	return t.checked(splice(t.src, Span{at, at}, ", ["+numbers[0]+", "+numbers[1]+"]"))
}

// RemovePoint removes a point of a polygon that has more than three.
func (t *Text) RemovePoint(address, attribute string, point int) ([]byte, error) {
	list, err := t.points(address, attribute)
	if err != nil {
		return nil, err
	}
	if point < 0 || point >= len(list) {
		return nil, fmt.Errorf("%s.%s has %d points", address, attribute, len(list))
	}
	if len(list) == 3 {
		return nil, fmt.Errorf("%s.%s has three points, and a polygon needs them", address, attribute)
	}
	gone := Span{list[point].From, list[point].To}
	if point+1 < len(list) {
		gone.To = list[point+1].From
	} else {
		gone.From = list[point-1].To
	}
	return t.checked(splice(t.src, gone, ""))
}
