package train

import (
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
)

// A batch is the inputs of a step as they are drawn, sample by sample.
type batch struct {
	data *records
	r    eligen.Recipe
	rng  *rand.Rand

	sample         int  // the current one
	regional, bare bool // it carries entities; it has lost its prompt
	behind         bool // its prompt says the background alone
	shown          bool // its style is shown by an image prompt, and no caption says it

	x0, sigmas, members, weight    []float32
	share, where, object, seen     []float32
	prompt, clip, entities, origin []int32
}

// inputs are a batch as a step's graph gets it, of latents of h×w.
type inputs struct {
	x0, noise *Node // [B,16,h,w]
	sigma     *Node // [B]
	share     *Node // [B,1,1,w], of sigma, how much each column has
	weight    *Node // [B,1,h,w], of the loss
	where     *Node // [B,S,3], of an image token: its column and row in its region, −1 to 1, and whether it has one
	object    *Node // [B,16], of a pair: the mean of the object's latents in the left panel
	seen      *Node // [B,S], whether an image token shows that object in the right one
	conditions
}

// conditions guide a picture.
type conditions struct {
	prompt, clip      *Node // [B,T], [B,C]
	entities, members *Node // [B,N,Te], [B,N,S]
	origin            *Node // [B,2], [B,P,2] or nil
}

func inputsOf(in []*Node) inputs {
	return inputs{in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7], conditions{in[8], in[9], in[10], in[11], in[12]}}
}

// given is the number of those inputs.
const given = 13

// pairs reports whether the samples are pairs of panels.
func (in inputs) pairs() bool { return in.origin.Rank() == 3 }

// noisy returns what the transformer sees, target what it should predict.
func (in inputs) noisy() *Node {
	sigma := Mul(Reshape(in.sigma, -1, 1, 1, 1), in.share)
	return Add(Mul(in.x0, OneMinus(sigma)), Mul(in.noise, sigma))
}

// within returns where in its region an image token is, [B,S,2], which tokens have one,
// [B,S,1], and the variance of numbers between −1 and 1.
func (in inputs) within() (where, tokens, variance *Node) {
	return Slice(in.where, AxisRange(), AxisRange(), AxisRange(0, 2)), Slice(in.where, AxisRange(), AxisRange(), AxisRange(2, 3)),
		ConstAs(in.where, 1.0/3)
}

// across returns what the tokens of a pair's object, in the right panel, should know of the left
// one: what it looks like there, [B,1,16], which tokens those are, [B,S,1], and how much
// looks differ between the pairs of a batch.
func (in inputs) across() (look, tokens, variance *Node) {
	pair := ConvertDType(GreaterThan(ReduceMax(in.seen, 1), Scalar(in.seen.Graph(), in.seen.DType(), 0)), in.seen.DType()) // [B]
	n := AddScalar(ReduceAllSum(pair), 1e-6)
	p := ExpandAxes(pair, -1)
	mean := Div(ReduceAndKeep(Mul(in.object, p), ReduceSum, 0), n)
	variance = Div(ReduceAllSum(Mul(Square(Sub(in.object, mean)), p)), MulScalar(n, float64(in.object.Shape().Dim(1))))
	return ExpandAxes(in.object, 1), ExpandAxes(in.seen, -1), AddScalar(variance, 1e-3)
}

func (in inputs) target() *Node   { return Sub(in.noise, in.x0) }
func (in inputs) timestep() *Node { return MulScalar(in.sigma, 1000) }

// drawBatch draws which samples a step sees and what is dropped of their global
// prompts; draw adds the rest of the current sample.
func drawBatch(data *records, r eligen.Recipe, step int, draw func(b *batch)) (*batch, error) {
	b := &batch{data: data, r: r, rng: rand.New(rand.NewPCG(r.Seed+2, uint64(step)))}
	for k := range r.Batch {
		b.sample = b.data.index(r.Seed, step*r.Batch+k)
		if err := catch(func() {
			b.regional = b.rng.Float64() < r.Regions
			b.bare = b.rng.Float64() < r.Drop.Prompt
			b.behind = b.regional && b.rng.Float64() < 0.3 // the entities' prompts alone say what is there
			fields := promptFields
			if r.ImagePrompts > 0 && !data.pairs {
				if b.shown = b.rng.Float64() < r.ImagePrompts; !b.shown {
					fields = saidFields
				}
			}
			b.say(fields, &b.prompt, &b.clip)
			draw(b)
		}); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// say appends what the current sample is prompted by: nothing, its background, or all of it.
func (b *batch) say(fields [4]string, prompt, clip *[]int32) {
	at := 0
	if b.behind {
		at = 1
	}
	if b.bare {
		ids(prompt, b.data.empty())
		ids(clip, b.data.emptyCLIP())
		return
	}
	ids(prompt, b.get(fields[at]))
	ids(clip, b.get(fields[at+2]))
}

// get returns a field of the current sample. drawBatch catches its error.
func (b *batch) get(field string) []float32 {
	row, err := b.data.row(b.sample, field)
	if err != nil {
		panic(batchError{err})
	}
	return row
}

// unseen reports, of an entity of the current sample, that its region is left out.
func (b *batch) unseen() bool { return !b.regional || b.bare || b.rng.Float64() < b.r.Drop.Entity }

// sigma draws the sample's noise level, and gives the loss weight that goes with it.
func (b *batch) sigma() float64 {
	sigma, weight := drawSigma(b.rng, b.r)
	b.sigmas = append(b.sigmas, float32(sigma))
	return weight
}

// tensors returns the inputs of a step's graph, for latents of h×w with a number of
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
		tensors.FromFlatDataAndDimensions(b.share, n, 1, 1, w),
		tensors.FromFlatDataAndDimensions(b.weight, n, 1, h, w),
		tensors.FromFlatDataAndDimensions(b.where, n, h/2*(w/2), 3),
		tensors.FromFlatDataAndDimensions(b.object, n, z),
		tensors.FromFlatDataAndDimensions(b.seen, n, h/2*(w/2)),
		tensors.FromFlatDataAndDimensions(b.prompt, n, text.Length),
		tensors.FromFlatDataAndDimensions(b.clip, n, text.CLIPLength),
		tensors.FromFlatDataAndDimensions(b.entities, n, entities, text.EntityLength),
		tensors.FromFlatDataAndDimensions(b.members, n, entities, h/2*(w/2)),
		tensors.FromFlatDataAndDimensions(b.origin, origin...),
	}
}

// noised gives all columns of the current sample, w latents wide, its noise, except
// for the first few, which have none.
func (b *batch) noised(w, few int) {
	for x := range w {
		if x < few {
			b.share = append(b.share, 0)
		} else {
			b.share = append(b.share, 1)
		}
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
