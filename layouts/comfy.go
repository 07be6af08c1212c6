package layouts

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A cond is one text of a conditioning, and where it holds.
type cond struct {
	words    string
	clip     string // FLUX's other text
	shape    *shape
	strength *float64
	node     string // that places it
}

// A pass over a graph, from one sampler.
type walk struct {
	*reader
	g        *graph
	s        *Scene
	negative bool
	used     map[string]bool
	canvas   *Canvas
}

var weighted = regexp.MustCompile(`\([^()]*:\s*[0-9.]+\s*\)`)

// weights says that prompts have attention weights.
func (r *reader) weights(s *Scene) {
	found := s.Prompt != nil && weighted.MatchString(*s.Prompt)
	for _, e := range s.Entities {
		found = found || e.Prompt != nil && weighted.MatchString(*e.Prompt)
	}
	if found || weighted.MatchString(s.Negative) {
		r.say("prompts have attention weights such as (word:1.2), which FLUX does not read: the scene has the words without them")
	}
}

// isSampler reports whether a node denoises: it has a latent, and conditions or a guider.
func (n *gnode) isSampler() bool {
	linked := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return n.in[name].node != "" })
	}
	return linked("latent_image", "latent", "samples") &&
		(linked("positive") && linked("model") || linked("guider") || linked("conditioning") && linked("model"))
}

// comfy reads a graph: the scene of the sampler that has regions.
func (r *reader) comfy(g *graph) error {
	if len(g.order) > 5000 {
		return errTooMuch
	}
	if done, err := r.boxNodes(g); done || err != nil {
		return err
	}
	var best *walk
	var samplers []*gnode
	for _, id := range g.order {
		if n := g.nodes[id]; n.isSampler() {
			samplers = append(samplers, n)
		}
	}
	for _, n := range samplers {
		w, err := r.sampler(g, n)
		if err != nil {
			return err
		}
		if best == nil || len(w.s.Entities) > len(best.s.Entities) ||
			len(w.s.Entities) == len(best.s.Entities) && g.reached(g.nodes[best.s.Name])[n.id] {
			best = w
		}
	}
	if best == nil {
		return fmt.Errorf("the graph has no sampler, and no boxes")
	}
	at := best.s.Name
	best.s.Name = r.stem()
	for _, n := range samplers {
		if n.id != at && len(best.s.Entities) > 0 && g.reached(n)[at] {
			r.say("node %s (%s) paints a second pass, without these regions: they belong to node %s, and so does the canvas; the pass is not taken",
				n.id, n.class, at)
		}
	}
	r.unused(g, samplers)
	best.freeFuse()
	if len(best.s.Entities) == 0 {
		r.say("the graph has no regions: a scene without entities")
	}
	r.weights(best.s)
	r.Scenes = append(r.Scenes, *best.s)
	return nil
}

// unused says which nodes with words nothing needs.
func (r *reader) unused(g *graph, samplers []*gnode) {
	used := g.reached(samplers...)
	var idle []string
	for _, id := range g.order {
		n := g.nodes[id]
		if !used[id] && (strings.HasPrefix(n.class, "CLIPTextEncode") || strings.HasPrefix(n.class, "ConditioningSet")) {
			idle = append(idle, id+" ("+n.class+")")
		}
	}
	if len(idle) > 0 {
		r.say("nodes that no sampler uses, left out: %s", some(idle))
	}
}

// sampler reads what one sampler denoises. The scene's name is the sampler's node.
func (r *reader) sampler(g *graph, n *gnode) (*walk, error) {
	s := &Scene{Name: n.id}
	w := &walk{reader: r, g: g, s: s, used: map[string]bool{}}
	s.Canvas = r.canvas(w.latent(n, 0))
	w.canvas = s.Canvas
	s.Seed, s.Steps, s.CFG = w.seed(n, "seed", "noise_seed"), n.in["steps"].intPtr(), n.in["cfg"].floatPtr()
	if s.Seed == nil {
		if noise, _ := g.to(n, "noise"); noise != nil {
			s.Seed = w.seed(noise, "noise_seed", "seed")
		}
	}
	if sigmas, _ := g.to(n, "sigmas"); sigmas != nil {
		s.Steps = w.number(sigmas, "steps", 0).intPtr()
	}
	from := n
	if guider, _ := g.to(n, "guider"); guider != nil {
		from = guider
		if s.CFG == nil {
			s.CFG = guider.in["cfg"].floatPtr()
		}
	}
	conds, err := w.conds(from, 0, []string{"positive", "conditioning"})
	if err != nil {
		return nil, err
	}
	more, err := w.model(from)
	if err != nil {
		return nil, err
	}
	w.take(append(conds, more...))
	w.negative = true
	out, err := w.conds(from, 0, []string{"negative", "neg_conditioning"})
	if err != nil {
		return nil, err
	}
	for _, c := range out {
		if s.Negative == "" {
			s.Negative = c.words
		}
	}
	if s.Canvas == nil && slices.ContainsFunc(s.Entities, func(e Entity) bool { return e.shape.pixels }) {
		r.ask("--size WxH", "the boxes are pixels, and the graph gives no size of the latent")
	}
	return w, nil
}

// take makes a scene of conditions: those with a place are entities, the others the prompt.
func (w *walk) take(list []cond) {
	var prompt []string
	for _, c := range list {
		if c.shape == nil {
			if !blank(c.words) && !slices.Contains(prompt, c.words) {
				prompt = append(prompt, c.words)
			}
			if c.clip != "" && c.clip != c.words {
				w.s.ClipPrompt = c.clip
			}
			continue
		}
		e := Entity{Prompt: text(c.words), Node: c.node, Strength: c.strength, shape: *c.shape}
		w.s.Entities = append(w.s.Entities, e)
	}
	if len(prompt) > 0 {
		w.s.Prompt = text(strings.Join(prompt, ", "))
	}
	if w.s.ClipPrompt != "" {
		w.say("FLUX has two texts: t5xxl is the prompt, clip_l holds another one, which has no counterpart")
	}
}

// str returns the text of an input, through the nodes that make it.
func (w *walk) str(n *gnode, name string, depth int) string {
	in := n.in[name]
	if in.node == "" {
		return in.text()
	}
	to := w.g.nodes[in.node]
	if to == nil || depth > 50 || !w.g.step() {
		return ""
	}
	w.say("texts come through other nodes (such as %s): their words are taken, and not those that the text node itself still shows", to.class)
	sep := ""
	for _, s := range []string{"separator", "delimiter", "linebreak_addition"} {
		if v, ok := to.in[s]; ok {
			sep = v.text()
		}
	}
	var parts []string
	for _, name := range to.names {
		switch name {
		case "separator", "delimiter", "clean_whitespace", "strip_newlines", "linebreak_addition":
			continue
		}
		in := to.in[name]
		if in.kind == 's' || in.node != "" {
			if t := w.str(to, name, depth+1); t != "" {
				parts = append(parts, t)
			}
		}
	}
	if !joins(to.class) && len(parts) > 1 {
		parts = parts[:1]
	}
	out := strings.Join(parts, sep)
	return out[:min(len(out), 1<<16)]
}

// joins reports whether a node puts texts together.
func joins(class string) bool {
	c := strings.ToLower(class)
	return strings.Contains(c, "concat") || strings.Contains(c, "join") || strings.Contains(c, "combine") || strings.Contains(c, "append")
}

// number returns a number of an input, through a node that holds one.
func (w *walk) number(n *gnode, name string, depth int) value {
	in := n.in[name]
	if in.node == "" {
		return in.value
	}
	to := w.g.nodes[in.node]
	if to == nil || depth > 50 || !w.g.step() {
		return value{}
	}
	for _, name := range []string{"value", "int", "number", "Number", "seed", "noise_seed", "widget_0"} {
		if _, ok := to.in[name]; ok {
			return w.number(to, name, depth+1)
		}
	}
	return value{}
}

func (w *walk) seed(n *gnode, names ...string) *uint64 {
	for _, name := range names {
		if s := w.number(n, name, 0).seed(); s != nil {
			return s
		}
	}
	return nil
}

// latent returns the size of a sampler's latent.
func (w *walk) latent(n *gnode, depth int) *Canvas {
	if depth > 50 || !w.g.step() {
		return nil
	}
	to, _ := w.g.to(n, "latent_image", "latent", "samples", "pixels", "image", "images")
	if to == nil {
		return nil
	}
	if c, err := sizeOf(w.number(to, "width", 0), w.number(to, "height", 0)); err == nil && c != nil {
		return c
	}
	c := w.latent(to, depth+1)
	if by, ok := to.in["scale_by"].number(); ok && c != nil && by > 0 && by < 64 {
		c = &Canvas{int(float64(c.W) * by), int(float64(c.H) * by), c.From}
	}
	return c
}

// conds returns the conditions that lead into a node.
func (w *walk) conds(n *gnode, depth int, names []string) ([]cond, error) {
	to, _ := w.g.to(n, names...)
	if to == nil {
		return nil, nil
	}
	if depth > 100 || !w.g.step() {
		return nil, errTooMuch
	}
	return w.condition(to, depth+1)
}

// condition returns the conditions that a node gives.
func (w *walk) condition(n *gnode, depth int) ([]cond, error) {
	w.used[n.id] = true
	if g, ok := n.in["guidance"].number(); ok && !w.negative && w.s.Guidance == nil {
		w.s.Guidance = value{kind: 'n', num: fmt.Sprint(g)}.floatPtr()
	}
	inner := func(names ...string) ([]cond, error) { return w.conds(n, depth, names) }
	switch {
	case n.class == "ConditioningZeroOut":
		return nil, nil
	case strings.HasPrefix(n.class, "ConditioningSetArea") || n.class == "ConditioningSetMask":
		list, err := inner("conditioning")
		if err != nil {
			return nil, err
		}
		return w.placed(n, list)
	case n.class == "GLIGENTextBoxApply":
		list, err := inner("conditioning_to")
		if err != nil {
			return nil, err
		}
		box, err := w.area(n)
		return append(list, cond{words: w.str(n, "text", 0), shape: box, node: n.id}), err
	case n.class == "ConditioningConcat":
		return w.concat(inner)
	case n.class == "ConditioningAverage":
		w.say("node %s mixes two conditions: only the one that it mixes into is taken", n.id)
		return inner("conditioning_to")
	case strings.HasPrefix(n.class, "RegionAttention"):
		list, err := inner("condition", "conditioning")
		if err != nil {
			return nil, err
		}
		more, err := w.regions(n, depth)
		return append(list, more...), err
	}
	if c, ok := w.words(n); ok {
		return []cond{c}, nil
	}
	return w.through(n, depth)
}

// concat joins the words of two conditions.
func (w *walk) concat(inner func(...string) ([]cond, error)) ([]cond, error) {
	to, err := inner("conditioning_to")
	if err != nil {
		return nil, err
	}
	from, err := inner("conditioning_from")
	for _, f := range from {
		if len(to) > 0 {
			to[0].words = strings.Trim(to[0].words+", "+f.words, ", ")
		}
	}
	return to, err
}

// words returns the texts of a node that encodes some.
func (w *walk) words(n *gnode) (cond, bool) {
	has := func(name string) bool { _, ok := n.in[name]; return ok }
	switch {
	case has("t5xxl"):
		return cond{words: w.str(n, "t5xxl", 0), clip: w.str(n, "clip_l", 0)}, true
	case has("text_g"):
		return cond{words: w.str(n, "text_g", 0)}, true
	case has("text") && (has("clip") || strings.Contains(n.class, "Encode")):
		return cond{words: w.str(n, "text", 0)}, true
	case has("prompt") && strings.Contains(n.class, "Encode"):
		return cond{words: w.str(n, "prompt", 0)}, true
	}
	return cond{}, false
}

// through follows all conditions into a node that changes or combines them.
func (w *walk) through(n *gnode, depth int) ([]cond, error) {
	var out []cond
	for _, name := range n.names {
		low := strings.ToLower(name)
		no, yes := strings.Contains(low, "negative"), strings.Contains(low, "positive")
		if n.in[name].node == "" || (no || yes) && no != w.negative {
			continue
		}
		if slices.ContainsFunc([]string{"cond", "base_cond", "positive", "negative"}, func(p string) bool { return strings.HasPrefix(low, p) }) {
			list, err := w.conds(n, depth, []string{name})
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
	}
	switch n.class {
	case "ConditioningCombine", "FluxGuidance", "FluxDeGuidance", "BasicGuider", "CFGGuider", "ConditioningMultiCombine":
	default:
		if !w.negative {
			w.say("node %s (%s) is not understood: the conditions that lead into it are taken as they are", n.id, n.class)
		}
	}
	return out, nil
}

// freeFuse asks for places of things that a tool finds by itself.
func (w *walk) freeFuse() {
	for _, id := range w.g.order {
		n := w.g.nodes[id]
		if n.class != "FreeFuseConceptMap" {
			continue
		}
		for k := 1; n.in[fmt.Sprintf("concept_text_%d", k)].kind == 's'; k++ {
			words := w.str(n, fmt.Sprintf("concept_text_%d", k), 0)
			if blank(words) {
				continue
			}
			e := Entity{Prompt: text(words)}
			e.shape.kind = "none"
			name := w.str(n, fmt.Sprintf("adapter_name_%d", k), 0)
			for _, a := range w.s.Adapters {
				if a.Name == name {
					e.Adapters = append(e.Adapters, a)
				}
			}
			e.Name = name
			w.s.Entities = append(w.s.Entities, e)
		}
		w.s.Adapters = nil
		if t := w.str(n, "background_text", 0); !blank(t) {
			w.s.Background = t
		}
		w.Convention.Order, w.Convention.Unit = "-", "none: the tool finds regions by itself while it paints"
		if w.placeless() {
			w.ask("--place NAME=x0,y0,x1,y1 for each", "entities have words and a LoRA each, but no place")
		}
	}
}

// placeless reports whether an entity has no place, of the file or of a flag.
func (w *walk) placeless() bool {
	for i := range w.s.Entities {
		if e := &w.s.Entities[i]; e.shape.kind == "none" && w.placeOf(e, i) == "" {
			return true
		}
	}
	return false
}
