package train

import (
	"fmt"
	"image"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vision"
)

// SolidStyle is the style of composed pictures that goes without saying: what is
// drawn where no picture says otherwise.
const SolidStyle = "3d"

// references is how many pictures of each style samples are shown with.
const references = 96

// IP trains an IP-Adapter with its vision tower, over a frozen model with EliGen's
// LoRA fused into it. A sample is a picture with its prompts and entities; the image
// prompt is another picture of the same style, which no caption names. What is to be
// learnt is the style, since it is all that the two have in common.
//
// Where there is no image prompt the adapter is shown a vector of zeros, as the
// negative side is in inference: that stands for the style which goes without
// saying, and, where the prompt is dropped too, for any.
func IP(backend compute.Backend, m Model, r eligen.Recipe, samples eligen.Samples, pictures int, cache string) (Task, error) {
	data, err := newRecords(backend, cache, r.Size, pictures, m.Text, samples, m.VAE, m.Autoencoder)
	if err != nil {
		return Task{}, err
	}
	data.styles = append([]string{SolidStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	seen, err := m.references(samples, data.styles, references)
	if err != nil {
		return Task{}, err
	}
	t := Task{Pictures: r.Batch}
	for _, p := range m.imageParams() {
		if w, ok := m.Weights[p.Name]; ok {
			p.Init = w.Data
		}
		t.Params = append(t.Params, p)
	}
	for _, p := range m.Params() {
		t.Frozen = append(t.Frozen, eligen.NamedTensor{Name: p.Name, Tensor: m.Weights[p.Name]})
	}
	side := m.Vision.Size
	t.Batch = func(step int) ([]*tensors.Tensor, error) {
		rng := rand.New(rand.NewPCG(r.Seed+4, uint64(step)))
		var pixels, shown []float32
		in, err := flowBatch(data, r, step, func(i int, bare bool) {
			row, err := data.row(i, "style")
			if err != nil {
				panic(batchError{err})
			}
			style := int(row[0])
			pixels = append(pixels, seen[style][rng.IntN(len(seen[style]))]...)
			u := rng.Float64()
			if (bare || style == 0) && u < 0.5 {
				shown = append(shown, 0)
			} else {
				shown = append(shown, 1)
			}
		})
		if err != nil {
			return nil, err
		}
		return append(in, tensors.FromFlatDataAndDimensions(pixels, r.Batch, 3, side, side), tensors.FromFlatDataAndDimensions(shown, r.Batch, 1)), nil
	}
	t.Loss = func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
		x0, noise, sigma, prompt, clip, entities, members, weight, origin := in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7], in[8]
		if r.Window == (eligen.Size{}) {
			origin = nil
		}
		s4 := Reshape(sigma, -1, 1, 1, 1)
		x := Add(Mul(x0, OneMinus(s4)), Mul(noise, s4))
		vec := Mul(vision.SigLIP(w.In("vision"), m.Vision, in[9], nil), in[10])
		v := m.velocity(w, x, MulScalar(sigma, 1000), prompt, clip, entities, members, origin, m.pictures(w, vec)...)
		d := Square(Sub(v, Sub(noise, x0)))
		return ReduceAllMean(Mul(d, weight)), map[string]*Node{"mse": ReduceAllMean(d)}
	}
	return t, nil
}

// image is the model that an IP-Adapter lies over, EliGen's LoRA fused into it, and
// what there is of the adapter.
func (m Model) image(s Start) (Model, error) {
	m, _, err := m.withEliGen()
	if err != nil {
		return m, err
	}
	m.Vision, m.IP = s.Vision, s.IP
	for _, p := range m.imageParams() {
		if w, ok := s.Model[p.Name]; ok {
			m.Weights[p.Name] = w
		}
	}
	return m, nil
}

// imageParams lists the weights of the vision tower and of the IP-Adapter.
func (m Model) imageParams() []Param {
	var out []Param
	for _, w := range m.Vision.Weights() {
		out = append(out, Param{Name: "vision." + w.Name, Shape: w.Shape})
	}
	for _, w := range m.IP.Weights() {
		out = append(out, Param{Name: "ip." + w.Name, Shape: w.Shape})
	}
	return out
}

// pictures is what every block sees of image prompts' vectors [B,Dim].
func (m Model) pictures(w nn.Weights, vec *Node) []flux.KeyValue {
	tokens := flux.ImageTokens(w.In("ip"), vec)
	var out []flux.KeyValue
	for i := range m.IP.Blocks {
		out = append(out, flux.ImageKeyValue(w.In("ip").In(flux.IPBlock(i)), m.Flux, tokens))
	}
	return out
}

// references are n pictures of each style, as the vision tower takes them.
func (m Model) references(samples eligen.Samples, styles []string, n int) ([][][]float32, error) {
	out := make([][][]float32, len(styles))
	missing := len(styles)
	for i := 0; missing > 0; i++ {
		if i > 100*n*len(styles) {
			return nil, fmt.Errorf("of the styles %v, some are hardly in the pictures: give each a share in \"styles\", and leave one to %q", styles, SolidStyle)
		}
		s, err := samples(i)
		if err != nil {
			return nil, err
		}
		k := slices.Index(styles, s.Style)
		if k < 0 || len(out[k]) == n {
			continue
		}
		if out[k] = append(out[k], m.Vision.Pixels(s.Image).Data); len(out[k]) == n {
			missing--
		}
	}
	return out, nil
}

// PreviewStyles draws the layouts of n samples in every style, each by an image
// prompt of that style: a row a style, under it the image prompts.
func PreviewStyles(backend compute.Backend, m Model, r eligen.Recipe, samples eligen.Samples, n, steps int, cfg float64) (func(weights map[string]eligen.Tensor, path string) error, error) {
	styles := append([]string{SolidStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	shown := map[string][]*image.NRGBA{}
	for i := n; slices.ContainsFunc(styles, func(s string) bool { return len(shown[s]) < n }); i++ {
		s, err := samples(i)
		if err != nil {
			return nil, err
		}
		if i > 1000*n {
			return nil, fmt.Errorf("some of the styles %v are hardly in the pictures", styles)
		}
		if len(shown[s.Style]) < n {
			shown[s.Style] = append(shown[s.Style], s.Image)
		}
	}
	d := drawing{m: m, size: r.Size, entities: MaxEntities, steps: steps, cfg: cfg, noises: n}
	for _, style := range styles {
		for i := range n {
			s, err := samples(i)
			if err != nil {
				return nil, err
			}
			d.add(s, true)
			d.pixels = append(d.pixels, m.Vision.Pixels(shown[style][i]).Data...)
		}
	}
	return func(weights map[string]eligen.Tensor, path string) error {
		pix, err := d.run(backend, weights)
		if err != nil {
			return err
		}
		var rows [][]*image.NRGBA
		for k, style := range styles {
			var row []*image.NRGBA
			for i := range n {
				row = append(row, d.picture(pix, k*n+i))
			}
			rows = append(rows, row, shown[style])
		}
		return sheet(path, r.Size, rows...)
	}, nil
}
