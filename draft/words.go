package draft

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Plan makes a draft of words by rules: objects, how many, how large, and their positions.
// Phrases that it doesn't understand are errors. Words that the vocabulary lacks stay,
// with a note.
func Plan(words string, v Vocabulary) (Draft, []string, error) {
	words, err := tidied(words)
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
	if len(s.objects) == 0 {
		return Draft{}, nil, fmt.Errorf("the words name no object to draw")
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

	draft   Draft
	objects []placed // as draft.Entities
	rels    []rel
	spots   []rel // to the canvas: b is unused
	where   *Background
	notes   []string

	last    []int // the last objects in this part of the sentence
	subject []int // its first objects
	before  []int // the first objects of the part before the comma
	carried []int // objects that stand on the last ones, and lie where they lie
	pending []rel // read before their object; a is unused
	amend   bool  // "a cat", after a relation, is the cat that is there
}

// A placed is what the rules know of an entity.
type placed struct {
	noun  string // "cat"
	size  string // "big", "small"
	sky   bool
	fixed bool
	group int  // objects of one mention, from 1; 0: none
	home  *Box // where it was, and would stay; nil: nowhere yet
}

// maxObjects bounds the search for positions.
const maxObjects = 20

// isSpot stands for b if a rel is about a part of the canvas.
const isSpot = -1

// A rel is a relation between two objects.
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
		return nil, fmt.Errorf("unsupported characters: %s. Leave them out", strings.Join(strange, ", "))
	}
	return s, nil
}

func (s *speech) next() (meaning, int) { return s.lexicon.at(s.words, s.at) }

// understand goes through the words.
func (s *speech) understand() error {
	for s.at < len(s.words) {
		m, n := s.next()
		var err error
		switch m.kind {
		case filler:
			s.at += n
		case join:
			s.join(n)
		case background:
			err = s.behind(m.background, n)
		case spot:
			s.spot(m.word, n)
		case relation:
			err = s.relate(m.word, n)
		default:
			err = s.introduce()
		}
		if err != nil {
			return err
		}
		if len(s.draft.Entities) > maxObjects {
			return fmt.Errorf("there are more than %d objects, which is the most that the rules can place", maxObjects)
		}
	}
	if len(s.pending) > 0 {
		return fmt.Errorf("the words say where something is, but not what")
	}
	return nil
}

// join begins a new part of the sentence.
func (s *speech) join(n int) {
	if s.subject != nil {
		s.before = s.subject
	}
	s.last, s.subject, s.carried = nil, nil, nil
	s.at += n
}

// behind sets the picture's background.
func (s *speech) behind(b Background, n int) error {
	if s.where != nil && s.where.Name != b.Name {
		return fmt.Errorf("there are two backgrounds, %q and %q, and a picture has one", s.where.Phrase, b.Phrase)
	}
	s.where = &b
	s.at += n
	return nil
}

// spot puts objects into a part of the canvas: the last ones, or those that follow.
func (s *speech) spot(word string, n int) {
	s.at += n
	about := s.last
	if about == nil {
		about = s.before
		if s.objectFollows() || about == nil {
			s.pending = append(s.pending, rel{kind: word, b: isSpot})
			return
		}
	}
	for _, a := range about {
		s.spots = append(s.spots, rel{kind: word, a: a})
	}
}

// relate reads the other side of a relation and records it for the objects before it, or
// for those that follow.
func (s *speech) relate(word string, n int) error {
	phrase := strings.Join(s.words[s.at:s.at+n], " ")
	s.at += n
	about := s.last
	if about == nil {
		about = s.before
	}
	carried := s.carried
	other, err := s.object(true)
	if err != nil {
		return err
	}
	if word == "between" {
		return s.between(about, other)
	}
	if other == nil && s.at >= len(s.words) {
		return fmt.Errorf("%q needs an object after it", phrase)
	}
	if other == nil {
		return fmt.Errorf("unknown object after %q: %q.%s", phrase, s.words[s.at], s.lexicon.hint(s.words[s.at]))
	}
	if about == nil {
		for _, b := range other {
			s.pending = append(s.pending, rel{kind: word, b: b})
		}
		s.last, s.before = nil, nil
		return nil
	}
	if s.subject == nil {
		s.subject = about
	}
	if word != "on" && word != "in" {
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
			s.rels = append(s.rels, rel{word, a, b})
		}
	}
	s.last = other
	return nil
}

// introduce reads objects that a sentence or its next part is about.
func (s *speech) introduce() error {
	ids, err := s.object(false)
	if err != nil {
		return err
	}
	if ids == nil {
		word := s.words[s.at]
		return fmt.Errorf("%q is not understood%s.%s The rules know objects, numbers, sizes, backgrounds and positions; "+
			"a language model knows more (--endpoint)", word, s.around(), s.lexicon.hint(word))
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
	return nil
}

// between puts objects between two others, which are side by side.
func (s *speech) between(about, others []int) error {
	if len(others) == 1 {
		if m, n := s.next(); m.kind == join && n == 1 && s.words[s.at] == "and" {
			s.at++
			second, err := s.object(true)
			if err != nil {
				return err
			}
			others = append(slices.Clone(others), second...)
		}
	}
	if len(about) == 0 || len(others) != 2 {
		return fmt.Errorf("between needs two objects: \"a cat between a dog and a tree\"")
	}
	for _, a := range about {
		s.rels = append(s.rels, rel{"left", others[0], a}, rel{"left", a, others[1]})
	}
	s.last = about
	return nil
}

// objectFollows reports whether the next words name an object.
func (s *speech) objectFollows() bool {
	for at := s.at; at < len(s.words); {
		m, n := s.lexicon.at(s.words, at)
		switch m.kind {
		case object, article, number, size:
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

// A mention is a phrase that names an object: "two small red apples".
type mention struct {
	start   int      // of its words
	article string   // "a", "the", "some"; "" if there is none
	count   int      // 0 if the words don't say
	size    string   // "big", "small"
	known   *meaning // nil: the vocabulary lacks the noun
	extra   []string // words that no vocabulary has
}

// object reads a mention and returns its entities: new ones, or earlier ones that "the"
// refers to. It returns nil if the next words name no object.
func (s *speech) object(related bool) ([]int, error) {
	if m, n := s.next(); related && m.kind == pronoun && s.before != nil {
		s.at += n
		return s.before, nil
	}
	m, err := s.mention()
	if err != nil {
		return nil, err
	}
	if m.known == nil && (len(m.extra) == 0 || m.article == "" && m.count == 0 && m.size == "") {
		s.at = m.start
		return nil, nil
	}
	p, name, bare := s.noun(&m)
	if m.article == "the" || s.amend && related {
		if ids := s.named(p.noun); ids != nil {
			return ids, nil
		}
		if s.amend && related {
			return nil, fmt.Errorf("there is no %s in the scene; there are %s", p.noun, s.everything())
		}
	}
	prompt := name
	if len(m.extra) > 0 {
		prompt = s.described(m, name, p.noun)
	}
	if !bare {
		prompt = withArticle(prompt)
	}
	if m.count > 1 {
		p.group = len(s.objects) + 1
	}
	var ids []int
	for range max(1, m.count) {
		ids = append(ids, len(s.objects))
		s.draft.Entities = append(s.draft.Entities, Entity{Name: s.draft.unique(p.noun), Prompt: prompt})
		s.objects = append(s.objects, p)
		if len(s.objects) > maxObjects {
			break
		}
	}
	return ids, nil
}

// mention reads the words of an object, as far as they go.
func (s *speech) mention() (mention, error) {
	out := mention{start: s.at}
	for s.at < len(s.words) {
		m, n := s.next()
		unnamed := out.known == nil && len(out.extra) == 0
		switch {
		case m.kind == article && s.at == out.start:
			out.article = m.word
		case m.kind == number && unnamed && out.count == 0:
			out.count = m.number
		case m.kind == size && unnamed:
			out.size = m.word
		case m.kind == filler && s.at == out.start:
			out.start += n
		case m.kind == object && out.known == nil:
			out.known = &m
		case m.kind == none && strings.Trim(s.words[s.at], "0123456789") == "":
			return out, fmt.Errorf("the rules can't place %s objects; %d is the most", s.words[s.at], maxObjects)
		case m.kind == none && len(out.extra) < 6:
			out.extra, n = append(out.extra, s.words[s.at]), 1
		default:
			return out, nil
		}
		s.at += n
	}
	return out, nil
}

// noun returns what a mention places, its name for the prompt, and whether that takes no
// article. It settles how many "some" are.
func (s *speech) noun(m *mention) (p placed, name string, bare bool) {
	if m.known == nil {
		noun := head(m.extra)
		if one := singular(noun); m.count > 1 {
			noun = one
		}
		return placed{noun: noun, size: m.size}, noun, m.article == "some" && m.count == 0
	}
	o := m.known.object
	name = m.known.name
	if m.count == 0 && (m.known.number == 2 || m.article == "some" && !o.Bare) && m.article != "the" {
		m.count = 3
		s.notes = append(s.notes, fmt.Sprintf("%q are three here: the words don't say how many.", plural(name)))
	}
	return placed{noun: o.Name, size: m.size, sky: o.Sky}, name, o.Bare
}

// described returns a prompt with the words that no vocabulary has, in their order, and
// notes each of them.
func (s *speech) described(m mention, name, noun string) string {
	words := slices.Clone(s.words[m.start:s.at])
	for len(words) > 0 {
		lead, n := s.lexicon.at(words, 0)
		if lead.kind != article && lead.kind != number && lead.kind != size {
			break
		}
		words = words[n:]
	}
	prompt := strings.Join(words, " ")
	of := ""
	switch {
	case m.known != nil:
		if m.known.number == 2 {
			prompt = strings.Replace(prompt, plural(name), name, 1)
		}
		of = fmt.Sprintf(" in %q", prompt)
	case m.count > 1:
		prompt = strings.Replace(prompt, head(m.extra), noun, 1)
	}
	for _, w := range m.extra {
		s.notes = append(s.notes, fmt.Sprintf("%s wasn't trained on %q%s: it stays in the prompt, and may not be drawn.%s",
			s.vocabulary.Of, w, of, s.lexicon.hint(w)))
	}
	return prompt
}

// head returns the noun among words that no vocabulary has: the last one, "red dragon",
// without participles and their objects, "dragon breathing fire".
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

// doing are participles of the noun before them, with an object after them.
var doing = []string{
	"breathing", "carrying", "chasing", "drinking", "eating", "holding", "playing", "pulling", "reading", "riding",
	"watching", "wearing",
}

// participle reports whether a word ends like a participle or an adverb and is no noun.
func participle(w string) bool {
	nouns := []string{
		"awning", "building", "ceiling", "clothing", "duckling", "earring", "herring", "king", "lightning", "painting", "pudding", "railing",
		"ring", "sapling", "spring", "starling", "string", "swing", "thing", "wing", "bed", "moped", "reed", "seed", "shed", "sled", "steed",
		"weed",
		"belly", "butterfly", "dragonfly", "fly", "firefly", "jelly", "lily", "trolley", "family",
	}
	if slices.Contains(nouns, w) {
		return false
	}
	return strings.HasSuffix(w, "ing") || strings.HasSuffix(w, "ed") || strings.HasSuffix(w, "ly")
}

// named returns the entities of a noun.
func (s *speech) named(noun string) []int {
	var ids []int
	for i, t := range s.objects {
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

// prompt returns a picture's prompt in the words that the model was trained on.
func (v Vocabulary) prompt(entities []Entity, where *Background) (string, []string) {
	var objects []string
	for _, e := range entities {
		objects = append(objects, e.Prompt)
	}
	at := ""
	if where != nil {
		at = " " + where.At
	}
	for kept := len(objects); ; kept-- {
		p := list(objects[:kept]) + at
		if kept > 1 && (v.Words > 0 && len(strings.Fields(p))+strings.Count(p, ",") > v.Words || len([]rune(p)) > maxPrompt) {
			continue
		}
		if kept == len(objects) {
			return p, nil
		}
		return p, []string{fmt.Sprintf("The prompt names %d of the %d objects, which is as much as %s reads; the others have their regions.",
			kept, len(objects), v.Of)}
	}
}

// list joins "a", "b" and "c" to "a, b and c".
func list(s []string) string {
	if len(s) < 2 {
		return strings.Join(s, "")
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}
