package engine

import (
	"slices"

	"github.com/gomlx/compute/support"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
)

// A cost is what a backend takes beside weights, garbage and scratch memory included: for
// the embedded model and for the shapes of large ones, as `go run ./bench -only memory` measures it.
type cost struct {
	program int64 // before the first step: code, the backend, prompts

	// What a compiler takes for the graphs of steps, two at a time; with entities; with
	// entities of one more size; and for each graph more at a time, with entities or without.
	compile, entities, group   int64
	another, anotherOfEntities int64

	// How many channels of the picture's size are in memory where the autoencoder decodes and
	// where it encodes: so many for each channel of its widest level there, and so many more.
	decode, encode channels

	// How many tensors as large as a chunk of attention scores are in memory, and how many
	// more for a second chunk.
	one, second float64
	perToken    int64 // of an entity's prompt
	text        int64 // how many of a prompt's attention scores stay, of every layer
	convert     bool  // weights in bfloat16 become float32 as a whole
	buckets     bool  // tensors lie in buffers of 2ⁿ or 3·2ⁿ bytes
}

// buffer returns how many bytes n of a tensor take.
func (c cost) buffer(n int64) int64 {
	if c.buckets {
		return int64(support.TwoBitBucketLen(int(n)))
	}
	return n
}

// channels is a number of channels: each for every channel of a level, and some more.
type channels struct{ each, more float64 }

// together is how many graphs of steps there are to compile at the same time.
const together = 5

var (
	goCost = cost{
		program: 136 << 20, decode: channels{8.6, 0}, encode: channels{8.6, 0}, one: 3.1, second: 0.5, perToken: 60 << 10, buckets: true,
	}
	xlaCost = cost{
		program: 255 << 20, compile: 225 << 20, entities: 105 << 20, group: 5 << 20, another: 20 << 20, anotherOfEntities: 70 << 20,
		decode: channels{3, 135}, encode: channels{6.2, 44}, one: 2.1, second: 0.4, perToken: 20 << 10, text: 1, convert: true,
	}
)

// cudaCost is of a card's memory. It is what XLA's compiler plans for described cards (bench/cuda): scores of a
// fused attention are none, programs are compiled elsewhere, and no weight becomes float32. program, CUDA's own
// share and cuDNN's workspaces, is not measured yet.
var cudaCost = cost{program: 700 << 20, decode: channels{2.5, 0}, encode: channels{3, 0}, perToken: 20 << 10, text: 1}

func costOf(i backend.Info) cost {
	switch {
	case i.CUDA():
		return cudaCost
	case i.Plugin != "":
		return xlaCost
	}
	return goCost
}

// scores returns how many bytes n attention scores take, in float32, of which chunk are
// computed at once. That is more than one chunk where a second is made while the first is
// garbage.
func (c cost) scores(n, chunk int64) int64 {
	first, second := min(n, chunk), min(max(0, n-chunk), chunk)
	return int64(c.one*float64(c.buffer(4*first)) + c.second*float64(c.buffer(4*second)))
}

// compiling returns the bytes that the compiler takes for the graphs of steps with some
// groups of entities.
func (c cost) compiling(groups int) int64 {
	more := int64(min(exec.AtOnce(), together) - 2)
	if groups == 0 {
		return c.compile + more*c.another
	}
	return c.compile + c.entities + int64(groups-1)*c.group + more*c.anotherOfEntities
}

// modulating returns the bytes that all steps' modulations take while they are made,
// those of the weights included. XLA converts all of these to float32 before it begins.
func (c cost) modulating(weights, number int64) int64 {
	if c.convert && number < 4 {
		weights += weights / number * 4
	}
	return weights
}

// step returns eligen.Sizes.Step of a transformer whose numbers have a size in bytes.
// before is what is freed again before a step's weights are read, as compiling is: more
// than those weights.
func (c cost) step(f family.Shape, number, before int64) func(eligen.StepSizes) (n, stay int64) {
	return func(s eligen.StepSizes) (n, stay int64) {
		heads, chunk := int64(f.Heads), int64(f.Scores)
		rows, scores := int64(s.Image+s.Text), c.scores(heads*int64(s.Image+s.Text)*int64(s.Image+s.Text), chunk)
		covered := int64(0) // rows of the entities' regions, padding included
		for _, g := range s.Groups {
			each := int64(g.Entities)
			rows += each * int64(g.Text)
			covered += each * int64(g.Region)
			stay += each * int64(g.Text) * c.perToken
			scores = max(scores, c.scores(heads*each*int64(g.Text)*int64(g.Text+g.Region), chunk))
		}
		// A block's input, queries, keys, values, the attention's result, the hidden
		// layer before and after its activation, and the block's result; in float32, queries
		// of regions and what attention to the entities' text gives them.
		tensors := rows*number*int64(7*f.Dim+2*f.MLP) + covered*4*int64(4*f.Dim)
		tensors += int64(s.Pictures) * 2 * int64(f.Double+f.Single) * int64(f.Dim) * number // their keys and values
		if c.convert && number < 4 {
			tensors += 2 * 4 * int64(f.Dim) * int64(3*f.Dim+f.MLP) // the largest weight, in float32; two at a time
		}
		return stay + max(before, c.compiling(len(s.Groups)), tensors+scores), stay
	}
}

// within keeps the garbage of a work to the bytes that plans promise for it, beside a store's weights, until what it
// returns is called. Of the backends, only Go's makes garbage.
func (e *Engine) within(s *exec.Store, work int64) (done func()) {
	if e.info.Plugin != "" {
		return func() {}
	}
	return backend.Within(work + s.Whole() - s.Bytes())
}

// coding returns the bytes that plans promise for pictures of a size, in squares where tiles says so.
func (e *Engine) coding(a family.CoderShape, w, h int, tiles *eligen.Tiling) (decode, encode int64) {
	if tiles != nil {
		w, h = min(w, a.Factor*tiles.Tile), min(h, a.Factor*tiles.Tile)
	}
	return costOf(e.info).coding(a)(eligen.Size{W: w, H: h})
}

// steps returns the bytes that plans promise for a picture's steps.
func (e *Engine) steps(d eligen.Denoise, p family.Transformer) int64 {
	shape := p.Shape()
	n, _ := costOf(e.info).step(shape, int64(p.DType().Size()), 0)(stepSizes(d, shape))
	return n
}

// roomOfSteps returns how many bytes weights of steps may take in a picture's work; 0 is no limit.
func (e *Engine) roomOfSteps(d eligen.Denoise, p family.Transformer) int64 {
	return e.room(e.steps(d, p))
}

// stepSizes returns the sizes of a picture's steps, as a plan counts them.
func stepSizes(d eligen.Denoise, shape family.Shape) eligen.StepSizes {
	s := eligen.StepSizes{Branches: 1}
	if n := len(d.Latents.Data); shape.TokenDim > 0 {
		s.Image = n / shape.TokenDim
	}
	for _, c := range []eligen.Conditioning{d.Prompt, d.Negative} {
		if t := c[eligen.Txt]; len(t.Shape) > 0 {
			s.Text = max(s.Text, t.Shape[0])
		}
	}
	of := map[eligen.GroupSizes]int{}
	for _, x := range d.Entities {
		if t := x.Prompt[eligen.Txt]; len(t.Shape) > 0 && len(x.Tokens) > 0 {
			of[eligen.GroupSizes{Text: t.Shape[0], Region: max(x.Bucket, len(x.Tokens))}]++
		}
	}
	for g, n := range of {
		g.Entities = n
		s.Groups = append(s.Groups, g)
	}
	for _, x := range slices.Concat(d.ImagePrompts, d.NegativeImagePrompts) {
		if len(x.Tokens.Shape) > 0 {
			s.Pictures += x.Tokens.Shape[0]
		}
	}
	return s
}

// prompts returns the bytes that a prompt takes on top of the encoders' weights: for its attention
// scores, and for the two matrices that XLA makes float32 of at the same time.
func (c cost) prompts(w family.TextWork) int64 {
	n := c.text * 4 * w.Scores
	if c.convert {
		n += 2 * 4 * w.Matrix
	}
	return n
}

// coding returns eligen.Sizes.Coding of an autoencoder, which computes in float32.
func (c cost) coding(a family.CoderShape) func(eligen.Size) (decode, encode int64) {
	return func(s eligen.Size) (decode, encode int64) {
		positions := int64(s.W/a.Factor) * int64(s.H/a.Factor)
		last := len(a.Widths) - 1
		width := int64(a.Widths[last])
		attention := c.scores(positions*positions, int64(a.Scores)) + 8*4*positions*width
		// The largest tensors are at full size: of the first level's width where a picture is
		// encoded, of the second's where it is decoded.
		full := func(level int, n channels) int64 {
			pixels := 4 * int64(s.W) * int64(s.H)
			return int64(n.each*float64(c.buffer(pixels*int64(a.Widths[min(level, last)]))) + n.more*float64(pixels))
		}
		return max(full(1, c.decode), attention), max(full(0, c.encode), attention)
	}
}
