// Package encode is the stage that turns a prompt into a model's conditioning.
package encode

import (
	"context"
	"fmt"
	"strconv"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// Op runs a model's text encoders on a prompt. It has no inputs, and writes a
// safetensors file: "txt" [tokens, width], T5's hidden states, and, where Pooled,
// "vec" [width], CLIP's pooled vector.
type Op struct {
	Text   eligen.Digest // of the encoders' weights
	Prompt string
	Length int  // T5 tokens that the prompt is padded or cut to
	Pooled bool // an entity's prompt goes through T5 only
}

// Kind is the stage's name and version.
func (Op) Kind() string { return "encode/1" }

// UsesEngine marks that its bytes depend on the engine.
func (Op) UsesEngine() {}

// String says what is encoded, for people.
func (o Op) String() string { return strconv.Quote(o.Prompt) }

// Run encodes the prompt.
func (o Op) Run(ctx context.Context, c *eligen.Call) error {
	cond, err := c.Engine.EncodePrompt(ctx, o.Text, o.Prompt, o.Length, o.Pooled)
	if err != nil {
		return err
	}
	tensors := []tensor.Named{{Name: "txt", Tensor: cond.Txt}}
	if o.Pooled {
		if len(cond.Vec.Data) == 0 {
			return fmt.Errorf("the engine gave no pooled vector. This is a bug in eligen")
		}
		tensors = append(tensors, tensor.Named{Name: "vec", Tensor: cond.Vec})
	}
	return tensor.Write(c.Out, nil, tensors...)
}
