// Package names knows what the tensors of FLUX.1 are called: by Black Forest
// Labs, whose names this project uses everywhere, by Hugging Face's diffusers,
// and in the LoRA files of DiffSynth-Studio and of kohya's trainer.
package names

import (
	"fmt"
	"strconv"
	"strings"
)

// A Module is a linear layer, or a norm's scale, of the transformer.
type Module struct {
	BFL       string   // "double_blocks.0.img_attn.qkv"
	Native    string   // DiffSynth's: "blocks.0.attn.a_to_qkv"
	Diffusers []string // parts whose rows are stacked: "transformer_blocks.0.attn.to_q", … "to_k", … "to_v"
	Swap      bool     // diffusers has the two halves of the rows the other way round
	Norm      bool     // no linear layer but a scale: ".scale" by BFL, ".weight" by the others
}

// Underlined returns the module's name as kohya's LoRA files have it behind a prefix.
func (m Module) Underlined() string { return strings.ReplaceAll(m.BFL, ".", "_") }

// PartRows returns the rows of the module's weight [out, in] that hold part i of
// Diffusers. Queries, keys and values are as wide as the input.
func (m Module) PartRows(i int, shape []int) (from, to int) {
	if len(m.Diffusers) == 1 {
		return 0, shape[0]
	}
	if i < 3 {
		return i * shape[1], (i + 1) * shape[1]
	}
	return 3 * shape[1], shape[0]
}

// conditioning lists the modules in front of the blocks.
func conditioning(guidance bool) []Module {
	list := []Module{
		{BFL: "img_in", Native: "x_embedder", Diffusers: []string{"x_embedder"}},
		{BFL: "txt_in", Native: "context_embedder", Diffusers: []string{"context_embedder"}},
		{BFL: "time_in.in_layer", Native: "time_embedder.timestep_embedder.0", Diffusers: []string{"time_text_embed.timestep_embedder.linear_1"}},
		{BFL: "time_in.out_layer", Native: "time_embedder.timestep_embedder.2",
			Diffusers: []string{"time_text_embed.timestep_embedder.linear_2"}},
	}
	if guidance {
		list = append(list,
			Module{BFL: "guidance_in.in_layer", Native: "guidance_embedder.timestep_embedder.0",
				Diffusers: []string{"time_text_embed.guidance_embedder.linear_1"}},
			Module{BFL: "guidance_in.out_layer", Native: "guidance_embedder.timestep_embedder.2",
				Diffusers: []string{"time_text_embed.guidance_embedder.linear_2"}})
	}
	return append(list,
		Module{BFL: "vector_in.in_layer", Native: "pooled_text_embedder.0", Diffusers: []string{"time_text_embed.text_embedder.linear_1"}},
		Module{BFL: "vector_in.out_layer", Native: "pooled_text_embedder.2", Diffusers: []string{"time_text_embed.text_embedder.linear_2"}})
}

// Modules lists the transformer's modules in the order of the data.
func Modules(double, single int, guidance bool) []Module {
	list := conditioning(guidance)
	for i := range double {
		add := func(bfl, native string, diffusers ...string) {
			m := Module{BFL: fmt.Sprintf("double_blocks.%d.%s", i, bfl), Native: fmt.Sprintf("blocks.%d.%s", i, native),
				Norm: strings.HasSuffix(bfl, "_norm")}
			for _, d := range diffusers {
				m.Diffusers = append(m.Diffusers, fmt.Sprintf("transformer_blocks.%d.%s", i, d))
			}
			list = append(list, m)
		}
		for _, s := range []struct{ bfl, native, mod, qkv, q, proj, ff string }{
			{"img", "a", "norm1", "attn.to_%s", "attn.norm_%s", "attn.to_out.0", "ff"},
			{"txt", "b", "norm1_context", "attn.add_%s_proj", "attn.norm_added_%s", "attn.to_add_out", "ff_context"},
		} {
			add(s.bfl+"_mod.lin", "norm1_"+s.native+".linear", s.mod+".linear")
			add(s.bfl+"_attn.qkv", "attn."+s.native+"_to_qkv", fmt.Sprintf(s.qkv, "q"), fmt.Sprintf(s.qkv, "k"), fmt.Sprintf(s.qkv, "v"))
			add(s.bfl+"_attn.norm.query_norm", "attn.norm_q_"+s.native, fmt.Sprintf(s.q, "q"))
			add(s.bfl+"_attn.norm.key_norm", "attn.norm_k_"+s.native, fmt.Sprintf(s.q, "k"))
			add(s.bfl+"_attn.proj", "attn."+s.native+"_to_out", s.proj)
			add(s.bfl+"_mlp.0", "ff_"+s.native+".0", s.ff+".net.0.proj")
			add(s.bfl+"_mlp.2", "ff_"+s.native+".2", s.ff+".net.2")
		}
	}
	for i := range single {
		add := func(bfl, native string, diffusers ...string) {
			m := Module{BFL: fmt.Sprintf("single_blocks.%d.%s", i, bfl), Native: fmt.Sprintf("single_blocks.%d.%s", i, native),
				Norm: strings.HasSuffix(bfl, "_norm")}
			for _, d := range diffusers {
				m.Diffusers = append(m.Diffusers, fmt.Sprintf("single_transformer_blocks.%d.%s", i, d))
			}
			list = append(list, m)
		}
		add("modulation.lin", "norm.linear", "norm.linear")
		add("linear1", "to_qkv_mlp", "attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
		add("norm.query_norm", "norm_q_a", "attn.norm_q")
		add("norm.key_norm", "norm_k_a", "attn.norm_k")
		add("linear2", "proj_out", "proj_out")
	}
	return append(list,
		// BFL's rows are shift, then scale; diffusers' are scale, then shift.
		Module{BFL: "final_layer.adaLN_modulation.1", Native: "final_norm_out.linear", Diffusers: []string{"norm_out.linear"}, Swap: true},
		Module{BFL: "final_layer.linear", Native: "final_proj_out", Diffusers: []string{"proj_out"}})
}

// A Tensor is one tensor of a checkpoint under both names.
type Tensor struct {
	BFL       string
	Diffusers []string // stacked along the first axis
	Swap      bool     // as in Module
}

// Transformer lists the transformer's tensors in the order of the data.
func Transformer(double, single int, guidance bool) []Tensor {
	var list []Tensor
	for _, m := range Modules(double, single, guidance) {
		if m.Norm {
			list = append(list, Tensor{BFL: m.BFL + ".scale", Diffusers: []string{m.Diffusers[0] + ".weight"}})
			continue
		}
		for _, suffix := range []string{".weight", ".bias"} {
			t := Tensor{BFL: m.BFL + suffix, Swap: m.Swap}
			for _, d := range m.Diffusers {
				t.Diffusers = append(t.Diffusers, d+suffix)
			}
			list = append(list, t)
		}
	}
	return list
}

// Blocks counts a checkpoint's blocks, by BFL's or by diffusers' names.
func Blocks(has func(name string) bool) (double, single int) {
	count := func(formats ...string) int {
		n := 0
		for {
			found := false
			for _, f := range formats {
				found = found || has(fmt.Sprintf(f, n))
			}
			if !found {
				return n
			}
			n++
		}
	}
	return count("double_blocks.%d.img_attn.qkv.weight", "transformer_blocks.%d.attn.to_q.weight"),
		count("single_blocks.%d.linear1.weight", "single_transformer_blocks.%d.attn.to_q.weight")
}

// AutoencoderBFL returns BFL's name for diffusers' name of a tensor of an
// autoencoder with so many levels of resolution, or false where diffusers has
// no such name. Both number the encoder's levels from the finest; BFL numbers
// the decoder's in the same way, diffusers in the order they run.
func AutoencoderBFL(name string, levels int) (string, bool) {
	p := strings.Split(name, ".")
	if len(p) < 3 {
		return "", false
	}
	half, suffix := p[0], p[len(p)-1]
	number := func(i int) (int, bool) {
		if i >= len(p) {
			return 0, false
		}
		n, err := strconv.Atoi(p[i])
		return n, err == nil && n >= 0
	}
	part := func(s string) string {
		if s == "conv_shortcut" {
			return "nin_shortcut"
		}
		return s
	}
	join := func(s ...string) (string, bool) { return strings.Join(append(s, suffix), "."), true }
	switch {
	case len(p) == 3 && p[1] == "conv_norm_out":
		return join(half, "norm_out")
	case len(p) == 3 && (p[1] == "conv_in" || p[1] == "conv_out"):
		return name, true
	case p[1] == "mid_block" && len(p) == 6 && p[2] == "resnets":
		n, ok := number(3)
		if !ok {
			return "", false
		}
		return join(half, "mid", fmt.Sprintf("block_%d", n+1), part(p[4]))
	case p[1] == "mid_block" && len(p) >= 6 && p[2] == "attentions" && p[3] == "0":
		to := map[string]string{"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
		if s, ok := to[strings.Join(p[4:len(p)-1], ".")]; ok {
			return join(half, "mid", "attn_1", s)
		}
	case (p[1] == "down_blocks" || p[1] == "up_blocks") && len(p) == 7:
		level, ok := number(2)
		n, ok2 := number(4)
		if !ok || !ok2 || level >= levels {
			return "", false
		}
		side := "down"
		if p[1] == "up_blocks" {
			side, level = "up", levels-1-level
		}
		switch p[3] {
		case "resnets":
			return join(half, side, strconv.Itoa(level), "block", strconv.Itoa(n), part(p[5]))
		case "downsamplers", "upsamplers":
			return join(half, side, strconv.Itoa(level), strings.TrimSuffix(p[3], "rs"), p[5])
		}
	}
	return "", false
}
