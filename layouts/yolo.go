package layouts

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/pixels"
)

// YOLO: a line an object, a class's number and numbers. Names are in data.yaml, the size in the picture.

// fields splits the lines of a text file, which is no other format.
func (c *content) fields() [][]string {
	if c.json.kind != 0 || c.xml != nil || c.yaml.kind != 0 || len(c.chunks) > 0 || c.ext != ".txt" {
		return nil
	}
	var out [][]string
	for _, line := range strings.Split(string(c.Data), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "imagesource:") || strings.HasPrefix(f[0], "gsd:") {
			continue
		}
		out = append(out, f)
		if len(out) > maxEntities {
			return nil
		}
	}
	return out
}

func floats(f []string) ([]float64, bool) {
	var out []float64
	for _, s := range f {
		n, ok := value{kind: 's', str: s}.number()
		if !ok {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

func isYOLO(c *content) string {
	lines := c.fields()
	for _, f := range lines {
		n, ok := floats(f)
		if !ok || n[0] != float64(int(n[0])) || n[0] < 0 || len(n) < 5 || len(n) > 6 && len(n)%2 == 0 {
			return ""
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "its lines are a class's number and an object's numbers"
}

func isYOLOOBB(c *content) string {
	lines := c.fields()
	for _, f := range lines {
		if len(f) < 9 || len(f) > 10 {
			return ""
		}
		if _, ok := floats(f[:8]); !ok {
			return ""
		}
		if _, ok := floats(f[8:9]); ok {
			return ""
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "its lines are eight numbers, then a name"
}

// yoloScene finds the picture and the names that belong to a label file.
func (r *reader) yoloScene() (Scene, []string, error) {
	s := Scene{Name: r.stem()}
	for _, folder := range []string{".", "../images", "../../images", "..", "../JPEGImages"} {
		for _, ext := range []string{".jpg", ".jpeg", ".png", ".webp", ".JPG", ".PNG", ".bmp", ".tif", ".tiff"} {
			data, err := r.beside(path.Join(folder, s.Name+ext))
			if err != nil {
				continue
			}
			f, err := pixels.Open(data)
			if err != nil {
				return s, nil, fmt.Errorf("%s: %w", s.Name+ext, err)
			}
			s.Canvas, s.Picture = &Canvas{f.Size.W, f.Size.H, "picture"}, s.Name+ext
			return s, r.yoloNames(), nil
		}
	}
	s.Canvas = r.canvas(nil)
	return s, r.yoloNames(), nil
}

// yoloNames reads the classes' names of data.yaml, or of classes.txt.
func (r *reader) yoloNames() []string {
	for _, folder := range []string{".", "..", "../..", "../../.."} {
		for _, name := range []string{"data.yaml", "data.yml", "dataset.yaml"} {
			data, err := r.beside(path.Join(folder, name))
			if err != nil {
				continue
			}
			v, err := parseYAML(data)
			if err != nil {
				r.say("%s can't be read: %v", name, err)
				continue
			}
			if names := yoloList(v.get("names")); len(names) > 0 {
				r.say("names are those of %s, the size is the picture's", path.Join(folder, name))
				return names
			}
		}
		for _, name := range []string{"classes.txt", "obj.names", "_darknet.labels"} {
			if data, err := r.beside(path.Join(folder, name)); err == nil {
				r.say("names are those of %s", path.Join(folder, name))
				return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(data), "\r", "")), "\n")
			}
		}
	}
	r.say("no data.yaml or classes.txt with the classes' names is near the file")
	return nil
}

func yoloList(v value) (out []string) {
	for _, e := range v.arr {
		out = append(out, e.text())
	}
	for _, m := range v.obj {
		i, err := strconv.Atoi(m.name)
		if err != nil || i < 0 || i > maxEntities {
			return nil
		}
		for len(out) <= i {
			out = append(out, "")
		}
		out[i] = m.text()
	}
	return out
}

func readYOLO(r *reader) error {
	if err := r.convention("cxcywh", 1); err != nil {
		return err
	}
	s, names, err := r.yoloScene()
	if err != nil {
		return err
	}
	boxes, polygons := 0, 0
	for i, f := range r.fields() {
		n, _ := floats(f)
		e := Entity{}
		if class := int(n[0]); class < len(names) && names[class] != "" {
			e.Prompt = text(names[class])
		} else {
			r.ask("--words TEXT for each", "class %d has no name: no data.yaml near the file names it", class)
		}
		switch n = n[1:]; len(n) {
		case 5:
			e.Score = value{kind: 'n', num: f[5]}.floatPtr()
			fallthrough
		case 4:
			boxes++
			if err := r.place(&e, n[:4], &s, "line "+strconv.Itoa(i+1)); err != nil {
				return err
			}
		default:
			polygons++
			if len(n) < 6 {
				return errors.New("a polygon of less than three points")
			}
			r.polygon(&e, [][][2]float64{pairs(n)}, nil, 1)
		}
		s.Entities = append(s.Entities, e)
	}
	if polygons > 0 && boxes == 0 {
		r.Convention.Order = "points x y"
	} else if polygons > 0 {
		r.say("some lines are boxes, others polygons")
	}
	if len(r.ans.Words) >= len(s.Entities) && len(names) == 0 {
		r.Ask, r.Verdict = nil, Import
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

func readYOLOOBB(r *reader) error {
	if err := r.convention("xyxy", 0, "four corners x y"); err != nil {
		return err
	}
	s, _, err := r.yoloScene()
	if err != nil {
		return err
	}
	if s.Canvas == nil {
		r.ask("--size WxH", "the corners are pixels, and no picture of this name is near the file")
	}
	for _, f := range r.fields() {
		n, _ := floats(f[:8])
		e := Entity{Prompt: text(f[8])}
		r.polygon(&e, [][][2]float64{pairs(n)}, s.Canvas, r.conv.unit)
		s.Entities = append(s.Entities, e)
	}
	r.say("eight corner numbers come first, then the name and a difficulty; no class's number")
	r.Scenes = append(r.Scenes, s)
	return nil
}

// Pascal VOC: corners in pixels, by name.

func isVOC(c *content) string {
	if c.xml != nil && c.xml.name == "annotation" && (c.xml.kid("object", "bndbox").name != "" || c.xml.kid("size", "width").name != "") {
		return "it is an annotation with objects of bndbox"
	}
	return ""
}

func readVOC(r *reader) error {
	if err := r.convention("xyxy", 0, "x0 y0 x1 y1 by name"); err != nil {
		return err
	}
	c, err := sizeOf(r.xml.kid("size", "width").value(), r.xml.kid("size", "height").value())
	if err != nil {
		return err
	}
	s := Scene{Name: r.xml.kid("filename").trimmed(), Canvas: r.canvas(c), Picture: r.xml.kid("filename").trimmed()}
	if s.Canvas == nil {
		r.ask("--size WxH", "the boxes are pixels, and the file has no size")
	}
	if s.Name == "" {
		s.Name = r.stem()
	}
	for i, o := range r.xml.all("object") {
		e := Entity{Prompt: o.kid("name").value().words()}
		where := "object " + strconv.Itoa(i+1)
		b := o.kid("bndbox")
		if p := o.kid("polygon"); p.name != "" && b.name == "" {
			if err := r.vocPolygon(&e, p, &s, where); err != nil {
				return err
			}
		} else if o.kid("robndbox").name != "" {
			if err := r.vocTurned(&e, o.kid("robndbox"), &s, where); err != nil {
				return err
			}
		} else {
			v := value{kind: 'o'}
			for _, k := range b.kids {
				v.obj = append(v.obj, member{k.name, k.value()})
			}
			if err := r.named4(&e, v, &s, [4]string{"xmin", "ymin", "xmax", "ymax"}, where); err != nil {
				return err
			}
			if o.kid("part").name != "" {
				r.say("parts of objects are not taken")
			}
		}
		s.Entities = append(s.Entities, e)
	}
	r.say("corners are read by name, in whatever order they stand")
	r.say("the file's numbers are taken as they are; Pascal's own count pixels from 1, which is one pixel more")
	r.Scenes = append(r.Scenes, s)
	return nil
}

func (r *reader) vocPolygon(e *Entity, p *node, s *Scene, where string) error {
	var pts [][2]float64
	for i := 1; p.kid("x"+strconv.Itoa(i)).name != ""; i++ {
		x, ok := p.kid("x" + strconv.Itoa(i)).value().number()
		y, also := p.kid("y" + strconv.Itoa(i)).value().number()
		if !ok || !also {
			return fmt.Errorf("%s: point %d is no number", where, i)
		}
		pts = append(pts, [2]float64{x, y})
	}
	if len(pts) < 3 {
		return fmt.Errorf("%s: its polygon has less than three points", where)
	}
	r.polygon(e, [][][2]float64{pts}, s.Canvas, 0)
	return nil
}

// vocTurned reads roLabelImg's box: centre, sides and an angle in radians.
func (r *reader) vocTurned(e *Entity, b *node, s *Scene, where string) error {
	var n [5]float64
	for i, name := range []string{"cx", "cy", "w", "h", "angle"} {
		f, ok := b.kid(name).value().number()
		if !ok {
			return fmt.Errorf("%s: its %s is no number", where, name)
		}
		n[i] = f
	}
	r.polygon(e, [][][2]float64{turned(n[0], n[1], n[2], n[3], n[4])}, s.Canvas, 0)
	return nil
}

// Create ML: a centre by its documents, a corner in some files.

func isCreateML(c *content) string {
	first := c.json.first()
	if a := first.get("annotations").first(); (first.has("image") || first.has("imagefilename") || first.has("image_filename")) &&
		a.get("coordinates").has("x", "y", "width", "height") {
		return "it has images with annotations of coordinates"
	}
	return ""
}

func readCreateML(r *reader) error {
	if err := r.convention("cxcywh", 0); err != nil {
		return err
	}
	chosen := r.Convention.By == "--convention"
	for _, row := range r.json.records() {
		name := row.get("image").text() + row.get("imagefilename").text() + row.get("image_filename").text()
		s := Scene{Name: name, Picture: name, Canvas: r.canvas(nil)}
		if plainName(name) && s.Canvas == nil {
			if data, err := r.beside(name); err == nil {
				if f, err := pixels.Open(data); err == nil {
					s.Canvas = &Canvas{f.Size.W, f.Size.H, "picture"}
				}
			}
		}
		if s.Canvas == nil {
			r.ask("--size WxH", "the boxes are pixels, and there is no size in the file")
		}
		for i, a := range row.get("annotations").arr {
			e := Entity{Prompt: a.get("label").words()}
			if err := r.named4(&e, a.get("coordinates"), &s, [4]string{"x", "y", "width", "height"},
				fmt.Sprintf("%s, annotation %d", name, i+1)); err != nil {
				return err
			}
			if b := e.shape.box; !chosen && (b[0] < 0 || b[1] < 0) {
				r.ask("--convention corner, or --convention centre",
					"x and y: corner or centre? As Create ML documents it (the centre), boxes begin outside the picture")
			}
			s.Entities = append(s.Entities, e)
		}
		r.Scenes = append(r.Scenes, s)
	}
	if !chosen {
		r.say("x and y are the centre, as Create ML documents it; files with the corner there exist: --convention corner reads them so")
	}
	return nil
}
