package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/names"
)

// The same weights under BFL's and under diffusers' names are the same tensors,
// number for number.
func TestNamesGiveTheSameWeights(t *testing.T) {
	set := goldenSet(t)
	for _, c := range []struct{ kind, bfl, diffusers string }{
		{KindTransformer, "flux1-tiny.safetensors", "transformer"},
		{KindAutoencoder, "ae.safetensors", "vae"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			a, b := open(t, filepath.Join(set, "models", c.bfl)), open(t, filepath.Join(set, "models", c.diffusers))
			if a.Kind != c.kind || b.Kind != c.kind || a.Format != "bfl" || b.Format != "diffusers" {
				t.Fatalf("taken for %s by %s and %s by %s", a.Kind, a.Format, b.Kind, b.Format)
			}
			if diff := cmp.Diff(a.shapes(), b.shapes()); diff != "" {
				t.Errorf("names and shapes differ (-bfl +diffusers):\n%s", diff)
			}
			for _, info := range a.Tensors() {
				if d := differ(all(t, a, info.Name), all(t, b, info.Name)); d != 0 {
					t.Errorf("%s differs by %g", info.Name, d)
				}
			}
		})
	}
}

// A prefix, bfloat16, shards with an index, and config.json beside the weights.
func TestCheckpointForms(t *testing.T) {
	set := filepath.Join(goldenSet(t), "models")
	schnell := open(t, filepath.Join(set, "flux1-tiny-schnell.safetensors"))
	if cfg, err := TransformerConfig(schnell); err != nil || cfg.Guidance || cfg.Dim == 0 {
		t.Errorf("schnell: %+v, %v", cfg, err)
	}
	if cfg, err := TransformerConfig(open(t, filepath.Join(set, "transformer"))); err != nil || !cfg.Guidance {
		t.Errorf("transformer: %+v, %v", cfg, err)
	}
	t5 := open(t, filepath.Join(set, "text_encoder_2"))
	if len(t5.Files) < 2 || t5.Kind != KindT5 {
		t.Errorf("text_encoder_2 is %s in %d files", t5.Kind, len(t5.Files))
	}
	if _, err := T5Config(t5); err != nil {
		t.Error(err)
	}
	clip := open(t, filepath.Join(set, "text_encoder"))
	var want struct {
		Heads int `json:"num_attention_heads"`
	}
	data, err := os.ReadFile(filepath.Join(set, "text_encoder", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if cfg, err := CLIPConfig(clip); err != nil || cfg.Heads != want.Heads {
		t.Errorf("CLIP with %d heads, %v; its config.json says %d", cfg.Heads, err, want.Heads)
	}
}

// A checkpoint may be an archive of PyTorch's, as IP-Adapters are published.
func TestTorchCheckpoint(t *testing.T) {
	dir := filepath.Join(goldenSet(t), "models")
	want, got := open(t, filepath.Join(dir, "ip-adapter.safetensors")), open(t, filepath.Join(dir, "ip-adapter.bin"))
	if got.Kind != KindIPAdapter {
		t.Errorf("it is taken for %s", got.Kind)
	}
	if _, err := IPAdapterConfig(got); err != nil {
		t.Error(err)
	}
	for _, info := range want.Tensors() {
		if d := differ(all(t, want, info.Name), all(t, got, info.Name)); d != 0 {
			t.Errorf("%s differs by %g", info.Name, d)
		}
	}
}

// file writes a safetensors file of float32 ramps.
func file(t *testing.T, path string, list ...Weight) {
	t.Helper()
	var out []tensor.Named
	for _, w := range list {
		x := tensor.New(w.Shape...)
		for i := range x.Data {
			x.Data[i] = float32(i) + 0.5
		}
		out = append(out, tensor.Named{Name: w.Name, Tensor: x})
	}
	writeFile(t, path, func(b *bytes.Buffer) error { return tensor.Write(b, nil, out...) })
}

// Any slice of a tensor reads alike from a mapped file, from one that is read
// in pieces, and from a stack of tensors whose halves are swapped.
func TestSlices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	const rows, cols = 700, 1000 // more than is read at once
	file(t, path, Weight{"w", []int{rows, cols}})
	mapped, read := open(t, path), open(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read.shards[0].data, read.shards[0].read = nil, f // as where mapping isn't possible
	swapped, ok := stack("w", []entry{read.entries["w"]}, true)
	if !ok {
		t.Fatal("a matrix of an even number of rows can't be swapped")
	}
	turned := &Checkpoint{Path: path, entries: map[string]entry{"w": swapped}, order: []tensor.Info{swapped.info}}
	for _, s := range [][2]int{{0, rows * cols}, {0, 1}, {5, 3}, {rows*cols - 2, 2}, {rows/2*cols - 7, 400_000 - 350_000}, {17, 0}} {
		want := make([]float32, s[1])
		for i := range want {
			want[i] = float32(s[0]+i) + 0.5
		}
		for name, c := range map[string]*Checkpoint{"mapped": mapped, "read": read, "swapped": turned} {
			got := make([]float32, s[1])
			if err := c.Floats("w", s[0], got); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				w := want[i]
				if name == "swapped" {
					w = float32((s[0]+i+rows/2*cols)%(rows*cols)) + 0.5
				}
				if got[i] != w {
					t.Fatalf("%s: element %d is %v, want %v", name, s[0]+i, got[i], w)
				}
			}
		}
	}
	if err := mapped.Floats("w", rows*cols-1, make([]float32, 2)); err == nil {
		t.Error("elements beyond the end were read")
	}
	if err := mapped.Floats("v", 0, make([]float32, 1)); err == nil {
		t.Error("a tensor that isn't there was read")
	}
}

// A tensor arrives on each backend in the dtype that is wanted, rounded to
// nearest even.
func TestLoadTensor(t *testing.T) {
	bf16 := []byte{0x80, 0x3f, 0x81, 0x3f}                                        // 1, 1.0078125
	f16 := []byte{0x00, 0x3c, 0x01, 0x3c}                                         // 1, 1.0009765625
	f32 := binary.LittleEndian.AppendUint32([]byte{0, 0, 0x80, 0x3f}, 0x3f808000) // 1, 1.00390625: a tie
	f64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1))             // 1
	f64 = binary.LittleEndian.AppendUint64(f64, math.Float64bits(1.005859375))    // 1.005859375
	data := raw(t, vector{"a", "BF16", bf16}, vector{"b", "F16", f16}, vector{"c", "F32", f32}, vector{"d", "F64", f64})
	c, err := NewCheckpoint("memory", data)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]float32{"a": {1, 1.0078125}, "b": {1, 1.0009765625}, "c": {1, 1.00390625}, "d": {1, 1.005859375}}
	rounded := map[string][2]float32{"a": {1, 1.0078125}, "b": {1, 1}, "c": {1, 1}, "d": {1, 1.0078125}}
	for _, backend := range []string{"go", "xla"} {
		t.Run(backend, func(t *testing.T) {
			e := newEngine(t, backend, Options{})
			if err := e.run(t.Context(), func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			for name := range want {
				x, err := loadTensor(e.backend, c, name, []int{2}, dtypes.Float32)
				if err != nil {
					t.Fatal(err)
				}
				if got := tensors.MustCopyFlatData[float32](x); !slices.Equal(got, []float32{want[name][0], want[name][1]}) {
					t.Errorf("%s in float32 is %v, want %v", name, got, want[name])
				}
				x.MustFinalizeAll()
				x, err = loadTensor(e.backend, c, name, []int{2}, dtypes.BFloat16)
				if err != nil {
					t.Fatal(err)
				}
				err = x.ConstBytes(func(b []byte) {
					got := make([]float32, 2)
					convert(got, "BF16", b)
					if !slices.Equal(got, []float32{rounded[name][0], rounded[name][1]}) {
						t.Errorf("%s in bfloat16 is %v, want %v", name, got, rounded[name])
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				x.MustFinalizeAll()
			}
		})
	}
}

type vector struct {
	name, dtype string
	data        []byte
}

// raw is a safetensors file of vectors.
func raw(t *testing.T, parts ...vector) []byte {
	t.Helper()
	header, at, body := map[string]any{}, 0, []byte{}
	for _, p := range parts {
		header[p.name] = map[string]any{"dtype": p.dtype, "shape": []int{len(p.data) / int(element[p.dtype])}, "data_offsets": []int{at, at + len(p.data)}}
		at += len(p.data)
		body = append(body, p.data...)
	}
	b, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b...), body...)
}

// Every mismatch is named at once, with a guess where a name is nearly right.
func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	file(t, path, Weight{"img_in.weight", []int{4, 4}}, Weight{"txt_inn.weight", []int{4, 4}}, Weight{"stranger", []int{1}}, Weight{"bias", []int{3}})
	err := Check("a.safetensors", open(t, path), []Weight{{"img_in.weight", []int{4, 4}}, {"txt_in.weight", []int{4, 4}}, {"bias", []int{4}}, {"gone", []int{2, 2}}})
	want := `a.safetensors: the tensors are not those of the model:
  bias has shape [3], expected [4]
  txt_in.weight [4 4] is missing; did the file mean it by txt_inn.weight?
  gone [2 2] is missing
  txt_inn.weight is not part of the model
  stranger is not part of the model`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var many []Weight
	for i := range 50 {
		many = append(many, Weight{fmt.Sprintf("layer.%d", i), []int{1}})
	}
	if err := Check("x", open(t, path), many); err == nil || strings.Count(err.Error(), "\n") != 21 || !strings.Contains(err.Error(), "and 34 more") {
		t.Errorf("fifty missing and four extra tensors should be listed up to twenty, and counted:\n%v", err)
	}
}

// What can't be a checkpoint is refused with the reason.
func TestOpenCheckpointRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		p := filepath.Join(dir, name)
		writeFile(t, p, func(b *bytes.Buffer) error { b.WriteString(data); return nil })
		return p
	}
	file(t, filepath.Join(dir, "good.safetensors"), Weight{"a", []int{10}})
	file(t, filepath.Join(dir, "twins", "a.safetensors"), Weight{"a", []int{1}})
	file(t, filepath.Join(dir, "twins", "b.safetensors"), Weight{"b", []int{1}})
	file(t, filepath.Join(dir, "shards", "x-1.safetensors"), Weight{"a", []int{1}})
	write("shards/x.safetensors.index.json", `{"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}`)
	file(t, filepath.Join(dir, "liar", "x-1.safetensors"), Weight{"a", []int{1}})
	write("liar/x.safetensors.index.json", `{"weight_map": {"a": "x-1.safetensors", "b": "x-1.safetensors"}}`)
	write("escape/x.safetensors.index.json", `{"weight_map": {"a": "../good.safetensors"}}`)
	write("empty/README", "")
	good, err := os.ReadFile(filepath.Join(dir, "good.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{write("model.ckpt", "x"), "pickle"},
		{write("model.gguf", "x"), "GGUF"},
		{write("short.safetensors", "abc"), "not a safetensors file"},
		{write("cut.safetensors", string(good[:len(good)-5])), `tensor "a"`},
		{write("long.safetensors", string(good)+"x"), "after its last tensor"},
		{filepath.Join(dir, "twins"), "no index"},
		{filepath.Join(dir, "shards"), "lacks x-2.safetensors"},
		{filepath.Join(dir, "liar"), `tensor "b"`},
		{filepath.Join(dir, "escape"), "outside its own folder"},
		{filepath.Join(dir, "empty"), "no safetensors file"},
		{filepath.Join(dir, "nowhere"), "no such file"},
	} {
		cp, err := OpenCheckpoint(c.path)
		if err == nil {
			cp.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", filepath.Base(c.path), err, c.want)
		}
	}
}

// T5's embedding has two names, and files hold tensors that no encoder reads.
func TestTextEncoderAliases(t *testing.T) {
	rename := func(name string) string {
		return strings.Replace(name, "shared.weight", "encoder.embed_tokens.weight", 1)
	}
	var list []Weight
	for _, w := range weights(tiny.T5.Weights()) {
		list = append(list, Weight{rename(w.Name), w.Shape})
	}
	list = append(list, Weight{"decoder.final_layer_norm.weight", []int{16}})
	path := filepath.Join(t.TempDir(), "t5.safetensors")
	file(t, path, list...)
	c := open(t, path)
	if cfg, err := T5Config(c); err != nil || cfg != tiny.T5 {
		t.Errorf("T5 is %+v, %v", cfg, err)
	}
	if !slices.Equal(c.Ignored, []string{"decoder.final_layer_norm.weight"}) {
		t.Errorf("ignored are %v", c.Ignored)
	}
}

// sparse writes a file that has a header for real shapes and no data on disk.
func sparse(t *testing.T, path string, list []Weight) {
	t.Helper()
	var b strings.Builder
	at := int64(0)
	for i, w := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		size := 2 * int64(elements(w.Shape))
		shape, err := json.Marshal(w.Shape)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, `%q:{"dtype":"BF16","shape":%s,"data_offsets":[%d,%d]}`, w.Name, shape, at, at+size)
		at += size
	}
	header := "{" + b.String() + "}"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := binary.Write(f, binary.LittleEndian, uint64(len(header))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(header); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(8 + int64(len(header)) + at); err != nil {
		t.Skipf("this file system has no sparse files of 24 GB: %v", err)
	}
}

// diffusersDev is FLUX.1 [dev]'s names and shapes by diffusers' names.
func diffusersDev() []Weight {
	var out []Weight
	transformerNames := names.Transformer(flux.Dev.Double, flux.Dev.Single, flux.Dev.Guidance)
	for _, w := range weights(flux.Dev.Weights()) {
		for _, t := range transformerNames {
			if t.BFL != w.Name {
				continue
			}
			for i, name := range t.Diffusers {
				shape := slices.Clone(w.Shape)
				switch {
				case len(t.Diffusers) == 3:
					shape[0] /= 3
				case len(t.Diffusers) == 4 && i < 3:
					shape[0] = flux.Dev.Dim
				case len(t.Diffusers) == 4:
					shape[0] -= 3 * flux.Dev.Dim
				}
				out = append(out, Weight{name, shape})
			}
		}
	}
	return out
}

// FLUX.1 [dev] is recognised by its names and shapes, in both spellings, and a
// damaged copy is refused with the tensor's name.
func TestInspectFluxDev(t *testing.T) {
	dir := t.TempDir()
	dev := weights(flux.Dev.Weights())
	if len(dev) != 780 {
		t.Errorf("FLUX.1 [dev] has %d tensors, expected 780", len(dev))
	}
	misnamed := slices.Clone(dev)
	misnamed[100].Name += "x"
	misshapen := slices.Clone(dev)
	misshapen[100].Shape = []int{7}
	schnell := weights(flux.Schnell.Weights())
	for _, c := range []struct {
		name       string
		list       []Weight
		title      string
		parameters int64
		problem    string
	}{
		{"flux1-dev.safetensors", dev, "FLUX.1 [dev] transformer", 11_901_408_320, ""},
		{"flux1-schnell.safetensors", schnell, "FLUX.1 [schnell] transformer", 11_891_178_560, ""},
		{"diffusers.safetensors", diffusersDev(), "FLUX.1 [dev] transformer", 11_901_408_320, ""},
		{"misnamed.safetensors", misnamed, "FLUX.1 [dev] transformer", 11_901_408_320, dev[100].Name + " " + fmt.Sprint(dev[100].Shape) + " is missing; did the file mean it by " + dev[100].Name + "x"},
		{"misshapen.safetensors", misshapen, "", 0, dev[100].Name + " has shape [7]"},
		{"missing.safetensors", dev[:779], "", 0, dev[779].Name},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			sparse(t, path, c.list)
			r, err := Inspect(path)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != KindTransformer || c.title != "" && r.Title != c.title || c.parameters != 0 && r.Parameters != c.parameters {
				t.Errorf("taken for %q with %d parameters", r.Title, r.Parameters)
			}
			if c.problem == "" && r.Problem != "" || !strings.Contains(r.Problem, c.problem) {
				t.Errorf("its problem is %q, expected %q", r.Problem, c.problem)
			}
			if err := os.Truncate(path, 20<<30); err != nil {
				t.Fatal(err)
			}
			if _, err := Inspect(path); err == nil || !strings.Contains(err.Error(), "truncated: tensor ") {
				t.Errorf("cut at 20 GB, it gives %v", err)
			}
		})
	}
}

// A LoRA, and the tiny fixtures, say what they are.
func TestInspectKinds(t *testing.T) {
	set := filepath.Join(goldenSet(t), "models")
	for file, want := range map[string]string{
		"ae.safetensors":                "FLUX autoencoder",
		"text_encoder":                  "CLIP text encoder",
		"text_encoder_2":                "T5 v1.1 text encoder",
		"loras/kohya_alpha.safetensors": "kohya LoRA, rank ",
		"loras/diffusers.safetensors":   "diffusers LoRA, rank ",
		"loras/diffsynth.safetensors":   "native LoRA, rank ",
	} {
		r, err := Inspect(filepath.Join(set, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.Title, want) || (r.LoRA != nil) != strings.Contains(file, "lora") || r.Tensors == 0 || r.Bytes == 0 {
			t.Errorf("%s is %+v", file, r)
		}
		if s := r.String(); !strings.Contains(s, r.Title) || !strings.Contains(s, "parameters") {
			t.Errorf("%s is described as\n%s", file, s)
		}
	}
	path := filepath.Join(t.TempDir(), "other.safetensors")
	file(t, path, Weight{"conv.weight", []int{3, 3}})
	if r, err := Inspect(path); err != nil || r.Kind != KindUnknown || !strings.Contains(r.Problem, "conv.weight") {
		t.Errorf("an unknown file is %+v, %v", r, err)
	}
}
