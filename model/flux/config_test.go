package flux

import (
	"strings"
	"testing"
)

func shapesOf(c Config) map[string][]int {
	m := map[string][]int{}
	for _, w := range c.Weights() {
		m[w.Name] = w.Shape
	}
	return m
}

// The published checkpoints have this many parameters.
func TestParameterCounts(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  Config
		want int
	}{{"dev", Dev, 11_901_408_320}, {"schnell", Schnell, 11_891_178_560}} {
		sum := 0
		for _, w := range test.cfg.Weights() {
			n := 1
			for _, d := range w.Shape {
				n *= d
			}
			sum += n
		}
		if sum != test.want {
			t.Errorf("%s: %d parameters, want %d", test.name, sum, test.want)
		}
	}
}

// A variant is recognised by nothing but the shapes of its checkpoint.
func TestDetect(t *testing.T) {
	onlySingle := Nano
	onlySingle.Double = 0
	noSingle := Nano
	noSingle.Single = 0
	for name, want := range map[string]Config{
		"dev": Dev, "schnell": Schnell, "nano": Nano, "no double blocks": onlySingle, "no single blocks": noSingle,
	} {
		shapes := shapesOf(want)
		got, err := Detect(func(name string) []int { return shapes[name] })
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

// What a damaged or foreign checkpoint gets is an error that names the tensor.
func TestDetectErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(map[string][]int)
		want   string
	}{
		{"foreign", func(m map[string][]int) { clear(m) }, `no tensor "img_in.weight"`},
		{"tensor missing", func(m map[string][]int) { delete(m, "single_blocks.3.linear2.bias") }, `no tensor "single_blocks.3.linear2.bias"`},
		{"wrong shape", func(m map[string][]int) { m["txt_in.bias"] = []int{7} },
			`"txt_in.bias" of the FLUX checkpoint has shape [7], it should have [192]`},
		{"wrong rank", func(m map[string][]int) { m["img_in.weight"] = []int{192} }, `"img_in.weight" has shape [192], expected 2 dimensions`},
		{"empty tensor", func(m map[string][]int) { m["double_blocks.0.img_attn.norm.query_norm.scale"] = []int{0} }, "has shape [0]"},
		{"odd head", func(m map[string][]int) { m["double_blocks.0.img_attn.norm.query_norm.scale"] = []int{3} }, "must be even"},
		{"Fill", func(m map[string][]int) { m["img_in.weight"] = []int{192, 384} },
			`this is FLUX.1 Fill, which takes a picture and a mask: "img_in.weight" has 384 inputs`},
		{"Depth", func(m map[string][]int) { m["img_in.weight"] = []int{192, 128} }, "this is FLUX.1 Depth or Canny"},
		{"another one", func(m map[string][]int) { m["img_in.weight"] = []int{192, 196} }, "a relative of FLUX.1"},
		{"no patches", func(m map[string][]int) { m["img_in.weight"] = []int{192, 63} }, "not 2×2 patches"},
	} {
		t.Run(test.name, func(t *testing.T) {
			shapes := shapesOf(Nano)
			test.change(shapes)
			_, err := Detect(func(name string) []int { return shapes[name] })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
