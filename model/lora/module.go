package lora

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eligen/eligen/internal/tensor"
)

// changes turns a module's tensors into what they do to its weight and to its bias.
func (m *module) changes() (list []*change, err error) {
	left := maps.Clone(m.by)
	delete(left, alphaRole)
	take := func(role string) (tensor.Info, bool) {
		t, ok := left[role]
		delete(left, role)
		return t, ok
	}
	of := func(name, role string, d delta, rank int) *change {
		c := &change{target: m.target, name: name, stem: m.stem, delta: d, role: role, alpha: m.alpha, rank: rank}
		list = append(list, c)
		return c
	}
	var main *change
	d, rank, role, err := m.matrix(take)
	if err != nil {
		return nil, err
	}
	if d != nil {
		main = of(m.weight(), role, d, rank)
	}
	if t, ok := take(upBias); ok {
		if main == nil || role != down {
			return nil, fmt.Errorf("%s has no factors next to it", t.Name)
		}
		of(m.bias(), upBias, whole{t}, rank)
	}
	if t, ok := take(diff); ok {
		of(m.weight(), diff, whole{t}, 0)
	}
	if t, ok := take(diffBias); ok {
		of(m.bias(), diffBias, whole{t}, 0)
	}
	for _, role := range []string{rowNorms, doraScale} {
		t, ok := take(role)
		if !ok {
			continue
		}
		if main == nil || main.norms != nil {
			return nil, fmt.Errorf("%s has no factors next to it", t.Name)
		}
		if main.norms, err = normsOf(t, role == rowNorms, d); err != nil {
			return nil, err
		}
	}
	for _, role := range slices.Sorted(maps.Keys(left)) {
		return nil, fmt.Errorf("%s has not all of its factors: there is only %s", m.stem, left[role].Name)
	}
	return list, nil
}

// bias names the module's bias.
func (m *module) bias() string { return m.module.BFL + ".bias" }

// matrix returns the module's factors, of whatever kind, and the rank that alpha belongs to; 0 for
// none. d is nil where the module has no factors.
func (m *module) matrix(take func(role string) (tensor.Info, bool)) (d delta, rank int, role string, err error) {
	has := func(roles ...string) bool {
		return !slices.ContainsFunc(roles, func(role string) bool { _, ok := m.by[role]; return !ok })
	}
	all := func(roles ...string) (list []tensor.Info) {
		for _, role := range roles {
			t, _ := take(role)
			list = append(list, t)
		}
		return list
	}
	_, a := m.by[down]
	_, b := m.by[up]
	switch {
	case a != b:
		return nil, 0, "", fmt.Errorf("%s has only one of its two factors", m.stem)
	case a:
		t := all(down, up)
		if err := multiply(m.stem, t[0], t[1]); err != nil {
			return nil, 0, "", err
		}
		return plain{t[0], t[1]}, t[0].Shape[0], down, nil
	case has("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"):
		t := all("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
		if err := multiply(m.stem, t[1], t[0]); err != nil {
			return nil, 0, "", err
		}
		if err := multiply(m.stem, t[3], t[2]); err != nil {
			return nil, 0, "", err
		}
		d := loha{t[0], t[1], t[2], t[3]}
		other := plain{t[3], t[2]}
		if out, in := d.shape(); out != first(other.shape()) || in != second(other.shape()) {
			return nil, 0, "", fmt.Errorf("%s: the two products of its LoHa have other shapes", m.stem)
		}
		return d, t[1].Shape[0], "hada", nil
	}
	w1, ok1, err := m.half("lokr_w1", take)
	if err != nil {
		return nil, 0, "", err
	}
	w2, ok2, err := m.half("lokr_w2", take)
	if err != nil {
		return nil, 0, "", err
	}
	if ok1 != ok2 {
		return nil, 0, "", fmt.Errorf("%s has only one of its two factors", m.stem)
	}
	if !ok1 {
		return nil, 0, "", nil
	}
	for _, w := range []half{w1, w2} {
		if w.split() {
			rank = w.b.Shape[0]
		}
	}
	return lokr{w1, w2}, rank, "lokr", nil
}

func first(a, _ int) int { return a }

func second(_, b int) int { return b }

// half takes one factor of a LoKr.
func (m *module) half(name string, take func(role string) (tensor.Info, bool)) (h half, ok bool, err error) {
	var a, b bool
	h.whole, ok = take(name)
	h.a, a = take(name + "_a")
	h.b, b = take(name + "_b")
	switch {
	case a != b:
		return h, false, fmt.Errorf("%s has only one of the two parts of %s", m.stem, name)
	case ok && a:
		return h, false, fmt.Errorf("%s has %s whole and in two parts", m.stem, name)
	case ok:
		return h, true, matrices(h.whole)
	case a:
		return h, true, multiply(m.stem, h.b, h.a)
	}
	return h, false, nil
}

// multiply checks that a [rank, in] and b [out, rank] can be multiplied.
func multiply(stem string, a, b tensor.Info) error {
	if err := matrices(a, b); err != nil {
		return err
	}
	rank, _, _ := matrix(a.Shape)
	if _, other, _ := matrix(b.Shape); rank != other {
		return fmt.Errorf("%s: the two factors have the ranks %d and %d", stem, rank, other)
	}
	return nil
}

// normsOf reads the magnitudes of a DoRA: one a row, or, of shape [1, in], one a column.
func normsOf(t tensor.Info, peft bool, d delta) (*norms, error) {
	out, in := d.shape()
	shape := t.Shape
	for len(shape) > 2 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	switch {
	case len(shape) == 1 && shape[0] == out, len(shape) == 2 && shape[0] == out && shape[1] == 1:
		return &norms{t: t, peft: peft}, nil
	case len(shape) == 2 && shape[0] == 1 && shape[1] == in && !peft:
		return &norms{t: t, columns: true}, nil
	}
	return nil, fmt.Errorf("%s has shape %v, expected [%d 1] or [1 %d]", t.Name, t.Shape, out, in)
}
