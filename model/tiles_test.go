package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
)

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		size, length, stride int
		want                 []int
	}{
		{10, 6, 4, []int{0, 4}},
		{11, 6, 4, []int{0, 4, 5}}, // the reference leaves the last one out
		{6, 6, 4, []int{0}},
		{7, 7, 1, []int{0}},
		{9, 3, 3, []int{0, 3, 6}},
	} {
		if got := windows(c.size, c.length, c.stride); !slices.Equal(got, c.want) {
			t.Errorf("windows of %d every %d on %d: %v, want %v", c.length, c.stride, c.size, got, c.want)
		}
	}
}

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

// Each branch has a cache of its own, and entities go on acting.
func TestTeaCacheOfTwoBranches(t *testing.T) {
	be, _, err := OpenBackend("go")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	r := NewRunner(be)
	defer r.Finalize()
	transformer := &Transformer{Config: smallFlux, Store: NewStore(be, randomCheckpoint(t, weights(smallFlux.Weights())), dtypes.Float32), Runner: r}
	prompt := eligen.Conditioning{eligen.Txt: tensor.New(2, 6), eligen.Vec: tensor.New(4)}
	negative := eligen.Conditioning{eligen.Txt: tensor.New(2, 6), eligen.Vec: tensor.New(4)}
	negative[eligen.Vec].Data[1] = 2
	entity := eligen.EntityConditioning{Prompt: eligen.Conditioning{eligen.Txt: tensor.New(3, 6)}, Tokens: []int32{1, 4}, Strength: 1}
	entity.Prompt[eligen.Txt].Data[5] = 3
	work := eligen.Denoise{
		Latents: tensor.New(4, 4, 6), Sigmas: []float32{1, 0.9, 0.7, 0.4, 0}, CFG: 2,
		Prompt: prompt, Negative: negative, Entities: []eligen.EntityConditioning{entity},
	}
	work.Latents.Data[7] = 1
	var seen []string
	sums := map[float64]bool{}
	transformer.Tea = func(step int, negative bool, s TeaStep) {
		seen = append(seen, fmt.Sprintf("%d %t %t", step, negative, s.Reused))
		if step == 1 {
			sums[s.Sum] = true
		}
	}
	denoise := func(threshold float64) []float32 {
		seen = nil
		work.TeaCache = threshold
		x, err := transformer.Denoise(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		return x.Data
	}
	whole := denoise(0)
	if len(seen) > 0 {
		t.Errorf("without a cache it decides %v", seen)
	}
	if !slices.Equal(denoise(1e-9), whole) {
		t.Error("a cache that reuses nothing changes the picture")
	}
	entities := denoise(1e9)
	want := []string{"0 false false", "0 true false", "1 false true", "1 true true", "2 false true", "2 true true", "3 false false", "3 true false"}
	if !slices.Equal(seen, want) || len(sums) != 2 {
		t.Errorf("decisions %q, sums of step 1 %v; want %q, and two sums", seen, sums, want)
	}
	if slices.Equal(entities, whole) {
		t.Error("steps without blocks change nothing")
	}
	work.Entities = nil
	if slices.Equal(denoise(1e9), entities) {
		t.Error("entities have no effect")
	}
	for r := 0.0; r < 2; r += 1e-4 {
		if x := teaChange(r); !(x > eligen.LeastTeaCache) {
			t.Fatalf("a change of %g is estimated at %g", r, x)
		}
	}
	work.TeaCache = math.NaN()
	if _, err := transformer.Denoise(t.Context(), work); err == nil {
		t.Error("a threshold that is no number passes")
	}
}
