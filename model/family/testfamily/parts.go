package testfamily

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/weights"
)

// An encoder reads prompts.
type encoder struct {
	key     string
	weights weights.Loader
	dtype   dtypes.DType
}

// Bytes returns what its weights take.
func (e *encoder) Bytes() int64 { return exec.NewStore(nil, e.weights, e.dtype).Whole() }

// Plan holds all.
func (e *encoder) Plan(room int64, unpack bool) exec.Plan {
	return exec.NewStore(nil, e.weights, e.dtype).Plan(nil, func(string) bool { return true }, room, unpack)
}

// Work returns nothing: this encoder has no attention.
func (e *encoder) Work(int) family.TextWork { return family.TextWork{} }

// Encode reads a prompt, in its own length.
func (e *encoder) Encode(_ context.Context, h family.Host, prompt string, as eligen.Reading) (eligen.Conditioning, error) {
	if as.Pooled || !as.Unpadded {
		return nil, fmt.Errorf("this family has no vector of whole prompts, and pads none: %+v", as)
	}
	s, err := h.Store(e.key, e.weights, e.dtype)
	if err != nil {
		return nil, err
	}
	ids := tokens(prompt, as.Length)
	out, err := h.Runner().Run(exec.Graph{Name: "test-text", Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(encode(w, in[0]), dtypes.Float32)}
	}}, s, tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	if err != nil {
		return nil, err
	}
	txt, err := exec.Download(out[0], len(ids), dim)
	return eligen.Conditioning{eligen.Txt: txt}, err
}

// A transformer gives velocities.
type transformer struct {
	weights weights.Loader
	dtype   dtypes.DType
}

// Weights returns what its weights are read from.
func (t *transformer) Weights() weights.Loader { return t.weights }

// Held returns weights as they are: this family holds none in integers.
func (t *transformer) Held(over weights.Loader) (weights.Loader, error) { return over, nil }

// DType returns what it computes in.
func (t *transformer) DType() dtypes.DType { return t.dtype }

// Scopes returns none: this family's blocks are all held.
func (t *transformer) Scopes() []string { return nil }

// StepWeight returns true for all weights: nothing is computed before the steps.
func (t *transformer) StepWeight(string) bool { return true }

// Shape returns its sizes.
func (t *transformer) Shape() family.Shape {
	return family.Shape{Dim: dim, MLP: mlp, Heads: heads, Single: blocks, TokenDim: channels * patch * patch, Scores: 1 << 20}
}

// Begin prepares a picture's two branches.
func (t *transformer) Begin(_ context.Context, h family.Host, w family.Work) (positive, negative sample.Branch, err error) {
	if len(w.ImagePrompts)+len(w.NegativeImagePrompts) > 0 || w.TeaCache != 0 || w.Guidance != 0 {
		return nil, nil, fmt.Errorf("this family takes no image prompts, step cache and guidance")
	}
	if err := sample.Check(w.Denoise, Geometry); err != nil {
		return nil, nil, err
	}
	if err := sample.CheckTexts(w.Denoise, dim); err != nil {
		return nil, nil, err
	}
	if slices.ContainsFunc(w.Entities, func(e eligen.EntityConditioning) bool { return e.Share != nil }) {
		return nil, nil, errors.New("the test family has no layers")
	}
	s, err := w.Store()
	if err != nil {
		return nil, nil, err
	}
	positive = newBranch(h.Runner(), s, w.Denoise, w.Prompt, w.Entities)
	if w.Negative != nil && w.CFG != 1 {
		entities := w.Against
		if w.NegativeEntities {
			for _, e := range w.Entities {
				e.Prompt = w.Negative
				entities = append(entities, e)
			}
		}
		negative = newBranch(h.Runner(), s, w.Denoise, w.Negative, entities)
	}
	if err := h.Runner().CompileAll(w.Precompile...); err != nil {
		positive.Close()
		if negative != nil {
			negative.Close()
		}
		return nil, nil, err
	}
	return positive, negative, nil
}

// A branch is one side of guidance: its texts and its mask are on the backend.
type branch struct {
	runner    *exec.Runner
	store     *exec.Store
	sigmas    []float32
	txt, bias *tensors.Tensor
}

func newBranch(r *exec.Runner, s *exec.Store, d eligen.Denoise, prompt eligen.Conditioning, entities []eligen.EntityConditioning) *branch {
	var texts []tensor.Tensor
	for _, e := range entities {
		texts = append(texts, e.Prompt[eligen.Txt])
	}
	texts = append(texts, prompt[eligen.Txt])
	all := tensor.Tensor{Shape: []int{0, dim}}
	for _, t := range texts {
		all.Shape[0] += t.Shape[0]
		all.Data = append(all.Data, t.Data...)
	}
	image := d.Latents.Shape[1] / patch * (d.Latents.Shape[2] / patch)
	return &branch{r, s, d.Sigmas, exec.Upload(all, 1), exec.Upload(mask(texts, image, entities), 1, 1)}
}

// mask returns EliGen's rule over [the entities' texts, the prompt, the image tokens], as
// addends to the scores [L,L]: a text sees itself and what it is about, the image all of
// itself, the prompt, and the texts of the entities that it lies in.
func mask(texts []tensor.Tensor, image int, entities []eligen.EntityConditioning) tensor.Tensor {
	first, n := []int{}, 0 // rows at which texts begin
	for _, t := range texts {
		first, n = append(first, n), n+t.Shape[0]
	}
	l := n + image
	m := tensor.New(l, l)
	for i := range m.Data {
		m.Data[i] = float32(math.Inf(-1))
	}
	for i := n; i < l; i++ {
		for j := n; j < l; j++ {
			m.Data[i*l+j] = 0
		}
	}
	for k, t := range texts {
		about, strength := allOf(image), 1.0
		if k < len(entities) {
			about, strength = entities[k].Tokens, entities[k].Strength
		}
		for i := first[k]; i < first[k]+t.Shape[0]; i++ {
			for j := first[k]; j < first[k]+t.Shape[0]; j++ {
				m.Data[i*l+j] = 0
			}
			for _, token := range about {
				m.Data[i*l+n+int(token)] = 0
				m.Data[(n+int(token))*l+i] = float32(math.Log(strength))
			}
		}
	}
	return m
}

func allOf(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// Velocity runs the model once.
func (b *branch) Velocity(x tensor.Tensor, step int) (tensor.Tensor, error) {
	time := tensor.New(1, timeDim)
	for k := range timeDim {
		time.Data[k] = float32(math.Cos(float64(b.sigmas[step]) * math.Pow(100, float64(k)/timeDim)))
	}
	out, err := b.runner.RunKeeping(exec.Graph{Name: "test-velocity", Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(velocity(w, in[0], in[1], in[2], in[3]), dtypes.Float32)}
	}}, b.store, []*tensors.Tensor{exec.Upload(x, 1), exec.Upload(time)}, []*tensors.Tensor{b.txt, b.bias})
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], x.Shape...)
}

// Close frees what the steps share.
func (b *branch) Close() {
	for _, t := range []*tensors.Tensor{b.txt, b.bias} {
		// The picture is done; a leak would show in the next one.
		_ = t.FinalizeAll()
	}
}

// An autoencoder makes a latent of each square of pixels by itself: tiles change nothing,
// and it does without.
type autoencoder struct{ weights weights.Loader }

// Weights returns what its weights are read from.
func (a *autoencoder) Weights() weights.Loader { return a.weights }

// Shape returns its sizes.
func (a *autoencoder) Shape() family.CoderShape {
	return family.CoderShape{Widths: []int{channels}, Factor: factor, Scores: 1}
}

// Encode returns the latents of a picture.
func (a *autoencoder) Encode(_ context.Context, r *exec.Runner, s *exec.Store, img tensor.Tensor,
	_ *eligen.Tiling) (tensor.Tensor, error) {
	if img.Shape[1]%factor != 0 || img.Shape[2]%factor != 0 {
		return tensor.Tensor{}, fmt.Errorf("a picture of shape %v has sides that are no multiples of %d", img.Shape, factor)
	}
	return a.run(r, s, coder("test-encode", toLatents), img, channels, img.Shape[1]/factor, img.Shape[2]/factor)
}

// Decode returns the picture of latents.
func (a *autoencoder) Decode(_ context.Context, r *exec.Runner, s *exec.Store, latents tensor.Tensor,
	_ *eligen.Tiling) (tensor.Tensor, error) {
	return a.run(r, s, coder("test-decode", toPixels), latents, 3, latents.Shape[1]*factor, latents.Shape[2]*factor)
}

// run runs a half of it on x, for a result of a shape.
func (a *autoencoder) run(r *exec.Runner, s *exec.Store, half exec.Graph, x tensor.Tensor, shape ...int) (tensor.Tensor, error) {
	out, err := r.Run(half, s, exec.Upload(x, 1))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], shape...)
}

func coder(name string, f func(nn.Weights, *graph.Node) *graph.Node) exec.Graph {
	return exec.Graph{Name: name, Build: func(w nn.Weights, in []*graph.Node) []*graph.Node { return []*graph.Node{f(w, in[0])} }}
}

// Decoding asks for the decoder's graph.
func (a *autoencoder) Decoding(s *exec.Store, latents ...int) exec.CompileRequest {
	return coder("test-decode", toPixels).Request(s, shapes.Make(dtypes.Float32, append([]int{1}, latents...)...))
}
