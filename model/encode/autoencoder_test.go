package encode

import (
	"math"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

// A decoder that looks at one latent at a time is the same in tiles, wherever their
// edges fall.
func TestTilesCoverThePicture(t *testing.T) {
	for _, size := range [][2]int{{4, 9}, {9, 4}, {11, 7}, {12, 12}} {
		for _, tiles := range []eligen.Tiling{{Tile: 5, Stride: 3}, {Tile: 4, Stride: 4}, {Tile: 6, Stride: 1}} {
			x := tensor.New(2, size[0], size[1])
			for i := range x.Data {
				x.Data[i] = float32(i)
			}
			double := func(x tensor.Tensor) (tensor.Tensor, error) {
				h, w := x.Shape[1], x.Shape[2]
				if h > tiles.Tile || w > tiles.Tile {
					t.Errorf("%v of %v: a tile has %d×%d", tiles, size, h, w)
				}
				out := tensor.New(2, 2*h, 2*w)
				for i := range out.Data {
					out.Data[i] = x.Data[i/(4*w)*w+i%(2*w)/2]
				}
				return out, nil
			}
			got, err := (&Autoencoder{Tiles: &tiles}).tiled(t.Context(), x, 1, 2, double)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range got.Data {
				w := size[1]
				if want := x.Data[i/(4*w)*w+i%(2*w)/2]; !(math.Abs(float64(v-want)) <= 1e-4) {
					t.Fatalf("%v of %v: %g at %d, want %g", tiles, size, v, i, want)
				}
			}
		}
	}
	if _, err := (&Autoencoder{Tiles: &eligen.Tiling{Tile: 4, Stride: 5}}).tiled(t.Context(), tensor.New(1, 9, 9), 1, 1, nil); err == nil {
		t.Error("tiles with gaps between them pass")
	}
}
