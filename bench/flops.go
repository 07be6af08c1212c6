package main

import (
	"math"

	"github.com/eligen/eligen/model/flux"
)

// A shape is a transformer and the sizes of its inputs.
type shape struct {
	Name   string
	Config flux.Config

	Rows, Columns    int // image tokens
	Text, EntityText int // text tokens of the global prompt and of each entity's
}

// wide is the shape of the goals: FLUX.1's blocks at a quarter of the width.
var wide = shape{
	Name: "dim 768",
	Config: flux.Config{
		Dim: 768, Heads: 6, Axes: [3]int{16, 56, 56}, Double: 2, Single: 4,
		TextDim: 1024, PooledDim: 192, Guidance: true, MLPRatio: 4, LatentChannels: 16,
	},
	Rows: 32, Columns: 32, Text: 128, EntityText: 128,
}

// nano is the embedded model at its native size, 256×256 pixels.
var nano = shape{Name: "nano", Config: flux.Nano, Rows: 16, Columns: 16, Text: 24, EntityText: 8}

// training is nano in training, on pictures of 128×128 pixels.
var training = shape{Name: "nano, training", Config: flux.Nano, Rows: 8, Columns: 8, Text: 24, EntityText: 8}

// area is the share of the image that each entity's region covers.
const area = 0.15

func (s shape) tokens() int { return s.Rows * s.Columns }

// regions returns the image tokens of n entities: boxes spread over the image, the last row
// of each cut so that it covers exactly its share. Many of them overlap.
func (s shape) regions(n int) [][]int32 {
	size := int(math.Round(area * float64(s.tokens())))
	width := int(math.Ceil(0.42 * float64(s.Columns)))
	height := (size + width - 1) / width
	list := make([][]int32, n)
	for i := range list {
		// Steps of the golden ratio and its square fill the plane evenly.
		top := int(math.Mod(0.618034*float64(i), 1) * float64(s.Rows-height+1))
		left := int(math.Mod(0.381966*float64(i)+0.25, 1) * float64(s.Columns-width+1))
		for k := range size {
			list[i] = append(list[i], int32((top+k/width)*s.Columns+left+k%width))
		}
	}
	return list
}

// blocksFLOP returns the operations of one step with n entities: the matrix products, a
// multiplication and an addition as two, of unpadded unmasked blocks. Text projections and
// modulations come before the first step, and the last single block needs no more of the
// text than keys and values.
func (s shape) blocksFLOP(n int) float64 {
	c := s.Config
	d, mlp := float64(c.Dim), float64(c.MLP())
	image, text := float64(s.tokens()), float64(s.Text+n*s.EntityText)
	global, entity := float64(s.Text), float64(s.EntityText)

	pairs := (image + global) * (image + global)
	last := image * (image + global)
	for _, r := range s.regions(n) {
		covered := float64(len(r))
		pairs += entity*entity + 2*entity*covered
		last += entity * covered
	}
	all := 2 * d * (4*d + 2*mlp) // of a token in a block, double or single
	flop := 2 * image * d * float64(2*c.PatchDim())
	flop += float64(c.Double) * ((image+text)*all + 4*d*pairs)
	if c.Single > 0 {
		flop += float64(c.Single-1) * ((image+text)*all + 4*d*pairs)
		flop += image*all + text*2*d*2*d + 4*d*last
	}
	return flop
}

// denseFLOP returns the operations of a step in which all tokens attend to all tokens under
// a mask, and nothing is computed before the first step.
func (s shape) denseFLOP(n int) float64 {
	c := s.Config
	d, mlp := float64(c.Dim), float64(c.MLP())
	image, text := float64(s.tokens()), float64(s.Text+n*s.EntityText)
	all := image + text

	flop := 2*image*d*float64(2*c.PatchDim()) + 2*text*d*float64(c.TextDim)
	flop += float64(c.Double+c.Single) * (all*2*d*(4*d+2*mlp) + 4*d*all*all)
	flop += 2 * d * d * float64(12*c.Double+3*c.Single+2) // modulations
	embedders := []int{256, c.PooledDim}
	if c.Guidance {
		embedders = append(embedders, 256)
	}
	for _, in := range embedders {
		flop += 2*float64(in)*d + 2*d*d
	}
	return flop
}

// trainingFLOP returns a training step's on a batch: the backward pass takes twice the
// forward's.
func (s shape) trainingFLOP(n, batch int) float64 { return 3 * float64(batch) * s.denseFLOP(n) }
