package engine

import (
	"math"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
)

// What plans promise is within a tenth of what `go run ./bench -only memory` found that
// pictures of the embedded model take. Measured on two processors with AVX-512.
func TestMemoryPromises(t *testing.T) {
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
		{"xla", 256, 0, 558}, {"xla", 256, 4, 833}, {"xla", 256, 200, 871},
		{"xla", 512, 4, 954}, {"xla", 512, 200, 938}, {"xla", 1024, 0, 1262}, {"xla", 1024, 4, 1538},
		{"xla", 1536, 0, 2038}, {"xla", 1536, 200, 2367},
	} {
		cost := goCost
		if c.backend == "xla" {
			cost = xlaCost
		}
		of := eligen.StepSizes{Image: c.side * c.side / 256, Text: r.Spec.Prompt.Length, Branches: 2}
		if c.entities > 0 {
			of.Groups = []eligen.GroupSizes{{Entities: c.entities, Text: r.Spec.EntityPrompt.Length, Region: max(16, of.Image/c.entities)}}
		}
		step, stay := cost.step(r.Transformer.Shape(), 4)(of)
		decode, _ := cost.coding(r.Autoencoder.Shape())(eligen.Size{W: c.side, H: c.side})
		promised := (cost.program + s.Text + s.Transformer + s.Autoencoder + max(step, stay+decode)) >> 20
		if off := float64(promised)/float64(c.taken) - 1; math.Abs(off) > 0.1 {
			t.Errorf("%s, %d×%d, %d entities: %d MiB are promised, %d were taken (%+.0f %%)", c.backend, c.side, c.side, c.entities, promised,
				c.taken, 100*off)
		}
	}
}
