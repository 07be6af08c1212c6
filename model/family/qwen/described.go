package qwen

import (
	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/weights"
)

// describe returns Qwen-Image in a form, for estimates.
func describe(m eligen.Model, f family.Form, s family.Settings) (*family.Model, error) {
	n, err := s.DType(m, "bfloat16")
	if err != nil {
		return nil, err
	}
	dit := weights.Describe(weights.List(qwen.Image.Weights()), f.Transformer, "BF16")
	encoder := weights.Describe(weights.List(text.QwenVL7B.Weights()), f.Text, "BF16")
	coder := weights.Describe(weights.List(qwen.ImageCoder.Weights()), "F32", "F32")
	r := &family.Model{Spec: outline()}
	r.Spec.Family, r.Spec.DType, r.Spec.Computed = m.Family, n.Name, n.Rounded()
	r.Spec.Text, r.Spec.Transformer, r.Spec.Autoencoder = "described text", "described transformer", "described autoencoder"
	r.Encoders = &Text{Config: text.QwenVL7B, Loader: encoder, Numbers: n, Digest: r.Spec.Text}
	r.Transformer = &DiT{Config: qwen.Image, Loader: dit, Numbers: n, Digest: r.Spec.Transformer}
	r.Autoencoder = &Coder{Config: qwen.ImageCoder, Loader: coder}
	r.Files = dit.Size() + encoder.Size() + coder.Size()
	return r, nil
}
