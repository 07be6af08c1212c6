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

// Of each style, so many pictures are taken, and of each of them so many parts, which
// samples are shown with.
const (
	references = 320
	glances    = 3
)

// others is how many more pictures than samples the vision tower sees in a step, to
// learn what they have in common: it costs next to nothing beside the transformer.
const others = 7

// IP trains an IP-Adapter with its vision tower, over a frozen model with EliGen's
// LoRA fused into it. A sample is a picture with its prompts and entities; the image
// prompt is another picture of the same style, which no caption names. What is to be
// learnt is the style, since it is all that the two have in common.
//
// Where there is no image prompt the adapter is shown a vector of zeros, as the
// negative side is in inference: that stands for the style which goes without
// saying, and, where the prompt is dropped too, for any.
//
// A tower that knows nothing yet learns too slowly from what its pictures do to others,
// so its vectors are taught by each other as well (together).
func IP(backend compute.Backend, m Model, r eligen.Recipe, samples eligen.Samples, pictures int, cache string) (Task, error) {
	data, err := newRecords(backend, cache, r.Size, pictures, m.Text, samples, m.VAE, m.Autoencoder)
	if err != nil {
		return Task{}, err
	}
	data.styles = append([]string{eligen.SolidStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	seen, err := m.glances(r, samples, data.styles)
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
		var styles []int32
		see := func(style int) {
			styles = append(styles, int32(style))
			x := seen[style][rng.IntN(len(seen[style]))]
			at := len(pixels)
			if pixels = append(pixels, x...); rng.IntN(2) == 1 { // mirrored
				for ; at < len(pixels); at += side {
					slices.Reverse(pixels[at : at+side])
				}
			}
		}
		in, err := flowBatch(data, r, step, func(i int, bare bool) {
			row, err := data.row(i, "style")
			if err != nil {
				panic(batchError{err})
			}
			style := int(row[0])
			see(style)
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
		for range others * r.Batch {
			see(rng.IntN(len(seen)))
		}
		return append(in, tensors.FromFlatDataAndDimensions(pixels, len(styles), 3, side, side), tensors.FromFlatDataAndDimensions(shown, r.Batch, 1),
			tensors.FromFlatDataAndDimensions(styles, len(styles))), nil
	}
	t.Loss = func(w nn.Weights, in []*Node) (*Node, map[string]*Node) {
		x0, noise, sigma, prompt, clip, entities, members, weight, origin := in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7], in[8]
		if r.Window == (eligen.Size{}) {
			origin = nil
		}
		s4 := Reshape(sigma, -1, 1, 1, 1)
		x := Add(Mul(x0, OneMinus(s4)), Mul(noise, s4))
		vec := vision.SigLIP(w.In("vision"), m.Vision, in[9], nil)
		pairs, right := together(vec, in[11])
		v := m.velocity(w, x, MulScalar(sigma, 1000), prompt, clip, entities, members, origin, m.pictures(w, Mul(Slice(vec, AxisRange(0, r.Batch)), in[10]))...)
		d := Square(Sub(v, Sub(noise, x0)))
		loss := Add(ReduceAllMean(Mul(d, weight)), MulScalar(pairs, 0.5))
		return loss, map[string]*Node{"mse": ReduceAllMean(d), "pairs": right}
	}
	return t, nil
}

// together is the loss that SigLIP trains with, between pictures: vectors [B,D] of one
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
	return MulScalar(Add(mean(each, same), mean(each, OneMinus(same))), 0.5), MulScalar(Add(mean(positive, same), mean(positive, OneMinus(same))), 0.5)
}

// glances are parts of pictures of each style, as the vision tower takes them: a style
// is in all of a picture, and a tower that sees whole ones alone learns them by heart.
func (m Model) glances(r eligen.Recipe, samples eligen.Samples, styles []string) ([][][]float32, error) {
	all, err := pool(samples, styles, references)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(r.Seed, 0x616c))
	out := make([][][]float32, len(styles))
	for k, list := range all {
		for _, img := range list {
			for range glances {
				out[k] = append(out[k], m.glance(rng, img))
			}
		}
	}
	return out, nil
}

func (m Model) glance(rng *rand.Rand, img *image.NRGBA) []float32 {
	b := img.Bounds()
	share := 0.6 + 0.4*rng.Float64()
	w, h := max(1, int(share*float64(b.Dx()))), max(1, int(share*float64(b.Dy())))
	at := b.Min.Add(image.Pt(rng.IntN(b.Dx()-w+1), rng.IntN(b.Dy()-h+1)))
	return m.Vision.Pixels(img.SubImage(image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))})).Data
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

// pool is n pictures of each style.
func pool(samples eligen.Samples, styles []string, n int) ([][]*image.NRGBA, error) {
	out := make([][]*image.NRGBA, len(styles))
	missing := len(styles)
	for i := 0; missing > 0; i++ {
		if i > 100*n*len(styles) {
			return nil, fmt.Errorf("of the styles %v, some are hardly in the pictures: give each a share in \"styles\", and leave one to %q", styles, eligen.SolidStyle)
		}
		s, err := samples(i)
		if err != nil {
			return nil, err
		}
		k := slices.Index(styles, s.Style)
		if k < 0 || len(out[k]) == n {
			continue
		}
		if out[k] = append(out[k], s.Image); len(out[k]) == n {
			missing--
		}
	}
	return out, nil
}

// PreviewStyles draws the layouts of n samples in every style, each by an image
// prompt of that style: a row a style, under it the image prompts.
func PreviewStyles(backend compute.Backend, m Model, r eligen.Recipe, samples eligen.Samples, n, steps int, cfg float64) (func(weights map[string]eligen.Tensor, path string) error, error) {
	styles := append([]string{eligen.SolidStyle}, slices.Sorted(maps.Keys(r.Styles))...)
	shown, err := pool(func(i int) (eligen.Sample, error) { return samples(n + i) }, styles, n)
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
	return func(weights map[string]eligen.Tensor, path string) error {
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
