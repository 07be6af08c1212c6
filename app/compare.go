package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// A FileKind is what a file to compare is.
type FileKind string

// What can be compared.
const (
	SceneFile   FileKind = "scene"
	PlanFile    FileKind = "plan"
	PictureFile FileKind = "picture"
)

// KindOf returns what a file is by its name; it reads JSON, which may be a plan or a scene.
func KindOf(path string) (FileKind, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".hcl":
		return SceneFile, nil
	case ".png", ".jpg", ".jpeg", ".webp":
		return PictureFile, nil
	case ".json":
		if _, err := readPlan(path); errors.Is(err, errNoPlan) {
			return SceneFile, nil
		} else if err != nil {
			return "", err
		}
		return PlanFile, nil
	}
	return "", fmt.Errorf("%s: only scenes (.hcl, .json), plans (.json) and pictures (.png, .jpg, .webp) can be compared", path)
}

// A Change is one thing in which two scenes or plans differ.
type Change struct {
	Sign    ChangeSign
	Text    string // "render.rain.seed: 1 → 2"
	Address string // of the block or stage
}

// A ChangeSign says what became of a block or stage.
type ChangeSign byte

// The signs of changes.
const (
	Added   ChangeSign = '+'
	Removed ChangeSign = '-'
	Changed ChangeSign = '~'
)

// A Difference is how two scenes or plans differ.
type Difference struct {
	Changes []Change
	Follow  int // stages more that come out differently, since they are made from changed ones
}

// Equal reports whether nothing differs.
func (d Difference) Equal() bool { return len(d.Changes) == 0 && d.Follow == 0 }

// Counts returns how many blocks or stages were changed, added and removed.
func (d Difference) Counts() (changed, added, removed int) {
	count := map[ChangeSign]int{}
	seen := map[string]bool{}
	for _, c := range d.Changes {
		if !seen[c.Address] {
			count[c.Sign]++
		}
		seen[c.Address] = true
	}
	return count[Changed], count[Added], count[Removed]
}

// CompareScenes compares what two scenes mean, not their text. It returns warnings too.
func (a *App) CompareScenes(ctx context.Context, before, after Input) (Difference, eligen.Diagnostics, error) {
	old, warnings, err := a.Open(ctx, before)
	if err != nil {
		return Difference{}, nil, err
	}
	now, ds, err := a.Open(ctx, after)
	if err != nil {
		return Difference{}, warnings, err
	}
	moved := func(address string) string { return movedTo(now.Moves, address) }
	same := func(address string) string { return address }
	return Difference{Changes: changes(sceneParts(old, moved), sceneParts(now, same))}, append(warnings, ds...), nil
}

// A part is what can be added, removed and changed: a block or a stage.
type part struct {
	address string
	brief   string
	facts   []fact
	digest  string // of a stage
}

func (p *part) add(name, format string, args ...any) {
	p.facts = append(p.facts, fact{name, fmt.Sprintf(format, args...)})
}

// A fact is one statement of a scene or a plan: a name and a value, as people write them.
type fact struct{ name, value string }

// longText is the most characters of a value that is shown. Longer ones end in a digest, so that
// different ones still look different.
const longText = 300

func shorten(s string) string {
	if r := []rune(s); len(r) > longText {
		return string(r[:longText-40]) + "… (" + eligen.DigestOf([]byte(s)).Short() + ")"
	}
	return s
}

// movedTo returns an address's present form, by the moved blocks of a scene.
func movedTo(moves []eligen.Move, address string) string {
	for range moves { // a move may lead to another
		for _, m := range moves {
			if m.From == address {
				address = m.To
			}
		}
	}
	return address
}

// changes returns what leads from a to b, in the order of b, then of a.
func changes(a, b []part) []Change {
	var out []Change
	whole := func(sign ChangeSign, p part) Change {
		text := p.address
		if p.brief != "" {
			text += ": " + p.brief
		}
		return Change{sign, text, p.address}
	}
	for _, p := range b {
		old := find(a, p.address)
		if old == nil {
			out = append(out, whole(Added, p))
			continue
		}
		for _, text := range factChanges(p.address+".", old.facts, p.facts) {
			out = append(out, Change{Changed, text, p.address})
		}
	}
	for _, p := range a {
		if find(b, p.address) == nil {
			out = append(out, whole(Removed, p))
		}
	}
	return out
}

func find(list []part, address string) *part {
	if i := slices.IndexFunc(list, func(p part) bool { return p.address == address }); i >= 0 {
		return &list[i]
	}
	return nil
}

// factChanges returns a line for each fact that differs: "name: from → to".
func factChanges(prefix string, a, b []fact) []string {
	find := func(list []fact, name string) (text string, ok bool) {
		i := slices.IndexFunc(list, func(f fact) bool { return f.name == name })
		if i < 0 {
			return "unset", false
		}
		return list[i].value, true
	}
	var out []string
	for _, f := range b {
		from, _ := find(a, f.name)
		if to, _ := find(b, f.name); from != to {
			out = append(out, fmt.Sprintf("%s%s: %s → %s", prefix, f.name, from, to))
		}
	}
	for _, f := range a {
		if to, ok := find(b, f.name); !ok {
			from, _ := find(a, f.name)
			out = append(out, fmt.Sprintf("%s%s: %s → %s", prefix, f.name, from, to))
		}
	}
	return out
}
