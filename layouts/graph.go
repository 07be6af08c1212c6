package layouts

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/pixels"
)

// A graph is a ComfyUI workflow, as its server runs it.
type graph struct {
	nodes map[string]*gnode
	order []string
	steps int // of following links; a graph of few nodes can have very many ways
}

type gnode struct {
	id, class, title string
	in               map[string]input
	names            []string // of the inputs, in their order
}

// An input is a value, or an output of another node.
type input struct {
	value
	node string
	slot int
}

func (n *gnode) set(name string, in input) {
	if n.in == nil {
		n.in = map[string]input{}
	}
	if _, old := n.in[name]; !old {
		n.names = append(n.names, name)
	}
	n.in[name] = in
}

// to returns the node that an input is linked to, or nil.
func (g *graph) to(n *gnode, names ...string) (*gnode, int) {
	for _, name := range names {
		if in, ok := n.in[name]; ok && in.node != "" {
			return g.nodes[in.node], in.slot
		}
	}
	return nil, 0
}

// reached returns the nodes that some of them need.
func (g *graph) reached(from ...*gnode) map[string]bool {
	out := map[string]bool{}
	for len(from) > 0 {
		n := from[len(from)-1]
		from = from[:len(from)-1]
		if n == nil || out[n.id] {
			continue
		}
		out[n.id] = true
		for _, name := range n.names {
			if in := n.in[name]; in.node != "" {
				from = append(from, g.nodes[in.node])
			}
		}
	}
	return out
}

const maxSteps = 50000

// step counts a link that is followed.
func (g *graph) step() bool {
	g.steps++
	return g.steps < maxSteps
}

// The chunks of a PNG that ComfyUI and A1111 write.

var errChunk = errors.New("the PNG is cut off or damaged")

// chunksOf returns the text chunks of a PNG; nil of what is none.
func chunksOf(data []byte) (map[string]string, error) {
	p, err := pixels.NewPNGReader(bytes.NewReader(data))
	if err != nil {
		return nil, nil
	}
	out := map[string]string{}
	for {
		kind, _, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if kind != "tEXt" && kind != "zTXt" && kind != "iTXt" {
			continue
		}
		body, err := p.Body()
		if err != nil {
			return nil, err
		}
		if key, words, err := textChunk(kind, body); err != nil {
			return nil, err
		} else if key != "" {
			out[key] = words
		}
	}
}

// textChunk reads tEXt, zTXt and iTXt.
func textChunk(kind string, body []byte) (key, words string, err error) {
	name, rest, ok := bytes.Cut(body, []byte{0})
	if !ok {
		return "", "", nil
	}
	packed := false
	switch kind {
	case "tEXt":
		r := make([]rune, len(rest)) // Latin-1
		for i, b := range rest {
			r[i] = rune(b)
		}
		return string(name), string(r), nil
	case "zTXt":
		if len(rest) < 1 {
			return "", "", errChunk
		}
		packed, rest = true, rest[1:]
	case "iTXt":
		if len(rest) < 2 {
			return "", "", errChunk
		}
		packed = rest[0] == 1
		parts := bytes.SplitN(rest[2:], []byte{0}, 3)
		if len(parts) < 3 {
			return "", "", errChunk
		}
		rest = parts[2]
	default:
		return "", "", nil
	}
	if packed {
		z, err := zlib.NewReader(bytes.NewReader(rest))
		if err != nil {
			return "", "", errChunk
		}
		if rest, err = io.ReadAll(io.LimitReader(z, MaxBytes+1)); err != nil || len(rest) > MaxBytes {
			return "", "", errors.New("a text chunk of the PNG is damaged, or too long")
		}
	}
	return string(name), string(rest), nil
}

// ComfyUI's API form: nodes by their number.

func isAPI(v value) bool {
	if !v.isObj() || len(v.obj) == 0 {
		return false
	}
	n := 0
	for _, m := range v.obj {
		if m.has("class_type") {
			n++
		}
	}
	return n > 0 && n >= len(v.obj)-2
}

func isGraph(c *content) string {
	if isAPI(c.json) {
		return "its members are nodes with class_type"
	}
	if c.json.isObj() && isAPI(c.json.get("prompt")) {
		return "its prompt is nodes with class_type"
	}
	if p, ok := c.chunks["prompt"]; ok {
		if v, err := wholeJSON([]byte(p)); err == nil && isAPI(v) {
			return "the PNG's chunk “prompt” is a graph, as ComfyUI ran it"
		}
	}
	return ""
}

func readGraph(r *reader) error {
	v := r.json
	switch {
	case len(r.chunks) > 0:
		v, _ = wholeJSON([]byte(r.chunks["prompt"])) // it was read a moment ago
	case !isAPI(v):
		v = v.get("prompt")
	}
	g := &graph{nodes: map[string]*gnode{}}
	for _, m := range v.obj {
		if !m.has("class_type") {
			continue
		}
		n := &gnode{id: m.name, class: m.get("class_type").text(), title: m.get("_meta").get("title").text()}
		for _, in := range m.get("inputs").obj {
			if link := in.value; link.isList() && len(link.arr) == 2 && link.arr[0].text() != "" && link.arr[1].kind == 'n' {
				slot, _ := link.arr[1].integer()
				n.set(in.name, input{node: link.arr[0].text(), slot: slot})
				continue
			}
			n.set(in.name, input{value: in.value})
		}
		g.nodes[n.id] = n
		g.order = append(g.order, n.id)
	}
	return r.comfy(g)
}

// ComfyUI's editor form: nodes with positional widgets, and links.

func workflowOf(c *content) value {
	if w, ok := c.chunks["workflow"]; ok {
		v, _ := wholeJSON([]byte(w))
		return v
	}
	if c.json.has("workflow") {
		return c.json.get("workflow")
	}
	return c.json
}

func isWorkflow(c *content) string {
	v := workflowOf(c)
	if first := v.get("nodes").first(); v.get("nodes").isList() && first.has("type") && v.has("links") {
		return "it has nodes and links, as ComfyUI's editor saves them"
	}
	return ""
}

// widgets are the names of the positional values of nodes. After a seed, the editor has one more.
var widgets = map[string]string{
	"KSampler":                      "seed steps cfg sampler_name scheduler denoise",
	"KSamplerAdvanced":              "add_noise noise_seed steps cfg sampler_name scheduler start_at_step end_at_step return_noise",
	"SamplerCustom":                 "add_noise noise_seed cfg",
	"RandomNoise":                   "noise_seed",
	"BasicScheduler":                "scheduler steps denoise",
	"KarrasScheduler":               "steps sigma_max sigma_min rho",
	"AlignYourStepsScheduler":       "model_type steps denoise",
	"CFGGuider":                     "cfg",
	"FluxGuidance":                  "guidance",
	"FluxDeGuidance":                "guidance",
	"CLIPTextEncode":                "text",
	"CLIPTextEncodeFlux":            "clip_l t5xxl guidance",
	"CLIPTextEncodeSDXL":            "width height crop_w crop_h target_width target_height text_g text_l",
	"CLIPTextEncodeSD3":             "clip_l clip_g t5xxl empty_padding",
	"BNK_CLIPTextEncodeAdvanced":    "text token_normalization weight_interpretation",
	"ConditioningSetArea":           "width height x y strength",
	"ConditioningSetAreaPercentage": "width height x y strength",
	"ConditioningSetAreaStrength":   "strength",
	"ConditioningSetMask":           "strength set_cond_area",
	"ConditioningSetTimestepRange":  "start end",
	"ConditioningAverage":           "conditioning_to_strength",
	"GLIGENTextBoxApply":            "text width height x y",
	"EmptyLatentImage":              "width height batch_size",
	"EmptySD3LatentImage":           "width height batch_size",
	"EmptyFlux2LatentImage":         "width height batch_size",
	"EmptyHunyuanImageLatent":       "width height batch_size",
	"LatentUpscale":                 "upscale_method width height crop",
	"LatentUpscaleBy":               "upscale_method scale_by",
	"ImageScale":                    "upscale_method width height crop",
	"ModelSamplingFlux":             "max_shift base_shift width height",
	"LoraLoader":                    "lora_name strength_model strength_clip",
	"LoraLoaderModelOnly":           "lora_name strength_model",
	"FluxRegionBBOX":                "x1 y1 x2 y2",
	"RegionAttention":               "enabled",
	"ApplyRegionalConds":            "start_percent end_percent",
	"CreateShapeMask":               "shape frames location_x location_y grow frame_width frame_height shape_width shape_height",
	"SolidMask":                     "value width height",
	"MaskComposite":                 "x y operation",
	"CropMask":                      "x y width height",
	"GrowMask":                      "expand tapered_corners",
	"FeatherMask":                   "left top right bottom",
	"LoadImage":                     "image upload",
	"LoadImageMask":                 "image channel upload",
	"ImageToMask":                   "channel",
	"CreateBoundingBoxes":           "width height bboxes",
	"Flux3ImageNode":                "prompt aspect_ratio resolution prompt_upsampling safety_tolerance seed",
	"INTConstant":                   "value",
	"FloatConstant":                 "value",
	"PrimitiveInt":                  "value control",
	"PrimitiveFloat":                "value",
	"PrimitiveString":               "value",
	"PrimitiveStringMultiline":      "value",
	"StringConstant":                "string",
	"StringConstantMultiline":       "string strip_newlines",
	"easy string":                   "value",
	"easy int":                      "value",
	"easy promptConcat":             "prompt1 prompt2 separator",
	"StringConcatenate":             "string_a string_b delimiter",
	"Text Multiline":                "text",
	"Text Concatenate":              "delimiter clean_whitespace",
	"JoinStrings":                   "delimiter",
	"FreeFuseLoRALoader":            "lora_name adapter_name strength_model strength_clip",
	"FreeFuseTokenPositions":        "prompt filter_meaningless filter_single_char",
	"CheckpointLoaderSimple":        "ckpt_name",
	"UNETLoader":                    "unet_name weight_dtype",
	"DualCLIPLoader":                "clip_name1 clip_name2 type",
	"CLIPLoader":                    "clip_name type",
	"VAELoader":                     "vae_name",
	"KSamplerSelect":                "sampler_name",
	"SaveImage":                     "filename_prefix",
	"FreeFuseConceptMap": "adapter_name_1 concept_text_1 adapter_name_2 concept_text_2 adapter_name_3 concept_text_3 " +
		"adapter_name_4 concept_text_4 enable_background background_text",
	"Prompts Everywhere":                 "",
	"AttentionCouple":                    "mode",
	"ConditioningSetAreaPercentageVideo": "width height temporal x y z strength",
}

var control = []string{"fixed", "randomize", "increment", "decrement", "increment-wrap"}

func readWorkflow(r *reader) error {
	g := &graph{nodes: map[string]*gnode{}}
	v := workflowOf(r.content)
	w := &editor{graph: g, subgraphs: map[string]value{}, sets: map[string]input{}}
	for _, s := range v.get("definitions").get("subgraphs").arr {
		w.subgraphs[s.get("id").text()] = s
	}
	if err := w.add(v, "", nil, 0); err != nil {
		return err
	}
	w.resolve()
	r.say("widgets of a workflow have no names, only positions: they are read by ComfyUI's own order")
	if len(w.unnamed) > 0 {
		slices.Sort(w.unnamed)
		r.say("nodes whose widgets eligen doesn't know: %s", some(slices.Compact(w.unnamed)))
	}
	return r.comfy(g)
}

// An editor turns the editor's form into the server's.
type editor struct {
	*graph
	subgraphs map[string]value
	sets      map[string]input // by the name of a SetNode
	passes    []pass
	unnamed   []string
}

// A pass is a node of the editor alone: what leads out of it comes from elsewhere.
type pass struct {
	id   string
	slot int // −1: any
	in   input
	get  string // the name of a SetNode
}

// link is an origin.
type link struct {
	node string
	slot int
}

// add adds the nodes of a workflow or subgraph. from returns what leads into a subgraph's slot.
func (w *editor) add(v value, prefix string, from func(slot int) input, depth int) error {
	if depth > 8 || len(w.nodes) > 5000 {
		return errTooMuch
	}
	links := map[string]link{}
	for _, l := range v.get("links").arr {
		id, node, slot := l.get("id"), l.get("origin_id"), l.get("origin_slot")
		if l.isList() && len(l.arr) >= 5 {
			id, node, slot = l.arr[0], l.arr[1], l.arr[2]
		}
		n, _ := slot.integer()
		links[id.text()] = link{node.text(), n}
	}
	follow := func(id value) input {
		l, ok := links[id.text()]
		switch {
		case id.null() || !ok:
			return input{}
		case l.node == "-10" && from != nil:
			return from(l.slot)
		}
		return input{node: prefix + l.node, slot: l.slot}
	}
	for _, n := range v.get("nodes").arr {
		if err := w.node(n, prefix, follow, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *editor) node(n value, prefix string, follow func(value) input, depth int) error {
	id, class := prefix+n.get("id").text(), n.get("type").text()
	mode, _ := n.get("mode").integer()
	if mode == 2 { // muted
		return nil
	}
	var ins []input
	for _, in := range n.get("inputs").arr {
		ins = append(ins, follow(in.get("link")))
	}
	first := func() input {
		if len(ins) > 0 {
			return ins[0]
		}
		return input{}
	}
	values := n.get("widgets_values")
	switch {
	case mode == 4:
		w.bypass(id, n, ins)
		return nil
	case class == "Reroute" || class == "Reroute (rgthree)":
		w.passes = append(w.passes, pass{id: id, slot: -1, in: first()})
		return nil
	case class == "SetNode":
		w.sets[values.first().text()] = first()
		w.passes = append(w.passes, pass{id: id, slot: -1, in: first()})
		return nil
	case class == "GetNode":
		w.passes = append(w.passes, pass{id: id, slot: -1, get: values.first().text()})
		return nil
	case class == "PrimitiveNode":
		w.passes = append(w.passes, pass{id: id, slot: -1, in: input{value: values.first()}})
		return nil
	case class == "Note" || class == "MarkdownNote":
		return nil
	}
	g := &gnode{id: id, class: class, title: n.get("title").text()}
	w.widgets(g, n, values)
	for i, in := range n.get("inputs").arr {
		if ins[i].node != "" || ins[i].kind != 0 {
			g.set(in.get("name").text(), ins[i])
		}
	}
	if sub, ok := w.subgraphs[class]; ok {
		return w.subgraph(g, sub, id, n, ins, depth)
	}
	w.nodes[id] = g
	w.order = append(w.order, id)
	return nil
}

// bypass leads each output to the first input of its type.
func (w *editor) bypass(id string, n value, ins []input) {
	for slot, out := range n.get("outputs").arr {
		for i, in := range n.get("inputs").arr {
			if in.get("type").text() == out.get("type").text() && ins[i].node != "" {
				w.passes = append(w.passes, pass{id: id, slot: slot, in: ins[i]})
				break
			}
		}
	}
}

// widgets names a node's positional values.
func (w *editor) widgets(g *gnode, n, values value) {
	if values.isObj() {
		for _, m := range values.obj {
			g.set(m.name, input{value: m.value})
		}
		return
	}
	known, ok := widgets[g.class]
	names := strings.Fields(known)
	if !ok { // newer editors list every widget among the inputs
		for _, in := range n.get("inputs").arr {
			if in.has("widget") {
				names = append(names, in.get("widget").get("name").text())
			}
		}
		if len(names) == 0 && len(values.arr) > 0 {
			w.unnamed = append(w.unnamed, g.class)
		}
	}
	k := 0
	for _, v := range values.arr {
		if k > 0 && k <= len(names) && strings.Contains(names[k-1], "seed") && (v.kind == 'b' || slices.Contains(control, v.str)) {
			continue // what the editor does to the seed after a run
		}
		name := "widget_" + strconv.Itoa(k)
		if k < len(names) {
			name = names[k]
		}
		g.set(name, input{value: v})
		k++
	}
}

// subgraph adds the nodes of a subgraph in place of the node that stands for it.
func (w *editor) subgraph(g *gnode, sub value, id string, n value, ins []input, depth int) error {
	names := []string{}
	for _, in := range sub.get("inputs").arr {
		names = append(names, in.get("name").text())
	}
	from := func(slot int) input {
		if slot < 0 || slot >= len(names) {
			return input{}
		}
		for i, in := range n.get("inputs").arr {
			if in.get("name").text() == names[slot] && (ins[i].node != "" || ins[i].kind != 0) {
				return ins[i]
			}
		}
		return g.in[names[slot]]
	}
	if err := w.add(sub, id+":", from, depth+1); err != nil {
		return err
	}
	for _, l := range sub.get("links").arr { // what leads out
		if l.get("target_id").text() == "-20" {
			slot, _ := l.get("target_slot").integer()
			at, _ := l.get("origin_slot").integer()
			w.passes = append(w.passes, pass{id: id, slot: slot, in: input{node: id + ":" + l.get("origin_id").text(), slot: at}})
		}
	}
	return nil
}

// resolve replaces what comes of nodes of the editor alone by where it comes from.
func (w *editor) resolve() {
	by := map[string][]pass{}
	for _, p := range w.passes {
		by[p.id] = append(by[p.id], p)
	}
	next := func(in input) (input, bool) {
		for _, p := range by[in.node] {
			if p.slot >= 0 && p.slot != in.slot {
				continue
			}
			if p.get != "" {
				return w.sets[p.get], true
			}
			return p.in, true
		}
		return in, false
	}
	for _, id := range w.order {
		n := w.nodes[id]
		for _, name := range n.names {
			in := n.in[name]
			for range 100 {
				to, more := next(in)
				if !more {
					break
				}
				in = to
			}
			n.in[name] = in
		}
	}
}
