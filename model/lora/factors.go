package lora

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
)

// Factors reads the updates, one a module, for [Named] in any format. alpha/rank is
// multiplied into B. Updates of a module's rows become one of them all: parts of one A,
// which is how a fused layer's LoRA is written for diffusers, share it again; others
// lie one below the other, and their B's beside each other with zeros around. It fails
// where a change is no product of factors smaller than the weight.
func (f *File) Factors() ([]Factor, error) {
	if err := f.factorable(); err != nil {
		return nil, err
	}
	var order []string
	of := map[string][]*change{}
	for _, c := range f.changes {
		if of[c.module.BFL] == nil {
			order = append(order, c.module.BFL)
		}
		of[c.module.BFL] = append(of[c.module.BFL], c)
	}
	hidden := f.hidden()
	var out []Factor
	for _, module := range order {
		c := of[module][0]
		rows, in := c.delta.shape()
		if parts := len(c.module.Diffusers); parts > 1 && c.rows != all {
			if rows = 3 * in; parts > 3 {
				if hidden == 0 {
					return nil, fmt.Errorf("%s: the width of %s doesn't follow from queries, keys and values alone, and the file has no more",
						f.Path, module)
				}
				rows += hidden
			}
		}
		u, err := f.joined(of[module], rows)
		if err != nil {
			return nil, err
		}
		u.Module, u.Part = module, c.part
		out = append(out, u)
	}
	return out, nil
}

// factorable refuses a file that no factors of a small rank can say, with a count of each
// kind of change that stands against it.
func (f *File) factorable() error {
	count := map[string]int{}
	for _, c := range f.changes {
		out, in := c.delta.shape()
		switch {
		case c.norms != nil:
			count["DoRA, which depends on the base's weights"]++
		case c.role == upBias || c.role == diffBias || c.module.Norm:
			count["for biases and norms"]++
		case c.delta.rank() >= min(out, in) && c.role != down:
			count[string(c.kind())+" of full rank"]++
		}
	}
	if len(count) == 0 {
		return nil
	}
	var list []string
	for kind, n := range count {
		list = append(list, fmt.Sprintf("%s %s", counted(n, "change"), kind))
	}
	slices.Sort(list)
	return fmt.Errorf("%s can't be written as low-rank factors, which is all that the formats have: %s", f.Path, strings.Join(list, "; "))
}

// hidden returns the width of single blocks' hidden layer; 0 where no factor tells.
func (f *File) hidden() int {
	for _, c := range f.changes {
		out, in := c.delta.shape()
		switch {
		case len(c.module.Diffusers) > 3 && c.rows == 3:
			return out
		case len(c.module.Diffusers) > 3 && c.rows == all:
			return out - 3*in
		case kind(c.module.BFL) == "single_blocks.linear2":
			return in - out
		}
	}
	return 0
}

// rows reads n rows of so many columns.
func (r rowFunc) rows(n, cols int) ([]float32, error) {
	x := make([]float32, n*cols)
	for i := range n {
		if err := r(i, x[i*cols:(i+1)*cols]); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// joined returns the updates of one module of so many rows as one.
func (f *File) joined(parts []*change, rows int) (Factor, error) {
	type piece struct {
		out, rank int
		from, at  int // of rows and of the rank
		b         []float32
	}
	var pieces []piece
	var as []float32
	var ranks []int // where each A begins
	_, cols := parts[0].delta.shape()
	rank := 0
	for _, c := range parts {
		out, in := c.delta.shape()
		from, to := c.rowsOf([]int{rows, in})
		if in != cols || out != to-from {
			return Factor{}, fmt.Errorf("%s: %s makes [%d %d], the others of its layer leave it [%d %d]", f.Path, c.stem, out, in, to-from, cols)
		}
		r := c.delta.rank()
		a, b, err := c.read(f.loader)
		if err != nil {
			return Factor{}, err
		}
		at := slices.IndexFunc(ranks, func(at int) bool {
			return at+r <= rank && slices.Equal(as[at*cols:(at+r)*cols], a)
		})
		if at >= 0 {
			at = ranks[at]
		} else {
			at = rank
			ranks, as, rank = append(ranks, at), append(as, a...), rank+r
		}
		pieces = append(pieces, piece{out, r, from, at, b})
	}
	u := Factor{A: tensor.Tensor{Shape: []int{rank, cols}, Data: as}, B: tensor.New(rows, rank)}
	for _, p := range pieces {
		for row := range p.out {
			for k, x := range p.b[row*p.rank : (row+1)*p.rank] {
				u.B.Data[(p.from+row)*rank+p.at+k] += x
			}
		}
	}
	return u, nil
}

// read returns a change's factors, with its scale in B, and B's rows in the tensor's order.
func (c *change) read(l Loader) (a, b []float32, err error) {
	out, in := c.delta.shape()
	aRows, bRows, err := c.delta.factors(l)
	if err != nil {
		return nil, nil, err
	}
	if a, err = aRows.rows(c.delta.rank(), in); err != nil {
		return nil, nil, err
	}
	if b, err = bRows.rows(out, c.delta.rank()); err != nil {
		return nil, nil, err
	}
	if scale := float32(c.scale(AlphaFile)); scale != 1 {
		for i := range b {
			b[i] *= scale
		}
	}
	if c.swap {
		half := len(b) / 2
		b = append(slices.Clone(b[half:]), b[:half]...)
	}
	return a, b, nil
}
