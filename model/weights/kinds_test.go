package weights

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/gguf"
)

// safetensors returns a file of tensors, each name[shape]dtype with its data.
func safetensors(t testing.TB, metadata map[string]string, list []tensor.Info, data []byte) []byte {
	t.Helper()
	head, err := tensor.Header(metadata, list)
	if err != nil {
		t.Fatal(err)
	}
	return append(head, data...)
}

func info(name, dtype string, shape ...int) tensor.Info {
	return tensor.Info{Name: name, DType: dtype, Shape: shape, Size: int64(Elements(shape) * tensor.SizeOf(dtype))}
}

// What lies in the place of weights is called by its name, whatever the file is called.
func TestSubstitutesAreNamed(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ data, want string }{
		"empty.safetensors":   {"", "0 bytes"},
		"lfs.gguf":            {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"},
		"page.sft":            {"\n <!DOCTYPE html><html><title>Sign in</title>", "web page (HTML)"},
		"answer.bin":          {`{"error": "Access to model is restricted. Please log in."}`, "Please log in"},
		"archive.safetensors": {"\x1f\x8b\x08\x00", "gzip"},
		"pickle.safetensors":  {"\x80\x02}q\x00.", "is a pickle"},
		"old.ckpt":            {"(dp0\nS'a'\n", "is a pickle"},
		"renamed.gguf":        {"\x10\x00\x00\x00\x00\x00\x00\x00", "not a GGUF file"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 3 {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A quantisation that isn't read is named once, with the number of layers, not once a layer.
func TestQuantisationsAreNamed(t *testing.T) {
	note := `{"layers": {"a": {"format": "nvfp4"}, "b": {"format": "nvfp4"}, "c": {"format": "mxfp8"}}}`
	rotated := []byte(`{"format": "int8_tensorwise", "convrot": true}`)
	for name, c := range map[string]struct {
		file []byte
		want []string
	}{
		"in the header": {safetensors(t, map[string]string{"_quantization_metadata": note}, []tensor.Info{info("a.weight", "U8", 1)}, []byte{1}),
			[]string{"b (and 1 more): it is quantised as nvfp4", "c: it is quantised as mxfp8"}},
		"rotated rows": {safetensors(t, nil, []tensor.Info{info("a.weight", "I8", 1), info("a.comfy_quant", "U8", len(rotated))},
			append([]byte{1}, rotated...)), []string{"a: ", "convrot"}},
		"a scale of another shape": {safetensors(t, nil, []tensor.Info{info("a.weight", "F8_E4M3", 2, 2), info("a.weight_scale", "F32", 3)},
			make([]byte, 16)), []string{"a: its scale is F32[3], of a weight of [2 2]"}},
		"a scale a column": {safetensors(t, nil, []tensor.Info{info("a.weight", "I8", 2, 2), info("a.weight_scale", "F32", 1, 2)},
			make([]byte, 12)), []string{"a: its scale is F32[1 2], of a weight of [2 2]"}},
		"int8 in tiles": {safetensors(t, nil, []tensor.Info{info("a.weight", "I8", 1, 1), info("a.SCB", "F32", 1),
			info("a.weight_format", "U8")}, []byte{0, 0, 0, 0, 0, 2}), []string{"a: it is int8 of bitsandbytes", "weight_format [2]"}},
		"the same weight in two ways": {safetensors(t, nil, []tensor.Info{info("a.weight", "F32", 1), info("a.weight._data", "I8", 1),
			info("a.weight._scale", "F32", 1)}, make([]byte, 9)), []string{"a.weight: it is stored twice, as a.weight._data too"}},
		"NF4 of another size":  {nf4(t, `{"quant_type": "nf4", "blocksize": 64, "shape": [1000000000, 1000000000]}`), []string{"a: ", "shape"}},
		"int8 of bitsandbytes": {nf4(t, `{"quant_type": "int8", "blocksize": 64, "shape": [2]}`), []string{`"int8" of bitsandbytes`}},
	} {
		_, err := FromBytes("w", c.file)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// nf4 returns a file of a weight of two numbers in bitsandbytes' blocks.
func nf4(t testing.TB, state string) []byte {
	t.Helper()
	data := append(make([]byte, 4+64+1), state...)
	return safetensors(t, nil, []tensor.Info{info("a.weight.absmax", "F32", 1), info("a.weight.quant_map", "F32", 16),
		info("a.weight", "U8", 1, 1), info("a.weight.quant_state.bitsandbytes__nf4", "U8", len(state))}, data)
}

// Whatever a file says of its scales and blocks, reading it returns, and takes memory by the file's size.
func FuzzKinds(f *testing.F) {
	head, err := gguf.Header(map[string]string{gguf.Architecture: "flux"}, []tensor.Info{
		{Name: "img_in.weight", DType: "Q6_K", Shape: []int{1, 256}, Size: 210},
		{Name: "txt_in.weight", DType: "F32", Shape: []int{1}, Size: 4}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(head, make([]byte, 224+4)...))
	f.Add(nf4(f, `{"quant_type": "nf4", "blocksize": 64, "shape": [2]}`))
	f.Add(nf4(f, `{"quant_type": "fp4", "blocksize": 1, "shape": [4611686018427387904, 4]}`))
	f.Add(safetensors(f, map[string]string{"_quantization_metadata": `{"layers": {"a": {"format": "int8_tensorwise"}}}`},
		[]tensor.Info{info("a.weight", "I8", 2, 2), info("a.weight_scale", "F32", 2, 1)}, make([]byte, 12)))
	f.Add(safetensors(f, nil, []tensor.Info{info("a.weight", "F8_E4M3", 2, 2), info("a.scale_weight", "BF16"),
		info("scaled_fp8", "F8_E5M2", 0)},
		make([]byte, 6)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := FromBytes("w", data)
		if err == nil {
			for _, x := range c.Tensors() {
				n := Elements(x.Shape)
				if n > 2*len(data) {
					t.Fatalf("%s has %d numbers, the file %d bytes", x.Name, n, len(data))
				}
				_ = c.Floats(x.Name, 0, make([]float32, n)) // of integers there are none
				if _, _, err := c.Packed(x.Name); err != nil {
					t.Fatal(err)
				}
			}
		}
		runtime.ReadMemStats(&after)
		if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20+100*uint64(len(data)) {
			t.Fatalf("a file of %d bytes made %d bytes of garbage (%v)", len(data), made, err)
		}
	})
}

// Every weight is written in every type and read back: as near as the type is fine.
func TestSaveInEveryType(t *testing.T) {
	const rows, cols = 4, 256
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32((i*7919)%1021)/1021 - 0.5
	}
	var file bytes.Buffer
	matrix := tensor.Tensor{Shape: []int{rows, cols}, Data: x}
	if err := tensor.Write(&file, nil, tensor.Named{Name: "img_in.weight", Tensor: matrix},
		tensor.Named{Name: "txt_in.weight", Tensor: matrix},
		tensor.Named{Name: "double_blocks.0.img_mlp.0.weight", Tensor: matrix}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in.safetensors")
	if err := os.WriteFile(in, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for to, most := range map[string]float64{"f32": 0, "f16": 3e-4, "bf16": 2e-3, "fp8": 0.04, "fp8_scaled": 0.04, "q8_0": 0.003, "q5_1": 0.02,
		"q5_0": 0.04, "q4_1": 0.04, "q4_0": 0.07} {
		out := filepath.Join(dir, to+".safetensors")
		if strings.HasPrefix(to, "q") {
			out = filepath.Join(dir, to+".gguf")
		}
		if err := Save(in, out, to, "", false); err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		if err := Save(in, out, to, "", false); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s, a second time: %v", to, err)
		}
		c, err := Open(out)
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		got := make([]float32, len(x))
		if err := errors.Join(c.Floats("double_blocks.0.img_mlp.0.weight", 0, got), c.Close()); err != nil {
			t.Error(err)
		}
		worst := 0.
		for i := range x {
			worst = max(worst, float64(max(got[i]-x[i], x[i]-got[i])))
		}
		if worst > most || worst == 0 && to != "f32" {
			t.Errorf("%s: numbers are %v off", to, worst)
		}
	}
	if err := Save(in, filepath.Join(dir, "x.gguf"), "fp8", "", false); err == nil {
		t.Error("8-bit floats were written as GGUF")
	}
	if err := Save(in, filepath.Join(dir, "x.safetensors"), "q4_0", "", false); err == nil {
		t.Error("GGUF's blocks were written as safetensors")
	}
}
