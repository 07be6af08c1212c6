package layouts

import (
	"fmt"
	"regexp"
	"strings"
)

// Ideogram 4: words for the whole picture, and elements with boxes, y first, in thousandths.

func isIdeogram(c *content) string {
	if c.json.get("compositional_deconstruction").has("elements") {
		return "it has compositional_deconstruction.elements"
	}
	return ""
}

func readIdeogram(r *reader) error {
	if err := r.convention("yxyx", 1000); err != nil {
		return err
	}
	s := Scene{Name: r.stem(), Canvas: r.canvas(nil), Prompt: r.json.get("high_level_description").words()}
	parts := r.json.get("compositional_deconstruction")
	s.Background = parts.get("background").text()
	if style := r.json.get("style_description"); style.isObj() {
		s.Style = style.plain()
		r.say("style_description (%s): its words go into the prompt, its palette has no counterpart", some(style.others()))
	}
	palettes := 0
	for i, el := range parts.get("elements").arr {
		e := Entity{Prompt: el.get("desc").words(), Type: el.get("type").text(), Text: el.get("text").text()}
		for _, p := range el.get("color_palette").arr {
			e.Palette = append(e.Palette, p.text())
		}
		palettes += min(len(e.Palette), 1)
		if e.Prompt == nil && e.Text != "" {
			e.Prompt = text(fmt.Sprintf("the text %q", tidy(e.Text)))
		}
		if err := r.listed(&e, el.get("bbox"), &s, fmt.Sprintf("element %d", i+1)); err != nil {
			return err
		}
		r.dropped(el, "type", "bbox", "text", "desc", "color_palette")
		s.Entities = append(s.Entities, e)
	}
	if palettes > 0 {
		r.say("palettes of %s have no counterpart", count(palettes, "element", "elements"))
	}
	if r.Convention.By != "--convention" {
		r.say("boxes are read y first, as the format documents it: nothing in the file tells the order. Files with x first exist: " +
			"compare the preview with the words, and pass --convention xyxy/1000 where it contradicts them")
	}
	if s.Background != "" {
		r.say("the background's words go into the prompt")
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

// listed gives an entity the box of a list of four numbers; null or nothing is no place.
func (r *reader) listed(e *Entity, box value, s *Scene, where string) error {
	if box.null() || box.isList() && len(box.arr) == 0 {
		e.shape.kind = "none"
		return nil
	}
	n, ok := box.numbers(4)
	if !ok {
		return fmt.Errorf("%s: its box is not four numbers", where)
	}
	return r.place(e, n, s, where)
}

// dropped says which members of a record nothing is made of.
func (r *reader) dropped(v value, known ...string) {
	if rest := v.others(known...); len(rest) > 0 {
		r.say("not taken: %s", some(rest))
	}
}

// FLUX 3: a caption that cites rows as <id>, and the rows in JSON, y first, in thousandths.

func isFlux3(c *content) string {
	rows := c.tail
	if rows.kind == 0 && c.json.isList() {
		rows = c.json
	}
	if first := rows.first(); first.has("id", "desc") && (first.has("bbox") || first.has("tgt_bbox") || first.has("src_bbox")) ||
		first.has("id") && first.has("src_bbox") || first.has("id", "tgt_bbox") {
		return "it has rows of id, bbox and desc"
	}
	if c.json.isObj() && c.json.has("prompt") && c.json.get("bounding_boxes").first().has("id", "bbox") {
		return "it has a prompt and bounding_boxes"
	}
	return ""
}

var citation = regexp.MustCompile(`<([a-zA-Z][a-zA-Z0-9_]*)>`)

func readFlux3(r *reader) error {
	if err := r.convention("yxyx", 1000); err != nil {
		return err
	}
	rows, words := r.tail, r.words
	switch {
	case r.json.isList():
		rows = r.json
	case r.json.isObj():
		rows, words = r.json.get("bounding_boxes"), r.json.get("prompt").text()
	}
	s := Scene{Name: r.stem(), Canvas: r.canvas(nil)}
	if !blank(words) {
		s.Prompt = text(words)
	}
	edits := 0
	for i, row := range rows.arr {
		e := Entity{Name: row.get("id").text(), Prompt: row.get("desc").words()}
		box, edit := row.get("bbox"), ""
		if row.has("src_bbox") || row.has("tgt_bbox") {
			box, edit = editRow(row)
			edits++
		}
		e.Edit = edit
		if edit == "remove" {
			box = row.get("src_bbox")
		}
		if err := r.listed(&e, box, &s, fmt.Sprintf("row %d (%s)", i+1, e.Name)); err != nil {
			return err
		}
		r.dropped(row, "id", "desc", "bbox", "src_bbox", "tgt_bbox", "from")
		s.Entities = append(s.Entities, e)
	}
	if citation.MatchString(words) {
		r.say("the caption cites rows as <id>: the rows keep these names, and the prompt has their descriptions instead")
	}
	if len(s.Entities) > 1 {
		r.say("the order of rows is no depth: the scene has no z")
	}
	r.say("boxes are read y first, in thousandths, as the format documents it; --convention reads them otherwise")
	if edits > 0 {
		s.Edit, s.Picture = true, r.ans.Picture
		r.say("an edit: rows that stay are no entities, rows that are new or moved are painted at their new place; " +
			"what a row leaves behind is painted with the background's words")
		r.took["picture"] = true
		if r.ans.Picture == "" {
			r.ask("--picture FILE", "the rows edit a picture that is not in the file")
		}
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

// editRow returns where a row's thing is in the end, and what happens to it.
func editRow(row value) (box value, edit string) {
	from, to := row.get("src_bbox"), row.get("tgt_bbox")
	a, was := from.numbers(4)
	b, is := to.numbers(4)
	switch {
	case !is:
		return to, "remove"
	case !was || row.get("from").null() && row.has("from"):
		return to, "new"
	case fmt.Sprint(a) == fmt.Sprint(b):
		return to, "keep"
	}
	return to, "move"
}

// ComfyUI's Create Bounding Boxes: pixels of the node's own canvas.

func isComfyBoxes(c *content) string {
	list := c.json
	if list.isObj() && list.has("bboxes") {
		list = list.get("bboxes")
	}
	if first := list.first(); list.isList() && first.has("x", "y", "width", "height") && (first.has("metadata") || first.has("desc")) {
		return "it has a list of x, y, width, height and metadata"
	}
	return ""
}

func readComfyBoxes(r *reader) error {
	if err := r.convention("xywh", 0); err != nil {
		return err
	}
	list := r.json
	s := Scene{Name: r.stem()}
	if list.isObj() {
		c, err := sizeOf(list.get("width"), list.get("height"))
		if err != nil {
			return err
		}
		s.Canvas, s.Prompt, list = c, list.get("prompt").words(), list.get("bboxes")
	}
	s.Canvas = r.canvas(s.Canvas)
	if err := r.comfyBoxes(list, &s); err != nil {
		return err
	}
	if s.Canvas == nil && r.conv.unit == 0 {
		r.ask("--size WxH", "the boxes are pixels of the node's canvas, which is not in the file")
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

// comfyBoxes adds the boxes of ComfyUI's editor.
func (r *reader) comfyBoxes(list value, s *Scene) error {
	for i, row := range list.arr {
		m := row.get("metadata")
		if !m.isObj() {
			m = row
		}
		e := Entity{Prompt: m.get("desc").words(), Text: m.get("text").text()}
		if t := m.get("type").text(); t != "obj" || r.Format != "comfyui-workflow" {
			e.Type = t
		}
		for _, p := range m.get("palette").arr {
			e.Palette = append(e.Palette, p.text())
		}
		if e.Prompt == nil && e.Text != "" {
			e.Prompt = text(fmt.Sprintf("the text %q", tidy(e.Text)))
		}
		if err := r.named4(&e, row, s, [4]string{"x", "y", "width", "height"}, fmt.Sprintf("box %d", i+1)); err != nil {
			return err
		}
		s.Entities = append(s.Entities, e)
	}
	return nil
}

// named4 gives an entity the box of four members.
func (r *reader) named4(e *Entity, row value, s *Scene, names [4]string, where string) error {
	var n [4]float64
	for i, name := range names {
		f, ok := row.get(name).number()
		if !ok {
			return fmt.Errorf("%s: its %s is no number", where, name)
		}
		n[i] = f
	}
	return r.place(e, n[:], s, where)
}

// A box editor's list: x, y, w, h, mostly as fractions.

func isEditorBoxes(c *content) string {
	list := c.json
	if list.isObj() {
		list = list.get("boxes")
	}
	if first := list.first(); list.isList() && first.has("x", "y", "w", "h") {
		return "it has a list of x, y, w, h"
	}
	return ""
}

func readEditorBoxes(r *reader) error {
	list := r.json
	s := Scene{Name: r.stem(), Prompt: r.json.get("prompt").words()}
	if list.isObj() {
		c, err := sizeOf(list.get("width"), list.get("height"))
		if err != nil {
			return err
		}
		s.Canvas, list = c, list.get("boxes")
	}
	most := 0.0
	for _, row := range list.arr {
		for _, pair := range [][2]string{{"x", "w"}, {"y", "h"}} {
			at, _ := row.get(pair[0]).number()
			side, _ := row.get(pair[1]).number()
			most = max(most, at+side)
		}
	}
	unit := 1.0
	if most > 1.5 {
		unit = 0
	}
	if err := r.convention("xywh", unit); err != nil {
		return err
	}
	s.Canvas = r.canvas(s.Canvas)
	if unit == 0 && r.conv.unit == 0 && s.Canvas == nil {
		r.ask("--size WxH, or --convention xywh/1000",
			"the numbers go up to %g: pixels of a canvas that is not in the file, or thousandths", most)
	}
	for i, row := range list.arr {
		e := Entity{Type: row.get("type").text(), Text: row.get("text").text()}
		for _, name := range []string{"desc", "prompt", "label", "text"} {
			if e.Prompt == nil {
				e.Prompt = row.get(name).words()
			}
		}
		for _, p := range row.get("color_palette").arr {
			e.Palette = append(e.Palette, p.text())
		}
		if err := r.named4(&e, row, &s, [4]string{"x", "y", "w", "h"}, fmt.Sprintf("box %d", i+1)); err != nil {
			return err
		}
		r.dropped(row, "x", "y", "w", "h", "type", "desc", "prompt", "label", "text", "color_palette", "id", "name")
		s.Entities = append(s.Entities, e)
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

// Omost: a list of conditions, each a rectangle of a canvas of 90 by 90 and words in two lists.

func isOmost(c *content) string {
	if first := c.json.first(); c.json.isList() && first.has("rect", "prefixes", "suffixes") {
		return "it has conditions of rect, prefixes and suffixes"
	}
	return ""
}

func readOmost(r *reader) error {
	if err := r.convention("yyxx", 90, "", "1/90"); err != nil {
		return err
	}
	s := Scene{Name: r.stem(), Canvas: r.canvas(nil)}
	for i, row := range r.json.arr {
		var words []string
		for _, list := range []string{"prefixes", "suffixes"} {
			for _, w := range row.get(list).arr {
				words = append(words, strings.TrimSpace(w.text()))
			}
		}
		n, ok := row.get("rect").numbers(4)
		if !ok {
			return fmt.Errorf("condition %d: its rect is not four numbers", i+1)
		}
		if i == 0 && n[0] == 0 && n[1] == 90 && n[2] == 0 && n[3] == 90 {
			s.Prompt = text(strings.Join(words, " "))
			continue
		}
		own := words
		if p := row.get("prefixes").arr; len(p) > 0 { // the first is the whole picture's
			own = words[1:]
		}
		e := Entity{Prompt: text(strings.Join(own, " "))}
		for _, c := range row.get("color").arr {
			if v, ok := c.number(); ok {
				e.Color = append(e.Color, int(v))
			}
		}
		if err := r.place(&e, n, &s, fmt.Sprintf("condition %d", i+1)); err != nil {
			return err
		}
		s.Entities = append(s.Entities, e)
	}
	r.say("rect is top, bottom, left, right on a canvas of 90 by 90; the first condition is the whole picture; colours have no counterpart")
	r.Scenes = append(r.Scenes, s)
	return nil
}
