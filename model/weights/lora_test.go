package weights_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/weights"
)

// layer opens a LoRA file.
func layer(t *testing.T, path string, scale float64, alpha string) lora.Layer {
	t.Helper()
	c := modeltest.Open(t, path)
	f, err := lora.Parse(path, c, c.Metadata, nil)
	if err != nil {
		t.Fatal(err)
	}
	return lora.Layer{File: f, Scale: scale, Alpha: alpha}
}

// One LoRA, spelled in five ways, gives the weights that the reference fused.
func TestLoRAFormatsFuseAlike(t *testing.T) {
	set := modeltest.Goldens(t)
	paths, err := filepath.Glob(filepath.Join(set, "dit", "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range paths {
		var c struct {
			Model string
			LoRAs []string
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		expected := modeltest.Open(t, filepath.Join(filepath.Dir(path), "expected.safetensors"))
		fused := map[string][]float32{} // by BFL's names
		for _, m := range names.Modules(64, 64, true) {
			if name := "fused." + m.Native; expected.Shape(name) != nil {
				fused[m.BFL+".weight"] = modeltest.All(t, expected, name)
			}
		}
		if len(fused) == 0 {
			continue
		}
		found++
		base := modeltest.Open(t, filepath.Join(set, c.Model))
		var first weights.Loader
		for _, file := range c.LoRAs {
			l := layer(t, filepath.Join(set, file), 1, lora.AlphaFile)
			got, err := lora.Over(base, l)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %s", file, l.File)
			for name, want := range fused {
				if d := modeltest.Differ(modeltest.All(t, got, name), want); d > 1e-6 {
					t.Errorf("%s: %s differs from the reference's by %g", file, name, d)
				}
			}
			if first == nil {
				first = got
				continue
			}
			for _, w := range base.Tensors() {
				if d := modeltest.Differ(modeltest.All(t, got, w.Name), modeltest.All(t, first, w.Name)); d > 1e-6 {
					t.Errorf("%s: %s differs from that of %s by %g", file, w.Name, c.LoRAs[0], d)
				}
			}
		}
	}
	if found == 0 {
		t.Fatalf("no case of %s has fused weights", set)
	}
}
