package train

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// InContext trains a LoRA that carries an object over from the left panel of a
// picture to the right one, over a frozen model with EliGen's LoRA fused into it.
//
// In use, all but the object's region is led to the input along a straight line
// (eligen.Fusion): at noise level σ the transformer sees it as (1−σ)·x₀ + σ·ε.
// That is what flow matching shows it of any picture, so samples are pictures of
// two panels, and the loss counts in the object's region alone. The left panel has no
// noise (eligen.Transfer.Clean). What lies around the region is as it was before the
// object was painted (Sample.Before): else its colours could be read off there.
//
// The recipe's size is that of a panel, its window the part of each panel that is
// seen: one at the object on the left and one at the object on the right, side by
// side, at their own places in the picture.
func InContext(backend compute.Backend, m Model, r eligen.Recipe, panels Pictures) (Task, error) {
	data, err := panels.records(backend, m, twoPanels(r.Size))
	if err != nil {
		return Task{}, err
	}
	data.pairs = true
	t := Task{Pictures: r.Batch}
	if t.Params, t.Frozen, err = m.lora(r); err != nil {
		return Task{}, err
	}
	t.Params = append(t.Params, m.headParams(r)...)
	t.Batch = func(step int) ([]*tensors.Tensor, error) { return pairBatch(data, r, step, true) }
	t.Loss = func(w nn.Weights, nodes []*Node) (*Node, map[string]*Node) {
		in := inputsOf(nodes)
		measures := map[string]*Node{}
		v, heads := m.ask(w, r, in, measures, func(trace func(string, *Node)) *Node {
			return m.velocity(m.Beside(w, r.Rank), in.noisy(), in.timestep(), in.conditions, trace)
		})
		d := ReduceMean(Square(Sub(v, in.target())), 1) // [B,h,2w]
		measures["mse"] = ReduceAllMean(d)
		weight := Reshape(in.weight, d.Shape().Dimensions...)
		return Add(Div(ReduceAllSum(Mul(d, weight)), AddScalar(ReduceAllSum(weight), 1e-6)), heads), measures
	}
	return t, nil
}

// twoPanels returns the size of a picture of two panels.
func twoPanels(panel eligen.Size) eligen.Size { return eligen.Size{W: 2 * panel.W, H: panel.H} }

// inContext returns the model that an in-context LoRA lies over: EliGen's LoRA is fused
// into its weights, and what there is of an in-context LoRA has plain names.
func (m Model) inContext() (Model, error) {
	own := m.Weights
	m, fused, err := m.withEliGen()
	if err != nil {
		return m, err
	}
	if fused == 0 {
		return m, fmt.Errorf("an in-context LoRA is trained over EliGen's, and this model has none: train it first, with recipes/eligen.hcl")
	}
	for name, w := range own {
		if name, ok := strings.CutPrefix(name, "in-context."); ok {
			m.Weights[name] = w
		}
	}
	return m, nil
}

// withEliGen fuses EliGen's LoRA, where there is one, into the weights of the
// transformer. fused is how many it adapts; no others but those of Params remain.
func (m Model) withEliGen() (_ Model, fused int, err error) {
	weights := map[string]tensor.Tensor{}
	for _, p := range m.Params() {
		w, ok := m.Weights[p.Name]
		if !ok {
			return m, 0, fmt.Errorf("an adapter needs a trained model to lie over, and the tensor %q is missing", p.Name)
		}
		if a, b, ok := LoRANames(p.Name); ok {
			down, isA := m.Weights[a]
			up, isB := m.Weights[b]
			if isA && isB {
				if len(down.Shape) != 2 || len(up.Shape) != 2 || up.Shape[1] != down.Shape[0] || up.Shape[0] != p.Shape[0] ||
					down.Shape[1] != p.Shape[1] {
					return m, 0, fmt.Errorf("EliGen's LoRA has factors of shape %v and %v for %q of shape %v", down.Shape, up.Shape, p.Name, p.Shape)
				}
				w = plus(w, up, down)
				fused++
			}
		}
		weights[p.Name] = w
	}
	m.Weights = weights
	return m, fused, nil
}

// plus returns w + up·down: [out,in], [out,rank], [rank,in].
func plus(w, up, down tensor.Tensor) tensor.Tensor {
	out := tensor.Tensor{Shape: w.Shape, Data: append([]float32(nil), w.Data...)}
	rank, in := down.Shape[0], down.Shape[1]
	for o := range up.Shape[0] {
		row := out.Data[o*in : (o+1)*in]
		for k := range rank {
			f := up.Data[o*rank+k]
			for i, x := range down.Data[k*in : (k+1)*in] {
				row[i] += f * x
			}
		}
	}
	return out
}

// pairBatch draws a step's inputs, as flowBatch does, of pairs: two windows side
// by side, [B,16,h,2w] latents, with origins [B,2,2], and one entity. The loss counts in
// the right panel, or inside the object's region there.
func pairBatch(data *records, r eligen.Recipe, step int, inside bool) ([]*tensors.Tensor, error) {
	seen := r.Window
	if seen == (eligen.Size{}) {
		seen = r.Size
	}
	w, h := seen.W/16, seen.H/16
	b, err := drawBatch(data, r, step, func(b *batch) {
		at := len(b.weight)
		here := b.pair(r, w, h)
		if !inside {
			return
		}
		for i := range b.weight[at:] {
			b.weight[at+i] *= here[i/(4*w)/2*2*w+i%(4*w)/2]
		}
	})
	if err != nil {
		return nil, err
	}
	return b.tensors(2*h, 4*w, 1), nil
}

// pair draws the current sample, a pair: a window of w×h tokens of each panel, with the
// object as the entity. It gives the object's region in the two windows, [h·2w]. The left
// panel has neither noise nor loss.
func (b *batch) pair(r eligen.Recipe, w, h int) (here []float32) {
	panel := r.Size.W / 16
	left := window{W: 2 * panel, H: r.Size.H / 16, w: w, h: h}
	right := left
	region, reference := b.get("members")[:left.W*left.H], b.get("reference")
	if !left.near(b.rng, reference, 0, panel) || !right.near(b.rng, region, panel, 2*panel) {
		panic(batchError{fmt.Errorf("sample %d does not show its object in both panels", b.sample)})
	}
	b.origin = append(b.origin, int32(left.y), int32(left.x), int32(right.y), int32(right.x))
	latents := b.get("latents")
	b.x0 = append(b.x0, beside(left.cut(latents, 2), right.cut(latents, 2), 2*w)...)
	here = beside(make([]float32, w*h), right.cut(region, 1), w)
	objects := beside(left.cut(reference, 1), right.cut(region, 1), w)
	places := within(region, right.W, right.H)
	x, y := right.cut(places[:len(region)], 1), right.cut(places[len(region):], 1)
	lossWeight := b.sigma()
	b.noised(4*w, 2*w)
	for i := range 2 * h * 4 * w {
		weight := lossWeight
		if i%(4*w) < 2*w {
			weight = 0
		} else if r.Objects > 0 && objects[i/(4*w)/2*2*w+i%(4*w)/2] != 0 {
			weight *= r.Objects
		}
		b.weight = append(b.weight, float32(weight))
	}
	b.object = append(b.object, average(latents, reference, left.W, b.data.z)...)
	b.seen = append(b.seen, here...)
	row, where := slices.Clone(here), make([]float32, 3*2*w*h)
	if b.unseen() {
		clear(row)
	}
	put(where, row, beside(make([]float32, w*h), x, w), beside(make([]float32, w*h), y, w))
	b.where = append(b.where, where...)
	ids(&b.entities, b.get("entities")[:b.data.text.EntityLength])
	b.members = append(b.members, row...)
	return here
}

// average returns the mean of latents [z,2h,2w] over the tokens of a region [h·w].
func average(latents, region []float32, w, z int) []float32 {
	plane := len(latents) / z
	out, n := make([]float32, z), float32(0)
	for i, on := range region {
		if on == 0 {
			continue
		}
		n += 4
		at := i/w*2*2*w + i%w*2
		for c := range out {
			p := latents[c*plane+at:]
			out[c] += p[0] + p[1] + p[2*w] + p[2*w+1]
		}
	}
	for c := range out {
		out[c] /= max(n, 1)
	}
	return out
}

// beside joins two equal pictures row by row: a's, then b's.
func beside(a, b []float32, row int) []float32 {
	out := make([]float32, 0, 2*len(a))
	for at := 0; at < len(a); at += row {
		out = append(out, a[at:at+row]...)
		out = append(out, b[at:at+row]...)
	}
	return out
}

// PreviewPairs draws what a running in-context training makes of n pairs, each by
// the whole of inference: both panels, guidance, and all but the region led to the
// input. From top to bottom: the object, the scene without it, the result, the scene
// as it was composed.
func PreviewPairs(backend compute.Backend, m Model, r eligen.Recipe, samples annotated.Samples, n, steps int,
	cfg float64) (func(weights map[string]tensor.Tensor, path string) error, error) {
	size := twoPanels(r.Size)
	d := drawing{m: m, size: size, entities: 1, steps: steps, cfg: cfg, rank: r.Rank, noises: n}
	var object, scene, composed []*image.NRGBA
	panel := func(of *image.NRGBA, k int) *image.NRGBA {
		return of.SubImage(image.Rect(k*r.Size.W, 0, (k+1)*r.Size.W, r.Size.H)).(*image.NRGBA)
	}
	for i := range n {
		s, err := samples(i)
		if err != nil {
			return nil, err
		}
		if err := checkPair(s, size); err != nil {
			return nil, err
		}
		d.add(s, true)
		d.keep(Pixels(s.Before, 0, 0, size.W, size.H))
		object, scene, composed = append(object, panel(s.Before, 0)), append(scene, panel(s.Before, 1)), append(composed, panel(s.Image, 1))
	}
	return func(weights map[string]tensor.Tensor, path string) error {
		pix, err := d.run(backend, weights)
		if err != nil {
			return err
		}
		var drawn []*image.NRGBA
		for k := range n {
			drawn = append(drawn, panel(d.picture(pix, k), 1))
		}
		return sheet(path, r.Size, object, scene, drawn, composed)
	}, nil
}

// checkPair refuses a sample that is no pair.
func checkPair(s annotated.Sample, size eligen.Size) error {
	if s.Before == nil || s.Reference == nil || len(s.Entities) == 0 {
		return fmt.Errorf("sample %s is not a pair of panels that show one object: an in-context LoRA is trained on composed pictures", s.Name)
	}
	if b := s.Before.Bounds(); b.Dx() != size.W || b.Dy() != size.H {
		return fmt.Errorf("sample %s is %d×%d pixels; two panels are %d×%d", s.Name, b.Dx(), b.Dy(), size.W, size.H)
	}
	return nil
}
