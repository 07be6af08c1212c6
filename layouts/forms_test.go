package layouts

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// drawing makes a PNG of 4×2 pixels, by a letter a pixel: . black, # white, r red, g
// green.
func drawing(rows string) string {
	lines := strings.Fields(rows)
	img := image.NewNRGBA(image.Rect(0, 0, len(lines[0]), len(lines)))
	colours := map[rune]color.NRGBA{'.': {0, 0, 0, 255}, '#': {255, 255, 255, 255}, 'r': {255, 0, 0, 255}, 'g': {0, 255, 0, 255},
		'1': {1, 1, 1, 255}}
	for y, l := range lines {
		for x, c := range l {
			img.SetNRGBA(x, y, colours[c])
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.String()
}

// shown writes a reading in a line a scene and a line an entity.
func shown(r *Reading) string {
	var b strings.Builder
	words := func(s *string) string {
		if s == nil {
			return "-"
		}
		return strings.TrimSpace(*s)
	}
	fmt.Fprintf(&b, "%s %s\n", r.Format, r.Verdict)
	for _, s := range r.Scenes {
		fmt.Fprintf(&b, "%s: %s", s.Name, words(s.Prompt))
		if s.Canvas != nil {
			fmt.Fprintf(&b, " %dx%d", s.Canvas.W, s.Canvas.H)
		}
		if s.Seed != nil {
			fmt.Fprintf(&b, " seed %d", *s.Seed)
		}
		b.WriteString("\n")
		for _, e := range s.Entities {
			fmt.Fprintf(&b, "  %s: %s %v", words(e.Prompt), e.Kind, e.XYXY)
			if e.PX != nil {
				fmt.Fprintf(&b, " px %v", e.PX)
			}
			if e.Raw != nil {
				fmt.Fprintf(&b, " raw %v", e.Raw)
			}
			if e.Empty {
				b.WriteString(" empty")
			}
			if e.Z != nil {
				fmt.Fprintf(&b, " z %g", *e.Z)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// read reads a file among others.
func read(files map[string]string, name string, a Answer) (*Reading, error) {
	return Read(Source{Name: name, Data: []byte(files[name]), Open: func(p string) ([]byte, error) {
		if data, ok := files[path.Join(path.Dir(name), p)]; ok {
			return []byte(data), nil
		}
		return nil, fs.ErrNotExist
	}}, a)
}

// TestForms: every form is recognised by its content, and read by its own convention. Each case is a
// file, others next to it, and the reading.
func TestForms(t *testing.T) {
	for _, c := range forms {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{c.name: c.text}
			for n, s := range c.others {
				files[n] = s
			}
			r, err := read(files, c.name, c.answer)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = shown(r)
			}
			if want := strings.TrimLeft(c.want, "\n"); strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("read as\n%swant\n%s", got, want)
			}
			if err == nil && r.Verdict == Import {
				if w, err := Write(r, "scene", c.answer); err != nil || len(w.Text) == 0 {
					t.Errorf("no scene: %v", err)
				}
			}
		})
	}
}

type formCase struct {
	name, text string
	others     map[string]string
	answer     Answer
	want       string
}

var forms = []formCase{
	{name: "a.json", text: `{"high_level_description": "p", "compositional_deconstruction": {"elements": [
		{"type": "obj", "bbox": [100, 200, 500, 900], "desc": "cat"}, {"type": "obj", "desc": "fog"}]}}`, want: `
ideogram-4 import
a: p
  cat: box [0.2 0.1 0.9 0.5]
  fog: none []`},
	{name: "a.txt", text: `A <cat_1>. [{"id": "cat_1", "bbox": [0, 500, 1000, 1000], "desc": "a cat"}]`, want: `
flux-3 import
a: A <cat_1>.
  a cat: box [0.5 0 1 1]`},
	{name: "edit.txt", text: `Move it. [{"id": "cat_1", "from": "ref_image_0", "src_bbox": [0, 0, 100, 100], "tgt_bbox": [0, 500,
		1000, 1000], "desc": "a cat"},
		{"id": "cup_1", "from": "ref_image_0", "src_bbox": [0, 0, 100, 100], "tgt_bbox": null, "desc": "a cup"}]`, want: `
flux-3 ask
edit: Move it.
  a cat: box [0.5 0 1 1]
  a cup: box [0 0 0.1 0.1]`},
	{name: "b.json", text: `[{"x": 10, "y": 20, "width": 30, "height": 40, "metadata": {"type": "obj", "desc": "cat"}}]`, want: `
comfyui-boxes ask
b: -
  cat: box [] px [10 20 40 60]`},
	{name: "b.json", text: `[{"x": 10, "y": 20, "width": 30, "height": 40, "metadata": {"desc": "cat"}}]`,
		answer: Answer{Size: eligen.Size{W: 100, H: 100}}, want: `
comfyui-boxes import
b: - 100x100
  cat: box [0.1 0.2 0.4 0.6]`},
	{name: "e.json", text: `[{"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.4, "desc": "cat"}]`, want: `
editor-boxes import
e: -
  cat: box [0.1 0.2 0.4 0.6]`},
	{name: "o.json", text: `[{"rect": [0, 90, 0, 90], "prefixes": ["all"], "suffixes": []},
		{"rect": [9, 45, 18, 90], "prefixes": ["all", "a cat"], "suffixes": ["red"]}]`, want: `
omost import
o: all
  a cat red: box [0.2 0.1 1 0.5]`},
	{name: "l.json", text: `{"two cats": ["[('a cat', [0, 0, 256, 512]), ('a cat', [300, 0, 256, 512])]` +
		`\nBackground prompt: x\nNegative prompt: "]}`, want: `
llm-grounded-diffusion import
two cats: two cats 512x512
  a cat: box [0 0 0.5 1]
  a cat: box [0.5859 0 1 1] raw [0.5859 0 1.0859 1]`},
	{name: "g.json", text: `[{"query_id": 7, "iter": 1, "prompt": "p", "object_list": [["cat", [0.5, 0.25, 0.75, 1.0]]]}]`, want: `
layoutgpt import
7.1: p
  cat: box [0.5 0.25 0.75 1]`},
	{name: "n.json", text: `[{"id": 7, "prompt": "p", "obj1": ["cat", [0.5, 0.25, 0.25, 0.5]], "obj2": ["dog", [0.5, 0.25, 0,
		0.5]]}]`, want: `
nsr-1k import
7: p
  cat: box [0.5 0.25 0.75 0.75]
  dog: box [0.5 0.25 0.5 0.75] empty`},
	{name: "r.json", text: ragFile, want: `
rag-diffusion import
item 0: p 64x32 seed 5
  cat: box [0.1 0.2 0.4 1] z 0
  dog: box [0.5 0.2 0.9 1] z 1`},
	{name: "r.json", text: ragFile, answer: Answer{Convention: "SR"}, want: `
rag-diffusion import
item 0: p 64x32 seed 5
  left: box [0 0 0.25 0.5]
  right: box [0.25 0 1 0.5]
  low: box [0 0.5 1 1]`},
	{name: "f.json", text: `{"image_width": 100, "image_height": 50, "base_prompt": "p", "seed": 1, "regional_prompt_mask_pairs":
		{"0": {"description": "cat", "mask": [0, 0, 50, 25]}}}`, want: `
regional-prompting-flux import
f: p 100x50 seed 1
  cat: box [0 0 0.5 0.5]`},
	{name: "h.json", text: `{"prompt": "p", "width": 64, "height": 64, "layout_bboxes": [[0.1, 0.9, 0.2, 0.4]]}`, want: `
hidream-o1 ask
h: p 64x64
  -: box [0.1 0.2 0.9 0.4]`},
	{name: "h.json", text: `{"prompt": "p", "width": 64, "height": 64, "layout_bboxes": [[0.1, 0.9, 0.2, 0.4]]}`,
		answer: Answer{Words: []string{"cat"}}, want: `
hidream-o1 import
h: p 64x64
  cat: box [0.1 0.2 0.9 0.4]`},
	{name: "c.json", text: `[{"caption": "p", "width": 100, "instances": [{"image": "a.png", "bbox": [0, 0, 50, 25],
		"phrase": "cat"}]}]`, want: `
contextgen import
item 0: p 100x100
  cat: box [0 0 0.5 0.25]`},
	{name: "s.json", text: `{"caption": "p", "segments_info": [{"color": [255, 0, 0], "text": "cat"}, {"color": [0, 0, 0],
		"text": "night"}]}`,
		others: map[string]string{"s.png": drawing("rr.. gggg")}, want: `
seg2any import
s: p 4x2
  cat: mask [0 0 0.5 0.5]
  night: mask [0.5 0 1 0.5]`},
	{name: "m.json", text: `[{"image": "a.png", "prompt": "p", "eligen_entity_prompts": ["cat"], "eligen_entity_masks": ["m/0.png"]}]`,
		others: map[string]string{"m/0.png": drawing("..## ....")}, want: `
eligen-dataset import
a: p 4x2
  cat: mask [0.5 0 1 0.5]`},
	{name: "m.json", text: `[{"image": "a.png", "prompt": "p", "eligen_entity_prompts": ["cat"], "eligen_entity_masks": ["../0.png"]}]`,
		others: map[string]string{"../0.png": drawing("#")},
		want:   `m.json, read as eligen-dataset: a: the mask ../0.png: "../0.png" leads out of the file's folder`},
	{name: "q.json", text: `{"caption": "p", "width": 10, "height": 10, "annos": [{"bbox": [0, 0, 5, 5], "caption": "cat",
		"occludes": "2"},
		{"bbox": [5, 5, 10, 10], "caption": "dog", "occludes": ""}]}`, want: `
occlusionformer import
q: p 10x10
  cat: box [0 0 0.5 0.5] z 1
  dog: box [0.5 0.5 1 1] z 0`},
	{name: "i.json", text: `{"caption": "p", "width": 10, "height": 10, "annos": [{"bbox": [5, 5, 5, 10], "mask": [],
		"caption": "cat"}]}`, want: `
instancediffusion import
i: p 10x10
  cat: box [0.5 0.5 1 1] raw [0.5 0.5 1 1.5]`},
	{name: "i.json", text: `{"caption": "p", "width": 10, "height": 10, "annos": [{"bbox": [5, 5, 10, 10], "caption": "cat"}]}`, want: `
instancediffusion ask`},
	{name: "i.json", text: `{"caption": "p", "width": 10, "height": 20, "annos": [{"point": [5, 5], "caption": "cat"}]}`,
		answer: Answer{Radius: 0.1}, want: `
instancediffusion import
i: p 10x20
  cat: ellipse [0.4 0.2 0.6 0.3]`},
	{name: "b.csv", text: "id,category,prompt,obj1,bbox1,obj2,bbox2\n7,x,p,cat,\"0,256,512,512\",,\n", want: `
cobench-csv import
7: p 512x512
  cat: box [0 0.5 1 1]`},
	{name: "mig.yaml", text: "two cats:\n  a cat:\n  - [0.0, 0.1, 0.5, 0.9]\n  - [0.5, 0.1, 1.0, 0.9]\n  coco_id: '3'\n", want: `
coco-mig import
two cats: two cats
  a cat: box [0 0.1 0.5 0.9]
  a cat: box [0.5 0.1 1 0.9]`},
	{name: "mig.yaml", text: "a: &x [0, 0, 1, 1]\nb: *x\n", want: "mig.yaml: line 2: an alias (*x); write the value"},
	{name: "ge.jsonl", text: `{"tag": "x", "include": [], "prompt": "p"}` + "\n" + `{"tag": "x", "include": [], "prompt": "q"}`, want: `
geneval refuse`},
	{name: "t2i.txt", text: "a cat on a mat\na dog left of a cat\n", want: "t2i-compbench refuse"},
	{name: "coco.json", text: `{"images": [{"id": 1, "width": 4, "height": 2, "file_name": "a.jpg"}], "categories": [{"id": 1,
		"name": "cat"}], "annotations": [
		{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 0, 2, 1], "iscrowd": 0, "segmentation": []},
		{"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0, "segmentation": [[0, 0, 2, 0, 2, 2]]},
		{"id": 3, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 1, "segmentation": {"size": [2, 4],
			"counts": [2, 3, 3]}}]}`, want: `
coco import
a.jpg: - 4x2
  cat: box [0.25 0 0.75 0.5]
  cat: polygon [0 0 0.5 1]
  cat: mask [0.25 0 0.75 1]`},
	{name: "res.json", text: `[{"image_id": 1, "category_id": 1, "bbox": [1, 0, 2, 1], "score": 0.5}]`, want: `
coco-results ask
1: -
  -: box [] px [1 0 3 1]`},
	{name: "ls.json", text: `[{"id": 1, "data": {"image": "/a"}, "annotations": [{"id": 4, "result": [
		{"id": "a", "type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": {"x": 50, "y": 0,
			"width": 20, "height": 10, "rotation": 90, "rectanglelabels": ["cat"]}},
		{"id": "b", "type": "ellipselabels", "original_width": 200, "original_height": 100, "value": {"x": 50, "y": 50,
			"radiusX": 10, "radiusY": 20, "ellipselabels": ["dog"]}},
		{"id": "c", "type": "keypointlabels", "original_width": 200, "original_height": 100, "value": {"x": 50, "y": 50,
			"keypointlabels": ["eye"]}}]}]}]`, want: `
label-studio import
task 1: - 200x100
  cat: polygon [0.45 0 0.5 0.4]
  dog: ellipse [0.4 0.3 0.6 0.7]`},
	{name: "lm.json", text: `{"imagePath": "a.jpg", "imageWidth": 10, "imageHeight": 10, "imageData": null, "shapes": [
		{"label": "cat", "shape_type": "rectangle", "points": [[5, 5], [1, 1]]}, {"label": "sun", "shape_type": "circle",
			"points": [[5, 5], [5, 7]]},
		{"label": "way", "shape_type": "line", "points": [[5, 5], [5, 7]]}]}`, want: `
labelme-json import
lm: - 10x10
  cat: box [0.1 0.1 0.5 0.5]
  sun: ellipse [0.3 0.3 0.7 0.7]`},
	{name: "Annotations/x/a.xml", text: `<annotation><filename>a.png</filename><folder>x</folder><imagesize><nrows>2</nrows>
		<ncols>4</ncols></imagesize>
		<object><name>cat</name><deleted>0</deleted><segm><box><xmin>0</xmin></box><mask>m.png</mask></segm></object>
		<object><name>gone</name><deleted>1</deleted></object></annotation>`,
		others: map[string]string{"Masks/x/m.png": drawing("11.. ....")}, want: `
labelme-xml import
a.png: - 4x2
  cat: mask [0 0 0.5 0.5]`},
	{name: "cm.json", text: `[{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 50, "y": 50, "width": 20,
		"height": 40}}]}]`,
		answer: Answer{Size: eligen.Size{W: 100, H: 100}}, want: `
createml import
a.jpg: - 100x100
  cat: box [0.4 0.3 0.6 0.7]`},
	{name: "cv.xml", text: `<annotations><image id="0" name="a.jpg" width="10" height="10">
		<box label="cat" xtl="0" ytl="1" xbr="5" ybr="10" z_order="2"/>
		<mask label="dog" rle="1, 2, 1" left="2" top="2" width="2" height="2"/><points label="eye" points="1,2"/></image>
			</annotations>`, want: `
cvat-images import
a.jpg: - 10x10
  cat: box [0 0.1 0.5 1] z 2
  dog: mask [0.2 0.2 0.4 0.4]`},
	{name: "track.xml", text: `<annotations><meta><task><start_frame>0</start_frame><stop_frame>4</stop_frame><original_size>
		<width>10</width><height>10</height></original_size></task></meta>
		<track id="0" label="cat"><box frame="0" keyframe="1" outside="0" xtl="0" ytl="0" xbr="5" ybr="5"/>
			<box frame="4" keyframe="1" outside="0" xtl="5" ytl="0" xbr="10" ybr="5"/></track></annotations>`, want: `
cvat-video import
track: - 10x10
  cat: box [0 0 0.5 0.5]`},
	{name: "voc.xml", text: `<annotation><filename>a.jpg</filename><size><width>10</width><height>10</height></size>
		<object><name>cat</name><bndbox><xmin>1</xmin><xmax>5</xmax><ymin>2</ymin><ymax>6</ymax></bndbox></object></annotation>`, want: `
pascal-voc import
a.jpg: - 10x10
  cat: box [0.1 0.2 0.5 0.6]`},
	{name: "labels/a.txt", text: "1 0.5 0.5 0.5 0.5\n0 0 0 1 0 1 1\n",
		others: map[string]string{"data.yaml": "names: {0: dog, 1: cat}\n", "images/a.png": drawing(".... ....")}, want: `
yolo import
a: - 4x2
  cat: box [0.25 0.25 0.75 0.75]
  dog: polygon [0 0 1 1]`},
	{name: "a.txt", text: "1 0 3 0 3 2 1 2 cat 0\n", answer: Answer{Size: eligen.Size{W: 4, H: 2}}, want: `
yolo-obb import
a: - 4x2
  cat: polygon [0.25 0 0.75 1]`},
	{name: "p.txt", text: "two cats, (red:1.2)\nNegative prompt: text\n" +
		"Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x256", want: `
a1111 import
p: two cats, (red:1.2) 512x256 seed 5`},
	{name: "rp.txt", text: "room ADDBASE cat BREAK dog\nSteps: 20, Seed: 5, Size: 512x256, " +
		"RP Active: True, RP Use Base: True, RP Divide mode: Matrix, " +
		"RP Matrix submode: Horizontal, RP Ratios: \"1,3\"", want: `
a1111 import
rp: room 512x256 seed 5
  cat: box [0 0 0.25 1]
  dog: box [0.25 0 1 1]`},
	{name: "graph.json", text: areaGraph, want: `
comfyui import
graph: all 512x256 seed 9
  cat: box [0 0 0.5 1]`},
	{name: "editor.json", text: areaWorkflow, want: `
comfyui-workflow import
editor: all 512x256 seed 9
  cat: box [0 0 0.5 1]`},
	{name: "thin.json", text: `{"high_level_description": "p", "compositional_deconstruction": {"elements": [
		{"type": "obj", "bbox": [0.1, 0.2, 0.5, 0.9], "desc": "cat"}]}}`, want: `
ideogram-4 ask
thin: p
  cat: box [0.0002 0.0001 0.0009 0.0005]`},
	{name: "sub.json", text: subgraph, want: `
comfyui-workflow import
sub: all 512x256 seed 9
  cat: box [0 0 0.5 1]`},
	{name: "strip.json", text: `{"caption": "p", "width": 100, "height": 4000, "annos": [
		{"bbox": [0, 0, 50, 200], "mask": [], "caption": "c"}]}`,
		want: `
instancediffusion ask
strip: p 100x4000
  c: box [0 0 0.5 0.05]`},
	{name: "x.json", text: `{"high_level_description": "p", "compositional_deconstruction": {"elements": [
		{"type": "obj", "bbox": [100, 200, 500, 900], "desc": "cat"}]}}`, answer: Answer{Radius: 0.1},
		want: "x.json, read as ideogram-4: --radius was passed, and the file has no point"},
	{name: "x.json", text: `{"high_level_description": "p", "compositional_deconstruction": {"elements": [
		{"type": "obj", "bbox": [100, 200, 500, 900], "desc": "cat"}]}}`, answer: Answer{Places: map[string][4]float64{"cat": {0, 0, 1, 1}}},
		want: "x.json, read as ideogram-4: --place cat: no entity without a place has this name; they are numbered from 1 in the file's order"},
	{name: "x.json", text: `{"high_level_description": "p", "compositional_deconstruction": {"elements": [
		{"type": "obj", "bbox": [100, 200, 500, 900], "desc": "cat"}]}}`, answer: Answer{Convention: "SR"},
		want: "x.json, read as ideogram-4: --convention was passed, and the file has no boxes that it could tell how to read"},
	{name: "x.json", text: `{"annos": [`, want: "x.json: unexpected EOF"},
	{name: "x.json", text: strings.Repeat("[", 100), want: "x.json: its values are nested deeper than a layout's"},
}

const ragFile = `[{"idx": 3, "prompt": "p", "width": 64, "height": 32, "seed": 5, "SR_hw_split_ratio": "1,1,3;1,1",
	"SR_prompt": "left BREAK right BREAK low",
	"HB_prompt_list": ["cat", "dog"], "HB_m_offset_list": [0.1, 0.5], "HB_n_offset_list": [0.2, 0.2], "HB_m_scale_list": [0.3, 0.4],
		"HB_n_scale_list": [0.8, 0.8]}]`

const areaGraph = `{"1": {"class_type": "KSampler", "inputs": {"seed": 9, "steps": 4, "cfg": 2, "model": ["9", 0], "positive": ["5",
	0], "negative": ["6", 0], "latent_image": ["2", 0]}},
	"2": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 256, "batch_size": 1}},
	"3": {"class_type": "ConditioningSetArea", "inputs": {"conditioning": ["4", 0], "width": 256, "height": 256, "x": 0, "y": 0,
		"strength": 1}},
	"4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0], "clip": ["9", 1]}},
	"5": {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["3", 0], "conditioning_2": ["7", 0]}},
	"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "no", "clip": ["9", 1]}},
	"7": {"class_type": "CLIPTextEncode", "inputs": {"text": "all", "clip": ["9", 1]}},
	"8": {"class_type": "PrimitiveString", "inputs": {"value": "cat"}},
	"9": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x"}}}`

const areaWorkflow = `{"nodes": [
	{"id": 1, "type": "KSampler", "widgets_values": [9, "fixed", 4, 2, "euler", "normal", 1], "inputs": [{"name": "positive",
		"type": "CONDITIONING", "link": 1},
		{"name": "latent_image", "type": "LATENT", "link": 2}, {"name": "model", "type": "MODEL", "link": 3}]},
	{"id": 2, "type": "EmptyLatentImage", "widgets_values": [512, 256, 1]},
	{"id": 3, "type": "ConditioningSetArea", "widgets_values": [256, 256, 0, 0, 1], "inputs": [{"name": "conditioning",
		"type": "CONDITIONING", "link": 4}]},
	{"id": 4, "type": "CLIPTextEncode", "widgets_values": ["old"], "inputs": [{"name": "text", "type": "STRING", "link": 5},
		{"name": "clip", "type": "CLIP", "link": null}]},
	{"id": 5, "type": "ConditioningCombine", "inputs": [{"name": "conditioning_1", "type": "CONDITIONING", "link": 6},
		{"name": "conditioning_2", "type": "CONDITIONING", "link": 7}]},
	{"id": 6, "type": "GetNode", "widgets_values": ["words"]}, {"id": 7, "type": "SetNode", "widgets_values": ["words"],
		"inputs": [{"name": "STRING", "type": "STRING", "link": 8}]},
	{"id": 8, "type": "PrimitiveString", "widgets_values": ["cat"]},
	{"id": 9, "type": "CLIPTextEncode", "widgets_values": ["all"], "inputs": [{"name": "clip", "type": "CLIP", "link": null}]},
	{"id": 10, "type": "UNETLoader", "widgets_values": ["x", "default"]},
	{"id": 11, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 9}]},
	{"id": 12, "type": "FluxGuidance", "mode": 4, "widgets_values": [3], "inputs": [{"name": "conditioning", "type": "CONDITIONING",
		"link": 10}],
		"outputs": [{"name": "CONDITIONING", "type": "CONDITIONING"}]}],
	"links": [[1, 12, 0, 1, 0, "CONDITIONING"], [2, 2, 0, 1, 1, "LATENT"], [3, 10, 0, 1, 2, "MODEL"], [4, 4, 0, 3, 0,
		"CONDITIONING"], [5, 6, 0, 4, 0, "STRING"],
		[6, 11, 0, 5, 0, "CONDITIONING"], [7, 9, 0, 5, 1, "CONDITIONING"], [8, 8, 0, 7, 0, "STRING"], [9, 3, 0, 11, 0,
			"CONDITIONING"], [10, 5, 0, 12, 0, "CONDITIONING"]]}`

// subgraph is areaGraph with its conditions in a subgraph.
const subgraph = `{"nodes": [
	{"id": 1, "type": "KSampler", "widgets_values": [9, "fixed", 4, 2, "euler", "normal", 1], "inputs": [
		{"name": "positive", "type": "CONDITIONING", "link": 1}, {"name": "latent_image", "type": "LATENT", "link": 2},
		{"name": "model", "type": "MODEL", "link": 3}]},
	{"id": 2, "type": "EmptyLatentImage", "widgets_values": [512, 256, 1]},
	{"id": 10, "type": "UNETLoader", "widgets_values": ["x", "default"]},
	{"id": 3, "type": "aa-bb", "inputs": [{"name": "words", "type": "STRING", "link": 4}]},
	{"id": 4, "type": "PrimitiveString", "widgets_values": ["cat"]}],
	"links": [[1, 3, 0, 1, 0, "CONDITIONING"], [2, 2, 0, 1, 1, "LATENT"], [3, 10, 0, 1, 2, "MODEL"], [4, 4, 0, 3, 0, "STRING"]],
	"definitions": {"subgraphs": [{"id": "aa-bb", "inputs": [{"name": "words"}], "nodes": [
		{"id": 1, "type": "CLIPTextEncode", "widgets_values": [""], "inputs": [{"name": "clip", "link": null}, {"name": "text", "link": 1}]},
		{"id": 2, "type": "CLIPTextEncode", "widgets_values": ["all"], "inputs": [{"name": "clip", "link": null}]},
		{"id": 3, "type": "ConditioningSetArea", "widgets_values": [256, 256, 0, 0, 1], "inputs": [{"name": "conditioning", "link": 2}]},
		{"id": 4, "type": "ConditioningCombine", "inputs": [{"name": "conditioning_1", "link": 3}, {"name": "conditioning_2", "link": 4}]}],
		"links": [{"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 1},
			{"id": 2, "origin_id": 1, "origin_slot": 0, "target_id": 3, "target_slot": 0},
			{"id": 3, "origin_id": 3, "origin_slot": 0, "target_id": 4, "target_slot": 0},
			{"id": 4, "origin_id": 2, "origin_slot": 0, "target_id": 4, "target_slot": 1},
			{"id": 5, "origin_id": 4, "origin_slot": 0, "target_id": -20, "target_slot": 0}]}]}}`

// TestReimport: a file with one thing more leaves every other block of the scene as it was.
func TestReimport(t *testing.T) {
	scene := func(annos string) string {
		text := `{"caption": "cups", "width": 512, "height": 512, "annos": [` + annos + `]}`
		r, err := read(map[string]string{"a.json": text}, "a.json", Answer{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := Write(r, "scene", Answer{})
		if err != nil {
			t.Fatal(err)
		}
		return string(w.Text)
	}
	one := `{"bbox": [0, 0, 200, 200], "mask": [], "caption": "a red cup"}, {"bbox": [0, 200, 200, 200], "mask": [], "caption": "a red cup"}`
	before, after := scene(one), scene(one+`, {"bbox": [300, 0, 200, 200], "mask": [], "caption": "a red cup"}`)
	if rest, ok := strings.CutPrefix(after, before); !ok || strings.Count(rest, "entity") != 1 {
		t.Errorf("%s\nbecomes\n%s", before, after)
	}
}

// FuzzRead: whatever a file holds, it is read or refused, and a scene of it is written.
func FuzzRead(f *testing.F) {
	for _, c := range forms {
		f.Add(c.name, []byte(c.text))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if len(data) > 1<<16 {
			t.Skip()
		}
		r, err := Read(Source{Name: name, Data: data}, Answer{})
		if err != nil {
			return
		}
		if _, err := r.JSON(); err != nil {
			t.Fatal(err)
		}
		if r.Verdict == Import {
			if _, err := Write(r, "scene", Answer{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
