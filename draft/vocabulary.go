package draft

import (
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/words"
)

// A Vocabulary lists what a model was trained to draw. The caller passes it: rules know
// English, and no model.
type Vocabulary struct {
	Of          string // whose it is: "nano"
	Objects     []Object
	Backgrounds []Background
	Words       int // the most words and commas in a prompt; 0: no limit
}

// An Object is a kind of object.
type Object struct {
	Name string   // "apple"
	Also []string // longer names: "red apple"
	Bare bool     // takes no article: "grapes"
	Sky  bool     // belongs at the top
}

// A Background is what lies behind the objects.
type Background struct {
	Name   string // "meadow"
	Phrase string // "a meadow"
	At     string // "in a meadow"
}

// A meaning is the meaning of a phrase.
type meaning struct {
	kind       kind
	object     Object // kind object
	name       string // kind object: the name in the words, singular
	background Background
	word       string // the relation, the spot, the verb
	number     int    // kind number; kind object: 2 for a plural, 0 if it may be either
}

type kind int

const (
	none kind = iota
	object
	background
	relation // between the objects before and after
	spot     // a part of the canvas
	size
	number
	article
	join   // "and", commas
	filler // means nothing here
	verb   // of an edit
	degree // how far
	pronoun
)

// A lexicon maps phrases to their meanings.
type lexicon struct {
	phrases map[string]meaning
	longest int // words of a phrase
	objects []string
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

// at returns the meaning of the longest phrase from word i on, and its length in words.
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
	// An object between two others is right of one and left of the other.
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

// lexicon joins the vocabulary's phrases and the rules' own.
func (v Vocabulary) lexicon() *lexicon {
	l := &lexicon{phrases: map[string]meaning{}, of: v.Of}
	l.addRelations()
	l.addSpots()
	l.addWords()
	for _, o := range v.Objects {
		l.addObject(o)
	}
	for _, b := range v.Backgrounds {
		l.addBackground(b)
	}
	return l
}

func (l *lexicon) addRelations() {
	for word, phrases := range relationWords {
		l.addAll(relation, word, phrases...)
	}
}

func (l *lexicon) addSpots() {
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
}

// addWords adds the rules' own words: sizes, pronouns, articles, numbers, and words that
// join or fill.
func (l *lexicon) addWords() {
	l.addAll(size, "big", "big", "large", "huge", "giant", "enormous")
	l.addAll(size, "small", "small", "little", "tiny")
	l.addAll(pronoun, "it", "it", "them", "him", "her")
	l.addAll(article, "a", "a", "an")
	l.addAll(article, "the", "the")
	l.addAll(article, "some", "some", "several", "a few", "many", "lots of")
	for n, w := range numberWords[1:] {
		l.add(w, meaning{kind: number, number: n + 1})
		l.add(strconv.Itoa(n+1), meaning{kind: number, number: n + 1})
	}
	for phrase, n := range map[string]int{"a pair of": 2, "a couple of": 2, "a dozen": 12} {
		l.add(phrase, meaning{kind: number, number: n})
	}
	l.addAll(join, "and", "and", ",", ";", ".", "with", "plus", "also", "then", "and then", "as well as")
	l.addAll(filler, "", "is", "are", "that", "which", "there is", "there are", "sits", "stands", "lies", "sit", "stand", "lie",
		"sitting", "standing", "lying", "placed", "both", "draw", "paint", "show",
		"a picture of", "a scene with", "a scene of", "an image of", "a photo of", "please")
}

// addAll adds phrases of one meaning.
func (l *lexicon) addAll(k kind, word string, phrases ...string) {
	for _, p := range phrases {
		l.add(p, meaning{kind: k, word: word})
	}
}

// addObject adds an object's names, singular and plural.
func (l *lexicon) addObject(o Object) {
	for _, name := range append([]string{o.Name}, o.Also...) {
		m := meaning{kind: object, object: o, name: name, number: 1}
		many := plural(name)
		if o.Bare || many == name {
			m.number = 0
		}
		l.add(name, m)
		m.number = 2
		l.add(many, m)
		l.objects = append(l.objects, name)
	}
}

// addBackground adds a background's phrases.
func (l *lexicon) addBackground(b Background) {
	m := meaning{kind: background, background: b}
	l.add(b.At, m)
	l.add(b.Phrase, m)
	bare := strings.TrimPrefix(strings.TrimPrefix(b.Phrase, "a "), "an ")
	names := []string{strings.TrimPrefix(bare, "the ")}
	if !strings.HasSuffix(b.Phrase, " background") {
		names = append(names, b.Name) // "at night"; a colour alone is no background
	}
	for _, name := range names {
		for _, before := range []string{"in ", "on ", "at ", "under ", "by ", "against ", "over ", "above ", "across "} {
			for _, art := range []string{"", "a ", "an ", "the "} {
				l.add(before+art+name, m)
			}
		}
	}
}

var plurals = map[string]string{
	"mouse": "mice", "sheep": "sheep", "fish": "fish", "leaf": "leaves", "popcorn": "popcorn",
	"dice": "dice", "broccoli": "broccoli", "bread": "bread", "corn": "corn", "cactus": "cactuses",
}

// plural returns the plural of a name, by its last word.
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

// withArticle returns "an apple" for "apple".
func withArticle(name string) string {
	if strings.ContainsRune("aeiou", rune(name[0])) && !strings.HasPrefix(name, "uni") {
		return "an " + name
	}
	return "a " + name
}

// near returns the objects whose names are closest to a word, quoted.
func (l *lexicon) near(word string) []string {
	type candidate struct {
		name string
		cost int
	}
	var found []candidate
	most := max(1, len(word)/3)
	for _, t := range l.objects {
		if !strings.Contains(t, " ") {
			if d := words.Distance(word, t); d <= most {
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
