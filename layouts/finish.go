package layouts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// finish answers what is open by flags, numbers the entities, prints their places, and says what
// is true of all formats.
func (r *reader) finish() error {
	if len(r.Scenes) > maxScenes {
		return fmt.Errorf("%d scenes; %d are the most", len(r.Scenes), maxScenes)
	}
	words, out := r.ans.Words, 0
	for i := range r.Scenes {
		s := &r.Scenes[i]
		if len(s.Entities) > maxEntities {
			return fmt.Errorf("%s has %d entities; %d are the most", s.Name, len(s.Entities), maxEntities)
		}
		for k := range s.Entities {
			e := &s.Entities[k]
			e.ID = "e" + strconv.Itoa(k+1)
			if e.Prompt != nil && blank(*e.Prompt) {
				e.Prompt = nil
			}
			if e.Prompt == nil && len(words) > 0 {
				e.Prompt, words = text(words[0]), words[1:]
			}
			r.answer(e, k)
			e.show()
			if e.Raw != nil {
				out++
			}
		}
	}
	if len(words) > 0 {
		return fmt.Errorf("--words was passed %d times more than there are entities without words", len(words))
	}
	if out > 0 {
		r.say("%s beyond the canvas and cut there", count(out, "box reaches", "boxes reach"))
	}
	if r.parts && r.most <= 1 && r.conv.unit != 1 && r.Convention.By != "--convention" && r.Verdict != Refuse {
		as := "/px"
		if r.conv.unit > 0 {
			as = "/" + number(r.conv.unit)
		}
		r.ask("--convention with /1, or with "+as,
			"all numbers of boxes are at most 1: they look like fractions, and the format means %s", unitName(r.conv.unit))
	}
	r.common()
	if r.Verdict == Refuse {
		return nil
	}
	return r.unanswered()
}

// answer gives an entity the place that a flag has for it.
func (r *reader) answer(e *Entity, at int) {
	if e.shape.kind != "none" && e.shape.kind != "" {
		return
	}
	if key := r.placeOf(e, at); key != "" {
		r.placed[key] = true
		e.shape = shape{kind: "box", box: r.ans.Places[key]}
		return
	}
	e.shape.kind = "none"
}

// placeOf returns the name by which --place has a place for an entity, or "".
func (r *reader) placeOf(e *Entity, at int) string {
	for _, key := range []string{e.Name, e.Label, "e" + strconv.Itoa(at+1), strconv.Itoa(at + 1)} {
		if _, ok := r.ans.Places[key]; ok && key != "" {
			return key
		}
	}
	return ""
}

// unanswered returns an error for a flag that answers what nothing in the file leaves open.
func (r *reader) unanswered() error {
	for _, name := range slices.Sorted(maps.Keys(r.ans.Places)) {
		if !r.placed[name] {
			return fmt.Errorf("--place %s: no entity without a place has this name; they are numbered from 1 in the file's order", name)
		}
	}
	for _, f := range []struct {
		name   string
		passed bool
		of     string
	}{
		{"convention", r.ans.Convention != "", "the file has no boxes that it could tell how to read"},
		{"radius", r.ans.Radius != 0, "the file has no point"},
		{"picture", r.ans.Picture != "", "the file edits no picture"},
		{"images", r.ans.Images != "", "only detections, COCO's results form, have their images in another file"},
		{"score", r.ans.Score != 0, "only detections, COCO's results form, have scores"},
		{"crowds", r.ans.Crowds, "only COCO's annotations have crowds"},
	} {
		if f.passed && !r.took[f.name] {
			return fmt.Errorf("--%s was passed, and %s", f.name, f.of)
		}
	}
	return nil
}

// show fills what a reading prints of a shape.
func (e *Entity) show() {
	s := e.shape
	e.Kind = s.kind
	if s.kind == "none" {
		return
	}
	box := s.box
	switch s.kind {
	case "polygon", "polygons":
		box = bounds(s.pieces)
	case "mask":
		box = s.mask.bounds()
		e.Area = round4(s.mask.share())
	case "point":
		e.At = rounded(s.box[:2]...)
		if s.pixels {
			e.PX, e.At = e.At, nil
		}
		return
	}
	if s.pixels {
		e.PX = rounded(box[:]...)
		return
	}
	inside := cut(box)
	e.XYXY = rounded(inside[:]...)
	if raw := rounded(box[:]...); fmt.Sprint(raw) != fmt.Sprint(e.XYXY) {
		e.Raw = raw
	}
	e.Empty = area(inside) == 0 || s.kind == "mask" && e.Area == 0
	switch s.kind {
	case "polygon":
		e.Points = printed(s.pieces[0])
	case "polygons":
		var all [][][]float64
		for _, p := range s.pieces {
			all = append(all, printed(p))
		}
		e.Pieces = all
	case "ellipse":
		e.Center = rounded((box[0]+box[2])/2, (box[1]+box[3])/2)
		e.Radii = rounded((box[2]-box[0])/2, (box[3]-box[1])/2)
	}
}

func printed(p [][2]float64) [][]float64 {
	var out [][]float64
	for _, at := range p {
		out = append(out, rounded(at[0], at[1]))
	}
	return out
}

// maxSeed is the largest seed that eligen takes.
const maxSeed = 1<<32 - 1

// common says what holds of files of all formats.
func (r *reader) common() {
	var empty, wordless, placeless, odd []string
	noSize, noPrompt, sized := 0, 0, 0
	for i := range r.Scenes {
		s := &r.Scenes[i]
		if c := s.Canvas; c != nil && r.ans.Size == (eligen.Size{}) && uneven(eligen.Size{W: c.W, H: c.H}) && len(s.Entities) > 0 {
			r.ask("--size WxH", "%s: %d×%d is no size of a picture to paint", s.Name, c.W, c.H)
		}
		switch {
		case s.Canvas == nil:
			noSize++
		case s.Canvas.From == "format":
			sized++
		case s.Canvas.W%16 != 0 || s.Canvas.H%16 != 0:
			odd = append(odd, fmt.Sprintf("%d×%d", s.Canvas.W, s.Canvas.H))
		}
		if s.Prompt == nil || blank(*s.Prompt) {
			noPrompt++
		}
		if s.Seed != nil && *s.Seed > maxSeed {
			r.say("%s: the seed %d is above %d, the largest that eligen takes: the scene gets its lower 32 bits, %d",
				s.Name, *s.Seed, uint64(maxSeed), uint32(*s.Seed))
		}
		for k := range s.Entities {
			e := &s.Entities[k]
			who := s.Name + " " + e.ID
			if e.Empty {
				empty = append(empty, who)
			}
			if e.Prompt == nil {
				wordless = append(wordless, who)
			}
			if e.Kind == "none" {
				placeless = append(placeless, who)
			}
		}
	}
	r.notes(empty, wordless, placeless, odd)
	if noSize > 0 {
		r.say("no size in the file: the scene gets the model's own size, or --size")
	}
	if sized > 0 {
		r.say("the canvas is not in the file: %d×%d is the format's", r.Scenes[0].Canvas.W, r.Scenes[0].Canvas.H)
	}
	if noPrompt > 0 {
		r.say("no words for the whole picture in the file: the scene's prompt is made of the entities' words")
	}
}

func (r *reader) notes(empty, wordless, placeless, odd []string) {
	if len(empty) > 0 {
		r.say("no width or no height on the canvas, left out: %s", some(empty))
	}
	if len(wordless) > 0 && r.Verdict == Import {
		r.say("no words in the file, left out: %s; pass --words for each to take them", some(wordless))
	}
	if len(placeless) > 0 && r.Verdict == Import {
		r.say("words and no place: they go into the prompt, not into a box over everything: %s; pass --place for each to place them",
			some(placeless))
	}
	if len(odd) > 0 {
		r.say("no multiple of 16, as the sides of scenes are: %s", some(unique(odd)))
	}
}

func unique(list []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// article puts "a" or "an" before a class's name that has none.
func article(name string) string {
	first, _, _ := strings.Cut(name, " ")
	switch strings.ToLower(first) {
	case "a", "an", "the", "one", "two", "three", "some", "several":
		return name
	}
	if name != "" && strings.ContainsRune("aeiouAEIOU", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}
