// Package encode turns prompts and pictures into numbers, and latents into pictures.
package encode

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/text"
)

// Text is T5 and CLIP over their weights.
type Text struct {
	T5        text.T5Config
	CLIP      text.CLIPConfig
	T5Store   *exec.Store
	CLIPStore *exec.Store
	Runner    *exec.Runner
}

// States returns T5's last hidden states of token ids: [len(ids), width]. Padding
// is part of ids, and is attended to.
func (e *Text) States(ids []int32) (_ tensor.Tensor, err error) {
	defer panics.Catch("encoding the prompt with T5", &err)
	out, err := e.Runner.Run(e.t5(), e.T5Store, tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], len(ids), e.T5.Dim)
}

// Pooled returns CLIP's vector of token ids: [width].
func (e *Text) Pooled(ids []int32) (_ tensor.Tensor, err error) {
	defer panics.Catch("encoding the prompt with CLIP", &err)
	out, err := e.Runner.Run(e.clip(), e.CLIPStore, tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], e.CLIP.Dim)
}

func (e *Text) t5() exec.Graph {
	return exec.Graph{Name: "t5 " + exec.ConfigName(e.T5), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(text.T5(w, e.T5, in[0]), dtypes.Float32)}
	}}
}

func (e *Text) clip() exec.Graph {
	return exec.Graph{Name: "clip " + exec.ConfigName(e.CLIP), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(text.CLIP(w, e.CLIP, in[0]), dtypes.Float32)}
	}}
}

// Ready compiles T5 for prompts of some lengths, and CLIP, concurrently.
func (e *Text) Ready(lengths ...int) error {
	ids := func(n int) shapes.Shape { return shapes.Make(dtypes.Int32, 1, n) }
	requests := []exec.CompileRequest{e.clip().Request(e.CLIPStore, ids(e.CLIP.Positions))}
	for _, n := range lengths {
		requests = append(requests, e.t5().Request(e.T5Store, ids(n)))
	}
	return e.Runner.CompileAll(requests...)
}
