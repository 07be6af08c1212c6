package planner

import (
	"cmp"
	"math"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/stage/denoise"
)

// sampler fills in how a render is denoised, and reports what can't be.
func (jd *judge) sampler(w *work) {
	jd.steps(w)
	jd.cfg(w)
	jd.negativeEntities(w)
	jd.guidance(w)
	jd.shift(w)
}

func (jd *judge) steps(w *work) {
	r, spec := w.render, w.spec
	steps := spec.Steps
	if len(r.Entities) > 0 {
		steps = spec.StepsWithEntities
	}
	if r.Sampler.Steps != nil {
		steps = *r.Sampler.Steps
	}
	if steps < 1 || steps > eligen.MaxSteps {
		jd.diags.Errorf(r.Where("sampler.steps"), outOfRange, "\"steps\" must be a whole number from 1 to %d, not %d.", eligen.MaxSteps, steps)
	}
	w.schedule = denoise.Schedule{Name: cmp.Or(r.Sampler.Schedule, spec.Schedule, "eligen"), Steps: steps, Strength: 1}
	if least := eligen.LeastSteps(w.schedule.Name); steps > 0 && steps < least {
		d := jd.diags.Errorf(r.Where("sampler.steps"), outOfRange,
			"Schedule %q takes %d steps or more: its last begins where next to no noise is left.", w.schedule.Name, least)
		d.Note(r.At["sampler.schedule"], "the schedule is set here")
	}
}

// cfg fills in classifier-free guidance, and with it the negative branch.
func (jd *judge) cfg(w *work) {
	r, s, spec := w.render, w.render.Sampler, w.spec
	w.cfg = spec.CFG
	if len(r.Entities) > 0 {
		w.cfg = spec.CFGWithEntities
	}
	if r.Transfer != nil && spec.CFGWithSource > 0 {
		w.cfg = spec.CFGWithSource
	}
	if r.Negative != "" || repels(r) {
		w.cfg = max(w.cfg, spec.CFGWithNegative)
	}
	if s.CFG != nil {
		w.cfg = *s.CFG
	}
	if !finite(w.cfg) || w.cfg < 0 {
		jd.diags.Errorf(r.Where("sampler.cfg"), outOfRange, "\"cfg\" must be a finite number of at least 0, not %v.", w.cfg)
		w.cfg = 1
	}
	w.negative = w.guided()
	if r.Negative != "" && !w.negative {
		d := jd.diags.Errorf(r.Where("negative"), "Negative prompt without guidance",
			"A negative prompt acts through classifier-free guidance only, and cfg = 1 turns that off. "+
				"Raise cfg in the sampler block, such as to 3, or remove the negative prompt.")
		d.Note(r.At["sampler.cfg"], "cfg is set here")
	}
}

func (jd *judge) negativeEntities(w *work) {
	r := w.render
	if on := r.Sampler.NegativeEntities; on == nil || !*on {
		return
	}
	w.onBoth = true
	at := r.Where("sampler.negative_entities")
	switch {
	case !w.negative:
		d := jd.diags.Errorf(at, notApplicable,
			"\"negative_entities\" puts the entities' regions on the negative branch, and with cfg = 1 there is none. "+
				"Raise cfg, such as to 3, or remove negative_entities.")
		d.Note(r.At["sampler.cfg"], "cfg is set here")
	case len(r.Entities) == 0:
		jd.diags.Warnf(at, noEffect, "\"negative_entities\" has no effect: %s has no entities.", r.Address)
		w.onBoth = false
	}
}

// guidance fills in the guidance that a model embeds.
func (jd *judge) guidance(w *work) {
	r, given := w.render, w.render.Sampler.Guidance
	if !w.spec.HasGuidance {
		if given != nil {
			jd.diags.Errorf(r.Where("sampler.guidance"), notApplicable,
				"This model has no guidance embedding, so that guidance = %v can't act. Remove it; cfg works with every model.", *given)
		}
		return
	}
	w.guidance = w.spec.Guidance
	if given != nil {
		w.guidance = *given
	}
	if !finite(w.guidance) || w.guidance < 0 {
		jd.diags.Errorf(r.Where("sampler.guidance"), outOfRange, "\"guidance\" must be a finite number of at least 0, not %v.", w.guidance)
		w.guidance = 0
	}
}

// shift fills in the schedule's shift.
func (jd *judge) shift(w *work) {
	r, given, name := w.render, w.render.Sampler.Shift, w.schedule.Name
	at := r.Where("sampler.shift")
	switch {
	case !slices.Contains(eligen.Schedules, name):
		jd.diags.Errorf(r.Where("sampler.schedule"), unknown, "\"schedule\" can be %s, not %q.", words.Quoted(eligen.Schedules, "or"), name)
	case given != nil && !eligen.TakesShift(name):
		d := jd.diags.Errorf(at, notApplicable,
			"Schedule %q computes its own shift, or has none. Remove shift, or set schedule = \"eligen\", which takes one.", name)
		d.Note(r.At["sampler.schedule"], "the schedule is set here")
	case given != nil && !(*given > 0 && *given <= math.MaxFloat32):
		jd.diags.Errorf(at, outOfRange, "\"shift\" must be a finite number greater than 0, not %v.", *given)
	case given != nil:
		w.schedule.Shift = *given
	case name == "eligen":
		w.schedule.Shift = eligen.DefaultShift
	}
}

// tea plans the step cache.
func (jd *judge) tea(w *work) {
	r, s := w.render, w.render.Sampler
	if s.TeaCache == nil || *s.TeaCache == 0 {
		return
	}
	at := r.Where("sampler.tea_cache")
	switch x := *s.TeaCache; {
	case !finite(x) || x < 0:
		jd.diags.Errorf(at, outOfRange, "tea_cache is %v; it must be a finite number, 0 or above.", x)
	case w.spec.LeastTeaCache == 0:
		jd.diags.Errorf(at, notApplicable, "Models of the family %s have no step cache. Remove tea_cache.", w.spec.Family)
	case x <= w.spec.LeastTeaCache:
		jd.diags.Warnf(at, noEffect, "tea_cache = %v reuses no step: what changes from step to step is never estimated below %v. Try 0.2, or "+
			"0.4 for fewer exact steps.", x, w.spec.LeastTeaCache)
	case w.schedule.Steps < 3:
		jd.diags.Warnf(at, noEffect, "tea_cache leaves the first and the last step as they are, and %s has no other.", r.Address)
	default:
		w.tea = x
	}
}
