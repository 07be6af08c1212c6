package model_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/weights"
)

// peftReads is a program that loads a file of eligen's into PEFT, over linear layers of diffusers'
// names, and writes what PEFT makes of each; then it has PEFT make LoRAs of its own there, plain
// and DoRA, and writes their folders and what they make.
const peftReads = `
import json, sys, torch
from torch import nn
from safetensors import safe_open
from safetensors.torch import save_file
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer

source, base, out = sys.argv[1:4]
with safe_open(source, framework="pt") as f:
    state = {k.removeprefix("transformer."): f.get_tensor(k).float() for k in f.keys()}
    settings = json.loads(f.metadata()["lora_adapter_metadata"])
settings = {k.removeprefix("transformer."): v for k, v in settings.items()}
with safe_open(base, framework="pt") as f:
    weights = {k: f.get_tensor(k) for k in f.keys()}

def model():
    root = nn.Module()
    for name, w in weights.items():
        at, *path = root, *name.split(".")
        for part in path[:-1]:
            if not hasattr(at, part):
                at.add_module(part, nn.Module())
            at = getattr(at, part)
        layer = nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data.copy_(w)
        at.add_module(path[-1], layer)
    return root

# What eligen has written.
m = inject_adapter_in_model(LoraConfig(**settings), model())
result = set_peft_model_state_dict(m, state)
assert not result.unexpected_keys, result.unexpected_keys
save_file({n: l.get_delta_weight("default").detach().contiguous() for n, l in m.named_modules() if isinstance(l, LoraLayer)},
    out + "/read.safetensors")

# What PEFT writes.
torch.manual_seed(1)
for kind in ("plain", "dora"):
    config = LoraConfig(r=3, lora_alpha=5, use_rslora=kind == "plain", use_dora=kind == "dora", alpha_pattern={"attn.to_q": 2},
        rank_pattern={"proj_mlp": 2}, target_modules=list(weights), init_lora_weights=False)
    m = get_peft_model(model(), config)
    m.save_pretrained(out + "/" + kind)
    merged = PeftModel.from_pretrained(model(), out + "/" + kind).merge_and_unload()
    save_file({n: merged.get_submodule(n).weight.detach().contiguous() for n in weights}, out + "/" + kind + ".safetensors")
`

// A LoRA goes through PEFT both ways: PEFT makes of eligen's file what eligen does, with ranks that
// differ, and eligen of PEFT's folders what PEFT does. ELIGEN_PYTHON names an interpreter that
// has peft and torch.
func TestPEFTReadsAndWrites(t *testing.T) {
	python := os.Getenv("ELIGEN_PYTHON")
	if python == "" {
		t.Skip("ELIGEN_PYTHON is not set: it should name a Python with the packages peft, torch and safetensors")
	}
	if out, err := exec.Command(python, "-c", "import peft, torch, safetensors").CombinedOutput(); err != nil {
		t.Skipf("%s has not all of the packages peft, torch and safetensors: %s", python, out)
	}
	const width = 8
	shapes := map[string][]int{
		"double_blocks.0.img_attn.qkv": {3 * width, width}, "single_blocks.0.linear1": {7 * width, width},
		"single_blocks.0.linear2": {width, 5 * width}, "final_layer.linear": {4, width}, "final_layer.adaLN_modulation.1": {2 * width, width},
	}
	rng := rand.New(rand.NewPCG(3, 3))
	random := func(shape ...int) tensor.Tensor {
		x := tensor.New(shape...)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64())
		}
		return x
	}
	var factors []lora.Factor
	bfl := given{}
	for i, module := range sortedKeys(shapes) {
		s, rank := shapes[module], i%3+1
		factors = append(factors, lora.Factor{Module: module, A: random(rank, s[1]), B: random(s[0], rank), Alpha: 2.5})
		bfl[module+".weight"] = random(s...)
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	writeTensors(t, path("native.safetensors"), func() ([]tensor.Named, error) { return lora.Named(lora.Native, factors...) })
	if _, err := weights.ConvertLoRA(path("native.safetensors"), path("ours.safetensors"),
		weights.LoRAConversion{Format: lora.Diffusers}); err != nil {
		t.Fatal(err)
	}
	writeTensors(t, path("base.safetensors"), func() (list []tensor.Named, err error) { return inDiffusers(bfl, 1), nil })
	out, err := exec.Command(python, "-c", peftReads, path("ours.safetensors"), path("base.safetensors"), dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, c := range map[string]struct {
		lora string
		base weights.Loader
	}{
		"read":  {path("ours.safetensors"), blank(bfl)}, // deltas
		"plain": {path("plain"), bfl}, "dora": {path("dora"), bfl},
	} {
		want, err := readTensors(path(name + ".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		file, f, err := weights.OpenLoRA(c.lora)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		l, err := lora.Over(c.base, lora.Layer{File: f, Scale: 1})
		if err != nil {
			t.Fatal(err)
		}
		fused := given{}
		for module, x := range bfl {
			fused[module] = tensor.New(x.Shape...)
			if err := l.Floats(module, 0, fused[module].Data); err != nil {
				t.Fatal(err)
			}
		}
		got := inDiffusers(fused, 1)
		if len(got) != len(want) {
			t.Errorf("%s: PEFT has %d layers, want %d", name, len(want), len(got))
		}
		for _, x := range got {
			near(t, name+" "+x.Name, x.Tensor, want[x.Name], 2e-5, 1e-5)
		}
	}
}

// given is a base of tensors by BFL's names.
type given map[string]tensor.Tensor

func (b given) Tensors() []tensor.Info { return blank(b).Tensors() }

func (given) Bytes(string, []byte) (bool, error) { return false, nil }

func (b given) Floats(name string, from int, dst []float32) error {
	copy(dst, b[name].Data[from:])
	return nil
}

// inDiffusers returns weights by BFL's names as those of diffusers' modules, in a model of so
// many blocks.
func inDiffusers(bfl map[string]tensor.Tensor, blocks int) (list []tensor.Named) {
	for _, m := range names.Modules(blocks, blocks, false) {
		w, ok := bfl[m.BFL+".weight"]
		if !ok {
			continue
		}
		cols := w.Shape[1]
		if m.Swap {
			half := len(w.Data) / 2
			w.Data = append(append([]float32(nil), w.Data[half:]...), w.Data[:half]...)
		}
		for i, name := range m.Diffusers {
			from, to := m.PartRows(i, w.Shape)
			list = append(list, tensor.Named{Name: name, Tensor: tensor.Tensor{Shape: []int{to - from, cols}, Data: w.Data[from*cols : to*cols]}})
		}
	}
	return list
}

func writeTensors(t *testing.T, path string, of func() ([]tensor.Named, error)) {
	t.Helper()
	list, err := of()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tensor.Write(&b, nil, list...); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
