// Package draft makes scenes from words: by rules, for a small vocabulary and plain
// phrases of place, or by a language model that the user names. Both return a Draft,
// which is checked before it becomes text.
package draft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eligen/eligen/internal/words"
)

// Limits of a draft. An answer beyond them is wrong, or hostile.
const (
	MaxEntities     = 40
	maxWords        = 2000 // bytes of somebody's words
	maxPrompt       = 600  // characters of a picture's prompt
	maxEntityPrompt = 200
	maxName         = 40
	minSide         = 4 // hundredths: less is not a token of any model's native size
)

// A Draft is a scene before it is text, or the part of an existing scene that can change.
type Draft struct {
	Words    []string // somebody's words, the oldest first
	Name     string   // of the render
	Prompt   string
	Entities []Entity

	promptLine int // in the text it was read from; 0: none
}

// An Entity is an object and its box.
type Entity struct {
	Name   string
	Prompt string
	Box    Box
	Fixed  string // why it can't be changed: "is a mask"; "" if it can be

	line, promptLine, boxLine int // in the text it was read from; 0: none
}

// A Box is a box in hundredths of the canvas: whole numbers, so that a draft is the same
// on every machine, written with two digits.
type Box struct{ X, Y, W, H int }

// nowhere is a wrong box that has been reported.
var nowhere = Box{W: -1}

func (b Box) right() int  { return b.X + b.W }
func (b Box) bottom() int { return b.Y + b.H }

// String returns the box as a scene writes it.
func (b Box) String() string {
	return fmt.Sprintf("xywh(%s, %s, %s, %s)", hundredths(b.X), hundredths(b.Y), hundredths(b.W), hundredths(b.H))
}

func hundredths(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// overlap returns the area that two boxes share, in hundredths squared.
func overlap(a, b Box) int {
	w := min(a.right(), b.right()) - max(a.X, b.X)
	h := min(a.bottom(), b.bottom()) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h
}

// problems lists the errors of a draft, for its author.
func (d Draft) problems() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if why := unfit(d.Prompt, maxPrompt); why != "" {
		add("the prompt %s", why)
	}
	if len(d.Entities) == 0 {
		add("there are no entities")
	}
	if n := len(d.Entities); n > MaxEntities {
		add("there are %d entities; %d is the most", n, MaxEntities)
		return out // the rest would be as long
	}
	seen := map[string]bool{}
	for i, e := range d.Entities {
		who := fmt.Sprintf("entity %d", i+1)
		switch {
		case !isName(e.Name) && e.Fixed == "":
			add("%s: the name %s is not lower-case letters, digits and _, from a letter, %d at most", who, shown(e.Name), maxName)
		case seen[e.Name]:
			add("%s: the name %q is there twice", who, e.Name)
		default:
			who = e.Name
		}
		seen[e.Name] = true
		if e.Fixed != "" {
			continue // the scene's author wrote it
		}
		if why := unfit(e.Prompt, maxEntityPrompt); why != "" {
			add("%s: the prompt %s", who, why)
		}
		if e.Box == nowhere {
			continue
		}
		if b := e.Box; b.X < 0 || b.Y < 0 || b.right() > 100 || b.bottom() > 100 {
			add("%s: the box %s is not on the canvas, which is from 0 to 1", who, b)
		} else if b.W < minSide || b.H < minSide {
			add("%s: the box %s is too small; %s is the least width and height", who, b, hundredths(minSide))
		}
		for _, f := range d.Entities[:i] {
			// A model can't tell apart entities in nearly equal boxes.
			if o := overlap(e.Box, f.Box); f.Fixed == "" && o*10 > 9*(e.Box.W*e.Box.H+f.Box.W*f.Box.H-o) {
				add("%s: the box is nearly that of %s", who, f.Name)
			}
		}
	}
	return out
}

// unfit returns why a string is no prompt, or "".
func unfit(s string, most int) string {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.TrimSpace(s) == "":
		return "is empty"
	case n > most:
		return fmt.Sprintf("has %d characters; %d is the most", n, most)
	case strings.ContainsFunc(s, unseen):
		return "has a line break or another control character"
	}
	return ""
}

// unseen reports whether a character is invisible, or one that a terminal obeys.
func unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

func isName(s string) bool {
	for i, r := range s {
		letter, later := r >= 'a' && r <= 'z', r >= '0' && r <= '9' || r == '_'
		if !letter && (!later || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// shown returns a stranger's string for a message: quoted, and not long.
func shown(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}

// unique returns a name that no entity has yet, made from base.
func (d *Draft) unique(base string) string {
	taken := func(n string) bool {
		return slices.ContainsFunc(d.Entities, func(e Entity) bool { return e.Name == n })
	}
	base = slug(base)
	if !taken(base) {
		return base
	}
	for i := 2; ; i++ {
		if n := fmt.Sprintf("%s_%d", base, i); !taken(n) {
			return n
		}
	}
}

// slug makes a name of words.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
		if b.Len() == maxName-4 {
			break
		}
	}
	if s := strings.Trim(b.String(), "_"); s != "" {
		return s
	}
	return "thing"
}

// Called names the render after a file, or after its entities.
func (d *Draft) Called(file string) {
	if file != "" {
		d.Name = slug(file)
		return
	}
	var names []string
	for _, e := range d.Entities[:min(2, len(d.Entities))] {
		names = append(names, strings.TrimRight(e.Name, "_0123456789"))
	}
	d.Name = slug(strings.Join(slices.Compact(names), "_"))
}

// HCL returns the draft as a scene's text, formatted.
func (d Draft) HCL() []byte {
	var b strings.Builder
	for _, w := range d.Words {
		comment(&b, w)
	}
	fmt.Fprintf(&b, "\nrender %q {\n  prompt = %s\n}\n", d.Name, words.HCL(d.Prompt))
	for _, e := range d.Entities {
		b.WriteString("\n" + e.block())
	}
	return []byte(strings.TrimPrefix(b.String(), "\n"))
}

func (e Entity) block() string {
	return fmt.Sprintf("entity %q {\n  prompt = %s\n  box    = %s\n}\n", e.Name, words.HCL(e.Prompt), e.Box)
}

// comment writes a text as comment lines of about a hundred characters.
func comment(b *strings.Builder, text string) {
	line := "#"
	for _, w := range strings.Fields(text) {
		if len(line)+1+len(w) > 100 && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + w
	}
	b.WriteString(line + "\n")
}

// tidied checks somebody's words, and puts them on one line.
func tidied(words string) (string, error) {
	words = strings.Join(strings.Fields(words), " ")
	switch {
	case words == "":
		return "", fmt.Errorf("there are no words to make a scene from")
	case len(words) > maxWords:
		return "", fmt.Errorf("the words have %d bytes; %d is the most", len(words), maxWords)
	case !utf8.ValidString(words):
		return "", fmt.Errorf("the words are not UTF-8")
	case strings.ContainsFunc(words, unseen):
		return "", fmt.Errorf("the words have a control character or another invisible one")
	}
	return words, nil
}
