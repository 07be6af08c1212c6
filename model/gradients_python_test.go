package model_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	graphs "github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/weights"
)

// A LoRA's gradients, block by block, are PyTorch's, with entities that overlap, under the mask of the paper. The width
// is ELIGEN_GRADIENTS_WIDTH, 3072 being FLUX.1's; without it, it is a small one. ELIGEN_PYTHON names an interpreter
// that has torch.
func TestGradientsArePyTorchs(t *testing.T) {
	python := os.Getenv("ELIGEN_PYTHON")
	if python == "" {
		t.Skip("ELIGEN_PYTHON is not set: it should name a Python with the packages torch and safetensors")
	}
	if out, err := exec.Command(python, "-c", "import torch, safetensors").CombinedOutput(); err != nil {
		t.Skipf("%s has not both of the packages torch and safetensors: %s", python, out)
	}
	cfg := flux.Config{Dim: 96, Heads: 3, Axes: [3]int{4, 14, 14}, Double: 1, Single: 1, TextDim: 32, PooledDim: 24,
		Guidance: true, MLPRatio: 4,
		LatentChannels: 16}
	if width, _ := strconv.Atoi(os.Getenv("ELIGEN_GRADIENTS_WIDTH")); width > 0 {
		d := flux.Dev
		d.Dim, d.Heads, d.Double, d.Single = width, width/d.HeadDim(), 1, 1
		cfg = d
	}
	p := fluxmodel.DiT{Config: cfg}
	entities := [][]int32{{0, 1, 2, 8, 9, 10}, {9, 10, 11, 17, 18}, {63}}
	c := map[string]any{"seed": 7, "dim": cfg.Dim, "heads": cfg.Heads, "axes": cfg.Axes, "double": cfg.Double, "single": cfg.Single,
		"guidance": cfg.Guidance, "text_dim": cfg.TextDim, "pooled_dim": cfg.PooledDim, "rank": 4, "latents": []int{16, 16, 16},
		"text": 12, "entity_text": 6, "entities": entities, "sigma": 0.7, "weight": 1.25}
	var list []map[string]any
	for _, w := range cfg.Weights() {
		list = append(list, map[string]any{"name": w.Name, "shape": w.Shape})
	}
	var adapted []string
	for _, w := range p.Adaptable() {
		adapted = append(adapted, w.Name)
	}
	c["weights"], c["adapted"] = list, adapted
	dir := t.TempDir()
	said, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "case.json")
	if err := os.WriteFile(file, said, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(python, filepath.Join("testdata", "gradients.py"), file, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := func(name string) map[string]tensor.Tensor {
		t.Helper()
		all, err := tensor.ReadFile(filepath.Join(dir, name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	in, factors, want := read("inputs"), family.Factors{}, read("expected")
	for _, f := range []map[string]tensor.Tensor{read("lora")} {
		for _, name := range adapted {
			factors[name] = family.Pair{A: f[name+" A"], B: f[name+" B"]}
		}
	}
	x := family.Lesson{Latents: in["latents"], Noise: in["noise"], Sigma: 0.7, Weight: 1.25, Guidance: 1,
		Prompt: eligen.Conditioning{eligen.Txt: in["txt"], eligen.Vec: in["vec"]}}
	for i, tokens := range entities {
		x.Entities = append(x.Entities, eligen.EntityConditioning{
			Prompt: eligen.Conditioning{eligen.Txt: in["entity "+strconv.Itoa(i)]}, Tokens: tokens, Strength: 1,
		})
	}
	for _, name := range []string{"go", "xla:cpu"} {
		t.Run(name, func(t *testing.T) {
			be, _, err := backend.Open(name)
			if err != nil {
				t.Skip(err)
			}
			defer be.Finalize()
			ck, err := weights.Open(filepath.Join(dir, "weights.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			r, s := graphs.NewRunner(be), graphs.NewStore(be, ck, dtypes.Float32)
			defer r.Finalize()
			l := fluxmodel.Learner{Config: cfg, Store: s, Runner: r, Room: 1}
			loss, got, err := l.Loss(t.Context(), x, factors)
			if err := errors.Join(err, s.Release()); err != nil {
				t.Fatal(err)
			}
			if w := float64(want["loss"].Data[0]); math.Abs(loss-w) > 2e-5*w {
				t.Errorf("the loss is %g, PyTorch's %g", loss, w)
			}
			worst := 0.0
			for _, name := range adapted {
				for part, g := range map[string]tensor.Tensor{" A": got[name].A, " B": got[name].B} {
					d, most := 0.0, 0.0
					for i, w := range want[name+part].Data {
						d, most = max(d, math.Abs(float64(w-g.Data[i]))), max(most, math.Abs(float64(w)))
					}
					if worst = max(worst, d/most); !(d <= 1e-4*most) || most == 0 {
						t.Errorf("%s%s: the gradient differs by %g; its largest number is %g", name, part, d, most)
					}
				}
			}
			t.Logf("width %d: loss %.6f, PyTorch's %.6f; gradients of %d factors differ by %.2g of their largest number at most",
				cfg.Dim, loss, want["loss"].Data[0], 2*len(adapted), worst)
		})
	}
}
