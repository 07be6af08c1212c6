package eligen

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/sha"
)

// A Bitmap is a mask read from a file: one bit a pixel.
type Bitmap struct {
	W, H   int
	Digest Digest   // of size and bits
	bits   []byte   // row-major, eight pixels a byte, highest bit first
	ends   []uint32 // where bits is nil: of its runs, off and on in turn, each one's end. See bitmap.go
}

// NewBitmap makes a bitmap of the pixels for which on is true.
func NewBitmap(w, h int, on func(x, y int) bool) *Bitmap {
	b := &Bitmap{W: w, H: h, bits: make([]byte, (w*h+7)/8)}
	for y := range h {
		for x := range w {
			if on(x, y) {
				i := y*w + x
				b.bits[i/8] |= 0x80 >> (i % 8)
			}
		}
	}
	b.seal()
	return b
}

func (b *Bitmap) seal() {
	h := sha.New()
	fmt.Fprintf(h, "bitmap %d %d\n", b.W, b.H)
	h.Write(b.bits)
	b.Digest = Digest(hex.EncodeToString(h.Sum(nil)))
}

// Check reports whether a bitmap's pixels, where they are known, are those of its digest.
// A nil bitmap has none.
func (b *Bitmap) Check() error {
	if b == nil || b.bits == nil && b.ends == nil {
		return nil
	}
	whole := Bitmap{W: b.W, H: b.H, bits: b.bits}
	if whole.bits == nil {
		whole.bits = make([]byte, (b.W*b.H+7)/8)
		for i := 1; i < len(b.ends); i += 2 { // runs are off and on in turn
			for at := b.ends[i-1]; at < b.ends[i]; at++ {
				whole.bits[at/8] |= 0x80 >> (at % 8)
			}
		}
	}
	whole.seal()
	if whole.Digest != b.Digest {
		return fmt.Errorf("a mask of %d×%d pixels is not the one of its digest %s", b.W, b.H, b.Digest.Short())
	}
	return nil
}

// On reports whether the pixel (x, y) is on; pixels outside are off.
func (b *Bitmap) On(x, y int) bool {
	if x < 0 || y < 0 || x >= b.W || y >= b.H {
		return false
	}
	i := y*b.W + x
	if b.bits == nil {
		return b.inRun(i)
	}
	return b.bits[i/8]&(0x80>>(i%8)) != 0
}

// Recipe returns what a digest is made over: the content's own digest.
func (b *Bitmap) Recipe() string { return string(b.Digest) }

// A bitmap as JSON is its size and one of
//
//	runs    base64 of varints: the lengths of its runs, row by row, off and on in turn
//	bits    base64 of eight pixels a byte, highest bit first, where runs would be longer
//
// and its digest, which stands alone for a bitmap that is only named.
//
// What is read from runs is kept as runs: a few bytes of somebody's file may stand
// for many pixels.
type bitmapJSON struct {
	W      int    `json:"w"`
	H      int    `json:"h"`
	Digest Digest `json:"digest,omitempty"`
	Runs   []byte `json:"runs,omitempty"`
	Bits   []byte `json:"bits,omitempty"`
}

// maxBitmap is the longest side of a bitmap that is read from JSON.
const maxBitmap = 1 << 15

// MarshalJSON writes the bitmap in whichever form is shorter.
func (b *Bitmap) MarshalJSON() ([]byte, error) {
	v := bitmapJSON{W: b.W, H: b.H, Digest: b.Digest}
	switch runs := b.runs(); {
	case runs != nil:
		v.Runs = runs
	case b.bits != nil:
		v.Bits = b.bits
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads what MarshalJSON wrote. A digest beside runs is taken at its word.
func (b *Bitmap) UnmarshalJSON(data []byte) error {
	var v bitmapJSON
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	if v.W <= 0 || v.H <= 0 || v.W > maxBitmap || v.H > maxBitmap {
		return fmt.Errorf("a bitmap of %d×%d pixels", v.W, v.H)
	}
	if v.Runs == nil && (v.Bits != nil || v.Digest == "") { // earlier versions wrote no digest
		if len(v.Bits) != (v.W*v.H+7)/8 {
			return fmt.Errorf("a bitmap of %d×%d pixels with %d bytes", v.W, v.H, len(v.Bits))
		}
		*b = Bitmap{W: v.W, H: v.H, bits: v.Bits}
		b.seal()
		return nil
	}
	if len(v.Digest) != 64 || strings.Trim(string(v.Digest), "0123456789abcdef") != "" {
		return fmt.Errorf("a bitmap with the digest %q", v.Digest)
	}
	*b = Bitmap{W: v.W, H: v.H, Digest: v.Digest}
	end := uint64(0)
	for rest := v.Runs; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(v.W*v.H)-end {
			return fmt.Errorf("a bitmap of %d×%d pixels with other runs", v.W, v.H)
		}
		end, rest = end+n, rest[size:]
		b.ends = append(b.ends, uint32(end))
	}
	if v.Runs != nil && end != uint64(v.W*v.H) {
		return fmt.Errorf("a bitmap of %d×%d pixels with runs of %d", v.W, v.H, end)
	}
	return nil
}

// Named returns the bitmap without its pixels: its size and digest stand for it, as a
// digest does for any other picture that a recipe mentions. All its pixels are off.
func (b *Bitmap) Named() *Bitmap { return &Bitmap{W: b.W, H: b.H, Digest: b.Digest} }

// inRun reports whether pixel i is on, by the runs.
func (b *Bitmap) inRun(i int) bool {
	run, found := slices.BinarySearch(b.ends, uint32(i))
	if found {
		run++ // a run doesn't hold its end
		for run < len(b.ends) && b.ends[run] == uint32(i) {
			run++ // empty ones
		}
	}
	return run%2 == 1 && run < len(b.ends)
}

// runs returns the lengths of the bitmap's runs as varints; nil where its bits are not
// known, or are shorter.
func (b *Bitmap) runs() []byte {
	var out []byte
	if b.bits == nil {
		begin := uint32(0)
		for _, end := range b.ends {
			out, begin = binary.AppendUvarint(out, uint64(end-begin)), end
		}
		return out
	}
	n, on, begin := b.W*b.H, false, 0
	for begin < n {
		end := b.runEnd(begin, on)
		out = binary.AppendUvarint(out, uint64(end-begin))
		if len(out) >= len(b.bits) {
			return nil
		}
		begin, on = end, !on
	}
	return out
}

// runEnd returns the first pixel from i on that is not as on says.
func (b *Bitmap) runEnd(i int, on bool) int {
	flip := byte(0)
	if on {
		flip = 0xff
	}
	for n := b.W * b.H; i < n; i = i/8*8 + 8 {
		if other := (b.bits[i/8] ^ flip) << (i % 8); other != 0 {
			return min(n, i+bits.LeadingZeros8(other))
		}
	}
	return b.W * b.H
}
