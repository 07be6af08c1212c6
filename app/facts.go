package app

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eligen/eligen/stage/still"
)

// factList collects facts.
type factList []fact

func (l *factList) add(name, format string, args ...any) {
	*l = append(*l, fact{name, fmt.Sprintf(format, args...)})
}

// resolvedFacts returns a render with nothing left open, in words. It leaves out the digests of weights.
func resolvedFacts(r still.Resolved) []fact {
	out := factList{{"prompt", strconv.Quote(r.Prompt)}}
	if r.Negative != "" {
		out.add("negative", "%q", r.Negative)
	}
	out.add("size", "[%d, %d]", r.Size.W, r.Size.H)
	out.add("seed", "%d", r.Seed)
	out.add("noise", "%s", r.Noise)
	out.sampling(r)
	out.add("model", "%s %s", r.Model.Family, r.Model.DType)
	out.adapters(r.Adapters)
	if r.Init != nil {
		out.add("init", "%s, strength %g%s", r.Init.Picture.Short(), r.Init.Strength, SeenText(r.Init.Background, ""))
	}
	if p := r.Inpaint; p != nil {
		out.add("inpaint", "%s, %s", p.Picture.Short(), KeepingText(p.Mode, p.Feather, p.Background)+SeenText(p.Colour, p.Profile))
	}
	if t := r.Transfer; t != nil {
		kept := KeepingText(t.Way(), t.Feather, t.Background) + SeenText(t.Colour, t.Profile)
		out.add("transfer", "%s into %s, %s", t.Source.Short(), t.Target.Short(), kept)
	}
	out.entities(r.Entities)
	return out
}

// sampling adds how a render is denoised.
func (l *factList) sampling(r still.Resolved) {
	l.add("steps", "%d", r.Steps)
	l.add("cfg", "%g", r.CFG)
	if r.Guidance != 0 {
		l.add("guidance", "%g", r.Guidance)
	}
	l.add("schedule", "%s", r.Schedule)
	if r.Shift != 0 {
		l.add("shift", "%g", r.Shift)
	}
	if r.NegativeEntities {
		l.add("negative_entities", "true")
	}
	if r.Approximate != nil {
		l.add("approximate", "%v", r.Approximate)
	}
	if r.Overlap != "" && r.Overlap != "blend" {
		l.add("overlap", "%s", r.Overlap)
	}
}

func (l *factList) adapters(adapters []still.Adapter) {
	for i, a := range adapters {
		text := fmt.Sprintf("%s × %g", a.Kind, a.Scale)
		if a.Alpha != "" {
			text += fmt.Sprintf(", alpha %q", a.Alpha)
		}
		for _, p := range a.Pictures {
			text += ", picture " + p.Short()
		}
		l.add(fmt.Sprintf("adapter %d", i+1), "%s", text+SeenText(a.Background, ""))
	}
}

func (l *factList) entities(entities []still.Entity) {
	var list []string
	for _, e := range entities {
		list = append(list, e.Address)
	}
	if len(list) > 0 {
		l.add("entities", "[%s]", strings.Join(list, ", "))
	}
	for _, e := range entities {
		l.add(e.Address+".prompt", "%q", e.Prompt)
		l.add(e.Address+".region", "%s", shorten(e.Region.String()))
		if e.Strength != 1 {
			l.add(e.Address+".strength", "%g", e.Strength)
		}
		if e.Opacity != nil {
			l.add(e.Address+".opacity", "%g", *e.Opacity)
		}
		if e.Negative != "" {
			l.add(e.Address+".negative", "%q", e.Negative)
		}
		if e.AutoNegative {
			l.add(e.Address+".auto_negative", "true")
		}
		if e.Feather != 0 {
			l.add(e.Address+".feather", "%g", e.Feather)
		}
		if e.Schedule != "" {
			l.add(e.Address+".schedule", "%s", e.Schedule)
		}
	}
}

// KeepingText says how the rest of a picture was kept.
func KeepingText(mode string, feather, background float64) string {
	if feather != 0 {
		mode += fmt.Sprintf(", feather %v", feather)
	}
	if background != 0 {
		mode += fmt.Sprintf(", background weight %v", background)
	}
	return mode
}

// SeenText says how a picture from outside was prepared: the background that was put behind it, and the
// profile that its colours were converted from.
func SeenText(background, profile string) (text string) {
	if background != "" {
		text += ", over " + background
	}
	if profile != "" {
		text += ", converted from " + profile
	}
	return text
}
