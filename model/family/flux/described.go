package flux

import (
	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/weights"
)

// describe returns FLUX.1 [dev] in a form, for estimates.
func describe(m eligen.Model, f family.Form, s family.Settings) (*family.Model, error) {
	n, err := s.DType(m, "bfloat16")
	if err != nil {
		return nil, err
	}
	dit := weights.Describe(weights.List(flux.Dev.Weights()), f.Transformer, "BF16")
	t5 := weights.Describe(weights.List(text.T5XXL.Weights()), f.Text, "BF16")
	clip := weights.Describe(weights.List(text.CLIPViTL14.Weights()), "F16", "F16")
	ae := weights.Describe(weights.List(vae.Flux.Weights()), "F32", "F32")
	p := parts{ditConfig: flux.Dev, aeConfig: vae.Flux, TextConfig: fluxmodel.TextConfig{T5: text.T5XXL, CLIP: text.CLIPViTL14}}
	tokens := fluxmodel.Checked(p.TextConfig, func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, err := text.EmbeddedT5()
		if err != nil {
			return nil, nil, err
		}
		clip, err := text.EmbeddedCLIP()
		return t5, clip, err
	})
	r := &family.Model{Spec: spec(p, tokens)}
	r.Spec.Family, r.Spec.DType, r.Spec.Computed = m.Family, n.Name, n.Rounded()
	r.Spec.Text, r.Spec.Transformer, r.Spec.Autoencoder = "described text", "described transformer", "described autoencoder"
	r.Encoders = &fluxmodel.Text{TextConfig: p.TextConfig, T5Weights: t5, CLIPWeights: clip, Tokens: tokens, Numbers: n,
		Digest: r.Spec.Text, EntityLength: r.Spec.EntityPrompt.Length}
	r.Transformer = &fluxmodel.DiT{Config: flux.Dev, Loader: dit, Numbers: n, Digest: r.Spec.Transformer}
	r.Autoencoder = &fluxmodel.VAE{Config: vae.Flux, Loader: ae}
	r.Files = dit.Size() + t5.Size() + clip.Size() + ae.Size()
	return r, nil
}
