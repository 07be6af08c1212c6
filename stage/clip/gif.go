package clip

import (
	"compress/lzw"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"math"
	"math/bits"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/internal/container"
)

// GIF writes a GIF. One palette of 255 colours serves all frames, so that colours
// don't flicker; a clip that has no more is written without loss.
type GIF struct {
	Resolved Resolved
	Strip    bool         // say nothing of how it was made
	Dither   string       // None, FloydSteinberg or Ordered
	Mark     *eligen.Mark `recipe:"omitzero"`            // nil: the file says nowhere else that a model made it
	Timeline string       `json:",omitempty" recipe:"-"` // its address, for screens: the file doesn't hold it
}

// maxGIF is the fastest that a GIF plays: its frames last whole hundredths of a
// second, and players slow those of one down to a tenth.
const maxGIF = 50

// Kind returns the stage's name and version.
func (GIF) Kind() string { return "gif/1" }

// String describes the stage, for people.
func (o GIF) String() string { return fmt.Sprintf("GIF of %d frames", o.Resolved.Frames) }

// Check says why there can be no such GIF. Planning can ask it.
func (o GIF) Check() error {
	if err := o.Resolved.check(); err != nil {
		return err
	}
	switch o.Dither {
	case None, FloydSteinberg, Ordered:
	default:
		return fmt.Errorf("there is no dither %q; there are %s, %s and %s", o.Dither, None, FloydSteinberg, Ordered)
	}
	if o.Resolved.FPS > maxGIF {
		return fmt.Errorf("fps is %v, and a GIF has at most %d frames a second; write WebP or APNG instead", o.Resolved.FPS, maxGIF)
	}
	if s := o.Resolved.Size; max(s.W, s.H) > math.MaxUint16 {
		return fmt.Errorf("a GIF has at most %d pixels a side, not %d×%d", math.MaxUint16, s.W, s.H)
	}
	return nil
}

// Run goes through the frames twice: for the palette, and to write them.
func (o GIF) Run(ctx context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	r := o.Resolved
	h := newHistogram()
	if err := r.each(ctx, c, func(i int, img *image.NRGBA) error {
		h.add(img)
		c.Step(i+1, 2*r.Frames)
		return nil
	}); err != nil {
		return err
	}
	p := h.palette()
	w := &gifWriter{
		op: o, f: container.New(c.Out), palette: p,
		depth: max(2, bits.Len(uint(len(p.colours)))), before: uint8(len(p.colours)),
	}
	if err := w.header(); err != nil {
		return err
	}
	if err := r.each(ctx, c, func(i int, img *image.NRGBA) error {
		if err := w.frame(i, img); err != nil {
			return err
		}
		c.Step(r.Frames+i+1, 2*r.Frames)
		return w.f.Err()
	}); err != nil {
		return err
	}
	return w.f.Close(endGIF)
}

// A gifWriter writes frames by the indices of one palette.
type gifWriter struct {
	op      GIF
	f       *container.File
	palette *palette
	depth   int   // bits of an index
	before  uint8 // index that means "as before"

	prev *image.NRGBA // the last frame; nil before the first
	was  []uint8      // its indices
}

// header writes the size, the palette, how often the clip plays, and what it says of
// itself.
func (w *gifWriter) header() error {
	r, le := w.op.Resolved, binary.LittleEndian
	head := le.AppendUint16(le.AppendUint16([]byte("GIF89a"), uint16(r.Size.W)), uint16(r.Size.H))
	head = append(head, 0x80|uint8(w.depth-1)<<4|uint8(w.depth-1), 0, 0)
	table := make([]byte, 3<<w.depth)
	for i, c := range w.palette.colours {
		copy(table[3*i:], c[:])
	}
	w.f.Add(head, table)
	if r.Loop != 1 {
		again := max(0, r.Loop-1) // 0 is without end
		w.f.Add([]byte("\x21\xff\x0bNETSCAPE2.0\x03\x01"), le.AppendUint16(nil, uint16(again)), []byte{0})
	}
	if w.op.Strip {
		w.f.Add(container.MarkGIF(w.op.Mark))
		return nil
	}
	text, err := container.About(r)
	if err != nil {
		return err
	}
	w.f.Add([]byte{0x21, 0xfe})
	b := blocks{f: w.f}
	b.add([]byte(keyword + " "))
	b.add(ascii(text))
	b.close()
	w.f.Add(container.MarkGIF(w.op.Mark))
	return nil
}

// frame writes the rectangle of a frame that differs from the last one.
func (w *gifWriter) frame(i int, img *image.NRGBA) error {
	r, le := w.op.Resolved, binary.LittleEndian
	all := w.palette.draw(img, w.op.Dither, w.prev, w.was)
	box := image.Rect(0, 0, r.Size.W, r.Size.H)
	flags := uint8(1 << 2) // the frame stays when the next is drawn
	if w.prev != nil {
		box = differ(w.was, all, r.Size.W)
		flags |= 1
	}
	w.f.Add([]byte{0x21, 0xf9, 4, flags}, le.AppendUint16(nil, uint16(r.lasts(i, 100))), []byte{w.before, 0, 0x2c})
	for _, v := range []int{box.Min.X, box.Min.Y, box.Dx(), box.Dy()} {
		w.f.Add(le.AppendUint16(nil, uint16(v)))
	}
	w.f.Add([]byte{0, uint8(w.depth)})
	if err := w.pixels(box, all); err != nil {
		return err
	}
	w.prev, w.was = img, all
	return nil
}

// pixels compresses a rectangle of a frame's indices.
func (w *gifWriter) pixels(box image.Rectangle, all []uint8) error {
	b := blocks{f: w.f}
	z := lzw.NewWriter(&b, lzw.LSB, w.depth)
	line := make([]uint8, box.Dx())
	for y := box.Min.Y; y < box.Max.Y; y++ {
		at := y*w.op.Resolved.Size.W + box.Min.X
		copy(line, all[at:])
		for x := range line {
			if w.prev != nil && w.was[at+x] == line[x] {
				line[x] = w.before
			}
		}
		if _, err := z.Write(line); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	b.close()
	return nil
}

func endGIF(seal string) []byte {
	text := container.Seal + " " + seal
	return append(append([]byte{0x21, 0xfe, uint8(len(text))}, text...), 0, 0x3b)
}

// differ returns the rectangle in which two frames' indices differ, in rows of w pixels. It
// is never empty.
func differ(a, b []uint8, w int) image.Rectangle {
	r := image.Rectangle{}
	for i := range a {
		if x, y := i%w, i/w; a[i] != b[i] && !(image.Point{X: x, Y: y}).In(r) {
			r = r.Union(image.Rect(x, y, x+1, y+1))
		}
	}
	if r.Empty() {
		return image.Rect(0, 0, 1, 1)
	}
	return r
}

// blocks divides bytes into GIF's blocks of at most 255.
type blocks struct {
	f   *container.File
	buf []byte
}

func (b *blocks) add(data []byte) {
	for _, v := range data {
		if b.buf = append(b.buf, v); len(b.buf) == 255 {
			b.flush()
		}
	}
}

func (b *blocks) flush() {
	if len(b.buf) > 0 {
		b.f.Add([]byte{uint8(len(b.buf))}, b.buf)
		b.buf = b.buf[:0]
	}
}

func (b *blocks) close() {
	b.flush()
	b.f.Add([]byte{0})
}

// Write adds data, for the compressor.
func (b *blocks) Write(data []byte) (int, error) {
	b.add(data)
	return len(data), b.f.Err()
}
