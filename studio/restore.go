package studio

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl/edit"
)

// A restoring changes a text so that it says what a picture was made by.
type restoring struct {
	file string
	text []byte
	left []string // what was not changed, and why
}

// restore gives the scene the values that a picture of the history was made by. Comments, notation and what
// differs in nothing stay. What the file works out is left, and said.
func (s *Server) restore(e Edit) error {
	old, ok := s.pastOf(e.Picture)
	if !ok {
		return errors.New("the history has no such picture")
	}
	address, _, _ := strings.Cut(old.Render, ".seed-")
	src := s.doc.view().text
	request := s.request
	request.Input = s.input(src)
	p, _, err := s.app.Plan(s.background, request)
	if err != nil {
		return fmt.Errorf("the scene of now has mistakes, which have to go first: %w", err)
	}
	r := &restoring{file: s.doc.path, text: src}
	for _, now := range p.Layouts() {
		if now.Render != address {
			continue
		}
		for _, v := range p.Values() {
			if v.Render == address {
				r.render(address, now, v, old)
			}
		}
		r.entities(now, old, len(p.Layouts()) == 1)
		if err := s.doc.change(e.Name, versionOf(src), func([]byte) ([]byte, error) { return r.text, nil }); err != nil {
			return err
		}
		if len(r.left) > 0 {
			return fmt.Errorf("left as it is: %s", strings.Join(r.left, "; "))
		}
		return nil
	}
	return fmt.Errorf("the scene has no %s any more", address)
}

// do makes one change. What can't be changed is left.
func (r *restoring) do(what string, change func(*edit.Text) ([]byte, error)) {
	text, ds := edit.Parse(r.file, r.text)
	err := ds.Err()
	if err == nil {
		var out []byte
		if out, err = change(text); err == nil {
			r.text = out
			return
		}
	}
	var derived *edit.DerivedError
	if errors.As(err, &derived) {
		r.left = append(r.left, what+", which is worked out")
		return
	}
	r.left = append(r.left, what+": "+err.Error())
}

func (r *restoring) set(block, attribute, expr string) {
	r.do(block+"."+attribute, func(t *edit.Text) ([]byte, error) { return t.Set(block, attribute, expr, false) })
}

func (r *restoring) unset(block, attribute string) {
	r.do(block+"."+attribute, func(t *edit.Text) ([]byte, error) { return t.Unset(block, attribute) })
}

func plainNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// render restores the render's own values.
func (r *restoring) render(block string, layout app.Layout, now app.Values, old app.RunPicture) {
	block, _, _ = strings.Cut(block, "[")
	was := old.Values()
	if layout.Prompt != old.Prompt {
		r.set(block, "prompt", edit.Quote(old.Prompt))
	}
	text := func(name, now, was string) {
		switch {
		case now == was:
		case was == "":
			r.unset(block, name)
		default:
			r.set(block, name, edit.Quote(was))
		}
	}
	text("negative", now.Negative, was.Negative)
	text("overlap", now.Overlap, was.Overlap)
	if now.Size != was.Size {
		r.set(block, "size", fmt.Sprintf("[%d, %d]", was.Size.W, was.Size.H))
	}
	if now.Seed != was.Seed {
		r.set(block, "seed", strconv.FormatUint(was.Seed, 10))
	}
	if now.Steps != was.Steps {
		r.set(block+".sampler", "steps", strconv.Itoa(was.Steps))
	}
	if now.CFG != was.CFG {
		r.set(block+".sampler", "cfg", plainNumber(was.CFG))
	}
	if now.Guidance != was.Guidance {
		r.set(block+".sampler", "guidance", plainNumber(was.Guidance))
	}
	if now.Model != was.Model {
		r.left = append(r.left, "the model, which was "+was.Model)
	}
}

// entities restores what the picture holds. alone says that no other render of the scene may use an entity
// that is there now and was not then.
func (r *restoring) entities(now app.Layout, old app.RunPicture, alone bool) {
	for _, was := range old.Entities {
		i := slices.IndexFunc(now.Entities, func(e eligen.Entity) bool { return e.Address == was.Address })
		switch {
		case i >= 0:
			r.entity(now.Entities[i], was)
		case plainAddress(was.Address):
			r.add(was)
		default:
			r.left = append(r.left, was.Address+", which is gone")
		}
	}
	for _, e := range now.Entities {
		if slices.ContainsFunc(old.Entities, func(was eligen.Entity) bool { return was.Address == e.Address }) {
			continue
		}
		if !alone || !plainAddress(e.Address) {
			r.left = append(r.left, e.Address+", which was not there")
			continue
		}
		r.do(e.Address, func(t *edit.Text) ([]byte, error) { return t.Remove(e.Address) })
	}
}

// regionText writes a region as a scene does, or returns false where that needs a file.
func regionText(g eligen.Region) (attribute, text string, ok bool) {
	text = g.Text(func(eligen.Region) string { return "\x00" })
	if attribute = "region"; g.Kind == "box" {
		attribute = "box"
	}
	return attribute, text, g.Kind != "" && !strings.Contains(text, "\x00")
}

func (r *restoring) entity(now, was eligen.Entity) {
	block, _, _ := strings.Cut(now.Address, "[")
	if now.Prompt != was.Prompt {
		r.set(block, "prompt", edit.Quote(was.Prompt))
	}
	if now.Strength != was.Strength {
		if was.Strength == 1 {
			r.unset(block, "strength")
		} else {
			r.set(block, "strength", plainNumber(was.Strength))
		}
	}
	if now.Negative != was.Negative {
		if was.Negative == "" {
			r.unset(block, "negative")
		} else {
			r.set(block, "negative", edit.Quote(was.Negative))
		}
	}
	if now.AutoNegative != was.AutoNegative {
		if was.AutoNegative {
			r.set(block, "auto_negative", "true")
		} else {
			r.unset(block, "auto_negative")
		}
	}
	if is, before := opacityOf(now), opacityOf(was); is != before {
		if before == 1 {
			r.unset(block, "opacity")
		} else {
			r.set(block, "opacity", plainNumber(before))
		}
	}
	if now.Region.Round().String() == was.Region.Round().String() {
		return
	}
	r.place(block, was)
}

// place gives an entity a region, in the notation that it has where that can say it.
func (r *restoring) place(block string, was eligen.Entity) {
	attribute, text, ok := regionText(was.Region)
	if !ok {
		r.left = append(r.left, block+"'s mask, which is in a picture")
		return
	}
	r.do(block+"."+attribute, func(t *edit.Text) ([]byte, error) {
		for _, name := range where {
			a := attributeIn(t, block, name)
			if a == nil {
				continue
			}
			if name == attribute && a.Shape != nil {
				if numbers, ok := inNotation(was.Region, *a.Shape); ok {
					return t.SetNumbers(block, name, numbers, false)
				}
			}
			if !a.Plain && (a.Shape == nil || len(a.Refs) > 0) {
				return nil, &edit.DerivedError{Address: block, Attribute: name, Slot: -1, Text: a.Text, Refs: a.Refs}
			}
			if name == attribute {
				return t.Set(block, name, text, true)
			}
			out, err := t.Unset(block, name)
			if err != nil {
				return nil, err
			}
			next, ds := edit.Parse(r.file, out)
			if err := ds.Err(); err != nil {
				return nil, err
			}
			return next.Set(block, attribute, text, false)
		}
		return t.Set(block, attribute, text, false)
	})
}

func attributeIn(t *edit.Text, block, name string) *edit.Attribute {
	for _, b := range t.Blocks() {
		for i := range b.Attributes {
			if b.Address == block && b.Attributes[i].Name == name {
				return &b.Attributes[i]
			}
		}
	}
	return nil
}

// inNotation returns the numbers of a region as a shape's call writes them, "" where one is as it was; false
// where the call can't say the region.
func inNotation(g eligen.Region, shape edit.Shape) ([]string, bool) {
	if g.Pixels != shape.Pixels || (g.Kind == "box") != slices.Contains([]string{"xywh", "xyxy", "cxcywh"}, shape.Call) ||
		g.Kind != "box" && g.Kind != shape.Call || len(g.Numbers) != len(shape.Slots) {
		return nil, false
	}
	n := g.Numbers
	switch shape.Call {
	case "xywh":
		n = []float64{n[0], n[1], n[2] - n[0], n[3] - n[1]}
	case "cxcywh":
		n = []float64{(n[0] + n[2]) / 2, (n[1] + n[3]) / 2, n[2] - n[0], n[3] - n[1]}
	}
	out := make([]string, len(n))
	for i, f := range n {
		if s := shape.Slots[i]; s.Plain && f-s.Value < 1e-6 && s.Value-f < 1e-6 {
			continue
		}
		out[i] = strconv.FormatFloat(f, 'f', 6, 64)
		out[i] = strings.TrimRight(strings.TrimRight(out[i], "0"), ".")
		if decimals, had := len(out[i])-strings.IndexByte(out[i]+".", '.')-1, decimalsOf(shape.Slots[i].Text); decimals < had {
			out[i] = strconv.FormatFloat(f, 'f', had, 64)
		}
	}
	return out, true
}

func decimalsOf(text string) int {
	if _, after, ok := strings.Cut(text, "."); ok {
		return len(after)
	}
	return 0
}

// add writes an entity that is gone.
func (r *restoring) add(was eligen.Entity) {
	attribute, text, ok := regionText(was.Region)
	if !ok {
		r.left = append(r.left, was.Address+", whose mask is in a picture")
		return
	}
	name := strings.TrimPrefix(was.Address, "entity.")
	block := fmt.Sprintf("entity %q {\nprompt = %s\n%s = %s\n", name, edit.Quote(was.Prompt), attribute, text)
	if was.Strength != 1 {
		block += "strength = " + plainNumber(was.Strength) + "\n"
	}
	if was.Negative != "" {
		block += "negative = " + edit.Quote(was.Negative) + "\n"
	}
	if was.AutoNegative {
		block += "auto_negative = true\n"
	}
	if o := opacityOf(was); o != 1 {
		block += "opacity = " + plainNumber(o) + "\n"
	}
	r.do(was.Address, func(t *edit.Text) ([]byte, error) { return t.Append(block + "}") })
}

func opacityOf(e eligen.Entity) float64 {
	if e.Opacity == nil {
		return 1
	}
	return *e.Opacity
}
