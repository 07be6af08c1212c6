package fluxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// GraphSizes are what the graphs of a picture's steps depend on, beside the model.
type GraphSizes struct {
	Pixels   eligen.Size
	Text     int // tokens of the prompt
	Groups   []eligen.GroupSizes
	Strong   bool // entities have strengths
	Pictures bool // there are image prompts
	TeaCache bool // steps that change little leave the blocks out
	LoRAs    int  // that the weights have beside them
}

// Graphs asks for the graphs of a picture's steps, as a branch with such sizes has them, over weights that
// need not be there: for compiling them without running any.
func (p *DiT) Graphs(b compute.Backend, z GraphSizes) ([]exec.CompileRequest, error) {
	held, err := p.Held(p.Loader)
	if err != nil {
		return nil, err
	}
	c, dtype := p.Config, p.Numbers.DType
	s := exec.NewStore(b, held, dtype)
	if err := s.Scale(slices.Repeat([]float32{1}, z.LoRAs)...); err != nil {
		return nil, err
	}
	t := &Transformer{Config: c, Store: s}
	of := func(dtype dtypes.DType, dims ...int) *tensors.Tensor {
		return tensors.FromShape(shapes.Make(dtype, dims...))
	}
	br := &branch{t: t, txt: []*tensors.Tensor{of(dtype, 1, z.Text, c.Dim)}, graphs: stepGraphs{
		config: c, rows: z.Pixels.H / 16, columns: z.Pixels.W / 16, dtype: dtype, pictures: z.Pictures,
	}}
	if z.TeaCache {
		br.tea = &teaCache{threshold: 1}
	}
	steps := 4
	begin := []shapes.Shape{shapes.Make(dtypes.Float32, steps), shapes.Make(dtypes.Float32, steps),
		shapes.Make(dtypes.Float32, steps, c.PooledDim), shapes.Make(dtypes.Float32, 1, z.Text, c.TextDim)}
	for _, g := range z.Groups {
		br.txt = append(br.txt, of(dtype, 1, g.Entities, g.Text, c.Dim))
		br.marks = append(br.marks, of(dtypes.Int32, 1, g.Entities, g.Region))
		if z.Strong {
			br.marks = append(br.marks, of(dtypes.Float32, 1, g.Entities))
		}
		br.graphs.groups = append(br.graphs.groups, groupShape{length: g.Text, strong: z.Strong})
		begin = append(begin, shapes.Make(dtypes.Float32, 1, g.Entities, g.Text, c.TextDim))
	}
	if z.Pictures {
		kv := of(dtype, 1, 128, c.Heads, c.HeadDim())
		br.pictures = []*tensors.Tensor{kv, kv}
	}
	out := append(br.requests(s), conditioning(c).Request(s, begin...))
	if byLayers(c) {
		vec := shapes.Make(dtype, steps, c.Dim)
		for _, layer := range []string{"double_blocks.0.img_mod.lin", "final_layer.adaLN_modulation.1"} {
			out = append(out, exec.Graph{Name: "modulation " + layer + exec.ConfigName(c), Scope: layer + ".",
				Build: func(w nn.Weights, in []*graph.Node) []*graph.Node { return []*graph.Node{flux.ModulationOf(w, in[0])} },
			}.Request(s, vec))
		}
	}
	return out, nil
}

// Graphs asks for the graphs of the text encoders, for a prompt of a length.
func (p *Text) Graphs(b compute.Backend, length int) ([]exec.CompileRequest, error) {
	held, err := p.heldT5(p.T5Weights)
	if err != nil {
		return nil, err
	}
	e := encode.Text{T5: p.T5, CLIP: p.CLIP, T5Store: exec.NewStore(b, held, p.DType), CLIPStore: exec.NewStore(b, p.CLIPWeights, p.DType)}
	return e.Graphs(length, p.DType), nil
}

// Graphs asks for the graphs of both halves of the autoencoder, for a picture of a size.
func (p *VAE) Graphs(b compute.Backend, pixels eligen.Size) ([]exec.CompileRequest, error) {
	n := p.Config.Factor()
	if pixels.W%n != 0 || pixels.H%n != 0 {
		return nil, fmt.Errorf("a picture of %v doesn't divide into latents of %d pixels", pixels, n)
	}
	a := encode.Autoencoder{Config: p.Config}
	s := exec.NewStore(b, p.Loader, dtypes.Float32)
	return []exec.CompileRequest{
		a.Decoder().Request(s, shapes.Make(dtypes.Float32, 1, p.Config.Z, pixels.H/n, pixels.W/n)),
		a.Encoder().Request(s, shapes.Make(dtypes.Float32, 1, 3, pixels.H, pixels.W)),
	}, nil
}
