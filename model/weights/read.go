package weights

import (
	"fmt"
	"sync"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
)

func (c *Checkpoint) Shapes() map[string][]int {
	m := map[string][]int{}
	for _, t := range c.order {
		m[t.Name] = t.Shape
	}
	return m
}

// A Loader gives the tensors of a checkpoint, by Black Forest Labs' names for
// the transformer and the autoencoder and by Hugging Face's for encoders.
type Loader = lora.Loader

// element is the bytes of one element of the dtypes that are read as numbers. Integers
// are no weights, but alphas of LoRAs.
var element = map[string]int64{"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2,
	"I8": 1, "U8": 1}

// Tensors lists the tensors in the order of the data, under the names that the
// models ask for.
func (c *Checkpoint) Tensors() []tensor.Info { return c.order }

// Shape returns a tensor's shape, or nil where there is no such tensor.
func (c *Checkpoint) Shape(name string) []int {
	e, ok := c.entries[name]
	if !ok {
		return nil
	}
	return e.info.Shape
}

// Bytes fills dst with all of a tensor's bytes, in the file's dtype. They must be as many.
func (c *Checkpoint) Bytes(name string, dst []byte) (bool, error) {
	e, ok := c.entries[name]
	if !ok {
		return false, fmt.Errorf("%s has no tensor %q", c.Path, name)
	}
	if int64(len(dst)) != e.info.Size {
		return false, fmt.Errorf("%s: tensor %q has %d bytes, not %d", c.Path, name, e.info.Size, len(dst))
	}
	size := len(dst) / max(1, Elements(e.info.Shape)) // of an element
	for _, s := range e.segments {
		part := dst[:s.n*size]
		if err := s.in.readAt(part, s.offset); err != nil {
			return false, fmt.Errorf("%s: tensor %q: %w", c.Path, name, err)
		}
		dst = dst[len(part):]
	}
	return true, nil
}

// readAtOnce is the number of bytes that are read at a time.
const readAtOnce = 1 << 20

// buffers are for what is read before it becomes float32: one a call would add up to garbage as
// large as the file.
var buffers = sync.Pool{New: func() any { return new([readAtOnce]byte) }}

// Floats fills dst with a tensor's elements from an element on. No more of the
// tensor is read than is asked for.
func (c *Checkpoint) Floats(name string, from int, dst []float32) error {
	e, ok := c.entries[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %q", c.Path, name)
	}
	size, ok := element[e.info.DType]
	if !ok {
		return fmt.Errorf("%s: tensor %q is %s; eligen reads %s", c.Path, name, e.info.DType, readable)
	}
	if from < 0 || from+len(dst) > Elements(e.info.Shape) {
		return fmt.Errorf("%s: tensor %q has %d elements, not %d", c.Path, name, Elements(e.info.Shape), from+len(dst))
	}
	whole := buffers.Get().(*[readAtOnce]byte)
	defer buffers.Put(whole)
	buf := whole[:]
	for _, s := range e.segments {
		if from >= s.n {
			from -= s.n
			continue
		}
		n := min(s.n-from, len(dst))
		at := s.offset + int64(from)*size
		for n > 0 {
			k := min(n, len(buf)/int(size))
			b := buf[:int64(k)*size]
			if err := s.in.readAt(b, at); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", c.Path, name, err)
			}
			if err := tensor.Fill(dst[:k], e.info.DType, b); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", c.Path, name, err)
			}
			dst, n, at = dst[k:], n-k, at+int64(len(b))
		}
		from = 0
		if len(dst) == 0 {
			return nil
		}
	}
	return nil
}
