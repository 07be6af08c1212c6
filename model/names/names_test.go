package names

import (
	"strconv"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/vae"
)

// The table has exactly the tensors that the transformer's graph reads, in
// their order, and no name stands for two of them.
func TestTransformerIsComplete(t *testing.T) {
	for _, c := range []flux.Config{flux.Dev, flux.Schnell, flux.Nano} {
		list := Transformer(c.Double, c.Single, c.Guidance)
		want := map[string]bool{}
		for _, w := range c.Weights() {
			want[w.Name] = true
		}
		if len(list) != len(want) {
			t.Errorf("%d tensors, the graph reads %d", len(list), len(want))
		}
		seen := map[string]bool{}
		for _, x := range list {
			if !want[x.BFL] {
				t.Errorf("the graph doesn't read %s", x.BFL)
			}
			for _, d := range x.Diffusers {
				if seen[d] {
					t.Errorf("%s stands for two tensors", d)
				}
				seen[d] = true
			}
		}
	}
	dev := 0
	for _, m := range Modules(19, 38, true) {
		if !m.Norm && strings.Contains(m.BFL, "blocks.") {
			dev++
		}
	}
	if dev != 304 {
		t.Errorf("FLUX.1 has %d linear layers in its blocks, EliGen's LoRA was trained on 304", dev)
	}
}

func TestModuleNames(t *testing.T) {
	got := map[string]Module{}
	for _, m := range Modules(19, 38, true) {
		got[m.BFL] = m
	}
	for _, c := range []struct{ bfl, native, kohya, diffusers string }{
		{"double_blocks.18.txt_attn.qkv", "blocks.18.attn.b_to_qkv", "lora_unet_double_blocks_18_txt_attn_qkv",
			"transformer_blocks.18.attn.add_q_proj transformer_blocks.18.attn.add_k_proj transformer_blocks.18.attn.add_v_proj"},
		{"double_blocks.0.img_mlp.0", "blocks.0.ff_a.0", "lora_unet_double_blocks_0_img_mlp_0", "transformer_blocks.0.ff.net.0.proj"},
		{"double_blocks.3.txt_mod.lin", "blocks.3.norm1_b.linear", "lora_unet_double_blocks_3_txt_mod_lin",
			"transformer_blocks.3.norm1_context.linear"},
		{"double_blocks.3.txt_attn.proj", "blocks.3.attn.b_to_out", "lora_unet_double_blocks_3_txt_attn_proj",
			"transformer_blocks.3.attn.to_add_out"},
		{"single_blocks.37.linear1", "single_blocks.37.to_qkv_mlp", "lora_unet_single_blocks_37_linear1",
			"single_transformer_blocks.37.attn.to_q single_transformer_blocks.37.attn.to_k single_transformer_blocks.37.attn.to_v " +
				"single_transformer_blocks.37.proj_mlp"},
		{"final_layer.adaLN_modulation.1", "final_norm_out.linear", "lora_unet_final_layer_adaLN_modulation_1", "norm_out.linear"},
	} {
		m, ok := got[c.bfl]
		if !ok || m.Native != c.native || "lora_unet_"+m.Underlined() != c.kohya || strings.Join(m.Diffusers, " ") != c.diffusers {
			t.Errorf("%s is %+v, kohya %s", c.bfl, m, "lora_unet_"+m.Underlined())
		}
	}
	linear1 := got["single_blocks.0.linear1"]
	for i, want := range [][2]int{{0, 3072}, {3072, 6144}, {6144, 9216}, {9216, 21504}} {
		if from, to := linear1.PartRows(i, []int{21504, 3072}); from != want[0] || to != want[1] {
			t.Errorf("part %d of linear1 is rows %d to %d, want %v", i, from, to, want)
		}
	}
}

// Every name of the autoencoder goes to diffusers' and back.
func TestAutoencoderNames(t *testing.T) {
	levels := len(vae.Flux.Mult)
	seen := map[string]bool{}
	for _, w := range vae.Flux.Weights() {
		d, ok := autoencoderDiffusers(w.Name, levels)
		if !ok || seen[d] {
			t.Errorf("%s becomes %q", w.Name, d)
			continue
		}
		seen[d] = true
		if back, ok := AutoencoderBFL(d, levels); !ok || back != w.Name {
			t.Errorf("%s becomes %s, which becomes %s", w.Name, d, back)
		}
	}
	for bfl, want := range map[string]string{
		"decoder.up.3.block.0.conv1.weight":      "decoder.up_blocks.0.resnets.0.conv1.weight",
		"decoder.up.0.block.0.nin_shortcut.bias": "decoder.up_blocks.3.resnets.0.conv_shortcut.bias",
		"encoder.down.0.downsample.conv.weight":  "encoder.down_blocks.0.downsamplers.0.conv.weight",
		"decoder.mid.attn_1.proj_out.weight":     "decoder.mid_block.attentions.0.to_out.0.weight",
		"encoder.mid.block_2.norm1.weight":       "encoder.mid_block.resnets.1.norm1.weight",
		"encoder.norm_out.weight":                "encoder.conv_norm_out.weight",
	} {
		if got, _ := autoencoderDiffusers(bfl, levels); got != want {
			t.Errorf("%s becomes %s, want %s", bfl, got, want)
		}
	}
	for _, strange := range []string{"", "decoder", "decoder.up_blocks.9.resnets.0.conv1.weight",
		"decoder.up_blocks.x.resnets.0.conv1.weight", "encoder.mid_block.attentions.0.to_p.weight"} {
		if got, ok := AutoencoderBFL(strange, levels); ok {
			t.Errorf("%q becomes %s", strange, got)
		}
	}
}

// autoencoderDiffusers returns the inverse of AutoencoderBFL.
func autoencoderDiffusers(name string, levels int) (string, bool) {
	p := strings.Split(name, ".")
	if len(p) < 3 {
		return "", false
	}
	half, suffix := p[0], p[len(p)-1]
	part := func(s string) string {
		if s == "nin_shortcut" {
			return "conv_shortcut"
		}
		return s
	}
	join := func(s ...string) (string, bool) { return strings.Join(append(s, suffix), "."), true }
	switch {
	case len(p) == 3 && p[1] == "norm_out":
		return join(half, "conv_norm_out")
	case len(p) == 3 && (p[1] == "conv_in" || p[1] == "conv_out"):
		return name, true
	case p[1] == "mid" && len(p) == 5 && strings.HasPrefix(p[2], "block_"):
		n, err := strconv.Atoi(strings.TrimPrefix(p[2], "block_"))
		if err != nil || n < 1 {
			return "", false
		}
		return join(half, "mid_block", "resnets", strconv.Itoa(n-1), part(p[3]))
	case p[1] == "mid" && len(p) == 5 && p[2] == "attn_1":
		to := map[string]string{"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
		if s, ok := to[p[3]]; ok {
			return join(half, "mid_block", "attentions", "0", s)
		}
	case (p[1] == "down" || p[1] == "up") && len(p) >= 6:
		level, err := strconv.Atoi(p[2])
		if err != nil || level < 0 || level >= levels {
			return "", false
		}
		if p[1] == "up" {
			level = levels - 1 - level
		}
		side := p[1] + "_blocks"
		switch {
		case p[3] == "block" && len(p) == 7:
			return join(half, side, strconv.Itoa(level), "resnets", p[4], part(p[5]))
		case (p[3] == "downsample" || p[3] == "upsample") && len(p) == 6:
			return join(half, side, strconv.Itoa(level), p[3]+"rs", "0", p[4])
		}
	}
	return "", false
}
