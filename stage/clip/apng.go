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
	Strip    bool         // say nothing of how it was made
	Mark     *eligen.Mark `recipe:"omitzero"`            // nil: the file says nowhere else that a model made it
	Timeline string       `json:",omitempty" recipe:"-"` // its address, for screens: the file doesn't hold it
}

// Kind returns the stage's name and version.
func (APNG) Kind() string { return "apng/2" }

// String describes the stage, for people.
func (o APNG) String() string { return fmt.Sprintf("APNG of %d frames", o.Resolved.Frames) }

// Check says why there can be no such APNG. Planning can ask it.
func (o APNG) Check() error { return o.Resolved.check() }

// Run writes, for each frame, the rectangle that changed.
func (o APNG) Run(ctx context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	w := &apngWriter{op: o, f: container.New(c.Out)}
	if err := o.Resolved.each(ctx, c, func(i int, img *image.NRGBA) error {
		if err := w.frame(i, img); err != nil {
			return err
		}
		c.Step(i+1, o.Resolved.Frames)
		return w.f.Err()
	}); err != nil {
		return err
	}
	return w.f.Close(container.EndPNG)
}

// An apngWriter writes frames as chunks.
type apngWriter struct {
	op     APNG
	f      *container.File
	prev   *image.NRGBA // the last frame; nil before the first
	number uint32       // of the next chunk that is animation's own
}

// header writes what comes before the first frame, which has the header ihdr as a PNG.
func (w *apngWriter) header(ihdr []byte) error {
	r, be := w.op.Resolved, binary.BigEndian
	w.f.Add([]byte(pixels.PNGSignature), container.PNGChunk("IHDR", ihdr))
	w.f.Add(container.PNGChunk("acTL", be.AppendUint32(be.AppendUint32(nil, uint32(r.Frames)), uint32(r.Loop))))
	w.f.Add(container.MarkPNG(w.op.Mark))
	if w.op.Strip {
		return nil
	}
	text, err := container.About(r)
	if err != nil {
		return err
	}
	about, err := container.TextChunks(keyword, text)
	if err != nil {
		return err
	}
	w.f.Add(about)
	return nil
}

// frame writes a frame.
func (w *apngWriter) frame(i int, img *image.NRGBA) error {
	box := changed(w.prev, img)
	var b bytes.Buffer
	if err := png.Encode(&b, img.SubImage(box)); err != nil {
		return err
	}
	parts, err := chunks(b.Bytes())
	if err != nil {
		return err
	}
	if i == 0 {
		if err := w.header(parts[0].body); err != nil {
			return err
		}
	}
	w.control(i, box)
	for _, p := range parts {
		switch {
		case p.kind != "IDAT":
		case i == 0:
			w.f.Add(container.PNGChunk("IDAT", p.body))
		default:
			w.f.Add(container.PNGChunk("fdAT", append(binary.BigEndian.AppendUint32(nil, w.number), p.body...)))
			w.number++
		}
	}
	w.prev = img
	return nil
}

// control writes where a frame is laid and how long it lasts. It stays, and replaces what
// was there.
func (w *apngWriter) control(i int, box image.Rectangle) {
	r, be := w.op.Resolved, binary.BigEndian
	control := be.AppendUint32(nil, w.number)
	for _, v := range []int{box.Dx(), box.Dy(), box.Min.X, box.Min.Y} {
		control = be.AppendUint32(control, uint32(v))
	}
	num, den := r.lasts(i, 1000), 1000
	if r.FPS == math.Trunc(r.FPS) {
		num, den = 1, int(r.FPS)
	}
	control = be.AppendUint16(be.AppendUint16(control, uint16(num)), uint16(den))
	w.f.Add(container.PNGChunk("fcTL", append(control, 0, 0)))
	w.number++
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
