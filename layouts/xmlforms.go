package layouts

import (
	"errors"
	"fmt"
	"math"
	"path"
	"sort"
	"strconv"
	"strings"
)

// CVAT for images: corners and points by name, with depth and occlusion.

func isCVATImages(c *content) string {
	if c.xml != nil && c.xml.name == "annotations" && c.xml.kid("image").name != "" {
		return "it is annotations with images"
	}
	return ""
}

func readCVATImages(r *reader) error {
	r.Convention.Order, r.Convention.Unit, r.Convention.By = "xtl ytl xbr ybr by name; points x,y;x,y", "px", "the file"
	for _, img := range r.xml.all("image") {
		c, err := sizeOf(img.attr("width"), img.attr("height"))
		if err != nil {
			return fmt.Errorf("image %s: %w", img.attrs["name"], err)
		}
		s := Scene{Name: path.Base(img.attrs["name"]), Picture: img.attrs["name"], Canvas: r.canvas(c)}
		if s.Canvas == nil {
			r.ask("--size WxH", "the image %s has no size", s.Name)
		}
		for _, k := range img.kids {
			label := k.attr("label").words()
			e := Entity{Prompt: label}
			ok, err := r.cvatShape(&e, k, s.Canvas)
			if err != nil {
				return fmt.Errorf("image %s, %s: %w", s.Name, k.name, err)
			}
			if !ok {
				if k.name != "tag" {
					s.Ignored = append(s.Ignored, Ignored{k.name, label})
					r.say("%s has no inside: left out", k.name)
				}
				continue
			}
			e.Z = k.attr("z_order").floatPtr()
			if o := k.attr("occluded"); !o.null() {
				yes := o.text() == "1"
				e.Occluded = &yes
			}
			if len(k.all("attribute")) > 0 {
				r.say("attributes are not words of the prompt: not taken")
			}
			s.Entities = append(s.Entities, e)
		}
		r.Scenes = append(r.Scenes, s)
	}
	return nil
}

// cvatShape gives an entity the place of an element; ok is false of one without an inside.
func (r *reader) cvatShape(e *Entity, k *node, c *Canvas) (ok bool, err error) {
	var n [6]float64
	need := func(names ...string) bool {
		for i, name := range names {
			f, ok := k.attr(name).number()
			if !ok && name != "rotation" {
				err = fmt.Errorf("its %s is no number", name)
				return false
			}
			n[i] = f
		}
		return true
	}
	w, h := 1.0, 1.0
	if c != nil {
		w, h = float64(c.W), float64(c.H)
	}
	switch k.name {
	case "box":
		if !need("xtl", "ytl", "xbr", "ybr", "rotation") {
			return false, err
		}
		if n[2] < n[0] || n[3] < n[1] {
			return false, errors.New("the box ends before it begins")
		}
		if n[4] != 0 {
			r.polygon(e, [][][2]float64{turned((n[0]+n[2])/2, (n[1]+n[3])/2, n[2]-n[0], n[3]-n[1], n[4]*math.Pi/180)}, c, 0)
			return true, nil
		}
		e.shape = shape{kind: "box", box: [4]float64{n[0] / w, n[1] / h, n[2] / w, n[3] / h}, pixels: c == nil}
	case "ellipse":
		if !need("cx", "cy", "rx", "ry", "rotation") {
			return false, err
		}
		if n[4] != 0 {
			r.polygon(e, [][][2]float64{round(n[0], n[1], n[2], n[3], n[4]*math.Pi/180)}, c, 0)
			return true, nil
		}
		box := [4]float64{(n[0] - n[2]) / w, (n[1] - n[3]) / h, (n[0] + n[2]) / w, (n[1] + n[3]) / h}
		e.shape = shape{kind: "ellipse", box: box, pixels: c == nil}
	case "polygon":
		pts, err := cvatPoints(k.attrs["points"])
		if err != nil {
			return false, err
		}
		r.polygon(e, [][][2]float64{pts}, c, 0)
	case "mask":
		if !need("left", "top", "width", "height") {
			return false, err
		}
		return true, r.cvatMask(e, k.attrs["rle"], n, c)
	default:
		return false, nil
	}
	return true, nil
}

func cvatPoints(s string) ([][2]float64, error) {
	var out [][2]float64
	for _, p := range strings.Split(s, ";") {
		xy, ok := floats(strings.Split(strings.TrimSpace(p), ","))
		if !ok || len(xy) != 2 {
			return nil, fmt.Errorf("%q is no point", p)
		}
		out = append(out, [2]float64{xy[0], xy[1]})
	}
	if len(out) < 3 {
		return nil, errors.New("a polygon has less than three points")
	}
	return out, nil
}

// cvatMask reads run lengths, rows first, off and on in turn, of the mask's box.
func (r *reader) cvatMask(e *Entity, rle string, n [6]float64, c *Canvas) error {
	if c == nil {
		return errors.New("a mask, and no size in the file")
	}
	runs, ok := floats(strings.FieldsFunc(rle, func(r rune) bool { return r == ',' || r == ' ' }))
	if !ok {
		return errRuns
	}
	small, err := r.mask(int(n[2]), int(n[3]))
	if err != nil {
		return err
	}
	list := make([]int, len(runs))
	for i, f := range runs {
		list[i] = int(f)
	}
	if err := small.fill(list, func(at int) int { return at }); err != nil {
		return err
	}
	m, err := r.paste(small, c, int(n[0]), int(n[1]))
	e.shape = shape{kind: "mask", mask: m}
	return err
}

// CVAT for video: tracks of keyed boxes.

func isCVATVideo(c *content) string {
	if c.xml != nil && c.xml.name == "annotations" && c.xml.kid("track").name != "" {
		return "it is annotations with tracks"
	}
	return ""
}

func readCVATVideo(r *reader) error {
	r.Convention.Order, r.Convention.Unit, r.Convention.By = "xtl ytl xbr ybr by name", "px", "the file"
	task := r.xml.kid("meta", "task")
	if task.name == "" {
		task = r.xml.kid("meta", "job")
	}
	c, err := sizeOf(task.kid("original_size", "width").value(), task.kid("original_size", "height").value())
	if err != nil {
		return err
	}
	s := Scene{Name: r.stem(), Canvas: r.canvas(c)}
	if s.Canvas == nil {
		r.ask("--size WxH", "the boxes are pixels, and the file has no original_size")
	}
	s.Clip = cvatClip(r.xml, task)
	for i, t := range r.xml.all("track") {
		if err := r.cvatTrack(t, &s); err != nil {
			return fmt.Errorf("track %d: %w", i, err)
		}
	}
	for i := range s.Entities {
		e := &s.Entities[i]
		if n := len(e.Keys); n > 1 {
			r.say("a track is a timeline: between keys, numbers move in a line")
		}
	}
	r.say("frame numbers are the video's: first %d, step %d, %d frames", s.Clip.First, s.Clip.Step, s.Clip.Frames)
	r.say("no frames a second in the file: the scene's default, 12")
	r.Scenes = append(r.Scenes, s)
	return nil
}

// cvatClip returns which frames of the video are in the file.
func cvatClip(root, task *node) *Clip {
	out := &Clip{Step: 1}
	if f, ok := strings.CutPrefix(task.kid("frame_filter").trimmed(), "step="); ok {
		if n, err := strconv.Atoi(f); err == nil && n > 0 {
			out.Step = n
		}
	}
	first, ok := task.kid("start_frame").value().integer()
	last, also := task.kid("stop_frame").value().integer()
	if !ok || !also || last < first {
		first, last = math.MaxInt32, 0
		for _, t := range root.all("track") {
			for _, k := range t.kids {
				if n, ok := k.attr("frame").integer(); ok {
					first, last = min(first, n), max(last, n)
				}
			}
		}
	}
	if first > last {
		first = last
	}
	out.First, out.Last = first, last
	out.Frames = (last-first)/out.Step + 1
	return out
}

func (r *reader) cvatTrack(t *node, s *Scene) error {
	label := t.attr("label").words()
	e := Entity{Prompt: label, Track: t.attrs["id"]}
	kids := append([]*node{}, t.kids...)
	sort.SliceStable(kids, func(i, j int) bool {
		a, _ := kids[i].attr("frame").integer()
		b, _ := kids[j].attr("frame").integer()
		return a < b
	})
	seen := false
	for _, k := range kids {
		one := Entity{}
		ok, err := r.cvatShape(&one, k, s.Canvas)
		if err != nil {
			return err
		}
		if !ok {
			s.Ignored = append(s.Ignored, Ignored{k.name, label})
			r.say("%s has no inside: left out", k.name)
			return nil
		}
		frame, ok := k.attr("frame").integer()
		if !ok {
			return errors.New("a key without a frame")
		}
		if k.attrs["keyframe"] == "0" {
			continue // between keys, as CVAT drew it
		}
		if !seen {
			e.shape, seen = one.shape, true
		}
		if one.shape.kind != "box" {
			r.say("a track of %ss: its first place is taken, and it doesn't move", k.name)
			continue
		}
		b := cut(one.shape.box)
		e.Keys = append(e.Keys, Key{frame, rounded(b[:]...), k.attrs["outside"] == "1"})
		if k.attrs["outside"] == "1" {
			r.say("outside=1: from this frame on the thing is gone: its box lies beyond the canvas there")
		}
	}
	if seen {
		s.Entities = append(s.Entities, e)
	}
	return nil
}

// LabelMe's XML: polygons by x and y, masks as pictures in another folder.

func isLabelMeXML(c *content) string {
	if c.xml != nil && c.xml.name == "annotation" && (c.xml.kid("imagesize", "nrows").name != "" ||
		c.xml.kid("object", "polygon", "pt").name != "" || c.xml.kid("object", "segm").name != "") {
		return "it is an annotation with imagesize and polygons"
	}
	return ""
}

func readLabelMeXML(r *reader) error {
	r.Convention.Order, r.Convention.Unit, r.Convention.By = "polygons by x and y; masks as pictures", "px", "the file"
	c, err := sizeOf(r.xml.kid("imagesize", "ncols").value(), r.xml.kid("imagesize", "nrows").value())
	if err != nil {
		return err
	}
	s := Scene{Name: r.xml.kid("filename").trimmed(), Canvas: r.canvas(c), Picture: r.xml.kid("filename").trimmed()}
	if s.Canvas == nil {
		r.ask("--size WxH", "the points are pixels, and the file has no imagesize")
	}
	for i, o := range r.xml.all("object") {
		name := o.kid("name").value().words()
		if o.kid("deleted").trimmed() == "1" {
			r.say("objects that are marked as deleted are left out")
			continue
		}
		e := Entity{Prompt: name}
		switch o.kid("occluded").trimmed() {
		case "yes":
			yes := true
			e.Occluded = &yes
		case "no":
			no := false
			e.Occluded = &no
		default:
			no := false
			e.Occluded = &no
		}
		if err := r.labelMeObject(&e, o, &s); err != nil {
			return fmt.Errorf("object %d: %w", i+1, err)
		}
		if e.shape.kind == "none" {
			s.Ignored = append(s.Ignored, Ignored{"line", name})
			r.say("lines and points have no inside: left out")
			continue
		}
		if o.kid("parts", "hasparts").trimmed() != "" {
			r.say("parts name other objects by their id: each stays an entity of its own")
		}
		if o.kid("attributes").trimmed() != "" {
			r.say("attributes are not words of the prompt: not taken")
		}
		s.Entities = append(s.Entities, e)
	}
	r.say("rows is the height and cols the width")
	r.Scenes = append(r.Scenes, s)
	return nil
}

func (r *reader) labelMeObject(e *Entity, o *node, s *Scene) error {
	if seg := o.kid("segm"); seg.name != "" {
		return r.labelMeSegment(e, seg, s)
	}
	var pts [][2]float64
	for _, p := range o.kid("polygon").all("pt") {
		x, ok := p.kid("x").value().number()
		y, also := p.kid("y").value().number()
		if !ok || !also {
			return errors.New("a point is no number")
		}
		pts = append(pts, [2]float64{x, y})
	}
	if len(pts) < 3 {
		e.shape.kind = "none"
		return nil
	}
	r.polygon(e, [][][2]float64{pts}, s.Canvas, 0)
	if o.kid("type").trimmed() == "bounding_box" {
		e.shape = shape{kind: "box", box: bounds(e.shape.pieces), pixels: e.shape.pixels}
	}
	return nil
}

func (r *reader) labelMeSegment(e *Entity, seg *node, s *Scene) error {
	name, folder := seg.kid("mask").trimmed(), r.xml.kid("folder").trimmed()
	if !plainName(name) || folder != "" && (path.IsAbs(folder) || strings.Contains(path.Clean(folder), "..")) {
		return fmt.Errorf("its mask %q leads out of the annotations", name)
	}
	data, err := r.beside(path.Join("../../Masks", folder, name))
	for _, other := range []string{path.Join("../Masks", folder, name), path.Join("../Masks", name), path.Join("Masks", folder, name), name} {
		if err != nil {
			data, err = r.beside(other)
		}
	}
	if err != nil {
		return fmt.Errorf("its mask %s is not in ../../Masks/%s: %w", name, folder, err)
	}
	m, err := r.pictureMask(data, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.say("masks lie in ../../Masks/<folder>/ beside the annotations")
	e.Source, e.shape = name, shape{kind: "mask", mask: m}
	if s.Canvas == nil {
		return nil
	}
	if m.w != s.Canvas.W || m.h != s.Canvas.H {
		return fmt.Errorf("its mask %s has %d×%d pixels, and the picture %d×%d", name, m.w, m.h, s.Canvas.W, s.Canvas.H)
	}
	var b [4]float64
	for i, k := range []string{"xmin", "ymin", "xmax", "ymax"} {
		n, _ := seg.kid("box", k).value().number()
		b[i] = n / []float64{float64(s.Canvas.W), float64(s.Canvas.H)}[i%2]
	}
	r.keepBox(e, b, len(s.Entities)+1, s.Name)
	return nil
}
