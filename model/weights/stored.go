package weights

import (
	"cmp"
	"fmt"
	"sync"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/quant"
)

// stored is a tensor as it lies in a file.
type stored struct {
	in     *shard
	offset int64 // bytes from the start of the file
	format quant.Format
	n      int // elements

	scales *stored   // its elements are multiplied by these, each of which is for span of them
	span   int       // 0 where there are no scales
	times  float32   // what each element is multiplied by; 0 is 1: of bitsandbytes' maxima of rows
	add    float32   // to each element, after its scale: of bitsandbytes' nested scales
	levels []float32 // what codes stand for, as [quant.Part] has them
}

// newStored returns the tensor that an entry of a header describes.
func newStored(in *shard, info tensor.Info) *stored {
	f, ok := quant.Of(info.DType)
	if !ok { // no numbers of it are read, but bytes are
		f = quant.Format{Name: info.DType, Elements: 1, Bytes: tensor.SizeOf(info.DType)}
	}
	return &stored{in: in, offset: info.Offset, format: f, n: Elements(info.Shape)}
}

// plain reports whether the bytes are numbers without scales.
func (s *stored) plain() bool {
	return s.scales == nil && s.levels == nil && tensor.SizeOf(s.format.Name) > 0
}

// size returns the bytes of a tensor without its scales.
func (s *stored) size() int64 { return s.format.Size(s.n) }

// readAtOnce is the number of bytes that are read at a time.
const readAtOnce = 1 << 20

// buffers are for what is read before it becomes float32: one a call would add up to garbage as
// large as the file.
var buffers = sync.Pool{New: func() any { return new([readAtOnce]byte) }}

// floats fills dst with elements from one on.
func (s *stored) floats(dst []float32, from int) error {
	f := s.format
	if _, ok := quant.Of(f.Name); !ok {
		return fmt.Errorf("eligen reads no numbers of dtype %s", f.Name)
	}
	whole := buffers.Get().(*[readAtOnce]byte)
	defer buffers.Put(whole)
	for len(dst) > 0 {
		k := min(len(dst), len(whole)/f.Bytes*f.Elements-from%f.Elements)
		p, err := s.part(from, k, whole[:])
		if err != nil {
			return err
		}
		p.Decode(dst[:k], 0)
		if s.times != 0 || s.add != 0 {
			times := cmp.Or(s.times, 1)
			for i, x := range dst[:k] {
				dst[i] = float32(x*times) + s.add
			}
		}
		dst, from = dst[k:], from+k
	}
	return nil
}

// part reads elements as they are stored, into buf where that is large enough.
func (s *stored) part(from, n int, buf []byte) (quant.Part, error) {
	f := s.format
	first := from / f.Elements
	size := f.Size(from + n - first*f.Elements)
	if int64(len(buf)) < size {
		buf = make([]byte, size)
	}
	p := quant.Part{Format: f, Data: buf[:size], First: from % f.Elements, N: n, Levels: s.levels}
	if err := s.in.readAt(p.Data, s.offset+int64(first)*int64(f.Bytes)); err != nil {
		return p, err
	}
	if s.scales != nil && n > 0 {
		p.Span, p.Into = s.span, from%s.span
		p.Scale = make([]float32, (from+n-1)/s.span-from/s.span+1)
		if err := s.scales.floats(p.Scale, from/s.span); err != nil {
			return p, err
		}
	}
	return p, nil
}

// bytes reads a small tensor whole.
func (s *stored) bytes() ([]byte, error) {
	const limit = 1 << 16
	if s.size() > limit {
		return nil, fmt.Errorf("it has %d bytes (the limit is %d)", s.size(), limit)
	}
	b := make([]byte, s.size())
	return b, s.in.readAt(b, s.offset)
}

// small reads the numbers of a small tensor, of which there must be so many.
func (s *stored) small(n int) ([]float32, error) {
	if s.n != n {
		return nil, fmt.Errorf("it has %d numbers, not %d", s.n, n)
	}
	f := make([]float32, n)
	return f, s.floats(f, 0)
}
