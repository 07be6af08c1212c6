package app

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// LayoutOf returns the layout that the definition of a render's file holds, as a journal has it: a
// picture's, or a clip's with what moves in it.
func LayoutOf(definition json.RawMessage) (Layout, bool) {
	var op struct {
		Resolved struct {
			still.Resolved
			FPS      float64         `json:"fps"`
			Frames   int             `json:"frames"`
			Timeline json.RawMessage `json:"timeline"`
			First    *still.Resolved `json:"first"` // frame 0
		}
		Timeline string // its address; journals of before have none
	}
	if json.Unmarshal(definition, &op) != nil || op.Resolved.Render == "" {
		return Layout{}, false
	}
	r := op.Resolved
	l := Layout{Render: r.Render, Size: r.Size, Geometry: r.Cut(), Prompt: r.Prompt}
	entities := r.Entities
	if r.Frames > 0 {
		l.Timeline = &eligen.Timeline{Address: op.Timeline, Frames: r.Frames, FPS: r.FPS, Tracks: tracksOf(r.Timeline)}
	}
	if r.First != nil {
		l.Prompt, l.Geometry, entities = r.First.Prompt, r.First.Cut(), r.First.Entities
	}
	for _, e := range entities {
		l.Entities = append(l.Entities, eligen.Entity{Address: e.Address, Prompt: e.Prompt, Region: e.Region,
			Strength: e.Strength, Opacity: e.Opacity, Negative: e.Negative, AutoNegative: e.AutoNegative,
			Feather: e.Feather})
	}
	return l, true
}

// tracksOf returns a timeline's tracks as a clip describes them. It leaves out one that can't be read:
// nobody else draws it.
func tracksOf(described json.RawMessage) []eligen.Track {
	var tracks []struct {
		Target      string
		Extrapolate string
		Path        []float64
		Ease        string
		Follow      string
		Keys        []struct {
			Frame  float64
			Region eligen.Region
			Value  []float64
			Ease   string
		}
	}
	if json.Unmarshal(described, &tracks) != nil {
		return nil
	}
	var out []eligen.Track
	for _, d := range tracks {
		dot := strings.LastIndexByte(d.Target, '.')
		if dot < 0 || len(d.Keys) == 0 && len(d.Path) < 4 && d.Follow == "" {
			continue
		}
		t := eligen.Track{
			Target:      eligen.Target{Block: d.Target[:dot], Attribute: d.Target[dot+1:]},
			Extrapolate: d.Extrapolate, Follow: d.Follow, Ease: easeOf(d.Ease),
		}
		if len(d.Path) >= 4 {
			t.Path = &eligen.Path{Points: d.Path}
		}
		for _, k := range d.Keys {
			t.Keys = append(t.Keys, eligen.Key{Frame: k.Frame, Value: eligen.Value{Region: k.Region, Numbers: k.Value}, Ease: easeOf(k.Ease)})
		}
		out = append(out, t)
	}
	return out
}

// easeOf reads what Ease.String writes. What it doesn't know is linear.
func easeOf(s string) eligen.Ease {
	name, rest, ok := strings.Cut(s, "(")
	if !ok {
		e, known := eligen.ParseEase(name)
		if !known {
			return eligen.Ease{}
		}
		return e
	}
	var n []float64
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, ")"), ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return eligen.Ease{}
		}
		n = append(n, x)
	}
	if wants := map[string]int{"bezier": 4, "steps": 1, "spring": 2}[name]; wants == 0 || wants != len(n) {
		return eligen.Ease{}
	}
	return eligen.Ease{Kind: name, Numbers: n}
}
