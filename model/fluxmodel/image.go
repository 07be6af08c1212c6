package fluxmodel

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
)

// An ImageAdapter is an IP-Adapter over its weights.
type ImageAdapter struct {
	Config flux.IPConfig
	Store  *exec.Store
	Runner *exec.Runner
}

// Tokens returns a picture's tokens [tokens, width], for an [eligen.ImagePrompt], of
// its vector. Those of a vector of zeros are for the negative side.
func (a *ImageAdapter) Tokens(vec tensor.Tensor) (_ tensor.Tensor, err error) {
	defer panics.Catch("projecting the image prompt", &err)
	c := a.Config
	if len(vec.Data) != c.ImageDim {
		return tensor.Tensor{}, fmt.Errorf("the image prompt's vector has %d numbers; this IP-Adapter takes %d", len(vec.Data), c.ImageDim)
	}
	out, err := a.Runner.Run(exec.Graph{
		Name: "image-tokens " + exec.ConfigName(c),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{graph.ConvertDType(flux.ImageTokens(w, in[0]), dtypes.Float32)}
		},
	}, a.Store, exec.Upload(tensor.Tensor{Shape: []int{c.ImageDim}, Data: vec.Data}, 1))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], c.Tokens, c.TokenDim)
}

// check refuses image prompts that the graphs would fail on.
func (a *ImageAdapter) check(prompts []eligen.ImagePrompt, t flux.Config) error {
	if len(prompts) == 0 {
		return nil
	}
	if a == nil {
		return errors.New("an image prompt needs an IP-Adapter: add an adapter \"ip\"")
	}
	if err := a.Config.Fits(t); err != nil {
		return err
	}
	for i, p := range prompts {
		if want := []int{a.Config.Tokens, a.Config.TokenDim}; !slices.Equal(p.Tokens.Shape, want) {
			return fmt.Errorf("image prompt %d has tokens of shape %v; this IP-Adapter makes %v", i, p.Tokens.Shape, want)
		}
		if math.IsNaN(p.Scale) || math.IsInf(p.Scale, 0) {
			return fmt.Errorf("image prompt %d has the scale %v; it must be a number", i, p.Scale)
		}
	}
	return nil
}

// keysValues returns what each block of a transformer sees of pictures: keys and
// values [1,T,H,HeadDim] in turns, values multiplied by the pictures' scales. Lean
// holds one block's weights at a time.
func (a *ImageAdapter) keysValues(prompts []eligen.ImagePrompt, t flux.Config, dtype dtypes.DType,
	lean bool) (kv []*tensors.Tensor, err error) {
	n := len(prompts) * a.Config.Tokens
	tokens, scales := tensor.Tensor{Shape: []int{1, n, a.Config.TokenDim}}, tensor.Tensor{Shape: []int{1, n}}
	for _, p := range prompts {
		tokens.Data = append(tokens.Data, p.Tokens.Data...)
		scales.Data = append(scales.Data, slices.Repeat([]float32{float32(p.Scale)}, a.Config.Tokens)...)
	}
	in := []*tensors.Tensor{exec.Upload(tokens), exec.Upload(scales)}
	defer func() {
		for _, x := range in {
			err = errors.Join(err, x.FinalizeAll())
		}
		if err != nil {
			for _, x := range kv {
				err = errors.Join(err, x.FinalizeAll())
			}
			kv = nil
		}
	}()
	for i := range a.Config.Blocks {
		out, err := a.Runner.RunKeeping(exec.Graph{
			Name:  fmt.Sprintf("image-keys %s %s", exec.ConfigName(t), dtype),
			Scope: flux.IPBlock(i) + ".",
			Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
				kv := flux.ImageKeyValue(w, t, in[0]).Scaled(in[1])
				return []*graph.Node{graph.ConvertDType(kv.K, dtype), graph.ConvertDType(kv.V, dtype)}
			},
		}, a.Store, nil, in)
		if err != nil {
			return kv, err
		}
		kv = append(kv, out...)
		if lean {
			if err := a.Store.Release(); err != nil {
				return kv, err
			}
		}
	}
	return kv, nil
}
