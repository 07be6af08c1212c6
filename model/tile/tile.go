// Package tile cuts pictures into overlapping windows, and blends them.
package tile

import (
	"fmt"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// Windows returns where windows of a length begin along an axis: one every stride, and, where
// those leave an edge uncovered, a last one at the edge.
func Windows(size, length, stride int) (at []int) {
	last := max(0, size-length)
	for i := 0; i < last; i += stride {
		at = append(at, i)
	}
	return append(at, last)
}

// Ramp returns how much the places along an axis count in a window of length n: 1 in the
// middle, and less from border on towards the ends that fade.
func Ramp(n, border int, low, high bool) []float32 {
	w := make([]float32, n)
	for i := range w {
		near := border
		if low {
			near = min(near, i+1)
		}
		if high {
			near = min(near, n-i)
		}
		w[i] = float32(near) / float32(border)
	}
	return w
}

// A Blend puts overlapping windows together, Σ m·y / Σ m.
type Blend struct {
	sum    tensor.Tensor // [C,h,w]
	weight []float32     // [h·w]
}

// NewBlend returns an empty blend of a shape [C,h,w].
func NewBlend(shape ...int) *Blend {
	return &Blend{tensor.New(shape...), make([]float32, shape[1]*shape[2])}
}

// Add adds a window [C,th,tw] at row y and column x, where a place's weight is the
// smaller of its row's and its column's.
func (b *Blend) Add(tile tensor.Tensor, y, x int, rows, columns []float32) {
	h, w := b.sum.Shape[1], b.sum.Shape[2]
	for i, row := range rows {
		for j, column := range columns {
			m := min(row, column)
			to := (y+i)*w + x + j
			b.weight[to] += m
			for c := range b.sum.Shape[0] {
				b.sum.Data[c*h*w+to] += float32(m * tile.Data[(c*len(rows)+i)*len(columns)+j])
			}
		}
	}
}

// Done returns the blend [C,h,w].
func (b *Blend) Done() tensor.Tensor {
	for i := range b.sum.Data {
		b.sum.Data[i] /= b.weight[i%len(b.weight)]
	}
	return b.sum
}

// Crop returns the window [C,h,w] of x at row y and column x0.
func Crop(x tensor.Tensor, y, x0, h, w int) tensor.Tensor {
	out := tensor.New(x.Shape[0], h, w)
	for i := range x.Shape[0] * h {
		c, row := i/h, y+i%h
		copy(out.Data[i*w:(i+1)*w], x.Data[(c*x.Shape[1]+row)*x.Shape[2]+x0:])
	}
	return out
}

// Check refuses tiles that leave gaps.
func Check(t *eligen.Tiling) error {
	if t.Stride < 1 || t.Stride > t.Tile {
		return fmt.Errorf("tiles of %d latents, %d from one to the next, don't cover a picture; the stride must be from 1 to the tile's side",
			t.Tile, t.Stride)
	}
	return nil
}
