package model_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/weights"
)

// What is written is read by the format's own library, in Python. ELIGEN_PYTHON names an
// interpreter that has it; else python3 is tried.
func TestPythonReadsWhatIsWritten(t *testing.T) {
	python := os.Getenv("ELIGEN_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import safetensors").Run(); err != nil {
		t.Skipf("%s has no package safetensors: %v", python, err)
	}
	dir := t.TempDir()
	embedded, err := os.Create(filepath.Join(dir, "eligen.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := nano.Files().Open(nano.EliGenFile)
	if err != nil {
		t.Skip("this build has no embedded weights")
	}
	if _, err := embedded.ReadFrom(data); err != nil {
		t.Fatal(err)
	}
	embedded.Close()
	files := []string{}
	for _, format := range weights.LoRAFormats {
		out := filepath.Join(dir, format+".safetensors")
		if _, err := weights.ConvertLoRA(embedded.Name(), out, weights.LoRAConversion{Format: format}); err != nil {
			t.Fatal(err)
		}
		files = append(files, out)
	}
	// As float32, where bfloat16 would lose something.
	third := tensor.Tensor{Shape: []int{1, 1}, Data: []float32{1. / 3}}
	single := filepath.Join(dir, "single.safetensors")
	modeltest.WriteLoRA(t, single, lora.Kohya, lora.Factor{Module: "img_in", A: third, B: third, Alpha: 3})
	for _, file := range append(files, single) {
		out, err := exec.Command(python, "-c", `
import sys
from safetensors import safe_open
import hashlib
with open(sys.argv[1], "rb") as raw:
    data = raw.read()
content = data[8 + int.from_bytes(data[:8], "little"):]
with safe_open(sys.argv[1], framework="numpy") as f:
    said = f.metadata().get("modelspec.hash_sha256")
    assert said in (None, "0x" + hashlib.sha256(content).hexdigest()), said
    for name in f.keys():
        s = f.get_slice(name)
        print(name, s.get_dtype(), s.get_shape())`, file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
			continue
		}
		c, err := weights.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		var want []string
		for _, x := range c.Tensors() {
			shape := strings.ReplaceAll(fmt.Sprint(x.Shape), " ", ", ")
			want = append(want, fmt.Sprintf("%s %s %s", x.Name, x.DType, shape))
		}
		got := strings.Split(strings.TrimSpace(string(out)), "\n")
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: Python reads\n%s\nwant\n%s", filepath.Base(file), strings.Join(got[:3], "\n"), strings.Join(want[:3], "\n"))
		}
	}
}
