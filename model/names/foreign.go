package names

import (
	"fmt"
	"slices"
	"strings"
)

// A foreigner is a model that eligen doesn't run. Its files have names that hold each of the marks.
type foreigner struct {
	name  string
	marks []string
}

// foreigners are told by what FLUX.1's files don't have, the special ones first.
var foreigners = []foreigner{
	{"FLUX.1 quantised by nunchaku (SVDQuant; its layers have a qweight)", []string{".qweight", ".wscales"}},
	{"quantised by GPTQ or AWQ (its layers have a qweight)", []string{".qweight", ".qzeros"}},
	{"quantised by optimum-quanto to 4 or 2 bits (weight._shift)", []string{".weight._data", ".weight._shift"}},
	{"Chroma", []string{"distilled_guidance_layer."}},
	{"FLUX.2", []string{"double_stream_modulation_img."}},
	{"FLUX.2's autoencoder", []string{"bn.running_mean", "decoder.conv_in.weight"}},
	{"HunyuanVideo", []string{"individual_token_refiner."}},
	{"a ControlNet, which eligen doesn't use", []string{"controlnet_"}},
	{"a ControlNet, which eligen doesn't use", []string{"control_model.input_blocks."}},
	{"FLUX.1 Redux's image encoder", []string{"redux_up."}},
	{"PuLID, an adapter that eligen doesn't use", []string{"pulid_ca."}},
	{"an IP-Adapter in XLabs' layout; eligen uses InstantX's", []string{"ip_adapter_proj_model."}},
	{"Stable Diffusion XL", []string{"input_blocks.", "conditioner.embedders."}},
	{"Stable Diffusion XL (input_blocks)", []string{"input_blocks.", "label_emb."}},
	{"Stable Diffusion XL", []string{"down_blocks.0.resnets.", "add_embedding.", "time_embedding."}},
	{"Stable Diffusion (input_blocks)", []string{"input_blocks.0.", "output_blocks."}},
	{"Stable Diffusion (input_blocks)", []string{"model.diffusion_model.input_blocks."}},
	{"Stable Diffusion", []string{"down_blocks.0.resnets.", "time_embedding.linear_1."}},
	{"Stable Diffusion 3", []string{"joint_blocks."}},
	{"Stable Diffusion 3", []string{"pos_embed.proj.weight", "context_embedder.weight"}},
	{"HiDream-I1", []string{"double_stream_blocks.", "caption_projection."}},
	{"AuraFlow", []string{"joint_transformer_blocks."}},
	{"AuraFlow", []string{"double_layers.0.", "single_layers.0."}},
	{"Z-Image or Lumina 2", []string{"cap_embedder.", "noise_refiner."}},
	{"LTX-Video", []string{"patchify_proj."}},
	{"PixArt", []string{"adaln_single.", "caption_projection."}},
	{"Wan", []string{"patch_embedding.weight", "text_embedding.0."}},
	{"Wan's autoencoder, in another form", []string{"decoder.upsamples.0.", "decoder.middle.0."}},
	{"the autoencoder of Stable Diffusion, of other channels than FLUX's", []string{"quant_conv.weight", "decoder.conv_in.weight"}},
	{"UMT5, another model's text encoder", []string{"encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"}},
	{"UMT5, another model's text encoder", []string{"enc.blk.1.attn_rel_b.weight"}},
	{"OpenCLIP's text encoder, another model's", []string{"transformer.resblocks.0.", "token_embedding.weight"}},
	{"a language model", []string{"layers.0.self_attn.q_proj.weight", "layers.0.mlp.gate_proj.weight"}},
	{"a language model", []string{"^blk.0.attn_q.weight", "^output_norm.weight"}},
}

// quantisers are the foreigners that may have LoRAs' names in them.
const quantisers = 3

// Quantised names a quantisation of FLUX.1 that eligen doesn't read, by a file's names; "" is none.
func Quantised(has map[string]bool) string { return match(has, foreigners[:quantisers]) }

// Foreign names the model whose file it is, by the names of its tensors, where eligen doesn't run it; "" is none.
func Foreign(has map[string]bool) string { return match(has, foreigners) }

func match(has map[string]bool, list []foreigner) string {
	for _, f := range list {
		all := true
		for _, mark := range f.marks {
			all = all && anywhere(has, mark)
		}
		if all {
			return f.name
		}
	}
	return ""
}

// anywhere reports whether a name holds a mark that begins where a part of the name does: with ^ the name itself.
func anywhere(has map[string]bool, mark string) bool {
	if name, ok := strings.CutPrefix(mark, "^"); ok {
		return has[name]
	}
	inner := "." + strings.TrimPrefix(mark, ".")
	for name := range has {
		if strings.HasPrefix(name, mark) || strings.Contains(name, inner) {
			return true
		}
	}
	return false
}

// architectures are other models, as their GGUF files call them.
var architectures = []string{"sd1", "sdxl", "sd3", "aura", "ltxv", "hyvid", "wan", "hidream", "cosmos", "lumina2", "qwen_image",
	"chroma", "flux2", "z_image", "llama", "qwen2", "qwen2vl", "qwen3", "qwen3vl", "gemma2", "gemma3", "mistral3", "clip-vision", "umt5"}

// ForeignArchitecture reports whether a GGUF file says itself that it is another model's.
func ForeignArchitecture(name string) bool { return slices.Contains(architectures, name) }

// Variant names the FLUX.1 that takes more than the picture's latents, by the inputs of its img_in and
// the outputs of its final layer, which are the latents'; "" is a plain one.
func Variant(in, out int) string {
	const plain = 64 // 16 channels of 2×2 cells
	if out == 0 {
		if in != 2*plain && in != 6*plain {
			return ""
		}
		out = plain
	}
	switch in {
	case out:
		return ""
	case 6 * out: // the latents, those of the masked picture, and the mask's 8×8 pixels a cell of latents
		return fmt.Sprintf("FLUX.1 Fill: its img_in has %d inputs, where FLUX.1 has %d", in, out)
	case 2 * out:
		return fmt.Sprintf("FLUX.1 Depth or Canny, which take a control picture: its img_in has %d inputs, where FLUX.1 has %d", in, out)
	}
	return fmt.Sprintf("not FLUX.1 [dev] or [schnell]: its img_in has %d inputs, its final layer %d outputs", in, out)
}
