package lora

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// memory is a Loader of tensors in memory.
type memory []tensor.Named

func (m memory) Tensors() (out []tensor.Info) {
	for _, t := range m {
		out = append(out, tensor.Info{Name: t.Name, DType: "F32", Shape: t.Shape, Size: int64(4 * len(t.Data))})
	}
	return out
}

func (m memory) Floats(name string, from int, dst []float32) error {
	for _, t := range m {
		if t.Name == name {
			copy(dst, t.Data[from:from+len(dst)])
			return nil
		}
	}
	return fmt.Errorf("no tensor %q", name)
}

func (m memory) Bytes(string, []byte) (bool, error) { return false, nil }

func random(seed uint64, shape ...int) tensor.Tensor {
	rng := rand.New(rand.NewPCG(seed, 0))
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = float32(rng.NormFloat64())
	}
	return t
}

const width = 6

// base is three layers of a transformer of width 6: one that diffusers keeps in
// three parts, one in four, and the one whose halves diffusers swaps.
var base = memory{
	{Name: "double_blocks.1.img_attn.qkv.weight", Tensor: random(1, 3*width, width)},
	{Name: "single_blocks.0.linear1.weight", Tensor: random(2, 7*width, width)},
	{Name: "final_layer.adaLN_modulation.1.weight", Tensor: random(3, 2*width, width)},
	{Name: "final_layer.adaLN_modulation.1.bias", Tensor: random(4, 2*width)},
}

// factors update all three, with an alpha that isn't the rank.
func factors(rank int, alpha float64) (out []Factor) {
	for i, t := range base[:3] {
		out = append(out, Factor{
			Module: strings.TrimSuffix(t.Name, ".weight"),
			A:      random(uint64(10+i), rank, width), B: random(uint64(20+i), t.Shape[0], rank), Alpha: alpha,
		})
	}
	return out
}

// product returns W + s·B·A in float64.
func product(w tensor.Tensor, f Factor, s float64) []float32 {
	out := make([]float32, len(w.Data))
	rank, cols := f.A.Shape[0], w.Shape[1]
	for i := range out {
		sum := 0.0
		for k := range rank {
			sum += float64(f.B.Data[i/cols*rank+k]) * float64(f.A.Data[k*cols+i%cols])
		}
		out[i] = float32(float64(w.Data[i]) + s*sum)
	}
	return out
}

func parse(t *testing.T, format string, list []Factor) *File {
	t.Helper()
	var b bytes.Buffer
	named, err := Named(format, list...)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.Write(&b, nil, named...); err != nil {
		t.Fatal(err)
	}
	tensors, err := tensor.Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	infos, meta, err := tensor.ReadHeader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var m memory
	for _, i := range infos {
		m = append(m, tensor.Named{Name: i.Name, Tensor: tensors[i.Name]})
	}
	f, err := Parse(format+".safetensors", m, meta, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func compare(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d < 1e-5) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// What is written in a format is read back as the same update, and so is any
// slice of it.
func TestFormats(t *testing.T) {
	list := factors(2, 4)
	for _, format := range []string{Native, Kohya, Diffusers} {
		t.Run(format, func(t *testing.T) {
			f := parse(t, format, list)
			if f.Format != format || f.Modules(Transformer) != 3 {
				t.Errorf("read as %s", f)
			}
			l, err := Over(base, Layer{File: f, Scale: 0.5, Alpha: AlphaFile})
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range base[:3] {
				want := product(w.Tensor, list[i], 0.5*4/2)
				for _, s := range [][2]int{{0, len(want)}, {3, 4}, {width - 1, 2}, {2*width + 1, 3 * width}, {len(want) - 1, 1}} {
					if s[0]+s[1] > len(want) {
						continue
					}
					got := make([]float32, s[1])
					if err := l.Floats(w.Name, s[0], got); err != nil {
						t.Fatal(err)
					}
					compare(t, fmt.Sprintf("%s from %d", w.Name, s[0]), got, want[s[0]:s[0]+s[1]])
				}
			}
			bias := make([]float32, 2*width)
			if err := l.Floats(base[3].Name, 0, bias); err != nil {
				t.Fatal(err)
			}
			compare(t, "bias", bias, base[3].Data)
		})
	}
}

// A LoRA read in any format and written in any is the same update, also where q, k and
// v have A's of their own, and where some are missing.
func TestConvert(t *testing.T) {
	whole := factors(2, 4)
	apart := memory{}
	add := func(name string, rank, rows int, seed uint64, alpha ...float32) {
		apart = append(apart, tensor.Named{Name: name + ".lora_A.weight", Tensor: random(seed, rank, width)},
			tensor.Named{Name: name + ".lora_B.weight", Tensor: random(seed+1, rows, rank)})
		if alpha != nil {
			apart = append(apart, tensor.Named{Name: name + ".alpha", Tensor: tensor.Tensor{Data: alpha}})
		}
	}
	add("transformer.transformer_blocks.1.attn.to_q", 2, width, 50)
	add("transformer.transformer_blocks.1.attn.to_v", 1, width, 52, 3)
	add("transformer.single_transformer_blocks.0.attn.to_k", 3, width, 54)
	add("transformer.single_transformer_blocks.0.proj_mlp", 2, 4*width, 56)
	add("transformer.norm_out.linear", 2, 2*width, 58)
	parsed, err := Parse("apart", apart, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]*File{"apart": parsed}
	for _, format := range []string{Native, Kohya, Diffusers} {
		sources[format] = parse(t, format, whole)
	}
	for name, source := range sources {
		want, err := Over(base, Layer{File: source, Scale: 1})
		if err != nil {
			t.Fatal(err)
		}
		list, err := source.Factors()
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{Native, Kohya, Diffusers} {
			f := parse(t, format, list)
			if low, high := f.Alpha(); low != 1 || high != 1 {
				t.Errorf("%s as %s: alpha/rank is %v to %v", name, format, low, high)
			}
			if _, high := f.Rank(); name != "apart" && high != 2 {
				t.Errorf("%s as %s: rank %d, want 2", name, format, high)
			}
			if low, high := f.Rank(); name == "apart" && format == Diffusers && (low != 1 || high != 3) {
				t.Errorf("%s as %s: ranks %d to %d, want 1 to 3 as before", name, format, low, high)
			}
			got, err := Over(base, Layer{File: f, Scale: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range base {
				compare(t, name+" as "+format+": "+w.Name, readAll(t, got, w.Name), readAll(t, want, w.Name))
			}
		}
	}
	// The width of a single block's MLP is nowhere.
	narrow, err := Parse("narrow", apart[5:7], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := narrow.Factors(); err == nil || !strings.Contains(err.Error(), "the width of single_blocks.0.linear1") {
		t.Errorf("keys alone: %v", err)
	}
}

// alpha is used or ignored as asked; layers add up.
func TestAlphaAndLayers(t *testing.T) {
	list := factors(2, 4) // alpha/rank is 2
	f := parse(t, Kohya, list)
	if low, high := f.Alpha(); low != 2 || high != 2 {
		t.Errorf("alpha/rank is %v to %v", low, high)
	}
	if low, high := f.Rank(); low != 2 || high != 2 {
		t.Errorf("rank is %v to %v", low, high)
	}
	for _, c := range []struct {
		layers []Layer
		scale  float64
	}{
		{[]Layer{{File: f, Scale: 1, Alpha: AlphaFile}}, 2},
		{[]Layer{{File: f, Scale: 1, Alpha: ""}}, 2},
		{[]Layer{{File: f, Scale: 1, Alpha: AlphaIgnore}}, 1},
		{[]Layer{{File: f, Scale: 0.5, Alpha: AlphaFile}, {File: f, Scale: 3, Alpha: AlphaIgnore}}, 4},
		{[]Layer{{File: f, Scale: 1, Alpha: AlphaFile}, {File: f, Scale: -1, Alpha: AlphaFile}}, 0},
		{nil, 0},
	} {
		l, err := Over(base, c.layers...)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(base[0].Data))
		if err := l.Floats(base[0].Name, 0, got); err != nil {
			t.Fatal(err)
		}
		compare(t, fmt.Sprint(c.layers), got, product(base[0].Tensor, list[0], c.scale))
	}
	if _, err := Over(base, Layer{File: f, Scale: 1, Alpha: "maybe"}); err == nil {
		t.Error(`alpha "maybe" was taken`)
	}
}

func tensors(list ...any) (m memory) {
	for i := 0; i < len(list); i += 2 {
		m = append(m, tensor.Named{Name: list[i].(string), Tensor: tensor.New(list[i+1].([]int)...)})
	}
	return m
}

// Prefixes and suffixes that trainers write, and parts of a fused layer alone.
func TestSpellings(t *testing.T) {
	for _, stem := range []string{
		"blocks.1.attn.a_to_qkv", "diffusion_model.blocks.1.attn.a_to_qkv", "diffusion_model.double_blocks.1.img_attn.qkv",
		"base_model.model.blocks.1.attn.a_to_qkv", "lora_unet_double_blocks_1_img_attn_qkv",
	} {
		for _, s := range []struct{ a, b string }{
			{".lora_A.weight", ".lora_B.weight"}, {".lora_A.default.weight", ".lora_B.default.weight"},
			{".lora_A.style_0.weight", ".lora_B.style_0.weight"},
			{".lora_down.weight", ".lora_up.weight"}, {".lora.down.weight", ".lora.up.weight"},
		} {
			f, err := Parse("x", tensors(stem+s.a, []int{2, width}, stem+s.b, []int{3 * width, 2, 1, 1}), nil, nil)
			if err != nil {
				t.Error(err)
				continue
			}
			if _, err := Over(base, Layer{File: f, Scale: 1}); err != nil {
				t.Error(err)
			}
		}
	}
	one := memory{
		{Name: "transformer.transformer_blocks.1.attn.to_k.lora_A.weight", Tensor: random(1, 2, width)},
		{Name: "transformer.transformer_blocks.1.attn.to_k.lora_B.weight", Tensor: random(2, width, 2)},
		{Name: "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_A.weight", Tensor: random(3, 2, 4)},
		{Name: "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_B.weight", Tensor: random(3, 4, 2)},
	}
	f, err := Parse("x", one, map[string]string{"lora_adapter_metadata": `{"transformer.lora_alpha": 6}`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := f.Modules(CLIP); n != 1 {
		t.Errorf("%d modules of CLIP", n)
	}
	if low, high := f.Alpha(); low != 1 || high != 3 {
		t.Errorf("alpha/rank is %v; the metadata say 6/2 of the transformer, and nothing of CLIP", high)
	}
	l, err := Over(base, Layer{File: f, Scale: 1})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, 3*width*width)
	if err := l.Floats(base[0].Name, 0, got); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if changed, keys := got[i] != base[0].Data[i], i/width/width == 1; changed != keys {
			t.Fatalf("element %d: changed is %t, in the rows of the keys is %t", i, changed, keys)
		}
	}
}

// How strong a LoRA is, is said by alphas in the file; else by diffusers' metadata of the
// file; else by the adapter_config.json beside it; else by nobody.
func TestAlphaIsFoundWhereTrainersPutIt(t *testing.T) {
	const prefix = "transformer.transformer_blocks.1.attn."
	file := func(more ...any) memory {
		return tensors(append([]any{prefix + "to_q.lora_A.weight", []int{4, width}, prefix + "to_q.lora_B.weight", []int{width, 4}}, more...)...)
	}
	loha := func() memory {
		return tensors(prefix+"to_q.hada_w1_a", []int{width, 4}, prefix+"to_q.hada_w1_b", []int{4, width},
			prefix+"to_q.hada_w2_a", []int{width, 4}, prefix+"to_q.hada_w2_b", []int{4, width})
	}
	number := func(x float32) memory {
		return memory{{Name: prefix + "to_q.alpha", Tensor: tensor.Tensor{Data: []float32{x}}}}
	}
	config := func(text string) *Settings {
		s, err := ReadConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name     string
		m        memory
		metadata string
		beside   *Settings
		want     float64
		reading  bool // another one than before 0.2
	}{
		{"nowhere", file(), "", nil, 1, false},
		{"in the file", append(file(), number(2)...), `{"transformer.lora_alpha": 8}`, config(`{"lora_alpha": 16}`), 2. / 4, false},
		{"metadata", file(), `{"transformer.lora_alpha": 8, "text_encoder.lora_alpha": 1}`, config(`{"lora_alpha": 16}`), 8. / 4, false},
		{"metadata without prefix", file(), `{"lora_alpha": 8}`, nil, 8. / 4, true},
		{"a pattern", file(), `{"transformer.lora_alpha": 8, "transformer.alpha_pattern": {"attn.to_q": 6, ".*": 100}}`, nil, 6. / 4, true},
		{"the first pattern that fits", file(),
			`{"lora_alpha": 8, "alpha_pattern": {"to_k": 1, "transformer_blocks\\.\\d+\\..*to_[qk]": 3, "attn.to_q": 6}}`, nil, 3. / 4, true},
		{"a pattern for the end of another name", file(), `{"lora_alpha": 8, "alpha_pattern": {"o_q": 6}}`, nil, 8. / 4, true},
		{"rsLoRA", file(), `{"transformer.lora_alpha": 8, "transformer.use_rslora": true}`, nil, 8. / 2, true},
		{"beside the file", file(), "", config(`{"r": 4, "lora_alpha": 16, "peft_type": "LORA"}`), 16. / 4, true},
		{"beside the file, all of it", file(), "", config(`{"lora_alpha": 16, "use_rslora": true, "alpha_pattern": {"to_q": 1}}`), 1. / 2, true},
		{"a pattern, and PEFT's own alpha of 8", file(), `{"transformer.alpha_pattern": {"to_k": 1}}`, nil, 8. / 4, true},
		{"rsLoRA, and PEFT's own alpha of 8", file(), "", config(`{"use_rslora": true}`), 8. / 2, true},
		{"beside a file of LoHa's", loha(), "", config(`{"peft_type": "LOHA", "r": 4, "alpha": 6, "alpha_pattern": {}}`), 6. / 4, true},
		{"metadata of text encoders", file(), `{"text_encoder.lora_alpha": 8}`, nil, 1, false},
	} {
		var metadata map[string]string
		if c.metadata != "" {
			metadata = map[string]string{"lora_adapter_metadata": c.metadata}
		}
		f, err := Parse("x", c.m, metadata, c.beside)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if low, high := f.Alpha(); low != c.want || high != c.want {
			t.Errorf("%s: the scale is %v to %v, want %v", c.name, low, high, c.want)
		}
		if (f.Reading != "") != c.reading {
			t.Errorf("%s: the reading is %q", c.name, f.Reading)
		}
	}
	for name, metadata := range map[string]string{
		"are no JSON": `{`, "no number": `{"lora_alpha": "8"}`, "no JSON object": `{"lora_alpha": 8, "alpha_pattern": [1]}`,
		"makes its scale +Inf":      `{"lora_alpha": 1e300}`,
		"can't read the expression": `{"lora_alpha": 8, "alpha_pattern": {"(?=x)": 1}}`,
		"neither true nor false":    `{"lora_alpha": 8, "use_rslora": 1}`,
	} {
		if _, err := Parse("x", file(), map[string]string{"lora_adapter_metadata": metadata}, nil); err == nil ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %q", metadata, err, name)
		}
	}
	for _, x := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		if _, err := Parse("x", append(file(), number(x)...), nil, nil); err == nil || !strings.Contains(err.Error(), "alpha is "+fmt.Sprint(x)) {
			t.Errorf("alpha %v: %v", x, err)
		}
		broken := file()
		broken[1].Data[5] = x
		f, err := Parse("x", broken, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), "to_q.lora_B.weight holds "+fmt.Sprint(x)) {
			t.Errorf("a factor with %v: %v", x, err)
		}
	}
}

// What a file has for text encoders is applied to them; what is applied to nothing is counted.
func TestTextEncoders(t *testing.T) {
	all := tensors("blocks.1.attn.a_to_qkv.lora_A.weight", []int{2, width}, "blocks.1.attn.a_to_qkv.lora_B.weight", []int{18, 2})
	encoders := memory{
		{Name: "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", Tensor: random(1, 2, 4)},
		{Name: "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", Tensor: random(2, 4, 2)},
		{Name: "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha", Tensor: tensor.Tensor{Data: []float32{4}}},
		{Name: "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight", Tensor: random(3, 2, 4)},
		{Name: "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight", Tensor: random(4, 3, 2)},
	}
	nothing := tensors("bundle_emb.frog.t5", []int{4}, "text_encoder.text_model.encoder.layers.0.mlp.fc9.lora_A.weight", []int{2, 4})
	f, err := Parse("x", append(append(all, encoders...), nothing...), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1 layer that no CLIP text encoder of FLUX.1 has", "embeddings of new words (bundle_emb), frog in 1 tensor"}
	if got := f.Dropped(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := f.String(), "native LoRA, rank 2, alpha/rank 1–2, 1 modules, 1 of CLIP, 1 of T5"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	clip := memory{{Name: "text_model.encoder.layers.0.mlp.fc1.weight", Tensor: random(5, 4, 4)}}
	l, err := Over(clip, Layer{File: f, Scale: 0.5, Part: CLIP})
	if err != nil {
		t.Fatal(err)
	}
	fc1 := Factor{A: encoders[0].Tensor, B: encoders[1].Tensor}
	compare(t, "CLIP", readAll(t, l, clip[0].Name), product(clip[0].Tensor, fc1, 0.5*4/2))
	if _, err := Over(clip, Layer{File: f, Scale: 1, Part: T5}); err == nil || !strings.Contains(err.Error(), "the model has no such layer") {
		t.Errorf("T5's part over CLIP: %v", err)
	}
	if _, err := Parse("x", nothing, nil, nil); err == nil || !strings.Contains(err.Error(), "frog in 1 tensor") {
		t.Errorf("embeddings alone: %v", err)
	}
}

// What doesn't fit is named.
func TestRefusals(t *testing.T) {
	const stem = "blocks.1.attn.a_to_qkv"
	a, b := stem+".lora_A.weight", stem+".lora_B.weight"
	for _, c := range []struct {
		name string
		m    memory
		want string
	}{
		{"unknown module", tensors(a, []int{2, width}, b, []int{18, 2}, "blocks.0.attn.to_everything.lora_A.weight", []int{2, 2}),
			"blocks.0.attn.to_everything.lora_A.weight"},
		{"a relative", tensors(a, []int{2, width}, b, []int{18, 2}, "blocks.0.attn.a_to_qkv.oft_blocks", []int{2, 2}), "the kind OFT"},
		{"a DoRA's norms", tensors(a, []int{2, width}, b, []int{18, 2}, stem+".dora_scale", []int{2}),
			"dora_scale has shape [2], expected [18 1] or [1 6]"},
		{"norms alone", tensors(stem+".dora_scale", []int{18}), "dora_scale has no factors next to it"},
		{"half a LoKr", tensors(stem+".lokr_w1", []int{3, 2}), "only one of its two factors"},
		{"a part of a LoKr", tensors(stem+".lokr_w1", []int{3, 2}, stem+".lokr_w2_a", []int{6, 1}), "one of the two parts of lokr_w2"},
		{"a part of a LoHa", tensors(stem+".hada_w1_a", []int{18, 2}, stem+".hada_w1_b", []int{2, 6}), "not all of its factors"},
		{"two LoHas", tensors(stem+".hada_w1_a", []int{18, 2}, stem+".hada_w1_b", []int{2, 6}, stem+".hada_w2_a", []int{18, 2},
			stem+".hada_w2_b", []int{2, 5}), "other shapes"},
		{"a control LoRA", tensors(a, []int{2, width}, b, []int{18, 2},
			"double_blocks.0.img_attn.norm.key_norm.scale", []int{2}), "control LoRA"},
		{"one factor", tensors(a, []int{2, width}), "only one of its two factors"},
		{"two ranks", tensors(a, []int{2, width}, b, []int{18, 3}), "ranks 2 and 3"},
		{"no matrix", tensors(a, []int{2, width, 3}), "expected a matrix"},
		{"nothing", tensors("x.alpha", []int{1}), "belong to no linear layer"},
		{"twice", tensors(a, []int{2, width}, stem+".lora_A.default.weight", []int{2, width}), "twice"},
	} {
		if _, err := Parse("x", c.m, nil, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name string
		m    memory
		want string
	}{
		{"other width", tensors(a, []int{2, 8}, b, []int{24, 2}), stem + ": the factors make [24 8], the model's layer is [18 6]"},
		{"no such block", tensors("blocks.7.attn.a_to_qkv.lora_A.weight", []int{2, width}, "blocks.7.attn.a_to_qkv.lora_B.weight",
			[]int{18, 2}), "blocks.7.attn.a_to_qkv: the model has no such layer"},
	} {
		f, err := Parse("x", c.m, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Over(base, Layer{File: f, Scale: 1}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	if _, err := Named("ckpt", factors(1, 0)...); err == nil {
		t.Error("an unknown format has names")
	}
	if _, err := Named(Native, Factor{Module: "img_out", A: random(1, 1, 1), B: random(1, 1, 1)}); err == nil {
		t.Error("an unknown module has a name")
	}
}
