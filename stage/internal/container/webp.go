package container

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"image"
	"image/draw"
	"io"
	"math"
	"math/bits"

	"github.com/HugoSmits86/nativewebp"
	"golang.org/x/image/webp"

	"github.com/eligen/eligen"
)

// MaxWebP is the longest side of a WebP.
const MaxWebP = 1 << 14

// Bits of the flags of [VP8X].
const (
	Animated  = 1 << 1
	WithXMP   = 1 << 2
	WithEXIF  = 1 << 3
	WithAlpha = 1 << 4
)

// ErrDamaged says that a container can't be taken apart.
var ErrDamaged = errors.New("it is damaged or truncated")

// A Part is a chunk.
type Part struct {
	Kind string
	Body []byte
}

// Chunk returns a chunk of a RIFF file.
func Chunk(kind string, body []byte) []byte {
	out := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body))), body...)
	if len(body)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// VP8X returns a WebP's first chunk where it holds more than a picture.
func VP8X(flags uint8, w, h int) []byte {
	return Chunk("VP8X", Uint24([]byte{flags, 0, 0, 0}, w-1, h-1))
}

// Uint24 appends numbers of three bytes each.
func Uint24(b []byte, numbers ...int) []byte {
	for _, v := range numbers {
		b = append(b, uint8(v), uint8(v>>8), uint8(v>>16))
	}
	return b
}

// WriteWebP writes a WebP of chunks, and its seal.
func WriteWebP(w io.Writer, chunks ...[]byte) error {
	size := len("WEBP") + End(EndWebP).Len()
	for _, c := range chunks {
		size += len(c)
	}
	if size > math.MaxUint32-1 {
		return errors.New("a WebP has at most 4 GiB")
	}
	f := New(w)
	f.Add(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(size)), []byte("WEBP"))
	f.Add(chunks...)
	return f.Close(EndWebP)
}

// EndWebP returns the end of a WebP: a chunk that nobody else knows, with the seal.
func EndWebP(seal string) []byte { return Chunk("SEAL", []byte(seal)) }

// Chunks takes a WebP apart. What lies behind its end is passed over.
func Chunks(data []byte) ([]Part, error) {
	le := binary.LittleEndian
	if len(data) < 12 {
		return nil, ErrDamaged
	}
	end := uint64(le.Uint32(data[4:])) + 8
	if end < 12 || end > uint64(len(data)) {
		return nil, ErrDamaged
	}
	var out []Part
	for data = data[12:end]; len(data) > 0; {
		if len(data) < 8 {
			return nil, ErrDamaged
		}
		n := uint64(le.Uint32(data[4:]))
		if n+n%2+8 > uint64(len(data)) {
			return nil, ErrDamaged
		}
		out, data = append(out, Part{string(data[:4]), data[8 : 8+n]}), data[8+n+n%2:]
	}
	return out, nil
}

const namespace = "https://github.com/eligen/eligen/ns/1/"

// XMP returns a chunk with a packet of a mark and a text, as [Packet] takes them.
func XMP(m *eligen.Mark, name string, text []byte) []byte {
	return Chunk("XMP ", Packet(m, name, text))
}

// Text returns the text of that name in a WebP, nil where there is none.
func Text(data []byte, name string) ([]byte, error) {
	parts, err := Chunks(data)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Kind == "XMP " {
			return element(p.Body, name)
		}
	}
	return nil, nil
}

func element(data []byte, name string) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, ErrDamaged
		}
		if s, ok := t.(xml.StartElement); ok && s.Name.Space == namespace && s.Name.Local == name {
			var text string
			if err := d.DecodeElement(&text, &s); err != nil {
				return nil, ErrDamaged
			}
			return []byte(text), nil
		}
	}
}

// Lossless returns a picture as a chunk. It is read back, since the encoder panics over
// some very small pictures and does not bound its codes' lengths; one that it can't
// write is written without compression.
func Lossless(img *image.NRGBA) []byte {
	if chunk := encode(img); chunk != nil && holds(chunk, img) {
		return chunk
	}
	return stored(img)
}

// encode compresses a picture. It returns nil where the encoder fails.
func encode(img *image.NRGBA) (chunk []byte) {
	defer func() {
		if recover() != nil {
			chunk = nil
		}
	}()
	var b bytes.Buffer
	if err := nativewebp.Encode(&b, img, nil); err != nil {
		return nil
	}
	return b.Bytes()[12:]
}

func holds(chunk []byte, img *image.NRGBA) bool {
	got, err := webp.Decode(
		io.MultiReader(bytes.NewReader(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunk)))),
			bytes.NewReader([]byte("WEBP")), bytes.NewReader(chunk)),
	)
	if err != nil || got.Bounds().Size() != img.Rect.Size() {
		return false
	}
	same, ok := got.(*image.NRGBA)
	if !ok {
		same = image.NewNRGBA(got.Bounds())
		draw.Draw(same, same.Rect, got, got.Bounds().Min, draw.Src)
	}
	n := 4 * img.Rect.Dx()
	for y := range img.Rect.Dy() {
		if !bytes.Equal(same.Pix[y*same.Stride:][:n], img.Pix[y*img.Stride:][:n]) {
			return false
		}
	}
	return true
}

// stored returns a picture as a chunk in which all bytes have codes of eight bits.
func stored(img *image.NRGBA) []byte {
	b := bitWriter{}
	w, h, opaque := img.Rect.Dx(), img.Rect.Dy(), img.Opaque()
	b.put(0x2f, 8)
	b.put(w-1, 14)
	b.put(h-1, 14)
	if opaque {
		b.put(0, 1)
	} else {
		b.put(1, 1)
	}
	b.put(0, 3+3) // version; no transforms, no cache of colours, one set of codes
	full := func(more int) {
		// Lengths are 0 and 8, and have codes of one bit: the third and twelfth in
		// the format's order of lengths.
		b.put(0, 1)
		b.put(12-4, 4)
		b.put(1<<(3*2), 3*11)
		b.put(1, 3)
		b.put(0, 1)
		for range 256 {
			b.put(1, 1)
		}
		b.put(0, more)
	}
	full(24) // green, and no lengths of copies
	full(0)
	full(0)
	if opaque {
		b.put(1|0<<1|1<<2|255<<3, 11) // one alpha
	} else {
		full(0)
	}
	b.put(1, 4) // one distance, for copies that don't occur
	for y := range h {
		row := img.Pix[y*img.Stride:][:4*w]
		for ; len(row) > 0; row = row[4:] {
			for _, k := range []int{1, 0, 2, 3} {
				if k < 3 || !opaque {
					b.put(int(bits.Reverse8(row[k])), 8)
				}
			}
		}
	}
	b.put(0, 7) // fills the last byte
	return Chunk("VP8L", b.out)
}

// A bitWriter fills bytes from their lowest bit.
type bitWriter struct {
	out  []byte
	bits uint64
	n    int
}

func (b *bitWriter) put(v, n int) {
	b.bits |= uint64(v) << b.n
	for b.n += n; b.n >= 8; b.n -= 8 {
		b.out = append(b.out, uint8(b.bits))
		b.bits >>= 8
	}
}
