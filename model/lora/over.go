package lora

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// A Layer is a file to lay over a base, and how strongly.
type Layer struct {
	File  *File
	Scale float64
	Alpha string // AlphaFile or AlphaIgnore; "" is AlphaFile
	Part  Part   // of the file: that for the base's component
}

// fused is a base with layers over it.
type fused struct {
	Loader
	updates map[string][]*update // by tensor
	shapes  map[string][]int
}

// An update adds a change to some rows of a tensor.
type update struct {
	*change
	file     Loader
	scale    float32 // the change's own, and the layer's
	full     float32 // the change's own
	strength float32 // the layer's
	out      int     // rows of the delta
	from, to int     // rows of the tensor

	columns sync.Once // of a DoRA by columns: what each column is multiplied by
	by      []float32
	err     error
}

// Over returns base with layers laid over it: each module's updates are added up in
// float32, in the order of layers, on the original weights. It fails, naming
// every module, where a factor doesn't fit the base.
func Over(base Loader, layers ...Layer) (Loader, error) {
	if len(layers) == 0 {
		return base, nil
	}
	f := &fused{Loader: base, updates: map[string][]*update{}, shapes: shapesOf(base)}
	for _, l := range layers {
		list, err := l.updates(f.shapes)
		if err != nil {
			return nil, err
		}
		for _, u := range list {
			f.updates[u.name] = append(f.updates[u.name], u)
		}
	}
	return f, nil
}

func shapesOf(l Loader) map[string][]int {
	shapes := map[string][]int{}
	for _, t := range l.Tensors() {
		shapes[t.Name] = t.Shape
	}
	return shapes
}

// updates returns what a layer adds to the tensors of a base with these shapes.
func (l Layer) updates(shapes map[string][]int) (list []*update, err error) {
	switch l.Alpha {
	case "", AlphaFile, AlphaIgnore:
	default:
		return nil, fmt.Errorf("alpha is %q, it must be %q or %q", l.Alpha, AlphaFile, AlphaIgnore)
	}
	if math.IsNaN(l.Scale) || math.IsInf(l.Scale, 0) {
		return nil, fmt.Errorf("%s: a LoRA can't have the scale %v", l.File.Path, l.Scale)
	}
	var misfits []string
	for _, c := range l.File.changes {
		if c.part != l.Part {
			continue
		}
		u, misfit := l.update(c, shapes)
		if misfit != "" && (c.role == diff || c.role == diffBias) {
			zero, err := isZero(l.File.loader, c.delta.tensors()[0])
			if err != nil {
				return nil, err
			}
			if zero {
				continue
			}
		}
		if misfit != "" {
			misfits = append(misfits, misfit)
			continue
		}
		list = append(list, u)
	}
	if len(misfits) > 0 {
		if l.File.control(shapes) {
			return nil, fmt.Errorf("%s is a control LoRA, as Black Forest Labs published for FLUX.1 Depth and Canny: its img_in takes a control "+
				"picture, which eligen has no input for", l.File.Path)
		}
		return nil, fmt.Errorf("%s: %s", l.File.Path, listed(misfits, "the LoRA was made for another model%s; %d of its modules don't fit", ""))
	}
	return list, nil
}

// update matches a change to the rows of its tensor, or says why it doesn't fit.
func (l Layer) update(c *change, shapes map[string][]int) (u *update, misfit string) {
	shape, weight := shapes[c.name], shapes[c.weight()]
	rows, cols := c.delta.shape()
	if len(shape) == 0 || len(shape) > 2 || len(weight) != 2 && !c.module.Norm {
		return nil, c.stem + ": the model has no such layer"
	}
	u = &update{
		change: c, file: l.File.loader, scale: float32(l.Scale * c.scale(l.Alpha)), full: float32(c.scale(l.Alpha)),
		strength: float32(l.Scale), out: rows, to: shape[0],
	}
	if !c.module.Norm {
		u.from, u.to = c.rowsOf(weight)
	}
	width := 1
	if len(shape) == 2 {
		width = shape[1]
	}
	if cols != width || rows != u.to-u.from {
		return nil, fmt.Sprintf("%s: the factors make [%d %d], the model's layer is [%d %d]", c.stem, rows, cols, u.to-u.from, width)
	}
	return u, ""
}

// control reports whether the file widens img_in, which takes the picture alone.
func (f *File) control(shapes map[string][]int) bool {
	return slices.ContainsFunc(f.changes, func(c *change) bool {
		base := shapes["img_in.weight"]
		_, in := c.delta.shape()
		return c.name == "img_in.weight" && len(base) == 2 && in == 2*base[1]
	})
}

// Bytes has none of a tensor that is updated.
func (f *fused) Bytes(name string, dst []byte) (bool, error) {
	if len(f.updates[name]) > 0 {
		return false, nil
	}
	return f.Loader.Bytes(name, dst)
}

// Floats returns the base's numbers with all updates added.
func (f *fused) Floats(name string, from int, dst []float32) error {
	if err := f.Loader.Floats(name, from, dst); err != nil {
		return err
	}
	updates := f.updates[name]
	if len(updates) == 0 || len(dst) == 0 {
		return nil
	}
	cols := 1
	if shape := f.shapes[name]; len(shape) == 2 {
		cols = shape[1]
	}
	first, last := from/cols, (from+len(dst)-1)/cols // rows that dst has part of
	sum := make([]float32, cols)
	for _, u := range updates {
		low, high := max(first, u.from), min(last+1, u.to)
		if low >= high {
			continue
		}
		change, scale, err := u.rows(f.Loader, cols)
		if err != nil {
			return err
		}
		for row := low; row < high; row++ {
			clear(sum)
			if err := change(row, sum); err != nil {
				return err
			}
			// The part of the row that dst holds.
			start, end := max(row*cols, from), min((row+1)*cols, from+len(dst))
			axpy(dst[start-from:end-from], scale, sum[start-row*cols:end-row*cols])
		}
	}
	return nil
}

// rows returns what gives the change of a row of the tensor, and what it is to be
// multiplied by.
func (u *update) rows(base Loader, cols int) (rowFunc, float32, error) {
	of, err := u.delta.rows(u.file)
	if err != nil {
		return nil, 0, err
	}
	plain := func(row int, dst []float32) error { return of(u.row(row), dst) }
	if u.norms == nil {
		return plain, u.scale, nil
	}
	fused, err := u.dora(base, cols, plain)
	return fused, 1, err
}

// row returns the row of the file's matrix that belongs to a row of the tensor.
func (u *update) row(row int) int {
	row -= u.from
	if u.swap {
		return (row + u.out/2) % u.out
	}
	return row
}

// axpy adds a·x to y.
func axpy(y []float32, a float32, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// Names lists the tensors that layers change.
func (f *fused) Names() []string {
	var out []string
	for n := range f.updates {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
