package train

import (
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
)

// A batch is the inputs of a step as they are drawn, sample by sample.
type batch struct {
	data *records
	r    eligen.Recipe
	rng  *rand.Rand

	sample         int  // the one at hand
	regional, bare bool // it carries entities; it has lost its prompt

	x0, sigmas, members, weight    []float32
	prompt, clip, entities, origin []int32
}

// drawBatch draws which samples a step sees and what is dropped of their global
// prompts; draw adds the rest of the sample at hand.
func drawBatch(data *records, r eligen.Recipe, step int, draw func(b *batch)) (*batch, error) {
	b := &batch{data: data, r: r, rng: rand.New(rand.NewPCG(r.Seed+2, uint64(step)))}
	for k := range r.Batch {
		b.sample = data.index(r.Seed, step*r.Batch+k)
		if err := catch(func() {
			b.regional = b.rng.Float64() < r.Regions
			b.bare = b.rng.Float64() < r.Drop.Prompt
			behind := b.regional && b.rng.Float64() < 0.3 // the entities' prompts alone say what is there
			switch {
			case b.bare:
				ids(&b.prompt, data.empty())
				ids(&b.clip, data.emptyCLIP())
			case behind:
				ids(&b.prompt, b.get("background"))
				ids(&b.clip, b.get("clip_background"))
			default:
				ids(&b.prompt, b.get("prompt"))
				ids(&b.clip, b.get("clip"))
			}
			draw(b)
		}); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// get is a field of the sample at hand. Its error is caught by drawBatch.
func (b *batch) get(field string) []float32 {
	row, err := b.data.row(b.sample, field)
	if err != nil {
		panic(batchError{err})
	}
	return row
}

// unseen reports, of an entity of the sample at hand, that its region is left out.
func (b *batch) unseen() bool { return !b.regional || b.bare || b.rng.Float64() < b.r.Drop.Entity }

// sigma draws the sample's noise level, and gives the loss weight that goes with it.
func (b *batch) sigma() float64 {
	sigma, weight := drawSigma(b.rng, b.r)
	b.sigmas = append(b.sigmas, float32(sigma))
	return weight
}

// tensors are the inputs of a step's graph, for latents of h×w with a number of
// entities each; noise is drawn last.
func (b *batch) tensors(h, w, entities int) []*tensors.Tensor {
	n, z, text := b.r.Batch, b.data.z, b.data.text
	noise := make([]float32, len(b.x0))
	for i := range noise {
		noise[i] = float32(b.rng.NormFloat64())
	}
	origin := []int{n, 2}
	if windows := len(b.origin) / (2 * n); windows > 1 {
		origin = []int{n, windows, 2}
	}
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.x0, n, z, h, w),
		tensors.FromFlatDataAndDimensions(noise, n, z, h, w),
		tensors.FromFlatDataAndDimensions(b.sigmas, n),
		tensors.FromFlatDataAndDimensions(b.prompt, n, text.Length),
		tensors.FromFlatDataAndDimensions(b.clip, n, text.CLIPLength),
		tensors.FromFlatDataAndDimensions(b.entities, n, entities, text.EntityLength),
		tensors.FromFlatDataAndDimensions(b.members, n, entities, h/2*(w/2)),
		tensors.FromFlatDataAndDimensions(b.weight, n, 1, h, w),
		tensors.FromFlatDataAndDimensions(b.origin, origin...),
	}
}

// ids appends a row of token ids, which records hold as numbers.
func ids(dst *[]int32, row []float32) {
	for _, x := range row {
		*dst = append(*dst, int32(x))
	}
}

type batchError struct{ error }

func catch(f func()) (err error) {
	defer func() {
		if e, ok := recover().(batchError); ok {
			err = e.error
		}
	}()
	f()
	return nil
}
