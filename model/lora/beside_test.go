package lora

import (
	"fmt"
	"strings"
	"testing"
)

// deep is a transformer of two blocks of a kind, of which a LoRA may have one.
var deep = memory{
	{Name: "single_blocks.0.linear1.weight", Tensor: random(2, 7*width, width)},
	{Name: "single_blocks.1.linear1.weight", Tensor: random(5, 7*width, width)},
	{Name: "single_blocks.1.linear1.bias", Tensor: random(6, 7*width)},
	{Name: "final_layer.adaLN_modulation.1.weight", Tensor: random(3, 2*width, width)},
}

func readAll(t *testing.T, l Loader, name string) []float32 {
	t.Helper()
	for _, info := range l.Tensors() {
		if info.Name == name {
			out := make([]float32, elements(info.Shape))
			// In pieces that are no rows.
			for at := 0; at < len(out); at += 5 {
				if err := l.Floats(name, at, out[at:min(at+5, len(out))]); err != nil {
					t.Fatal(err)
				}
			}
			return out
		}
	}
	t.Fatalf("there is no tensor %q", name)
	return nil
}

// Factors beside the weights make what Over adds to them, whatever the file's format,
// and blocks of a kind have factors of the same shapes.
func TestBeside(t *testing.T) {
	second := Factor{Module: "single_blocks.1.linear1", A: random(30, 3, width), B: random(31, 7*width, 3), Alpha: 1}
	last := Factor{Module: "final_layer.adaLN_modulation.1", A: random(32, 2, width), B: random(33, 2*width, 2)}
	first := Factor{Module: "single_blocks.0.linear1", A: random(34, 1, width), B: random(35, 7*width, 1)}
	for _, format := range []string{Native, Kohya, Diffusers} {
		layers := []Layer{
			{File: parse(t, format, []Factor{last}), Scale: 1, Alpha: AlphaFile},
			{File: parse(t, format, []Factor{second, last}), Scale: 0.5, Alpha: AlphaFile},
			{File: parse(t, format, []Factor{first, second}), Scale: 1, Alpha: AlphaFile},
		}
		over, err := Over(deep, layers...)
		if err != nil {
			t.Fatal(err)
		}
		beside, err := Beside(deep, layers...)
		if err != nil {
			t.Fatal(err)
		}
		shapes := shapesOf(beside)
		for _, w := range deep {
			got := readAll(t, beside, w.Name)
			for i := range layers {
				shape, other := shapes[A(w.Name, i)], shapes[A(strings.Replace(w.Name, "1", "0", 1), i)]
				if strings.Contains(w.Name, "blocks.1") && fmt.Sprint(shape) != fmt.Sprint(other) && strings.HasSuffix(w.Name, "weight") {
					t.Errorf("%s: layer %d has factors of rank %v, and the block before of %v", w.Name, i, shape, other)
				}
				if shape == nil {
					continue
				}
				a, b := readAll(t, beside, A(w.Name, i)), readAll(t, beside, B(w.Name, i))
				rank, cols := shape[0], shape[1]
				for j := range got {
					for k := range rank {
						got[j] += b[j/cols*rank+k] * a[k*cols+j%cols]
					}
				}
			}
			compare(t, format+" "+w.Name, got, readAll(t, over, w.Name))
		}
		if shapes[A("final_layer.adaLN_modulation.1.weight", 2)] != nil || shapes[A("single_blocks.0.linear1.weight", 1)] == nil {
			t.Errorf("%s: factors are at the wrong weights: %v", format, shapes)
		}
	}
	if _, err := Beside(base, Layer{File: parse(t, Native, []Factor{second}), Scale: 1, Alpha: AlphaFile}); err == nil ||
		!strings.Contains(err.Error(), "single_blocks.1.linear1: the model has no such layer") &&
			!strings.Contains(err.Error(), "single_blocks.1.to_qkv_mlp: the model has no such layer") {
		t.Errorf("a LoRA for another model: %v", err)
	}
}
