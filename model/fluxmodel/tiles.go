package fluxmodel

import (
	"fmt"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/tile"
)

// tiled returns the velocity of one branch, tile by tile: the reference's rule, by which
// each tile is a picture of its own, and fades on the sides that are not the
// picture's over a quarter of its height and width together.
func (t *Transformer) tiled(b *branch, x tensor.Tensor, step int) (tensor.Tensor, error) {
	h, w := x.Shape[1], x.Shape[2]
	th, tw := t.tile(h), t.tile(w)
	border := max(1, (th+tw)/4)
	all := tile.NewBlend(x.Shape...)
	for _, row := range tile.Windows(h, th, t.Tiles.Stride) {
		for _, column := range tile.Windows(w, tw, t.Tiles.Stride) {
			v, err := t.velocity(b, tile.Crop(x, row, column, th, tw), step)
			if err != nil {
				return tensor.Tensor{}, err
			}
			all.Add(v, row, column, tile.Ramp(th, border, row > 0, row+th < h), tile.Ramp(tw, border, column > 0, column+tw < w))
		}
	}
	return all.Done(), nil
}

// tile returns the length of a tile along an axis of latents.
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
	return tile.Check(t.Tiles)
}
