package encode

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/tile"
	"github.com/eligen/eligen/model/vae"
)

// An Autoencoder turns pictures into latents and back.
type Autoencoder struct {
	Config vae.Config
	Store  *exec.Store
	Runner *exec.Runner
	Tiles  *eligen.Tiling // nil: everything at once
}

// Encode returns the deterministic latent [Z,h/8,w/8] of a picture [3,h,w] in [−1,1].
func (a *Autoencoder) Encode(ctx context.Context, img tensor.Tensor) (_ tensor.Tensor, err error) {
	defer panics.Catch("encoding the picture", &err)
	n := a.Config.Factor()
	if s := img.Shape; len(s) != 3 || s[0] != 3 || s[1] <= 0 || s[2] <= 0 || s[1]%n != 0 || s[2]%n != 0 {
		return tensor.Tensor{}, fmt.Errorf("a picture of shape %v can't be encoded; it must be [3,h,w] with h and w multiples of %d", s, n)
	}
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	return a.tiled(ctx, img, n, 1, func(img tensor.Tensor) (tensor.Tensor, error) {
		out, err := a.Runner.Run(a.Encoder(), a.Store, exec.Upload(img, 1))
		if err != nil {
			return tensor.Tensor{}, err
		}
		return exec.Download(out[0], a.Config.Z, img.Shape[1]/n, img.Shape[2]/n)
	})
}

// Decode returns the picture [3,8h,8w], about [−1,1], of latents [Z,h,w].
func (a *Autoencoder) Decode(ctx context.Context, latents tensor.Tensor) (_ tensor.Tensor, err error) {
	defer panics.Catch("decoding the latents", &err)
	n := a.Config.Factor()
	s := latents.Shape
	if len(s) != 3 || s[0] != a.Config.Z || s[1] <= 0 || s[2] <= 0 {
		return tensor.Tensor{}, fmt.Errorf("latents of shape %v can't be decoded; this autoencoder takes [%d,h,w]", s, a.Config.Z)
	}
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	return a.tiled(ctx, latents, 1, n, func(latents tensor.Tensor) (tensor.Tensor, error) {
		out, err := a.Runner.Run(a.Decoder(), a.Store, exec.Upload(latents, 1))
		if err != nil {
			return tensor.Tensor{}, err
		}
		return exec.Download(out[0], 3, n*latents.Shape[1], n*latents.Shape[2])
	})
}

// Encoder returns the graph that encodes pictures [1,3,h,w] in [−1,1].
func (a *Autoencoder) Encoder() exec.Graph {
	return exec.Graph{Name: "encoder " + exec.ConfigName(a.Config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{vae.Encode(w, a.Config, in[0], nil)}
	}}
}

// Decoder returns the graph that decodes latents [1,Z,h,w].
func (a *Autoencoder) Decoder() exec.Graph {
	return exec.Graph{Name: "decoder " + exec.ConfigName(a.Config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{vae.Decode(w, a.Config, in[0], nil)}
	}}
}

// tiled runs one half of the autoencoder, f, tile by tile: in and out are how many
// numbers of its input and its output a latent is wide. It is the reference's rule,
// whose tiles fade on all sides over half the stride, with a last tile where the
// reference leaves an edge without one. What one tile covers is not tiled.
func (a *Autoencoder) tiled(ctx context.Context, x tensor.Tensor, in, out int,
	f func(tensor.Tensor) (tensor.Tensor, error)) (tensor.Tensor, error) {
	t := a.Tiles
	h, w := x.Shape[1]/in, x.Shape[2]/in
	if t == nil {
		return f(x)
	}
	if err := tile.Check(t); err != nil {
		return tensor.Tensor{}, err
	}
	if h <= t.Tile && w <= t.Tile {
		return f(x)
	}
	th, tw := min(t.Tile, h), min(t.Tile, w)
	border := cmp.Or(t.Stride/2*out, 1)
	rows, columns := tile.Ramp(th*out, border, true, true), tile.Ramp(tw*out, border, true, true)
	var all *tile.Blend
	for _, row := range tile.Windows(h, th, t.Stride) {
		for _, column := range tile.Windows(w, tw, t.Stride) {
			if err := ctx.Err(); err != nil {
				return tensor.Tensor{}, err
			}
			y, err := f(tile.Crop(x, row*in, column*in, th*in, tw*in))
			if err != nil {
				return tensor.Tensor{}, err
			}
			if all == nil {
				all = tile.NewBlend(y.Shape[0], h*out, w*out)
			}
			all.Add(y, row*out, column*out, rows, columns)
		}
	}
	return all.Done(), nil
}
