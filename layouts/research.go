package layouts

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// LMD: prompts, each with answers of a language model: Python literals, in pixels of 512×512.

var lmdAnswer = regexp.MustCompile(`(?s)^\s*(?:Objects:\s*)?\[.*\]\s*\n?\s*Background prompt:`)

func isLMD(c *content) string {
	if c.json.isObj() && len(c.json.obj) > 0 {
		first := c.json.obj[0].value
		if first.isList() && len(first.arr) > 0 {
			first = first.arr[0]
		}
		if first.kind == 's' && (lmdAnswer.MatchString(first.str) || strings.Contains(first.str, "Background prompt:")) {
			return "its answers end in “Background prompt:”"
		}
	}
	if c.json.kind == 0 && strings.Contains(string(c.Data), "Background prompt:") && strings.Contains(string(c.Data), "[(") {
		return "it is an answer that ends in “Background prompt:”"
	}
	return ""
}

func readLMD(r *reader) error {
	if err := r.convention("xywh", 0, "", "px of 512x512"); err != nil {
		return err
	}
	r.Convention.Beyond = "not cut by the source"
	if !r.json.isObj() {
		r.json = value{kind: 'o', obj: []member{{"", value{kind: 's', str: string(r.Data)}}}}
	}
	for _, m := range r.json.obj {
		answers := m.records()
		for i, a := range answers {
			s, err := r.lmd(m.name, a.text())
			if err != nil {
				return err
			}
			if len(answers) > 1 {
				s.Name += " #" + strconv.Itoa(i+1)
			}
			r.Scenes = append(r.Scenes, s)
		}
	}
	r.say("answers are Python literals inside JSON strings")
	return nil
}

func (r *reader) lmd(prompt, answer string) (Scene, error) {
	s := Scene{Name: prompt, Canvas: &Canvas{512, 512, "format"}, Prompt: text(prompt)}
	if prompt == "" {
		s.Name, s.Prompt = r.stem(), nil
	}
	start := strings.Index(answer, "[")
	if start < 0 {
		return s, fmt.Errorf("%q: the answer has no list", prompt)
	}
	list, rest, err := parsePython(answer[start:])
	if err != nil {
		return s, fmt.Errorf("%q: %w", prompt, err)
	}
	for _, line := range strings.Split(rest, "\n") {
		if w, ok := strings.CutPrefix(strings.TrimSpace(line), "Background prompt:"); ok {
			s.Background = strings.TrimSpace(w)
		} else if w, ok := strings.CutPrefix(strings.TrimSpace(line), "Negative prompt:"); ok {
			s.Negative = strings.TrimSpace(w)
		} else if w, ok := strings.CutPrefix(strings.TrimSpace(line), "Caption:"); ok && s.Prompt == nil {
			s.Prompt = text(strings.TrimSpace(w))
		}
	}
	for i, row := range list.arr {
		e := Entity{}
		where := fmt.Sprintf("%q, object %d", prompt, i+1)
		if len(row.arr) != 2 {
			return s, fmt.Errorf("%s is no pair of words and box", where)
		}
		e.Prompt = row.arr[0].words()
		if err := r.listed(&e, row.arr[1], &s, where); err != nil {
			return s, err
		}
		s.Entities = append(s.Entities, e)
	}
	if len(s.Entities) == 0 {
		r.say("an answer without boxes is a scene without entities")
	}
	return s, nil
}

// LayoutGPT's answers: fractions, corners. Its data set, in the same repository, has sides.

func isLayoutGPT(c *content) string {
	if first := c.json.first(); first.has("object_list", "query_id") || first.has("object_list", "iter") {
		return "it has object_list, query_id and iter: LayoutGPT's answers, not its data set"
	}
	return ""
}

func readLayoutGPT(r *reader) error {
	return r.gpt("xyxy", func(v value) string {
		return v.get("query_id").text() + "." + v.get("iter").text()
	})
}

func isNSR(c *content) string {
	first := c.json.first()
	if pair := first.get("obj1"); pair.isList() && len(pair.arr) == 2 && first.has("obj2") {
		return "it has obj1 and obj2, each words and a box"
	}
	if first.has("object_list") && (first.has("num_object") || first.has("image_id") || first.has("id")) {
		return "it has object_list and an id: LayoutGPT's data set, not its answers"
	}
	return ""
}

func readNSR(r *reader) error {
	return r.gpt("xywh", func(v value) string {
		if id := v.get("id").text(); id != "" {
			return id
		}
		return v.get("image_id").text()
	})
}

// gpt reads LayoutGPT's files, and says how many boxes the other order would break.
func (r *reader) gpt(order string, name func(value) string) error {
	if err := r.convention(order, 1); err != nil {
		return err
	}
	if order == "xyxy" {
		r.Convention.Beyond = "not cut by the source"
	}
	broken, all := 0, 0
	for i, row := range r.json.records() {
		s := Scene{Name: name(row), Canvas: r.canvas(nil), Prompt: row.get("prompt").words()}
		if blank(s.Name) {
			s.Name = "item " + strconv.Itoa(i)
		}
		pairs := row.get("object_list").arr
		for k := 1; row.has("obj" + strconv.Itoa(k)); k++ {
			pairs = append(pairs, row.get("obj"+strconv.Itoa(k)))
		}
		for k, p := range pairs {
			e := Entity{}
			where := fmt.Sprintf("record %s, object %d", s.Name, k+1)
			if len(p.arr) != 2 {
				return fmt.Errorf("%s is no pair of words and box", where)
			}
			e.Prompt = p.arr[0].words()
			if err := r.listed(&e, p.arr[1], &s, where); err != nil {
				return err
			}
			if n, ok := p.arr[1].numbers(4); ok {
				all++
				if otherBreaks(order, n) {
					broken++
				}
			}
			s.Entities = append(s.Entities, e)
		}
		r.dropped(row, "prompt", "object_list", "obj1", "obj2", "query_id", "iter", "id", "image_id")
		r.Scenes = append(r.Scenes, s)
	}
	r.say("LayoutGPT's answers are x0 y0 x1 y1, its data set left top width height, both fractions, and no field tells: "+
		"read as %s; the other order would break %d of %d boxes", r.Convention.Order, broken, all)
	return nil
}

// otherBreaks reports whether four fractions are no box in the other of the two common orders.
func otherBreaks(order string, n []float64) bool {
	if order == "xyxy" {
		return n[0]+n[2] > 1.001 || n[1]+n[3] > 1.001
	}
	return n[2] <= n[0] || n[3] <= n[1]
}

// Regional prompting for FLUX: pixels, in a member that is called mask.

func isRegionalFlux(c *content) string {
	if c.json.first().has("regional_prompt_mask_pairs") {
		return "it has regional_prompt_mask_pairs"
	}
	return ""
}

func readRegionalFlux(r *reader) error {
	if err := r.convention("xyxy", 0); err != nil {
		return err
	}
	for i, row := range r.json.records() {
		s := Scene{Name: r.stem(), Prompt: row.get("base_prompt").words(), Background: row.get("background_prompt").text(),
			Seed: row.get("seed").seed(), Steps: row.get("num_inference_steps").intPtr(), Guidance: row.get("guidance_scale").floatPtr()}
		if r.json.isList() {
			s.Name = "item " + strconv.Itoa(i)
		}
		c, err := sizeOf(row.get("image_width"), row.get("image_height"))
		if err != nil {
			return err
		}
		if s.Canvas = r.canvas(c); s.Canvas == nil && r.conv.unit == 0 {
			r.ask("--size WxH", "the boxes are pixels, and the file has no size")
		}
		for _, m := range row.get("regional_prompt_mask_pairs").obj {
			e := Entity{Prompt: m.get("description").words()}
			if err := r.listed(&e, m.get("mask"), &s, "pair "+m.name); err != nil {
				return err
			}
			s.Entities = append(s.Entities, e)
		}
		r.dropped(row, "image_width", "image_height", "base_prompt", "background_prompt", "regional_prompt_mask_pairs", "seed",
			"num_inference_steps", "guidance_scale")
		r.Scenes = append(r.Scenes, s)
	}
	r.say("the member mask holds a box")
	r.say("what no region covers gets background_prompt there: its words go into the prompt")
	return nil
}

// HiDream-O1: both x first, then both y; the boxes place reference pictures and have no words.

func isHiDream(c *content) string {
	if c.json.first().get("layout_bboxes").isList() {
		return "it has layout_bboxes"
	}
	return ""
}

func readHiDream(r *reader) error {
	most := 0.0
	for _, row := range r.json.records() {
		for _, b := range row.get("layout_bboxes").arr {
			n, _ := b.numbers(4)
			for _, v := range n {
				most = max(most, v)
			}
		}
	}
	unit := 1.0
	if most > 1 {
		unit = 100
	}
	if err := r.convention("xxyy", unit); err != nil {
		return err
	}
	for _, row := range r.json.records() {
		c, err := sizeOf(row.get("width"), row.get("height"))
		if err != nil {
			return err
		}
		s := Scene{Name: r.stem(), Canvas: r.canvas(c), Prompt: row.get("prompt").words(), Seed: row.get("seed").seed(),
			Steps: row.get("num_inference_steps").intPtr(), CFG: row.get("cfg_scale").floatPtr(),
			Negative: strings.TrimSpace(row.get("negative_prompt").text())}
		for i, b := range row.get("layout_bboxes").arr {
			e := Entity{}
			if err := r.listed(&e, b, &s, fmt.Sprintf("box %d", i+1)); err != nil {
				return err
			}
			s.Entities = append(s.Entities, e)
		}
		if len(r.ans.Words) < len(s.Entities) {
			r.ask("--words TEXT for each", "%s no words: they place reference pictures", count(len(s.Entities), "box has", "boxes have"))
		}
		r.Scenes = append(r.Scenes, s)
	}
	r.say("both x come first, then both y; numbers above 1 are percent: read as %s", unitName(r.conv.unit))
	return nil
}
