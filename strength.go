package eligen

import (
	"fmt"
	"slices"
)

// A StrengthSchedule is how an entity's strength goes along the steps of a picture, and in which of the model's blocks it
// acts: a layout that is strict early, and free late.
type StrengthSchedule struct {
	// Strength are points of progress and factor. Progress ascends, from 0 at the first step to 1 at the last; between two
	// points the factor lies on a straight line, and before the first and behind the last it is theirs. Without points it is 1.
	Strength [][2]float64 `json:",omitempty"`
	// Blocks are the first and the last block that it acts in, counted over all of the model's from 0; nil is all.
	Blocks *[2]int `json:",omitempty"`

	Source Source
	At     map[string]Source `json:"-"`
}

// Factors returns what strength is multiplied by in each of some steps; nil where that is 1 in all of them.
func (s *StrengthSchedule) Factors(steps int) []float32 {
	if s == nil || len(s.Strength) == 0 {
		return nil
	}
	out := make([]float32, steps)
	for i := range out {
		progress := 0.0
		if steps > 1 {
			progress = float64(i) / float64(steps-1)
		}
		out[i] = float32(s.at(progress))
	}
	if !slices.ContainsFunc(out, func(f float32) bool { return f != 1 }) {
		return nil
	}
	return out
}

// at returns the factor at a progress.
func (s *StrengthSchedule) at(progress float64) float64 {
	last := s.Strength[0]
	for _, p := range s.Strength {
		if progress < p[0] {
			if p[0] == last[0] {
				return p[1]
			}
			return last[1] + (p[1]-last[1])*(progress-last[0])/(p[0]-last[0])
		}
		last = p
	}
	return last[1]
}

// String writes the schedule, for people.
func (s *StrengthSchedule) String() string {
	if s == nil {
		return ""
	}
	text := ""
	if len(s.Strength) > 0 {
		text = "strength"
		for i, p := range s.Strength {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprintf(" %g at %g", p[1], p[0])
		}
	}
	if b := s.Blocks; b != nil {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("blocks %d-%d", b[0], b[1])
	}
	return text
}
