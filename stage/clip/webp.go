package clip

import (
	"context"
	"encoding/binary"
	"fmt"
	"image"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/internal/container"
)

// WebP writes an animated WebP, without loss.
type WebP struct {
	Resolved Resolved
	Strip    bool         // say nothing of how it was made
	Mark     *eligen.Mark `recipe:"omitzero"`            // nil: the file says nowhere else that a model made it
	Timeline string       `json:",omitempty" recipe:"-"` // its address, for screens: the file doesn't hold it
}

// Kind returns the stage's name and version.
func (WebP) Kind() string { return "webpclip/1" }

// String describes the stage, for people.
func (o WebP) String() string { return fmt.Sprintf("WebP of %d frames", o.Resolved.Frames) }

// Check says why there can be no such WebP. Planning can ask it.
func (o WebP) Check() error {
	if err := o.Resolved.check(); err != nil {
		return err
	}
	if s := o.Resolved.Size; max(s.W, s.H) > container.MaxWebP {
		return fmt.Errorf("a WebP has at most %d pixels a side, not %d×%d", container.MaxWebP, s.W, s.H)
	}
	return nil
}

// webpText names the text that holds a [Resolved] as JSON.
const webpText = "clip"

// Run writes, for each frame, the rectangle that changed.
func (o WebP) Run(ctx context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	r := o.Resolved
	flags := uint8(container.Animated)
	var meta []byte
	if !o.Strip {
		text, err := container.About(r)
		if err != nil {
			return err
		}
		flags |= container.WithXMP
		meta = container.XMP(o.Mark, webpText, text)
	} else if o.Mark != nil {
		flags |= container.WithXMP
		meta = container.XMP(o.Mark, "", nil)
	}
	parts := [][]byte{
		container.VP8X(flags, r.Size.W, r.Size.H),
		container.Chunk("ANIM", binary.LittleEndian.AppendUint16(make([]byte, 4), uint16(r.Loop))),
	}
	var prev *image.NRGBA
	if err := r.each(ctx, c, func(i int, img *image.NRGBA) error {
		box := changed(prev, img)
		box.Min.X &^= 1 // corners are at even places only
		box.Min.Y &^= 1
		box = box.Union(image.Rectangle{Min: box.Min, Max: box.Min.Add(image.Pt(2, 2))}).Intersect(img.Rect) // the encoder fails over less
		frame := container.Uint24(nil, box.Min.X/2, box.Min.Y/2, box.Dx()-1, box.Dy()-1, r.lasts(i, 1000))
		const replace = 1 << 1 // what was there, and don't blend with it
		parts = append(parts,
			container.Chunk("ANMF", append(append(frame, replace), container.Lossless(img.SubImage(box).(*image.NRGBA))...)))
		prev = img
		c.Step(i+1, r.Frames)
		return nil
	}); err != nil {
		return err
	}
	return container.WriteWebP(c.Out, append(parts, meta)...)
}
