package lora

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// layer is the base's layer that kinds are tested on: one of a single block, of which
// diffusers has four parts, and its bias and norm.
var layer = memory{
	{Name: "single_blocks.0.linear1.weight", Tensor: random(2, 7*width, width)},
	{Name: "single_blocks.0.linear1.bias", Tensor: random(3, 7*width)},
	{Name: "single_blocks.0.norm.key_norm.scale", Tensor: random(4, 3)},
}

// mul returns a·b in float64.
func mul(a, b tensor.Tensor) (out tensor.Tensor) {
	n, m, cols := a.Shape[0], a.Shape[1], b.Shape[1]
	out = tensor.New(n, cols)
	for i := range out.Data {
		sum := 0.0
		for k := range m {
			sum += float64(a.Data[i/cols*m+k]) * float64(b.Data[k*cols+i%cols])
		}
		out.Data[i] = float32(sum)
	}
	return out
}

// kronecker computes the product by its definition, element by element.
func kronecker(a, b tensor.Tensor) tensor.Tensor {
	out := tensor.New(a.Shape[0]*b.Shape[0], a.Shape[1]*b.Shape[1])
	for i := range a.Shape[0] {
		for j := range a.Shape[1] {
			for k := range b.Shape[0] {
				for l := range b.Shape[1] {
					out.Data[(i*b.Shape[0]+k)*out.Shape[1]+j*b.Shape[1]+l] = a.Data[i*a.Shape[1]+j] * b.Data[k*b.Shape[1]+l]
				}
			}
		}
	}
	return out
}

// A kindCase is a file for the layer, or for rows of it, and the change that it makes of them.
type kindCase struct {
	name  string
	file  memory
	from  int           // first row
	want  tensor.Tensor // at strength 1
	ranks int           // of the factors next to the weights
}

func named(name string, t tensor.Tensor) tensor.Named { return tensor.Named{Name: name, Tensor: t} }

func alpha(name string, x float32) tensor.Named {
	return named(name+".alpha", tensor.Tensor{Data: []float32{x}})
}

func times(t tensor.Tensor, by float32) tensor.Tensor {
	out := tensor.New(t.Shape...)
	for i, x := range t.Data {
		out.Data[i] = by * x
	}
	return out
}

func kindCases() []kindCase {
	const stem, key = "lora_unet_single_blocks_0_linear1", "lycoris_single_transformer_blocks_0_attn_to_k"
	r := random
	hadamard := tensor.New(7*width, width)
	first, second := mul(r(10, 7*width, 2), r(11, 2, width)), mul(r(12, 7*width, 3), r(13, 3, width))
	for i := range hadamard.Data {
		hadamard.Data[i] = first.Data[i] * second.Data[i]
	}
	return []kindCase{
		{"LoHa", memory{
			named(stem+".hada_w1_a", r(10, 7*width, 2)), named(stem+".hada_w1_b", r(11, 2, width)),
			named(stem+".hada_w2_a", r(12, 7*width, 3)), named(stem+".hada_w2_b", r(13, 3, width)), alpha(stem, 4),
		}, 0, times(hadamard, 2), 6},
		{"LoKr, both whole", memory{
			named(stem+".lokr_w1", r(20, 3, 2)), named(stem+".lokr_w2", r(21, 14, 3)), alpha(stem, 1e4),
		}, 0, kronecker(r(20, 3, 2), r(21, 14, 3)), width},
		{"LoKr, the second in two", memory{
			named(stem+".lokr_w1", r(20, 3, 2)), named(stem+".lokr_w2_a", r(22, 14, 1)), named(stem+".lokr_w2_b", r(23, 1, 3)), alpha(stem, 3),
		}, 0, times(kronecker(r(20, 3, 2), mul(r(22, 14, 1), r(23, 1, 3))), 3), 2},
		{"LoKr, both in two, of a part", memory{
			named(key+".lokr_w1_a", r(24, 3, 2)), named(key+".lokr_w1_b", r(25, 2, 3)), named(key+".lokr_w2_a", r(26, 2, 2)),
			named(key+".lokr_w2_b", r(27, 2, 2)), alpha(key, 1),
		}, width, times(kronecker(mul(r(24, 3, 2), r(25, 2, 3)), mul(r(26, 2, 2), r(27, 2, 2))), 0.5), width},
		{"whole", memory{named("diffusion_model.single_blocks.0.linear1.diff", r(30, 7*width, width))}, 0, r(30, 7*width, width), width},
		{"plain", memory{
			named("single_transformer_blocks.0.proj_mlp.lora_A.x.weight", r(31, 2, width)),
			named("single_transformer_blocks.0.proj_mlp.lora_B.x.weight", r(32, 4*width, 2)),
		}, 3 * width, mul(r(32, 4*width, 2), r(31, 2, width)), 2},
		{"XLabs", memory{
			named("single_blocks.0.processor.qkv_lora.down.weight", r(33, 2, width)),
			named("single_blocks.0.processor.qkv_lora.up.weight", r(34, 3*width, 2)),
		}, 0, mul(r(34, 3*width, 2), r(33, 2, width)), 2},
	}
}

// Each kind changes the rows that it is for by what its definition says, in the weights and
// next to them.
func TestKinds(t *testing.T) {
	w := layer[0]
	for _, c := range kindCases() {
		f, err := Parse("x", c.file, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := append([]float32(nil), w.Data...)
		for i, x := range c.want.Data {
			want[c.from*width+i] += 0.5 * x
		}
		over, err := Over(layer, Layer{File: f, Scale: 0.5})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		compare(t, c.name, readAll(t, over, w.Name), want)
		beside, err := Beside(layer, Layer{File: f, Scale: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		shape := shapesOf(beside)[A(w.Name, 0)]
		if shape[0] != c.ranks {
			t.Errorf("%s: factors of rank %d, want %d", c.name, shape[0], c.ranks)
		}
		a := tensor.Tensor{Shape: shape, Data: readAll(t, beside, A(w.Name, 0))}
		b := tensor.Tensor{Shape: shapesOf(beside)[B(w.Name, 0)], Data: readAll(t, beside, B(w.Name, 0))}
		got := append([]float32(nil), w.Data...)
		for i, x := range mul(b, a).Data {
			got[i] += x
		}
		compare(t, c.name+" next to the weights", got, want)
	}
}

// A LoHa or LoKr of a small rank is written as a plain LoRA; what none can say is refused.
func TestKindsAsFactors(t *testing.T) {
	for _, c := range kindCases() {
		f, err := Parse("x", c.file, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.Factors()
		if c.ranks == width && c.name != "LoHa" {
			if err == nil || !strings.Contains(err.Error(), "full rank") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if c.name == "XLabs" {
			if err == nil || !strings.Contains(err.Error(), "width of single_blocks.0.linear1") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if c.name == "LoHa" {
			continue // of rank 6, as its matrix is
		}
		if err != nil {
			t.Fatal(err)
		}
		got := mul(list[0].B, list[0].A)
		compare(t, c.name, got.Data[c.from*width:], c.want.Data)
	}
}

// dora computes W' − W in float64, by the definition of each library.
func dora(w, delta, m tensor.Tensor, columns, peft bool, t float64) []float32 {
	rows, cols := w.Shape[0], w.Shape[1]
	v := make([]float64, len(w.Data))
	s := 1.0
	if peft {
		s = t
	}
	norms := make([]float64, max(rows, cols))
	of := func(i int) int {
		if columns {
			return i % cols
		}
		return i / cols
	}
	for i := range v {
		v[i] = float64(w.Data[i]) + s*float64(delta.Data[i])
		norms[of(i)] += v[i] * v[i]
	}
	out := make([]float32, len(v))
	for i := range v {
		by := float64(m.Data[of(i)]) / math.Sqrt(norms[of(i)])
		if !peft {
			by = 1 + t*(by-1)
		}
		out[i] = float32(v[i] * by)
	}
	return out
}

// A DoRA brings the rows or columns of its module, which may be a part of a layer, to its
// norms; strength acts as the library that wrote the file has it.
func TestDoRA(t *testing.T) {
	w := layer[0]
	part := tensor.Tensor{Shape: []int{width, width}, Data: w.Data[width*width : 2*width*width]} // the keys
	a, b := random(40, 2, width), random(41, width, 2)
	delta := mul(b, a)
	factors := func(stem, down, up string) memory { return memory{named(stem+down, a), named(stem+up, b)} }
	ot, peft := "lora_transformer_single_transformer_blocks_0_attn_to_k", "transformer.single_transformer_blocks.0.attn.to_k"
	rows, columns, flat := random(42, width, 1), random(43, 1, width), random(44, width)
	for _, c := range []struct {
		name          string
		file          memory
		m             tensor.Tensor
		columns, peft bool
	}{
		{"LyCORIS by rows", append(factors(ot, ".lora_down.weight", ".lora_up.weight"), named(ot+".dora_scale", rows)), rows, false, false},
		{"OneTrainer by columns", append(factors(ot, ".lora_down.weight", ".lora_up.weight"), named(ot+".dora_scale", columns)),
			columns, true, false},
		{"PEFT", append(factors(peft, ".lora_A.weight", ".lora_B.weight"), named(peft+".lora_magnitude_vector", flat)), flat, false, true},
		{"PEFT, by adapter's name", append(factors(peft, ".lora_A.x.weight", ".lora_B.x.weight"), named(peft+".lora_magnitude_vector.x", flat)),
			flat, false, true},
	} {
		f, err := Parse("x", c.file, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, strength := range []float64{1, 0.7, 0, -0.5} {
			l, err := Over(layer, Layer{File: f, Scale: strength})
			if err != nil {
				t.Fatal(err)
			}
			got := readAll(t, l, w.Name)
			compare(t, fmt.Sprint(c.name, " at ", strength), got[width*width:2*width*width], dora(part, delta, c.m, c.columns, c.peft, strength))
			compare(t, c.name+": other rows", got[:width*width], w.Data[:width*width])
		}
		if _, err := Beside(layer, Layer{File: f, Scale: 1}); err == nil || !strings.Contains(err.Error(), "1 of its modules are DoRA") {
			t.Errorf("%s next to the weights: %v", c.name, err)
		}
		if _, err := f.Factors(); err == nil || !strings.Contains(err.Error(), "DoRA") {
			t.Errorf("%s as plain factors: %v", c.name, err)
		}
	}
}

// Biases and norms change too, in the weights and next to them; differences of zero are of no
// consequence, whatever they are for.
func TestVectors(t *testing.T) {
	const p = "diffusion_model.single_blocks.0."
	file := memory{
		named(p+"linear1.lora_A.weight", random(50, 2, width)), named(p+"linear1.lora_B.weight", random(51, 7*width, 2)),
		named(p+"linear1.lora_B.bias", random(52, 7*width)), alpha(p+"linear1", 1),
		named(p+"norm.key_norm.scale.diff", random(53, 3)),
		named("single_transformer_blocks.0.attn.to_v.diff_b", random(54, width)),
		named(p+"nowhere.diff_b", tensor.New(4)), named("diffusion_model.img_in.diff", tensor.New(4, 4)),
	}
	f, err := Parse("x", file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	over, err := Over(layer, Layer{File: f, Scale: 2})
	if err != nil {
		t.Fatal(err)
	}
	beside, err := Beside(layer, Layer{File: f, Scale: 2})
	if err != nil {
		t.Fatal(err)
	}
	bias, norm := append([]float32(nil), layer[1].Data...), append([]float32(nil), layer[2].Data...)
	for i := range bias {
		bias[i] += 2 * 0.5 * file[2].Data[i]
	}
	for i := range width {
		bias[2*width+i] += 2 * file[5].Data[i]
	}
	for i := range norm {
		norm[i] += 2 * file[4].Data[i]
	}
	for i, want := range [][]float32{1: bias, 2: norm} {
		if want == nil {
			continue
		}
		name := layer[i].Name
		compare(t, name, readAll(t, over, name), want)
		got := append([]float32(nil), layer[i].Data...)
		for j, x := range readAll(t, beside, D(name, 0)) {
			got[j] += x
		}
		compare(t, name+" next to the weights", got, want)
	}
	file[6].Data[0] = 1
	if _, err := Parse("x", file, nil, nil); err == nil || !strings.Contains(err.Error(), "nowhere.diff_b") {
		t.Errorf("a difference for no module: %v", err)
	}
}
