package qwen

import (
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/weights"
)

// Files says where the parts of a Qwen-Image model lie.
type Files struct {
	Transformer, Text, Autoencoder string
}

func (l *Files) parts() []family.Part {
	return []family.Part{
		{What: "transformer", Name: "transformer", Kind: weights.KindQwenDiT, At: &l.Transformer, Names: []string{"transformer",
			"qwen_image_fp8*.safetensors", "qwen_image_bf16.safetensors"}},
		{What: "text encoder", Name: eligen.PartText, Kind: weights.KindQwenVL, At: &l.Text, Names: []string{"text_encoder",
			"qwen_2.5_vl_7b*.safetensors"}},
		{What: "autoencoder", Name: eligen.PartVAE, Kind: weights.KindQwenCode, At: &l.Autoencoder, Names: []string{"vae",
			"qwen_image_vae.safetensors"}},
	}
}

// Find finds the parts of a Qwen-Image model as users have them; see [family.FindParts]. path is the
// folder of a diffusers repository, a folder of single files (ComfyUI's), or the transformer's own file.
func Find(path string, named map[string]string, beside func(part string) []string) (Files, error) {
	l := Files{}
	err := family.FindParts(path, l.parts(), named, beside)
	return l, err
}

// Wanted returns the files of a repository that a Qwen-Image model needs; nil where it holds none, as
// diffusers publishes it.
func Wanted(names []string) (wanted []string) {
	if !slices.Contains(names, "model_index.json") || !slices.ContainsFunc(names, func(n string) bool {
		return strings.HasPrefix(n, "transformer/")
	}) || !slices.Contains(names, "tokenizer/merges.txt") || !slices.Contains(names, "tokenizer/added_tokens.json") {
		return nil
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "text_encoder_2/") }) {
		return nil // FLUX.1 and others have two
	}
	for _, n := range names {
		folder, file, _ := strings.Cut(n, "/")
		switch {
		case slices.Contains([]string{"transformer", "text_encoder", "vae"}, folder) &&
			(strings.HasSuffix(file, ".safetensors") || strings.HasSuffix(file, ".safetensors.index.json") || file == "config.json"),
			slices.Contains([]string{"tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/added_tokens.json"}, n),
			strings.HasPrefix(n, "LICENSE"):
			wanted = append(wanted, n)
		}
	}
	slices.Sort(wanted)
	return wanted
}
