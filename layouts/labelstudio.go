package layouts

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
)

// turned returns the corners of a box around its centre, turned clockwise by an angle in
// radians.
func turned(cx, cy, w, h, angle float64) [][2]float64 {
	sin, cos := math.Sincos(angle)
	var out [][2]float64
	for _, p := range [][2]float64{{-w / 2, -h / 2}, {w / 2, -h / 2}, {w / 2, h / 2}, {-w / 2, h / 2}} {
		out = append(out, [2]float64{cx + p[0]*cos - p[1]*sin, cy + p[0]*sin + p[1]*cos})
	}
	return out
}

// Label Studio: percent, turned about the upper left corner.

func isLabelStudio(c *content) string {
	first := c.json.first()
	if first.get("annotations").first().has("result") || first.get("completions").first().has("result") {
		return "it has tasks with annotations of result"
	}
	for _, m := range first.obj {
		if list := m.first(); m.isList() && list.has("original_width", "original_height") {
			return "it has tasks with labels of original_width"
		}
	}
	return ""
}

func readLabelStudio(r *reader) error {
	const order = "left top width height, turned clockwise about that corner"
	if err := r.convention("xywh", 100, order, "percent of width and of height"); err != nil {
		return err
	}
	for i, task := range r.json.records() {
		id := task.get("id").text()
		if id == "" {
			id = strconv.Itoa(i + 1)
		}
		list := task.get("annotations")
		if list.null() {
			list = task.get("completions")
		}
		var kept []value
		for _, a := range list.arr {
			if c := a.get("was_cancelled"); c.kind == 'b' && c.yes {
				r.say("task %s: a cancelled annotation is left out", id)
				continue
			}
			kept = append(kept, a)
		}
		if list.null() {
			kept = []value{labelMin(task)}
		}
		if len(kept) == 0 && len(task.get("predictions").arr) > 0 {
			r.say("task %s has predictions and no annotation: left out", id)
		}
		for k, a := range kept {
			name := "task " + id
			if len(kept) > 1 {
				n := a.get("id").text()
				if n == "" {
					n = strconv.Itoa(k + 1)
				}
				name += ", annotation " + n
				r.say("several people marked the picture of task %s: each annotation is a scene of its own", id)
			}
			if err := r.labelScene(name, task, a); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	r.say("numbers are percent of the width and of the height: 37.16 is 0.3716")
	return nil
}

// labelMin turns a task of the short export into an annotation.
func labelMin(task value) value {
	list := value{kind: 'a'}
	for _, m := range task.obj {
		for _, v := range m.arr {
			if !v.has("original_width") {
				continue
			}
			list.arr = append(list.arr, value{kind: 'o', obj: []member{{"value", v}, {"original_width", v.get("original_width")},
				{"original_height", v.get("original_height")}, {"type", value{kind: 's', str: labelKind(v)}}}})
		}
	}
	return value{kind: 'o', obj: []member{{"result", list}}}
}

func labelKind(v value) string {
	for _, m := range v.obj {
		if strings.HasSuffix(m.name, "labels") {
			return m.name
		}
	}
	switch {
	case v.has("points"):
		return "polygonlabels"
	case v.has("radiusX"):
		return "ellipselabels"
	}
	return "rectanglelabels"
}

func (r *reader) labelScene(name string, task, a value) error {
	s := Scene{Name: name}
	for _, m := range task.get("data").obj {
		if t := m.text(); s.Picture == "" && (m.name == "image" || m.name == "img" || strings.HasPrefix(m.name, "image")) {
			s.Picture = t
		}
	}
	if s.Picture == "" {
		s.Picture = task.get("image").text()
	}
	captions := map[string]*string{}
	for _, res := range a.get("result").arr {
		if t := res.get("value").get("text"); res.get("type").text() == "textarea" && !t.null() {
			captions[res.get("id").text()] = t.first().words()
			if t.kind == 's' {
				captions[res.get("id").text()] = t.words()
			}
		}
	}
	for i, res := range a.get("result").arr {
		c, err := sizeOf(res.get("original_width"), res.get("original_height"))
		if err != nil {
			return err
		}
		if s.Canvas == nil {
			s.Canvas = r.canvas(c)
		}
		e := Entity{Prompt: captions[res.get("id").text()]}
		v := res.get("value")
		var labels []string
		for _, m := range v.obj {
			if strings.HasSuffix(m.name, "labels") {
				for _, l := range m.arr {
					labels = append(labels, l.text())
				}
			}
		}
		if label := strings.Join(labels, ", "); label != "" && e.Prompt == nil {
			e.Prompt = text(label)
		} else if label != "" {
			e.Label = label
		}
		ok, err := r.labelShape(&e, res, &s)
		if err != nil {
			return fmt.Errorf("region %d: %w", i+1, err)
		}
		if ok {
			s.Entities = append(s.Entities, e)
		} else if t := res.get("type").text(); t != "textarea" && t != "choices" {
			s.Ignored = append(s.Ignored, Ignored{strings.TrimSuffix(t, "labels"), e.Prompt})
			r.say("%s has no inside: left out", t)
		}
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

// labelShape gives an entity the place of a region; ok is false of one without an inside.
func (r *reader) labelShape(e *Entity, res value, s *Scene) (ok bool, err error) {
	v := res.get("value")
	turn, _ := v.get("rotation").number()
	switch kind := res.get("type").text(); {
	case strings.HasPrefix(kind, "rectangle"):
		if math.Mod(turn, 360) == 0 {
			return true, r.named4(e, v, s, [4]string{"x", "y", "width", "height"}, "its box")
		}
		return true, r.labelTurned(e, v, s, turn)
	case strings.HasPrefix(kind, "polygon"):
		pts, err := points(v.get("points"))
		if err != nil {
			return false, err
		}
		r.polygon(e, [][][2]float64{pts}, s.Canvas, 100)
		return true, nil
	case strings.HasPrefix(kind, "ellipse"):
		return true, r.labelEllipse(e, v, s, turn)
	case strings.HasPrefix(kind, "brush"):
		m, err := r.brush(v.get("rle"), s.Canvas)
		if err != nil {
			return false, err
		}
		e.shape = shape{kind: "mask", mask: m}
		return true, nil
	}
	return false, nil
}

var errNoSize = errors.New("it is turned, and its picture has no original_width and original_height")

func (r *reader) labelTurned(e *Entity, v value, s *Scene, turn float64) error {
	if s.Canvas == nil {
		return errNoSize
	}
	if err := r.named4(e, v, s, [4]string{"x", "y", "width", "height"}, "its box"); err != nil {
		return err
	}
	w, h := float64(s.Canvas.W), float64(s.Canvas.H)
	b := e.shape.box
	sin, cos := math.Sincos(turn * math.Pi / 180)
	bw, bh := (b[2]-b[0])*w, (b[3]-b[1])*h
	var pts [][2]float64
	for _, p := range [][2]float64{{0, 0}, {bw, 0}, {bw, bh}, {0, bh}} { // in pixels, about the corner
		pts = append(pts, [2]float64{b[0]*w + p[0]*cos - p[1]*sin, b[1]*h + p[0]*sin + p[1]*cos})
	}
	r.polygon(e, [][][2]float64{pts}, s.Canvas, 0)
	return nil
}

func (r *reader) labelEllipse(e *Entity, v value, s *Scene, turn float64) error {
	var n [4]float64
	for i, name := range []string{"x", "y", "radiusX", "radiusY"} {
		f, ok := v.get(name).number()
		if !ok {
			return fmt.Errorf("its %s is no number", name)
		}
		n[i] = f / 100
	}
	if math.Mod(turn, 360) != 0 {
		if s.Canvas == nil {
			return errNoSize
		}
		w, h := float64(s.Canvas.W), float64(s.Canvas.H)
		r.polygon(e, [][][2]float64{round(n[0]*w, n[1]*h, n[2]*w, n[3]*h, turn*math.Pi/180)}, s.Canvas, 0)
		r.say("a turned ellipse is a polygon of %d points", len(e.shape.pieces[0]))
		return nil
	}
	e.shape = shape{kind: "ellipse", box: [4]float64{n[0] - n[2], n[1] - n[3], n[0] + n[2], n[1] + n[3]}}
	return nil
}

// round returns points of a turned ellipse.
func round(cx, cy, rx, ry, angle float64) (out [][2]float64) {
	sin, cos := math.Sincos(angle)
	const n = 48
	for i := range n {
		y, x := math.Sincos(2 * math.Pi * float64(i) / n)
		out = append(out, [2]float64{cx + x*rx*cos - y*ry*sin, cy + x*rx*sin + y*ry*cos})
	}
	return out
}

// points reads a list of pairs.
func points(v value) ([][2]float64, error) {
	var out [][2]float64
	for _, p := range v.arr {
		n, ok := p.numbers(2)
		if !ok {
			return nil, errors.New("a point is not two numbers")
		}
		out = append(out, [2]float64{n[0], n[1]})
	}
	if len(out) < 3 {
		return nil, errors.New("a polygon has less than three points")
	}
	return out, nil
}

// brush reads Label Studio's run lengths: bits of a count, a word's size, four run sizes, then runs of
// repeated or different bytes, four a pixel; the fourth is the opacity.
func (r *reader) brush(v value, c *Canvas) (*bitmap, error) {
	if c == nil {
		return nil, errors.New("a brush stroke, and no size in the file")
	}
	m, err := r.mask(c.W, c.H)
	if err != nil {
		return nil, err
	}
	n, ok := v.numbers(-1)
	if !ok {
		return nil, errors.New("a brush stroke without rle")
	}
	b := &bits{data: make([]byte, len(n))}
	for i, f := range n {
		b.data[i] = byte(f)
	}
	total, word := b.read(32), b.read(5)+1
	var sizes [4]int
	for i := range sizes {
		sizes[i] = b.read(4) + 1
	}
	if total != 4*c.W*c.H {
		return nil, fmt.Errorf("the brush stroke has %d values, and the picture %d", total, 4*c.W*c.H)
	}
	put := func(at, v int) {
		if at%4 == 3 && v > 0 {
			m.on[at/4] = true
		}
	}
	for at := 0; at < total; {
		same := b.read(1)
		n := b.read(sizes[b.read(2)]) + 1
		if b.over || n > total-at {
			return nil, errRuns
		}
		if same == 1 {
			v := b.read(word)
			for range n {
				put(at, v)
				at++
			}
			continue
		}
		for range n {
			put(at, b.read(word))
			at++
		}
	}
	if b.over {
		return nil, errRuns
	}
	return m, nil
}

// bits reads bits, the highest of a byte first.
type bits struct {
	data []byte
	at   int
	over bool
}

func (b *bits) read(n int) (v int) {
	for range n {
		if b.at/8 >= len(b.data) {
			b.over = true
			return v
		}
		v = v<<1 | int(b.data[b.at/8]>>(7-b.at%8)&1)
		b.at++
	}
	return v
}

// LabelMe's JSON: points, whose meaning is in shape_type.

func isLabelMeJSON(c *content) string {
	if c.json.isObj() && c.json.get("shapes").isList() && (c.json.has("imagePath") || c.json.has("imageHeight") || c.json.has("imageData")) {
		return "it has shapes and imagePath"
	}
	return ""
}

func readLabelMeJSON(r *reader) error {
	r.Convention.Order, r.Convention.Unit, r.Convention.By = "points x y; what they mean is in shape_type", "px", "the file"
	c, err := sizeOf(r.json.get("imageWidth"), r.json.get("imageHeight"))
	if err != nil {
		return err
	}
	s := Scene{Name: r.stem(), Canvas: r.canvas(c), Picture: path.Base(strings.ReplaceAll(r.json.get("imagePath").text(), `\`, "/"))}
	if s.Canvas == nil {
		r.ask("--size WxH", "the points are pixels, and the file has no size")
	}
	groups := map[string]bool{}
	for i, sh := range r.json.get("shapes").arr {
		e := Entity{Prompt: sh.get("label").words()}
		kind := sh.get("shape_type").text()
		if g := sh.get("group_id").text(); g != "" && groups[g] {
			r.say("group_id %s: the shapes of a group stay entities of their own", g)
		} else if g != "" {
			groups[g] = true
		}
		if d := sh.get("description").words(); d != nil {
			e.Label, e.Prompt = sh.get("label").text(), d
		}
		ok, err := r.labelMeShape(&e, sh, kind, &s)
		if err != nil {
			return fmt.Errorf("shape %d (%s): %w", i+1, kind, err)
		}
		if ok && sh.get("label").text() != "__ignore__" {
			s.Entities = append(s.Entities, e)
			continue
		}
		s.Ignored = append(s.Ignored, Ignored{kind, sh.get("label").words()})
		r.say("lines and points have no inside, and __ignore__ is no thing: left out: %s", kind)
	}
	if !r.json.get("imageData").null() {
		r.say("imageData, the picture itself, is not taken into the scene")
	}
	r.Scenes = append(r.Scenes, s)
	return nil
}

func (r *reader) labelMeShape(e *Entity, sh value, kind string, s *Scene) (bool, error) {
	var pts [][2]float64
	for _, p := range sh.get("points").arr {
		n, ok := p.numbers(2)
		if !ok {
			return false, errors.New("a point is not two numbers")
		}
		pts = append(pts, [2]float64{n[0], n[1]})
	}
	w, h := 1.0, 1.0
	if s.Canvas != nil {
		w, h = float64(s.Canvas.W), float64(s.Canvas.H)
	}
	two := func() error {
		if len(pts) != 2 {
			return fmt.Errorf("%d points, and it needs two", len(pts))
		}
		return nil
	}
	switch kind {
	case "rectangle":
		if err := two(); err != nil {
			return false, err
		}
		b := bounds([][][2]float64{pts}) // two opposite corners, whichever
		e.shape = shape{kind: "box", box: [4]float64{b[0] / w, b[1] / h, b[2] / w, b[3] / h}, pixels: s.Canvas == nil}
	case "circle":
		if err := two(); err != nil {
			return false, err
		}
		d := math.Hypot(pts[1][0]-pts[0][0], pts[1][1]-pts[0][1])
		x, y := pts[0][0], pts[0][1]
		e.shape = shape{kind: "ellipse", box: [4]float64{(x - d) / w, (y - d) / h, (x + d) / w, (y + d) / h}, pixels: s.Canvas == nil}
	case "polygon", "", "oriented_rectangle", "rotation":
		if len(pts) < 3 {
			return false, fmt.Errorf("%d points, and a polygon needs three", len(pts))
		}
		r.polygon(e, [][][2]float64{pts}, s.Canvas, 0)
	case "mask":
		if err := two(); err != nil {
			return false, err
		}
		return true, r.labelMeMask(e, sh, pts, s.Canvas)
	default:
		return false, nil
	}
	return true, nil
}

// labelMeMask reads a PNG in base64 that covers its box, both ends inside; its values are 0 and 1.
func (r *reader) labelMeMask(e *Entity, sh value, pts [][2]float64, c *Canvas) error {
	if c == nil {
		return errors.New("a mask, and no size in the file")
	}
	data, err := base64Picture(sh.get("mask").text())
	if err != nil {
		return err
	}
	small, err := r.pictureMask(data, 0)
	if err != nil {
		return err
	}
	m, err := r.paste(small, c, int(math.Min(pts[0][0], pts[1][0])), int(math.Min(pts[0][1], pts[1][1])))
	if err != nil {
		return err
	}
	r.say("a mask is a PNG in base64 that covers its box only, both ends inside; its values are 0 and 1")
	e.shape = shape{kind: "mask", mask: m}
	return nil
}
