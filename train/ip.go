package train

import (
	"fmt"
	"image"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vision"
)

const (
	// references is how many pictures of each style samples are shown parts of.
	references = 1280
	// leastPart and leastShown are how small the parts are that a tower and an adapter
	// are shown. A style is in all of a picture, and a tower that sees whole ones alone, or
	// the same parts again and again, learns them by heart. But the smaller a part is, the
	// more of them show no object, and no style: an adapter learns nothing from those.
	leastPart, leastShown = 0.5, 0.9
)

// Vision trains the vision tower of image prompts by itself, as SigLIP was, only between
// pictures: its vectors of parts of two pictures are to be alike where the pictures have
// one style, and else not. Nothing else is drawn alike in the pictures of a style.
func Vision(m Model, r eligen.Recipe, samples annotated.Samples) (Task, error) {
	styles := append([]string{annotated.DefaultStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	seen, err := pool(samples, styles, references)
	if err != nil {
		return Task{}, err
	}
	t := Task{Pictures: r.Batch, Params: m.started(m.visionParams())}
	t.Batch = func(step int) ([]*tensors.Tensor, error) {
		g := newTowerBatch(m, r, step, seen)
		for range r.Batch {
			g.see(g.rng.IntN(len(seen)), leastPart)
		}
		return []*tensors.Tensor{g.pictures(), tensors.FromFlatDataAndDimensions(g.styles, r.Batch)}, nil
	}
	t.Loss = func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
		loss, right := together(vision.SigLIP(w.In("vision"), m.Vision, in[0], nil), in[1])
		return loss, map[string]*Node{"pairs": right}
	}
	return t, nil
}

// shown returns what every block sees of image prompts, of a towerBatch's tensors; nothing where
// there are none.
func (m Model) shown(w nn.Weights, towerBatch []*Node) []flux.KeyValue {
	if len(towerBatch) == 0 {
		return nil
	}
	vec := StopGradient(vision.SigLIP(w.In("vision"), m.Vision, towerBatch[0], nil))
	out := m.pictures(w, Mul(vec, towerBatch[1]))
	for i := range out {
		out[i] = out[i].Scaled(BroadcastToDims(towerBatch[2], towerBatch[2].Shape().Dim(0), m.IP.Tokens))
	}
	return out
}

// started returns parameters that start from the model's weights, where it has them.
func (m Model) started(params []Param) []Param {
	for i, p := range params {
		if w, ok := m.Weights[p.Name]; ok {
			params[i].Init = w.Data
		}
	}
	return params
}

// IP trains an IP-Adapter, over a frozen model with EliGen's LoRA fused into it and a
// frozen vision tower. A sample is a picture with its prompts and entities; the image
// prompt is another picture of the same style, which no caption names. What is to be
// learnt is the style, since it is all that the two have in common.
//
// Where there is no image prompt the adapter is shown a vector of zeros, as the
// negative side is in inference: that stands for the style which goes without
// saying, and, where the prompt is dropped too, for any.
//
// What it learns from are the pictures themselves, or, as far as the recipe says by its
// words, what the model draws where the caption says the style: that has no noise of its
// own to be averaged out. Then a sample without a prompt is shown no picture, since no
// words ask for a style there.
func IP(backend compute.Backend, m Model, r eligen.Recipe, pictures Pictures) (Task, error) {
	samples := pictures.Samples
	data, err := pictures.records(backend, m, r.Size)
	if err != nil {
		return Task{}, err
	}
	data.styles = append([]string{annotated.DefaultStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	seen, err := pool(samples, data.styles, references)
	if err != nil {
		return Task{}, err
	}
	t := Task{Pictures: r.Batch}
	t.Params = m.started(m.adapterParams())
	for _, p := range append(m.Params(), m.visionParams()...) {
		t.Frozen = append(t.Frozen, tensor.Named{Name: p.Name, Tensor: m.Weights[p.Name]})
	}
	t.Batch = func(step int) ([]*tensors.Tensor, error) {
		g := newTowerBatch(m, r, step, seen)
		var said, clip []int32
		in, err := flowBatch(data, r, step, func(b *batch) {
			style := int(b.get("style")[0])
			g.show(style, b.bare && r.Words > 0, b.bare || style == 0)
			b.say(saidFields, &said, &clip)
		})
		if err != nil {
			return nil, err
		}
		return append(append(in, g.tensors()...),
			tensors.FromFlatDataAndDimensions(said, r.Batch, m.Text.Length),
			tensors.FromFlatDataAndDimensions(clip, r.Batch, m.Text.CLIPLength)), nil
	}
	t.Loss = func(w nn.Weights, nodes []*Node) (*Node, map[string]*Node) {
		in, more := inputsOf(nodes), nodes[given:] // a towerBatch, and prompts that say the style
		if r.Window == (eligen.Size{}) {
			in.origin = nil
		}
		v := m.velocity(w, in.noisy(), in.timestep(), in.conditions, nil, m.shown(w, more[:3])...)
		target := in.target()
		if r.Words > 0 {
			worded := in.conditions
			worded.prompt, worded.clip = more[3], more[4]
			v := m.velocity(w, in.noisy(), in.timestep(), worded, nil)
			target = StopGradient(Add(MulScalar(v, r.Words), MulScalar(target, 1-r.Words)))
		}
		d := Square(Sub(v, target))
		return ReduceAllMean(Mul(d, in.weight)), map[string]*Node{"mse": ReduceAllMean(d)}
	}
	return t, nil
}

// together returns the loss that SigLIP trains with, between pictures: vectors [B,D] of one
// style should point the same way, others apart. right is the share of pairs that do.
// As many pairs as there are of the one kind count as all of the other.
func together(vec, style *Node) (loss, right *Node) {
	const steep, middle = 10, 0.5 // how sure a cosine is, and the one that says neither
	unit := Div(vec, Sqrt(AddScalar(ReduceAndKeep(Square(vec), ReduceSum, -1), 1e-6)))
	cos := DotGeneral(unit, []int{1}, nil, unit, []int{1}, nil) // [B,B]
	b := style.Shape().Dim(0)
	same := ConvertDType(Equal(BroadcastToDims(Reshape(style, b, 1), b, b), BroadcastToDims(Reshape(style, 1, b), b, b)), cos.DType())
	z := Mul(AddScalar(MulScalar(same, 2), -1), MulScalar(AddScalar(cos, -middle), steep))
	each := Log(AddScalar(Exp(Neg(z)), 1))
	mean := func(of, where *Node) *Node {
		return Div(ReduceAllSum(Mul(of, where)), AddScalar(ReduceAllSum(where), 1e-6))
	}
	positive := ConvertDType(GreaterThan(z, ZerosLike(z)), cos.DType())
	return MulScalar(Add(mean(each, same), mean(each, OneMinus(same))), 0.5),
		MulScalar(Add(mean(positive, same), mean(positive, OneMinus(same))), 0.5)
}

// image returns the model that an IP-Adapter lies over, EliGen's LoRA fused into it, and
// what there is of the adapter.
func (m Model) image(s Start) (Model, error) {
	m, _, err := m.withEliGen()
	if err != nil {
		return m, err
	}
	return m.sees(s)
}

// sees returns the model with the vision tower of s, and with what there is of its adapter.
func (m Model) sees(s Start) (Model, error) {
	m.Vision, m.IP, m.Weights = s.Vision, s.IP, maps.Clone(m.Weights)
	for _, p := range m.visionParams() {
		w, ok := s.Model[p.Name]
		if !ok {
			return m, fmt.Errorf("an IP-Adapter is trained on what a vision tower sees, and this model has none: train it first, with " +
				"recipes/vision.hcl")
		}
		m.Weights[p.Name] = w
	}
	for _, p := range m.adapterParams() {
		if w, ok := s.Model[p.Name]; ok {
			m.Weights[p.Name] = w
		}
	}
	return m, nil
}

// visionParams lists the weights of the vision tower.
func (m Model) visionParams() (out []Param) {
	for _, w := range m.Vision.Weights() {
		out = append(out, Param{Name: "vision." + w.Name, Shape: w.Shape})
	}
	return out
}

// adapterParams lists the weights of the IP-Adapter.
func (m Model) adapterParams() (out []Param) {
	for _, w := range m.IP.Weights() {
		out = append(out, Param{Name: "ip." + w.Name, Shape: w.Shape})
	}
	return out
}

// pictures returns what every block sees of image prompts' vectors [B,Dim].
func (m Model) pictures(w nn.Weights, vec *Node) []flux.KeyValue {
	tokens := flux.ImageTokens(w.In("ip"), vec)
	var out []flux.KeyValue
	for i := range m.IP.Blocks {
		out = append(out, flux.ImageKeyValue(w.In("ip").In(flux.IPBlock(i)), m.Flux, tokens))
	}
	return out
}

// PreviewStyles draws the layouts of n samples in every style, each by an image
// prompt of that style: a row a style, under it the image prompts.
func PreviewStyles(backend compute.Backend, m Model, r eligen.Recipe, samples annotated.Samples, n, steps int,
	cfg float64) (func(weights map[string]tensor.Tensor, path string) error, error) {
	styles := append([]string{annotated.DefaultStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	shown, err := pool(func(i int) (annotated.Sample, error) { return samples(n + i) }, styles, n)
	if err != nil {
		return nil, err
	}
	d := drawing{m: m, size: r.Size, entities: MaxEntities, steps: steps, cfg: cfg, noises: n}
	for k := range styles {
		for i := range n {
			s, err := samples(i)
			if err != nil {
				return nil, err
			}
			d.add(s, true)
			d.pixels = append(d.pixels, m.Vision.Pixels(shown[k][i]).Data...)
		}
	}
	return func(weights map[string]tensor.Tensor, path string) error {
		pix, err := d.run(backend, weights)
		if err != nil {
			return err
		}
		var rows [][]*image.NRGBA
		for k := range styles {
			var row []*image.NRGBA
			for i := range n {
				row = append(row, d.picture(pix, k*n+i))
			}
			rows = append(rows, row, shown[k])
		}
		return sheet(path, r.Size, rows...)
	}, nil
}
