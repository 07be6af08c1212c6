package lora

import (
	"fmt"

	"github.com/eligen/eligen/internal/tensor"
)

// A rowFunc fills dst, which is zeros, with a row of a matrix.
type rowFunc func(row int, dst []float32) error

// A delta is a matrix that a file has for a weight, by its factors or whole. A vector, for a
// bias or a norm, has one column.
type delta interface {
	shape() (out, in int)
	tensors() []tensor.Info
	// rows reads what all rows need, and returns what gives them.
	rows(l Loader) (rowFunc, error)
	// rank is that of the factors [out, rank]·[rank, in] which factors gives row by row:
	// exact ones, as small as the kind allows.
	rank() int
	factors(l Loader) (a, b rowFunc, err error)
}

// read returns a whole tensor's numbers.
func read(l Loader, t tensor.Info) ([]float32, error) {
	x := make([]float32, elements(t.Shape))
	return x, l.Floats(t.Name, 0, x)
}

// rowOf gives rows of a tensor as they are asked for.
func rowOf(l Loader, t tensor.Info) rowFunc {
	return func(row int, dst []float32) error { return l.Floats(t.Name, row*len(dst), dst) }
}

// plain is B·A: a LoRA.
type plain struct{ a, b tensor.Info }

func (p plain) shape() (out, in int) {
	out, _, _ = matrix(p.b.Shape)
	_, in, _ = matrix(p.a.Shape)
	return out, in
}

func (p plain) tensors() []tensor.Info { return []tensor.Info{p.a, p.b} }

func (p plain) rank() int { return p.a.Shape[0] }

func (p plain) rows(l Loader) (rowFunc, error) {
	a, err := read(l, p.a)
	if err != nil {
		return nil, err
	}
	cols := len(a) / p.rank()
	b := make([]float32, p.rank())
	return func(row int, dst []float32) error {
		if err := l.Floats(p.b.Name, row*len(b), b); err != nil {
			return err
		}
		for k, x := range b {
			axpy(dst, x, a[k*cols:(k+1)*cols])
		}
		return nil
	}, nil
}

func (p plain) factors(l Loader) (a, b rowFunc, err error) { return rowOf(l, p.a), rowOf(l, p.b), nil }

// whole is a difference as it is: a matrix, or a vector.
type whole struct{ t tensor.Info }

func (w whole) shape() (out, in int) {
	if len(w.t.Shape) < 2 {
		return elements(w.t.Shape), 1
	}
	out, in, _ = matrix(w.t.Shape)
	return out, in
}

func (w whole) tensors() []tensor.Info { return []tensor.Info{w.t} }

func (w whole) rows(l Loader) (rowFunc, error) {
	if _, in := w.shape(); in > 1 {
		return rowOf(l, w.t), nil
	}
	x, err := read(l, w.t)
	return func(row int, dst []float32) error {
		dst[0] = x[row]
		return nil
	}, err
}

func (w whole) rank() int { return min(w.shape()) }

func (w whole) factors(l Loader) (a, b rowFunc, err error) { return dense(w, l) }

// dense returns the factors of a matrix that has none smaller: itself and the identity.
func dense(d delta, l Loader) (a, b rowFunc, err error) {
	out, in := d.shape()
	rows, err := d.rows(l)
	if err != nil {
		return nil, nil, err
	}
	identity := func(row int, dst []float32) error {
		dst[row] = 1
		return nil
	}
	if out < in {
		return rows, identity, nil
	}
	return identity, rows, nil
}

// loha is (w1_a·w1_b)∘(w2_a·w2_b), the last product elementwise: a LoHa.
type loha struct{ w1a, w1b, w2a, w2b tensor.Info }

func (h loha) shape() (out, in int) {
	return elements(h.w1a.Shape) / h.w1b.Shape[0], elements(h.w1b.Shape) / h.w1b.Shape[0]
}

func (h loha) tensors() []tensor.Info { return []tensor.Info{h.w1a, h.w1b, h.w2a, h.w2b} }

func (h loha) ranks() (r1, r2 int) { return h.w1b.Shape[0], h.w2b.Shape[0] }

func (h loha) rows(l Loader) (rowFunc, error) {
	first, err := plain{h.w1b, h.w1a}.rows(l)
	if err != nil {
		return nil, err
	}
	second, err := plain{h.w2b, h.w2a}.rows(l)
	_, in := h.shape()
	other := make([]float32, in)
	return func(row int, dst []float32) error {
		clear(other)
		if err := first(row, dst); err != nil {
			return err
		}
		if err := second(row, other); err != nil {
			return err
		}
		for i, x := range other {
			dst[i] *= x
		}
		return nil
	}, err
}

// rank returns the product of both ranks, where that is less than the matrix's own size.
func (h loha) rank() int {
	r1, r2 := h.ranks()
	out, in := h.shape()
	return min(r1*r2, out, in)
}

func (h loha) factors(l Loader) (a, b rowFunc, err error) {
	r1, r2 := h.ranks()
	if h.rank() < r1*r2 {
		return dense(h, l)
	}
	// Row by row of the factors, those of the first with each of the second.
	product := func(first, second tensor.Info) rowFunc {
		return func(row int, dst []float32) error {
			x := make([]float32, len(dst))
			if err := l.Floats(first.Name, row/r2*len(dst), x); err != nil {
				return err
			}
			if err := l.Floats(second.Name, row%r2*len(dst), dst); err != nil {
				return err
			}
			for i := range dst {
				dst[i] *= x[i]
			}
			return nil
		}
	}
	outer := func(row int, dst []float32) error {
		x, y := make([]float32, r1), make([]float32, r2)
		if err := l.Floats(h.w1a.Name, row*r1, x); err != nil {
			return err
		}
		if err := l.Floats(h.w2a.Name, row*r2, y); err != nil {
			return err
		}
		for i := range x {
			axpy(dst[i*r2:(i+1)*r2], x[i], y)
		}
		return nil
	}
	return product(h.w1b, h.w2b), outer, nil
}

// lokr is the Kronecker product of w1 and w2, each whole or of two factors: a LoKr.
type lokr struct{ w1, w2 half }

// A half is one factor of a LoKr: whole, or a·b.
type half struct{ whole, a, b tensor.Info }

func (h half) split() bool { return h.whole.Name == "" }

func (h half) shape() (out, in int) {
	if h.split() {
		return plain{h.b, h.a}.shape()
	}
	out, in, _ = matrix(h.whole.Shape)
	return out, in
}

func (h half) tensors() []tensor.Info {
	if h.split() {
		return []tensor.Info{h.a, h.b}
	}
	return []tensor.Info{h.whole}
}

func (h half) rows(l Loader) (rowFunc, error) {
	if h.split() {
		return plain{h.b, h.a}.rows(l)
	}
	return rowOf(l, h.whole), nil
}

func (k lokr) shape() (out, in int) {
	a, b := k.w1.shape()
	c, d := k.w2.shape()
	return a * c, b * d
}

func (k lokr) tensors() []tensor.Info { return append(k.w1.tensors(), k.w2.tensors()...) }

func (k lokr) rows(l Loader) (rowFunc, error) {
	first, err := k.w1.rows(l)
	if err != nil {
		return nil, err
	}
	second, err := k.w2.rows(l)
	return k.kron(first, second), err
}

// kron returns the rows of the Kronecker product of w1 and a second matrix with w2's rows,
// of as many columns as there is room for.
func (k lokr) kron(first, second rowFunc) rowFunc {
	_, b := k.w1.shape()
	c, _ := k.w2.shape()
	return func(row int, dst []float32) error {
		cols := len(dst) / b
		x, y := make([]float32, b), make([]float32, cols)
		if err := first(row/c, x); err != nil {
			return err
		}
		if err := second(row%c, y); err != nil {
			return err
		}
		for j := range x {
			axpy(dst[j*cols:(j+1)*cols], x[j], y)
		}
		return nil
	}
}

// rank returns w2's rank as often as w1 has columns, where that is less than the matrix's
// size.
func (k lokr) rank() int {
	out, in := k.shape()
	if !k.w2.split() {
		return min(out, in)
	}
	_, b := k.w1.shape()
	return min(b*k.w2.b.Shape[0], out, in)
}

// factors returns kron(w1, w2_a) and kron(I, w2_b).
func (k lokr) factors(l Loader) (a, b rowFunc, err error) {
	_, n := k.w1.shape()
	if !k.w2.split() || k.rank() < n*k.w2.b.Shape[0] {
		return dense(k, l)
	}
	first, err := k.w1.rows(l)
	if err != nil {
		return nil, nil, err
	}
	r := k.w2.b.Shape[0]
	_, d := k.w2.shape()
	a = func(row int, dst []float32) error {
		at := row / r * d
		return l.Floats(k.w2.b.Name, row%r*d, dst[at:at+d])
	}
	return a, k.kron(first, rowOf(l, k.w2.a)), nil
}

// matrices checks that tensors are matrices.
func matrices(list ...tensor.Info) error {
	for _, t := range list {
		rows, cols, ok := matrix(t.Shape)
		if !ok {
			return fmt.Errorf("%s has shape %v, expected a matrix", t.Name, t.Shape)
		}
		if rows == 0 || cols == 0 {
			return fmt.Errorf("%s has shape %v, and holds no number", t.Name, t.Shape)
		}
	}
	return nil
}
