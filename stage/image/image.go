// Package image is the stage that turns a picture into a model's latents.
package image

import (
	"context"
	"fmt"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
)

// Op encodes a picture with a model's autoencoder. It has no inputs, and writes a
// safetensors file of one tensor, "latents" [channels, h, w].
type Op struct {
	Autoencoder eligen.Digest  // of the weights
	Picture     eligen.Digest  // of the file's bytes
	Size        eligen.Size    // that the picture must have
	Path        string         `recipe:"-"`        // where to look for it
	Background  string         `recipe:"omitzero"` // colour behind a transparent picture, "#rrggbb"
	Tiles       *eligen.Tiling `recipe:"omitzero"`
}

// Kind returns the stage's name and version.
func (Op) Kind() string { return "image/2" }

// UsesEngine marks that its bytes depend on the engine.
func (Op) UsesEngine() {}

// String describes the stage, for people.
func (o Op) String() string { return o.Path + o.Tiles.String() }

// Run reads, checks and encodes the picture.
func (o Op) Run(ctx context.Context, c *eligen.Call) error {
	img, err := read(o.Path, o.Picture, &o.Size)
	if err != nil {
		return err
	}
	if img, err = seen(img, o.Background); err != nil {
		return err
	}
	latents, err := c.Engine.EncodeImage(ctx, o.Autoencoder, img, o.Tiles)
	if err != nil {
		return err
	}
	return tensor.Write(c.Out, nil, tensor.Named{Name: "latents", Tensor: latents})
}

// Seen returns the picture as the model sees it.
func (o Op) Seen() (image.Image, error) {
	img, err := read(o.Path, o.Picture, &o.Size)
	if err != nil {
		return nil, err
	}
	return seen(img, o.Background)
}

// read reads the picture that was planned with, of a size or, with nil, of any: turned,
// in sRGB, with its transparency.
func read(path string, picture eligen.Digest, size *eligen.Size) (*image.NRGBA, error) {
	f, err := pixels.Read(path, picture)
	if err != nil {
		return nil, err
	}
	if size != nil && f.Size != *size {
		return nil, fmt.Errorf("%s has %d×%d pixels, the render %d×%d; they must be equal", path, f.Size.W, f.Size.H, size.W, size.H)
	}
	img, err := f.Picture()
	if err != nil {
		return nil, fmt.Errorf("%s is %w", path, err)
	}
	return img, nil
}

// seen returns a picture as a model sees it: on a background, "#rrggbb", or white if "".
func seen(img *image.NRGBA, background string) (*image.NRGBA, error) {
	c, err := pixels.ParseColour(background)
	if err != nil {
		return nil, err
	}
	return pixels.Over(img, c), nil
}
