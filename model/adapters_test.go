package model

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/lora"
)

// loraFile writes a LoRA for tiny's blocks, drawn from a seed; which says for which modules.
func loraFile(t *testing.T, format string, seed uint64, rank int, which func(module string) bool) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var factors []lora.Factor
	for _, w := range tiny.Transformer.Weights() {
		module, ok := strings.CutSuffix(w.Name, ".weight")
		if !ok || len(w.Shape) != 2 || !strings.Contains(w.Name, "blocks.") || !which(module) {
			continue
		}
		f := lora.Factor{Module: module, A: eligen.NewTensor(rank, w.Shape[1]), B: eligen.NewTensor(w.Shape[0], rank), Alpha: 2 * float64(rank)}
		for _, x := range [][]float32{f.A.Data, f.B.Data} {
			for i := range x {
				x[i] = float32(rng.NormFloat64() * 0.1)
			}
		}
		factors = append(factors, f)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("%s-%d.safetensors", format, seed))
	writeFile(t, path, func(b *bytes.Buffer) error { return lora.Write(b, format, nil, factors...) })
	return path
}

func every(string) bool { return true }

// adapters are LoRAs of all formats, by their files.
func adapters(t *testing.T) []eligen.Adapter {
	return []eligen.Adapter{
		{Kind: "lora", Name: "a", Path: loraFile(t, lora.Native, 11, 2, every), Scale: 1},
		{Kind: "lora", Name: "b", Path: loraFile(t, lora.Kohya, 12, 3, func(m string) bool { return m != "single_blocks.0.linear1" }), Scale: 0.5},
		{Kind: "lora", Name: "c", Path: loraFile(t, lora.Diffusers, 13, 1, func(m string) bool { return strings.Contains(m, "qkv") || strings.Contains(m, "linear1") }), Scale: -2},
	}
}

// What LoRAs do to latents, on one engine a backend: their graphs take long to compile.
func TestLoRAs(t *testing.T) {
	dir := tinyFolder(t)
	list := adapters(t)
	for _, backend := range []string{"go", "xla"} {
		t.Run(backend, func(t *testing.T) {
			e, fresh := newEngine(t, backend, Options{Nano: dir}), newEngine(t, backend, Options{Nano: dir})
			t.Run("moving", func(t *testing.T) { testMovingLoRA(t, e, list) })
			t.Run("several", func(t *testing.T) { testSeveralLoRAs(t, e, fresh, list) })
		})
	}
}

// loraJob is job with adapters, without what LoRAs don't meet.
func loraJob(t *testing.T, e *Engine, list ...eligen.Adapter) eligen.Denoise {
	_, d := job(t, e, list...)
	d.Entities, d.Negative, d.CFG = nil, nil, 1
	return d
}

// A LoRA whose scale moves is kept as factors: what it does is what the fused one does, to
// float32's rounding, and another scale needs no graph and no weight but itself.
func testMovingLoRA(t *testing.T, e *Engine, list []eligen.Adapter) {
	d := loraJob(t, e, list...)
	at := func(scale float64, factors bool) eligen.Tensor {
		d := d
		d.Adapters = slices.Clone(d.Adapters)
		d.Adapters[1].Scale, d.Adapters[1].Factors = scale, factors
		return denoise(t, e, d)
	}
	scales := []float64{0.5, 0, 1, -0.7, 0.5}
	var frames []eligen.Tensor
	var compiled int
	held := map[string]*tensors.Tensor{}
	for i, scale := range scales {
		frames = append(frames, at(scale, true))
		if i == 0 {
			compiled = e.Compiled()
		}
		if n := e.Compiled() - compiled; n != 0 {
			t.Errorf("scale %v: %d more graphs were compiled", scale, n)
		}
		for key, s := range e.stores {
			for name, w := range s.held {
				switch {
				case i == 0:
					held[key+name] = w
				case name != scalesName && held[key+name] != w:
					t.Errorf("scale %v: %s was loaded again", scale, name)
				}
			}
		}
	}
	if diff := differ(frames[4].Data, frames[0].Data); diff != 0 {
		t.Errorf("two frames of one scale differ by %g: what was before reached the second", diff)
	}
	for i, scale := range scales[:4] {
		diff := differ(frames[i].Data, at(scale, false).Data)
		t.Logf("scale %v: factors differ from fused weights by %.2g", scale, diff)
		if diff > 5e-6 {
			t.Errorf("scale %v: factors differ from fused weights by %g", scale, diff)
		}
	}
	if diff := differ(frames[2].Data, frames[0].Data); diff < 1e-3 {
		t.Errorf("the LoRA changed latents by %g only: this test shows nothing", diff)
	}
}

// Several LoRAs, in any order and as factors, add up to the same but for rounding; each
// acts; and where they are taken off again, nothing of them is left.
func testSeveralLoRAs(t *testing.T, e, fresh *Engine, list []eligen.Adapter) {
	d := loraJob(t, e, list...)
	all := denoise(t, e, d)
	for i := range d.Adapters {
		one := d
		one.Adapters = slices.Delete(slices.Clone(d.Adapters), i, i+1)
		if diff := differ(denoise(t, e, one).Data, all.Data); diff < 1e-4 {
			t.Errorf("without adapter %d latents change by %g only", i, diff)
		}
	}
	turned := loraJob(t, e, list[2], list[0], list[1])
	if diff := differ(denoise(t, e, turned).Data, all.Data); diff > 5e-6 {
		t.Errorf("in another order latents differ by %g", diff)
	}
	for i := range turned.Adapters {
		turned.Adapters[i].Factors = true
	}
	if diff := differ(denoise(t, e, turned).Data, all.Data); diff > 5e-6 {
		t.Errorf("as factors latents differ by %g", diff)
	}
	plain := denoise(t, fresh, loraJob(t, fresh))
	if diff := differ(denoise(t, e, loraJob(t, e)).Data, plain.Data); diff != 0 {
		t.Errorf("after LoRAs, latents without any differ by %g from those of a fresh engine", diff)
	}
}
