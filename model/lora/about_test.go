package lora

import (
	"slices"
	"strings"
	"testing"
)

// What trainers say of a LoRA is found where each of them puts it, on one line.
func TestReadAbout(t *testing.T) {
	for _, c := range []struct {
		name     string
		metadata map[string]string
		want     About
	}{
		{"nothing", nil, About{}},
		{"kohya", map[string]string{
			"ss_output_name": "frogs", "ss_base_model_version": "flux1", "ss_resolution": "(1024, 768)",
			"ss_tag_frequency": `{"10_frog": {"sks frog": 9, "green": 4}, "2_more": {"green": 6, "a\nb": 1}}`,
		}, About{Title: "frogs", Architecture: FluxDev, Resolution: "1024x768", Tags: []string{"green", "sks frog", "a b"}}},
		{"Model Metadata Standard", map[string]string{
			"modelspec.title": "Frogs\nof the world", "modelspec.architecture": "Flux.1-dev/lora", "modelspec.trigger_phrase": "sks, frog ",
			"modelspec.resolution": "1024", "modelspec.author": "A", "modelspec.license": "MIT", "ss_output_name": "other",
		}, About{Title: "Frogs of the world", Architecture: FluxDev, Triggers: []string{"sks", "frog"}, Resolution: "1024x1024",
			Author: "A", License: "MIT"}},
		{"damaged", map[string]string{"ss_tag_frequency": "{", "modelspec.resolution": "large", "modelspec.title": strings.Repeat("é", 600)},
			About{Title: strings.Repeat("é", 500) + "…"}},
	} {
		got := ReadAbout(c.metadata)
		if got.Title != c.want.Title || got.Architecture != c.want.Architecture || got.Resolution != c.want.Resolution ||
			got.Author != c.want.Author || got.License != c.want.License || !slices.Equal(got.Triggers, c.want.Triggers) ||
			!slices.Equal(got.Tags, c.want.Tags) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// What is written of a LoRA is read back, and its settings, where ranks differ and where one
// module's name is the end of another's, give every module the scale 1.
func TestMetadata(t *testing.T) {
	about := About{Title: "Frogs", Architecture: FluxDev, Triggers: []string{"sks", "frog"}, Resolution: "64x48", License: "MIT"}
	list := []Factor{
		{Module: "single_blocks.0.linear2", A: random(1, 3, 5*width), B: random(2, width, 3), Alpha: 6},
		{Module: "final_layer.linear", A: random(3, 1, width), B: random(4, 4, 1)},
		{Module: "double_blocks.1.img_attn.qkv", A: random(5, 2, width), B: random(6, 3*width, 2)},
		{Part: CLIP, Module: "text_model.encoder.layers.0.mlp.fc1", A: random(7, 4, 2), B: random(8, 3, 4), Alpha: 2},
		{Part: T5, Module: "encoder.block.0.layer.0.SelfAttention.q", A: random(9, 4, 2), B: random(10, 3, 4)},
	}
	for _, format := range []string{Kohya, Diffusers} {
		m, err := about.Metadata(format, "ab12", list...)
		if err != nil {
			t.Fatal(err)
		}
		if got := ReadAbout(m); got.Title != "Frogs" || got.Architecture != FluxDev || got.Resolution != "64x48" ||
			!slices.Equal(got.Triggers, about.Triggers) || m["modelspec.hash_sha256"] != "0xab12" {
			t.Errorf("%s: %+v of %v", format, got, m)
		}
		tensors, err := Named(format, list...)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse("x", memory(tensors), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		low, high := f.Alpha()
		if format == Diffusers && (low != 1 || high != 1) || f.Modules(T5) != 1 || f.Modules(CLIP) != 1 {
			t.Errorf("%s: %s, alpha/rank %v to %v; settings %s", format, f, low, high, m[metadataKey])
		}
		base := memory{{Name: "final_layer.linear.weight", Tensor: random(11, 4, width)},
			{Name: "single_blocks.0.linear2.weight", Tensor: random(12, width, 5*width)},
			{Name: "double_blocks.1.img_attn.qkv.weight", Tensor: random(13, 3*width, width)}}
		l, err := Over(base, Layer{File: f, Scale: 1})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, format, readAll(t, l, base[0].Name), product(base[0].Tensor, list[1], 1))
		compare(t, format, readAll(t, l, base[1].Name), product(base[1].Tensor, list[0], 2))
		compare(t, format, readAll(t, l, base[2].Name), product(base[2].Tensor, list[2], 1))
	}
	if _, err := Named(Native, list...); err == nil || !strings.Contains(err.Error(), "no names for text encoders") {
		t.Errorf("text encoders in native's format: %v", err)
	}
}

// A card's front matter is YAML whatever a file says of itself.
func TestCard(t *testing.T) {
	about := About{Title: "Frogs", Architecture: FluxDev, Triggers: []string{`a "frog": #1`}, License: "x: y"}
	card := about.Card("${a}.safetensors", Diffusers)
	for _, want := range []string{
		"---\nbase_model: black-forest-labs/FLUX.1-dev\n", "\ninstance_prompt: \"a \\\"frog\\\": #1\"\n",
		"\nlicense_name: \"x: y\"\n---\n\n# Frogs\n",
		`source = "./$${a}.safetensors"`, `weight_name="${a}.safetensors"`,
	} {
		if !strings.Contains(card, want) {
			t.Errorf("the card has no %q:\n%s", want, card)
		}
	}
	if nano := (About{Title: "own", Architecture: "eligen-nano"}).Card("own.safetensors", Kohya); strings.Contains(nano, "FLUX") ||
		!strings.Contains(nano, "ComfyUI") {
		t.Errorf("of another base:\n%s", nano)
	}
}
