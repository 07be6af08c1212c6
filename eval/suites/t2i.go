package suites

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// T2I-CompBench (Huang et al., NeurIPS 2023), as 2D_spatial_eval.py and numeracy_eval.py of
// Karine-Huang/T2I-CompBench score what its detector, UniDet, finds. The originals ask spaCy which words
// are nouns; the prompts of the spatial suite are all of one form, by which they are read here.

// localities are the words for places, in the order in which the original looks for them.
var localities = []string{"on side of", "next to", "near", "on the left of", "on the right of", "on the bottom of",
	"on the top of", "on top of"}

// Localities returns the words for places.
func Localities() []string { return slices.Clone(localities) }

// people are words that the detector calls a person.
var people = []string{"girl", "boy", "man", "woman"}

// Spatial scores pictures of T2I-CompBench's prompts of two things, and returns the mean.
func Spatial(items []Item, found map[string]Found) ([]Figure, error) {
	sum := 0.0
	for _, it := range items {
		f, ok := found[it.ID]
		if !ok {
			return nil, missing(it.ID)
		}
		locality := ""
		for _, l := range localities {
			if strings.Contains(it.Prompt, l) {
				locality = l
				break
			}
		}
		one, other, err := two(it.Prompt)
		if err != nil {
			return nil, err
		}
		sum += spatial(f, locality, one, other)
	}
	if len(items) == 0 {
		return nil, errors.New("there are no prompts to score")
	}
	return []Figure{mean("spatial", sum, len(items))}, nil
}

// two returns the first and the last noun of “a … of a …”: the word after the first article, and the last one.
func two(prompt string) (one, other string, err error) {
	words := strings.Fields(strings.Trim(prompt, " .\n"))
	if len(words) < 4 {
		return "", "", fmt.Errorf("the prompt %q does not say where two things are", prompt)
	}
	one, other = words[0], words[len(words)-1]
	if slices.Contains([]string{"a", "an", "the"}, strings.ToLower(one)) {
		one = words[1]
	}
	for _, w := range []*string{&one, &other} {
		if slices.Contains(people, *w) {
			*w = "person"
		}
	}
	return one, other, nil
}

func spatial(f Found, locality, one, other string) float64 {
	at := func(label string) *Detection {
		for i := range f.Detections {
			if f.Detections[i].Label == label {
				return &f.Detections[i]
			}
		}
		return nil
	}
	a, b, score := at(one), at(other), 0.0
	if a != nil {
		score += 0.25 * a.Score
	}
	if b != nil {
		score += 0.25 * b.Score
	}
	if a != nil && b != nil {
		score += position(locality, a.Box, b.Box) / 2
	}
	if score < 0.5 {
		return 0
	}
	return score
}

// position returns how well the first box stands to the second as the words say, from 0 to 1.
func position(locality string, a, b Box) float64 {
	const most, far = 0.1, 150
	x, y := (b[0]+b[2])/2-(a[0]+a[2])/2, (b[1]+b[3])/2-(a[1]+a[3])/2
	dx, dy := math.Abs(x), math.Abs(y)
	aside := false
	switch locality {
	case "next to", "on side of", "near":
		if dx < far || dy < far {
			return 1
		}
		return far / max(dx, dy)
	case "on the right of":
		aside = x < 0 && dx > dy
	case "on the left of":
		aside = x > 0 && dx > dy
	case "on the bottom of":
		aside = y < 0 && dy > dx
	case "on the top of":
		aside = y > 0 && dy > dx
	}
	if !aside {
		return 0
	}
	o := a.overlap(b)
	both := max(0, o[2]-o[0]) * max(0, o[3]-o[1])
	if iou := both / (a.area() + b.area() - both); iou >= most {
		return most / iou
	}
	return 1
}

// Nouns are the words that numeracy knows, from the suite's new_objects.txt.
type Nouns struct{ one, many []string }

// ReadNouns reads lines of “singular - plural”.
func ReadNouns(data []byte) (*Nouns, error) {
	n := &Nouns{}
	for line := range strings.Lines(string(data)) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(line, "\n"), " - ")
		if len(parts) < 2 {
			return nil, fmt.Errorf("the line %q is not a singular and a plural", strings.TrimSpace(line))
		}
		n.one = append(n.one, strings.ToLower(strings.TrimSpace(parts[0])))
		n.many = append(n.many, strings.ToLower(strings.TrimSpace(parts[1])))
	}
	return n, nil
}

// numbers are the words that count, by their value.
var numbers = []string{"", "one", "two", "three", "four", "five", "six", "seven", "eight"}

func valueOf(word string) int {
	if word == "a" || word == "an" {
		return 1
	}
	return max(0, slices.Index(numbers, word))
}

// counted returns the things that a prompt counts, and how many it wants.
func (n *Nouns) counted(prompt string) (things []string, want []int) {
	words := tokens(prompt)
	for i, w := range words {
		k := valueOf(w)
		if k == 0 || w == "" || i+1 >= len(words) {
			continue
		}
		pair := ""
		if i < len(words)-2 {
			pair = words[i+1] + " " + words[i+2]
		}
		plural := func(s string) int { return slices.Index(n.many, s) }
		next := words[i+1]
		switch {
		case pair != "" && (slices.Contains(n.one, pair) || plural(pair) >= 0):
			if at := plural(pair); at >= 0 && k > 1 {
				things, want = append(things, n.one[at]), append(want, k)
			} else {
				things, want = append(things, pair), append(want, 1)
			}
		case slices.Contains(n.one, next) && k == 1:
			things, want = append(things, next), append(want, 1)
		case plural(next) >= 0:
			things, want = append(things, n.one[plural(next)]), append(want, k)
		}
	}
	return things, want
}

// tokens parts words from punctuation.
func tokens(s string) []string {
	return strings.Fields(strings.NewReplacer(",", " , ", ".", " . ", ";", " ; ", "'", " '").Replace(s))
}

// numeracyNames are what the detector calls things.
var numeracyNames = map[string]string{"boy": "person", "girl": "person", "man": "person", "woman": "person", "ship": "boat",
	"telivision": "tv", "goldfish": "fish", "painting": "picture"}

// Numeracy scores pictures of T2I-CompBench's prompts that count, and returns the mean.
func Numeracy(items []Item, nouns *Nouns, found map[string]Found) ([]Figure, error) {
	sum := 0.0
	for _, it := range items {
		f, ok := found[it.ID]
		if !ok {
			return nil, missing(it.ID)
		}
		things, want := nouns.counted(it.Prompt)
		if len(things) == 0 {
			return nil, fmt.Errorf("the prompt %q counts nothing that the suite's list of objects has", it.Prompt)
		}
		sum += numeracy(distinct(f.Detections), things, want)
	}
	if len(items) == 0 {
		return nil, errors.New("there are no prompts to score")
	}
	return []Figure{mean("numeracy", sum, len(items))}, nil
}

func numeracy(labels, things []string, want []int) float64 {
	score, weight := 0.0, 1/float64(len(things))
	for i, thing := range things {
		if name, ok := numeracyNames[thing]; ok {
			thing = name
		}
		if !slices.Contains(labels, thing) {
			for k, l := range labels {
				if strings.Contains(l, thing) {
					labels[k] = thing
				}
			}
		}
		n := 0
		for _, l := range labels {
			if l == thing {
				n++
			}
		}
		if n > 0 {
			score += 0.5 * weight
		}
		if n > 0 && n == want[i] {
			score += 0.5 * weight
		}
	}
	return score
}

// distinct returns the labels of detections, without those that lie on an earlier one of the same label.
func distinct(list []Detection) []string {
	var kept []Detection
	for _, d := range list {
		if !slices.ContainsFunc(kept, func(k Detection) bool { return k.Label == d.Label && same(d.Box, k.Box) }) {
			kept = append(kept, d)
		}
	}
	out := make([]string, len(kept))
	for i, d := range kept {
		out[i] = d.Label
	}
	return out
}

// same reports whether nine tenths of a box are in the other one, in whole pixels.
func same(a, b Box) bool {
	side := func(from, to float64) float64 { return to - from + 1 }
	o := a.overlap(b)
	both := max(0, side(o[0], o[2])) * max(0, side(o[1], o[3]))
	one, other := side(a[0], a[2])*side(a[1], a[3]), side(b[0], b[2])*side(b[1], b[3])
	return both/(one+other-both) > 0.9 || both/one > 0.9 || both/other > 0.9
}
