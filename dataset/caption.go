package dataset

import (
	"slices"
	"strings"
)

// MaxTokens bounds the length of a caption, counted in words and commas.
const MaxTokens = 22

// A phrasing makes a caption of the mentioned objects ("a dog and an apple"),
// the background ("a meadow") and the place ("in a meadow").
type phrasing func(objects, background, place string) string

// plainly returns the first phrasing, and the shortest.
func plainly(objects, _, place string) string { return objects + " " + place }

var trainPhrasings = []phrasing{
	plainly,
	func(o, _, p string) string { return "a picture of " + o + " " + p },
	func(o, b, _ string) string { return b + " with " + o },
	func(o, _, p string) string { return p + ", " + o },
}

// evalPhrasings say the same words in orders that no training caption has.
var evalPhrasings = []phrasing{
	func(o, b, _ string) string { return "a picture of " + b + " with " + o },
	func(o, _, p string) string { return p + ", a picture of " + o },
	func(o, b, _ string) string { return o + ", " + b },
}

// relations are the phrases for two objects' positions.
var relations = [4]string{"left of", "right of", "above", "below"}

// list joins "a", "b" and "c" to "a, b and c".
func list(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}

// caption describes the layout, in at most limit tokens. s draws the phrasing and the order
// of the objects.
func (l *Layout) caption(s stream, split Split, prompts []string, limit int) string {
	order := s.shuffled(len(prompts))
	mentioned := make([]string, len(order))
	for i, k := range order {
		mentioned[i] = prompts[k]
	}
	var say phrasing
	if split == Eval && s.chance(50) {
		say = evalPhrasings[s.below(len(evalPhrasings))]
	} else {
		say = trainPhrasings[s.below(len(trainPhrasings))]
	}
	objects := list(mentioned)
	if spatial := s.chance(25); spatial && len(order) > 1 {
		a, b := order[0], order[1]
		if r, ok := relation(l.Objects[a].Box, l.Objects[b].Box); ok {
			objects = prompts[a] + " " + r + " " + prompts[b]
			if len(order) > 2 {
				objects += " with " + list(mentioned[2:])
			}
			say = plainly
		}
	}
	c := say(objects, l.Background.Phrase, l.Background.Place)
	if Tokens(c) > limit {
		c = plainly(list(mentioned), l.Background.Phrase, l.Background.Place)
	}
	return c
}

// relation returns how box a lies to box b, if one word says so without doubt: they are
// apart along one axis, and by more than along the other.
func relation(a, b [4]float64) (string, bool) {
	// Gaps between facing edges: a left of b, right of b, above b, below b.
	gaps := [4]float64{b[0] - a[2], a[0] - b[2], b[1] - a[3], a[1] - b[3]}
	best := 0
	for i := range gaps {
		if gaps[i] > gaps[best] {
			best = i
		}
	}
	across := max(gaps[2], gaps[3])
	if best >= 2 {
		across = max(gaps[0], gaps[1])
	}
	if gaps[best] < 0 || across > -0.05 {
		return "", false
	}
	return relations[best], true
}

// Tokens counts the words and commas of a caption.
func Tokens(caption string) int { return len(strings.Fields(caption)) + strings.Count(caption, ",") }

// Words lists every word that a caption or a local prompt can hold, in lower
// case and in alphabetical order. The comma is the only punctuation mark.
func Words() []string { return words(classes) }

// WordsOf lists the words that captions hold where the first n classes are drawn in some
// styles, as Words does.
func WordsOf(n int, styles map[string]float64) []string {
	list := words(Classes(n))
	for style := range styles {
		if style != Solid { // it goes without saying
			list = append(list, style)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func words(classes []Class) []string {
	text := []string{"a an and with picture of"}
	text = append(text, relations[:]...)
	for _, c := range classes {
		text = append(text, c.Name)
		text = append(text, c.Also...)
	}
	for _, b := range Backgrounds() {
		text = append(text, b.Phrase, b.Place)
	}
	text = append(text, gradient(colours[0], colours[1]).Place)
	words := strings.Fields(strings.Join(text, " "))
	slices.Sort(words)
	return slices.Compact(words)
}
