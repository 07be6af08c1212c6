package lora

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
)

// A names a weight's factor [rank, in] in layer i of Beside.
func A(weight string, i int) string { return fmt.Sprintf("%s%s%d.a", weight, besides, i) }

// B names the other factor: [out, rank], which alpha/rank and the layer's
// scale are multiplied into.
func B(weight string, i int) string { return fmt.Sprintf("%s%s%d.b", weight, besides, i) }

const besides = ".lora."

// IsBeside reports whether a name is one of [A] or [B].
func IsBeside(name string) bool { return strings.Contains(name, besides) }

// beside is a base with factors as further tensors.
type beside struct {
	Loader
	infos   []tensor.Info
	factors map[string]stacked
}

// stacked is one factor of all updates that a layer has for a weight, which may be
// for some of its rows each: their A's one below the other, their B's beside each
// other. What is left of the rank is zeros.
type stacked struct {
	b       bool
	rank    int
	other   int // columns of A, rows of B
	updates []update
}

// Beside returns base with the factors of layers next to the weights, for graphs that take
// their scales as inputs. They are stacked so that blocks of one kind have factors of
// the same shapes, whatever the files have for each: blocks share a graph. It fails as
// Over does.
func Beside(base Loader, layers ...Layer) (Loader, error) {
	out := &beside{Loader: base, factors: map[string]stacked{}}
	out.infos = append(out.infos, base.Tensors()...)
	shapes := shapesOf(base)
	for i, l := range layers {
		list, err := l.updates(shapes)
		if err != nil {
			return nil, err
		}
		of := map[string][]update{}
		ranks := map[string]int{} // of a weight in all blocks of a kind
		for _, u := range list {
			of[u.name] = append(of[u.name], u)
		}
		for name, updates := range of {
			rank := 0
			for _, u := range updates {
				rank += u.rank
			}
			ranks[kind(name)] = max(ranks[kind(name)], rank)
		}
		for _, t := range base.Tensors() {
			rank := ranks[kind(t.Name)]
			if rank == 0 {
				continue
			}
			a, b := stacked{false, rank, t.Shape[1], of[t.Name]}, stacked{true, rank, t.Shape[0], of[t.Name]}
			out.add(A(t.Name, i), a, rank, t.Shape[1])
			out.add(B(t.Name, i), b, t.Shape[0], rank)
		}
	}
	return out, nil
}

func (l *beside) add(name string, s stacked, rows, cols int) {
	l.infos = append(l.infos, tensor.Info{Name: name, DType: "F32", Shape: []int{rows, cols}, Size: 4 * int64(rows) * int64(cols)})
	l.factors[name] = s
}

var blockNumber = regexp.MustCompile(`_blocks\.\d+\.`)

// kind returns a weight's name without the number of its block.
func kind(name string) string { return blockNumber.ReplaceAllString(name, "_blocks.") }

func (l *beside) Tensors() []tensor.Info { return l.infos }

func (l *beside) Bytes(name string, dst []byte) (bool, error) {
	if _, ok := l.factors[name]; ok {
		return false, nil
	}
	return l.Loader.Bytes(name, dst)
}

func (l *beside) Floats(name string, from int, dst []float32) error {
	s, ok := l.factors[name]
	if !ok {
		return l.Loader.Floats(name, from, dst)
	}
	cols := s.other
	if s.b {
		cols = s.rank
	}
	row := make([]float32, cols)
	for n := 0; n < len(dst); {
		clear(row)
		if err := s.row((from+n)/cols, row); err != nil {
			return err
		}
		n += copy(dst[n:], row[(from+n)%cols:])
	}
	return nil
}

// row fills dst, which is zeros, with a row of the factor.
func (s stacked) row(row int, dst []float32) error {
	at := 0 // of an update's rank in all of it
	for _, u := range s.updates {
		switch {
		case !s.b && row >= at && row < at+u.rank:
			return u.file.Floats(u.a, (row-at)*u.in, dst)
		case s.b && row >= u.from && row < u.to:
			part := dst[at : at+u.rank]
			if err := u.file.Floats(u.b, u.row(row)*u.rank, part); err != nil {
				return err
			}
			for i := range part {
				part[i] *= u.scale
			}
		}
		at += u.rank
	}
	return nil
}
