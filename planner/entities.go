package planner

import (
	"github.com/eligen/eligen"
)

type entity struct {
	*eligen.Entity
	region   eligen.Region // rounded
	covered  int           // image tokens of the region
	tokens   []int32       // those that the render's rule for overlaps leaves to it
	seen     []float32     // of each of tokens, what layers above let through; nil is 1
	strength float64
	outside  bool // the canvas, which was reported
	text     int  // tokens of its prompt
	hard     bool // tokens are others than the region's, and whole
}

func (jd *judge) entities(w *work) {
	r, spec := w.render, w.spec
	if n := spec.MaxEntities; n > 0 && len(r.Entities) > n {
		jd.diags.Errorf(r.Where("entities"), "Too many entities", "%s has %d entities; this model takes %d.", r.Address, len(r.Entities), n)
	}
	for i := range r.Entities {
		e := entity{Entity: &r.Entities[i], strength: r.Entities[i].Strength, text: spec.TextTokens(r.Entities[i].Prompt, spec.EntityPrompt)}
		if _, set := e.At["strength"]; e.strength == 0 && !set {
			e.strength = 1
		}
		if !(e.strength > 0 && finite(e.strength)) {
			jd.diags.Errorf(e.Where("strength"), outOfRange, "The strength of %s is %v; it must be a finite number above 0. 1 is EliGen's own.",
				e.Address, e.strength)
			e.strength = 1
		}
		jd.checkPrompt(e.Where("prompt"), e.Address, e.Prompt, spec, spec.EntityPrompt, false)
		jd.region(w, &e)
		w.entities = append(w.entities, e)
	}
	jd.negatives(w)
	jd.strengths(w)
	jd.feathers(w)
	jd.overlaps(w)
}

// region rounds an entity's region and counts its tokens.
func (jd *judge) region(w *work, e *entity) {
	jd.goOn()
	at := regionAt(e.Entity)
	if e.Region.Kind == "" {
		jd.diags.Errorf(at, missing, "%s says what, but not where. Give it one of `box`, `mask` and `region`.", e.Address)
		return
	}
	if !finiteRegion(e.Region) {
		jd.diags.Errorf(at, outOfRange, "The region of %s holds a number that is not finite.", e.Address)
		return
	}
	e.region = e.Region.Round()
	if e.outside = !jd.onCanvas(w, e); e.outside || !w.sizeOK() || !jd.maskFits(w, at, e.Region) {
		return
	}
	g := w.spec.Geometry
	e.tokens = e.region.Tokens(w.size, g)
	e.covered = len(e.tokens)
	total := g.Tokens(w.size)
	switch n := len(e.tokens); {
	case w.render.Clip != nil: // where the scene has it is no frame
	case n == 0:
		jd.onceOf(e.Entity, "Region covers no image token",
			"The region of %s covers none of the %d image tokens (%[3]d×%[3]d pixels each) of a %[4]d×%[5]d picture, so its prompt has nowhere "+
				"to act. It may lie outside the picture, or between the points at which regions are looked at, %[6]d pixels apart. Make it larger, "+
				"or move it.%[7]s",
			e.Address, total, g.Token(), w.size.W, w.size.H, g.Factor, unitHint(e.Region))
	case n < jd.options.MinTokens:
		jd.warn(at, "Region is small", "The region of %s covers %d of the %d image tokens (%[4]d×%[4]d pixels each) of a %[5]d×%[6]d picture; "+
			"with fewer than %[7]d, an entity is rarely recognisable. Make it larger, or render a larger picture.",
			e.Address, n, total, g.Token(), w.size.W, w.size.H, jd.options.MinTokens)
	default:
		if lost := lostShare(e.region, e.tokens, w.size, g); lost > 0.1 {
			jd.warn(at, "Region has thin parts", "Regions are looked at every %[5]d pixels, and %.0[1]f %% of the region of %s, in parts thinner "+
				"than that, is lost at %d×%d. Make them %[5]d pixels wide or more.",
				100*lost, e.Address, w.size.W, w.size.H, g.Factor)
		}
	}
}
