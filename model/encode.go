package model

import (
	"context"
	"fmt"
	"image"
	"image/draw"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
)

// TextEncoders are T5 and CLIP over their weights.
type TextEncoders struct {
	T5        text.T5Config
	CLIP      text.CLIPConfig
	T5Store   *Store
	CLIPStore *Store
	Runner    *Runner
}

// States are T5's last hidden states of token ids: [len(ids), width]. Padding
// is part of ids, and is attended to.
func (e *TextEncoders) States(ids []int32) (_ tensor.Tensor, err error) {
	defer catch("encoding the prompt with T5", &err)
	out, err := e.Runner.Run(e.t5(), e.T5Store, tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return download(out[0], len(ids), e.T5.Dim)
}

// Pooled is CLIP's vector of token ids: [width].
func (e *TextEncoders) Pooled(ids []int32) (_ tensor.Tensor, err error) {
	defer catch("encoding the prompt with CLIP", &err)
	out, err := e.Runner.Run(e.clip(), e.CLIPStore, tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return download(out[0], e.CLIP.Dim)
}

func (e *TextEncoders) t5() Graph {
	return Graph{Name: "t5 " + configName(e.T5), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(text.T5(w, e.T5, in[0]), dtypes.Float32)}
	}}
}

func (e *TextEncoders) clip() Graph {
	return Graph{Name: "clip " + configName(e.CLIP), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(text.CLIP(w, e.CLIP, in[0]), dtypes.Float32)}
	}}
}

// ready compiles T5 for prompts of some lengths, and CLIP, at the same time.
func (e *TextEncoders) ready(lengths ...int) error {
	ids := func(n int) []shapes.Shape { return []shapes.Shape{shapes.Make(dtypes.Int32, 1, n)} }
	errands := []errand{{e.clip(), e.CLIPStore, ids(e.CLIP.Positions)}}
	for _, n := range lengths {
		errands = append(errands, errand{e.t5(), e.T5Store, ids(n)})
	}
	return e.Runner.compileAll(errands...)
}

// An Autoencoder turns pictures into latents and back.
type Autoencoder struct {
	Config vae.Config
	Store  *Store
	Runner *Runner
	Tiles  *eligen.Tiling // nil: everything at once
}

// Encode is the deterministic latent [Z,h/8,w/8] of a picture [3,h,w] in [−1,1].
func (a *Autoencoder) Encode(ctx context.Context, img tensor.Tensor) (_ tensor.Tensor, err error) {
	defer catch("encoding the picture", &err)
	n := a.Config.Factor()
	if s := img.Shape; len(s) != 3 || s[0] != 3 || s[1] <= 0 || s[2] <= 0 || s[1]%n != 0 || s[2]%n != 0 {
		return tensor.Tensor{}, fmt.Errorf("a picture of shape %v can't be encoded; it must be [3,h,w] with h and w multiples of %d", s, n)
	}
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	return a.tiled(ctx, img, n, 1, func(img tensor.Tensor) (tensor.Tensor, error) {
		out, err := a.Runner.Run(a.encoder(), a.Store, upload(img, 1))
		if err != nil {
			return tensor.Tensor{}, err
		}
		return download(out[0], a.Config.Z, img.Shape[1]/n, img.Shape[2]/n)
	})
}

// Decode is the picture [3,8h,8w], about [−1,1], of latents [Z,h,w].
func (a *Autoencoder) Decode(ctx context.Context, latents tensor.Tensor) (_ tensor.Tensor, err error) {
	defer catch("decoding the latents", &err)
	n := a.Config.Factor()
	s := latents.Shape
	if len(s) != 3 || s[0] != a.Config.Z || s[1] <= 0 || s[2] <= 0 {
		return tensor.Tensor{}, fmt.Errorf("latents of shape %v can't be decoded; this autoencoder takes [%d,h,w]", s, a.Config.Z)
	}
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	return a.tiled(ctx, latents, 1, n, func(latents tensor.Tensor) (tensor.Tensor, error) {
		out, err := a.Runner.Run(a.decoder(), a.Store, upload(latents, 1))
		if err != nil {
			return tensor.Tensor{}, err
		}
		return download(out[0], 3, n*latents.Shape[1], n*latents.Shape[2])
	})
}

func (a *Autoencoder) encoder() Graph {
	return Graph{Name: "encoder " + configName(a.Config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{vae.Encode(w, a.Config, in[0], nil)}
	}}
}

func (a *Autoencoder) decoder() Graph {
	return Graph{Name: "decoder " + configName(a.Config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{vae.Decode(w, a.Config, in[0], nil)}
	}}
}

// Pixels is a picture as [3,h,w] in [−1,1]: v·(2/255) − 1 in float32.
// Transparency is dropped, as PIL's convert("RGB") does.
func Pixels(img image.Image) tensor.Tensor {
	b := img.Bounds()
	n, ok := img.(*image.NRGBA)
	if !ok {
		n = image.NewNRGBA(b)
		draw.Draw(n, b, img, b.Min, draw.Src)
	}
	w, h := b.Dx(), b.Dy()
	t := tensor.New(3, h, w)
	for y := range h {
		row := n.Pix[n.PixOffset(b.Min.X, b.Min.Y+y):]
		for x := range w {
			for c := range 3 {
				t.Data[(c*h+y)*w+x] = float32(row[4*x+c])*(2.0/255) - 1
			}
		}
	}
	return t
}

// Picture is [3,h,w] in [−1,1] as 8-bit pixels, by the rule that the reference
// has for float32: clip(y/2 + 0.5, 0, 1)·255, truncated, not rounded.
func Picture(t tensor.Tensor) *image.NRGBA {
	h, w := t.Shape[1], t.Shape[2]
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			p := img.Pix[img.PixOffset(x, y):]
			for c := range 3 {
				v := t.Data[(c*h+y)*w+x]/2 + 0.5
				if !(v > 0) { // not a number is black
					v = 0
				}
				p[c] = uint8(min(v, 1) * 255)
			}
			p[3] = 255
		}
	}
	return img
}
