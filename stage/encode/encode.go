// Package encode is the stage that turns a prompt into a model's conditioning.
package encode

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// Op runs a model's text encoders on a prompt. It has no inputs, and writes the
// [eligen.Conditioning] as a safetensors file, its tensors in the order of their names.
type Op struct {
	Text     eligen.Digest // of the encoders' weights
	Prompt   string
	Length   int  // tokens that the prompt is padded or cut to
	Pooled   bool // encoders that give one vector of a whole prompt read it too
	Unpadded bool `recipe:"omitzero"` // a shorter prompt keeps its own length

	Adapters []eligen.AdapterWeights `recipe:"omitzero"` // LoRAs that change the encoders
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "encode/1" }

// UsesEngine marks that its bytes depend on the engine.
func (Op) UsesEngine() {}

// String describes the stage, for people.
func (o Op) String() string { return strconv.Quote(o.Prompt) }

// Run encodes the prompt.
func (o Op) Run(ctx context.Context, c *eligen.Call) error {
	cond, err := c.Engine.EncodePrompt(ctx, o.Text, o.Prompt, eligen.Reading{
		Length: o.Length, Pooled: o.Pooled, Unpadded: o.Unpadded, Adapters: o.Adapters,
	})
	if err != nil {
		return err
	}
	if _, ok := cond[eligen.Vec]; o.Pooled && !ok {
		return errors.New("the engine gave no pooled vector. This is a bug in eligen")
	}
	var tensors []tensor.Named
	for _, name := range slices.Sorted(maps.Keys(cond)) {
		tensors = append(tensors, tensor.Named{Name: name, Tensor: cond[name]})
	}
	return tensor.Write(c.Out, nil, tensors...)
}
