package app

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eligen/eligen/stage/still"
)

// resolvedFacts is a render with nothing left open, in words. Weights are told by
// digests, elsewhere.
func resolvedFacts(r still.Resolved) []fact {
	out := []fact{{"prompt", strconv.Quote(r.Prompt)}}
	add := func(name, format string, args ...any) { out = append(out, fact{name, fmt.Sprintf(format, args...)}) }
	if r.Negative != "" {
		add("negative", "%q", r.Negative)
	}
	add("size", "[%d, %d]", r.Size.W, r.Size.H)
	add("seed", "%d", r.Seed)
	add("noise", "%s", r.Noise)
	add("steps", "%d", r.Steps)
	add("cfg", "%g", r.CFG)
	if r.Guidance != 0 {
		add("guidance", "%g", r.Guidance)
	}
	add("schedule", "%s", r.Schedule)
	if r.Shift != 0 {
		add("shift", "%g", r.Shift)
	}
	if r.NegativeEntities {
		add("negative_entities", "true")
	}
	if r.Approximate != nil {
		add("approximate", "%v", r.Approximate)
	}
	if r.Overlap != "" && r.Overlap != "blend" {
		add("overlap", "%s", r.Overlap)
	}
	add("model", "%s %s", r.Model.Family, r.Model.DType)
	for i, a := range r.Adapters {
		what := fmt.Sprintf("%s × %g", a.Kind, a.Scale)
		if a.Alpha != "" {
			what += fmt.Sprintf(", alpha %q", a.Alpha)
		}
		for _, p := range a.Pictures {
			what += ", picture " + p.Short()
		}
		what += SeenText(a.Background, "")
		add(fmt.Sprintf("adapter %d", i+1), "%s", what)
	}
	if r.Init != nil {
		add("init", "%s, strength %g%s", r.Init.Picture.Short(), r.Init.Strength, SeenText(r.Init.Background, ""))
	}
	if p := r.Inpaint; p != nil {
		add("inpaint", "%s, %s", p.Picture.Short(), KeepingText(p.Mode, p.Feather, p.Background)+SeenText(p.Colour, p.Profile))
	}
	if t := r.Transfer; t != nil {
		add("transfer", "%s into %s, %s", t.Source.Short(), t.Target.Short(), KeepingText(t.Way(), t.Feather, t.Background)+SeenText(t.Colour, t.Profile))
	}
	var list []string
	for _, e := range r.Entities {
		list = append(list, e.Address)
	}
	if len(list) > 0 {
		add("entities", "[%s]", strings.Join(list, ", "))
	}
	for _, e := range r.Entities {
		add(e.Address+".prompt", "%q", e.Prompt)
		add(e.Address+".region", "%s", shorten(e.Region.String()))
		if e.Strength != 1 {
			add(e.Address+".strength", "%g", e.Strength)
		}
	}
	return out
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

// SeenText says what was done to a picture that was brought in, to be seen: what was put behind it, and
// what its colours were converted from.
func SeenText(background, profile string) (text string) {
	if background != "" {
		text += ", over " + background
	}
	if profile != "" {
		text += ", converted from " + profile
	}
	return text
}
