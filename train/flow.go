package train

import (
	"cmp"
	"fmt"
	"image"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
)

// A Model is trained by flow matching. Weights carry their
// component as a prefix: dit., t5., clip.; the autoencoder's are apart.
type Model struct {
	Flux        flux.Config
	Vision      vision.Config // of an IP-Adapter's training: the rest has none
	IP          flux.IPConfig
	T5          text.T5Config
	CLIP        text.CLIPConfig
	VAE         vae.Config
	Autoencoder map[string]tensor.Tensor
	Weights     map[string]tensor.Tensor // to start from; nil starts at random
	Text        Text
}

// Flow trains the transformer by flow matching (x_σ = (1−σ)·x₀ + σ·ε, the model
// predicts ε − x₀): all weights and the text encoders' with them, or, where the
// recipe has a rank, a LoRA on the linear layers of the blocks and nothing else.
//
// Entities enter as in inference: their own text segments and regional
// attention, here in its dense form, since sequences are short.
//
// Where the recipe has pairs, a share of the steps sees them: two panels that show one
// object, half as many as there are samples in other steps. A pair counts as two pictures.
//
// Where it has image prompts, the IP-Adapter is trained as well: the caption of such a share
// of the other steps' samples doesn't say the style, and a picture shows it, as IP tells.
// The rest doesn't meet the adapter, and the vision tower is frozen.
func Flow(backend compute.Backend, m Model, r eligen.Recipe, samples, panels Pictures) (t Task, err error) {
	f := &flowTask{m: m, r: r}
	if f.data, err = samples.records(backend, m, r.Size); err != nil {
		return Task{}, err
	}
	if r.Pairs > 0 {
		if f.pairs, err = panels.records(backend, m, twoPanels(r.Size)); err != nil {
			return Task{}, err
		}
		f.pairs.pairs = true
	}
	t = Task{Pictures: r.Batch, Batch: f.batch, Loss: f.loss}
	if r.ImagePrompts > 0 {
		f.data.styles = append([]string{annotated.DefaultStyle}, slices.Sorted(maps.Keys(r.Styles))...)
		if f.seen, err = pool(samples.Samples, f.data.styles, references); err != nil {
			return Task{}, err
		}
		t.Params = m.started(m.adapterParams())
		for _, p := range m.visionParams() {
			t.Frozen = append(t.Frozen, tensor.Named{Name: p.Name, Tensor: m.Weights[p.Name]})
		}
	}
	if r.Rank == 0 {
		for _, p := range m.Params() {
			if w, ok := m.Weights[p.Name]; ok {
				p.Init = w.Data
			}
			t.Params = append(t.Params, p)
		}
	} else if t.Params, t.Frozen, err = m.lora(r); err != nil {
		return Task{}, err
	}
	t.Params = append(t.Params, m.headParams(r)...)
	return t, nil
}

// A flowTask is a training of Flow's, with the records that it sees.
type flowTask struct {
	m     Model
	r     eligen.Recipe
	data  *records
	pairs *records         // nil for none
	seen  [][]*image.NRGBA // pictures that show the styles; nil for none
}

func (f *flowTask) batch(step int) ([]*tensors.Tensor, error) {
	r := f.r
	// Evenly spread: one step in four, say, and not one in four by chance.
	if f.pairs != nil && math.Floor(r.Pairs*float64(step+1)) > math.Floor(r.Pairs*float64(step)) {
		r.Batch = max(1, r.Batch/2)
		return pairBatch(f.pairs, r, step, false)
	}
	if f.seen == nil {
		return flowBatch(f.data, r, step, nil)
	}
	g := newTowerBatch(f.m, r, step, f.seen)
	in, err := flowBatch(f.data, r, step, func(b *batch) {
		if !b.shown {
			g.skip()
			return
		}
		style := int(b.get("style")[0])
		g.show(style, b.bare, style == 0) // the first style goes without saying
	})
	if err != nil {
		return nil, err
	}
	return append(in, g.tensors()...), nil
}

func (f *flowTask) loss(w nn.Weights, nodes []*Node) (*Node, map[string]*Node) {
	m, r := f.m, f.r
	if r.Rank > 0 {
		w = m.Beside(w, r.Rank)
	}
	in := inputsOf(nodes)
	if !in.pairs() {
		r.Across = 0 // there is no other panel
		if r.Window == (eligen.Size{}) {
			in.origin = nil
		}
	}
	measures := map[string]*Node{}
	v, heads := m.ask(w, r, in, measures, func(trace func(string, *Node)) *Node {
		return m.velocity(w, in.noisy(), in.timestep(), in.conditions, trace, m.shown(w, nodes[given:])...)
	})
	d := Square(Sub(v, in.target())) // [B,16,h,w]
	measures["mse"] = ReduceAllMean(d)
	return Add(ReduceAllMean(Mul(d, in.weight)), heads), measures
}

// Pictures are a training's: samples, how many of them, and the folder that
// their latents are kept in.
type Pictures struct {
	Samples annotated.Samples
	N       int
	Cache   string
}

// lora returns the factors of a LoRA on the linear layers of the blocks, as they start,
// and what they lie over.
func (m Model) lora(r eligen.Recipe) (params []Param, frozen []tensor.Named, err error) {
	rng := rand.New(rand.NewPCG(r.Seed, 0x10a))
	for _, p := range m.Params() {
		w, ok := m.Weights[p.Name]
		if !ok {
			return nil, nil, fmt.Errorf("a LoRA needs a trained model to lie over, and the tensor %q is missing", p.Name)
		}
		frozen = append(frozen, tensor.Named{Name: p.Name, Tensor: w})
		if a, b, ok := LoRANames(p.Name); ok {
			down := make([]float32, r.Rank*p.Shape[1])
			bound := 1 / math.Sqrt(float64(p.Shape[1])) // PEFT's Kaiming-uniform with a=√5
			for i := range down {
				down[i] = float32((2*rng.Float64() - 1) * bound)
			}
			up := make([]float32, p.Shape[0]*r.Rank)
			for name, start := range map[string]*[]float32{a: &down, b: &up} {
				if w, ok := m.Weights[name]; ok && len(w.Data) == len(*start) {
					*start = w.Data
				}
			}
			params = append(params, Param{a, []int{r.Rank, p.Shape[1]}, down}, Param{b, []int{p.Shape[0], r.Rank}, up})
		}
	}
	return params, frozen, nil
}

// Params lists every weight of the transformer and the text encoders.
func (m Model) Params() []Param {
	var out []Param
	for _, w := range m.Flux.Weights() {
		out = append(out, Param{Name: "dit." + w.Name, Shape: w.Shape})
	}
	for _, w := range m.T5.Weights() {
		out = append(out, Param{Name: "t5." + w.Name, Shape: w.Shape})
	}
	for _, w := range m.CLIP.Weights() {
		out = append(out, Param{Name: "clip." + w.Name, Shape: w.Shape})
	}
	return out
}

// velocity runs text encoders and transformer: x [B,16,h,w], timestep [B]. pictures is
// what each block sees of image prompts, or nothing; trace may be nil.
func (m Model) velocity(w nn.Weights, x, timestep *Node, c conditions, trace func(string, *Node), pictures ...flux.KeyValue) *Node {
	d := c.entities.Shape().Dimensions
	txt := text.T5(w.In("t5"), m.T5, c.prompt)                               // [B,T,D]
	local := text.T5(w.In("t5"), m.T5, Reshape(c.entities, d[0]*d[1], d[2])) // [B·N,Te,D]
	in := flux.Input{
		Latents: x, Timestep: timestep, Txt: txt, Vec: text.CLIP(w.In("clip"), m.CLIP, c.clip), Origin: c.origin, Pictures: pictures,
		Trace:    trace,
		Entities: []flux.Entities{{Txt: Reshape(local, d[0], d[1], d[2], -1), Members: c.members}},
	}
	if m.Flux.Guidance {
		in.Guidance = OnesLike(timestep) // as the reference trains
	}
	return flux.Velocity(w.In("dit"), m.Flux, in)
}

// Adapted lays a LoRA of w over w's own weights: W + B·A.
func Adapted(w nn.Weights, rank int) nn.Weights {
	return func(name string) *Node {
		n := w(name)
		a, b, ok := LoRANames(name)
		if !ok {
			return n
		}
		return Add(n, DotGeneral(w(b), []int{1}, nil, w(a), []int{0}, nil))
	}
}

// Beside keeps a LoRA of w unmerged: layers make W·x + B·(A·x). A
// gradient of W + B·A would have the size of W and be as much work as the layer
// itself; this way none is made. It is for graphs of Velocity, whose last block
// cuts one weight: that one is Adapted.
func (m Model) Beside(w nn.Weights, rank int) nn.Weights {
	adapted, seen := Adapted(w, rank), map[string]*Node{}
	cut := fmt.Sprintf("dit.single_blocks.%d.linear1.weight", m.Flux.Single-1)
	return func(name string) *Node {
		if n, ok := seen[name]; ok {
			return n
		}
		n := w(name)
		if a, b, ok := LoRANames(name); ok && name == cut {
			n = adapted(name)
		} else if ok {
			nn.Attach(n, name, []nn.Update{{A: w(a), B: w(b), S: Const(n.Graph(), float32(1))}})
		}
		seen[name] = n
		return n
	}
}

// LoRANames returns the names of a weight's LoRA factors, in the reference's own
// spelling, and whether EliGen's LoRA adapts it: modulations, attention
// projections and MLPs of the double blocks, all three linears of the single ones.
func LoRANames(name string) (a, b string, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) < 5 || parts[0] != "dit" || parts[len(parts)-1] != "weight" {
		return "", "", false
	}
	module := strings.Join(parts[3:len(parts)-1], ".")
	var native string
	switch parts[1] {
	case "double_blocks":
		native = map[string]string{
			"img_mod.lin": "norm1_a.linear", "txt_mod.lin": "norm1_b.linear",
			"img_attn.qkv": "attn.a_to_qkv", "txt_attn.qkv": "attn.b_to_qkv",
			"img_attn.proj": "attn.a_to_out", "txt_attn.proj": "attn.b_to_out",
			"img_mlp.0": "ff_a.0", "img_mlp.2": "ff_a.2", "txt_mlp.0": "ff_b.0", "txt_mlp.2": "ff_b.2",
		}[module]
		native = "blocks." + parts[2] + "." + native
	case "single_blocks":
		native = map[string]string{"modulation.lin": "norm.linear", "linear1": "to_qkv_mlp", "linear2": "proj_out"}[module]
		native = "single_blocks." + parts[2] + "." + native
	}
	if native == "" || strings.HasSuffix(native, ".") {
		return "", "", false
	}
	return native + ".lora_A.weight", native + ".lora_B.weight", true
}

// flowBatch draws a step's inputs: samples and their conditions, what part of them is
// seen, timesteps and noise. each, which may be nil, is shown every sample.
func flowBatch(data *records, r eligen.Recipe, step int, each func(b *batch)) ([]*tensors.Tensor, error) {
	seen, count := r.Size, MaxEntities
	if r.Window != (eligen.Size{}) {
		seen, count = r.Window, windowEntities
	}
	lw, lh := seen.W/8, seen.H/8
	s := lw / 2 * (lh / 2)
	b, err := drawBatch(data, r, step, func(b *batch) {
		if each != nil {
			each(b)
		}
		w := window{W: r.Size.W / 16, H: r.Size.H / 16, w: lw / 2, h: lh / 2}
		if seen != r.Size {
			w.look(b.rng, b.get("members"))
		}
		b.origin = append(b.origin, int32(w.y), int32(w.x))
		b.noised(lw, 0)
		b.x0 = append(b.x0, w.cut(b.get("latents"), 2)...)
		m, places := w.cut(b.get("members"), 1), w.cut(within(b.get("members"), w.W, w.H), 1)
		where := make([]float32, 3*s)
		texts := b.get("entities")
		te := len(texts) / MaxEntities
		for _, e := range largest(m, s)[:count] {
			ids(&b.entities, texts[e*te:(e+1)*te])
			row := m[e*s : (e+1)*s]
			if b.unseen() {
				clear(row)
			}
			b.members = append(b.members, row...)
			put(where, row, places[2*e*s:(2*e+1)*s], places[(2*e+1)*s:(2*e+2)*s])
		}
		b.where = append(b.where, where...)
		b.object, b.seen = append(b.object, make([]float32, b.data.z)...), append(b.seen, make([]float32, s)...)
		lossWeight := b.sigma()
		up := 1.0
		if r.Objects > 0 {
			up = r.Objects
		}
		for _, o := range w.cut(b.get("objects"), 2) {
			b.weight = append(b.weight, float32(lossWeight*(1+(up-1)*float64(o))))
		}
	})
	if err != nil {
		return nil, err
	}
	return b.tensors(lh, lw, count), nil
}

// windowEntities is the number of entities in a sample that shows a window:
// those that take up most of it.
const windowEntities = 3

// A window is the part of a picture that a sample shows, in image tokens.
// Positions count from the picture's own corner, so that what is learnt in
// windows holds for whole pictures, at a fraction of their cost: to the
// transformer, a window is a picture of which the rest isn't there.
type window struct{ W, H, x, y, w, h int }

// look chooses where the window is: mostly at an entity, of members [N,H·W].
func (w *window) look(rng *rand.Rand, members []float32) {
	x, y := rng.IntN(w.W-w.w+1), rng.IntN(w.H-w.h+1)
	e := rng.IntN(MaxEntities)
	if !w.near(rng, members[e*w.W*w.H:(e+1)*w.W*w.H], 0, w.W) {
		w.x, w.y = x, y
	}
}

// near puts the window at a region [H·W], inside the columns from … to; false if the
// region is empty.
func (w *window) near(rng *rand.Rand, region []float32, from, to int) bool {
	var sx, sy, n int
	for i, on := range region {
		if on != 0 {
			sx, sy, n = sx+i%w.W, sy+i/w.W, n+1
		}
	}
	if n == 0 {
		return false
	}
	// A third of the window off the region's middle at most.
	x := sx/n - w.w/2 + rng.IntN(2*(w.w/3)+1) - w.w/3
	y := sy/n - w.h/2 + rng.IntN(2*(w.h/3)+1) - w.h/3
	w.x, w.y = max(from, min(x, to-w.w)), max(0, min(y, w.H-w.h))
	return true
}

// cut returns the window's part of channels [..,H·k,W·k]: [..,h·k,w·k].
func (w *window) cut(x []float32, k int) []float32 {
	if w.w == w.W && w.h == w.H {
		return append([]float32(nil), x...)
	}
	plane := w.W * w.H * k * k
	out := make([]float32, 0, len(x)/plane*w.w*w.h*k*k)
	for from := 0; from < len(x); from += plane {
		for y := w.y * k; y < (w.y+w.h)*k; y++ {
			at := from + y*w.W*k + w.x*k
			out = append(out, x[at:at+w.w*k]...)
		}
	}
	return out
}

// largest orders the entities of members [N,S] by how many tokens they have.
func largest(members []float32, s int) []int {
	order, tokens := make([]int, MaxEntities), make([]float32, MaxEntities)
	for e := range order {
		order[e] = e
		for _, on := range members[e*s : (e+1)*s] {
			tokens[e] += on
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(tokens[b], tokens[a]) })
	return order
}

func floats(ids []int32) []float32 {
	out := make([]float32, len(ids))
	for i, x := range ids {
		out[i] = float32(x)
	}
	return out
}

func (r *records) empty() []float32     { return floats(r.text.T5("", r.text.Length)) }
func (r *records) emptyCLIP() []float32 { return floats(r.text.CLIP("", r.text.CLIPLength)) }

// drawSigma draws a noise level in (0, 1), and its loss weight.
func drawSigma(rng *rand.Rand, r eligen.Recipe) (sigma, weight float64) {
	switch r.Timesteps {
	case "uniform":
		sigma = rng.Float64()
	case "reference":
		// The reference's table: 1000 steps, shift 3.
		const low = 0.003 / 1.002
		u := 1 - (1-low)*float64(rng.IntN(1000))/999
		sigma = 3 * u / (1 + 2*u)
	default: // logit-normal, Esser et al. 2024
		sigma = 1 / (1 + math.Exp(-rng.NormFloat64()))
	}
	weight = 1
	if r.Weighting == "reference" {
		weight = referenceWeight(1000 * sigma)
	}
	return sigma, weight
}

// referenceWeight is the reference's loss weight of a timestep: a bell around
// 500, zero at 1000, mean 1 over its own table.
var referenceWeight = func() func(t float64) float64 {
	bell := func(t float64) float64 { x := (t - 500) / 1000; return math.Exp(-2 * x * x) }
	const low = 0.003 / 1.002
	sum, least := 0.0, math.Inf(1)
	var all []float64
	for i := range 1000 {
		u := 1 - (1-low)*float64(i)/999
		y := bell(1000 * 3 * u / (1 + 2*u))
		all = append(all, y)
		least = min(least, y)
	}
	for _, y := range all {
		sum += y - least
	}
	return func(t float64) float64 { return (bell(t) - least) * 1000 / sum }
}()

// Preview draws pictures from the weights of a running training: every sample
// by its global prompt alone in the upper row, with its entities in the lower.
func Preview(backend compute.Backend, m Model, r eligen.Recipe, samples annotated.Samples, n, steps int,
	cfg float64) (func(weights map[string]tensor.Tensor, path string) error, error) {
	d := drawing{m: m, size: r.Size, entities: MaxEntities, steps: steps, cfg: cfg, rank: r.Rank, noises: n}
	var truth []*image.NRGBA
	for _, regional := range []bool{false, true} {
		for i := range n {
			s, err := samples(i)
			if err != nil {
				return nil, err
			}
			if d.add(s, regional); !regional {
				truth = append(truth, s.Image)
			}
		}
	}
	return func(weights map[string]tensor.Tensor, path string) error {
		pix, err := d.run(backend, weights)
		if err != nil {
			return err
		}
		var rows [2][]*image.NRGBA
		for k := range 2 * n {
			rows[k/n] = append(rows[k/n], d.picture(pix, k))
		}
		return sheet(path, r.Size, rows[0], rows[1], truth)
	}, nil
}
