package fluxmodel

import (
	"errors"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// LeastTeaCache is a change that no step's estimate goes below: a threshold up to it reuses
// nothing.
const LeastTeaCache = 0.18

// A teaCache leaves out the blocks in steps whose input is much like that of the step
// before: what the blocks last added to the image is added again.
//
// Source: ali-vilab/TeaCache, with its polynomial for FLUX.1; checked against
// DiffSynth-Studio, except for its sharing one state between the branches of guidance.
type teaCache struct {
	threshold float64
	sum       float64         // estimated changes of the output since the blocks last ran
	modulated *tensors.Tensor // the first block's input in the last step
	residual  *tensors.Tensor // what the blocks added when they last ran
}

// A TeaStep holds the numbers by which a step's cache decided.
type TeaStep struct {
	Change float64 // of the first block's input, relative to the step before; 0 where it isn't asked for
	Sum    float64 // of estimated changes; from the threshold on, the blocks run
	Reused bool
}

// teaChange estimates how much the blocks' output changes where their input changes
// by r.
func teaChange(r float64) float64 {
	return (((498.651651*r-283.781631)*r+55.8554382)*r-3.82021401)*r + 0.264230861
}

func (c *teaCache) finalize() {
	for _, t := range []*tensors.Tensor{c.modulated, c.residual} {
		if t != nil {
			// As in branch.Close.
			_ = t.FinalizeAll()
		}
	}
}

// replace puts a new tensor in the place of an old one.
func replace(old **tensors.Tensor, with *tensors.Tensor) (err error) {
	if *old != nil {
		err = (*old).FinalizeAll()
	}
	*old = with
	return err
}

// decide looks at the latents of step i of so many, and says whether the blocks may
// be left out. The first and the last step run them always.
func (c *teaCache) decide(t *Transformer, p stepGraphs, x tensor.Tensor, modulation *tensors.Tensor, i, steps int) (s TeaStep, err error) {
	out, err := t.Runner.Run(p.modulated(), t.Store, exec.Upload(x, 1), modulation)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, replace(&c.modulated, out[0])) }()
	if c.residual == nil || i == steps-1 {
		c.sum = 0
		return s, nil
	}
	d, err := t.Runner.RunKeeping(p.change(), t.Store, nil, []*tensors.Tensor{out[0], c.modulated})
	if err != nil {
		return s, err
	}
	change, err := exec.Download(d[0])
	if err != nil {
		return s, err
	}
	s.Change = float64(change.Data[0])
	c.sum += teaChange(s.Change)
	s.Sum, s.Reused = c.sum, c.sum < c.threshold // what is no number is computed
	if !s.Reused {
		c.sum = 0
	}
	return s, nil
}

// keep remembers what the blocks made of latents.
func (c *teaCache) keep(t *Transformer, p stepGraphs, x tensor.Tensor, img *tensors.Tensor) error {
	out, err := t.Runner.RunKeeping(p.added(), t.Store, []*tensors.Tensor{exec.Upload(x, 1)}, []*tensors.Tensor{img})
	if err != nil {
		return err
	}
	return replace(&c.residual, out[0])
}

// reuse does to latents what the blocks last did.
func (c *teaCache) reuse(t *Transformer, p stepGraphs, x tensor.Tensor) (*tensors.Tensor, error) {
	out, err := t.Runner.RunKeeping(p.reused(), t.Store, []*tensors.Tensor{exec.Upload(x, 1)}, []*tensors.Tensor{c.residual})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// modulated maps latents [1,C,h,w], modulation [1,12·Dim] → the first block's input
// [1,S,Dim].
func (p stepGraphs) modulated() exec.Graph {
	return exec.Graph{Name: "modulated " + exec.ConfigName(p.config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		b := flux.Blocks{Config: p.config}
		return []*graph.Node{b.Modulated(b.Image(w, in[0]), in[1])}
	}}
}

// change maps two inputs of the first block, now and before → mean|now − before| /
// mean|before|, [] float32.
func (p stepGraphs) change() exec.Graph {
	return exec.Graph{Name: "change", Build: func(_ nn.Weights, in []*graph.Node) []*graph.Node {
		now, before := graph.ConvertDType(in[0], dtypes.Float32), graph.ConvertDType(in[1], dtypes.Float32)
		mean := func(x *graph.Node) *graph.Node { return graph.ReduceAllMean(graph.Abs(x)) }
		return []*graph.Node{graph.Div(mean(graph.Sub(now, before)), mean(before))}
	}}
}

// added maps latents, the last block's img → what the blocks added [1,S,Dim].
func (p stepGraphs) added() exec.Graph {
	return exec.Graph{Name: "added " + exec.ConfigName(p.config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Sub(in[1], flux.Blocks{Config: p.config}.Image(w, in[0]))}
	}}
}

// reused maps latents, added's result → img in place of the last block's.
func (p stepGraphs) reused() exec.Graph {
	return exec.Graph{Name: "reused " + exec.ConfigName(p.config), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Add(flux.Blocks{Config: p.config}.Image(w, in[0]), in[1])}
	}}
}
