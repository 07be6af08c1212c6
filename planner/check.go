package planner

import (
	"fmt"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/measure"
)

// check plans what a check measures. One whose renders are not all planned, since
// others were asked for, is left out and told of.
func (b *builder) check(c *eligen.Check, works []*work) {
	find := func(address string) *work {
		i := slices.IndexFunc(works, func(w *work) bool { return w.render.Address == address })
		if i < 0 {
			return nil
		}
		return works[i]
	}
	for _, a := range c.Asserts {
		for _, m := range a.Metrics {
			for _, address := range []string{m.Render, m.Other} {
				if address != "" && find(address) == nil {
					b.diags.Warnf(&c.Source, "Check is left out", "%s measures %s, which is not among the renders that were asked for.", c.Address,
						address)
					return
				}
			}
		}
	}
	planned := eligen.PlannedCheck{Check: c}
	for _, a := range c.Asserts {
		var refs []eligen.Ref
		for _, m := range a.Metrics {
			ref, ok := b.metric(m, find(m.Render), find(m.Other))
			if !ok {
				return
			}
			refs = append(refs, ref)
		}
		planned.Values = append(planned.Values, refs)
	}
	b.plan.Checks = append(b.plan.Checks, planned)
}

// metric plans one measurement.
func (b *builder) metric(m eligen.MetricCall, w, other *work) (eligen.Ref, bool) {
	op := measure.Op{Metric: m.Name}
	name := fmt.Sprintf("%s.%s", m.Render, m.Name)
	inputs := []eligen.Ref{w.picture}
	switch m.Name {
	case "psnr":
		size := eligen.Size{}
		if m.Picture != nil {
			op.Picture, op.Path, size = m.Picture.Digest, m.Picture.Path, m.Picture.Size
			b.converted(&m.Source, *m.Picture, "measure wrong")
		} else {
			inputs, size = append(inputs, other.picture), other.size
		}
		if size != w.size {
			b.diags.Errorf(&m.Source, "Pictures differ in size",
				"%s has %d×%d pixels, and what it is compared with %d×%d. A PSNR needs equal sizes.",
				m.Render, w.size.W, w.size.H, size.W, size.H)
			return 0, false
		}
	default:
		op.Entity = slices.IndexFunc(w.entities, func(e entity) bool { return e.Address == m.Entity })
		if op.Entity < 0 {
			b.diags.Errorf(&m.Source, "Entity is not drawn", "%s is not among the entities of %s.", m.Entity, m.Render)
			return 0, false
		}
		for _, e := range w.entities {
			op.Regions = append(op.Regions, e.region)
		}
		name += "." + m.Entity
		if m.Name == "locality" {
			inputs = append(inputs, b.without(w, op.Entity))
		}
	}
	return b.add(w, name, m.Source, op, inputs...), true
}

// without plans a render's picture again, with an empty prompt in place of an
// entity's: the same noise, the same regions.
func (b *builder) without(w *work, k int) eligen.Ref {
	s, e := w.spec, w.entities[k]
	prompts := slices.Clone(w.entityPrompts)
	prompts[k] = b.add(w, w.render.Address+".empty", *e.Where("prompt"), promptOp(s, "", s.EntityPrompt))
	return b.decoded(w, prompts, ".without."+e.Address)
}
