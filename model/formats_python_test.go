package model_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/weights"
)

// readByPython prints each tensor of files, as Python's library of their format reads it: file, name, sum, sum of squares.
const readByPython = `
import sys, numpy
for path in sys.argv[1:]:
    if path.endswith(".gguf"):
        import gguf
        list = ((t.name, gguf.dequantize(t.data, t.tensor_type)) for t in gguf.GGUFReader(path).tensors)
    else:
        import torch, safetensors.torch
        list = ((n, t.float().numpy()) for n, t in safetensors.torch.load_file(path).items())
    for name, x in list:
        x = numpy.asarray(x, numpy.float64)
        print(path, name, repr(float(x.sum())), repr(float((x * x).sum())))
`

// Files of every type that are written are read by Python's libraries to the same numbers.
func TestPythonReadsEveryType(t *testing.T) {
	python := os.Getenv("ELIGEN_PYTHON")
	if python == "" {
		python = "python3"
	}
	data, err := nano.At("").Read(nano.TransformerFile)
	if err != nil {
		t.Skip("this build has no embedded weights")
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in.safetensors")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for _, to := range weights.Types {
		out, library := filepath.Join(dir, to+".safetensors"), "torch, safetensors.torch"
		if strings.HasPrefix(to, "q") || to == "bf16" {
			out, library = filepath.Join(dir, to+".gguf"), "gguf"
		}
		if err := weights.Save(in, out, to, "", false); err != nil {
			t.Fatal(err)
		}
		files[library] = append(files[library], out)
	}
	for library, paths := range files {
		t.Run(library, func(t *testing.T) {
			if err := exec.Command(python, "-c", "import numpy, "+library).Run(); err != nil {
				t.Skipf("%s has no %s: %v", python, library, err)
			}
			printed, err := exec.Command(python, append([]string{"-c", readByPython}, paths...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			for _, path := range paths {
				compareWithPython(t, path, string(printed))
			}
		})
	}
}

// compareWithPython compares the sums of a file's tensors, of which Python doesn't apply the scales.
func compareWithPython(t *testing.T, path, printed string) {
	t.Helper()
	c, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sums := map[string][2]float64{}
	for line := range strings.Lines(printed) {
		var file, name string
		var s [2]float64
		if n, _ := fmt.Sscan(line, &file, &name, &s[0], &s[1]); n == 4 && file == path {
			sums[name] = s
		}
	}
	for _, info := range c.Tensors() {
		x := make([]float32, weights.Elements(info.Shape))
		if err := c.Floats(info.Name, 0, x); err != nil {
			t.Fatal(err)
		}
		scale := 1.
		if s, ok := sums[strings.TrimSuffix(info.Name, ".weight")+".scale_weight"]; ok {
			scale = s[0]
		}
		var sum, square float64
		for _, v := range x {
			sum, square = sum+float64(v), square+float64(v)*float64(v)
		}
		want, ok := sums[info.Name]
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-5*math.Sqrt(square*float64(len(x)))+1e-9 }
		if !ok || !near(sum, scale*want[0]) || math.Abs(square-scale*scale*want[1]) > 1e-5*square {
			t.Errorf("%s: %s: the sum is %v and of squares %v; Python has %v, with the scale %v",
				filepath.Base(path), info.Name, sum, square, want, scale)
		}
	}
}
