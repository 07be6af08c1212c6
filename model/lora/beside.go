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

// D names what layer i of Beside adds to a bias or a norm's scale: a vector.
func D(vector string, i int) string { return fmt.Sprintf("%s%s%d.d", vector, besides, i) }

const besides = ".lora."

// IsBeside reports whether a name is one of [A], [B] or [D].
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
	of      byte // 'a', 'b' or 'd'
	cols    int
	updates []*update
}

// Beside returns base with the factors of layers next to the weights, for graphs that take
// their scales as inputs. They are stacked so that blocks of one kind have factors of
// the same shapes, whatever the files have for each: blocks share a graph. It fails as
// Over does, and where a file can't be kept unmerged.
func Beside(base Loader, layers ...Layer) (Loader, error) {
	if len(layers) == 0 {
		return base, nil
	}
	out := &beside{Loader: base, factors: map[string]stacked{}}
	out.infos = append(out.infos, base.Tensors()...)
	shapes := shapesOf(base)
	for i, l := range layers {
		if err := l.File.Unmerged(); err != nil {
			return nil, fmt.Errorf("%s: %w", l.File.Path, err)
		}
		list, err := l.updates(shapes)
		if err != nil {
			return nil, err
		}
		of := map[string][]*update{}
		ranks := map[string]int{} // of a weight in all blocks of a kind
		for _, u := range list {
			of[u.name] = append(of[u.name], u)
		}
		for name, updates := range of {
			rank := 0
			for _, u := range updates {
				rank += u.delta.rank()
			}
			ranks[kind(name)] = max(ranks[kind(name)], rank)
		}
		for _, t := range base.Tensors() {
			rank := ranks[kind(t.Name)]
			switch {
			case rank == 0:
			case len(t.Shape) == 1:
				out.add(D(t.Name, i), stacked{'d', 1, of[t.Name]}, t.Shape[0])
			default:
				out.add(A(t.Name, i), stacked{'a', t.Shape[1], of[t.Name]}, rank, t.Shape[1])
				out.add(B(t.Name, i), stacked{'b', rank, of[t.Name]}, t.Shape[0], rank)
			}
		}
	}
	return out, nil
}

func (l *beside) add(name string, s stacked, shape ...int) {
	l.infos = append(l.infos, tensor.Info{Name: name, DType: "F32", Shape: shape, Size: 4 * int64(elements(shape))})
	l.factors[name] = s
}

var blockNumber = regexp.MustCompile(`(_blocks|\.block|\.layers)\.\d+\.`)

// kind returns a weight's name without the number of its block.
func kind(name string) string { return blockNumber.ReplaceAllString(name, "$1.") }

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
	rows, err := s.open()
	if err != nil {
		return err
	}
	row := make([]float32, s.cols)
	for n := 0; n < len(dst); {
		clear(row)
		if err := rows((from+n)/s.cols, row); err != nil {
			return err
		}
		n += copy(dst[n:], row[(from+n)%s.cols:])
	}
	return nil
}

// open reads what all rows need.
func (s stacked) open() (rowFunc, error) {
	parts := make([]rowFunc, len(s.updates))
	for i, u := range s.updates {
		var err error
		switch s.of {
		case 'a':
			parts[i], _, err = u.delta.factors(u.file)
		case 'b':
			_, parts[i], err = u.delta.factors(u.file)
		default:
			parts[i], err = u.delta.rows(u.file)
		}
		if err != nil {
			return nil, err
		}
	}
	return func(row int, dst []float32) error { return s.row(parts, row, dst) }, nil
}

// row fills dst, which is zeros, with a row of the factor.
func (s stacked) row(parts []rowFunc, row int, dst []float32) error {
	at := 0 // of an update's rank in all of it
	for i, u := range s.updates {
		rank := u.delta.rank()
		switch {
		case s.of == 'a':
			if row >= at && row < at+rank {
				return parts[i](row-at, dst)
			}
		case row >= u.from && row < u.to:
			part, mine := dst, make([]float32, 1)
			if s.of == 'b' {
				part = dst[at : at+rank]
				mine = part
			}
			if err := parts[i](u.row(row), mine); err != nil {
				return err
			}
			for k := range mine {
				mine[k] *= u.scale
			}
			if s.of == 'd' {
				part[0] += mine[0]
			}
		}
		at += rank
	}
	return nil
}
