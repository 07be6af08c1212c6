package fluxmodel

import (
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/weights"
)

// Modulations that are made layer by layer give the latents of those that one graph makes, whether
// each layer's weights go after it or not.
func TestModulationsByLayers(t *testing.T) {
	r := modeltest.GoRunner(t)
	c := modeltest.SmallFlux
	c.Double, c.Single = 2, 2
	d := eligen.Denoise{
		Latents: tensor.New(4, 4, 6), Sigmas: []float32{1, 0.5, 0.2, 0}, CFG: 1, Guidance: 3.5,
		Prompt: eligen.Conditioning{eligen.Txt: tensor.New(2, 6), eligen.Vec: tensor.New(4)},
	}
	d.Latents.Data[7], d.Prompt[eligen.Vec].Data[1] = 1, 1
	latents := func(lean bool) []float32 {
		t.Helper()
		s := exec.NewStore(r.Backend, modeltest.RandomCheckpoint(t, weights.List(c.Weights())), dtypes.Float32)
		defer func() {
			if err := s.Release(); err != nil {
				t.Error(err)
			}
		}()
		x, err := (&Transformer{Config: c, Store: s, Runner: r, Lean: lean}).Denoise(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return x.Data
	}
	want := latents(false)
	was := wholeUpTo
	wholeUpTo = 0
	defer func() { wholeUpTo = was }()
	for _, lean := range []bool{false, true} {
		if diff := modeltest.Differ(latents(lean), want); diff > 1e-6 {
			t.Errorf("lean %v: latents differ by %g", lean, diff)
		}
	}
}
