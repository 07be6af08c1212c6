package image

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
)

// Resize scales a picture, its input, by PIL's bicubic filter, and its transparency
// with it. It writes a PNG without metadata.
type Resize struct {
	Size eligen.Size
	// Fit is how a picture of another shape is laid on: "stretch", or "cover", which
	// keeps its proportions and cuts what is outside, the same on both sides.
	Fit string
}

// Kind returns the stage's name and version.
func (Resize) Kind() string { return "resize/2" }

// String describes the stage, for people.
func (r Resize) String() string { return fmt.Sprintf("to %d×%d, %s", r.Size.W, r.Size.H, r.Fit) }

// Run scales the picture.
func (r Resize) Run(_ context.Context, c *eligen.Call) error {
	in, err := inputs(c, 1)
	if err != nil {
		return err
	}
	switch r.Fit {
	case "stretch":
		return write(c, pixels.Resize(in[0], r.Size, pixels.Bicubic, pixels.Resample))
	case "cover":
		return write(c, pixels.Resize(in[0], r.Size, pixels.Bicubic, pixels.Cover))
	}
	return fmt.Errorf("there is no fit %q. This is a bug in eligen", r.Fit)
}

// Panels lays its inputs, two pictures of one size, side by side, as a model sees them.
// It writes a PNG without transparency and metadata.
type Panels struct {
	Background string `recipe:"omitzero"` // colour behind transparent pictures, "#rrggbb"
}

// Kind returns the stage's name and version.
func (Panels) Kind() string { return "panels/1" }

// String describes the stage, for people.
func (Panels) String() string { return "two pictures side by side" }

// Run lays the pictures side by side.
func (p Panels) Run(_ context.Context, c *eligen.Call) error {
	in, err := inputs(c, 2)
	if err != nil {
		return err
	}
	for i := range in {
		if in[i], err = seen(in[i], p.Background); err != nil {
			return err
		}
	}
	left, right := in[0], in[1]
	if left.Rect != right.Rect {
		return fmt.Errorf("panels of %d×%d and %d×%d pixels. This is a bug in eligen", left.Rect.Dx(), left.Rect.Dy(),
			right.Rect.Dx(), right.Rect.Dy())
	}
	w := left.Rect.Dx()
	out := image.NewNRGBA(image.Rect(0, 0, 2*w, left.Rect.Dy()))
	draw.Draw(out, left.Rect, left, image.Point{}, draw.Src)
	draw.Draw(out, right.Rect.Add(image.Pt(w, 0)), right, image.Point{}, draw.Src)
	return write(c, out)
}

// Right cuts the right one of two panels out of its input. It writes a PNG without
// metadata.
type Right struct{}

// Kind returns the stage's name and version.
func (Right) Kind() string { return "right/1" }

// String describes the stage, for people.
func (Right) String() string { return "the right panel" }

// Run cuts the picture.
func (Right) Run(_ context.Context, c *eligen.Call) error {
	in, err := inputs(c, 1)
	if err != nil {
		return err
	}
	w, h := in[0].Rect.Dx()/2, in[0].Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Rect, in[0], image.Pt(w, 0), draw.Src)
	return write(c, out)
}

// Latents encodes its input, a picture that a stage made, with a model's autoencoder.
// It writes what [Op] writes.
type Latents struct {
	Autoencoder eligen.Digest  // of the weights
	Tiles       *eligen.Tiling `recipe:"omitzero"`
	Background  string         `recipe:"omitzero"` // colour behind a transparent picture, "#rrggbb"
}

// Kind returns the stage's name and version.
func (Latents) Kind() string { return "latents/1" }

// UsesEngine marks that its bytes depend on the engine.
func (Latents) UsesEngine() {}

// String describes the stage, for people.
func (l Latents) String() string { return "a picture to latents" + l.Tiles.String() }

// Run encodes the picture.
func (l Latents) Run(ctx context.Context, c *eligen.Call) error {
	in, err := inputs(c, 1)
	if err != nil {
		return err
	}
	img, err := seen(in[0], l.Background)
	if err != nil {
		return err
	}
	latents, err := c.Engine.EncodeImage(ctx, l.Autoencoder, img, l.Tiles)
	if err != nil {
		return err
	}
	return tensor.Write(c.Out, nil, tensor.Named{Name: "latents", Tensor: latents})
}

// inputs returns a stage's input pictures.
func inputs(c *eligen.Call, n int) ([]*image.NRGBA, error) {
	if len(c.Inputs) != n {
		return nil, fmt.Errorf("%d inputs instead of %d. This is a bug in eligen", len(c.Inputs), n)
	}
	out := make([]*image.NRGBA, n)
	for i, a := range c.Inputs {
		data, err := a.Read()
		if err != nil {
			return nil, err
		}
		img, err := pixels.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("a picture can't be read: %w", err)
		}
		out[i] = img
	}
	return out, nil
}

func write(c *eligen.Call, img image.Image) error {
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(c.Out, img)
}
