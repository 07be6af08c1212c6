package engine

import (
	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/family"
)

// A cost is what a backend takes beside weights: measured with the embedded model, by
// `go run ./bench -only memory`, garbage and scratch memory included.
type cost struct {
	program int64 // before the first step: code, the backend, prompts

	// What a compiler leaves behind of the graphs of steps, of those with entities, of
	// entities of one more size, and of the autoencoder's graph.
	compile, entities, group, coder int64

	// How many tensors as large as the picture, in the level of the autoencoder that is
	// widest there, are in memory where it decodes and where it encodes; and how many as
	// large as a chunk of attention scores, and how many more for a second chunk.
	decode, encode float64
	one, second    float64
	perToken       int64 // of an entity's prompt
}

var (
	goCost  = cost{program: 145 << 20, decode: 8.6, encode: 8.6, one: 3.3, second: 0.5, perToken: 60 << 10}
	xlaCost = cost{program: 360 << 20, compile: 150 << 20, entities: 275 << 20, group: 60 << 20, coder: 20 << 20, decode: 10, encode: 14,
		one: 2.1, second: 0.4, perToken: 20 << 10}
)

func costOf(i backend.Info) cost {
	if i.Plugin != "" {
		return xlaCost
	}
	return goCost
}

// scores is what n attention scores take, in float32, of which chunk are computed at
// once: more than a chunk does where a second is made while the first is garbage.
func (c cost) scores(n, chunk int64) int64 {
	first, second := min(n, chunk), min(max(0, n-chunk), chunk)
	return int64(4 * (c.one*float64(first) + c.second*float64(second)))
}

// step is eligen.Sizes.Step of a transformer whose numbers have a size in bytes.
func (c cost) step(f family.Shape, number int64) func(eligen.StepSizes) (n, stay int64) {
	return func(s eligen.StepSizes) (n, stay int64) {
		heads, chunk := int64(f.Heads), int64(f.Scores)
		rows, scores := int64(s.Image+s.Text), c.scores(heads*int64(s.Image+s.Text)*int64(s.Image+s.Text), chunk)
		covered := int64(0) // rows of the entities' regions, padding included
		stay = c.compile
		for i, g := range s.Groups {
			each := int64(g.Entities)
			rows += each * int64(g.Text)
			covered += each * int64(g.Region)
			stay += each * int64(g.Text) * c.perToken
			scores = max(scores, c.scores(heads*each*int64(g.Text)*int64(g.Text+g.Region), chunk))
			if stay += c.group; i == 0 {
				stay += c.entities - c.group
			}
		}
		// A block's input, queries, keys, values, the attention's result, the hidden
		// layer before and after its activation, and the block's result; in float32, queries
		// of regions and what attention to the entities' text gives them.
		tensors := rows*number*int64(7*f.Dim+2*f.MLP) + covered*4*int64(4*f.Dim)
		tensors += int64(s.Pictures) * 2 * int64(f.Double+f.Single) * int64(f.Dim) * number // their keys and values
		return stay + tensors + scores, stay
	}
}

// coding is eligen.Sizes.Coding of an autoencoder, which computes in float32.
func (c cost) coding(a family.CoderShape) func(eligen.Size) (decode, encode int64) {
	return func(s eligen.Size) (decode, encode int64) {
		positions := int64(s.W/a.Factor) * int64(s.H/a.Factor)
		last := len(a.Widths) - 1
		width := int64(a.Widths[last])
		attention := c.scores(positions*positions, int64(a.Scores)) + 8*4*positions*width
		// The largest tensors are at full size: of the first level's width where a picture is
		// encoded, of the second's where it is decoded.
		full := func(level int, tensors float64) int64 {
			return int64(tensors * 4 * float64(a.Widths[min(level, last)]) * float64(s.W) * float64(s.H))
		}
		return c.coder + max(full(1, c.decode), attention), c.coder + max(full(0, c.encode), attention)
	}
}
