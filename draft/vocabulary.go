package draft

import (
	"slices"
	"strconv"
	"strings"
)

// A Vocabulary is what a model was taught to draw. It is handed in: rules know
// English, and no model.
type Vocabulary struct {
	Of     string // whose it is: "nano"
	Things []Thing
	Places []Place
	Words  int // how many words and commas a prompt may have; 0: as many as it takes
}

// A Thing is a kind of object.
type Thing struct {
	Name string   // "apple"
	Also []string // longer names: "red apple"
	Bare bool     // takes no article: "grapes"
	Sky  bool     // belongs at the top
}

// A Place is what is behind the things.
type Place struct {
	Name   string // "meadow"
	Phrase string // "a meadow"
	At     string // "in a meadow"
}

// A meaning is what a phrase says.
type meaning struct {
	kind   kind
	thing  Thing  // kind thing
	name   string // kind thing: the name that was said, singular
	place  Place
	word   string // the relation, the spot, the verb
	number int    // kind number; kind thing: 2 for a plural, 0 where it may be either
}

type kind int

const (
	none kind = iota
	thing
	place
	relation // between what was said before and what comes after
	spot     // a part of the canvas
	size
	number
	article
	join   // "and", commas
	filler // says nothing of where
	verb   // of an edit
	degree // how far
	pronoun
)

// A lexicon is phrases and what they mean.
type lexicon struct {
	phrases map[string]meaning
	longest int // words of a phrase
	things  []string
	of      string
}

func (l *lexicon) add(phrase string, m meaning) {
	phrase = strings.ToLower(phrase)
	if _, ok := l.phrases[phrase]; ok {
		return // the first meaning holds
	}
	l.phrases[phrase] = m
	l.longest = max(l.longest, len(strings.Fields(phrase)))
}

// at is the longest phrase from word i on, and how many words it has.
func (l *lexicon) at(words []string, i int) (meaning, int) {
	for n := min(l.longest, len(words)-i); n > 0; n-- {
		if m, ok := l.phrases[strings.Join(words[i:i+n], " ")]; ok {
			return m, n
		}
	}
	return meaning{}, 0
}

var relationWords = map[string][]string{
	"left":   {"left of", "to the left of", "on the left of", "at the left of", "on the left side of", "to the left side of"},
	"right":  {"right of", "to the right of", "on the right of", "at the right of", "on the right side of", "to the right side of"},
	"above":  {"above", "over"},
	"below":  {"below", "under", "beneath", "underneath"},
	"on":     {"on", "on top of", "upon", "onto", "atop"},
	"in":     {"in", "inside", "into", "within", "inside of"},
	"front":  {"in front of"},
	"behind": {"behind"},
	// What is between two things is right of one and left of the other.
	"between": {"between", "in between"},
	"beside":  {"beside", "next to", "by", "near", "alongside", "close to"},
}

var spotWords = map[string][]string{
	"top": {"top"}, "bottom": {"bottom", "foreground"}, "left": {"left"}, "right": {"right"},
	"middle": {"middle", "center", "centre"}, "back": {"background", "distance"},
	"top left": {"top left", "upper left"}, "top right": {"top right", "upper right"},
	"bottom left": {"bottom left", "lower left"}, "bottom right": {"bottom right", "lower right"},
}

var numberWords = []string{"", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
	"thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"}

// lexicon puts the vocabulary's phrases and the rules' own together.
func (v Vocabulary) lexicon() *lexicon {
	l := &lexicon{phrases: map[string]meaning{}, of: v.Of}
	each := func(k kind, word string, phrases ...string) {
		for _, p := range phrases {
			l.add(p, meaning{kind: k, word: word})
		}
	}
	for word, phrases := range relationWords {
		each(relation, word, phrases...)
	}
	for word, names := range spotWords {
		for _, name := range names {
			for _, before := range []string{"in the ", "at the ", "on the ", "to the ", "at ", "towards the "} {
				for _, part := range []string{"", " side", " corner", " edge", " half"} {
					for _, of := range []string{"", " of the picture", " of the image", " of the scene", " of the canvas"} {
						l.add(before+name+part+of, meaning{kind: spot, word: word})
					}
				}
			}
		}
	}
	each(size, "big", "big", "large", "huge", "giant", "enormous")
	each(size, "small", "small", "little", "tiny")
	each(pronoun, "it", "it", "them", "him", "her")
	each(article, "a", "a", "an")
	each(article, "the", "the")
	each(article, "some", "some", "several", "a few", "many", "lots of")
	for n, w := range numberWords[1:] {
		l.add(w, meaning{kind: number, number: n + 1})
		l.add(strconv.Itoa(n+1), meaning{kind: number, number: n + 1})
	}
	for phrase, n := range map[string]int{"a pair of": 2, "a couple of": 2, "a dozen": 12} {
		l.add(phrase, meaning{kind: number, number: n})
	}
	each(join, "and", "and", ",", ";", ".", "with", "plus", "also", "then", "and then", "as well as")
	each(filler, "", "is", "are", "that", "which", "there is", "there are", "sits", "stands", "lies", "sit", "stand", "lie",
		"sitting", "standing", "lying", "placed", "both", "draw", "paint", "show", "a picture of", "a scene with", "a scene of", "an image of", "a photo of", "please")
	for _, t := range v.Things {
		for _, name := range append([]string{t.Name}, t.Also...) {
			m := meaning{kind: thing, thing: t, name: name, number: 1}
			many := plural(name)
			if t.Bare || many == name {
				m.number = 0
			}
			l.add(name, m)
			m.number = 2
			l.add(many, m)
			l.things = append(l.things, name)
		}
	}
	for _, p := range v.Places {
		m := meaning{kind: place, place: p}
		l.add(p.At, m)
		l.add(p.Phrase, m)
		bare := strings.TrimPrefix(strings.TrimPrefix(p.Phrase, "a "), "an ")
		names := []string{strings.TrimPrefix(bare, "the ")}
		if !strings.HasSuffix(p.Phrase, " background") {
			names = append(names, p.Name) // "at night"; a colour alone is no place
		}
		for _, name := range names {
			for _, before := range []string{"in ", "on ", "at ", "under ", "by ", "against ", "over ", "above ", "across "} {
				for _, art := range []string{"", "a ", "an ", "the "} {
					l.add(before+art+name, m)
				}
			}
		}
	}
	return l
}

var plurals = map[string]string{"mouse": "mice", "sheep": "sheep", "fish": "fish", "leaf": "leaves", "popcorn": "popcorn", "dice": "dice", "broccoli": "broccoli", "bread": "bread", "corn": "corn", "cactus": "cactuses"}

// plural is the plural of a name, by its last word.
func plural(name string) string {
	i := strings.LastIndexByte(name, ' ') + 1
	w := name[i:]
	if p, ok := plurals[w]; ok {
		return name[:i] + p
	}
	switch {
	case strings.HasSuffix(w, "s") && w == "grapes":
		return name
	case strings.HasSuffix(w, "s"), strings.HasSuffix(w, "x"), strings.HasSuffix(w, "ch"), strings.HasSuffix(w, "sh"):
		return name + "es"
	case strings.HasSuffix(w, "y") && len(w) > 1 && !strings.ContainsRune("aeiou", rune(w[len(w)-2])):
		return name[:len(name)-1] + "ies"
	}
	return name + "s"
}

// singular undoes plural of a word that no vocabulary has.
func singular(w string) string {
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "ses"), strings.HasSuffix(w, "xes"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "shes"):
		return w[:len(w)-2]
	case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"):
		return w[:len(w)-1]
	}
	return w
}

// withArticle is "an apple".
func withArticle(name string) string {
	if strings.ContainsRune("aeiou", rune(name[0])) && !strings.HasPrefix(name, "uni") {
		return "an " + name
	}
	return "a " + name
}

// near are the things whose names are like a word, the likest first.
func (l *lexicon) near(word string) []string {
	type candidate struct {
		name string
		cost int
	}
	var found []candidate
	most := max(1, len(word)/3)
	for _, t := range l.things {
		if !strings.Contains(t, " ") {
			if d := distance(word, t); d <= most {
				found = append(found, candidate{t, d})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.cost - b.cost })
	var out []string
	for _, c := range found[:min(3, len(found))] {
		out = append(out, `"`+c.name+`"`)
	}
	return out
}

func (l *lexicon) hint(word string) string {
	near := l.near(word)
	if len(near) == 0 {
		near = l.near(singular(word))
	}
	if len(near) == 0 {
		return ""
	}
	return " Did you mean " + either(near) + "?"
}

func either(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " or " + s[len(s)-1]
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
