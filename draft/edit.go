package draft

import (
	"fmt"
	"slices"
	"strings"
)

// Edit changes a draft by rules: "move the cat to the left", "make the dog bigger",
// "remove the sun", "add a duck left of the cat", one after the other.
func Edit(d Draft, words string, v Vocabulary) (Draft, []string, error) {
	words, err := tidied(words)
	if err != nil {
		return d, nil, err
	}
	s, err := newSpeech(words, v)
	if err != nil {
		return d, nil, err
	}
	was := d
	where, composed := v.backgroundOf(d)
	s.lexicon.addEdits()
	clauses := s.clauses()
	if len(clauses) == 0 {
		return d, nil, fmt.Errorf("the words name no change. The rules know: move X left, right, up or down, or left of Y; " +
			"make X bigger or smaller; remove X; add a Y left of X. A language model knows more (--endpoint)")
	}
	d.Entities = slices.Clone(d.Entities)
	var notes []string
	for _, c := range clauses {
		e := s.onto(d, c.words)
		if err := e.change(c.verb); err != nil {
			return was, nil, fmt.Errorf("%s %s: %w", c.verb, strings.Join(c.words, " "), err)
		}
		d = e.draft
		notes = append(notes, e.notes...)
		if e.where != nil {
			where = e.where
		}
	}
	if len(d.Entities) == 0 {
		return was, nil, fmt.Errorf("nothing would be left in the picture")
	}
	for _, p := range d.problems() {
		if !slices.Contains(was.problems(), p) {
			return was, nil, fmt.Errorf("this can't be a scene: %s", p)
		}
	}
	d.Words = append(slices.Clone(d.Words), words)
	if prompt, note := v.prompt(d.Entities, where); composed {
		d.Prompt = prompt
		notes = append(notes, note...)
	} else if !slices.EqualFunc(was.Entities, d.Entities, func(a, b Entity) bool { return a.Name == b.Name }) {
		notes = append(notes, fmt.Sprintf("The prompt of the picture still says %s: change it by hand.", shown(clean(d.Prompt))))
	}
	return d, notes, nil
}

// addEdits adds the verbs of edits, and the words for how far.
func (l *lexicon) addEdits() {
	for word, phrases := range map[string][]string{
		"move": {"move", "put", "shift", "place"}, "make": {"make"},
		"remove": {"remove", "delete", "drop", "take away"}, "add": {"add"},
	} {
		for _, p := range phrases {
			l.add(p, meaning{kind: verb, word: word})
		}
	}
	for n, phrases := range map[int][]string{7: {"a bit", "a little", "slightly"}, 30: {"far", "a lot", "much"}} {
		for _, p := range phrases {
			l.phrases[p] = meaning{kind: degree, number: n}
			l.longest = max(l.longest, 2)
		}
	}
}

// onto returns the speech of one change to a draft, whose entities stay where they are.
func (s *speech) onto(d Draft, words []string) *speech {
	e := &speech{vocabulary: s.vocabulary, lexicon: s.lexicon, words: words, draft: d, amend: true}
	for _, x := range d.Entities {
		noun := nounOf(x.Prompt)
		if m, ok := s.lexicon.phrases[noun]; ok && m.kind == object {
			noun = m.object.Name
		}
		e.objects = append(e.objects, placed{noun: noun, fixed: true})
	}
	return e
}

// backgroundOf returns the background in a draft's prompt. composed reports whether the
// prompt is one that the rules write.
func (v Vocabulary) backgroundOf(d Draft) (where *Background, composed bool) {
	if p, _ := v.prompt(d.Entities, nil); p == d.Prompt {
		return nil, true
	}
	for _, at := range v.Backgrounds {
		if p, _ := v.prompt(d.Entities, &at); p == d.Prompt {
			return &at, true
		}
	}
	return nil, false
}

// nounOf returns a prompt without its article.
func nounOf(prompt string) string {
	for _, a := range []string{"a ", "an ", "the "} {
		if rest, ok := strings.CutPrefix(prompt, a); ok {
			return rest
		}
	}
	return prompt
}

// A clause is one change.
type clause struct {
	verb  string
	words []string
}

// clauses cuts the words at verbs. It returns nil if they don't begin with one.
func (s *speech) clauses() []clause {
	var out []clause
	for i := 0; i < len(s.words); {
		m, n := s.lexicon.at(s.words, i)
		switch {
		case m.kind == verb:
			out = append(out, clause{verb: m.word})
		case len(out) == 0 && m.kind == filler:
		case len(out) == 0:
			return nil
		default:
			n = max(1, n)
			c := &out[len(out)-1]
			c.words = append(c.words, s.words[i:i+n]...)
		}
		i += n
	}
	for k := range out { // "and" between clauses
		for w := out[k].words; len(w) > 0; w = out[k].words {
			if m, _ := s.lexicon.at(w[len(w)-1:], 0); m.kind != join {
				break
			}
			out[k].words = w[:len(w)-1]
		}
	}
	return out
}

// change makes one change.
func (s *speech) change(verb string) error {
	if verb == "add" {
		n := len(s.objects)
		if err := s.understand(); err != nil {
			return err
		}
		if len(s.objects) == n {
			return fmt.Errorf("these words name no new object")
		}
		notes, err := s.place()
		s.notes = append(s.notes, notes...)
		return err
	}
	ids, err := s.existing()
	if err != nil {
		return err
	}
	rest := s.words[s.at:]
	for _, i := range ids {
		if e := s.draft.Entities[i]; e.Fixed != "" {
			return fmt.Errorf("entity.%s %s: change it by hand", e.Name, e.Fixed)
		}
	}
	switch verb {
	case "remove":
		if len(rest) > 0 {
			return fmt.Errorf("%q is not understood", rest[0])
		}
		var kept []Entity
		for i, e := range s.draft.Entities {
			if !slices.Contains(ids, i) {
				kept = append(kept, e)
			}
		}
		s.draft.Entities = kept
		return nil
	case "make":
		return s.resize(ids, rest)
	}
	return s.move(ids, rest)
}

// existing reads the names of entities that are there.
func (s *speech) existing() ([]int, error) {
	if m, n := s.next(); m.kind == article || m.kind == number {
		s.at += n
	}
	for n := min(5, len(s.words)-s.at); n > 0; n-- {
		name := strings.Join(s.words[s.at:s.at+n], " ")
		ids := s.named(name)
		if ids == nil {
			if m, k := s.next(); m.kind == object && k == n {
				if ids = s.named(m.name); ids == nil {
					ids = s.named(m.object.Name)
				}
			}
		}
		if ids == nil && n == 1 {
			ids = s.named(singular(name))
		}
		if ids != nil {
			s.at += n
			return ids, nil
		}
	}
	who := "that"
	if s.at < len(s.words) {
		who = fmt.Sprintf("%q", s.words[s.at])
	}
	return nil, fmt.Errorf("%s is not in the scene; there are %s", who, s.everything())
}

func (s *speech) resize(ids []int, rest []string) error {
	percent := 130
	if len(rest) > 0 {
		if m, n := s.lexicon.at(rest, 0); m.kind == degree {
			percent = map[bool]int{true: 115, false: 160}[m.number < 10]
			rest = rest[n:]
		}
	}
	switch strings.Join(rest, " ") {
	case "bigger", "larger", "big", "large", "huge":
	case "smaller", "small", "tiny", "little":
		percent = 10000 / percent
	default:
		return fmt.Errorf("%q is not understood; make knows bigger and smaller", strings.Join(rest, " "))
	}
	for _, i := range ids {
		e := &s.draft.Entities[i]
		b := e.Box
		w, h := min(100, max(minSide, b.W*percent/100)), min(100, max(minSide, b.H*percent/100))
		e.Box = Box{onCanvas(b.X+(b.W-w)/2, w), onCanvas(b.Y+(b.H-h)/2, h), w, h}
		if e.Box == b {
			s.notes = append(s.notes, fmt.Sprintf("entity.%s can't become %s.", e.Name, rest[len(rest)-1]))
		}
		s.crowded(i)
	}
	return nil
}

func onCanvas(at, side int) int { return max(0, min(at, 100-side)) }

// move shifts entities by a step, or finds a position by the words about them.
func (s *speech) move(ids []int, rest []string) error {
	step := 15
	var words []string
	for i := 0; i < len(rest); {
		m, n := s.lexicon.at(rest, i)
		if m.kind == degree {
			step = m.number
		} else {
			n = max(1, n)
			words = append(words, rest[i:i+n]...)
		}
		i += n
	}
	dx, dy := 0, 0
	switch strings.Join(words, " ") {
	case "left", "to the left", "leftwards", "to left":
		dx = -step
	case "right", "to the right", "rightwards", "to right":
		dx = step
	case "up", "upwards", "higher":
		dy = -step
	case "down", "downwards", "lower":
		dy = step
	case "":
		return fmt.Errorf("the words don't say where to")
	default:
		// As for an object without a position.
		s.words, s.at, s.last = words, 0, ids
		for k := 0; k < len(words); k++ {
			if words[k] == "to" && k+1 < len(words) { // "to above the dog"
				if m, _ := s.lexicon.at(words, k+1); m.kind == relation {
					s.words = slices.Delete(words, k, k+1)
				}
			}
		}
		n := len(s.objects)
		if err := s.understand(); err != nil {
			return err
		}
		if len(s.objects) > n || len(s.rels)+len(s.spots) == 0 {
			return fmt.Errorf("%q is not understood; move knows left, right, up, down, left of Y and at the top",
				strings.Join(rest, " "))
		}
		for _, i := range ids {
			s.objects[i].fixed = false
		}
		return s.moved(ids)
	}
	for _, i := range ids {
		e := &s.draft.Entities[i]
		b := e.Box
		e.Box.X, e.Box.Y = onCanvas(b.X+dx, b.W), onCanvas(b.Y+dy, b.H)
		if e.Box == b {
			s.notes = append(s.notes, fmt.Sprintf("entity.%s is at the edge already.", e.Name))
		}
		s.crowded(i)
	}
	return nil
}

// moved finds new positions for objects that keep their sizes: among the others as they
// lie, or else the others make room.
func (s *speech) moved(ids []int) error {
	sizes := make([]Box, len(s.objects))
	for i := range sizes {
		sizes[i] = s.draft.Entities[i].Box
	}
	free := append([]int(nil), ids...)
	got, _ := s.solve(sizes)
	if !s.holds(got) {
		for i := range s.objects {
			if s.objects[i].fixed && s.draft.Entities[i].Fixed == "" {
				s.objects[i].fixed, s.objects[i].home = false, &sizes[i]
				free = append(free, i)
			}
		}
		if got, _ = s.solve(sizes); !s.holds(got) {
			return fmt.Errorf("there is no room for it there at its size")
		}
	}
	for _, i := range free {
		if got[i] != sizes[i] && !slices.Contains(ids, i) {
			s.notes = append(s.notes, fmt.Sprintf("entity.%s makes room.", s.draft.Entities[i].Name))
		}
		s.draft.Entities[i].Box = got[i]
	}
	for _, i := range ids {
		s.crowded(i)
	}
	return nil
}

// holds reports whether all relations hold.
func (s *speech) holds(boxes []Box) bool {
	for _, r := range s.rels {
		if violated(r.kind, boxes[r.a], boxes[r.b]) > 0 {
			return false
		}
	}
	for _, r := range s.spots {
		if away(r.kind, boxes[r.a]) > 0 {
			return false
		}
	}
	return true
}

// crowded notes the entities that an entity overlaps now, unless the words ask for it.
func (s *speech) crowded(i int) {
	e := s.draft.Entities[i]
	for j, f := range s.draft.Entities {
		if i != j && overlap(e.Box, f.Box) > 0 && !s.mayOverlap(i, j) {
			s.notes = append(s.notes, fmt.Sprintf("entity.%s lies over entity.%s now.", e.Name, f.Name))
		}
	}
}
