// Package decode is the stage that turns latents into a picture.
package decode

import (
	"context"
	"errors"
	"image/png"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// Op runs a model's decoder. Its input is a safetensors file with "latents"
// [channels, h, w]; it writes a PNG without metadata.
type Op struct {
	Autoencoder eligen.Digest  // of the weights
	Tiles       *eligen.Tiling `recipe:"omitzero"`
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "decode/1" }

// UsesEngine marks that its bytes depend on the engine.
func (Op) UsesEngine() {}

// String describes the stage, for people.
func (o Op) String() string { return "latents to a picture" + o.Tiles.String() }

// Run decodes the latents.
func (o Op) Run(ctx context.Context, c *eligen.Call) error {
	data, err := c.Inputs[0].Read()
	if err != nil {
		return err
	}
	tensors, err := tensor.Read(data)
	if err != nil {
		return err
	}
	latents, ok := tensors["latents"]
	if !ok {
		return errors.New("the input holds no latents. This is a bug in eligen")
	}
	img, err := c.Engine.Decode(ctx, o.Autoencoder, latents, o.Tiles)
	if err != nil {
		return err
	}
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(c.Out, img)
}
