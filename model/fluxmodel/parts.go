package fluxmodel

import (
	"context"
	"errors"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/weights"
)

// DiT is a model's transformer, as an engine holds it.
type DiT struct {
	Config flux.Config
	Loader weights.Loader
	family.Numbers
	Digest eligen.Digest // of the weights
}

var _ family.Transformer = (*DiT)(nil)

// Weights returns what its weights are read from.
func (p *DiT) Weights() weights.Loader { return p.Loader }

// Held returns weights as they are held in memory: of integers, the matrices of its blocks that
// steps read. Modulations are read once a picture.
func (p *DiT) Held(over weights.Loader) (weights.Loader, error) {
	key := p.Digest
	if over != p.Loader {
		key = "" // LoRAs are in it
	}
	return weights.Integers(over, p.Rows, func(name string) bool { return strings.Contains(name, "_blocks.") && StepWeight(name) }, key)
}

// DType returns what it computes in.
func (p *DiT) DType() dtypes.DType { return p.Numbers.DType }

// Shape returns its sizes.
func (p *DiT) Shape() family.Shape {
	c := p.Config
	return family.Shape{
		Dim: c.Dim, MLP: c.MLP(), Heads: c.Heads, Double: c.Double, Single: c.Single, TokenDim: c.PatchDim(), Scores: regional.AtOnce,
		Layered: byLayers(c),
	}
}

// Scopes lists its blocks.
func (p *DiT) Scopes() []string { return Scopes(p.Config) }

// StepWeight reports whether a step's graph reads a weight.
func (*DiT) StepWeight(name string) bool { return StepWeight(name) }

// Begin prepares a picture's two branches.
func (p *DiT) Begin(ctx context.Context, h family.Host, w family.Work) (sample.Branch, sample.Branch, error) {
	t := &Transformer{Config: p.Config, Runner: h.Runner(), Precompile: w.Precompile}
	if w.Images != nil {
		i, ok := w.Images.(*images)
		if !ok {
			return nil, nil, errors.New("the image prompts were read by another family's adapter. This is a bug in eligen")
		}
		// It comes first: if not all fits, what has read the pictures goes.
		var err error
		if t.Images, err = i.reader(h); err != nil {
			return nil, nil, err
		}
	}
	var err error
	if t.Store, err = w.Store(); err != nil {
		return nil, nil, err
	}
	t.Lean, t.Packed, t.Room = h.Lean(t.Store), !h.Unpacks(t.Store), w.Room
	return t.Begin(ctx, w.Denoise)
}

// VAE is a model's autoencoder, as an engine holds it.
type VAE struct {
	Config vae.Config
	Loader weights.Loader
}

var _ family.Autoencoder = (*VAE)(nil)

// Weights returns what its weights are read from.
func (p *VAE) Weights() weights.Loader { return p.Loader }

// Shape returns its sizes.
func (p *VAE) Shape() family.CoderShape {
	s := family.CoderShape{Factor: p.Config.Factor(), Scores: vae.MaxScores}
	for _, m := range p.Config.Mult {
		s.Widths = append(s.Widths, p.Config.Ch*m)
	}
	return s
}

// Encode returns the latents of a picture.
func (p *VAE) Encode(ctx context.Context, r *exec.Runner, s *exec.Store, picture tensor.Tensor,
	tiles *eligen.Tiling) (tensor.Tensor, error) {
	return (&encode.Autoencoder{Config: p.Config, Store: s, Runner: r, Tiles: tiles}).Encode(ctx, picture)
}

// Decode returns the picture of latents.
func (p *VAE) Decode(ctx context.Context, r *exec.Runner, s *exec.Store, latents tensor.Tensor,
	tiles *eligen.Tiling) (tensor.Tensor, error) {
	return (&encode.Autoencoder{Config: p.Config, Store: s, Runner: r, Tiles: tiles}).Decode(ctx, latents)
}

// Decoding asks for the decoder's graph.
func (p *VAE) Decoding(s *exec.Store, latents ...int) exec.CompileRequest {
	a := encode.Autoencoder{Config: p.Config}
	return a.Decoder().Request(s, shapes.Make(dtypes.Float32, append([]int{1}, latents...)...))
}
