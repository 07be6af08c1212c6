package image

import (
	"context"
	"image/png"

	"github.com/eligen/eligen"
)

// Picture reads a picture that the scene names, turned, in sRGB, with its transparency:
// what inpainting keeps. It has no inputs, and writes a PNG without metadata.
type Picture struct {
	Picture eligen.Digest // of the file's bytes
	Size    eligen.Size   // that the picture must have
	Path    string        `recipe:"-"` // where to look for it
}

// Kind returns the stage's name and version.
func (Picture) Kind() string { return "picture/2" }

// String describes the stage, for people.
func (p Picture) String() string { return p.Path }

// Run reads and checks the picture.
func (p Picture) Run(_ context.Context, c *eligen.Call) error {
	img, err := read(p.Path, p.Picture, &p.Size)
	if err != nil {
		return err
	}
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(c.Out, img)
}
