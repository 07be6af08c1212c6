package engine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/weights"
)

// A model whose matrices are held as integers draws what the same model draws in float32 whose
// matrices are the numbers that the integers stand for: prompts, modulations, steps, and LoRAs,
// which stay unmerged.
func TestIntegers(t *testing.T) {
	dir := tinyFolder(t)
	for _, form := range []rows.Form{rows.Int8, rows.Int4} {
		stands := standsFor(t, dir, form)
		for _, backend := range []string{"go", "xla"} {
			t.Run(string(form)+" "+backend, func(t *testing.T) {
				own := eligen.Adapter{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"}
				held := newEngine(t, backend, Options{Embedded: dir, DType: string(form)})
				spec, d := job(t, held, own)
				if !spec.Adapters[0].Factors {
					t.Error("a LoRA would be merged into integers")
				}
				if spec.DType != string(form) || spec.Computed != "float32" {
					t.Errorf("it is held as %s, computed in %s", spec.DType, spec.Computed)
				}
				d = short(d)
				got := denoise(t, held, d)

				dense := newEngine(t, backend, Options{Embedded: stands})
				own.Path = filepath.Join(dir, nano.EliGenFile)
				_, d = job(t, dense, own)
				d.Adapters[0].Factors = true
				want := denoise(t, dense, short(d))
				if diff := modeltest.Differ(got.Data, want.Data); diff > 2e-5 {
					t.Errorf("latents differ by %g", diff)
				}
			})
		}
	}
}

// short is work whose graphs are compiled fast.
func short(d eligen.Denoise) eligen.Denoise {
	d.Entities, d.Negative, d.CFG = nil, nil, 1
	return d
}

// standsFor writes the model of a folder with the numbers that integers stand for.
func standsFor(t *testing.T, dir string, form rows.Form) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for name, chosen := range map[string]func(string) bool{
		nano.TransformerFile: func(n string) bool {
			return strings.Contains(n, "_blocks.") && !strings.Contains(n, "_mod.") && !strings.Contains(n, ".modulation.")
		},
		nano.TextFile: func(n string) bool {
			return strings.HasPrefix(n, "t5.encoder.block.") && !strings.Contains(n, "relative_attention_bias")
		},
	} {
		all, err := tensor.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var list []tensor.Named
		changed := 0
		for n, x := range all {
			if len(x.Shape) == 2 && chosen(n) {
				in := x.Shape[1]
				b := make([]byte, in*map[rows.Form]int{rows.Int8: 2, rows.Int4: 1}[form]/2)
				for at := 0; at < len(x.Data); at += in {
					form.Dequantise(x.Data[at:at+in], b, form.Quantise(b, x.Data[at:at+in]))
				}
				changed++
			}
			list = append(list, tensor.Named{Name: n, Tensor: x})
		}
		if changed == 0 {
			t.Fatalf("%s has no matrices", name)
		}
		if err := os.Remove(filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
		modeltest.WriteFile(t, filepath.Join(out, name), func(b *bytes.Buffer) error { return tensor.Write(b, nil, list...) })
	}
	return out
}

// Integers are made once: the next engine reads the cache's file. One that is damaged is an error
// which names it.
func TestIntegersAreKept(t *testing.T) {
	dir := tinyFolder(t)
	latents := func() (eligen.Spec, []float32, error) {
		e := newEngine(t, "go", Options{Embedded: dir, DType: "int8"})
		spec, d := job(t, e)
		x, err := e.Denoise(context.Background(), short(d))
		return spec, x.Data, err
	}
	spec, first, err := latents()
	if err != nil {
		t.Fatal(err)
	}
	path := weights.IntegersFile(os.Getenv("ELIGEN_CACHE_DIR"), spec.Transformer)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := latents(); err != nil || modeltest.Differ(first, again) != 0 {
		t.Errorf("latents from the kept integers differ, %v", err)
	}
	for i := len(data) - 1000; i < len(data); i++ {
		data[i] = 0
	}
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(data)
	if _, other, err := latents(); err != nil || modeltest.Differ(first, other) == 0 {
		t.Errorf("the kept file is not read: %v", err)
	}
	write(data[:len(data)/2])
	if _, _, err := latents(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("half a file: %v", err)
	}
}
