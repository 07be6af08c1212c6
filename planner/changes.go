package planner

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// Resolved lists a plan's renders with nothing left open, each once.
func Resolved(p *eligen.Plan) []still.Resolved {
	var out []still.Resolved
	for _, g := range renders(p) {
		out = append(out, g.resolved)
	}
	return out
}

// Changes lists what is different between two runs of a render, in the scene's words: why its
// picture is made again.
func Changes(old, now still.Resolved) []string {
	d := &differences{render: now.Render}
	d.sampling(old, now)
	d.model(old, now)
	d.pictures(old, now)
	d.value("engine", old.Engine, now.Engine)
	d.entities(old, now)
	return d.lines
}

// differences collects what changed, each line once.
type differences struct {
	render string // address
	lines  []string
}

func (d *differences) say(address, format string, args ...any) {
	line := address + ": " + fmt.Sprintf(format, args...)
	if !slices.Contains(d.lines, line) {
		d.lines = append(d.lines, line)
	}
}

// value notes an argument of the render that changed.
func (d *differences) value(what string, a, b any) {
	if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
		d.say(d.render, "%s %s → %s", what, x, y)
	}
}

// sampling compares prompts, size and the sampler.
func (d *differences) sampling(old, now still.Resolved) {
	if old.Prompt != now.Prompt {
		d.say(d.render, "prompt changed")
	}
	if old.Negative != now.Negative {
		d.say(d.render, "negative changed")
	}
	d.value("size", side(old.Size), side(now.Size))
	d.value("seed", old.Seed, now.Seed)
	d.value("noise", old.Noise, now.Noise)
	d.value("steps", old.Steps, now.Steps)
	d.value("cfg", old.CFG, now.CFG)
	d.value("guidance", old.Guidance, now.Guidance)
	d.value("schedule", old.Schedule, now.Schedule)
	d.value("shift", old.Shift, now.Shift)
	d.value("negative_entities", old.NegativeEntities, now.NegativeEntities)
	if was, is := either(old.Approximate.String(), "exact"), either(now.Approximate.String(), "exact"); was != is {
		d.say(d.render, "%s → %s", was, is)
	}
	d.value("overlap", either(old.Overlap, "blend"), either(now.Overlap, "blend"))
}

// model compares weights and adapters.
func (d *differences) model(old, now still.Resolved) {
	was, is := old.Model.Family+" "+old.Model.DType, now.Model.Family+" "+now.Model.DType
	d.value("model", was, is)
	for _, part := range []struct {
		name     string
		old, now eligen.Digest
	}{
		{"text encoder", old.Model.Text, now.Model.Text}, {"transformer", old.Model.Transformer, now.Model.Transformer},
		{"autoencoder", old.Model.Autoencoder, now.Model.Autoencoder},
	} {
		if was == is && part.old != part.now {
			d.say(d.render, "model has another %s", part.name)
		}
	}
	if !slices.EqualFunc(old.Adapters, now.Adapters, func(a, b still.Adapter) bool { return reflect.DeepEqual(a, b) }) {
		d.say(d.render, "adapters changed")
	}
}

// pictures compares what the render begins with.
func (d *differences) pictures(old, now still.Resolved) {
	part(d, "init", old.Init, now.Init)
	part(d, "inpaint", old.Inpaint, now.Inpaint)
	part(d, "transfer", old.Transfer, now.Transfer)
}

// part notes that a part of a render came, went or changed.
func part[P comparable](d *differences, name string, old, now *P) {
	switch {
	case old == nil && now != nil:
		d.say(d.render, "%s added", name)
	case old != nil && now == nil:
		d.say(d.render, "%s removed", name)
	case old != nil && *old != *now:
		d.say(d.render, "%s changed", name)
	}
}

// entities compares entities by their addresses, and their order.
func (d *differences) entities(old, now still.Resolved) {
	at := func(list []still.Entity, address string) int {
		return slices.IndexFunc(list, func(e still.Entity) bool { return e.Address == address })
	}
	var before, after []string // addresses of entities that were and are there
	for _, e := range now.Entities {
		i := at(old.Entities, e.Address)
		if i < 0 {
			d.say(e.Address, "added")
			continue
		}
		after = append(after, e.Address)
		d.entity(old.Entities[i], e, old.Size == now.Size)
	}
	for _, e := range old.Entities {
		if at(now.Entities, e.Address) < 0 {
			d.say(e.Address, "removed")
			continue
		}
		before = append(before, e.Address)
	}
	if !slices.Equal(before, after) {
		d.say(d.render, "entities are in another order")
	}
}

// entity compares one entity with what it was.
func (d *differences) entity(was, is still.Entity, sameSize bool) {
	if was.Prompt != is.Prompt {
		d.say(is.Address, "prompt changed")
	}
	if was.Negative != is.Negative {
		d.say(is.Address, "negative prompt changed")
	}
	if was.AutoNegative != is.AutoNegative {
		d.say(is.Address, "auto_negative %t → %t", was.AutoNegative, is.AutoNegative)
	}
	if was.Strength != is.Strength {
		d.say(is.Address, "strength %g → %g", was.Strength, is.Strength)
	}
	if a, b := opaque(was), opaque(is); a != b {
		d.say(is.Address, "opacity %g → %g", a, b)
	}
	if was.Feather != is.Feather {
		d.say(is.Address, "feather %g → %g", was.Feather, is.Feather)
	}
	if was.Schedule != is.Schedule {
		d.say(is.Address, "schedule %s → %s", either(was.Schedule, "none"), either(is.Schedule, "none"))
	}
	if how := moved(was.Region, is.Region); how != "" {
		d.say(is.Address, "%s", how)
	} else if was.Tokens != is.Tokens && sameSize {
		d.say(is.Address, "%d image tokens are left to it, %d before", is.Tokens, was.Tokens)
	}
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

// extent returns the two sizes of a box or an ellipse.
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
