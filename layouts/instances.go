package layouts

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// RAG-Diffusion: four parallel lists of fractions, m across and n down; and a second layout, a grid.

func isRAG(c *content) string {
	if c.json.first().has("HB_m_offset_list", "HB_n_offset_list") {
		return "it has HB_m_offset_list and HB_n_offset_list"
	}
	return ""
}

func readRAG(r *reader) error {
	if err := r.convention("xywh", 1, "left top width height, in four parallel lists"); err != nil {
		return err
	}
	r.took["convention"] = r.ans.Convention != ""
	for i, row := range r.json.records() {
		c, err := sizeOf(row.get("width"), row.get("height"))
		if err != nil {
			return err
		}
		s := Scene{Name: "item " + strconv.Itoa(i), Canvas: r.canvas(c), Prompt: row.get("prompt").words(),
			Seed: row.get("seed").seed(), Index: row.get("idx").intPtr(), Steps: row.get("num_inference_steps").intPtr(),
			Guidance: row.get("guidance_scale").floatPtr()}
		if r.special() {
			err = r.ragGrid(row, &s)
		} else {
			err = r.rag(row, &s)
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
		r.dropped(row, "idx", "prompt", "SR_hw_split_ratio", "SR_prompt", "HB_prompt_list", "HB_m_offset_list", "HB_n_offset_list",
			"HB_m_scale_list", "HB_n_scale_list", "Redux_list", "height", "width", "seed", "num_inference_steps", "guidance_scale")
		r.Scenes = append(r.Scenes, s)
	}
	r.say("m is across and n is down: HB_m_offset, HB_n_offset, HB_m_scale, HB_n_scale")
	r.say("later entities are pasted over earlier ones: they have the higher z")
	if r.special() {
		r.Convention = Convention{"cells of SR_hw_split_ratio", "fraction", "top-left", "inside", "--convention"}
	} else {
		r.say("a second layout, the grid of SR_hw_split_ratio with the parts of SR_prompt, is not taken: --convention SR takes it")
	}
	r.say("items are named by their position, not by idx")
	return nil
}

func (r *reader) rag(row value, s *Scene) error {
	var lists [4][]float64
	for k, name := range []string{"HB_m_offset_list", "HB_n_offset_list", "HB_m_scale_list", "HB_n_scale_list"} {
		n, ok := row.get(name).numbers(-1)
		if !ok || k > 0 && len(n) != len(lists[0]) {
			return fmt.Errorf("%s is no list of as many numbers as the others", name)
		}
		lists[k] = n
	}
	prompts, pictures := row.get("HB_prompt_list").arr, row.get("Redux_list").arr
	var parts []string
	if len(prompts) == 0 {
		parts = strings.Split(row.get("SR_prompt").text(), "BREAK")
	} else if len(prompts) != len(lists[0]) {
		return fmt.Errorf("%d prompts and %d boxes", len(prompts), len(lists[0]))
	}
	for k := range lists[0] {
		z := float64(k)
		e := Entity{Z: &z}
		if len(prompts) > 0 {
			e.Prompt = prompts[k].words()
		} else if len(parts) == len(lists[0]) {
			e.Candidates = []string{strings.TrimSpace(parts[k])}
		}
		if k < len(pictures) {
			e.Adapters = []Adapter{{Kind: "redux", Image: pictures[k].text()}}
			r.say("reference pictures (Redux_list) have no counterpart; their paths begin one folder above the file")
		}
		n := []float64{lists[0][k], lists[1][k], lists[2][k], lists[3][k]}
		if err := r.place(&e, n, s, "entity "+strconv.Itoa(k+1)); err != nil {
			return err
		}
		s.Entities = append(s.Entities, e)
	}
	if len(prompts) == 0 && len(lists[0]) > 0 {
		s.Ask = []string{"no HB_prompt_list: entities have a picture and no prompt; SR_prompt has as many parts (prompt_candidates)"}
		r.say("%s has no HB_prompt_list: pass --words for each of its entities, or --convention SR", s.Name)
	}
	return nil
}

// ragGrid reads SR_hw_split_ratio: rows by “;”, columns by “,”. With both, a row's first number is its height.
func (r *reader) ragGrid(row value, s *Scene) error {
	parts := strings.Split(row.get("SR_prompt").text(), "BREAK")
	rows := strings.Split(strings.TrimSuffix(strings.TrimSpace(row.get("SR_hw_split_ratio").text()), ";"), ";")
	grid := make([][]float64, len(rows))
	several := false
	for i, line := range rows {
		for _, f := range strings.Split(line, ",") {
			n, err := strconv.ParseFloat(strings.TrimSpace(f), 64)
			if err != nil || n <= 0 {
				return fmt.Errorf("SR_hw_split_ratio: %q is no share", f)
			}
			grid[i] = append(grid[i], n)
		}
		several = several || len(grid[i]) > 1
	}
	cells := cellsOf(grid, several)
	if len(cells) != len(parts) {
		return fmt.Errorf("%d cells of SR_hw_split_ratio and %d parts of SR_prompt", len(cells), len(parts))
	}
	for i, c := range cells {
		s.Entities = append(s.Entities, Entity{Prompt: text(strings.TrimSpace(parts[i])), shape: shape{kind: "box", box: c}})
	}
	return nil
}

// cellsOf divides the canvas: several rows of several columns begin with their height.
func cellsOf(grid [][]float64, columns bool) (out [][4]float64) {
	var heights []float64
	for i := range grid {
		h := 1.0
		if len(grid) > 1 {
			h = grid[i][0]
			if columns {
				if grid[i] = grid[i][1:]; len(grid[i]) == 0 {
					grid[i] = []float64{1}
				}
			} else {
				grid[i] = []float64{1}
			}
		}
		heights = append(heights, h)
	}
	down := edges(heights)
	for i, row := range grid {
		across := edges(row)
		for k := range row {
			out = append(out, [4]float64{across[k], down[i], across[k+1], down[i+1]})
		}
	}
	return out
}

// edges returns where shares begin and end, as fractions of their sum.
func edges(shares []float64) []float64 {
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	out, at := []float64{0}, 0.0
	for _, s := range shares {
		at += s
		out = append(out, at/sum)
	}
	return out
}

// ContextGen: pixels of a square whose side is width.

func isContextGen(c *content) string {
	if list := c.json.first().get("instances"); list.first().has("bbox", "phrase") || list.first().has("bbox", "image") {
		return "it has instances with an image and a bbox"
	}
	return ""
}

func readContextGen(r *reader) error {
	if err := r.convention("xyxy", 0); err != nil {
		return err
	}
	for i, row := range r.json.records() {
		c, err := sizeOf(row.get("width"), row.get("width"))
		if err != nil {
			return err
		}
		if c != nil {
			c.From = "width alone"
		}
		s := Scene{Name: "item " + strconv.Itoa(i), Canvas: r.canvas(c), Prompt: row.get("caption").words(), Seed: row.get("seed").seed()}
		if s.Canvas == nil && r.conv.unit == 0 {
			r.ask("--size WxH", "the boxes are pixels, and the file has no width")
		}
		for k, in := range row.get("instances").arr {
			e := Entity{Prompt: in.get("phrase").words(), Label: in.get("label").text()}
			if e.Prompt == nil {
				e.Prompt = in.get("label").words()
			}
			if img := in.get("image").text(); img != "" {
				e.Adapters = []Adapter{{Kind: "reference", Image: img}}
			}
			if err := r.listed(&e, in.get("bbox"), &s, fmt.Sprintf("item %d, instance %d", i, k+1)); err != nil {
				return err
			}
			r.dropped(in, "phrase", "label", "image", "bbox")
			s.Entities = append(s.Entities, e)
		}
		r.dropped(row, "width", "caption", "instances", "seed", "height")
		r.Scenes = append(r.Scenes, s)
	}
	r.say("width is both sides: the tool divides all four numbers by it and paints squares")
	r.say("each instance is a reference picture, which has no counterpart here: its words are taken")
	return nil
}

// Seg2Any: a colour for each entity, of a picture of the same name.

func isSeg2Any(c *content) string {
	if first := c.json.first().get("segments_info").first(); first.has("color") && (first.has("text") || first.has("caption")) {
		return "it has segments_info of color and text"
	}
	return ""
}

func readSeg2Any(r *reader) error {
	r.Convention.Order, r.Convention.Unit = "one colour for each entity", "picture of the same name, .png"
	row := r.json.first()
	s := Scene{Name: r.stem(), Prompt: row.get("caption").words(), Seed: row.get("seed").seed()}
	name := s.Name + ".png"
	if p := row.get("segmentation").text(); p != "" {
		name = p
	}
	data, err := r.named(name)
	if err != nil {
		return fmt.Errorf("the picture of the colours: %w; put it next to the file", err)
	}
	img, err := picture(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b := img.Bounds()
	s.Canvas = &Canvas{b.Dx(), b.Dy(), "picture"}
	index := map[[3]uint8]*bitmap{}
	for i, seg := range row.get("segments_info").arr {
		rgb, ok := seg.get("color").numbers(3)
		if !ok {
			return fmt.Errorf("segment %d: its colour is not three numbers", i+1)
		}
		m, err := r.mask(b.Dx(), b.Dy())
		if err != nil {
			return err
		}
		e := Entity{Prompt: seg.get("text").words(), shape: shape{kind: "mask", mask: m}}
		if e.Prompt == nil {
			e.Prompt = seg.get("caption").words()
		}
		e.Color = []int{int(rgb[0]), int(rgb[1]), int(rgb[2])}
		index[[3]uint8{uint8(rgb[0]), uint8(rgb[1]), uint8(rgb[2])}] = m
		s.Entities = append(s.Entities, e)
	}
	for y := range b.Dy() {
		for x := range b.Dx() {
			c, g, bl, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			if m := index[[3]uint8{uint8(c >> 8), uint8(g >> 8), uint8(bl >> 8)}]; m != nil {
				m.on[y*m.w+x] = true
			}
		}
	}
	r.say("colours match exactly, and black can be an entity; what no row names is background")
	r.say("a colour is a key, not the colour of the thing")
	r.dropped(row, "caption", "seed", "segments_info", "segmentation")
	r.Scenes = append(r.Scenes, s)
	return nil
}

// EliGen's metadata: prompts, and a mask picture for each.

func isEliGen(c *content) string {
	first := c.json.first()
	if first.has("eligen_entity_prompts") || first.has("entity_prompts", "entity_masks") {
		return "it has eligen_entity_prompts and eligen_entity_masks"
	}
	if len(c.rows) > 1 && strings.Contains(strings.Join(c.rows[0], " "), "eligen_entity_prompts") {
		return "it has the columns eligen_entity_prompts and eligen_entity_masks"
	}
	return ""
}

func readEliGen(r *reader) error {
	r.Convention.Order, r.Convention.Unit = "one mask picture for each entity", "white on black"
	rows := r.json.records()
	if len(r.rows) > 0 {
		rows = r.table()
	}
	for i, row := range rows {
		s := Scene{Name: "item " + strconv.Itoa(i), Prompt: row.get("prompt").words(), Picture: row.get("image").text()}
		if base := path.Base(s.Picture); s.Picture != "" {
			s.Name = strings.TrimSuffix(base, path.Ext(base))
		}
		prompts, masks := row.get("eligen_entity_prompts"), row.get("eligen_entity_masks")
		if prompts.null() {
			prompts, masks = row.get("entity_prompts"), row.get("entity_masks")
		}
		prompts, masks = literal(prompts), literal(masks)
		if len(prompts.arr) != len(masks.arr) {
			return fmt.Errorf("%s has %d prompts and %d masks", s.Name, len(prompts.arr), len(masks.arr))
		}
		for k, p := range prompts.arr {
			name := masks.arr[k].text()
			data, err := r.named(name)
			if err != nil {
				return fmt.Errorf("%s: the mask %s: %w", s.Name, name, err)
			}
			m, err := r.pictureMask(data, 127)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if s.Canvas == nil {
				s.Canvas = &Canvas{m.w, m.h, "picture"}
			}
			s.Entities = append(s.Entities, Entity{Prompt: p.words(), Source: name, shape: shape{kind: "mask", mask: m}})
		}
		r.dropped(row, "image", "prompt", "eligen_entity_prompts", "eligen_entity_masks", "entity_prompts", "entity_masks")
		r.Scenes = append(r.Scenes, s)
	}
	r.say("paths are below the folder of the file; the training picture is not the scene's, and the masks' size is the canvas")
	return nil
}

// table returns the rows of CSV as objects.
func (r *reader) table() (out []value) {
	for _, row := range r.rows[1:] {
		v := value{kind: 'o'}
		for i, cell := range row {
			if i < len(r.rows[0]) {
				v.obj = append(v.obj, member{strings.TrimSpace(r.rows[0][i]), value{kind: 's', str: cell}})
			}
		}
		out = append(out, v)
	}
	return out
}

// literal reads a list that is written in a string.
func literal(v value) value {
	if v.kind != 's' {
		return v
	}
	if out, err := wholeJSON([]byte(v.str)); err == nil {
		return out
	}
	if out, _, err := parsePython(v.str); err == nil {
		return out
	}
	return value{kind: 'a', arr: []value{v}}
}

// OcclusionFormer and InstanceDiffusion: annos of bbox and caption, corners here and sides there.

func isOcclusion(c *content) string {
	list := c.json.first().get("annos")
	for _, a := range list.arr {
		if a.has("occludes") {
			return "its annos have occludes"
		}
	}
	return ""
}

func readOcclusion(r *reader) error {
	if err := r.convention("xyxy", 0); err != nil {
		return err
	}
	for i, row := range r.json.records() {
		s, err := r.annos(row, i)
		if err != nil {
			return err
		}
		if err := occlusions(&s, row.get("annos").arr); err != nil {
			return err
		}
		r.Scenes = append(r.Scenes, s)
	}
	r.say("occludes counts entities from 1 and is a partial order; z is the length of the longest chain below")
	r.say("the tool appends all captions to the prompt: here they stay the entities'")
	return nil
}

// occlusions turns who occludes whom into depths.
func occlusions(s *Scene, annos []value) error {
	below := make([][]int, len(annos))
	for i, a := range annos {
		s.Entities[i].Occludes = []string{}
		list := a.get("occludes")
		names := strings.FieldsFunc(list.text(), func(r rune) bool { return r == ',' || r == ' ' })
		for _, v := range list.arr {
			names = append(names, v.text())
		}
		for _, name := range names {
			n, err := strconv.Atoi(name)
			if err != nil || n < 1 || n > len(annos) || n == i+1 {
				return fmt.Errorf("entity %d occludes %q, which is no other entity", i+1, name)
			}
			below[i] = append(below[i], n-1)
			s.Entities[i].Occludes = append(s.Entities[i].Occludes, "e"+name)
		}
	}
	depth := make([]int, len(annos))
	for range annos { // the longest chain has no more links
		for i := range annos {
			for _, b := range below[i] {
				depth[i] = max(depth[i], depth[b]+1)
			}
		}
	}
	for i, d := range depth {
		if d >= len(annos) {
			return errors.New("occludes goes round in a circle")
		}
		z := float64(d)
		s.Entities[i].Z = &z
	}
	return nil
}

// annos reads what the two forms share.
func (r *reader) annos(row value, i int) (Scene, error) {
	s := Scene{Name: r.stem(), Prompt: row.get("caption").words(), Seed: row.get("seed").seed()}
	if s.Prompt == nil {
		s.Prompt = row.get("prompt").words()
	}
	if r.json.isList() {
		s.Name = "item " + strconv.Itoa(i)
	}
	c, err := sizeOf(row.get("width"), row.get("height"))
	if err != nil {
		return s, err
	}
	if s.Canvas = r.canvas(c); s.Canvas == nil && r.conv.unit == 0 {
		r.ask("--size WxH", "the boxes are pixels, and the file has no size")
	}
	for k, a := range row.get("annos").arr {
		e := Entity{Prompt: a.get("caption").words(), Label: a.get("category_name").text()}
		if e.Prompt == nil {
			e.Prompt = a.get("category_name").words()
		}
		if err := r.anno(&e, a, &s, fmt.Sprintf("annotation %d", k+1)); err != nil {
			return s, err
		}
		r.dropped(a, "bbox", "mask", "point", "caption", "category_name", "occludes", "scribble")
		s.Entities = append(s.Entities, e)
	}
	r.dropped(row, "prompt", "caption", "width", "height", "annos", "seed")
	return s, nil
}

func (r *reader) anno(e *Entity, a value, s *Scene, where string) error {
	if p, ok := a.get("point").numbers(2); ok && a.get("bbox").null() {
		return r.point(e, p, s)
	}
	if err := r.listed(e, a.get("bbox"), s, where); err != nil {
		return err
	}
	mask := a.get("mask")
	if mask.isObj() {
		m, err := r.columns(mask)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		b := e.shape.box
		if e.shape.kind == "box" {
			in := cut(b)
			e.Box = rounded(in[:]...)
			if raw := rounded(b[:]...); fmt.Sprint(raw) != fmt.Sprint(e.Box) {
				e.BoxRaw = raw
				r.say("%s: the box reaches beyond the canvas; its mask does not", where)
			}
		}
		e.shape = shape{kind: "mask", mask: m}
		r.say("masks are COCO run lengths and are taken in place of the boxes; the tool's own script throws them away " +
			"and follows the boxes alone")
	}
	return nil
}

// point asks for a point's extent, or gives it the one of --radius.
func (r *reader) point(e *Entity, p []float64, s *Scene) error {
	w, h := 1.0, 1.0
	if s.Canvas != nil {
		w, h = float64(s.Canvas.W), float64(s.Canvas.H)
	}
	x, y := p[0]/w, p[1]/h
	e.shape = shape{kind: "point", box: [4]float64{x, y, x, y}, pixels: s.Canvas == nil}
	r.took["radius"] = true
	if r.ans.Radius > 0 {
		side := r.ans.Radius * min(w, h)
		e.shape = shape{kind: "ellipse", box: [4]float64{x - side/w, y - side/h, x + side/w, y + side/h}}
		r.say("a region around each point: a circle of %g of the shorter side (--radius)", r.ans.Radius)
	} else {
		r.ask("--radius R, a share of the shorter side", "points have no extent, and a region needs one")
	}
	return nil
}

func isInstance(c *content) string {
	list := c.json.first().get("annos")
	for _, a := range list.arr {
		if a.has("mask") || a.has("point") || a.has("scribble") {
			return "its annos have mask, point or scribble"
		}
	}
	if list.first().has("bbox") {
		return "it has annos of bbox"
	}
	return ""
}

func readInstance(r *reader) error {
	if err := r.convention("xywh", 0); err != nil {
		return err
	}
	r.Convention.Beyond = "not cut by the source"
	if r.Why == "it has annos of bbox" && r.Convention.By != "--convention" {
		r.ask("--convention xywh or --convention xyxy", "annos of bbox without mask or occludes: InstanceDiffusion means left top width height, "+
			"OcclusionFormer x0 y0 x1 y1")
		return nil
	}
	for i, row := range r.json.records() {
		s, err := r.annos(row, i)
		if err != nil {
			return err
		}
		if c := s.Canvas; c != nil && c.From == "file" && (c.W != 512 || c.H != 512) {
			r.say("the tool always paints 512×512 and stretches the layout; the file's canvas, %d×%d, is taken", c.W, c.H)
		}
		r.Scenes = append(r.Scenes, s)
	}
	return nil
}
