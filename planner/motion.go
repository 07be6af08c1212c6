package planner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/eligen/eligen"
)

// A Motion is what moves in a clip. The zero Motion is a still's.
type Motion struct {
	Render   string // address
	Timeline string // address
	FPS      float64
	Frames   int
	Tracks   []json.RawMessage // each with its "target"
}

// MotionOf returns the motion of the clip that a stage's definition makes; false where it makes
// none.
func MotionOf(definition json.RawMessage) (m Motion, ok bool) {
	var about struct {
		Timeline string
		Resolved struct {
			Render   string            `json:"render"`
			FPS      float64           `json:"fps"`
			Frames   int               `json:"frames"`
			Timeline []json.RawMessage `json:"timeline"`
		}
	}
	if json.Unmarshal(definition, &about) != nil || about.Timeline == "" || about.Resolved.Render == "" {
		return m, false
	}
	r := about.Resolved
	return Motion{Render: r.Render, Timeline: about.Timeline, FPS: r.FPS, Frames: r.Frames, Tracks: r.Timeline}, true
}

// Motions returns the motions of a plan's clips by their renders' addresses.
func Motions(p *eligen.Plan) map[string]Motion {
	out := map[string]Motion{}
	for _, s := range p.Stages {
		op := s.Op
		if s.Record != nil {
			op = s.Record
		}
		definition, err := json.Marshal(op)
		if err != nil {
			continue // an op that can't be written down makes no clip
		}
		if m, ok := MotionOf(definition); ok {
			out[m.Render] = m
		}
	}
	return out
}

// MotionChanges lists what is different between the motions of two runs of a render, in the scene's
// words.
func MotionChanges(old, now Motion) []string {
	if old.Render == "" || now.Render == "" {
		return nil // a clip that was a still differs in more than its motion
	}
	var out []string
	if old.Frames != now.Frames {
		out = append(out, fmt.Sprintf("%s: frames %d → %d", now.Timeline, old.Frames, now.Frames))
	}
	if old.FPS != now.FPS {
		out = append(out, fmt.Sprintf("%s: fps %g → %g", now.Timeline, old.FPS, now.FPS))
	}
	was, is := old.targets(), now.targets()
	for i, target := range is {
		k := slices.Index(was, target)
		switch {
		case k < 0:
			out = append(out, fmt.Sprintf("%s: track of %s added", now.Timeline, target))
		case !bytes.Equal(old.Tracks[k], now.Tracks[i]):
			out = append(out, fmt.Sprintf("%s: track of %s changed", now.Timeline, target))
		}
	}
	for _, target := range was {
		if !slices.Contains(is, target) {
			out = append(out, fmt.Sprintf("%s: track of %s removed", now.Timeline, target))
		}
	}
	return out
}

// targets returns what the tracks move, in their order.
func (m Motion) targets() []string {
	out := make([]string, len(m.Tracks))
	for i, t := range m.Tracks {
		var track struct {
			Target string `json:"target"`
		}
		if json.Unmarshal(t, &track) == nil { // else it is nobody's
			out[i] = track.Target
		}
	}
	return out
}
