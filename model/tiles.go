package model

import (
	"cmp"
	"context"
	"fmt"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// windows are where windows of a length begin along an axis: one every stride, and
// where those leave an edge uncovered, a last one at the edge.
func windows(size, length, stride int) (at []int) {
	last := max(0, size-length)
	for i := 0; i < last; i += stride {
		at = append(at, i)
	}
	return append(at, last)
}

// ramp is how much an axis' places in a window of length n count: less from border
// towards the ends that fade, 1 in the middle.
func ramp(n, border int, low, high bool) []float32 {
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

// A blend is overlapping windows put together, Σ m·y / Σ m.
type blend struct {
	sum    tensor.Tensor // [C,h,w]
	weight []float32     // [h·w]
}

func newBlend(shape ...int) *blend {
	return &blend{tensor.New(shape...), make([]float32, shape[1]*shape[2])}
}

// add adds a window [C,th,tw] at row y and column x, where a place's weight is the
// smaller of its row's and its column's.
func (b *blend) add(tile tensor.Tensor, y, x int, rows, columns []float32) {
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

func (b *blend) done() tensor.Tensor {
	for i := range b.sum.Data {
		b.sum.Data[i] /= b.weight[i%len(b.weight)]
	}
	return b.sum
}

// crop is the window [C,h,w] of x at row y and column x0.
func crop(x tensor.Tensor, y, x0, h, w int) tensor.Tensor {
	out := tensor.New(x.Shape[0], h, w)
	for i := range x.Shape[0] * h {
		c, row := i/h, y+i%h
		copy(out.Data[i*w:(i+1)*w], x.Data[(c*x.Shape[1]+row)*x.Shape[2]+x0:])
	}
	return out
}

func checkTiling(t *eligen.Tiling) error {
	if t.Stride < 1 || t.Stride > t.Tile {
		return fmt.Errorf("tiles of %d latents, %d from one to the next, don't cover a picture; the stride must be from 1 to the tile's side", t.Tile, t.Stride)
	}
	return nil
}

// tiled runs one half of the autoencoder, f, tile by tile: in and out are how many
// numbers of its input and its output a latent is wide. It is the reference's rule,
// whose tiles fade on all sides over half the stride, with a last tile where the
// reference leaves an edge without one. What one tile covers is not tiled.
func (a *Autoencoder) tiled(ctx context.Context, x tensor.Tensor, in, out int, f func(tensor.Tensor) (tensor.Tensor, error)) (tensor.Tensor, error) {
	t := a.Tiles
	h, w := x.Shape[1]/in, x.Shape[2]/in
	if t == nil {
		return f(x)
	}
	if err := checkTiling(t); err != nil {
		return tensor.Tensor{}, err
	}
	if h <= t.Tile && w <= t.Tile {
		return f(x)
	}
	th, tw := min(t.Tile, h), min(t.Tile, w)
	border := cmp.Or(t.Stride/2*out, 1)
	rows, columns := ramp(th*out, border, true, true), ramp(tw*out, border, true, true)
	var all *blend
	for _, row := range windows(h, th, t.Stride) {
		for _, column := range windows(w, tw, t.Stride) {
			if err := ctx.Err(); err != nil {
				return tensor.Tensor{}, err
			}
			y, err := f(crop(x, row*in, column*in, th*in, tw*in))
			if err != nil {
				return tensor.Tensor{}, err
			}
			if all == nil {
				all = newBlend(y.Shape[0], h*out, w*out)
			}
			all.add(y, row*out, column*out, rows, columns)
		}
	}
	return all.done(), nil
}

// tiled is the velocity of one branch, tile by tile: the reference's rule, by which
// each tile is a picture of its own, and fades on the sides that are not the
// picture's over a quarter of its height and width together.
func (t *Transformer) tiled(b *branch, x tensor.Tensor, step int) (tensor.Tensor, error) {
	h, w := x.Shape[1], x.Shape[2]
	th, tw := t.tile(h), t.tile(w)
	border := max(1, (th+tw)/4)
	all := newBlend(x.Shape...)
	for _, row := range windows(h, th, t.Tiles.Stride) {
		for _, column := range windows(w, tw, t.Tiles.Stride) {
			v, err := t.velocity(b, crop(x, row, column, th, tw), step)
			if err != nil {
				return tensor.Tensor{}, err
			}
			all.add(v, row, column, ramp(th, border, row > 0, row+th < h), ramp(tw, border, column > 0, column+tw < w))
		}
	}
	return all.done(), nil
}

// tile is how long a tile is along an axis of latents.
func (t *Transformer) tile(size int) int {
	if t.Tiles == nil {
		return size
	}
	return min(size, t.Tiles.Tile)
}

// checkTiles refuses what tiles don't have: entities and pictures act by where they
// are in the whole picture, and the reference drops them without a word.
func (t *Transformer) checkTiles(d eligen.Denoise) error {
	switch {
	case t.Tiles == nil:
		return nil
	case len(d.Entities) > 0 || len(d.ImagePrompts) > 0:
		return fmt.Errorf("denoising tile by tile takes no entities and no image prompts")
	case d.TeaCache != 0:
		return fmt.Errorf("denoising tile by tile takes no step cache")
	case t.Tiles.Tile%2 != 0 || t.Tiles.Stride%2 != 0:
		return fmt.Errorf("tiles of %d latents, %d from one to the next, cut image tokens; both must be even", t.Tiles.Tile, t.Tiles.Stride)
	}
	return checkTiling(t.Tiles)
}
