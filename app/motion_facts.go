package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// timelineParts returns the timelines of a scene's renders, each once. rename gives addresses
// their present form.
func timelineParts(s *eligen.Scene, rename func(string) string) []part {
	var out []part
	for _, r := range s.Renders {
		if r.Clip == nil || find(out, rename(r.Clip.Timeline.Address)) != nil {
			continue
		}
		t := &r.Clip.Timeline
		p := part{address: rename(t.Address), brief: fmt.Sprintf("%d frames at %g a second", t.Frames, t.FPS)}
		p.add("frames", "%d", t.Frames)
		p.add("fps", "%g", t.FPS)
		for i := range t.Tracks {
			p.facts = append(p.facts, trackFacts(&t.Tracks[i], rename)...)
		}
		out = append(out, p)
	}
	return out
}

// maxKeyFacts is how many keys of a track have a fact each; those of a longer one have one together.
const maxKeyFacts = 32

// trackFacts says what a track moves, and how: "entity.dog.box, key 1: frame 0, …".
func trackFacts(tr *eligen.Track, rename func(string) string) []fact {
	name := rename(tr.Target.Block) + "." + tr.Target.Attribute
	var out factList
	for i, k := range tr.Keys {
		text := fmt.Sprintf("frame %g, %s", k.Frame, valueText(k.Value))
		if i < len(tr.Keys)-1 {
			text += ", " + k.Ease.String()
		}
		out.add(fmt.Sprintf("%s, key %d", name, i+1), "%s", shorten(text))
	}
	if len(out) > maxKeyFacts {
		var all []string
		for _, key := range out {
			all = append(all, key.value)
		}
		out = factList{{name + ", keys", shorten(strings.Join(all, "; "))}}
	}
	if tr.Path != nil {
		out.add(name+", path", "%s", shorten(fmt.Sprintf("%v, %s", tr.Path.Points, tr.Ease)))
	}
	if tr.Follow != "" {
		out.add(name+", follow", "%s", rename(tr.Follow))
	}
	if tr.Extrapolate != "" && tr.Extrapolate != "hold" {
		out.add(name+", extrapolate", "%q", tr.Extrapolate)
	}
	return out
}

func valueText(v eligen.Value) string {
	if v.Region.Kind != "" {
		return v.Region.String()
	}
	var parts []string
	for _, n := range v.Numbers {
		parts = append(parts, fmt.Sprintf("%.6g", n))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// motionFacts returns what a clip's record says of its motion. There is nothing of a still.
func motionFacts(c *eligen.Clip) []fact {
	if c == nil {
		return nil
	}
	t := &c.Timeline
	out := factList{{"frames", fmt.Sprint(t.Frames)}, {"fps", fmt.Sprintf("%g", t.FPS)}}
	for i := range t.Tracks {
		out = append(out, trackFacts(&t.Tracks[i], func(address string) string { return address })...)
	}
	if w := c.Warm; w != nil {
		out.add("warm_start", "strength %g, every %d", w.Strength, w.Every)
	}
	if c.Lock {
		out.add("background.lock", "true")
	}
	return out
}

// recordsMotion reports whether a record says how its clip moves; those of before 0.2 don't.
func recordsMotion(record []fact) bool {
	return slices.ContainsFunc(record, func(f fact) bool { return f.name == "frames" })
}
