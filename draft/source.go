package draft

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
)

// Of returns the draft of a scene that was read from src. Only plain text in it can be
// changed: a box of numbers, an entity with its own block.
func Of(scene *eligen.Scene, src []byte) (Draft, error) {
	var d Draft
	if n := len(scene.Renders); n != 1 {
		return d, fmt.Errorf("%s has %d renders; only scenes of one can be refined", scene.Path, n)
	}
	r := scene.Renders[0]
	if r.Key != "" || r.Clip != nil {
		return d, fmt.Errorf("%s is a clip, or several pictures of one block; only scenes of one picture can be refined", r.Address)
	}
	d.Name, d.Prompt = r.Name, r.Prompt
	if at, ok := r.At["prompt"]; ok {
		d.promptLine = at.Line
	}
	for l := range strings.Lines(strings.TrimPrefix(string(src), bom)) {
		if strings.HasPrefix(l, "#") {
			d.Words = append(d.Words, strings.TrimSpace(strings.TrimLeft(l, "#")))
			continue
		}
		break
	}
	canvas := r.Size
	if canvas == (eligen.Size{}) {
		canvas = eligen.Size{W: 256, H: 256}
	}
	for _, e := range r.Entities {
		out := Entity{Name: e.Name, Prompt: e.Prompt, line: e.Source.Line}
		at := e.At["box"]
		out.boxLine, out.promptLine = at.Line, e.At["prompt"].Line
		b := e.Region
		switch {
		case e.Address != "entity."+e.Name:
			out.Name, out.Fixed = strings.TrimPrefix(e.Address, "entity."), "is one of several of a block"
		case b.Kind != "box" || b.Pixels || out.boxLine == 0:
			out.Fixed = "has another region than a box of fractions"
		case !plainBox.MatchString(at.Code):
			out.Fixed = "has a box that is not four numbers"
		}
		if b.Kind == "box" && !b.Pixels {
			n := b.Numbers
			x, y := round(n[0]), round(n[1])
			out.Box = Box{x, y, max(1, round(n[2])-x), max(1, round(n[3])-y)}
		} else if x0, y0, x1, y1, ok := b.Bounds(canvas); ok {
			x, y := 100*x0/canvas.W, 100*y0/canvas.H
			out.Box = Box{x, y, max(1, 100*x1/canvas.W-x), max(1, 100*y1/canvas.H-y)}
		}
		d.Entities = append(d.Entities, out)
	}
	return d, nil
}

// bom is the byte order mark with which some editors begin a file.
const bom = "\ufeff"

var plainBox = regexp.MustCompile(`^\s*box\s*=\s*(xywh|xyxy|cxcywh)\(\s*([0-9.]+\s*,\s*){3}[0-9.]+\s*\)\s*(#.*)?$`)

func round(f float64) int { return int(math.Round(f * 100)) }

// Rewrite returns src, from which before was read, with the changes that after has; all
// else stays, comments and settings included. It edits lines: the caller checks the
// meaning of the result by reading it.
func Rewrite(src []byte, before, after Draft) ([]byte, error) {
	t := text{
		lines: strings.Split(strings.TrimRight(strings.TrimPrefix(string(src), bom), "\n"), "\n"),
		drop:  map[int]bool{},
	}
	if after.Prompt != before.Prompt {
		if err := t.set(before.promptLine, "prompt", words.HCL(after.Prompt)); err != nil {
			return nil, err
		}
	}
	for _, e := range before.Entities {
		if err := t.update(e, after); err != nil {
			return nil, err
		}
	}
	out := t.with(after.Words[min(len(before.Words), len(after.Words)):])
	for _, e := range after.Entities {
		if !slices.ContainsFunc(before.Entities, func(f Entity) bool { return f.Name == e.Name }) {
			out = append(out, "\n"+e.block()...)
		}
	}
	return out, nil
}

// A text is a scene's text while lines of it change.
type text struct {
	lines []string
	drop  map[int]bool // by index
}

// set replaces the value of the argument at a line, counted from 1. A box keeps the
// comment behind it.
func (t *text) set(line int, name, value string) error {
	if line < 1 || line > len(t.lines) {
		return fmt.Errorf("the scene does not set its %s where it can be changed", name)
	}
	head, _, ok := strings.Cut(t.lines[line-1], "=")
	if !ok || strings.TrimSpace(head) != name {
		return fmt.Errorf("line %d is not understood: change the %s by hand", line, name)
	}
	comment := ""
	if m := trailing.FindStringSubmatch(t.lines[line-1]); m != nil && name == "box" {
		comment = m[1]
	}
	t.lines[line-1] = head + "= " + value + comment
	return nil
}

// update changes the lines of an entity to what a draft has of it, or drops them.
func (t *text) update(e Entity, after Draft) error {
	i := slices.IndexFunc(after.Entities, func(f Entity) bool { return f.Name == e.Name })
	if i < 0 {
		if e.Fixed != "" {
			return fmt.Errorf("entity.%s %s: remove it by hand", e.Name, e.Fixed)
		}
		t.remove(e.line)
		return nil
	}
	f := after.Entities[i]
	if e.Box == f.Box && e.Prompt == f.Prompt {
		return nil
	}
	if e.Fixed != "" {
		return fmt.Errorf("entity.%s %s: change it by hand", e.Name, e.Fixed)
	}
	if e.Box != f.Box {
		if err := t.set(e.boxLine, "box", f.Box.String()); err != nil {
			return err
		}
	}
	if e.Prompt != f.Prompt {
		return t.set(e.promptLine, "prompt", words.HCL(f.Prompt))
	}
	return nil
}

// remove drops the block that begins at a line, counted from 1, with the comment over it
// unless that is the scene's own, and the empty line behind it.
func (t *text) remove(line int) {
	top := line - 1
	for top > 0 && strings.HasPrefix(t.lines[top-1], "#") {
		top--
	}
	if top == 0 {
		top = line - 1
	}
	for k := top; k >= 0 && k < len(t.lines); k++ {
		t.drop[k] = true
		if strings.TrimRight(t.lines[k], " \t\r") == "}" {
			if k+1 < len(t.lines) && strings.TrimSpace(t.lines[k+1]) == "" {
				t.drop[k+1] = true
			}
			return
		}
	}
}

// with returns the text with the words of its changes behind the comment at its head.
func (t *text) with(words []string) []byte {
	var out strings.Builder
	head := true
	for k, l := range t.lines {
		if head && !strings.HasPrefix(l, "#") {
			head = false
			for _, w := range words {
				comment(&out, w)
			}
			if k == 0 {
				out.WriteByte('\n')
			}
		}
		if !t.drop[k] {
			out.WriteString(l + "\n")
		}
	}
	return []byte(strings.TrimRight(out.String(), "\n") + "\n")
}

var trailing = regexp.MustCompile(`\)(\s*#.*)$`)

// Same returns how a scene differs from a draft, or "".
func (d Draft) Same(scene *eligen.Scene, src []byte) string {
	got, err := Of(scene, src)
	if err != nil {
		return err.Error()
	}
	if got.Prompt != d.Prompt {
		return "the prompt is another"
	}
	if len(got.Entities) != len(d.Entities) {
		return fmt.Sprintf("the picture has %d entities instead of %d", len(got.Entities), len(d.Entities))
	}
	for _, e := range d.Entities {
		i := slices.IndexFunc(got.Entities, func(f Entity) bool { return f.Name == e.Name })
		if i < 0 || got.Entities[i].Prompt != e.Prompt || got.Entities[i].Box != e.Box {
			return "entity." + e.Name + " is not as it was meant"
		}
	}
	return ""
}
