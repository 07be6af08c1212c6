package planner

import (
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/denoise"
)

// scheduleOf returns how an entity's strength goes along the steps; nil where it stays the same.
func (w *work) scheduleOf(e entity) *eligen.StrengthSchedule {
	if e.Schedule != nil {
		return e.Schedule
	}
	return w.render.Schedule
}

// acts returns an entity's factors of strength in each step, and the first and the last block in which it acts; nil where that
// is 1, and all.
func (w *work) acts(e entity) (factors []float32, blocks []int) {
	s := w.scheduleOf(e)
	if s == nil {
		return nil, nil
	}
	if b := s.Blocks; b != nil && (b[0] > 0 || w.spec.Blocks < 0 || b[1] < w.spec.Blocks-1) {
		blocks = b[:]
	}
	return s.Factors(w.stepsOf(w.schedule)), blocks
}

// scheduled returns what a picture says of an entity's schedule.
func (w *work) scheduled(e entity) string {
	if factors, blocks := w.acts(e); factors == nil && blocks == nil {
		return ""
	}
	return w.scheduleOf(e).String()
}

// strengths judges schedules of strength.
func (jd *judge) strengths(w *work) {
	r := w.render
	if r.Schedule != nil && len(w.entities) == 0 {
		jd.diags.Warnf(r.Where("schedule"), noEffect, "schedule is about entities, and %s has none.", r.Address)
		return
	}
	for _, e := range w.entities {
		s, at := w.scheduleOf(e), r.Where
		if s == nil {
			continue
		}
		if e.Schedule != nil {
			at = e.Where
		}
		steps := w.stepsOf(w.schedule)
		factors := s.Factors(steps)
		switch b := s.Blocks; {
		case w.spec.Blocks == 0:
			jd.once(at("schedule"), notApplicable, "Models of the family %s have entities act in all steps and blocks. Remove schedule.",
				w.spec.Family)
		case b != nil && w.spec.Blocks > 0 && b[1] >= w.spec.Blocks:
			jd.once(at("schedule.blocks"), outOfRange, "This model has the blocks 0 to %d; there is no block %d.", w.spec.Blocks-1, b[1])
		case w.tea != 0 && factors != nil:
			jd.once(at("schedule"), notApplicable, "tea_cache compares steps that have the same entities, and with this schedule they come and "+
				"go. Remove one of the two.")
		case factors != nil && !slices.ContainsFunc(factors, func(f float32) bool { return f != 0 }):
			jd.once(at("schedule.strength"), outOfRange, "This schedule is 0 in all %d steps of %s. To leave an entity out, remove it from the "+
				"render's entities.", steps, r.Address)
		}
	}
}

// stepsOf returns how many steps a schedule of noise has.
func (w *work) stepsOf(s denoise.Schedule) int {
	sigmas, err := s.Sigmas(w.tokens())
	if err != nil { // which is reported
		return s.Steps
	}
	return len(sigmas) - 1
}
