package layouts

import (
	"fmt"
	"path"
	"strconv"
)

// COCO: images, categories and annotations; sides in pixels, polygons, run lengths.

func isCOCO(c *content) string {
	if c.json.isObj() && c.json.get("images").isList() && c.json.get("annotations").isList() {
		return "it has images, annotations and categories"
	}
	return ""
}

// cocoNames returns the categories' names by id.
func cocoNames(v value) map[string]string {
	out := map[string]string{}
	for _, c := range v.get("categories").arr {
		out[c.get("id").text()] = c.get("name").text()
	}
	return out
}

func readCOCO(r *reader) error {
	if err := r.convention("xywh", 0); err != nil {
		return err
	}
	r.took["crowds"] = true
	names := cocoNames(r.json)
	index := map[string]int{}
	for _, img := range r.json.get("images").arr {
		c, err := sizeOf(img.get("width"), img.get("height"))
		if err != nil {
			return fmt.Errorf("%s: %w", img.get("file_name").text(), err)
		}
		s := Scene{Name: path.Base(img.get("file_name").text()), Canvas: r.canvas(c), Picture: img.get("file_name").text()}
		if s.Canvas == nil {
			r.ask("--size WxH", "the image %s has no size", s.Name)
		}
		index[img.get("id").text()] = len(r.Scenes)
		r.Scenes = append(r.Scenes, s)
	}
	captions := 0
	for _, a := range r.json.get("annotations").arr {
		i, ok := index[a.get("image_id").text()]
		if !ok {
			return fmt.Errorf("annotation %s is of image %s, which is not in the file", a.get("id").text(), a.get("image_id").text())
		}
		s := &r.Scenes[i]
		if words := a.get("caption").words(); words != nil && a.get("bbox").null() {
			if captions++; s.Prompt == nil {
				s.Prompt = words
			}
			continue
		}
		if err := r.cocoAnnotation(a, s, names); err != nil {
			return fmt.Errorf("annotation %s: %w", a.get("id").text(), err)
		}
	}
	if captions > 0 {
		r.say("of several captions of an image, the first is the prompt")
	}
	r.say("COCO has class names, no prompts: they are the entities' words, and the whole picture's")
	return nil
}

func (r *reader) cocoAnnotation(a value, s *Scene, names map[string]string) error {
	id := a.get("category_id").text()
	name, ok := names[id]
	if !ok {
		return fmt.Errorf("its category %s is not in the file", id)
	}
	e := Entity{Prompt: text(name)}
	crowd := a.get("iscrowd").text() == "1"
	if a.has("iscrowd") {
		e.Crowd = &crowd
	}
	if crowd && !r.ans.Crowds {
		r.say("iscrowd: many things as one, left out of the scene; --crowds takes them")
	}
	if err := r.listed(&e, a.get("bbox"), s, "its bbox"); err != nil {
		return err
	}
	box := e.shape.box
	switch seg := a.get("segmentation"); {
	case seg.isObj():
		m, err := r.columns(seg)
		if err != nil {
			return err
		}
		e.shape = shape{kind: "mask", mask: m}
	case seg.isList() && len(seg.arr) > 0:
		var pieces [][][2]float64
		for i, p := range seg.arr {
			n, ok := p.numbers(-1)
			if !ok || len(n) < 6 || len(n)%2 != 0 {
				return fmt.Errorf("polygon %d of its segmentation is no list of at least three points", i+1)
			}
			pieces = append(pieces, pairs(n))
		}
		r.polygon(&e, pieces, s.Canvas, 0)
	}
	if a.has("rotation") || a.get("attributes").has("rotation") {
		r.say("a rotation is given beside the box: the box is taken as it is")
	}
	r.keepBox(&e, box, len(s.Entities)+1, s.Name)
	r.dropped(a, "id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd")
	s.Entities = append(s.Entities, e)
	return nil
}

// keepBox notes the file's box where a mask or polygon is taken in its place, and where they differ.
func (r *reader) keepBox(e *Entity, box [4]float64, n int, scene string) {
	if e.shape.kind == "box" || e.shape.kind == "none" {
		return
	}
	e.Box = rounded(box[:]...)
	around := bounds(e.shape.pieces)
	if e.shape.kind == "mask" {
		around = e.shape.mask.bounds()
	}
	if fmt.Sprint(rounded(around[:]...)) != fmt.Sprint(e.Box) {
		r.say("%s e%d: the file's box is not the one around its %s, which is taken", scene, n, e.shape.kind)
	}
}

// COCO results: detections, whose sizes and names are in another file.

func isResults(c *content) string {
	if first := c.json.first(); c.json.isList() && first.has("image_id", "category_id", "score") {
		return "it is a list of image_id, category_id and score"
	}
	return ""
}

func readResults(r *reader) error {
	if err := r.convention("xywh", 0); err != nil {
		return err
	}
	r.Convention.Beyond = "not cut by the source"
	r.took["images"], r.took["score"] = true, true
	known := value{}
	if r.ans.Images == "" {
		hint := ""
		if _, err := r.beside("images.json"); err == nil {
			hint = "; images.json is next to it"
		}
		r.ask("--images FILE", "sizes and names are in another file, COCO's images and categories%s", hint)
	} else {
		data, err := r.beside(r.ans.Images)
		if err != nil {
			return fmt.Errorf("--images: %w", err)
		}
		if known, err = wholeJSON(data); err != nil {
			return fmt.Errorf("--images %s: %w", r.ans.Images, err)
		}
	}
	names, index, low := cocoNames(known), map[string]int{}, 0
	for i, d := range r.json.arr {
		score, _ := d.get("score").number()
		if score < r.ans.Score {
			low++
			continue
		}
		at, ok := index[d.get("image_id").text()]
		if !ok {
			s, err := r.resultImage(d.get("image_id").text(), known)
			if err != nil {
				return err
			}
			at = len(r.Scenes)
			index[d.get("image_id").text()] = at
			r.Scenes = append(r.Scenes, s)
		}
		e := Entity{Score: d.get("score").floatPtr(), Category: d.get("category_id").intPtr()}
		if name := names[d.get("category_id").text()]; name != "" {
			e.Prompt = text(name)
		}
		s := &r.Scenes[at]
		if err := r.listed(&e, d.get("bbox"), s, "detection "+strconv.Itoa(i+1)); err != nil {
			return err
		}
		if seg := d.get("segmentation"); seg.isObj() {
			m, err := r.columns(seg)
			if err != nil {
				return fmt.Errorf("detection %d: %w", i+1, err)
			}
			e.shape = shape{kind: "mask", mask: m}
		}
		s.Entities = append(s.Entities, e)
	}
	switch {
	case low > 0:
		r.say("detections have scores: %d of %d are below --score %g and left out", low, len(r.json.arr), r.ans.Score)
	default:
		r.say("detections have scores, and all of them are taken: --score S leaves out those below")
	}
	return nil
}

func (r *reader) resultImage(id string, known value) (Scene, error) {
	s := Scene{Name: id, Canvas: r.canvas(nil)}
	for _, img := range known.get("images").arr {
		if img.get("id").text() == id {
			c, err := sizeOf(img.get("width"), img.get("height"))
			if err != nil {
				return s, err
			}
			c.From = path.Base(r.ans.Images)
			s.Canvas = c
			return s, nil
		}
	}
	if known.isObj() {
		return s, fmt.Errorf("the image %s is not in %s", id, r.ans.Images)
	}
	return s, nil
}
