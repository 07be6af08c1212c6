package planner

import (
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// stacked reports whether a render asks which of two entities is above the other.
func stacked(r *eligen.Render) bool { return r.Overlap == "over" || r.Overlap == "layered" }

// order returns the entities' numbers from the top.
func (jd *judge) order(w *work) []int {
	all := make([]eligen.Entity, len(w.entities))
	for i, e := range w.entities {
		all[i] = *e.Entity
	}
	order, circle := eligen.Stack(all)
	for _, e := range w.entities {
		if len(circle) > 0 && e.Address == circle[0] {
			jd.diags.Errorf(e.Where("occludes"), "Circular reference", "No order has each of these above the next: %s. Remove one of the pairs.",
				strings.Join(append(circle, circle[0]), ", "))
		}
	}
	return order
}

// opacity returns how much an entity hides of what lies below it.
func (e *entity) opacity() float64 {
	if e.Opacity == nil {
		return 1
	}
	return *e.Opacity
}

// transparent reports whether nothing is seen of an entity, wherever it is.
func (w *work) transparent(e entity) bool { return rule(w.render) == "layered" && e.opacity() == 0 }

// layered reports whether attention is in layers: opaque ones are regions that hide one another, which is
// the model's plain attention.
func (w *work) layered() bool {
	return rule(w.render) == "layered" && slices.ContainsFunc(w.entities, func(e entity) bool { return len(e.tokens) > 0 && e.opacity() < 1 })
}

// opacityOf returns what a picture says of an entity's opacity; nil where it is opaque.
func (w *work) opacityOf(e entity) *float64 {
	if rule(w.render) != "layered" || e.opacity() == 1 {
		return nil
	}
	return e.Opacity
}

func opaque(e still.Entity) float64 {
	if e.Opacity == nil {
		return 1
	}
	return *e.Opacity
}

// opacities refuses opacities that are none, and warns of those that the render doesn't ask for.
func (jd *judge) opacities(w *work) {
	for _, e := range w.entities {
		if e.Opacity == nil {
			continue
		}
		if o := *e.Opacity; !(o >= 0 && o <= 1) {
			jd.diags.Errorf(e.Where("opacity"), outOfRange, "The opacity of %s is %v; it must lie between 0, which hides nothing, and 1.",
				e.Address, o)
			e.Opacity = nil
			continue
		}
		if s, ok := e.At["opacity"]; ok && rule(w.render) != "layered" {
			jd.warn(&s, noEffect, "opacity says how much an entity hides of those below it, and %s does not ask: it has overlap = %q. Set "+
				"overlap = \"layered\" there, or remove opacity.", w.render.Address, rule(w.render))
		}
	}
	if c := w.render.Clip; c != nil && !w.moving && rule(w.render) != "layered" {
		for i := range c.Timeline.Tracks {
			if tr := &c.Timeline.Tracks[i]; tr.Target.Attribute == "opacity" {
				jd.warn(&tr.Source, noEffect, "%s moves how much an entity hides of those below it, and %s does not ask: it has overlap = %q. "+
					"Set overlap = \"layered\" there, or remove the track.", tr.Target, w.render.Address, rule(w.render))
			}
		}
	}
}
