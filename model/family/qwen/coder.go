package qwen

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/tile"
	"github.com/eligen/eligen/model/weights"
)

// Coder is a model's autoencoder, as an engine holds it.
type Coder struct {
	Config qwen.CoderConfig
	Loader weights.Loader
}

var _ family.Autoencoder = (*Coder)(nil)

// Weights returns what its weights are read from.
func (p *Coder) Weights() weights.Loader { return p.Loader }

// Shape returns its sizes.
func (p *Coder) Shape() family.CoderShape {
	s := family.CoderShape{Factor: p.Config.Factor(), Scores: regional.AtOnce}
	for _, m := range p.Config.Mult {
		s.Widths = append(s.Widths, p.Config.Base*m)
	}
	return s
}

// Encode returns the deterministic latents of a picture.
func (p *Coder) Encode(ctx context.Context, r *exec.Runner, s *exec.Store, picture tensor.Tensor,
	tiles *eligen.Tiling) (_ tensor.Tensor, err error) {
	defer panics.Catch("encoding the picture", &err)
	n := p.Config.Factor()
	if d := picture.Shape; len(d) != 3 || d[0] != 3 || d[1] <= 0 || d[2] <= 0 || d[1]%n != 0 || d[2]%n != 0 {
		return tensor.Tensor{}, fmt.Errorf("a picture of shape %v can't be encoded; it must be [3,h,w] with h and w multiples of %d", d, n)
	}
	return p.tiled(ctx, picture, tiles, n, 1, func(x tensor.Tensor) (tensor.Tensor, error) {
		g := exec.Graph{Name: "qwen-encoder " + exec.ConfigName(p.Config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{qwen.Encode(w, p.Config, in[0], nil)}
		}}
		out, err := r.Run(g, s, exec.Upload(x, 1))
		if err != nil {
			return tensor.Tensor{}, err
		}
		return exec.Download(out[0], p.Config.Z, x.Shape[1]/n, x.Shape[2]/n)
	})
}

// Decode returns the picture of latents.
func (p *Coder) Decode(ctx context.Context, r *exec.Runner, s *exec.Store, latents tensor.Tensor,
	tiles *eligen.Tiling) (_ tensor.Tensor, err error) {
	defer panics.Catch("decoding the latents", &err)
	n := p.Config.Factor()
	if d := latents.Shape; len(d) != 3 || d[0] != p.Config.Z || d[1] <= 0 || d[2] <= 0 {
		return tensor.Tensor{}, fmt.Errorf("latents of shape %v can't be decoded; this autoencoder takes [%d,h,w]", d, p.Config.Z)
	}
	return p.tiled(ctx, latents, tiles, 1, n, func(x tensor.Tensor) (tensor.Tensor, error) {
		out, err := r.Run(p.decoder(), s, exec.Upload(x, 1))
		if err != nil {
			return tensor.Tensor{}, err
		}
		return exec.Download(out[0], 3, n*x.Shape[1], n*x.Shape[2])
	})
}

// Decoding asks for the decoder's graph.
func (p *Coder) Decoding(s *exec.Store, latents ...int) exec.CompileRequest {
	return p.decoder().Request(s, shapes.Make(dtypes.Float32, append([]int{1}, latents...)...))
}

func (p *Coder) decoder() exec.Graph {
	return exec.Graph{Name: "qwen-decoder " + exec.ConfigName(p.Config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{qwen.Decode(w, p.Config, in[0], nil)}
	}}
}

// tiled runs one half of the autoencoder tile by tile: in and out are how many numbers of its input
// and its output a latent is wide. It is the reference's rule: tiles fade where they overlap, and the
// last one is cut short.
func (p *Coder) tiled(ctx context.Context, x tensor.Tensor, t *eligen.Tiling, in, out int,
	f func(tensor.Tensor) (tensor.Tensor, error)) (tensor.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	h, w := x.Shape[1]/in, x.Shape[2]/in
	if t == nil {
		return f(x)
	}
	if err := tile.Check(t); err != nil {
		return tensor.Tensor{}, err
	}
	border := max(1, (t.Tile-t.Stride)*out)
	var all *tile.Blend
	for _, row := range starts(h, t) {
		for _, column := range starts(w, t) {
			if err := ctx.Err(); err != nil {
				return tensor.Tensor{}, err
			}
			th, tw := min(t.Tile, h-row), min(t.Tile, w-column)
			y, err := f(tile.Crop(x, row*in, column*in, th*in, tw*in))
			if err != nil {
				return tensor.Tensor{}, err
			}
			if all == nil {
				all = tile.NewBlend(y.Shape[0], h*out, w*out)
			}
			all.Add(y, row*out, column*out, tile.Ramp(th*out, border, row > 0, row+th < h), tile.Ramp(tw*out, border, column > 0, column+tw < w))
		}
	}
	return all.Done(), nil
}

// starts returns where tiles begin along an axis: at multiples of the stride, up to the first that
// reaches the end.
func starts(size int, t *eligen.Tiling) (list []int) {
	for at := 0; ; at += t.Stride {
		list = append(list, at)
		if at+t.Tile >= size {
			return list
		}
	}
}
