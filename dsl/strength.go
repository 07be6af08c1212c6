package dsl

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/eligen/eligen"
)

var strengthGrammar = &grammar{what: "a schedule", optional: []string{"strength", "blocks"},
	inside: map[string]string{"steps": "sampler", "shift": "sampler"}}

// maxBlock is a number that no model's block has.
const maxBlock = 9999

// strengths reads the block that says how entities' strength goes along the steps, and in which blocks of the model they act.
func (b *body) strengths(into **eligen.StrengthSchedule) {
	block := b.inner("schedule")
	if block == nil {
		return
	}
	s := b.child(block, strengthGrammar)
	defer func() { b.failed = b.failed || s.failed }()
	out := &eligen.StrengthSchedule{Source: b.l.source(s.rng), At: b.at}
	const want = "a list of points, each a progress and a factor, as [[0, 1], [0.6, 1], [1, 0]]"
	values, places, ok := s.elements("strength", want)
	for i, v := range values {
		p, sound := s.point(v, places[i], want)
		if n := len(out.Strength); sound && n > 0 && p[0] < out.Strength[n-1][0] {
			s.errorf(places[i], outOfRange, "Progress ascends from point to point; %s comes behind %s.", plainFloat(p[0]),
				plainFloat(out.Strength[n-1][0]))
		}
		if sound {
			out.Strength = append(out.Strength, p)
		}
	}
	if ok && len(values) == 0 {
		s.errorf(s.place("strength"), empty, "\"strength\" must be %s; this list is empty.", want)
	}
	if text, ok := s.text("blocks"); ok {
		first, last, several := strings.Cut(text, "-")
		if !several {
			last = first
		}
		from, err := strconv.Atoi(strings.TrimSpace(first))
		to, err2 := strconv.Atoi(strings.TrimSpace(last))
		if err != nil || err2 != nil || from < 0 || to < from || to > maxBlock {
			s.errorf(s.place("blocks"), outOfRange,
				"\"blocks\" must be the first and the last block, counted from 0, as \"0-18\"; this is %q.", text)
		} else {
			out.Blocks = &[2]int{from, to}
		}
	}
	if !s.has("strength") && !s.has("blocks") {
		s.errorf(s.rng, missing, "A schedule says when entities act, by \"strength\", or where, by \"blocks\"; this one says neither.")
	}
	*into = out
}

// point reads a point of a schedule.
func (b *body) point(v cty.Value, at hcl.Range, want string) (p [2]float64, ok bool) {
	if !v.IsWhollyKnown() {
		return p, false
	}
	ty := v.Type()
	if v.IsNull() || !ty.IsTupleType() && !ty.IsListType() || v.LengthInt() != 2 {
		b.errorf(at, wrongType, "\"strength\" must be %s; %s is no point.", want, short(v))
		return p, false
	}
	for i, limit := range []float64{1, 1000} {
		n := v.Index(cty.NumberIntVal(int64(i)))
		if n.IsNull() || n.Type() != cty.Number {
			b.errorf(at, wrongType, "\"strength\" must be %s; %s is no point.", want, short(v))
			return p, false
		}
		p[i], _ = n.AsBigFloat().Float64()
		if !(p[i] >= 0 && p[i] <= limit) {
			b.errorf(at, outOfRange, "The %s of a point is from 0 to %s; this is %s.", []string{"progress", "factor"}[i], plainFloat(limit),
				plainFloat(p[i]))
			return p, false
		}
	}
	return p, true
}
