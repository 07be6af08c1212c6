package main

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/weights"
)

// quantisedShapes are the widths that blocks over integers are measured at: a small model's, and
// FLUX.1's.
var quantisedShapes = []flux.Config{
	{Dim: 768, Heads: 6, Axes: flux.Dev.Axes, Single: 1, TextDim: 64, PooledDim: 64, MLPRatio: 4, LatentChannels: 16},
	{Dim: flux.Dev.Dim, Heads: flux.Dev.Heads, Axes: flux.Dev.Axes, Single: 1, TextDim: 64, PooledDim: 64, MLPRatio: 4, LatentChannels: 16},
}

// A heldBlock is a single block whose weights are held in one form.
type heldBlock struct {
	name  string
	store *exec.Store
	dtype dtypes.DType
	ms    []float64
	out   []float32
}

// quantised measures a single block, 256 tokens of image and 512 of text, over weights in each form,
// in turns.
func (b *bench) quantised() error {
	for _, c := range b.all {
		if c.Backend == "" || c.Missing != "" {
			continue
		}
		for _, shape := range quantisedShapes[:len(quantisedShapes)-quickly(b.rounds)] {
			b.progress("blocks of width %d over integers on %s", shape.Dim, c.Backend)
			if err := b.quantisedBlocks(c.Backend, shape); err != nil {
				return err
			}
		}
	}
	return b.ctx.Err()
}

// quickly is how many shapes a quick run leaves out.
func quickly(rounds int) int {
	if rounds < 3 {
		return 1
	}
	return 0
}

func (b *bench) quantisedBlocks(name string, shape flux.Config) error {
	e, err := openEngine(name)
	if err != nil {
		return err
	}
	defer e.backend.Finalize()
	runner := exec.NewRunner(e.backend)
	defer runner.Finalize()
	half := dtypes.BFloat16
	if e.info.Plugin == "" {
		half = dtypes.Float32 // the Go backend computes in nothing else
	}
	base, err := randomBlock(shape)
	if err != nil {
		return err
	}
	every := func(string) bool { return true }
	all := []*heldBlock{
		{name: "float32", store: exec.NewStore(e.backend, base, dtypes.Float32), dtype: dtypes.Float32},
		{name: "bfloat16", store: exec.NewStore(e.backend, base, half), dtype: half},
		{name: "int8", store: exec.NewStore(e.backend, rows.Over(base, rows.Int8, every), half), dtype: half},
		{name: "int4", store: exec.NewStore(e.backend, rows.Over(base, rows.Int4, every), half), dtype: half},
	}
	if half == dtypes.Float32 {
		all = append(all[:1], all[2:]...)
	}
	for round := range b.rounds + 1 { // the first compiles and reads
		for _, h := range all {
			ms, err := h.run(runner, shape)
			if err != nil {
				return err
			}
			if round > 0 {
				h.ms = append(h.ms, ms)
			}
		}
	}
	t := table{head: []string{"held as", "MiB", "ms", "of float32", "of bfloat16", "dB to bfloat16"}}
	reference := all[len(all)-3]
	for _, h := range all {
		best := lowest(h.ms)
		t.add(h.name, mebibytes(h.store.Bytes()), digits(best), digits(best/lowest(all[0].ms)), digits(best/lowest(reference.ms)),
			fmt.Sprintf("%.1f", decibelsBelow(reference.out, h.out)))
		if err := h.store.Release(); err != nil {
			return err
		}
	}
	b.section(fmt.Sprintf("A single block of width %d on %s over weights held in fewer bits, the best of %d", shape.Dim, name, b.rounds), &t)
	return nil
}

// randomBlock returns the weights of a single block, of a normal distribution's size.
func randomBlock(c flux.Config) (*weights.Checkpoint, error) {
	var list []tensor.Named
	for _, w := range c.Weights() {
		x := tensor.New(w.Shape...)
		if err := tensor.Fill(x.Data, "BF16", randomBytes(w.Name, len(x.Data))); err != nil {
			return nil, err
		}
		list = append(list, tensor.Named{Name: w.Name, Tensor: x})
	}
	var file bytes.Buffer
	if err := tensor.Write(&file, nil, list...); err != nil {
		return nil, err
	}
	return weights.FromBytes("random", file.Bytes())
}

// run runs the block once, and returns how many milliseconds it took.
func (h *heldBlock) run(r *exec.Runner, c flux.Config) (float64, error) {
	const rows, columns, text = 16, 16, 512
	numbers := func(name string, shape ...int) *tensors.Tensor {
		x := tensor.New(shape...)
		_ = tensor.Fill(x.Data, "BF16", randomBytes(name, len(x.Data))) // of as many bytes
		for i := range x.Data {
			x.Data[i] *= 32
		}
		return exec.Upload(x)
	}
	in := []*tensors.Tensor{numbers("image", 1, rows*columns, c.Dim), numbers("text", 1, text, c.Dim), numbers("modulation", 1, 3*c.Dim)}
	start := time.Now()
	out, err := r.Run(exec.Graph{Name: "held " + h.name + exec.ConfigName(c), Scope: "single_blocks.0.",
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			for i := range in {
				in[i] = graph.ConvertDType(in[i], h.dtype)
			}
			img, _ := flux.Blocks{Config: c, Rows: rows, Columns: columns}.Single(w, in[0], in[1], in[2])
			return []*graph.Node{graph.ConvertDType(img, dtypes.Float32)}
		}}, h.store, in...)
	if err != nil {
		return 0, err
	}
	x, err := exec.Download(out[0], rows*columns, c.Dim)
	h.out = x.Data
	return float64(time.Since(start).Microseconds()) / 1e3, err
}

func lowest(list []float64) float64 {
	best := math.Inf(1)
	for _, x := range list {
		best = min(best, x)
	}
	return best
}

// decibelsBelow returns how far the difference of two lies below the first.
func decibelsBelow(want, got []float32) float64 {
	var signal, noise float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		signal, noise = signal+float64(want[i])*float64(want[i]), noise+d*d
	}
	return 10 * math.Log10(signal/noise)
}
