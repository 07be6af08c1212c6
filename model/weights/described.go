package weights

import (
	"errors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/quant"
)

// Described is a loader of weights that are nowhere: their names, shapes and formats are known, and what
// they take can be estimated. Reading them is an error.
type Described struct{ list []tensor.Info }

// Describe returns weights in a format, such as "BF16", "F8_E4M3" or "Q4_0": matrices that are large, in
// a format of fewer bits, and all else in plain.
func Describe(list []Weight, format, plain string) *Described {
	d := &Described{}
	f, known := quant.Of(format)
	for _, w := range list {
		n, dtype := Elements(w.Shape), plain
		size := int64(n) * int64(tensor.SizeOf(plain))
		if known && !f.Plain() && len(w.Shape) == 2 && n >= 1<<16 && w.Shape[1]%f.Elements == 0 {
			dtype, size = format, int64(n/f.Elements*f.Bytes)
		}
		d.list = append(d.list, tensor.Info{Name: w.Name, DType: dtype, Shape: w.Shape, Size: size})
	}
	return d
}

var errDescribed = errors.New("these weights were described, and can't be read")

// Tensors lists the tensors.
func (d *Described) Tensors() []tensor.Info { return d.list }

// Floats fails.
func (d *Described) Floats(string, int, []float32) error { return errDescribed }

// Bytes fails.
func (d *Described) Bytes(string, []byte) (bool, error) { return false, errDescribed }

// Packed fails.
func (d *Described) Packed(string) (quant.Tensor, bool, error) {
	return quant.Tensor{}, false, errDescribed
}

// Size returns how many bytes their files take, but for headers.
func (d *Described) Size() (n int64) {
	for _, t := range d.list {
		n += t.Size
	}
	return n
}
