package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/inspect"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/weights"
)

// loraFile writes a LoRA for tiny's blocks, drawn from a seed; which says for which modules.
func loraFile(t *testing.T, format string, seed uint64, rank int, which func(module string) bool) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var factors []lora.Factor
	for _, w := range tiny.Transformer.Weights() {
		module, ok := strings.CutSuffix(w.Name, ".weight")
		if !ok || len(w.Shape) != 2 || !strings.Contains(w.Name, "blocks.") || !which(module) {
			continue
		}
		f := lora.Factor{Module: module, A: tensor.New(rank, w.Shape[1]), B: tensor.New(w.Shape[0], rank), Alpha: 2 * float64(rank)}
		for _, x := range [][]float32{f.A.Data, f.B.Data} {
			for i := range x {
				x[i] = float32(rng.NormFloat64() * 0.1)
			}
		}
		factors = append(factors, f)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("%s-%d.safetensors", format, seed))
	modeltest.WriteLoRA(t, path, format, factors...)
	return path
}

func every(string) bool { return true }

// adapters returns LoRAs of all formats, by their files.
func adapters(t *testing.T) []eligen.Adapter {
	return []eligen.Adapter{
		{Kind: "lora", Name: "a", Path: loraFile(t, lora.Native, 11, 2, every), Scale: 1},
		{Kind: "lora", Name: "b", Path: loraFile(t, lora.Kohya, 12, 3, func(m string) bool { return m != "single_blocks.0.linear1" }),
			Scale: 0.5},
		{Kind: "lora", Name: "c", Path: loraFile(t, lora.Diffusers, 13, 1,
			func(m string) bool { return strings.Contains(m, "qkv") || strings.Contains(m, "linear1") }), Scale: -2},
	}
}

// What LoRAs do to latents, on one engine a backend: their graphs take long to compile.
func TestLoRAs(t *testing.T) {
	dir := tinyFolder(t)
	list := adapters(t)
	for _, backend := range []string{"go", "xla"} {
		t.Run(backend, func(t *testing.T) {
			e, fresh := newEngine(t, backend, Options{Embedded: dir}), newEngine(t, backend, Options{Embedded: dir})
			t.Run("moving", func(t *testing.T) { testMovingLoRA(t, e, list) })
			t.Run("several", func(t *testing.T) { testSeveralLoRAs(t, e, fresh, list) })
		})
	}
}

// loraJob returns job's work with adapters, and without what LoRAs don't apply to.
func loraJob(t *testing.T, e *Engine, list ...eligen.Adapter) eligen.Denoise {
	_, d := job(t, e, list...)
	d.Entities, d.Negative, d.CFG = nil, nil, 1
	return d
}

// A LoRA whose scale moves is kept as factors: what it does is what the fused one does, to
// float32's rounding, and another scale needs no graph and no weight but itself.
func testMovingLoRA(t *testing.T, e *Engine, list []eligen.Adapter) {
	d := loraJob(t, e, list...)
	at := func(scale float64, factors bool) tensor.Tensor {
		d := d
		d.Adapters = slices.Clone(d.Adapters)
		d.Adapters[1].Scale, d.Adapters[1].Factors = scale, factors
		return denoise(t, e, d)
	}
	scales := []float64{0.5, 0, 1, -0.7, 0.5}
	var frames []tensor.Tensor
	var compiled int
	loaded := 0
	for i, scale := range scales {
		frames = append(frames, at(scale, true))
		if i == 0 {
			compiled = e.Compiled()
		}
		if n := e.Compiled() - compiled; n != 0 {
			t.Errorf("scale %v: %d more graphs were compiled", scale, n)
		}
		before := loaded
		loaded = 0
		for _, s := range e.stores {
			loaded += s.Loaded
		}
		if n := loaded - before; i > 0 && n > 1 { // the scales
			t.Errorf("scale %v: %d weights were loaded again", scale, n-1)
		}
	}
	if diff := modeltest.Differ(frames[4].Data, frames[0].Data); diff != 0 {
		t.Errorf("two frames of one scale differ by %g: what was before reached the second", diff)
	}
	for i, scale := range scales[:4] {
		diff := modeltest.Differ(frames[i].Data, at(scale, false).Data)
		t.Logf("scale %v: factors differ from fused weights by %.2g", scale, diff)
		if diff > 5e-6 {
			t.Errorf("scale %v: factors differ from fused weights by %g", scale, diff)
		}
	}
	if diff := modeltest.Differ(frames[2].Data, frames[0].Data); diff < 1e-3 {
		t.Errorf("the LoRA changed latents by %g only: this test shows nothing", diff)
	}
}

// Several LoRAs, in any order and as factors, add up to the same but for rounding; each
// acts; and where they are taken off again, nothing of them is left.
func testSeveralLoRAs(t *testing.T, e, fresh *Engine, list []eligen.Adapter) {
	d := loraJob(t, e, list...)
	all := denoise(t, e, d)
	for i := range d.Adapters {
		one := d
		one.Adapters = slices.Delete(slices.Clone(d.Adapters), i, i+1)
		if diff := modeltest.Differ(denoise(t, e, one).Data, all.Data); diff < 1e-4 {
			t.Errorf("without adapter %d latents change by %g only", i, diff)
		}
	}
	turned := loraJob(t, e, list[2], list[0], list[1])
	if diff := modeltest.Differ(denoise(t, e, turned).Data, all.Data); diff > 5e-6 {
		t.Errorf("in another order latents differ by %g", diff)
	}
	for i := range turned.Adapters {
		turned.Adapters[i].Factors = true
	}
	if diff := modeltest.Differ(denoise(t, e, turned).Data, all.Data); diff > 5e-6 {
		t.Errorf("as factors latents differ by %g", diff)
	}
	plain := denoise(t, fresh, loraJob(t, fresh))
	if diff := modeltest.Differ(denoise(t, e, loraJob(t, e)).Data, plain.Data); diff != 0 {
		t.Errorf("after LoRAs, latents without any differ by %g from those of a fresh engine", diff)
	}
}

var ownModel = eligen.Model{Family: "nano"}

// rewrite writes a LoRA's file again with other bytes, names and metadata.
func rewrite(t *testing.T, path, out string, metadata map[string]string, change func(info *tensor.Info, data []float32) []byte) {
	t.Helper()
	c := modeltest.Open(t, path)
	var infos []tensor.Info
	var data [][]byte
	for _, info := range c.Tensors() {
		f := modeltest.All(t, c, info.Name)
		b := change(&info, f)
		info.Size = int64(len(b))
		infos, data = append(infos, info), append(data, b)
	}
	head, err := tensor.Header(metadata, infos)
	if err != nil {
		t.Fatal(err)
	}
	modeltest.WriteFile(t, out, func(b *bytes.Buffer) error {
		_, err := b.Write(slices.Concat(append([][]byte{head}, data...)...))
		return err
	})
}

func float32s(f []float32) (b []byte) {
	for _, x := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// A LoRA in 8-bit floats is read when it is planned with, and is the LoRA of the numbers
// that it was rounded to.
func TestLoRAInEightBits(t *testing.T) {
	source := loraFile(t, lora.Kohya, 21, 2, every)
	eight, plain := filepath.Join(t.TempDir(), "eight.safetensors"), filepath.Join(t.TempDir(), "plain.safetensors")
	// Powers of two: as F8_E5M2 their bits are those of float16's upper half.
	round := func(x float32) float32 {
		return float32(math.Copysign(math.Exp2(math.Round(math.Log2(math.Abs(float64(x))+1e-3))), float64(x)))
	}
	rewrite(t, source, eight, nil, func(info *tensor.Info, f []float32) []byte {
		info.DType = "F8_E5M2"
		b := make([]byte, len(f))
		for i, x := range f {
			exponent := math.Log2(math.Abs(float64(round(x))))
			if b[i] = byte(exponent+15) << 2; x < 0 {
				b[i] |= 0x80
			}
		}
		return b
	})
	rewrite(t, source, plain, nil, func(info *tensor.Info, f []float32) []byte {
		for i := range f {
			f[i] = round(f[i])
		}
		return float32s(f)
	})
	e := newEngine(t, "go", Options{Embedded: tinyFolder(t)})
	var got [2]tensor.Tensor
	for i, path := range []string{eight, plain} {
		got[i] = denoise(t, e, loraJob(t, e, eligen.Adapter{Kind: "lora", Name: "a", Path: path, Scale: 1}))
	}
	if diff := modeltest.Differ(got[0].Data, got[1].Data); diff != 0 {
		t.Errorf("latents differ by %g", diff)
	}
}

// A LoRA's factors take what they have in the file where they lie beside the weights, in the dtype of those.
func TestFactorsAreCounted(t *testing.T) {
	path := loraFile(t, lora.Kohya, 23, 2, every)
	c := modeltest.Open(t, path)
	want := int64(0)
	for _, info := range c.Tensors() {
		if len(info.Shape) == 2 {
			want += 4 * int64(weights.Elements(info.Shape))
		}
	}
	e := newEngine(t, "go", Options{Embedded: tinyFolder(t)})
	spec, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{{Kind: "lora", Name: "a", Path: path, Scale: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := spec.Traits[0].Beside; got != want || want == 0 {
		t.Errorf("factors take %d bytes, want %d", got, want)
	}
}

// A scene is told what of its LoRA acts on nothing, at the LoRA's line.
func TestSpecSaysWhatALoRALacks(t *testing.T) {
	source := loraFile(t, lora.Kohya, 22, 2, every)
	out := filepath.Join(t.TempDir(), "words.safetensors")
	rewrite(t, source, out, nil, func(info *tensor.Info, f []float32) []byte {
		if name, ok := strings.CutPrefix(info.Name, "lora_unet_double_blocks_0_img_mlp_0"); ok {
			info.Name = "bundle_emb.frog" + name
		}
		return float32s(f)
	})
	e := newEngine(t, "go", Options{Embedded: tinyFolder(t)})
	at := eligen.Source{File: "scene.hcl", Line: 3}
	spec, err := e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Name: "a", Path: out, Scale: 1, At: map[string]eligen.Source{"source": at}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Warnings) != 1 || *spec.Warnings[0].Source != at ||
		!strings.Contains(spec.Warnings[0].Detail, "embeddings of new words (bundle_emb), frog in 3 tensors") {
		t.Errorf("warnings: %v", spec.Warnings)
	}
	if spec, err := e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Name: "a", Path: source, Scale: 1}}); err != nil ||
		len(spec.Warnings) != 0 {
		t.Errorf("of a whole LoRA: %v, %v", spec.Warnings, err)
	}
}

// textLoRA writes a LoRA for tiny's encoders whose names begin with one of prefixes.
func textLoRA(t *testing.T, prefixes ...string) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 5))
	var list []tensor.Named
	encoders := map[string][]weights.Weight{"lora_te1_": weights.List(tiny.CLIP.Weights()), "lora_te3_": weights.List(tiny.T5.Weights())}
	for _, prefix := range prefixes {
		for _, w := range encoders[prefix] {
			module, ok := strings.CutSuffix(w.Name, ".weight")
			if !ok || len(w.Shape) != 2 || !strings.Contains(module, "attn") && !strings.Contains(module, "SelfAttention") ||
				strings.Contains(module, "bias") {
				continue
			}
			a, b := tensor.New(2, w.Shape[1]), tensor.New(w.Shape[0], 2)
			for _, x := range [][]float32{a.Data, b.Data} {
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
			}
			stem := prefix + strings.ReplaceAll(module, ".", "_")
			list = append(list, tensor.Named{Name: stem + ".lora_down.weight", Tensor: a}, tensor.Named{Name: stem + ".lora_up.weight", Tensor: b})
		}
	}
	path := filepath.Join(t.TempDir(), strings.Join(prefixes, "")+".safetensors")
	modeltest.WriteFile(t, path, func(b *bytes.Buffer) error { return tensor.Write(b, nil, list...) })
	return path
}

// A LoRA's part for a text encoder acts on that encoder, as strongly as the adapter says, in
// the weights and next to them; at scale 0, and without it, prompts are what they were.
func TestLoRAsOnTextEncoders(t *testing.T) {
	dir := tinyFolder(t)
	for _, backend := range []string{"go", "xla"} {
		t.Run(backend, func(t *testing.T) {
			e := newEngine(t, backend, Options{Embedded: dir})
			for _, c := range []struct {
				prefix   string
				txt, vec bool
			}{{"lora_te1_", false, true}, {"lora_te3_", true, false}} {
				spec, err := e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Name: "a", Path: textLoRA(t, c.prefix), Scale: 1}})
				if err != nil {
					t.Fatal(err)
				}
				if traits := spec.TraitsOf(0); len(spec.Warnings) > 0 || !traits.Text || !traits.TextOnly {
					t.Errorf("%s: traits %+v, warnings %v", c.prefix, traits, spec.Warnings)
				}
				read := func(adapters ...eligen.AdapterWeights) eligen.Conditioning {
					t.Helper()
					c, err := e.EncodePrompt(t.Context(), spec.Text, "a dog", eligen.Reading{Length: 6, Pooled: true, Adapters: adapters})
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				at := func(scale float64, factors bool) eligen.Conditioning {
					a := spec.Adapters[0]
					a.Scale, a.Factors = scale, factors
					return read(a)
				}
				differ := func(a, b eligen.Conditioning, name string) float64 {
					return modeltest.Differ(a[name].Data, b[name].Data)
				}
				plain, whole, half, beside := read(), at(1, false), at(0.5, false), at(0.5, true)
				for name, changes := range map[string]bool{eligen.Txt: c.txt, eligen.Vec: c.vec} {
					if diff := differ(whole, plain, name); (diff > 1e-3) != changes || !changes && diff != 0 {
						t.Errorf("%s: %s changes by %g", c.prefix, name, diff)
					}
					if diff := differ(half, whole, name); (diff > 1e-3) != changes {
						t.Errorf("%s: half as strong, %s changes by %g", c.prefix, name, diff)
					}
					if diff := differ(beside, half, name); diff > 1e-5 {
						t.Errorf("%s: next to the weights, %s differs by %g", c.prefix, name, diff)
					}
					for i, none := range []eligen.Conditioning{at(0, false), at(0, true), read()} {
						if diff := differ(none, plain, name); diff > 1e-6 {
							t.Errorf("%s: %s without the LoRA (%d) differs by %g", c.prefix, name, i, diff)
						}
					}
				}
			}
		})
	}
}

// A folder of PEFT's has the scale beside the factors: it is another LoRA than the file
// alone, and one that plans know apart.
func TestPEFTFolder(t *testing.T) {
	dir := t.TempDir()
	file, config := filepath.Join(dir, "adapter_model.safetensors"), filepath.Join(dir, "adapter_config.json")
	rewrite(t, loraFile(t, lora.Diffusers, 23, 2, every), file, nil, func(info *tensor.Info, f []float32) []byte {
		info.Name = "base_model.model." + strings.TrimPrefix(info.Name, "transformer.")
		return float32s(f)
	})
	e := newEngine(t, "go", Options{Embedded: tinyFolder(t)})
	digest := func(path string) eligen.Digest {
		t.Helper()
		spec, err := e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Name: "a", Path: path, Scale: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return spec.Adapters[0].Digest
	}
	alone := digest(file)
	if want, err := cache.Digest(file); err != nil || alone != want {
		t.Errorf("the file alone is %s, want its own digest %s (%v)", alone, want, err)
	}
	write := func(text string) {
		modeltest.WriteFile(t, config, func(b *bytes.Buffer) error { _, err := b.WriteString(text); return err })
	}
	write(`{"peft_type": "LORA", "r": 2, "lora_alpha": 6}`)
	if digest(file) != digest(dir) {
		t.Error("the folder and the file in it are two LoRAs")
	}
	if digest(dir) == alone {
		t.Error("another scale, and the same digest")
	}
	if r, err := inspect.Path(dir); err != nil || r.Problem != "" || r.LoRA == nil || r.LoRA.Alpha != [2]float64{3, 3} {
		t.Errorf("inspected: %+v, %v", r, err)
	}
	write(`{"lora_alpha":`)
	if _, err := e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Name: "a", Path: dir, Scale: 1}}); err == nil ||
		!strings.Contains(err.Error(), "adapter_config.json") {
		t.Errorf("a damaged config: %v", err)
	}
}

// A folder with one file of weights, by whatever name, is that file, as for models
// inspect; one with several or none says so.
func TestFolderOfALoRA(t *testing.T) {
	e := newEngine(t, "go", Options{Embedded: tinyFolder(t)})
	spec := func(path string) (eligen.Spec, error) {
		return e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Name: "a", Path: path, Scale: 1}})
	}
	dir, empty := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "pytorch_lora_weights.safetensors")
	same := func(_ *tensor.Info, f []float32) []byte { return float32s(f) }
	source := loraFile(t, lora.Diffusers, 23, 2, every)
	rewrite(t, source, file, nil, same)
	want, err := spec(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := spec(dir); err != nil || got.Adapters[0].Digest != want.Adapters[0].Digest {
		t.Errorf("the folder of one file: %v", err)
	}
	rewrite(t, source, filepath.Join(dir, "other.safetensors"), nil, same)
	for path, want := range map[string]string{dir: "holds 2 safetensors files", empty: "holds no safetensors file"} {
		if _, err := spec(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// found are sources on a machine, by source and part.
type found map[[2]string]string

func (f found) Find(source, part string) (string, error) {
	if path, ok := f[[2]string{source, part}]; ok {
		return path, nil
	}
	return "", &eligen.MissingWeights{Source: source, Message: source + " isn't on this machine"}
}

func (f found) Beside(string, string) []string { return nil }

// What a scene names by anything but a path is found by the engine's sources, each argument for its own
// part; what they lack is reported at its argument, all at once. Without sources, paths alone are weights.
func TestSources(t *testing.T) {
	dir := tinyFolder(t)
	e := newEngine(t, "go", Options{Embedded: dir, Sources: found{
		{"lab/tiny", eligen.PartModel}: dir, {"comfyui:eligen.safetensors", eligen.PartLoRA}: filepath.Join(dir, nano.EliGenFile),
	}})
	named := eligen.Model{Family: "nano", Path: "lab/tiny"}
	lora := eligen.Adapter{Kind: "lora", Name: "a", Path: "comfyui:eligen.safetensors", Scale: 1, Alpha: "file"}
	got, err := e.Spec(named, []eligen.Adapter{lora})
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.Spec(ownModel, []eligen.Adapter{{Kind: "lora", Path: "", Scale: 1, Alpha: "file"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Transformer != want.Transformer || got.Adapters[0] != want.Adapters[0] {
		t.Errorf("the same weights by another name: %+v, want %+v", got, want)
	}

	at := func(line int) eligen.Source { return eligen.Source{File: "s.hcl", Line: line} }
	away := eligen.Model{Family: "nano", Path: "lab/away", At: map[string]eligen.Source{"source": at(2)}}
	ip := eligen.Adapter{Kind: "ip", Path: "lab/ip", Encoder: "lab/tower", At: map[string]eligen.Source{"source": at(5), "encoder": at(6)}}
	_, err = e.Spec(away, []eligen.Adapter{ip})
	var ds eligen.Diagnostics
	if !errors.As(err, &ds) || len(ds) != 3 {
		t.Fatalf("three sources are missing: %v", err)
	}
	for i, want := range []struct {
		line int
		text string
	}{{2, "lab/away isn't"}, {5, "lab/ip isn't"}, {6, "lab/tower isn't"}} {
		if d := ds[i]; d.Source.Line != want.line || !strings.HasPrefix(d.Detail, want.text) || d.Summary != "Weights are missing" {
			t.Errorf("%d: %v, want %+v", i, d, want)
		}
	}

	_, err = newEngine(t, "go", Options{Embedded: dir}).Spec(named, nil)
	if err == nil || !strings.Contains(err.Error(), `"lab/tiny" is a repository, and this engine looks for paths alone`) {
		t.Errorf("without sources: %v", err)
	}
	paths := newEngine(t, "go", Options{Embedded: dir})
	for family, want := range map[string]string{"flux": "There is no ./something", "nano": "There is no ./something"} {
		if _, err := paths.Spec(eligen.Model{Family: family, Path: "./something"}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: a path that isn't there: %v", family, err)
		}
	}
}
