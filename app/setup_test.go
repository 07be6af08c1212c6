package app

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/dsl"
	models "github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/planner"
)

// TestFormsTakeWhatPlansPromise holds plans of FLUX.1 [dev], whole, in the forms that people have it, to what
// pictures took: VmHWM on two processors with AVX-512, XLA CPU, random weights.
func TestFormsTakeWhatPlansPromise(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name, dtype string
		form        family.Form
		limit       int64
		taken       float64 // GiB
		prompts     float64 // of that, until prompts were read
	}{
		{"bfloat16", "", family.Form{Transformer: "BF16", Text: "BF16"}, 22, 16.98, 9.73},
		{"bfloat16, passing through", "", family.Form{Transformer: "BF16", Text: "BF16"}, 10, 9.61, 9.47},
		{"fp8", "", family.Form{Transformer: "F8_E4M3", Text: "F8_E4M3"}, 16, 9.86, 6.08},
		{"int8", "int8", family.Form{Transformer: "BF16", Text: "BF16"}, 16, 8.97, 5.51},
		{"Q4_0", "", family.Form{Transformer: "Q4_0", Text: "BF16"}, 12, 9.46, 9.46},
	} {
		dtype := ""
		if c.dtype != "" {
			dtype = fmt.Sprintf("dtype = %q", c.dtype)
		}
		path := filepath.Join(t.TempDir(), "memory.hcl")
		scene, ds := dsl.Load(t.Context(), path, dsl.Vars{Unsaved: map[string][]byte{path: fmt.Appendf(nil, `
model "flux" "m" {
  source = "./flux"
  %s
}
render "memory" {
  model    = model.flux.m
  adapters = []
  prompt   = "a meadow"
  size     = [256, 256]
  sampler {
    steps = 2
    cfg   = 1
  }
}
entity "e0" {
  prompt = "a cat"
  box    = xywh(0, 0, 0.49, 0.49)
}
entity "e1" {
  prompt = "a cat"
  box    = xywh(0.5, 0, 0.49, 0.49)
}
`, dtype)}})
		if err := ds.Err(); err != nil {
			t.Fatal(err)
		}
		e := &models.Described{Backend: "xla:cpu", Form: c.form, Memory: c.limit * gib}
		p, ds, err := planned(t.Context(), scene, e.ID(), e.Spec, planner.Options{Memory: c.limit * gib, MemoryFrom: "--memory"})
		if err != nil || ds.HasErrors() {
			t.Fatal(err, ds)
		}
		spec, err := e.Spec(scene.Renders[0].Model, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := p.Renders[0]
		for what, x := range map[string]struct{ promised, taken float64 }{
			"the picture": {float64(r.Memory) / gib, c.taken},
			"prompts":     {float64(spec.Sizes.Program+r.Text) / gib, c.prompts},
		} {
			if off := x.promised/x.taken - 1; math.Abs(off) > 0.1 || x.promised > float64(c.limit) {
				t.Errorf("%s, %s: %.2f GiB are promised, %.2f were taken (%+.0f %%)", c.name, what, x.promised, x.taken, 100*off)
			}
			t.Logf("%s, %s: %.2f GiB promised, %.2f taken", c.name, what, x.promised, x.taken)
		}
	}
}

// TestKitsAreScenes: what setup writes is formatted and loads, and larger kits of a model take more memory.
func TestKitsAreScenes(t *testing.T) {
	for _, k := range kits {
		text := []byte(k.Scene())
		if same, ds := dsl.Format("kit.hcl", text); ds.HasErrors() || string(same) != string(text) {
			t.Errorf("%s isn't formatted: %v\n%s", k.Name, ds, same)
		}
		f, err := k.fit(t.Context(), "xla:cpu", memoryLimit{})
		if err != nil || !f.Fits || f.Peak == 0 || f.Download == 0 {
			t.Errorf("%s: %+v, %v", k.Name, f, err)
		}
	}
}
