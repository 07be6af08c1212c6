// Package encode turns prompts and pictures into numbers, and latents into pictures.
package encode

import (
	"errors"

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
	in := tensors.FromFlatDataAndDimensions(ids, 1, len(ids))
	if ByLayers(e.T5) {
		return e.layers(in, len(ids))
	}
	out, err := e.Runner.Run(e.t5(), e.T5Store, in)
	if err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], len(ids), e.T5.Dim)
}

// wholeUpTo is the width of a T5 whose layers are one graph. Of a wider one, each is a graph: no
// more than one layer's attention is in memory then, and layers' weights can pass through. It
// follows from the model alone, since the last bits of the two differ.
var wholeUpTo = 1024

// ByLayers reports whether each layer of a T5 is a graph.
func ByLayers(c text.T5Config) bool { return c.Dim > wholeUpTo }

// layers runs T5 layer by layer on ids [1,length].
func (e *Text) layers(ids *tensors.Tensor, length int) (_ tensor.Tensor, err error) {
	out, err := e.Runner.Run(e.begin(), e.T5Store, ids)
	if err != nil {
		return tensor.Tensor{}, err
	}
	x, bias := out[0], out[1]
	defer func() { err = errors.Join(err, bias.FinalizeAll()) }()
	for i := range e.T5.Layers {
		if out, err = e.Runner.RunKeeping(e.layer(i), e.T5Store, []*tensors.Tensor{x}, []*tensors.Tensor{bias}); err != nil {
			return tensor.Tensor{}, err
		}
		x = out[0]
	}
	if out, err = e.Runner.Run(e.end(), e.T5Store, x); err != nil {
		return tensor.Tensor{}, err
	}
	return exec.Download(out[0], length, e.T5.Dim)
}

func (e *Text) begin() exec.Graph {
	return exec.Graph{Name: "t5-begin " + exec.ConfigName(e.T5), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		x, bias := text.T5Begin(w, in[0])
		return []*graph.Node{x, bias}
	}}
}

func (e *Text) layer(i int) exec.Graph {
	return exec.Graph{Name: "t5-layer " + exec.ConfigName(e.T5), Scope: text.T5Scope(i),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			return []*graph.Node{text.T5Layer(w, e.T5, in[0], in[1])}
		}}
}

func (e *Text) end() exec.Graph {
	return exec.Graph{Name: "t5-end " + exec.ConfigName(e.T5), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.ConvertDType(text.T5End(w, in[0]), dtypes.Float32)}
	}}
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

// Graphs asks for all graphs that read a prompt of a length, in a dtype.
func (e *Text) Graphs(length int, dtype dtypes.DType) []exec.CompileRequest {
	ids := func(n int) shapes.Shape { return shapes.Make(dtypes.Int32, 1, n) }
	out := []exec.CompileRequest{e.clip().Request(e.CLIPStore, ids(e.CLIP.Positions))}
	if !ByLayers(e.T5) {
		return append(out, e.t5().Request(e.T5Store, ids(length)))
	}
	x := shapes.Make(dtype, 1, length, e.T5.Dim)
	return append(out, e.begin().Request(e.T5Store, ids(length)),
		e.layer(0).Request(e.T5Store, x, shapes.Make(dtype, 1, e.T5.Heads, length, length)), e.end().Request(e.T5Store, x))
}

// Ready compiles T5 for prompts of some lengths, and CLIP, concurrently.
func (e *Text) Ready(lengths ...int) error {
	ids := func(n int) shapes.Shape { return shapes.Make(dtypes.Int32, 1, n) }
	requests := []exec.CompileRequest{e.clip().Request(e.CLIPStore, ids(e.CLIP.Positions))}
	if ByLayers(e.T5) {
		return e.Runner.CompileAll(requests...) // a layer is compiled fast
	}
	for _, n := range lengths {
		requests = append(requests, e.t5().Request(e.T5Store, ids(n)))
	}
	return e.Runner.CompileAll(requests...)
}
