package model_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vae"
)

// testVAE runs the encoder on an image, the decoder on latents, from every
// format of the checkpoint.
func testVAE(t *testing.T, s *suite, g *golden) {
	var want struct{ Ch, Groups int }
	g.field(t, "config", &want)
	if g.has("tile_size") {
		in, tiles := g.in["latents"], g.tiles(t)
		if small, ok := g.in["image_eighth"]; ok { // tiled in pixels
			in, tiles.Tile, tiles.Stride = enlarge(small, 8), tiles.Tile/8, tiles.Stride/8
		}
		c := g.open(t, g.text("model"))
		cfg, err := detect.Autoencoder(c)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Groups = want.Groups
		a := encode.Autoencoder{Config: cfg, Store: exec.NewStore(s.runner.Backend, c, dtypes.Float32), Runner: s.runner}
		defer func() {
			if err := a.Store.Release(); err != nil {
				t.Error(err)
			}
		}()
		got := map[string]tensor.Tensor{}
		for name, tiles := range map[string]*eligen.Tiling{"out_full": nil, "out_tiled": tiles} {
			a.Tiles = tiles
			run := a.Decode
			if in.Shape[1] == 3 {
				run = a.Encode
			}
			x, err := run(t.Context(), tensor.Tensor{Shape: in.Shape[1:], Data: in.Data})
			if err != nil {
				t.Fatal(err)
			}
			got[name] = tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}
		}
		g.compare(t, got, nil)
		return
	}
	for _, key := range []string{"model", "model_diffusers"} {
		path := g.text(key)
		if path == "" {
			continue
		}
		t.Run(key, func(t *testing.T) {
			c := g.open(t, path)
			cfg, err := detect.Autoencoder(c)
			cfg.Groups = want.Groups // no checkpoint in one file says
			reference := vae.Flux
			reference.Ch, reference.Groups = want.Ch, want.Groups
			if err != nil || fmt.Sprint(cfg) != fmt.Sprint(reference) {
				t.Fatalf("%s is recognised as %+v, %v\nwant %+v", path, cfg, err, reference)
			}
			got := s.run(t, fmt.Sprint("vae ", cfg), c, dtypes.Float32, g.in, func(w nn.Weights, in map[string]*Node, keep func(string, *Node)) {
				if img := in["image"]; img != nil {
					keep("out", vae.Encode(w, cfg, img, keep))
				} else {
					keep("out", vae.Decode(w, cfg, in["latents"], keep))
				}
			})
			g.compare(t, got, nil)
		})
	}
}

// tiles returns a case's tiling, in the case's units.
func (g *golden) tiles(t *testing.T) *eligen.Tiling {
	t.Helper()
	tiles := &eligen.Tiling{}
	g.field(t, "tile_size", &tiles.Tile)
	g.field(t, "tile_stride", &tiles.Stride)
	return tiles
}

// enlarge repeats every pixel n×n times.
func enlarge(x tensor.Tensor, n int) tensor.Tensor {
	h, w := x.Shape[2], x.Shape[3]
	out := tensor.New(x.Shape[0], x.Shape[1], n*h, n*w)
	for i := range out.Data {
		row, column := i/(n*w), i%(n*w)
		out.Data[i] = x.Data[row/n*w+column/n]
	}
	return out
}
