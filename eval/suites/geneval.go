package suites

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
)

// GenEval (Ghosh et al., NeurIPS 2023), as evaluate_images.py and summary_scores.py of djghosh13/geneval
// score it. Its detector gives single precision, and so are the numbers here.

// A Wanted is a line of GenEval's evaluation_metadata.jsonl.
type Wanted struct {
	Tag     string   `json:"tag"`
	Prompt  string   `json:"prompt"`
	Include []Clause `json:"include"`
	Exclude []Clause `json:"exclude"`
}

// A Clause is how many things of a class are to be there, in which colour, and where.
type Clause struct {
	Class    string    `json:"class"`
	Count    int       `json:"count"`
	Color    string    `json:"color"`
	Position *Position `json:"position"`
}

// A Position is a relation to the things of an earlier clause.
type Position struct {
	Relation string // "left of", "right of", "above", "below"
	Target   int
}

// UnmarshalJSON reads a pair of a relation and a clause's number.
func (p *Position) UnmarshalJSON(data []byte) error {
	pair := []any{&p.Relation, &p.Target}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a position is a relation and a number, not %s", data)
	}
	return nil
}

// A Picture is a picture of a prompt: its detections' name.
type Picture struct {
	ID   string
	Want Wanted
}

// GenEval scores pictures. Where prompts ask for colours, each detection must have one. The last figure,
// "overall", is the mean over the tags.
func GenEval(pictures []Picture, found map[string]Found) ([]Figure, error) {
	type sum struct{ right, n int }
	tags, order := map[string]*sum{}, []string{}
	prompts := map[string]bool{}
	all := sum{}
	for _, p := range pictures {
		f, ok := found[p.ID]
		if !ok {
			return nil, missing(p.ID)
		}
		right, err := genEvalPicture(p.Want, f)
		if err != nil {
			return nil, fmt.Errorf("picture %s: %w", p.ID, err)
		}
		s := tags[p.Want.Tag]
		if s == nil {
			s = &sum{}
			tags[p.Want.Tag], order = s, append(order, p.Want.Tag)
		}
		key, err := json.Marshal(p.Want)
		if err != nil {
			return nil, err
		}
		s.n++
		all.n++
		prompts[string(key)] = prompts[string(key)] || right
		if right {
			s.right++
			all.right++
		}
	}
	if all.n == 0 {
		return nil, fmt.Errorf("there are no pictures to score")
	}
	any := 0
	for _, right := range prompts {
		if right {
			any++
		}
	}
	out := []Figure{mean("pictures", float64(all.right), all.n), mean("prompts", float64(any), len(prompts))}
	total := 0.0
	for _, tag := range order {
		s := tags[tag]
		out = append(out, mean(tag, float64(s.right), s.n))
		total += float64(s.right) / float64(s.n)
	}
	return append(out, mean("overall", total, len(order))), nil
}

// MarshalJSON writes a position as it is read.
func (p Position) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.Relation, p.Target}) }

// genEvalPicture reports whether a picture holds all that is wanted.
func genEvalPicture(w Wanted, f Found) (bool, error) {
	objects := confident(w.Tag, f)
	right := true
	groups := make([][]Detection, 0, len(w.Include))
	for i, c := range w.Include {
		list := objects[c.Class]
		list = list[:min(len(list), max(c.Count, 0))]
		matched := len(list) >= c.Count
		if matched && c.Color != "" {
			n := 0
			for _, d := range list {
				if d.Color == "" {
					return false, fmt.Errorf("the detection of %q has no color, and GenEval asks for %s: a classifier must name it", c.Class, c.Color)
				}
				if d.Color == c.Color {
					n++
				}
			}
			matched = n >= c.Count
		}
		if matched && c.Position != nil {
			at := c.Position.Target
			if at < 0 || at >= i {
				return false, fmt.Errorf("clause %d of %q is placed by clause %d, which does not come before it", i, w.Prompt, at)
			}
			matched = placed(list, groups[at], c.Position.Relation)
		}
		if !matched {
			right, list = false, nil
		}
		groups = append(groups, list)
	}
	for _, c := range w.Exclude {
		right = right && len(objects[c.Class]) < c.Count
	}
	return right, nil
}

// placed reports whether every thing stands in a relation to every target.
func placed(list, targets []Detection, relation string) bool {
	if targets == nil {
		return false
	}
	for _, a := range list {
		for _, b := range targets {
			if !slices.Contains(relations(a.Box, b.Box), relation) {
				return false
			}
		}
	}
	return true
}

// confident returns at most 16 detections of a class that the detector is sure enough of, the surest first.
func confident(tag string, f Found) map[string][]Detection {
	least := float32(0.3)
	if tag == "counting" {
		least = 0.9
	}
	by := map[string][]Detection{}
	for _, d := range f.Detections {
		by[d.Label] = append(by[d.Label], d)
	}
	for label, list := range by {
		sort.SliceStable(list, func(i, k int) bool { return float32(list[i].Score) < float32(list[k].Score) })
		slices.Reverse(list) // as numpy's order is turned around: of equal ones the later comes first
		n := 0
		for n < len(list) && n < 16 && float32(list[n].Score) > least {
			n++
		}
		by[label] = list[:n]
	}
	return by
}

// relations returns where a is, seen from b, their sizes taken into account.
func relations(a, b Box) (out []string) {
	var offset, revised [2]float32
	for i := range 2 {
		a0, a1, b0, b1 := float32(a[i]), float32(a[i+2]), float32(b[i]), float32(b[i+2])
		offset[i] = (a0+a1)/2 - (b0+b1)/2
		sides := abs32(a1-a0) + abs32(b1-b0)
		size := max(abs32(offset[i])-0.1*sides, 0)
		switch {
		case offset[i] < 0:
			revised[i] = -size
		case offset[i] > 0:
			revised[i] = size
		}
	}
	if abs32(revised[0]) < 1e-3 && abs32(revised[1]) < 1e-3 {
		return nil
	}
	length := float32(math.Sqrt(float64(offset[0]*offset[0] + offset[1]*offset[1])))
	dx, dy := revised[0]/length, revised[1]/length
	for _, r := range []struct {
		is   bool
		name string
	}{{dx < -0.5, "left of"}, {dx > 0.5, "right of"}, {dy < -0.5, "above"}, {dy > 0.5, "below"}} {
		if r.is {
			out = append(out, r.name)
		}
	}
	return out
}

func abs32(v float32) float32 { return max(v, -v) }
