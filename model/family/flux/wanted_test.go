package flux

import (
	"slices"
	"strings"
	"testing"
)

// dev is what FLUX.1 [dev]'s repository holds.
const dev = `.gitattributes LICENSE.md README.md ae.safetensors dev_grid.jpg flux1-dev.safetensors model_index.json
	scheduler/scheduler_config.json text_encoder/config.json text_encoder/model.safetensors text_encoder_2/config.json
	text_encoder_2/model-00001-of-00002.safetensors text_encoder_2/model-00002-of-00002.safetensors
	text_encoder_2/model.safetensors.index.json tokenizer/merges.txt tokenizer/special_tokens_map.json tokenizer/tokenizer_config.json
	tokenizer/vocab.json tokenizer_2/special_tokens_map.json tokenizer_2/spiece.model tokenizer_2/tokenizer.json
	tokenizer_2/tokenizer_config.json transformer/config.json transformer/diffusion_pytorch_model-00001-of-00003.safetensors
	transformer/diffusion_pytorch_model-00002-of-00003.safetensors transformer/diffusion_pytorch_model-00003-of-00003.safetensors
	transformer/diffusion_pytorch_model.safetensors.index.json vae/config.json vae/diffusion_pytorch_model.safetensors`

// Of each part, one spelling is wanted: 34 GB of FLUX.1 [dev]'s 58.
func TestWanted(t *testing.T) {
	encoders := `text_encoder/config.json text_encoder/model.safetensors text_encoder_2/config.json
		text_encoder_2/model-00001-of-00002.safetensors text_encoder_2/model-00002-of-00002.safetensors
		text_encoder_2/model.safetensors.index.json tokenizer/merges.txt tokenizer/vocab.json tokenizer_2/tokenizer.json`
	without := func(names string, left ...string) string {
		return strings.Join(slices.DeleteFunc(strings.Fields(names), func(n string) bool { return slices.Contains(left, n) }), " ")
	}
	for _, c := range []struct{ name, has, want string }{
		{"FLUX.1 [dev]", dev, "LICENSE.md ae.safetensors flux1-dev.safetensors " + encoders},
		{"diffusers' folders alone", without(dev, "flux1-dev.safetensors", "ae.safetensors", "LICENSE.md"), encoders +
			` transformer/config.json transformer/diffusion_pytorch_model-00001-of-00003.safetensors
			transformer/diffusion_pytorch_model-00002-of-00003.safetensors transformer/diffusion_pytorch_model-00003-of-00003.safetensors
			transformer/diffusion_pytorch_model.safetensors.index.json vae/config.json vae/diffusion_pytorch_model.safetensors`},
		{"without a tokenizer's file", without(dev, "tokenizer/vocab.json", "LICENSE.md"), "ae.safetensors flux1-dev.safetensors " +
			without(encoders, "tokenizer/merges.txt", "tokenizer/vocab.json", "tokenizer_2/tokenizer.json")},
		{"single files", "flux1-schnell.safetensors ae.safetensors clip_l.safetensors t5xxl_fp16.safetensors t5xxl_fp8_e4m3fn.safetensors x.bin",
			"ae.safetensors clip_l.safetensors flux1-schnell.safetensors t5xxl_fp16.safetensors"},
		{"a half-precision variant", `transformer/a.safetensors vae/diffusion_pytorch_model.fp16.safetensors
			vae/diffusion_pytorch_model.safetensors model_bf16.safetensors other.safetensors`,
			"model_bf16.safetensors transformer/a.safetensors vae/diffusion_pytorch_model.safetensors"},
		{"a LoRA", "README.md model_bf16.safetensors", ""},
		{"several transformers", "flux1-fill.safetensors flux1-tools.safetensors ae.safetensors", ""},
		{"another model", "unet/config.json unet/diffusion_pytorch_model.safetensors vae/diffusion_pytorch_model.safetensors", ""},
	} {
		want := strings.Fields(c.want)
		slices.Sort(want)
		if got := Wanted(strings.Fields(c.has)); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, got, want)
		}
	}
}
