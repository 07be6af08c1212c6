package dataset

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestClassTable(t *testing.T) {
	if n := len(Classes(0)); n < 120 || n > 150 || len(Classes(20)) != 20 || len(Classes(1000)) != n {
		t.Errorf("%d classes", n)
	}
	names, files := map[string]bool{}, map[string]bool{}
	for _, c := range Classes(0) {
		if names[c.Name] || files[c.File] {
			t.Errorf("%q comes twice", c.Name)
		}
		names[c.Name], files[c.File] = true, true
		if k, ok := ClassNamed(c.Name); !ok || k.File != c.File {
			t.Errorf("%q is not found", c.Name)
		}
		if c.Turn < 0 || c.Turn > 180 {
			t.Errorf("%s turns by %d", c.Name, c.Turn)
		}
	}
	for _, c := range Classes(0) {
		for _, also := range c.Also {
			if names[also] {
				t.Errorf("%q is a class, and a name of %q", also, c.Name)
			}
		}
	}
}

func TestArticles(t *testing.T) {
	for name, want := range map[string]string{
		"apple": "an apple", "dog": "a dog", "unicorn": "a unicorn", "umbrella": "an umbrella",
		"grapes": "grapes", "ice cream": "an ice cream", "hat": "a hat",
	} {
		c, ok := ClassNamed(name)
		if !ok || c.Prompt() != want {
			t.Errorf("%q is prompted %q, want %q", name, c.Prompt(), want)
		}
	}
	if b, err := BackgroundNamed("orange to blue"); err != nil || b.Phrase != "an orange to blue background" {
		t.Errorf("%q, %v", b.Phrase, err)
	}
}

var comma = strings.NewReplacer(",", "")

// Captions name every object and the background, are short enough for the
// embedded model, and hold no other words than Words lists.
func TestCaptions(t *testing.T) {
	words := Words()
	if !slices.IsSorted(words) || len(slices.Compact(slices.Clone(words))) != len(words) {
		t.Error("words are not in order, or repeated")
	}
	said := map[string]bool{}
	for _, split := range []Split{Train, Eval} {
		c := composer(t, Options{Split: split})
		starts := map[string]bool{}
		for i := range 2500 {
			l, err := c.Layout(i)
			if err != nil {
				t.Fatal(err)
			}
			prompts, err := c.sprites.prompts(&l)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range prompts {
				if n := strings.Count(" "+comma.Replace(l.Caption)+" ", " "+p+" "); n == 0 {
					t.Fatalf("%q does not mention %q", l.Caption, p)
				}
			}
			if !strings.Contains(l.Caption, l.Background.Phrase) && !strings.Contains(l.Caption, l.Background.Place) {
				t.Fatalf("%q does not mention %q", l.Caption, l.Background.Phrase)
			}
			if n := Tokens(l.Caption); n > MaxTokens {
				t.Fatalf("%q has %d tokens", l.Caption, n)
			}
			for _, w := range strings.Fields(comma.Replace(l.Caption)) {
				if !said[w] {
					if _, known := slices.BinarySearch(words, w); !known || w != strings.ToLower(w) {
						t.Fatalf("%q is not among the words", w)
					}
				}
				said[w] = true
			}
			if len(prompts) > 1 && strings.HasPrefix(l.Caption, prompts[0]) {
				starts["first"] = true
			} else if len(prompts) > 1 && strings.HasPrefix(l.Caption, prompts[1]) {
				starts["second"] = true
			}
		}
		if len(starts) != 2 {
			t.Errorf("%s: objects are always mentioned in the same order", split)
		}
	}
	for _, w := range words {
		if !said[w] {
			t.Errorf("the word %q is listed but was never said", w)
		}
	}
}

var spatial = regexp.MustCompile(`^(.+?) (left of|right of|above|below) (.+?)( with .*)? (in|on|at|under) `)

// What captions say of places is so.
func TestSpatialWordsAreTrue(t *testing.T) {
	c := composer(t, Options{Classes: 60})
	found := map[string]int{}
	for i := range 3000 {
		l, err := c.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		m := spatial.FindStringSubmatch(l.Caption)
		if m == nil {
			continue
		}
		prompts, err := c.sprites.prompts(&l)
		if err != nil {
			t.Fatal(err)
		}
		a, b := slices.Index(prompts, m[1]), slices.Index(prompts, m[3])
		if a < 0 || b < 0 {
			t.Fatalf("%q is of %q and %q, not among %q", l.Caption, m[1], m[3], prompts)
		}
		found[m[2]]++
		p, q := l.Objects[a].Box, l.Objects[b].Box
		if so := map[string]bool{
			"left of": p[2] <= q[0], "right of": p[0] >= q[2], "above": p[3] <= q[1], "below": p[1] >= q[3],
		}[m[2]]; !so {
			t.Errorf("%q: %v and %v", l.Caption, p, q)
		}
	}
	for _, r := range relations {
		if found[r] < 20 {
			t.Errorf("%q is said %d times in 3000 captions", r, found[r])
		}
	}
}

// Longer names that speak of a colour are true of the sprite's picture.
func TestColourWordsAreTrue(t *testing.T) {
	s := assets(t)
	for _, c := range s.Classes() {
		for _, also := range c.Also {
			word, _, _ := strings.Cut(also, " ")
			test, ok := hues[word]
			if !ok {
				continue
			}
			_, sp, err := s.get(c.Name, Solid)
			if err != nil {
				t.Fatal(err)
			}
			l, solid, so := sp.levels[0], 0, 0
			for i := 0; i < len(l.pix); i += 4 {
				if l.pix[i+3] == 255 {
					solid++
					if test(int(l.pix[i]), int(l.pix[i+1]), int(l.pix[i+2])) {
						so++
					}
				}
			}
			if so*100 < solid*30 {
				t.Errorf("%q: only %d %% of the sprite is %s", also, so*100/solid, word)
			}
		}
	}
}

var hues = map[string]func(r, g, b int) bool{
	"red":    func(r, g, b int) bool { return r > g*3/2 && r > b*5/4 },
	"orange": func(r, g, b int) bool { return r > g && g > b && r > 140 && r-b > 60 },
	"yellow": func(r, g, b int) bool { return r >= g && g*2 > r && g > b*5/4 && r > 150 },
	"golden": func(r, g, b int) bool { return r >= g && g*2 > r && g > b*5/4 },
	"green":  func(r, g, b int) bool { return g > r && g > b },
	"blue":   func(r, g, b int) bool { return b > r && b*5/4 > g },
	"purple": func(r, g, b int) bool { return b > g*5/4 && r > g && r < b*5/4 },
	"pink":   func(r, g, b int) bool { return r > g*5/4 && b > g && r > 150 },
	"brown":  func(r, g, b int) bool { return r > g && g >= b && r < 220 || r < 100 && r > b },
	"gray":   func(r, g, b int) bool { return abs(r-g) < 40 && abs(g-b) < 40 && r > 60 },
	"white":  func(r, g, b int) bool { return min(r, g, b) > 150 },
	"black":  func(r, g, b int) bool { return max(r, g, b) < 110 },
}
