package train

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vision"
)

// A towerBatch is the pictures that the vision tower sees in a step.
type towerBatch struct {
	rng         *rand.Rand
	tower       vision.Config
	seen        [][]*image.NRGBA // of every style
	pixels      []float32
	styles      []int32
	shown, felt []float32 // of image prompts: whether it is the picture, not zeros; whether there is one at all
}

func newTowerBatch(m Model, r eligen.Recipe, step int, seen [][]*image.NRGBA) *towerBatch {
	return &towerBatch{rng: rand.New(rand.NewPCG(r.Seed+4, uint64(step))), tower: m.Vision, seen: seen}
}

// show adds an image prompt of a style: zeros instead for nothing, and for half of those
// that may as well be shown nothing.
func (g *towerBatch) show(style int, nothing, either bool) {
	g.see(style, leastShown)
	shown := float32(1)
	if u := g.rng.Float64(); nothing || either && u < 0.5 {
		shown = 0
	}
	g.shown, g.felt = append(g.shown, shown), append(g.felt, 1)
}

// skip adds what stands for no image prompt.
func (g *towerBatch) skip() {
	g.pixels, g.styles = append(g.pixels, make([]float32, 3*g.tower.Size*g.tower.Size)...), append(g.styles, 0)
	g.shown, g.felt = append(g.shown, 0), append(g.felt, 0)
}

// see adds a part of a picture of a style, of at least a share of its sides, sometimes
// mirrored.
func (g *towerBatch) see(style int, least float64) {
	g.styles = append(g.styles, int32(style))
	img := g.seen[style][g.rng.IntN(len(g.seen[style]))]
	b := img.Bounds()
	share := least + (1-least)*g.rng.Float64()
	w, h := max(1, int(share*float64(b.Dx()))), max(1, int(share*float64(b.Dy())))
	from := b.Min.Add(image.Pt(g.rng.IntN(b.Dx()-w+1), g.rng.IntN(b.Dy()-h+1)))
	at := len(g.pixels)
	g.pixels = append(g.pixels, g.tower.Pixels(img.SubImage(image.Rectangle{Min: from, Max: from.Add(image.Pt(w, h))})).Data...)
	if g.rng.IntN(2) == 1 {
		for ; at < len(g.pixels); at += g.tower.Size {
			slices.Reverse(g.pixels[at : at+g.tower.Size])
		}
	}
}

// tensors returns the pictures [N,3,Size,Size], what is shown [N,1] and what is felt [N,1].
func (g *towerBatch) tensors() []*tensors.Tensor {
	n := len(g.styles)
	return []*tensors.Tensor{g.pictures(), tensors.FromFlatDataAndDimensions(g.shown, n, 1), tensors.FromFlatDataAndDimensions(g.felt, n, 1)}
}

// pictures returns the pictures, [N,3,Size,Size].
func (g *towerBatch) pictures() *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(g.pixels, len(g.styles), 3, g.tower.Size, g.tower.Size)
}

// pool collects n pictures of each style.
func pool(samples annotated.Samples, styles []string, n int) ([][]*image.NRGBA, error) {
	out := make([][]*image.NRGBA, len(styles))
	missing := len(styles)
	for i := 0; missing > 0; i++ {
		if i > 100*n*len(styles) {
			return nil, fmt.Errorf("of the styles %v, some are hardly in the pictures: give each a share in \"styles\", and leave one to %q",
				styles, annotated.DefaultStyle)
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

// StyleAccuracy returns the share of pictures whose vector, made by a vision tower, is nearest,
// by cosine, to the mean vector of their own style. asked yields n pictures of each style,
// known n others for the means.
func StyleAccuracy(backend compute.Backend, c vision.Config, weights map[string]tensor.Tensor, styles []string, n int,
	known, asked func(style string, i int) (annotated.Sample, error)) (float64, error) {
	exec, err := Compile(backend, weights, func(w nn.Weights, in []*Node) []*Node {
		vec := vision.SigLIP(w.In("vision"), c, in[0], nil)
		return []*Node{Div(vec, Sqrt(ReduceAndKeep(Square(vec), ReduceSum, -1)))}
	})
	if err != nil {
		return 0, err
	}
	defer exec.Finalize()
	vectors := func(style string, picture func(string, int) (annotated.Sample, error)) ([]float32, error) { // [n,Dim]
		var pixels []float32
		for i := range n {
			s, err := picture(style, i)
			if err != nil {
				return nil, err
			}
			pixels = append(pixels, c.Pixels(s.Image).Data...)
		}
		out, err := exec.Call(tensors.FromFlatDataAndDimensions(pixels, n, 3, c.Size, c.Size))
		if err != nil {
			return nil, err
		}
		flat := tensors.MustCopyFlatData[float32](out[0])
		return flat, out[0].FinalizeAll()
	}
	means := make([][]float64, len(styles)) // sums, which point the same way
	for k, style := range styles {
		v, err := vectors(style, known)
		if err != nil {
			return 0, err
		}
		means[k] = make([]float64, c.Dim)
		for i, x := range v {
			means[k][i%c.Dim] += float64(x)
		}
	}
	right := 0
	for k, style := range styles {
		v, err := vectors(style, asked)
		if err != nil {
			return 0, err
		}
		for i := range n {
			if nearest(means, v[i*c.Dim:(i+1)*c.Dim]) == k {
				right++
			}
		}
	}
	return float64(right) / float64(n*len(styles)), nil
}

// nearest returns which of some means is nearest to a vector, by cosine; -1 where none is.
func nearest(means [][]float64, v []float32) int {
	best, at := math.Inf(-1), -1
	for j, mean := range means {
		cos, length := 0.0, 0.0
		for d, x := range mean {
			cos, length = cos+x*float64(v[d]), length+x*x
		}
		if cos /= math.Sqrt(length); cos > best {
			best, at = cos, j
		}
	}
	return at
}
