// Package family is what a family of models gives the engine. Each family is a folder below.
package family

import (
	"fmt"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// A resolver finds a model's parts and defaults, from headers and digests alone.
type Resolver func(m eligen.Model, s Settings) (*Model, error)

// Settings say how a family resolves a model.
type Settings struct {
	Nano string // folder to take the model nano from; "" is ELIGEN_NANO_DIR, else the embedded one
	// dtype chooses what the transformer and the text encoders are computed in, by its
	// name and as GoMLX has it; family is the dtype that suits the family best.
	DType func(m eligen.Model, family string) (string, dtypes.DType, error)
}

// A Model is what a plan needs to know of a model, and its parts, open.
type Model struct {
	Spec        eligen.Spec
	Text        *Text
	Transformer *Transformer
	Autoencoder *Autoencoder
	EliGen      func() (*weights.Checkpoint, eligen.Digest, error) // the family's own EliGen LoRA; nil where it has none
	InContext   func() (*weights.Checkpoint, eligen.Digest, error) // its own LoRA for transfers; nil where it has none
	// The family's own IP-Adapter and vision tower; nil where it has none.
	IPAdapter func() (ImageFile[flux.IPConfig], error)
	Tower     func() (ImageFile[vision.Config], error)

	Open []*weights.Checkpoint // that the parts are read from
}

// Close closes all files. The model can't be used after it.
func (r *Model) Close() {
	for _, c := range r.Open {
		c.Close()
	}
	r.Open = nil
}

// Text is a model's text encoders: how to load them, and how they compute.
type Text struct {
	TextConfig
	T5Weights, CLIPWeights weights.Loader
	Tokens                 *Tokenizers
	DType                  dtypes.DType
}

// A Transformer is a model's: how to load it, and how it computes.
type Transformer struct {
	Config  flux.Config
	Weights weights.Loader
	DType   dtypes.DType
}

// An Autoencoder is a model's: how to load it, and how it computes.
type Autoencoder struct {
	Config  vae.Config
	Weights weights.Loader
}

// Fit refuses parts that were not made for one another.
func Fit(dit flux.Config, ae vae.Config, text TextConfig) error {
	if ae.Z == dit.LatentChannels && text.T5.Dim == dit.TextDim && text.CLIP.Dim == dit.PooledDim {
		return nil
	}
	return fmt.Errorf("the parts don't fit together: the transformer takes %d latent channels, text of width %d and vectors of %d; the others make %d, %d and %d",
		dit.LatentChannels, dit.TextDim, dit.PooledDim, ae.Z, text.T5.Dim, text.CLIP.Dim)
}

// An ImageFile is an IP-Adapter or a vision tower: an open checkpoint, the sizes that its
// shapes and its model's files state, and the digests of what it is read from.
type ImageFile[Config any] struct {
	*weights.Checkpoint
	Config  Config
	Digests []eligen.Digest
}

// A TextConfig is the sizes of both text encoders.
type TextConfig struct {
	T5   text.T5Config
	CLIP text.CLIPConfig
}

// Tokenizers are read when a prompt is first counted or encoded.
type Tokenizers struct {
	once sync.Once
	load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error)
	t    Tokenize
	err  error
}

// Tokenize cuts prompts into tokens.
type Tokenize struct {
	T5, CLIP func(prompt string, length int) []int32

	CountT5, CountCLIP func(prompt string) int

	Unknown func(prompt string) []eligen.Stretch // what T5 has no piece for
	Words   func() []string                      // that T5 has a piece for
}

// Get reads the tokenizers when it is first called.
func (t *Tokenizers) Get() (Tokenize, error) {
	t.once.Do(func() {
		t5, clip, err := t.load()
		if err != nil {
			t.err = err
			return
		}
		t.t = Tokenize{
			T5:      func(p string, n int) []int32 { ids, _ := t5.Encode(p, n); return ids },
			CLIP:    func(p string, n int) []int32 { ids, _ := clip.Encode(p, n); return ids },
			CountT5: t5.Count, CountCLIP: clip.Count,

			Unknown: t5.Unknown, Words: t5.Words,
		}
	})
	return t.t, t.err
}

// Checked returns tokenizers that load refuses to read where the encoders have no rows for
// some of their ids.
func Checked(c TextConfig, load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error)) *Tokenizers {
	return &Tokenizers{load: func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, clip, err := load()
		if err != nil {
			return nil, nil, err
		}
		if t5.Vocab() > c.T5.Vocab {
			return nil, nil, fmt.Errorf("the T5 tokenizer has %d pieces, the T5 weights have rows for %d: they don't belong together", t5.Vocab(), c.T5.Vocab)
		}
		if clip.Vocab() > c.CLIP.Vocab {
			return nil, nil, fmt.Errorf("the CLIP tokenizer has %d tokens, the CLIP weights have rows for %d: they don't belong together", clip.Vocab(), c.CLIP.Vocab)
		}
		return t5, clip, nil
	}}
}

// Encoders returns a Spec's text encoders.
func Encoders(t *Tokenizers, clipMax int) []eligen.Encoder {
	count := func(of func(Tokenize) func(string) int) func(string) int {
		return func(prompt string) int {
			tokens, err := t.Get()
			if err != nil {
				return 0 // EncodePrompt reports it
			}
			return of(tokens)(prompt)
		}
	}
	return []eligen.Encoder{
		{Name: "T5", Role: "the text encoder", Count: count(func(t Tokenize) func(string) int { return t.CountT5 })},
		{Name: "CLIP", Role: "which sums up the prompt in one vector", Limit: clipMax, Pooled: true, Count: count(func(t Tokenize) func(string) int { return t.CountCLIP })},
	}
}

// Geometry returns how a transformer and its autoencoder cut pictures.
func Geometry(t flux.Config, a vae.Config) eligen.Geometry {
	return eligen.Geometry{Channels: t.LatentChannels, Factor: a.Factor(), Patch: flux.Patch}
}

// Digest stands for a part in a plan: it covers what the part is made from, and how it computes.
func Digest(part, dtype string, config any, from ...eligen.Digest) eligen.Digest {
	var b strings.Builder
	fmt.Fprintf(&b, "eligen weights 1\n%s\n%s\n%s\n", part, dtype, exec.ConfigName(config))
	for _, d := range from {
		fmt.Fprintf(&b, "%s\n", d)
	}
	return eligen.DigestOf([]byte(b.String()))
}

// Reader returns a Spec's Unread, for a model that was trained on more words than anybody lists.
func Reader(t *Tokenizers) func(string) eligen.Unread {
	return func(prompt string) eligen.Unread {
		tokens, err := t.Get()
		if err != nil {
			return eligen.Unread{} // EncodePrompt reports it
		}
		return eligen.Unread{Pieces: tokens.Unknown(prompt)}
	}
}
