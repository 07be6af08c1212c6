package image

import (
	"context"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// Prompt is a picture as an IP-Adapter sees it. It has no inputs, and writes a
// safetensors file of one tensor, "tokens" [tokens, width].
type Prompt struct {
	Adapter eligen.Digest // of the IP-Adapter and its vision tower
	Picture eligen.Digest // of the file's bytes; "" is no picture: what the negative side sees
	Path    string        `recipe:"-"` // where to look for it
	// Background is the colour behind a transparent picture, "#rrggbb".
	Background string `recipe:"omitzero"`
}

// Kind returns the stage's name and version.
func (Prompt) Kind() string { return "imageprompt/2" }

// UsesEngine marks that its bytes depend on the engine.
func (Prompt) UsesEngine() {}

// String describes the stage, for people.
func (o Prompt) String() string {
	if o.Picture == "" {
		return "no picture"
	}
	return o.Path
}

// Run reads the picture, whatever its size, and encodes it.
func (o Prompt) Run(ctx context.Context, c *eligen.Call) error {
	var img image.Image
	if o.Picture != "" {
		read, err := read(o.Path, o.Picture, nil)
		if err != nil {
			return err
		}
		if img, err = seen(read, o.Background); err != nil {
			return err
		}
	}
	tokens, err := c.Engine.EncodeImagePrompt(ctx, o.Adapter, img)
	if err != nil {
		return err
	}
	return tensor.Write(c.Out, nil, tensor.Named{Name: "tokens", Tensor: tokens})
}
