package names

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// QwenModules lists the linear layers of Qwen-Image's transformer in the order of the data. Its
// published names are diffusers', and everybody uses them.
func QwenModules(blocks int) (list []Module) {
	add := func(name string) { list = append(list, Module{BFL: name, Native: name, Diffusers: []string{name}}) }
	add("img_in")
	add("txt_in")
	add("time_text_embed.timestep_embedder.linear_1")
	add("time_text_embed.timestep_embedder.linear_2")
	for i := range blocks {
		for _, name := range []string{
			"img_mod.1", "txt_mod.1", "attn.to_q", "attn.to_k", "attn.to_v", "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj",
			"attn.to_out.0", "attn.to_add_out", "img_mlp.net.0.proj", "img_mlp.net.2", "txt_mlp.net.0.proj", "txt_mlp.net.2",
		} {
			add(fmt.Sprintf("transformer_blocks.%d.%s", i, name))
		}
	}
	add("norm_out.linear")
	add("proj_out")
	return list
}

// QwenText returns the published name of a tensor of Qwen2.5-VL; newer releases of transformers
// have another word in it.
func QwenText(name string) string {
	for _, part := range []string{"model.language_model.", "language_model.model."} {
		if rest, ok := strings.CutPrefix(name, part); ok {
			return "model." + rest
		}
	}
	if rest, ok := strings.CutPrefix(name, "model.visual."); ok {
		return "visual." + rest
	}
	return name
}

// wanParts are Wan's words for the parts of its autoencoder, and diffusers' for them.
var wanParts = []struct {
	wan *regexp.Regexp
	to  string
}{
	{regexp.MustCompile(`^conv1\.`), "quant_conv."},
	{regexp.MustCompile(`^conv2\.`), "post_quant_conv."},
	{regexp.MustCompile(`^(encoder|decoder)\.conv1\.`), "$1.conv_in."},
	{regexp.MustCompile(`^(encoder|decoder)\.head\.0\.`), "$1.norm_out."},
	{regexp.MustCompile(`^(encoder|decoder)\.head\.2\.`), "$1.conv_out."},
	{regexp.MustCompile(`^(encoder|decoder)\.middle\.0\.`), "$1.mid_block.resnets.0."},
	{regexp.MustCompile(`^(encoder|decoder)\.middle\.1\.`), "$1.mid_block.attentions.0."},
	{regexp.MustCompile(`^(encoder|decoder)\.middle\.2\.`), "$1.mid_block.resnets.1."},
	{regexp.MustCompile(`^encoder\.downsamples\.(\d+)\.`), "encoder.down_blocks.$1."},
	{regexp.MustCompile(`\.residual\.0\.gamma$`), ".norm1.gamma"},
	{regexp.MustCompile(`\.residual\.2\.`), ".conv1."},
	{regexp.MustCompile(`\.residual\.3\.gamma$`), ".norm2.gamma"},
	{regexp.MustCompile(`\.residual\.6\.`), ".conv2."},
	{regexp.MustCompile(`\.shortcut\.`), ".conv_shortcut."},
}

var wanUp = regexp.MustCompile(`^decoder\.upsamples\.(\d+)\.(resample|time_conv)?`)

// QwenAutoencoder returns diffusers' name of a tensor of the autoencoder, for its own or Wan's. Wan
// numbers the decoder's blocks through, of which each level has some and one that enlarges.
func QwenAutoencoder(name string, blocks int) string {
	for _, p := range wanParts {
		name = p.wan.ReplaceAllString(name, p.to)
	}
	m := wanUp.FindStringSubmatch(name)
	if m == nil {
		return name
	}
	n, _ := strconv.Atoi(m[1])
	rest := strings.TrimPrefix(name, "decoder.upsamples."+m[1]+".")
	level, at := n/(blocks+1), n%(blocks+1)
	if m[2] != "" {
		return fmt.Sprintf("decoder.up_blocks.%d.upsamplers.0.%s", level, rest)
	}
	return fmt.Sprintf("decoder.up_blocks.%d.resnets.%d.%s", level, at, rest)
}
