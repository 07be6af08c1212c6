package layouts

import (
	"fmt"
	"math"
	"path"
	"strings"
)

// placed gives conditions the area or mask of a node.
func (w *walk) placed(n *gnode, list []cond) ([]cond, error) {
	strength := w.number(n, "strength", 0).floatPtr()
	if n.class == "ConditioningSetAreaStrength" {
		for i := range list {
			list[i].strength = strength
		}
		return list, nil
	}
	var at *shape
	var err error
	if n.class == "ConditioningSetMask" {
		at, err = w.maskShape(n, "mask", false)
	} else {
		at, err = w.area(n)
	}
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", n.id, err)
	}
	for i := range list {
		if list[i].shape == nil {
			list[i].shape, list[i].node, list[i].strength = at, n.id, strength
		}
	}
	return list, nil
}

// area reads width, height, x and y of a node: pixels, or fractions where its name says so.
func (w *walk) area(n *gnode) (*shape, error) {
	unit := 0.0
	if strings.Contains(n.class, "Percentage") {
		unit = 1
	}
	if err := w.convention("xywh", unit); err != nil {
		return nil, err
	}
	w.Convention.By = "the node"
	var v [4]float64
	for i, name := range []string{"x", "y", "width", "height"} {
		f, ok := w.number(n, name, 0).number()
		if !ok {
			return nil, fmt.Errorf("node %s (%s): its %s is no number", n.id, n.class, name)
		}
		v[i] = f
	}
	e := Entity{}
	err := w.place(&e, v[:], w.s, "node "+n.id)
	return &e.shape, err
}

// regions reads the regions of FLUX region attention: region1, region2, …
func (w *walk) regions(n *gnode, depth int) ([]cond, error) {
	var out []cond
	for _, name := range n.names {
		if !strings.HasPrefix(name, "region") {
			continue
		}
		to, _ := w.g.to(n, name)
		if to == nil {
			continue
		}
		if !w.g.step() {
			return nil, errTooMuch
		}
		list, err := w.conds(to, depth, []string{"condition", "conditioning", "cond"})
		if err != nil {
			return nil, err
		}
		at, err := w.region(to)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", to.id, err)
		}
		for _, c := range list {
			c.shape, c.node, c.strength = at, to.id, w.number(to, "strength", 0).floatPtr()
			out = append(out, c)
		}
	}
	if on := n.in["enabled"]; on.kind == 'b' && !on.yes {
		w.say("node %s (%s) is switched off: its regions are left out", n.id, n.class)
		return nil, nil
	}
	return out, nil
}

// region reads a node that is a region: corners as fractions, or a mask.
func (w *walk) region(n *gnode) (*shape, error) {
	if _, ok := n.in["mask"]; ok {
		return w.maskShape(n, "mask", false)
	}
	var v [4]float64
	for i, name := range []string{"x1", "y1", "x2", "y2"} {
		f, ok := w.number(n, name, 0).number()
		if !ok {
			return nil, fmt.Errorf("its %s is no number", name)
		}
		v[i] = f
	}
	if err := w.convention("xyxy", 1); err != nil {
		return nil, err
	}
	w.Convention.By = "the node"
	e := Entity{}
	err := w.place(&e, v[:], w.s, "node "+n.id)
	return &e.shape, err
}

// model follows a model through the nodes that change it: LoRAs, and regions of attention.
func (w *walk) model(n *gnode) ([]cond, error) {
	var out []cond
	for depth := 0; ; depth++ {
		n, _ = w.g.to(n, "model", "MODEL")
		if n == nil {
			return out, nil
		}
		if depth > 200 || !w.g.step() {
			return nil, errTooMuch
		}
		switch {
		case n.in["lora_name"].kind == 's':
			w.lora(n)
		case n.class == "ApplyRegionalConds":
			list, err := w.regional(n)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		case strings.HasPrefix(n.class, "RegionAttention") && w.used[n.id]:
			// its regions came with the conditions
		default:
			list, err := w.couple(n)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
	}
}

func (w *walk) lora(n *gnode) {
	name := n.in["lora_name"].text()
	scale := w.number(n, "strength_model", 0).floatPtr()
	w.s.Adapters = append(w.s.Adapters, Adapter{Kind: "lora", Name: n.in["adapter_name"].text(), Source: name, Scale: scale})
	w.say("the LoRA %s is not in the file: the scene has it as a comment; put it next to the scene",
		path.Base(strings.ReplaceAll(name, `\`, "/")))
}

// regional follows the chain of CreateRegionalCond, the first region first.
func (w *walk) regional(n *gnode) ([]cond, error) {
	start, _ := w.number(n, "start_percent", 0).number()
	end, ok := w.number(n, "end_percent", 0).number()
	if ok && (start > 0 || end < 1) {
		w.s.Active = &Share{round4(start), round4(end)}
		w.say("the regions hold from %g to %g of the steps only; here they hold in all", start, end)
	}
	var chain []*gnode
	for at, _ := w.g.to(n, "region_conds"); at != nil; at, _ = w.g.to(at, "prev_regions") {
		if len(chain) > 500 || !w.g.step() {
			return nil, errTooMuch
		}
		chain = append([]*gnode{at}, chain...)
	}
	var out []cond
	for _, at := range chain {
		list, err := w.conds(at, 0, []string{"cond", "conditioning"})
		if err != nil {
			return nil, err
		}
		place, err := w.maskShape(at, "mask", true)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", at.id, err)
		}
		for _, c := range list {
			c.shape, c.node = place, at.id
			out = append(out, c)
		}
	}
	w.say("ApplyRegionalConds takes 1 − mask: the masks are turned over as it does")
	return out, nil
}

// couple reads attention couple: a model's node with pairs of condition and mask.
func (w *walk) couple(n *gnode) ([]cond, error) {
	var out []cond
	for _, name := range n.names {
		low := strings.ToLower(name)
		if !strings.HasPrefix(low, "mask") && !strings.Contains(low, "_mask") || n.in[name].node == "" || strings.HasPrefix(low, "base") {
			continue
		}
		pair := ""
		for _, like := range []string{"cond", "conditioning", "positive"} {
			if other := strings.Replace(name, "mask", like, 1); n.in[other].node != "" {
				pair = other
			}
		}
		if pair == "" {
			continue
		}
		list, err := w.conds(n, 0, []string{pair})
		if err != nil {
			return nil, err
		}
		at, err := w.maskShape(n, name, false)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.id, err)
		}
		for _, c := range list {
			c.shape, c.node = at, n.id
			out = append(out, c)
		}
	}
	if base, _ := w.g.to(n, "base_cond"); base != nil && len(out) > 0 {
		list, err := w.conds(n, 0, []string{"base_cond"})
		return append(list, out...), err
	}
	return out, nil
}

// maskShape reads a mask of a node; a rectangle is a box.
func (w *walk) maskShape(n *gnode, name string, invert bool) (*shape, error) {
	m, err := w.maskOf(n, name, 0)
	if err != nil {
		return nil, err
	}
	if invert {
		m = m.inverted()
	}
	if box, ok := m.rectangle(); ok {
		return &shape{kind: "box", box: box}, nil
	}
	return &shape{kind: "mask", mask: m}, nil
}

func (b *bitmap) inverted() *bitmap {
	out := &bitmap{b.w, b.h, make([]bool, len(b.on))}
	for i, on := range b.on {
		out.on[i] = !on
	}
	return out
}

// maskOf works out the mask that leads into a node.
func (w *walk) maskOf(n *gnode, name string, depth int) (*bitmap, error) {
	to, slot := w.g.to(n, name)
	if to == nil {
		return nil, fmt.Errorf("its %s is not connected", name)
	}
	if depth > 50 || !w.g.step() {
		return nil, errTooMuch
	}
	if w.Convention.Order == "-" {
		w.Convention.Order, w.Convention.Unit, w.Convention.By = "masks", "px of the mask", "the graph"
	}
	inner := func(name string) (*bitmap, error) { return w.maskOf(to, name, depth+1) }
	switch to.class {
	case "SolidMask":
		return w.solid(to)
	case "CreateShapeMask":
		m, err := w.shapeMask(to)
		if err == nil && slot == 1 {
			w.say("node %s gives its inverted mask", to.id)
			m = m.inverted()
		}
		return m, err
	case "InvertMask":
		m, err := inner("mask")
		if err != nil {
			return nil, err
		}
		return m.inverted(), nil
	case "MaskComposite":
		return w.composite(to, depth)
	case "GrowMask", "FeatherMask", "ThresholdMask", "MaskToImage", "ImageToMask", "MaskBlur+", "MaskPreview", "MaskPreview+":
		if to.class != "ImageToMask" && to.class != "MaskToImage" {
			w.say("node %s (%s) changes a mask's edge: not done", to.id, to.class)
		}
		for _, in := range []string{"mask", "image"} {
			if to.in[in].node != "" {
				return inner(in)
			}
		}
	case "LoadImageMask", "LoadImage":
		return w.loaded(to)
	}
	return nil, fmt.Errorf("its mask comes from node %s (%s), which is not understood; save the mask as a picture, and load it there",
		to.id, to.class)
}

func (w *walk) size(n *gnode, x, y string) (int, int, error) {
	a, ok := w.number(n, x, 0).integer()
	b, also := w.number(n, y, 0).integer()
	if !ok || !also {
		return 0, 0, fmt.Errorf("%s and %s of node %s are no numbers", x, y, n.id)
	}
	return a, b, nil
}

func (w *walk) solid(n *gnode) (*bitmap, error) {
	x, y, err := w.size(n, "width", "height")
	if err != nil {
		return nil, err
	}
	m, err := w.mask(x, y)
	if v, _ := w.number(n, "value", 0).number(); err == nil && v >= 0.5 {
		for i := range m.on {
			m.on[i] = true
		}
	}
	return m, err
}

// shapeMask draws KJNodes' shape: centre and size, both ends inside, cut at its own frame.
func (w *walk) shapeMask(n *gnode) (*bitmap, error) {
	fw, fh, err := w.size(n, "frame_width", "frame_height")
	if err != nil {
		return nil, err
	}
	m, err := w.mask(fw, fh)
	if err != nil {
		return nil, err
	}
	cx, cy, err := w.size(n, "location_x", "location_y")
	if err != nil {
		return nil, err
	}
	sw, sh, err := w.size(n, "shape_width", "shape_height")
	if err != nil {
		return nil, err
	}
	kind := n.in["shape"].text()
	rx, ry := float64(sw/2), float64(sh/2)
	for y := range fh {
		for x := range fw {
			dx, dy := float64(x-cx), float64(y-cy)
			in := math.Abs(dx) <= rx && math.Abs(dy) <= ry
			switch kind {
			case "circle":
				in = rx > 0 && ry > 0 && dx*dx/(rx*rx)+dy*dy/(ry*ry) <= 1
			case "triangle": // its point is up
				in = in && math.Abs(dx)*2*ry <= rx*(dy+ry)
			}
			m.on[y*fw+x] = in
		}
	}
	w.Convention.Order = "centre and size of shapes"
	w.Convention.Unit = fmt.Sprintf("px of the mask's own frame, %dx%d", fw, fh)
	if c := w.canvas; c != nil && (c.W != fw || c.H != fh) {
		w.say("shapes are cut at their frame, and the frame (%d×%d) is stretched over the canvas (%d×%d)", fw, fh, c.W, c.H)
	}
	return m, nil
}

// composite lays one mask onto another.
func (w *walk) composite(n *gnode, depth int) (*bitmap, error) {
	to, err := w.maskOf(n, "destination", depth+1)
	if err != nil {
		return nil, err
	}
	from, err := w.maskOf(n, "source", depth+1)
	if err != nil {
		return nil, err
	}
	x0, y0, err := w.size(n, "x", "y")
	if err != nil {
		return nil, err
	}
	out, err := w.mask(to.w, to.h)
	if err != nil {
		return nil, err
	}
	copy(out.on, to.on)
	op := n.in["operation"].text()
	for y := range from.h {
		for x := range from.w {
			if x+x0 < 0 || y+y0 < 0 || x+x0 >= out.w || y+y0 >= out.h {
				continue
			}
			at, on := &out.on[(y+y0)*out.w+x+x0], from.on[y*from.w+x]
			switch op {
			case "add", "or":
				*at = *at || on
			case "subtract":
				*at = *at && !on
			case "multiply", "and":
				*at = *at && on
			case "xor":
				*at = *at != on
			default:
				return nil, fmt.Errorf("node %s: the operation %q is not understood", n.id, op)
			}
		}
	}
	return out, nil
}

// loaded reads a mask's picture, which must be next to the graph.
func (w *walk) loaded(n *gnode) (*bitmap, error) {
	name := n.in["image"].text()
	if name, _, _ = strings.Cut(name, " ["); !plainName(name) {
		return nil, fmt.Errorf("the mask's picture %q is no plain file name", name)
	}
	data, err := w.beside(name)
	if err != nil {
		return nil, fmt.Errorf("the mask's picture %s is not next to the file", name)
	}
	if n.class == "LoadImageMask" && n.in["channel"].text() != "alpha" {
		return w.pictureMask(data, 127)
	}
	img, err := picture(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := img.Bounds()
	m, err := w.mask(b.Dx(), b.Dy())
	if err != nil {
		return nil, err
	}
	for y := range m.h {
		for x := range m.w {
			_, _, _, a := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			m.on[y*m.w+x] = a < 0x8000 // what was wiped out is the mask
		}
	}
	w.say("the mask of LoadImage is where the picture is transparent")
	return m, nil
}

// boxNodes reads graphs around ComfyUI's box editor.
func (r *reader) boxNodes(g *graph) (bool, error) {
	for _, id := range g.order {
		n := g.nodes[id]
		if n.class != "CreateBoundingBoxes" {
			continue
		}
		return true, r.boxNode(g, n)
	}
	return false, nil
}

func (r *reader) boxNode(g *graph, n *gnode) error {
	if err := r.convention("xywh", 0, "", "px of the box node's own canvas"); err != nil {
		return err
	}
	s := Scene{Name: r.stem()}
	w := &walk{reader: r, g: g, s: &s, used: map[string]bool{}}
	c, err := sizeOf(w.number(n, "width", 0), w.number(n, "height", 0))
	if err != nil {
		return err
	}
	if s.Canvas = r.canvas(c); s.Canvas == nil {
		r.ask("--size WxH", "the box node has no size")
	}
	list := n.in["bboxes"].value
	for _, name := range []string{"editor_state", "boxes", "elements", "widget_2"} {
		if v := n.in[name]; !list.isList() && v.isList() {
			list = v.value
		}
	}
	if list.kind == 's' {
		list = literal(list)
	}
	if err := r.comfyBoxes(list, &s); err != nil {
		return err
	}
	for _, id := range g.order {
		to := g.nodes[id]
		if id == n.id || !g.reached(to)[n.id] {
			continue
		}
		if words := w.str(to, "prompt", 0); s.Prompt == nil && !blank(words) {
			s.Prompt = text(words)
		}
		if s.Seed == nil {
			s.Seed = w.seed(to, "seed", "noise_seed")
		}
		r.editedPicture(g, to, &s)
	}
	r.say("boxes are pixels of the box node; only the node behind it turns them into thousandths, y first")
	r.Scenes = append(r.Scenes, s)
	return nil
}

// editedPicture asks for the picture that an edit begins with.
func (r *reader) editedPicture(g *graph, n *gnode, s *Scene) {
	for _, name := range n.names {
		to, _ := g.to(n, name)
		if to == nil || to.class != "LoadImage" || !strings.HasPrefix(name, "image") {
			continue
		}
		s.Edit, s.Picture = true, to.in["image"].text()
		r.took["picture"] = true
		if r.ans.Picture == "" {
			r.ask("--picture FILE", "an edit: it needs the picture %q, which LoadImage names", s.Picture)
		}
	}
}
