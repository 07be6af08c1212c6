package draft

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// Of is the draft of a scene that was read from src. Only what stands there in plain
// words can be changed: a box of numbers, an entity of its own.
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

// bom is the byte order mark that some editors begin a file with.
const bom = "\ufeff"

var plainBox = regexp.MustCompile(`^\s*box\s*=\s*(xywh|xyxy|cxcywh)\(\s*([0-9.]+\s*,\s*){3}[0-9.]+\s*\)\s*(#.*)?$`)

func round(f float64) int { return int(math.Round(f * 100)) }

// Rewrite is the text that a draft was read from with what has become of it; all
// else, comments and settings, stays as it is. Whether the text says what was meant
// is for the caller to see, by reading it: words are put into lines here.
func Rewrite(src []byte, before, after Draft) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(strings.TrimPrefix(string(src), bom), "\n"), "\n")
	drop := map[int]bool{}
	set := func(line int, name, value string) error {
		if line < 1 || line > len(lines) {
			return fmt.Errorf("the scene does not say its %s where it can be changed", name)
		}
		head, _, ok := strings.Cut(lines[line-1], "=")
		if !ok || strings.TrimSpace(head) != name {
			return fmt.Errorf("line %d is not understood: change the %s by hand", line, name)
		}
		comment := ""
		if m := trailing.FindStringSubmatch(lines[line-1]); m != nil && name == "box" {
			comment = m[1]
		}
		lines[line-1] = head + "= " + value + comment
		return nil
	}
	if after.Prompt != before.Prompt {
		if err := set(before.promptLine, "prompt", quoted(after.Prompt)); err != nil {
			return nil, err
		}
	}
	for _, e := range before.Entities {
		i := slices.IndexFunc(after.Entities, func(f Entity) bool { return f.Name == e.Name })
		if i < 0 {
			if e.Fixed != "" {
				return nil, fmt.Errorf("entity.%s %s: remove it by hand", e.Name, e.Fixed)
			}
			top := e.line - 1 // with the comment that stands over it, which is not the scene's
			for top > 0 && strings.HasPrefix(lines[top-1], "#") {
				top--
			}
			if top == 0 {
				top = e.line - 1
			}
			for k := top; k >= 0 && k < len(lines); k++ {
				drop[k] = true
				if strings.TrimRight(lines[k], " \t\r") == "}" {
					if k+1 < len(lines) && strings.TrimSpace(lines[k+1]) == "" {
						drop[k+1] = true
					}
					break
				}
			}
			continue
		}
		f := after.Entities[i]
		if e.Box == f.Box && e.Prompt == f.Prompt {
			continue
		}
		if e.Fixed != "" {
			return nil, fmt.Errorf("entity.%s %s: change it by hand", e.Name, e.Fixed)
		}
		if e.Box != f.Box {
			if err := set(e.boxLine, "box", f.Box.String()); err != nil {
				return nil, err
			}
		}
		if e.Prompt != f.Prompt {
			if err := set(e.promptLine, "prompt", quoted(f.Prompt)); err != nil {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	said := false
	say := func() {
		for _, w := range after.Words[min(len(before.Words), len(after.Words)):] {
			var b strings.Builder
			comment(&b, w)
			out.WriteString(b.String())
		}
		said = true
	}
	for k, l := range lines {
		if !said && !strings.HasPrefix(l, "#") {
			say()
			if k == 0 {
				out.WriteByte('\n')
			}
		}
		if !drop[k] {
			out.WriteString(l + "\n")
		}
	}
	text := append(bytes.TrimRight(out.Bytes(), "\n"), '\n')
	for _, e := range after.Entities {
		if !slices.ContainsFunc(before.Entities, func(f Entity) bool { return f.Name == e.Name }) {
			text = append(text, "\n"+e.block()...)
		}
	}
	return text, nil
}

var trailing = regexp.MustCompile(`\)(\s*#.*)$`)

// Same says how a scene that was read differs from a draft, or "".
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
