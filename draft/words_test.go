package draft

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var small = Vocabulary{
	Of:    "nano",
	Words: 22,
	Objects: []Object{
		{Name: "cat", Also: []string{"kitten"}}, {Name: "dog"}, {Name: "tree"}, {Name: "apple", Also: []string{"red apple"}},
		{Name: "sun", Sky: true}, {Name: "moon", Sky: true}, {Name: "duck"}, {Name: "hat"}, {Name: "mouse"}, {Name: "fish"},
		{Name: "ice cream"}, {Name: "grapes", Bare: true}, {Name: "cherry"}, {Name: "orange"}, {Name: "house", Also: []string{"small house"}},
	},
	Backgrounds: []Background{
		{"blue", "a blue background", "on a blue background"}, {"orange", "an orange background", "on an orange background"},
		{"meadow", "a meadow", "in a meadow"}, {"night", "a night sky", "under a night sky"}, {"sea", "the sea", "on the sea"},
		{"water", "water", "under water"}, {"snow", "snow", "in the snow"},
	},
}

// Sentences, the entities they have, and what holds between the boxes: "cat left dog",
// as violated and away mean it.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		words, entities, holds, prompt string
	}{
		{"a cat", "cat", "", "a cat"},
		{"a cat on a mat under a lamp", "cat mat lamp", "cat on mat, mat below lamp, cat below lamp", "a cat, a mat and a lamp"},
		{"a cat to the left of a dog", "cat dog", "cat left dog", "a cat and a dog"},
		{"A dog is right of a cat, in a meadow.", "dog cat", "dog right cat", "a dog and a cat in a meadow"},
		{"the moon above a tree at night", "moon tree", "moon above tree", "a moon and a tree under a night sky"},
		{"a duck under the sun", "duck sun", "duck below sun", ""},
		{"a cat in front of a tree", "cat tree", "cat front tree", ""},
		{"a cat behind a tree", "cat tree", "cat behind tree", ""},
		{"a cat beside a dog", "cat dog", "cat beside dog", ""},
		{"a cat next to a dog", "cat dog", "cat beside dog", ""},
		{"a cat in a house", "cat house", "cat in house", ""},
		{"an apple in the middle", "apple", "apple @middle", ""},
		{"an apple in the top left corner and a duck at the bottom", "apple duck", "apple @top left, duck @bottom", ""},
		{"on the left a dog, on the right a cat", "dog cat", "dog @left, cat @right, dog left cat", ""},
		{"a dog on the left, a cat on the right", "dog cat", "dog @left, cat @right", ""},
		{"under a tree, a cat", "tree cat", "cat below tree", ""},
		{"two ducks and a tree", "duck duck_2 tree", "", "a duck, a duck and a tree"},
		{"three mice left of a tree", "mouse mouse_2 mouse_3 tree", "mouse left tree, mouse_2 left tree, mouse_3 left tree", ""},
		{"a big dog and a small cat", "dog cat", "dog larger cat", "a dog and a cat"},
		{"red apples", "apple apple_2 apple_3", "", "a red apple, a red apple and a red apple"},
		{"an orange on an orange background", "orange", "", "an orange on an orange background"},
		{"grapes and an ice cream on a blue background", "grapes ice_cream", "", "grapes and an ice cream on a blue background"},
		{"a meadow with a cat and a dog", "cat dog", "", "a cat and a dog in a meadow"},
		{"a fish under water", "fish", "", "a fish under water"},
		{"a cat on a tree. The cat is left of a dog", "cat tree dog", "cat on tree, cat left dog", ""},
		{"a kitten, sitting on a house, under the moon", "cat house moon", "cat on house", "a kitten, a house and a moon"},
		{"a cat left of a dog left of a tree left of a house", "cat dog tree house", "cat left dog, dog left tree, tree left house", ""},
		{"twelve ducks", "duck duck_2 duck_3 duck_4 duck_5 duck_6 duck_7 duck_8 duck_9 duck_10 duck_11 duck_12", "", ""},
		{"a couple of cats", "cat cat_2", "", "a cat and a cat"},
		{"a sleeping cat", "cat", "", "a sleeping cat"},
		{"a cat between a dog and a tree", "cat dog tree", "dog left cat, cat left tree", "a cat, a dog and a tree"},
		{"a cat between two dogs in a meadow", "cat dog dog_2", "dog left cat, cat left dog_2", ""},
		{"a dog with a hat on it", "dog hat", "hat on dog", "a dog and a hat"},
		{"a duck under a hat, beside a tree", "duck hat tree", "duck below hat, duck beside tree", ""},
		{"some grass", "grass", "", "grass"},
		{"a duck over the sea", "duck", "", "a duck on the sea"},
		{"the moon above a meadow", "moon", "", "a moon in a meadow"},
		{"a dragon flying over a castle", "dragon castle", "dragon above castle", "a dragon flying and a castle"},
		{"a red dragon breathing fire left of a tall building", "dragon building", "dragon left building",
			"a red dragon breathing fire and a tall building"},
		{"two gulls flying slowly over the sea", "gull gull_2", "", "a gull flying slowly and a gull flying slowly on the sea"},
		{"an owl perched on a tree", "owl tree", "owl on tree", "an owl perched and a tree"},
	} {
		d, notes, err := Plan(c.words, small)
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		boxes := map[string]Box{}
		var names []string
		for _, e := range d.Entities {
			names, boxes[e.Name] = append(names, e.Name), e.Box
		}
		if got := strings.Join(names, " "); got != c.entities {
			t.Errorf("%s: entities %s, want %s", c.words, got, c.entities)
			continue
		}
		if c.prompt != "" && d.Prompt != c.prompt {
			t.Errorf("%s: prompt %q, want %q", c.words, d.Prompt, c.prompt)
		}
		for _, rule := range strings.Split(c.holds, ", ") {
			if why := broken(rule, boxes); why != "" {
				t.Errorf("%s: %s", c.words, why)
			}
		}
		if p := d.problems(); len(p) > 0 {
			t.Errorf("%s: %s\n%s", c.words, strings.Join(p, "; "), d.HCL())
		}
		// Nothing lies over another thing that was not said to touch it.
		for i, a := range d.Entities {
			for _, b := range d.Entities[:i] {
				said := slices.ContainsFunc([]string{"on", "in", "front", "behind"}, func(k string) bool {
					return strings.Contains(c.holds, a.Name+" "+k+" "+b.Name) || strings.Contains(c.holds, b.Name+" "+k+" "+a.Name)
				})
				if !said && overlap(a.Box, b.Box) > 0 {
					t.Errorf("%s: %s lies over %s\n%s", c.words, a.Name, b.Name, d.HCL())
				}
			}
		}
		if again, _, _ := Plan(c.words, small); string(again.HCL()) != string(d.HCL()) {
			t.Errorf("%s: planned differently the second time", c.words)
		}
		_ = notes
	}
}

// broken says why a rule, "cat left dog" or "cat @top", does not hold.
func broken(rule string, boxes map[string]Box) string {
	if rule == "" {
		return ""
	}
	a, rest, _ := strings.Cut(rule, " ")
	if part, ok := strings.CutPrefix(rest, "@"); ok {
		if away(part, boxes[a]) > 0 {
			return fmt.Sprintf("%s: %s", rule, boxes[a])
		}
		return ""
	}
	kind, b, _ := strings.Cut(rest, " ")
	if kind == "larger" {
		if boxes[a].W <= boxes[b].W {
			return rule
		}
	} else if violated(kind, boxes[a], boxes[b]) > 0 {
		return fmt.Sprintf("%s: %s, %s", rule, boxes[a], boxes[b])
	}
	return ""
}

// Whatever is said, what comes out can be a scene in which what was understood holds,
// and can be changed.
func FuzzPlan(f *testing.F) {
	for _, s := range []string{"a cat on a mat under a lamp", "two big ducks, in the middle, it", "the the cat", "on the left of it a dog and",
		"a cat between two dogs in a meadow",
		"move the cat up", "add it", "remove the cats and make a dog bigger a bit", "käse und brot", "a " + strings.Repeat("x", 900)} {
		f.Add(s)
	}
	old, _, err := Plan("a cat left of a dog", small)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, words string) {
		if d, _, err := Plan(words, small); err == nil {
			if wrong := d.problems(); len(wrong) > 0 || d.Name == "" {
				t.Errorf("%q: %q, %v", words, d.Name, wrong)
			}
		}
		if d, _, err := Edit(old, words, small); err == nil {
			if wrong := d.problems(); len(wrong) > 0 || d.Name != old.Name {
				t.Errorf("%q: %q, %v", words, d.Name, wrong)
			}
		}
	})
}

// TestUnknownWordsAreNoted: words that the vocabulary lacks stay, with a note.
func TestUnknownWordsAreNoted(t *testing.T) {
	for words, want := range map[string]string{
		"a mat":             `nano wasn't trained on "mat": it stays in the prompt, and may not be drawn. Did you mean "cat" or "hat"?`,
		"a purple cat":      `nano wasn't trained on "purple" in "purple cat": it stays in the prompt, and may not be drawn.`,
		"a doog":            `nano wasn't trained on "doog": it stays in the prompt, and may not be drawn. Did you mean "dog"?`,
		"ducks":             `"ducks" are three here: the words don't say how many.`,
		"a cat jumping":     `nano wasn't trained on "jumping" in "cat jumping": it stays in the prompt, and may not be drawn.`,
		"twelve red apples": `The prompt names 5 of the 12 objects, which is as much as nano reads; the others have their regions.`,
	} {
		if _, notes, err := Plan(words, small); err != nil || strings.Join(notes, "|") != want {
			t.Errorf("%s: %v\n got %s\nwant %s", words, err, strings.Join(notes, "|"), want)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	for words, want := range map[string]string{
		"":                             "there are no words to make a scene from",
		"in a meadow":                  "the words name no object to draw",
		"make it nice":                 `"make" is not understood.`,
		"catz":                         `"catz" is not understood. Did you mean "cat"?`,
		"a cat between a tree":         "between needs two objects",
		"a cat left of":                `"left of" needs an object after it`,
		"a cat left of qwrt":           `unknown object after "left of": "qwrt".`,
		"a cat in a meadow on the sea": `there are two backgrounds, "a meadow" and "the sea", and a picture has one`,
		"a cat left of a dog. the dog is left of the cat": `the objects can't lie as the words say. Found no position for: `,
		"a cat ${x}":                      `unsupported characters: '$', '{', '}'`,
		"a cat\x1b[2J":                    "the words have a control character or another invisible one",
		"a cat \xff":                      "the words are not UTF-8",
		strings.Repeat("a cat ", 400):     "the words have 2399 bytes; 2000 is the most",
		strings.Repeat("twelve cats ", 3): "there are more than 20 objects, which is the most that the rules can place",
		"100 cats":                        "the rules can't place 100 objects; 20 is the most",
		"on the left":                     "the words say where something is, but not what",
	} {
		d, _, err := Plan(words, small)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60s: %v\nwant %s\n%s", words, err, want, d.HCL())
		}
	}
}

// A sequence of edits, and what holds after each.
func TestEdit(t *testing.T) {
	d, _, err := Plan("a cat left of a dog in a meadow", small)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ words, entities, holds, prompt string }{
		{"make the dog smaller", "cat dog", "cat larger dog", "a cat and a dog in a meadow"},
		{"add a duck above the dog", "cat dog duck", "duck above dog", "a cat, a dog and a duck in a meadow"},
		{"move the duck to the top right and make it bigger", "", "", "\"it\" is not in the scene"},
		{"move the duck to the top right", "cat dog duck", "duck @top right", ""},
		{"put the cat right of the dog", "cat dog duck", "cat right dog", ""},
		{"add two mice and remove the duck", "cat dog mouse mouse_2", "", "a cat, a dog, a mouse and a mouse in a meadow"},
		{"remove the mice", "cat dog", "", "a cat and a dog in a meadow"},
		{"remove the moon", "", "", `remove the moon: "moon" is not in the scene; there are cat, dog`},
		{"jump", "", "", "the words name no change"},
		{"move the cat", "", "", "move the cat: the words don't say where to"},
		{"add a hat on the moon", "", "", "add a hat on the moon: there is no moon in the scene; there are cat, dog"},
	} {
		next, _, err := Edit(d, c.words, small)
		if c.entities == "" {
			if err == nil || !strings.Contains(err.Error(), c.prompt) {
				t.Errorf("%s: %v, want %s", c.words, err, c.prompt)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		d = next
		boxes := map[string]Box{}
		var names []string
		for _, e := range d.Entities {
			names, boxes[e.Name] = append(names, e.Name), e.Box
		}
		if got := strings.Join(names, " "); got != c.entities {
			t.Errorf("%s: %s", c.words, got)
		}
		if why := broken(c.holds, boxes); why != "" {
			t.Errorf("%s: %s", c.words, why)
		}
		if c.prompt != "" && d.Prompt != c.prompt {
			t.Errorf("%s: prompt %q", c.words, d.Prompt)
		}
	}
	before := d.Entities[0].Box
	d, _, err = Edit(d, "move the cat up a bit", small)
	if got := d.Entities[0].Box; err != nil || got != (Box{before.X, before.Y - 7, before.W, before.H}) {
		t.Errorf("moved from %s to %s: %v", before, got, err)
	}
	for range 9 {
		d, _, err = Edit(d, "move the cat far left", small)
	}
	if b := d.Entities[0].Box; err != nil || b.X != 0 {
		t.Errorf("beyond the edge: %s %v", b, err)
	}
}

// A text of strangers is a text in a scene, and nothing that HCL evaluates.
func TestHCL(t *testing.T) {
	d := Draft{Words: []string{strings.Repeat("a cat and ", 15) + "a dog", "then"}, Name: "x",
		Prompt:   `a "sign" says ${file("/etc/passwd")} %{ for } \`,
		Entities: []Entity{{Name: "a", Prompt: "b", Box: Box{5, 7, 30, 100}}}}
	want := `# a cat and a cat and a cat and a cat and a cat and a cat and a cat and a cat and a cat and a cat
# and a cat and a cat and a cat and a cat and a cat and a dog
# then

render "x" {
  prompt = "a \"sign\" says $${file(\"/etc/passwd\")} %%{ for } \\"
}

entity "a" {
  prompt = "b"
  box    = xywh(0.05, 0.07, 0.30, 1.00)
}
`
	if got := string(d.HCL()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
