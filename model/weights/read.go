package weights

import (
	"fmt"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/quant"
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

// Tensors lists the tensors in the order of the data, under the names that the
// models ask for. The dtype of one that is quantised is the name of its format, of
// package quant.
func (c *Checkpoint) Tensors() []tensor.Info { return c.order }

// Shape returns a tensor's shape, or nil where there is no such tensor.
func (c *Checkpoint) Shape(name string) []int {
	e, ok := c.entries[name]
	if !ok {
		return nil
	}
	return e.info.Shape
}

func (c *Checkpoint) entry(name string) (entry, error) {
	e, ok := c.entries[name]
	if !ok {
		return e, fmt.Errorf("%s has no tensor %q", c.Path, name)
	}
	return e, nil
}

// of says which tensor an error is about.
func (c *Checkpoint) of(name string, err error) error {
	return fmt.Errorf("%s: tensor %q: %w", c.Path, name, err)
}

// plain reports whether an entry's bytes are numbers of its dtype, all of one.
func (e entry) plain() bool {
	for _, s := range e.segments {
		if !s.of.plain() || s.of.format.Name != e.info.DType {
			return false
		}
	}
	return true
}

// Bytes fills dst with all of a tensor's bytes, in the file's dtype. They must be as many.
// It is false for a tensor that is quantised: Floats and Packed read that.
func (c *Checkpoint) Bytes(name string, dst []byte) (bool, error) {
	e, err := c.entry(name)
	if err != nil || !e.plain() {
		return false, err
	}
	if int64(len(dst)) != e.info.Size {
		return false, fmt.Errorf("%s: tensor %q has %d bytes, not %d", c.Path, name, e.info.Size, len(dst))
	}
	for _, s := range e.segments {
		size := s.of.format.Bytes // of an element
		part := dst[:s.n*size]
		if err := s.of.in.readAt(part, s.of.offset+int64(s.first*size)); err != nil {
			return false, c.of(name, err)
		}
		dst = dst[len(part):]
	}
	return true, nil
}

// Floats fills dst with a tensor's elements from an element on. No more of the
// tensor is read than is asked for, in whole blocks.
func (c *Checkpoint) Floats(name string, from int, dst []float32) error {
	e, err := c.entry(name)
	if err != nil {
		return err
	}
	if n := Elements(e.info.Shape); from < 0 || from+len(dst) > n {
		return fmt.Errorf("%s: tensor %q has %d elements, not %d", c.Path, name, n, from+len(dst))
	}
	for _, s := range e.segments {
		if from >= s.n {
			from -= s.n
			continue
		}
		n := min(s.n-from, len(dst))
		if err := s.of.floats(dst[:n], s.first+from); err != nil {
			return c.of(name, err)
		}
		if dst, from = dst[n:], 0; len(dst) == 0 {
			return nil
		}
	}
	return nil
}

// Packed reads a whole tensor as it is stored. It is false for one of plain floating-point
// numbers.
func (c *Checkpoint) Packed(name string) (t quant.Tensor, ok bool, err error) {
	e, err := c.entry(name)
	if err != nil {
		return t, false, err
	}
	t.Shape = e.info.Shape
	for _, s := range e.segments {
		ok = ok || !s.of.format.Plain() || s.of.scales != nil
	}
	if !ok {
		return t, false, nil
	}
	for _, s := range e.segments {
		p, err := s.of.part(s.first, s.n, nil)
		if err != nil {
			return t, false, c.of(name, err)
		}
		t.Parts = append(t.Parts, p)
	}
	return t, true, nil
}
