package layouts

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// C-Bench, O-Bench and their kin: a row a prompt, with pairs of object and box, in pixels of 512×512.

func isCoBench(c *content) string {
	if len(c.rows) < 2 {
		return ""
	}
	head := " " + strings.Join(c.rows[0], " ") + " "
	if strings.Contains(head, " prompt ") && strings.Contains(head, " obj1 ") && strings.Contains(head, " bbox1 ") {
		return "it has the columns prompt, obj1 and bbox1"
	}
	return ""
}

func readCoBench(r *reader) error {
	if err := r.convention("xyxy", 0, "", "px of 512x512"); err != nil {
		return err
	}
	for i, row := range r.table() {
		s := Scene{Name: strings.TrimSpace(row.get("id").text()), Canvas: &Canvas{512, 512, "format"},
			Prompt: row.get("prompt").words(), Category: row.get("category").text()}
		if s.Name == "" {
			s.Name = "row " + strconv.Itoa(i+1)
		}
		for k := 1; row.has("obj" + strconv.Itoa(k)); k++ {
			obj, cell := row.get("obj"+strconv.Itoa(k)), row.get("bbox"+strconv.Itoa(k)).text()
			if obj.words() == nil && blank(cell) {
				continue
			}
			where := fmt.Sprintf("row %s, bbox%d", s.Name, k)
			n, err := cellNumbers(cell)
			if err != nil {
				return fmt.Errorf("%s: %w", where, err)
			}
			e := Entity{Prompt: obj.words()}
			if err := r.place(&e, n, &s, where); err != nil {
				return err
			}
			s.Entities = append(s.Entities, e)
		}
		r.Scenes = append(r.Scenes, s)
	}
	r.say("one cell holds four numbers; objN and bboxN belong together, and later columns may be empty")
	return nil
}

var notNumber = regexp.MustCompile(`[^-+.0-9eE]+`)

func cellNumbers(cell string) ([]float64, error) {
	var out []float64
	for _, f := range notNumber.Split(cell, -1) {
		if f == "" {
			continue
		}
		n, ok := value{kind: 's', str: f}.number()
		if !ok {
			return nil, fmt.Errorf("%q is not four numbers", cell)
		}
		out = append(out, n)
	}
	if len(out) != 4 {
		return nil, fmt.Errorf("%q is not four numbers", cell)
	}
	return out, nil
}

// COCO-MIG: prompts, each with names, each with boxes in fractions.

func isMIG(c *content) string {
	list := c.yaml
	if list.kind == 0 {
		list = c.json
	}
	if !list.isObj() || len(list.obj) == 0 {
		return ""
	}
	for _, p := range list.obj {
		if !p.isObj() {
			return ""
		}
		for _, m := range p.obj {
			if _, ok := m.first().numbers(4); m.isList() && !ok {
				return ""
			}
		}
		if p.has("coco_id") || len(p.obj) > 0 && p.obj[0].isList() {
			return "each prompt has names with lists of boxes"
		}
	}
	return ""
}

func readMIG(r *reader) error {
	if err := r.convention("xyxy", 1); err != nil {
		return err
	}
	list := r.yaml
	if list.kind == 0 {
		list = r.json
	}
	for _, p := range list.obj {
		s := Scene{Name: p.name, Canvas: r.canvas(nil), Prompt: text(p.name)}
		for _, m := range p.obj {
			if m.name == "coco_id" {
				if s.Index = m.intPtr(); s.Index == nil {
					r.say("coco_id is no number, and left out")
				}
				continue
			}
			if !m.isList() {
				r.say("%s is no entity", m.name)
				continue
			}
			for k, box := range m.arr {
				e := Entity{Prompt: text(m.name)}
				if err := r.listed(&e, box, &s, fmt.Sprintf("%q, %s, box %d", p.name, m.name, k+1)); err != nil {
					return err
				}
				s.Entities = append(s.Entities, e)
			}
		}
		r.Scenes = append(r.Scenes, s)
	}
	r.say("a name with several boxes is several entities")
	return nil
}

// GenEval and T2I-CompBench: prompts and relations, without places.

func isGenEval(c *content) string {
	if first := c.json.first(); first.has("tag", "include") || first.has("include", "prompt") {
		return "it has tag, include and prompt"
	}
	return ""
}

func readGenEval(r *reader) error {
	r.Prompts = len(r.json.records())
	r.refuse("%d prompts and relations, and no places: make a layout of words with eligen new", r.Prompts)
	return nil
}

func isPromptLines(c *content) string {
	if c.json.kind != 0 || c.xml != nil || c.yaml.kind != 0 || len(c.chunks) > 0 || c.ext != ".txt" || len(c.Data) == 0 {
		return ""
	}
	for _, line := range strings.Split(strings.TrimSpace(string(c.Data)), "\n") {
		if len(strings.Fields(line)) < 3 || !strings.ContainsAny(line, "abcdefghijklmnopqrstuvwxyz") {
			return ""
		}
	}
	return "it is a prompt a line"
}

func readPromptLines(r *reader) error {
	r.Prompts = strings.Count(strings.TrimSpace(string(r.Data)), "\n") + 1
	r.refuse("%d lines of words, and no places: make a layout of words with eligen new", r.Prompts)
	return nil
}
