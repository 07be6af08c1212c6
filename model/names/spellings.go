package names

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The kinds of networks that files hold.
const (
	DiT         = "transformer" // FLUX's
	Autoencoder = "autoencoder" // FLUX's, with 16 channels
	CLIP        = "clip"        // text encoder
	T5          = "t5"          // text encoder
	SigLIP      = "siglip"      // vision tower, that image prompts are read by
	IPAdapter   = "ip-adapter"  // for FLUX

	QwenDiT  = "transformer of Qwen-Image"
	QwenVL   = "text encoder of Qwen-Image" // Qwen2.5-VL
	QwenCode = "autoencoder of Qwen-Image"  // Wan's
)

// Qwen reports whether a kind is one of Qwen-Image's.
func Qwen(kind string) bool { return kind == QwenDiT || kind == QwenVL || kind == QwenCode }

// A Spelling is how files name the tensors of a kind of network.
type Spelling struct {
	Kind   string
	Format string   // whose names they are: "bfl", "diffusers", "hf", "llama.cpp", "instantx"
	Marks  []string // names that together are in no other kind's files
	Into   string   // what the models' names have before those of the file
}

// spellings are all spellings that are read, and of two that fit the same tensors the one that counts first.
var spellings = []Spelling{
	{Kind: QwenDiT, Format: "diffusers", Marks: []string{"txt_norm.weight", "img_in.weight", "transformer_blocks.0.img_mod.1.weight"}},
	{Kind: QwenVL, Format: "hf", Marks: []string{"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.bias"}},
	{Kind: QwenVL, Format: "hf", Marks: []string{"model.language_model.embed_tokens.weight",
		"model.language_model.layers.0.self_attn.q_proj.bias"}},
	{Kind: QwenCode, Format: "diffusers", Marks: []string{"decoder.up_blocks.0.resnets.0.norm1.gamma", "encoder.down_blocks.0.norm1.gamma"}},
	{Kind: QwenCode, Format: "wan", Marks: []string{"decoder.upsamples.0.residual.0.gamma", "encoder.downsamples.0.residual.0.gamma"}},
	{Kind: DiT, Format: "bfl", Marks: []string{"img_in.weight", "txt_in.weight"}},
	{Kind: DiT, Format: "diffusers", Marks: []string{"x_embedder.weight", "context_embedder.weight"}},
	{Kind: Autoencoder, Format: "diffusers", Marks: []string{"decoder.conv_in.weight", "encoder.conv_in.weight",
		"encoder.down_blocks.0.resnets.0.conv1.weight"}},
	{Kind: Autoencoder, Format: "bfl", Marks: []string{"decoder.conv_in.weight", "encoder.conv_in.weight"}},
	{Kind: SigLIP, Format: "hf", Marks: []string{"vision_model.head.probe"}}, // CLIP's vision towers have none
	{Kind: IPAdapter, Format: "instantx", Marks: []string{"ip_adapter.0.to_k_ip.weight"}},
	{Kind: CLIP, Format: "hf", Marks: []string{"text_model.embeddings.token_embedding.weight"}},
	{Kind: CLIP, Format: "hf", Marks: []string{"embeddings.token_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight"},
		Into: "text_model."},
	{Kind: T5, Format: "hf", Marks: []string{"encoder.block.0.layer.0.SelfAttention.q.weight"}},
	{Kind: T5, Format: "llama.cpp", Marks: []string{"enc.blk.0.attn_q.weight"}},
}

// A Found is a network in a file: its tensors are those whose names begin with Prefix.
type Found struct {
	Spelling
	Prefix string
}

// Find finds the networks among a file's tensors.
func Find(has map[string]bool) (list []Found) {
	sorted := make([]string, 0, len(has))
	for name := range has {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	taken := map[string]bool{}
	for _, s := range spellings {
		for _, name := range sorted {
			prefix, ok := strings.CutSuffix(name, s.Marks[0])
			if !ok || prefix != "" && !strings.HasSuffix(prefix, ".") || s.Into != "" && strings.HasSuffix(prefix, s.Into) {
				continue
			}
			for _, m := range s.Marks[1:] {
				ok = ok && has[prefix+m]
			}
			place := prefix + " " + s.Kind
			other := map[string]string{CLIP: SigLIP, DiT: QwenDiT, Autoencoder: QwenCode}[s.Kind]
			if taken[prefix+" "+other] || !ok || taken[place] {
				continue
			}
			taken[place] = true
			list = append(list, Found{s, prefix})
		}
	}
	return list
}

// unread are the tensors of each kind's files that no model asks for; a dot at the end stands for all that begin so,
// dots at both ends for all that have it within.
var unread = map[string][]string{
	SigLIP: {"text_model.", "logit_scale", "logit_bias"},
	CLIP: {"text_model.embeddings.position_ids", "text_projection.weight", "text_projection", "visual_projection.weight",
		"vision_model.", "logit_scale"},
	T5:       {"decoder.", "lm_head.weight", "spiece_model", "dec.", "output.weight"},
	QwenVL:   {"visual.", "lm_head.weight"},
	QwenCode: {".time_conv."}, // of films
}

// Unread reports whether no model asks for a tensor of a kind's file.
func Unread(kind, name string) bool {
	return slices.ContainsFunc(unread[kind], func(u string) bool {
		return name == u || strings.HasSuffix(u, ".") && strings.HasPrefix(name, u) || strings.HasPrefix(u, ".") && strings.Contains(name, u)
	})
}

// markers are the last parts of names that say something of a file, and are no weights.
var markers = []string{"scaled_fp8", "spiece_model", "logit_scale", "position_ids"}

// Marker reports whether a tensor says something of a file, and is no weight of any network.
func Marker(name string) bool { return slices.Contains(markers, name[strings.LastIndex(name, ".")+1:]) }

// A Role is what a tensor does for a weight that is quantised.
type Role int

// The roles.
const (
	NoRole     Role = iota
	Scale           // the weight is multiplied by it
	Settings        // JSON: the format, and how it is meant
	InputScale      // of a layer's input or output, for products in 8 bits
	Maxima          // of bitsandbytes' int8: what 127 stands for in each row
	Layout          // of bitsandbytes' int8: how its rows lie, 0 for one after the other
	Absmax          // of bitsandbytes' 4 bits: a scale a block
	Levels          // what codes stand for
	State           // JSON: shape, block and type
	NestedAbsmax
	NestedLevels
)

// roles are the ends of the names of a quantised weight's companions. The weight's own name is what
// is before, with ".weight" where it isn't there.
var roles = []struct {
	end  string
	role Role
}{
	{".scale_weight", Scale}, {".weight_scale", Scale}, {".comfy_quant", Settings}, {".scale_input", InputScale},
	{".input_scale", InputScale}, {".output_scale", InputScale}, {".weight._scale", Scale}, {".SCB", Maxima}, {".weight_format", Layout},
	{".weight.absmax", Absmax}, {".weight.quant_map", Levels},
	{".weight.quant_state.bitsandbytes__nf4", State}, {".weight.quant_state.bitsandbytes__fp4", State},
	{".weight.nested_absmax", NestedAbsmax}, {".weight.nested_quant_map", NestedLevels},
}

// Companion says which weight a tensor belongs to, and what it does for it.
func Companion(name string) (weight string, role Role) {
	for _, r := range roles {
		if layer, ok := strings.CutSuffix(name, r.end); ok {
			return layer + ".weight", r.role
		}
	}
	return "", NoRole
}

// Whole returns a tensor's name without what optimum-quanto puts behind the name of a weight that has a scale a row.
// Weights of fewer bits have a shift a group too, and keep their names.
func Whole(name string, has func(name string) bool) string {
	if weight, ok := strings.CutSuffix(name, "._data"); ok && has(weight+"._scale") && !has(weight+"._shift") {
		return weight
	}
	return name
}

// inBlock are llama.cpp's names in a block of T5, and Hugging Face's.
var inBlock = map[string]string{
	"attn_q": "0.SelfAttention.q", "attn_k": "0.SelfAttention.k", "attn_v": "0.SelfAttention.v", "attn_o": "0.SelfAttention.o",
	"attn_rel_b": "0.SelfAttention.relative_attention_bias", "attn_norm": "0.layer_norm",
	"ffn_gate": "1.DenseReluDense.wi_0", "ffn_up": "1.DenseReluDense.wi_1", "ffn_down": "1.DenseReluDense.wo",
	"ffn_norm": "1.layer_norm",
}

var llamaBlock = regexp.MustCompile(`^enc\.blk\.(\d{1,4})\.(\w+)\.weight$`)

// T5HF returns Hugging Face's name for llama.cpp's name of a tensor of T5's encoder, or false where
// there is none.
func T5HF(name string) (string, bool) {
	switch name {
	case "token_embd.weight":
		return "shared.weight", true
	case "enc.output_norm.weight":
		return "encoder.final_layer_norm.weight", true
	}
	m := llamaBlock.FindStringSubmatch(name)
	if m == nil || inBlock[m[2]] == "" {
		return "", false
	}
	n, err := strconv.Atoi(m[1])
	return fmt.Sprintf("encoder.block.%d.layer.%s.weight", n, inBlock[m[2]]), err == nil
}

// T5Llama returns llama.cpp's name for Hugging Face's name of a tensor of T5's encoder, and any other name
// as it is.
func T5Llama(name string) string {
	switch name {
	case "shared.weight":
		return "token_embd.weight"
	case "encoder.final_layer_norm.weight":
		return "enc.output_norm.weight"
	}
	rest, ok := strings.CutPrefix(name, "encoder.block.")
	number, rest, ok2 := strings.Cut(rest, ".layer.")
	for llama, hf := range inBlock {
		if ok && ok2 && rest == hf+".weight" {
			return "enc.blk." + number + "." + llama + ".weight"
		}
	}
	return name
}
