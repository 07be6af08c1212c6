package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
)

// goldenSet is the folder of the numeric fixtures.
func goldenSet(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ELIGEN_GOLDENS")
	if dir == "" {
		dir = filepath.Join("testdata", "goldens")
	}
	if _, err := os.Stat(filepath.Join(dir, "models")); err != nil {
		t.Skipf("no fixtures: %v. ELIGEN_GOLDENS may name a folder of them", err)
	}
	return dir
}

// open opens a checkpoint for the length of a test.
func open(t *testing.T, path string) *Checkpoint {
	t.Helper()
	c, err := OpenCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// layer opens a LoRA file.
func layer(t *testing.T, path string, scale float64, alpha string) lora.Layer {
	t.Helper()
	c := open(t, path)
	f, err := lora.Parse(path, c, c.Metadata, nil)
	if err != nil {
		t.Fatal(err)
	}
	return lora.Layer{File: f, Scale: scale, Alpha: alpha}
}

// all reads a whole tensor.
func all(t *testing.T, l Loader, name string) []float32 {
	t.Helper()
	for _, info := range l.Tensors() {
		if info.Name == name {
			f := make([]float32, elements(info.Shape))
			if err := l.Floats(name, 0, f); err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	t.Fatalf("there is no tensor %q", name)
	return nil
}

func differ(a, b []float32) (most float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := range a {
		most = math.Max(most, math.Abs(float64(a[i])-float64(b[i])))
	}
	return most
}

// One LoRA, spelled in five ways, gives the weights that the reference fused.
func TestLoRAFormatsFuseAlike(t *testing.T) {
	set := goldenSet(t)
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
		expected := open(t, filepath.Join(filepath.Dir(path), "expected.safetensors"))
		fused := map[string][]float32{} // by BFL's names
		for _, m := range names.Modules(64, 64, true) {
			if name := "fused." + m.Native; expected.Shape(name) != nil {
				fused[m.BFL+".weight"] = all(t, expected, name)
			}
		}
		if len(fused) == 0 {
			continue
		}
		found++
		base := open(t, filepath.Join(set, c.Model))
		var first Loader
		for _, file := range c.LoRAs {
			l := layer(t, filepath.Join(set, file), 1, lora.AlphaFile)
			got, err := lora.Over(base, l)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %s", file, l.File)
			for name, want := range fused {
				if d := differ(all(t, got, name), want); d > 1e-6 {
					t.Errorf("%s: %s differs from the reference's by %g", file, name, d)
				}
			}
			if first == nil {
				first = got
				continue
			}
			for _, w := range base.Tensors() {
				if d := differ(all(t, got, w.Name), all(t, first, w.Name)); d > 1e-6 {
					t.Errorf("%s: %s differs from that of %s by %g", file, w.Name, c.LoRAs[0], d)
				}
			}
		}
	}
	if found == 0 {
		t.Fatalf("no case of %s has fused weights", set)
	}
}
