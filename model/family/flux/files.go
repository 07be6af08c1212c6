package flux

import (
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/weights"
)

// The names that a FLUX model's parts have, in a repository and in a folder: the first one that is there
// counts. Those without a dot are folders of diffusers.
var (
	transformerNames = []string{"flux1-dev.safetensors", "flux1-schnell.safetensors", "flux1-*.safetensors", "transformer"}
	autoencoderNames = []string{"ae.safetensors", "vae"}
	clipNames        = []string{"text_encoder", "clip_l.safetensors"}
	t5Names          = []string{"text_encoder_2", "t5xxl_fp16.safetensors", "t5xxl*.safetensors"}
)

// Files says where the parts of a FLUX model lie.
type Files struct {
	Transformer, Autoencoder, CLIP, T5 string
}

// settings lists the files next to the weights that say how they are read.
func (l Files) settings() []string {
	return family.FolderSettings(l.Transformer, l.Autoencoder, l.CLIP, l.T5)
}

func (l *Files) parts() []family.Part {
	return []family.Part{
		{What: "transformer", Name: "transformer", Kind: weights.KindTransformer, At: &l.Transformer, Names: transformerNames},
		{What: "autoencoder", Name: "vae", Kind: weights.KindAutoencoder, At: &l.Autoencoder, Names: autoencoderNames},
		{What: "CLIP text encoder", Name: "clip", Kind: weights.KindCLIP, At: &l.CLIP, Names: clipNames},
		{What: "T5 text encoder", Name: "t5", Kind: weights.KindT5, At: &l.T5, Names: t5Names},
	}
}

// Find finds the parts of a FLUX model as users have them; see [family.FindParts]. path is the
// folder of a FLUX.1 repository (Black Forest Labs' single files or diffusers' folders), a folder
// of single files, or the transformer's own file.
func Find(path string, named map[string]string, beside func(part string) []string) (Files, error) {
	l := Files{}
	err := family.FindParts(path, l.parts(), named, beside)
	return l, err
}
