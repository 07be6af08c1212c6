package lora

import (
	"fmt"
	"slices"

	"github.com/eligen/eligen/internal/tensor"
)

// Factors reads the updates, one a module, for [Write] in any format. alpha/rank is
// multiplied into B. Updates of a module's rows become one of them all: parts of one A,
// which is how a fused layer's LoRA is written for diffusers, share it again; others
// lie one below the other, and their B's beside each other with zeros around.
func (f *File) Factors() ([]Factor, error) {
	var order []string
	of := map[string][]factor{}
	for _, p := range f.factors {
		if of[p.module.BFL] == nil {
			order = append(order, p.module.BFL)
		}
		of[p.module.BFL] = append(of[p.module.BFL], p)
	}
	hidden := f.hidden()
	var out []Factor
	for _, module := range order {
		rows := of[module][0].out
		if parts := len(of[module][0].module.Diffusers); parts > 1 && of[module][0].part >= 0 {
			if rows = 3 * of[module][0].in; parts > 3 {
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
		u.Module = module
		out = append(out, u)
	}
	return out, nil
}

// hidden returns the width of single blocks' hidden layer; 0 where no factor tells.
func (f *File) hidden() int {
	for _, p := range f.factors {
		switch {
		case len(p.module.Diffusers) > 3 && p.part == 3:
			return p.out
		case len(p.module.Diffusers) > 3 && p.part < 0:
			return p.out - 3*p.in
		case kind(p.module.BFL) == "single_blocks.linear2":
			return p.in - p.out
		}
	}
	return 0
}

// joined returns the updates of one module of so many rows as one.
func (f *File) joined(parts []factor, rows int) (Factor, error) {
	type piece struct {
		factor
		from, at int // of rows and of the rank
		b        []float32
	}
	var pieces []piece
	var as []float32
	var ranks []int // where each A begins
	cols, rank := parts[0].in, 0
	for _, p := range parts {
		from, to := 0, rows
		if p.part >= 0 {
			from, to = p.module.PartRows(p.part, []int{rows, p.in})
		}
		if p.in != cols || p.out != to-from {
			return Factor{}, fmt.Errorf("%s: %s makes [%d %d], the others of its layer leave it [%d %d]", f.Path, p.stem, p.out, p.in, to-from, cols)
		}
		a, b := make([]float32, p.rank*p.in), make([]float32, p.out*p.rank)
		if err := f.loader.Floats(p.a, 0, a); err != nil {
			return Factor{}, err
		}
		if err := f.loader.Floats(p.b, 0, b); err != nil {
			return Factor{}, err
		}
		if scale := float32(p.scale(AlphaFile)); scale != 1 {
			for i := range b {
				b[i] *= scale
			}
		}
		if p.swap {
			half := len(b) / 2
			b = append(slices.Clone(b[half:]), b[:half]...)
		}
		at := slices.IndexFunc(ranks, func(at int) bool {
			return at+p.rank <= rank && slices.Equal(as[at*cols:(at+p.rank)*cols], a)
		})
		if at >= 0 {
			at = ranks[at]
		} else {
			at = rank
			ranks, as, rank = append(ranks, at), append(as, a...), rank+p.rank
		}
		pieces = append(pieces, piece{p, from, at, b})
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
