// Package testfamily is a family of models for tests alone: the proof that a family is a
// folder and a line, and the guard that it stays so.
//
// Nothing of it is as in FLUX.1: one small text encoder without a vector of the whole
// prompt, text of its true length, latents of 6 channels and 4 pixels, image tokens of 3×3
// latents, one stream of blocks under one dense mask. Its weights are random, drawn from a
// seed by [Write]. It draws nothing that anybody would recognise; but what it draws
// depends on every prompt and every region, and on each only as EliGen's rule says.
package testfamily

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/weights"
)

// Sizes of the family's one model.
const (
	dim       = 24 // of text and image tokens
	heads     = 2
	blocks    = 2
	mlp       = 2 * dim
	timeDim   = 16
	channels  = 6
	factor    = 4
	patch     = 3
	maxText   = 12 // tokens of a prompt
	maxEntity = 8  // tokens of an entity's prompt
)

// Name is the family's.
const Name = "test"

// File is the one file of a model's weights, in the folder that a scene names.
const File = "model.safetensors"

// Geometry is how the family cuts pictures.
var Geometry = eligen.Geometry{Channels: channels, Factor: factor, Patch: patch}

// Family is what a table of families holds.
var Family = family.Family{
	Family:  eligen.Family{Name: Name, Source: "the folder of its weights"},
	Outline: outline,
	Resolve: resolve,
}

// outline holds of every model of the family.
func outline() eligen.Spec {
	return eligen.Spec{
		Geometry: Geometry, Native: eligen.Size{W: 60, H: 36},
		Encoders: []eligen.Encoder{{Name: "the test encoder", Role: "which reads words", Count: func(prompt string) int {
			return len(tokens(prompt, math.MaxInt))
		}}},
		Prompt: eligen.Reading{Length: maxText, Unpadded: true}, EntityPrompt: eligen.Reading{Length: maxEntity, Unpadded: true},
		Steps: 3, StepsWithEntities: 4, CFG: 1, CFGWithNegative: 2, CFGWithEntities: 2, Schedule: "eligen",
	}
}

func resolve(m eligen.Model, s family.Settings) (_ *family.Model, err error) {
	if m.Path == "" {
		return nil, errors.New("the test family has no weights of its own: give the folder of some")
	}
	numbers, err := s.DType(m, "float32")
	if err != nil {
		return nil, err
	}
	name, dtype := numbers.Name, numbers.DType
	if numbers.Rows != "" {
		return nil, fmt.Errorf("this family has no matrices to hold as %s", name)
	}
	c, err := weights.Open(filepath.Join(m.Path, File))
	if err != nil {
		return nil, err
	}
	r := &family.Model{Open: []*weights.Checkpoint{c}}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	digests, err := weights.Digests(c)
	if err != nil {
		return nil, err
	}
	parts := map[string]*weights.Checkpoint{}
	for part, list := range weightsOf {
		parts[part] = c.Part(part + ".")
		if err := weights.Check(parts[part].Path, parts[part], list()); err != nil {
			return nil, err
		}
	}
	r.Spec = outline()
	r.Spec.Family, r.Spec.DType = m.Family, name
	r.Spec.Text = family.Digest("text", name, dim, digests...)
	r.Spec.Transformer = family.Digest("transformer", name, dim, digests...)
	r.Spec.Autoencoder = family.Digest("autoencoder", "float32", dim, digests...)
	r.Encoders = &encoder{"text " + string(r.Spec.Text), parts["text"], dtype}
	r.Transformer = &transformer{parts["dit"], dtype}
	r.Autoencoder = &autoencoder{parts["ae"]}
	return r, nil
}

// tokens returns a prompt's tokens, at most length of them: one that begins it, and one a
// word, by its letters.
func tokens(prompt string, length int) []int32 {
	ids := []int32{0} // an empty prompt has a length, too
	for _, word := range strings.Fields(strings.ToLower(prompt)) {
		sum := 0
		for _, c := range []byte(word) {
			sum = 31*sum + int(c)
		}
		ids = append(ids, int32(1+sum%(vocabulary-1)))
	}
	return ids[:min(len(ids), length)]
}

const vocabulary = 97

// weightsOf are the parts' weights.
var weightsOf = map[string]func() []weights.Weight{
	"text": func() []weights.Weight {
		return append([]weights.Weight{{Name: "embed.weight", Shape: []int{vocabulary, dim}}}, blockWeights("block.")...)
	},
	"dit": func() []weights.Weight {
		list := slicesOf(linear("img_in", channels*patch*patch, dim), linear("txt_in", dim, dim), linear("time_in", timeDim, dim),
			linear("out", dim, channels*patch*patch))
		for i := range blocks {
			list = append(list, blockWeights(fmt.Sprintf("blocks.%d.", i))...)
		}
		return list
	},
	"ae": func() []weights.Weight {
		return slicesOf(linear("encode", 3*factor*factor, channels), linear("decode", channels, 3*factor*factor))
	},
}

func slicesOf(lists ...[]weights.Weight) (all []weights.Weight) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func blockWeights(prefix string) []weights.Weight {
	return slicesOf(linear(prefix+"qkv", dim, 3*dim), linear(prefix+"proj", dim, dim),
		linear(prefix+"up", dim, mlp), linear(prefix+"down", mlp, dim))
}

func linear(name string, in, out int) []weights.Weight {
	return []weights.Weight{{Name: name + ".weight", Shape: []int{out, in}}, {Name: name + ".bias", Shape: []int{out}}}
}

// Write writes a model's weights, drawn from a seed.
func Write(w io.Writer, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	var list []tensor.Named
	for _, part := range []string{"text", "dit", "ae"} {
		for _, want := range weightsOf[part]() {
			t := tensor.New(want.Shape...)
			size := 0.1 // of a bias
			if len(want.Shape) == 2 {
				size = 1 / math.Sqrt(float64(want.Shape[1]))
			}
			for i := range t.Data {
				t.Data[i] = float32(rng.NormFloat64() * size)
			}
			list = append(list, tensor.Named{Name: part + "." + want.Name, Tensor: t})
		}
	}
	return tensor.Write(w, nil, list...)
}
