package planner

import (
	"cmp"
	"math/bits"
	"slices"
)

// An area is the image tokens of a region, made to be compared with many others: the
// box around them, and where it isn't full, which of its tokens they are.
type area struct {
	left, top, right, bottom int // half-open
	count                    int
	bits                     []uint64 // a bit a token, rows of words; nil where the box is full
}

// areaOf returns the tokens' area on a canvas of so many columns, and nil of none.
func areaOf(tokens []int32, columns int) *area {
	if len(tokens) == 0 {
		return nil
	}
	a := &area{left: columns, count: len(tokens), top: int(tokens[0]) / columns, bottom: int(tokens[len(tokens)-1])/columns + 1}
	for _, t := range tokens {
		x := int(t) % columns
		a.left, a.right = min(a.left, x), max(a.right, x+1)
	}
	if a.count == (a.right-a.left)*(a.bottom-a.top) {
		return a
	}
	a.bits = make([]uint64, (a.bottom-a.top)*a.words())
	for _, t := range tokens {
		x, y := int(t)%columns, int(t)/columns
		a.row(y)[x/64-a.left/64] |= 1 << (x % 64)
	}
	return a
}

// words returns how many words a row of bits has. They are the canvas's, so that equal
// columns of two areas are equal bits.
func (a *area) words() int { return (a.right-1)/64 - a.left/64 + 1 }

func (a *area) row(y int) []uint64 {
	n := a.words()
	return a.bits[(y-a.top)*n : (y-a.top+1)*n]
}

// word returns the tokens in a row whose columns are from 64·i on.
func (a *area) word(y, i int) uint64 {
	if a.bits != nil {
		return a.row(y)[i-a.left/64]
	}
	w := ^uint64(0)
	if from := a.left - 64*i; from > 0 {
		w &= ^uint64(0) << from
	}
	if to := a.right - 64*i; to < 64 {
		w &= 1<<to - 1
	}
	return w
}

// shared counts the tokens that two areas have in common. It looks no further than
// the boxes if they have at most so many.
func shared(a, b *area, enough func(both int) bool) (both int, ok bool) {
	left, top, right, bottom := max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom)
	if left >= right || top >= bottom {
		return 0, false
	}
	most := min((right-left)*(bottom-top), a.count, b.count)
	if !enough(most) || a.bits == nil && b.bits == nil {
		return most, enough(most)
	}
	for y := top; y < bottom; y++ {
		for i := left / 64; i <= (right-1)/64; i++ {
			both += bits.OnesCount64(a.word(y, i) & b.word(y, i))
		}
	}
	return both, enough(both)
}

// A pair is two areas that overlap, i before j.
type pair struct{ i, j, both, either int }

// share returns their intersection over union.
func (p pair) share() float64 { return float64(p.both) / float64(p.either) }

// before orders pairs: what shares most comes first, of equals the earlier.
func (p pair) before(q pair) int {
	return cmp.Or(cmp.Compare(q.share(), p.share()), cmp.Compare(p.j, q.j), cmp.Compare(p.i, q.i))
}

// overlapping calls f for each pair that shares more than maxOverlap: a sweep over the
// rows, which compares only areas that have a row in common. Nil areas are left out.
// goOn is called for each area.
func overlapping(areas []*area, goOn func(), f func(pair)) {
	var order []int
	for i, a := range areas {
		if a != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(areas[i].top, areas[j].top) })
	var open []int
	for _, i := range order {
		goOn()
		a := areas[i]
		open = slices.DeleteFunc(open, func(j int) bool { return areas[j].bottom <= a.top })
		for _, j := range open {
			b := areas[j]
			much := func(both int) bool {
				return float64(both) > maxOverlap*float64(a.count+b.count-both)
			}
			if both, ok := shared(a, b, much); ok {
				f(pair{min(i, j), max(i, j), both, a.count + b.count - both})
			}
		}
		open = append(open, i)
	}
}
