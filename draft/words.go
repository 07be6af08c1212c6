package draft

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Plan makes a draft of words by rules: things, how many, how large, and how they
// lie. What it does not understand is an error; what the vocabulary lacks is kept,
// and said in the notes.
func Plan(words string, v Vocabulary) (Draft, []string, error) {
	words, err := said(words)
	if err != nil {
		return Draft{}, nil, err
	}
	s, err := newSpeech(words, v)
	if err != nil {
		return Draft{}, nil, err
	}
	if err := s.understand(); err != nil {
		return Draft{}, nil, err
	}
	if len(s.things) == 0 {
		return Draft{}, nil, fmt.Errorf("the words name nothing to draw")
	}
	notes, err := s.place()
	if err != nil {
		return Draft{}, nil, err
	}
	d := s.draft
	d.Words = []string{words}
	prompt, note := v.prompt(d.Entities, s.where)
	d.Prompt = prompt
	d.Called("")
	if wrong := d.problems(); len(wrong) > 0 {
		return Draft{}, nil, fmt.Errorf("this can't be a scene: %s", strings.Join(wrong, "; "))
	}
	return d, append(append(s.notes, notes...), note...), nil
}

// A speech is words on their way to a draft.
type speech struct {
	vocabulary Vocabulary
	lexicon    *lexicon
	words      []string
	at         int

	draft  Draft
	things []placed // as draft.Entities
	rels   []rel
	spots  []rel // to the canvas: b is unused
	where  *Place
	notes  []string

	last    []int // the things said last in this part of the sentence
	subject []int // what this part is about: the things said first
	before  []int // what the part before the comma was about
	carried []int // what stands on the last things, and lies where they lie
	pending []rel // said before the thing that it is about; a is unused
	amend   bool  // "a cat", after a relation, is the cat that is there
}

// A placed is what the rules know of an entity.
type placed struct {
	noun  string // "cat"
	size  string // "big", "small"
	sky   bool
	fixed bool
	group int  // things said together, from 1; 0: none
	home  *Box // where it was, and would stay; nil: nowhere yet
}

// maxThings bounds the search for places.
const maxThings = 20

// isSpot stands for b where a rel is about a part of the canvas.
const isSpot = -1

// A rel says how one thing lies to another.
type rel struct {
	kind string
	a, b int
}

// newSpeech cuts words up.
func newSpeech(words string, v Vocabulary) (*speech, error) {
	s := &speech{vocabulary: v, lexicon: v.lexicon()}
	var strange []string
	for _, f := range strings.Fields(strings.ToLower(words)) {
		word := ""
		flush := func() {
			if word = strings.Trim(word, "-'"); word != "" {
				s.words = append(s.words, word)
			}
			word = ""
		}
		for _, r := range f {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '\'':
				word += string(r)
			case r == '’':
				word += "'"
			case strings.ContainsRune(",;.:!?", r):
				flush()
				s.words = append(s.words, map[bool]string{true: ".", false: ","}[strings.ContainsRune(".!?", r)])
			case strings.ContainsRune(`"“”()`, r):
				flush()
			default:
				if q := fmt.Sprintf("%q", r); !slices.Contains(strange, q) {
					strange = append(strange, q)
				}
			}
		}
		flush()
	}
	if len(strange) > 0 {
		return nil, fmt.Errorf("the words have signs that say nothing of a picture: %s", strings.Join(strange, ", "))
	}
	return s, nil
}

func (s *speech) next() (meaning, int) { return s.lexicon.at(s.words, s.at) }

// understand goes through the words.
func (s *speech) understand() error {
	for s.at < len(s.words) {
		m, n := s.next()
		switch m.kind {
		case filler:
			s.at += n
		case join:
			if s.subject != nil {
				s.before = s.subject
			}
			s.last, s.subject, s.carried = nil, nil, nil
			s.at += n
		case place:
			if s.where != nil && s.where.Name != m.place.Name {
				return fmt.Errorf("there are two backgrounds, %q and %q, and a picture has one", s.where.Phrase, m.place.Phrase)
			}
			p := m.place
			s.where = &p
			s.at += n
		case spot:
			s.at += n
			about := s.last
			if about == nil {
				about = s.before
				if s.thingFollows() || about == nil {
					s.pending = append(s.pending, rel{kind: m.word, b: isSpot})
					continue
				}
			}
			for _, a := range about {
				s.spots = append(s.spots, rel{kind: m.word, a: a})
			}
		case relation:
			phrase := strings.Join(s.words[s.at:s.at+n], " ")
			s.at += n
			about := s.last
			if about == nil {
				about = s.before
			}
			carried := s.carried
			other, err := s.thing(true)
			if err != nil {
				return err
			}
			if m.word == "between" {
				if err := s.between(about, other); err != nil {
					return err
				}
				continue
			}
			if other == nil {
				return fmt.Errorf("after %q there is nothing that I know%s", phrase, s.rest())
			}
			if about == nil {
				for _, b := range other {
					s.pending = append(s.pending, rel{kind: m.word, b: b})
				}
				s.last, s.before = nil, nil
				continue
			}
			if s.subject == nil {
				s.subject = about
			}
			if m.word != "on" && m.word != "in" {
				about = append(slices.Clone(carried), about...)
				s.carried = nil
			} else {
				s.carried = append(carried, about...)
			}
			for _, a := range about {
				for _, b := range other {
					if a == b {
						return fmt.Errorf("%s can't be %s itself", s.draft.Entities[a].Name, phrase)
					}
					s.rels = append(s.rels, rel{m.word, a, b})
				}
			}
			s.last = other
		default:
			ids, err := s.thing(false)
			if err != nil {
				return err
			}
			if ids == nil {
				return fmt.Errorf("%q is not understood%s.%s The rules know things, numbers, sizes, backgrounds and where things are; a language model knows more (--endpoint)",
					s.words[s.at], s.around(), s.lexicon.hint(s.words[s.at]))
			}
			for _, p := range s.pending {
				for _, a := range ids {
					if p.b == isSpot {
						s.spots = append(s.spots, rel{kind: p.kind, a: a})
					} else {
						s.rels = append(s.rels, rel{p.kind, a, p.b})
					}
				}
			}
			s.pending, s.carried, s.last = nil, nil, ids
			if s.subject == nil {
				s.subject = ids
			}
		}
		if len(s.draft.Entities) > maxThings {
			return fmt.Errorf("there are more than %d things, which is what the rules can place", maxThings)
		}
	}
	if len(s.pending) > 0 {
		return fmt.Errorf("the words say where, and not what is there")
	}
	return nil
}

// between puts things between two others, which are side by side.
func (s *speech) between(about, others []int) error {
	if len(others) == 1 {
		if m, n := s.next(); m.kind == join && n == 1 && s.words[s.at] == "and" {
			s.at++
			second, err := s.thing(true)
			if err != nil {
				return err
			}
			others = append(slices.Clone(others), second...)
		}
	}
	if len(about) == 0 || len(others) != 2 {
		return fmt.Errorf("what is between is between two things: \"a cat between a dog and a tree\"")
	}
	for _, a := range about {
		s.rels = append(s.rels, rel{"left", others[0], a}, rel{"left", a, others[1]})
	}
	s.last = about
	return nil
}

// thingFollows reports whether the next words are those of a thing.
func (s *speech) thingFollows() bool {
	for at := s.at; at < len(s.words); {
		m, n := s.lexicon.at(s.words, at)
		switch m.kind {
		case thing, article, number, size:
			return true
		case filler:
			at += n
		case join:
			if s.words[at] != "," || at != s.at {
				return false
			}
			// "in the middle, a cat" follows; "a dog, on the left, a cat" does not.
			if s.before != nil {
				return false
			}
			at += n
		default:
			return false
		}
	}
	return false
}

func (s *speech) around() string {
	if s.at == 0 {
		return ""
	}
	return fmt.Sprintf(", after %q", strings.Join(s.words[max(0, s.at-3):s.at], " "))
}

func (s *speech) rest() string {
	if s.at >= len(s.words) {
		return ""
	}
	return fmt.Sprintf(": %q.%s", s.words[s.at], s.lexicon.hint(s.words[s.at]))
}

// thing reads the words of a thing, "two small red apples", and gives its entities:
// new ones, or those of before that "the" speaks of. nil: there is none.
func (s *speech) thing(related bool) ([]int, error) {
	if m, n := s.next(); related && m.kind == pronoun && s.before != nil {
		s.at += n
		return s.before, nil
	}
	start := s.at
	art, count, large := "", 0, ""
	var extra []string // words that no vocabulary has
	var known *meaning
read:
	for s.at < len(s.words) {
		m, n := s.next()
		switch {
		case m.kind == article && s.at == start:
			art = m.word
		case m.kind == number && known == nil && len(extra) == 0 && count == 0:
			count = m.number
		case m.kind == size && known == nil && len(extra) == 0:
			large = m.word
		case m.kind == filler && s.at == start:
			start += n
		case m.kind == thing && known == nil:
			known = &m
		case m.kind == none && strings.Trim(s.words[s.at], "0123456789") == "":
			return nil, fmt.Errorf("%s is not a number of things that the rules can place; %d is the most", s.words[s.at], maxThings)
		case m.kind == none && len(extra) < 6:
			extra, n = append(extra, s.words[s.at]), 1
		default:
			break read
		}
		s.at += n
	}
	if known == nil && (len(extra) == 0 || art == "" && count == 0 && large == "") {
		s.at = start
		return nil, nil
	}
	noun, name, bare, sky := "", "", false, false
	switch {
	case known != nil:
		noun, name, bare, sky = known.thing.Name, known.name, known.thing.Bare, known.thing.Sky
		if count == 0 && known.number == 2 || count == 0 && art == "some" && !bare {
			count = 3
			if art == "the" {
				count = 0 // those of before
			} else {
				s.notes = append(s.notes, fmt.Sprintf("%q are three here: the words don't say how many.", plural(name)))
			}
		}
	default:
		noun = head(extra)
		if many := singular(noun); count > 1 {
			noun = many
		}
		name, bare = noun, art == "some" && count == 0
	}
	if art == "the" || s.amend && related {
		if ids := s.named(noun); ids != nil {
			return ids, nil
		}
		if s.amend && related {
			return nil, fmt.Errorf("there is no %s in the scene; there are %s", noun, s.everything())
		}
	}
	// What is said of a thing stays in its prompt, in the order in which it was said.
	prompt := name
	if len(extra) > 0 {
		said := slices.Clone(s.words[start:s.at])
		for len(said) > 0 {
			if m, n := s.lexicon.at(said, 0); m.kind == article || m.kind == number || m.kind == size {
				said = said[n:]
				continue
			}
			break
		}
		prompt = strings.Join(said, " ")
		if known != nil && known.number == 2 {
			prompt = strings.Replace(prompt, plural(name), name, 1)
		} else if known == nil && count > 1 {
			prompt = strings.Replace(prompt, head(extra), noun, 1)
		}
		for _, w := range extra {
			of := ""
			if known != nil {
				of = fmt.Sprintf(" in %q", prompt)
			}
			s.notes = append(s.notes, fmt.Sprintf("%s was not taught %q%s: it stays in the prompt, and may not be drawn.%s", s.vocabulary.Of, w, of, s.lexicon.hint(w)))
		}
	}
	if !bare {
		prompt = withArticle(prompt)
	}
	group := 0
	if count > 1 {
		group = len(s.things) + 1
	}
	var ids []int
	for range max(1, count) {
		ids = append(ids, len(s.things))
		s.draft.Entities = append(s.draft.Entities, Entity{Name: s.draft.unique(noun), Prompt: prompt})
		s.things = append(s.things, placed{noun: noun, size: large, sky: sky, group: group})
		if len(s.things) > maxThings {
			break
		}
	}
	return ids, nil
}

// head is the noun among words that no vocabulary has: the last one, "red dragon", but
// for what the thing does, "dragon flying", and to what, "dragon breathing fire".
func head(words []string) string {
	for i, w := range words {
		if i > 0 && slices.Contains(doing, w) {
			return words[i-1]
		}
	}
	last := len(words) - 1
	for last > 0 && participle(words[last]) {
		last--
	}
	if participle(words[last]) {
		last = len(words) - 1
	}
	return words[last]
}

// doing are participles that are said of the noun before them, with an object after.
var doing = []string{"breathing", "carrying", "chasing", "drinking", "eating", "holding", "playing", "pulling", "reading", "riding", "watching", "wearing"}

// participle reports whether a word ends as participles and adverbs do, and is no noun
// that does so too.
func participle(w string) bool {
	nouns := []string{
		"awning", "building", "ceiling", "clothing", "duckling", "earring", "herring", "king", "lightning", "painting", "pudding", "railing",
		"ring", "sapling", "spring", "starling", "string", "swing", "thing", "wing", "bed", "moped", "reed", "seed", "shed", "sled", "steed", "weed",
		"belly", "butterfly", "dragonfly", "fly", "firefly", "jelly", "lily", "trolley", "family",
	}
	if slices.Contains(nouns, w) {
		return false
	}
	return strings.HasSuffix(w, "ing") || strings.HasSuffix(w, "ed") || strings.HasSuffix(w, "ly")
}

// named are the entities of a noun.
func (s *speech) named(noun string) []int {
	var ids []int
	for i, t := range s.things {
		if t.noun == noun || s.draft.Entities[i].Name == slug(noun) {
			ids = append(ids, i)
		}
	}
	return ids
}

func (s *speech) everything() string {
	var names []string
	for _, e := range s.draft.Entities {
		names = append(names, e.Name)
	}
	return strings.Join(names, ", ")
}

// prompt says what is in a picture, in the words that a small model was taught.
func (v Vocabulary) prompt(entities []Entity, where *Place) (string, []string) {
	var things []string
	for _, e := range entities {
		things = append(things, e.Prompt)
	}
	at := ""
	if where != nil {
		at = " " + where.At
	}
	for kept := len(things); ; kept-- {
		p := list(things[:kept]) + at
		if kept > 1 && (v.Words > 0 && len(strings.Fields(p))+strings.Count(p, ",") > v.Words || len([]rune(p)) > maxPrompt) {
			continue
		}
		if kept == len(things) {
			return p, nil
		}
		return p, []string{fmt.Sprintf("The prompt names %d of the %d things, which is as much as %s reads; the others have their regions.", kept, len(things), v.Of)}
	}
}

// list joins "a", "b" and "c" to "a, b and c".
func list(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}
