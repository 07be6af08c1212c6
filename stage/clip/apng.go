package clip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/internal/container"
)

// APNG writes an animated PNG, without loss. What doesn't know of animation shows its
// first frame.
type APNG struct {
	Resolved Resolved
	Strip    bool   // say nothing of how it was made
	Timeline string `json:",omitempty" recipe:"-"` // its address, for screens: the file doesn't hold it
}

// Kind is the stage's name and version.
func (APNG) Kind() string { return "apng/2" }

// String says what is made, for people.
func (o APNG) String() string { return fmt.Sprintf("APNG of %d frames", o.Resolved.Frames) }

// Check says why there can be no such APNG. Planning can ask it.
func (o APNG) Check() error { return o.Resolved.check() }

// Run writes, for each frame, the rectangle that changed.
func (o APNG) Run(ctx context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	r := o.Resolved
	be := binary.BigEndian
	f := container.New(c.Out)
	var prev *image.NRGBA
	number := uint32(0) // of the next chunk that is animation's own
	if err := r.each(ctx, c, func(i int, img *image.NRGBA) error {
		box := changed(prev, img)
		var b bytes.Buffer
		if err := png.Encode(&b, img.SubImage(box)); err != nil {
			return err
		}
		parts, err := chunks(b.Bytes())
		if err != nil {
			return err
		}
		if i == 0 {
			f.Add([]byte(pixels.PNGSignature), container.PNGChunk("IHDR", parts[0].body))
			f.Add(container.PNGChunk("acTL", be.AppendUint32(be.AppendUint32(nil, uint32(r.Frames)), uint32(r.Loop))))
			if !o.Strip {
				text, err := container.About(r)
				if err != nil {
					return err
				}
				about, err := container.TextChunks(keyword, text)
				if err != nil {
					return err
				}
				f.Add(about)
			}
		}
		control := be.AppendUint32(nil, number)
		for _, v := range []int{box.Dx(), box.Dy(), box.Min.X, box.Min.Y} {
			control = be.AppendUint32(control, uint32(v))
		}
		num, den := r.lasts(i, 1000), 1000
		if r.FPS == math.Trunc(r.FPS) {
			num, den = 1, int(r.FPS)
		}
		control = be.AppendUint16(be.AppendUint16(control, uint16(num)), uint16(den))
		f.Add(container.PNGChunk("fcTL", append(control, 0, 0))) // the frame stays, and replaces what was there
		number++
		for _, p := range parts {
			switch {
			case p.kind != "IDAT":
			case i == 0:
				f.Add(container.PNGChunk("IDAT", p.body))
			default:
				f.Add(container.PNGChunk("fdAT", append(be.AppendUint32(nil, number), p.body...)))
				number++
			}
		}
		prev = img
		c.Step(i+1, r.Frames)
		return f.Err()
	}); err != nil {
		return err
	}
	return f.Close(container.EndPNG)
}

// A part is a chunk of a PNG or a WebP, a box of an MP4, an element of a WebM.
type part struct {
	kind string
	body []byte
}

// chunks takes a PNG apart.
func chunks(data []byte) ([]part, error) {
	p, err := pixels.NewPNGReader(bytes.NewReader(data))
	if err != nil {
		return nil, errDamaged
	}
	var out []part
	for {
		kind, _, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, errDamaged
		}
		body, err := p.Body()
		if err != nil {
			return nil, errDamaged
		}
		out = append(out, part{kind, body})
	}
}
