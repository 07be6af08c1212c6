package planner

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// Resolved are a plan's renders with nothing left open, each once.
func Resolved(p *eligen.Plan) []still.Resolved {
	var out []still.Resolved
	for _, g := range renders(p) {
		out = append(out, g.resolved)
	}
	return out
}

// Changes is what is different between two runs of a render, in the scene's words:
// what a picture is made again for.
func Changes(old, now still.Resolved) []string {
	var out []string
	say := func(address, format string, args ...any) {
		line := address + ": " + fmt.Sprintf(format, args...)
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	render := func(what string, a, b any) {
		if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
			say(now.Render, "%s %s → %s", what, x, y)
		}
	}
	if old.Prompt != now.Prompt {
		say(now.Render, "prompt changed")
	}
	if old.Negative != now.Negative {
		say(now.Render, "negative changed")
	}
	render("size", side(old.Size), side(now.Size))
	render("seed", old.Seed, now.Seed)
	render("noise", old.Noise, now.Noise)
	render("steps", old.Steps, now.Steps)
	render("cfg", old.CFG, now.CFG)
	render("guidance", old.Guidance, now.Guidance)
	render("schedule", old.Schedule, now.Schedule)
	render("shift", old.Shift, now.Shift)
	render("negative_entities", old.NegativeEntities, now.NegativeEntities)
	if was, is := either(old.Approximate.String(), "exact"), either(now.Approximate.String(), "exact"); was != is {
		say(now.Render, "%s → %s", was, is)
	}
	render("overlap", either(old.Overlap, "blend"), either(now.Overlap, "blend"))
	render("model", old.Model.Family+" "+old.Model.DType, now.Model.Family+" "+now.Model.DType)
	if old.Model.Family == now.Model.Family && old.Model.DType == now.Model.DType {
		for _, part := range []struct {
			name     string
			old, now eligen.Digest
		}{{"text encoders", old.Model.Text, now.Model.Text}, {"transformer", old.Model.Transformer, now.Model.Transformer},
			{"autoencoder", old.Model.Autoencoder, now.Model.Autoencoder}} {
			if part.old != part.now {
				say(now.Render, "model has another %s", strings.TrimSuffix(part.name, "s"))
			}
		}
	}
	if !slices.EqualFunc(old.Adapters, now.Adapters, func(a, b still.Adapter) bool { return reflect.DeepEqual(a, b) }) {
		say(now.Render, "adapters changed")
	}
	switch {
	case (old.Init == nil) != (now.Init == nil):
		say(now.Render, "init %s", map[bool]string{true: "added", false: "removed"}[old.Init == nil])
	case now.Init != nil && *old.Init != *now.Init:
		say(now.Render, "init changed")
	}
	switch {
	case (old.Inpaint == nil) != (now.Inpaint == nil):
		say(now.Render, "inpaint %s", map[bool]string{true: "added", false: "removed"}[old.Inpaint == nil])
	case now.Inpaint != nil && *old.Inpaint != *now.Inpaint:
		say(now.Render, "inpaint changed")
	}
	switch {
	case (old.Transfer == nil) != (now.Transfer == nil):
		say(now.Render, "transfer %s", map[bool]string{true: "added", false: "removed"}[old.Transfer == nil])
	case now.Transfer != nil && *old.Transfer != *now.Transfer:
		say(now.Render, "transfer changed")
	}
	if old.Engine != now.Engine {
		say(now.Render, "engine %s → %s", old.Engine, now.Engine)
	}

	at := func(list []still.Entity, address string) int {
		return slices.IndexFunc(list, func(e still.Entity) bool { return e.Address == address })
	}
	var before, after []string // addresses of entities that were and are there
	for _, e := range now.Entities {
		i := at(old.Entities, e.Address)
		if i < 0 {
			say(e.Address, "added")
			continue
		}
		after = append(after, e.Address)
		was := old.Entities[i]
		if was.Prompt != e.Prompt {
			say(e.Address, "prompt changed")
		}
		if was.Strength != e.Strength {
			say(e.Address, "strength %g → %g", was.Strength, e.Strength)
		}
		if how := moved(was.Region, e.Region); how != "" {
			say(e.Address, "%s", how)
		} else if was.Tokens != e.Tokens && old.Size == now.Size {
			say(e.Address, "%d image tokens are left to it, %d before", e.Tokens, was.Tokens)
		}
	}
	for _, e := range old.Entities {
		if at(now.Entities, e.Address) < 0 {
			say(e.Address, "removed")
			continue
		}
		before = append(before, e.Address)
	}
	if !slices.Equal(before, after) {
		say(now.Render, "entities are in another order")
	}
	return out
}

// moved says how a region has become another; "" if it has not.
func moved(a, b eligen.Region) string {
	from, to := short(a.String(), 60), short(b.String(), 60)
	word := func(kind string) string {
		if kind == "image" {
			return "mask"
		}
		return kind
	}
	switch {
	case a.String() == b.String() && (a.Bitmap == nil || b.Bitmap == nil || a.Bitmap.Digest == b.Bitmap.Digest):
		return ""
	case a.Kind != b.Kind:
		return fmt.Sprintf("%s became %s, %s", word(a.Kind), word(b.Kind), to)
	case a.Kind == "image":
		return "mask changed"
	case (a.Kind == "box" || a.Kind == "ellipse") && a.Pixels == b.Pixels && len(a.Numbers) == 4 && len(b.Numbers) == 4:
		x, y := extent(a), extent(b)
		same := abs(x[0]-y[0]) < 1e-5 && abs(x[1]-y[1]) < 1e-5
		return fmt.Sprintf("%s %s, %s → %s", a.Kind, map[bool]string{true: "moved", false: "resized"}[same], from, to)
	}
	return fmt.Sprintf("region changed, %s → %s", from, to)
}

// extent is the two sizes of a box or an ellipse.
func extent(r eligen.Region) [2]float64 {
	if r.Kind == "box" {
		return [2]float64{r.Numbers[2] - r.Numbers[0], r.Numbers[3] - r.Numbers[1]}
	}
	return [2]float64{r.Numbers[2], r.Numbers[3]}
}

func side(s eligen.Size) string { return fmt.Sprintf("%d×%d", s.W, s.H) }

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func abs(x float64) float64 { return max(x, -x) }
