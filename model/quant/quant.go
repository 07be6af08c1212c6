// Package quant knows how weights are stored in fewer bits: what a block of each format holds, and
// which numbers it stands for.
package quant

import (
	"fmt"

	"github.com/eligen/eligen/internal/tensor"
)

// A Format is a way to store numbers, by the name that files give it: "Q4_0", "F8_E4M3", "BF16".
// Numbers are stored in blocks; a block of a plain dtype is one number.
type Format struct {
	Name     string
	Elements int // of a block
	Bytes    int // of a block

	decode func(dst []float32, src []byte)
	encode func(dst []byte, src []float32) // nil: it is only read
}

// Of returns a format by its name.
func Of(name string) (Format, bool) {
	f, ok := formats[name]
	return f, ok
}

// Size returns the bytes of so many numbers, in whole blocks.
func (f Format) Size(n int) int64 {
	return (int64(n) + int64(f.Elements) - 1) / int64(f.Elements) * int64(f.Bytes)
}

// Decode fills dst with the numbers of as many blocks. A last block of which dst has only a part
// is decoded as far as dst goes. src must hold f.Size(len(dst)) bytes. Sums and products are each
// rounded to float32, as in the formats' own library.
func (f Format) Decode(dst []float32, src []byte) {
	whole := len(dst) / f.Elements
	f.decode(dst[:whole*f.Elements], src[:whole*f.Bytes])
	if rest := len(dst) - whole*f.Elements; rest > 0 {
		var block [largest]float32
		f.decode(block[:f.Elements], src[whole*f.Bytes:(whole+1)*f.Bytes])
		copy(dst[whole*f.Elements:], block[:rest])
	}
}

// Encodes reports whether numbers can be stored in the format.
func (f Format) Encodes() bool { return f.encode != nil }

// Encode stores numbers, which must be whole blocks, as the format's own library does. dst must have
// f.Size(len(src)) bytes.
func (f Format) Encode(dst []byte, src []float32) { f.encode(dst, src) }

// largest is the most numbers of a block.
const largest = 256

// Plain reports whether a format is a floating-point type that computes need no blocks or tables
// for: of those, nothing is gained by keeping them as they are stored.
func (f Format) Plain() bool {
	return f.Name == "F64" || f.Name == "F32" || f.Name == "F16" || f.Name == "BF16"
}

// IsWeight reports whether a tensor of a format's name can be a weight: integers are none without
// a scale, which makes I8 INT8.
func IsWeight(name string) bool {
	_, ok := formats[name]
	return ok && (tensor.SizeOf(name) == 0 || tensor.IsFloat(name))
}

// A Part is numbers as they are stored, with their scales.
type Part struct {
	Format Format
	Data   []byte // whole blocks
	First  int    // numbers of the first block before the part's first one
	N      int    // numbers

	// Number i is multiplied by Scale[(Into+i)/Span]: by one scale, one a row, or one a block.
	Scale []float32
	Span  int
	Into  int // numbers of the first scale before the part's first one

	Levels []float32 // what codes stand for: 16 numbers of NF4's and FP4's, 256 of bytes; nil: the format says it
}

// Decode fills dst with a part's numbers from one on.
func (p Part) Decode(dst []float32, from int) {
	if from < 0 || from+len(dst) > p.N {
		panic(fmt.Sprintf("numbers %d to %d of %d", from, from+len(dst), p.N))
	}
	f, at, out := p.Format, p.First+from, dst
	if skip := at % f.Elements; skip > 0 && len(out) > 0 { // a block of which not all is asked for
		var block [largest]float32
		b := at / f.Elements
		p.decode(block[:f.Elements], p.Data[b*f.Bytes:(b+1)*f.Bytes])
		n := copy(out, block[skip:f.Elements])
		out, at = out[n:], at+n
	}
	if len(out) > 0 {
		p.decode(out, p.Data[at/f.Elements*f.Bytes:])
	}
	p.scale(dst, p.Into+from)
}

func (p Part) decode(dst []float32, src []byte) {
	if p.Levels == nil {
		p.Format.Decode(dst, src)
		return
	}
	if len(p.Levels) == 256 {
		for i := range dst {
			dst[i] = p.Levels[src[i]]
		}
		return
	}
	levels := (*[16]float32)(p.Levels)
	for i := range len(dst) / 2 {
		pair, q := (*[2]float32)(dst[2*i:]), src[i]
		pair[0], pair[1] = levels[q>>4], levels[q&15]
	}
	if i := len(dst) - 1; i%2 == 0 {
		dst[i] = levels[src[i/2]>>4]
	}
}

// scale multiplies numbers, the first of which is number from of those that have scales.
func (p Part) scale(dst []float32, from int) {
	if len(p.Scale) == 0 {
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), p.Span-from%p.Span)
		s := p.Scale[from/p.Span]
		for i := range dst[:n] {
			dst[i] *= s
		}
		dst, from = dst[n:], from+n
	}
}

// A Tensor is a tensor as it is stored: parts, one after the other, row-major.
type Tensor struct {
	Shape []int
	Parts []Part
}

// Decode fills dst with a tensor's numbers from one on.
func (t Tensor) Decode(dst []float32, from int) {
	for _, p := range t.Parts {
		if from >= p.N {
			from -= p.N
			continue
		}
		n := min(len(dst), p.N-from)
		p.Decode(dst[:n], from)
		if dst, from = dst[n:], 0; len(dst) == 0 {
			return
		}
	}
}

// Bytes returns the memory that a tensor takes.
func (t Tensor) Bytes() (n int64) {
	for _, p := range t.Parts {
		n += int64(len(p.Data)) + 4*int64(len(p.Scale)+len(p.Levels))
	}
	return n
}

// A Packer is a loader that gives tensors as they are stored.
type Packer interface {
	// Packed reads a whole tensor. It is false for one that is stored as plain floating-point numbers, or
	// isn't stored at all.
	Packed(name string) (t Tensor, ok bool, err error)
}
