// Package modeltest writes and reads small checkpoints for tests of model's packages.
package modeltest

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/weights"
)

// WriteFile writes a file and the folders that it is in.
func WriteFile(t testing.TB, path string, write func(*bytes.Buffer) error) {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// WriteLoRA writes factors as a file of float32 in a format.
func WriteLoRA(t testing.TB, path, format string, factors ...lora.Factor) {
	t.Helper()
	named, err := lora.Named(format, factors...)
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, path, func(b *bytes.Buffer) error { return tensor.Write(b, map[string]string{"format": "pt"}, named...) })
}

// A transformer with one block of each kind, and an IP-Adapter for it.
var (
	SmallFlux = flux.Config{Dim: 16, Heads: 2, Axes: [3]int{4, 2, 2}, Double: 1, Single: 1, TextDim: 6, PooledDim: 4, MLPRatio: 2,
		LatentChannels: 4}
	SmallIP = flux.IPConfig{ImageDim: 5, Hidden: 7, Tokens: 3, TokenDim: 6, Dim: 16, Blocks: 2}
)

// GoRunner returns what runs graphs on the Go backend until a test ends.
func GoRunner(t testing.TB) *exec.Runner {
	t.Helper()
	be, _, err := backend.Open("go")
	if err != nil {
		t.Fatal(err)
	}
	r := exec.NewRunner(be)
	t.Cleanup(be.Finalize)
	t.Cleanup(r.Finalize)
	return r
}

// RandomCheckpoint returns a checkpoint in memory with the weights of a list.
func RandomCheckpoint(t *testing.T, list []weights.Weight) *weights.Checkpoint {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var all []tensor.Named
	for _, w := range list {
		x := tensor.New(w.Shape...)
		for i := range x.Data {
			x.Data[i] = float32(0.3 * r.NormFloat64())
		}
		all = append(all, tensor.Named{Name: w.Name, Tensor: x})
	}
	var file bytes.Buffer
	if err := tensor.Write(&file, nil, all...); err != nil {
		t.Fatal(err)
	}
	c, err := weights.FromBytes("memory", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Goldens returns the folder of the numeric fixtures.
func Goldens(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ELIGEN_GOLDENS")
	if dir == "" {
		dir = filepath.Join("..", "testdata", "goldens")
	}
	if _, err := os.Stat(filepath.Join(dir, "models")); err != nil {
		t.Skipf("no fixtures: %v. ELIGEN_GOLDENS may name a folder of them", err)
	}
	return dir
}

// Open opens a checkpoint for the length of a test.
func Open(t *testing.T, path string) *weights.Checkpoint {
	t.Helper()
	c, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// All reads a whole tensor.
func All(t *testing.T, l weights.Loader, name string) []float32 {
	t.Helper()
	for _, info := range l.Tensors() {
		if info.Name == name {
			f := make([]float32, weights.Elements(info.Shape))
			if err := l.Floats(name, 0, f); err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	t.Fatalf("there is no tensor %q", name)
	return nil
}

// Differ returns the largest difference between two numbers of one index.
func Differ(a, b []float32) (most float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i := range a {
		most = math.Max(most, math.Abs(float64(a[i])-float64(b[i])))
	}
	return most
}

// WriteRamps writes a safetensors file of float32 ramps.
func WriteRamps(t *testing.T, path string, list ...weights.Weight) {
	t.Helper()
	var out []tensor.Named
	for _, w := range list {
		x := tensor.New(w.Shape...)
		for i := range x.Data {
			x.Data[i] = float32(i) + 0.5
		}
		out = append(out, tensor.Named{Name: w.Name, Tensor: x})
	}
	WriteFile(t, path, func(b *bytes.Buffer) error { return tensor.Write(b, nil, out...) })
}
