package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// onCanvas reports whether something of an entity's region can be seen: it complains
// about a region outside the canvas, and warns of one that is cut off. What a timeline
// moves may be anywhere.
func (jd *judge) onCanvas(w *work, e *entity) bool {
	at, pixels, problem := e.Region.Box()
	if problem != "" || pixels && !w.sizeOK() || e.Region.Kind == "image" || moves(w.render.Clip, e.Address) {
		return true
	}
	right, bottom, unit := 1.0, 1.0, "the canvas, which reaches from 0 to 1"
	if pixels {
		right, bottom = float64(w.size.W), float64(w.size.H)
		unit = fmt.Sprintf("the canvas of %s, which has %d×%d pixels", w.render.Address, w.size.W, w.size.H)
		if w.render.Size == (eligen.Size{}) {
			unit += ", the model's own size"
		}
	}
	where := "This shape reaches " + reach(at, pixels)
	hint := unitHint(e.Region)
	const slack = 1e-9
	switch {
	case at[2] <= 0 || at[3] <= 0 || at[0] >= right || at[1] >= bottom:
		if hint == "" {
			hint = " Move it, or remove the entity. A timeline may move it in."
		}
		jd.ofEach(e, eligen.Error, "Region outside the canvas", fmt.Sprintf("%s, outside %s.%s", where, unit, hint))
		return false
	case at[0] < -slack || at[1] < -slack || at[2] > right+slack || at[3] > bottom+slack:
		jd.ofEach(e, eligen.Warning, "Region partly outside the canvas",
			fmt.Sprintf("%s, beyond %s. What is outside is cut off.%s", where, unit, hint))
	}
	return true
}

// A problem of several is one that entities of one block share, and perhaps not all.
type several struct {
	at    int // in the builder's diagnostics
	names []string
}

// ofEach reports a problem with an entity's region, once for the same position and text:
// renders share entities, and entities of a repeated block a line of the scene.
func (p *problems) ofEach(e *entity, severity eligen.Severity, summary, detail string) {
	at := regionAt(e.Entity)
	key := fmt.Sprintf("%s|%s|%s", at, summary, detail)
	s := p.several[key]
	if s == nil {
		s = &several{at: len(p.diags)}
		p.several[key] = s
		p.diags = append(p.diags, eligen.Problem(severity, at, summary, detail))
	}
	if strings.Contains(e.Address, "[") && !slices.Contains(s.names, e.Address) {
		s.names = append(s.names, e.Address)
	}
}

// mostNamed is how many entities of a repeated block one message names.
const mostNamed = 100

// nameSeveral says which entities of a repeated block a problem is one of.
func (p *problems) nameSeveral() {
	for _, s := range p.several {
		names := s.names[:min(len(s.names), mostNamed)]
		last := len(names) - 1
		switch {
		case len(names) == 0:
		case len(s.names) > mostNamed:
			p.diags[s.at].Detail += fmt.Sprintf("\nIn %s, and %d more.", strings.Join(names, ", "), len(s.names)-mostNamed)
		case len(names) == 1:
			p.diags[s.at].Detail += "\nIn " + names[0] + "."
		default:
			p.diags[s.at].Detail += "\nIn " + strings.Join(names[:last], ", ") + " and " + names[last] + "."
		}
	}
}

// reach says how far a box reaches.
func reach(at [4]float64, pixels bool) string {
	unit := ""
	if pixels {
		unit = " pixels"
	}
	return fmt.Sprintf("from %.6g to %.6g%s across and from %.6g to %.6g%[3]s down", at[0], at[2], unit, at[1], at[3])
}

// unitHint guesses that pixels were written as fractions, or fractions as pixels: no
// canvas is wanted five times as large, and no latent looks at the first four pixels.
func unitHint(r eligen.Region) string {
	at, pixels, problem := r.Box()
	switch {
	case problem != "" || r.Kind == "image":
	case !pixels && max(at[2], at[3]) > 4:
		return " If these numbers are pixels, write px( … ) around the shape."
	case pixels && min(at[0], at[1]) >= 0 && max(at[2], at[3]) <= 4:
		return " If these numbers are fractions of the canvas, leave out px( … )."
	}
	return ""
}

// moves reports whether a clip says where an entity is, so that what the entity itself
// says is no frame's.
func moves(c *eligen.Clip, entity string) bool {
	if c == nil {
		return false
	}
	for _, t := range c.Timeline.Tracks {
		if t.Target.Block == entity && t.Target.Attribute != "strength" {
			return true
		}
	}
	return false
}

// maskFits reports whether the masks of a region have the canvas's shape, or say how they
// are laid on it.
func (p *problems) maskFits(w *work, at *eligen.Source, region eligen.Region) bool {
	ok := true
	walk(region, func(part eligen.Region) {
		m := part.Bitmap
		if part.Kind != "image" || m == nil || part.Fit != "" || !ok {
			return
		}
		// Less than a pixel of the mask is rounding.
		if math.Abs(float64(m.W)*float64(w.size.H)-float64(m.H)*float64(w.size.W)) >= float64(max(w.size.W, w.size.H)) {
			ok = false
			p.once(at, "Mask has another shape",
				"This mask has %d×%d pixels, which is another shape than the %d×%d of %s. Say how it is laid over the canvas: image(\"…\", { fit = "+
					"\"stretch\" }), or \"cover\" or \"contain\".",
				m.W, m.H, w.size.W, w.size.H, w.render.Address)
		}
	})
	return ok
}

// keys checks the shapes that a clip's tracks lead its entities through. That they leave
// the canvas is no mistake.
func (p *problems) keys(w *work) {
	for _, t := range w.render.Clip.Timeline.Tracks {
		for _, k := range t.Keys {
			if k.Value.Region.Kind == "" {
				continue
			}
			p.maskFits(w, &k.Source, k.Value.Region)
			if hint := unitHint(k.Value.Region); hint != "" {
				at, pixels, _ := k.Value.Region.Box()
				p.warn(&k.Source, "Unlikely region", "This shape reaches %s.%s", reach(at, pixels), hint)
			}
		}
	}
}

// converted warns of a picture whose colour profile can't be read.
func (p *problems) converted(at *eligen.Source, pic eligen.Picture, consequence string) {
	if pic.Unconverted != "" {
		p.warn(at, "Colours can't be converted", "%s: %s. Its numbers are taken for sRGB, and may %s. Save it in sRGB.",
			pic.Path, pic.Unconverted, consequence)
	}
}
