// Package image is the stage that turns a picture into a model's latents.
package image

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // formats that a scene may name
	_ "image/png"
	"io"
	"os"

	_ "golang.org/x/image/webp"

	"github.com/eligen/eligen"
)

// Limits of a picture file, checked before it is decoded.
const (
	MaxBytes  = 32 << 20
	MaxPixels = 16 << 20
)

// Op encodes a picture with a model's autoencoder. It has no inputs, and writes a
// safetensors file of one tensor, "latents" [16, height/8, width/8].
type Op struct {
	Autoencoder eligen.Digest  // of the weights
	Picture     eligen.Digest  // of the file's bytes
	Size        eligen.Size    // that the picture must have
	Path        string         `recipe:"-"` // where to look for it
	Tiles       *eligen.Tiling `recipe:"omitzero"`
}

// Kind is the stage's name and version.
func (Op) Kind() string { return "image/1" }

// UsesEngine marks that its bytes depend on the engine.
func (Op) UsesEngine() {}

// String says which picture, for people.
func (o Op) String() string { return o.Path + o.Tiles.String() }

// Run reads, checks and encodes the picture.
func (o Op) Run(ctx context.Context, c *eligen.Call) error {
	img, err := read(o.Path, o.Picture, &o.Size)
	if err != nil {
		return err
	}
	latents, err := c.Engine.EncodeImage(ctx, o.Autoencoder, img, o.Tiles)
	if err != nil {
		return err
	}
	return eligen.WriteTensors(c.Out, nil, eligen.NamedTensor{Name: "latents", Tensor: latents})
}

// read reads the picture that was planned with, of a size or, with nil, of any.
func read(path string, picture eligen.Digest, size *eligen.Size) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%s has more than %d MiB, which is the limit", path, MaxBytes>>20)
	}
	if eligen.DigestOf(data) != picture {
		return nil, fmt.Errorf("%s has changed since the scene was read; run the command again", path)
	}
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s can't be read as a picture (PNG, JPEG and WebP can): %w", path, err)
	}
	if int64(head.Width)*int64(head.Height) > MaxPixels {
		return nil, fmt.Errorf("%s has %d×%d pixels; the limit is %d megapixels", path, head.Width, head.Height, MaxPixels>>20)
	}
	if size != nil && (head.Width != size.W || head.Height != size.H) {
		return nil, fmt.Errorf("%s has %d×%d pixels, the render %d×%d; they must be equal", path, head.Width, head.Height, size.W, size.H)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return img, nil
}
