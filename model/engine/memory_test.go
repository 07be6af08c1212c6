package engine

import (
	"math"
	"runtime"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/weights"
)

// What FLUX.1's plan promises is within a tenth of what its parts took: 19 double and 38
// single blocks, bfloat16 on XLA, 256×256 pixels.
func TestMemoryPromisesOfFlux(t *testing.T) {
	steps := int64(0)
	for _, w := range flux.Dev.Weights() {
		if fluxmodel.StepWeight(w.Name) {
			steps += 2 * int64(weights.Elements(w.Shape))
		}
	}
	c := xlaCost
	dev := (&fluxmodel.DiT{Config: flux.Dev}).Shape()
	entities, _ := c.step(dev, 2, 0)(eligen.StepSizes{Image: 256, Text: 512, Branches: 1,
		Groups: []eligen.GroupSizes{{Entities: 2, Text: 512, Region: 64}}})
	small, _ := c.step(dev, 2, 0)(eligen.StepSizes{Image: 16, Text: 64, Branches: 1})
	for _, p := range []struct {
		what            string
		promised, taken int64 // MiB
	}{
		{"steps of 80 tokens", (c.program + steps + small) >> 20, 16656},
		{"steps at 256×256 with two entities", (c.program + steps + entities) >> 20, 17347},
	} {
		if off := float64(p.promised)/float64(p.taken) - 1; math.Abs(off) > 0.1 {
			t.Errorf("%s: %d MiB are promised, %d were taken (%+.0f %%)", p.what, p.promised, p.taken, 100*off)
		}
	}
}

// What plans promise is within a tenth of what `go run ./bench -only memory` found that
// pictures of the embedded model take. Measured on two processors with AVX-512.
func TestMemoryPromises(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	e, err := New(Options{Backend: "go"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Spec(eligen.Model{Family: "nano"}, nil); err != nil {
		t.Fatal(err)
	}
	var r *family.Model
	for _, r = range e.models {
	}
	s := e.sizes(r)
	if !s.Together {
		t.Fatal("the embedded model's parts don't stay together")
	}
	for _, c := range []struct {
		backend        string
		side, entities int
		taken          int64 // MiB
	}{
		{"go", 256, 0, 205}, {"go", 256, 4, 211}, {"go", 256, 200, 281},
		{"go", 512, 0, 392}, {"go", 512, 4, 392}, {"go", 512, 200, 493},
		{"go", 768, 0, 1009}, {"go", 1024, 4, 1185},
		{"xla", 256, 0, 525}, {"xla", 256, 4, 578}, {"xla", 256, 200, 599}, {"xla", 512, 0, 501}, {"xla", 512, 4, 592},
		{"xla", 1024, 0, 1102},
	} {
		cost := goCost
		if c.backend == "xla" {
			cost = xlaCost
		}
		of := eligen.StepSizes{Image: c.side * c.side / 256, Text: r.Spec.Prompt.Length, Branches: 2}
		if c.entities > 0 {
			of.Groups = []eligen.GroupSizes{{Entities: c.entities, Text: r.Spec.EntityPrompt.Length, Region: max(16, of.Image/c.entities)}}
		}
		step, stay := cost.step(r.Transformer.Shape(), 4, 0)(of)
		decode, _ := cost.coding(r.Autoencoder.Shape())(eligen.Size{W: c.side, H: c.side})
		promised := (cost.program + s.Text + s.Transformer + s.Autoencoder + max(step, stay+decode)) >> 20
		if off := float64(promised)/float64(c.taken) - 1; math.Abs(off) > 0.1 {
			t.Errorf("%s, %d×%d, %d entities: %d MiB are promised, %d were taken (%+.0f %%)",
				c.backend, c.side, c.side, c.entities, promised, c.taken, 100*off)
		}
	}
}
