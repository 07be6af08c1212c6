// Package fluxmodel runs models of FLUX.1's architecture: T5 and CLIP, a transformer of
// double and single blocks, an autoencoder, IP-Adapters with a vision tower. The families
// nano and flux are two registrations of it.
package fluxmodel

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/weights"
)

// Text is a model's T5 and CLIP, with their tokenizers.
type Text struct {
	TextConfig
	T5Weights, CLIPWeights weights.Loader
	Tokens                 *Tokenizers
	family.Numbers

	Digest       eligen.Digest // of the weights
	EntityLength int           // T5 tokens of an entity's prompt

	t5Under, clipUnder family.Layered // LoRAs; without a loader where there are none
}

var _ family.LayeredEncoders = (*Text)(nil)

// Under returns the encoders under LoRAs.
func (p *Text) Under(lay func(part lora.Part, base weights.Loader, held family.Held) (family.Layered, error)) (family.Encoders, error) {
	under := *p
	var err error
	if under.t5Under, err = lay(lora.T5, p.T5Weights, p.heldT5); err != nil {
		return nil, err
	}
	if under.clipUnder, err = lay(lora.CLIP, p.CLIPWeights, nil); err != nil {
		return nil, err
	}
	return &under, nil
}

// store returns the store of one encoder, under its LoRAs.
func (p *Text) store(h family.Host, name string, base weights.Loader, under family.Layered) (*exec.Store, error) {
	if under.Key != "" {
		base = under.Loader
	}
	s, err := h.Store(name+" "+string(p.Digest)+under.Key, base, p.DType)
	if err != nil || under.Key == "" {
		return s, err
	}
	return s, s.Scale(under.Scales...)
}

// Bytes returns how many bytes of weights are held while prompts are read.
func (p *Text) Bytes() int64 { return exec.NewStore(nil, p.planned(), p.DType).Whole() }

// planned returns T5's weights as they would be held.
func (p *Text) planned() weights.Loader {
	if p.Rows == "" {
		return p.T5Weights
	}
	return rows.Over(p.T5Weights, p.Rows, t5Matrix)
}

// Plan finds what of T5 is held within a number of bytes.
func (p *Text) Plan(room int64, unpack bool) exec.Plan {
	return p.plan(exec.NewStore(nil, p.planned(), p.DType), room, unpack)
}

func (p *Text) plan(s *exec.Store, room int64, unpack bool) exec.Plan {
	return s.Plan(p.scopes(), every, room, unpack)
}

func every(string) bool { return true }

// scopes lists T5's layers, where each is a graph.
func (p *Text) scopes() (list []string) {
	if encode.ByLayers(p.T5) {
		for i := range p.T5.Layers {
			list = append(list, text.T5Scope(i))
		}
	}
	return list
}

// heldT5 returns T5's weights as they are held in memory.
func (p *Text) heldT5(over weights.Loader) (weights.Loader, error) {
	key := p.Digest
	if over != p.T5Weights {
		key = "" // LoRAs are in it
	}
	return weights.Integers(over, p.Rows, t5Matrix, key)
}

// t5Matrix reports whether a weight of T5 is held as integers where a model's are: all matrices of
// its layers but the table of positions.
func t5Matrix(name string) bool {
	return strings.HasPrefix(name, "encoder.block.") && !strings.Contains(name, "relative_attention_bias")
}

// Work returns how many attention scores T5's layers compute for a prompt, or, where each layer
// is a graph, one of them, with what becomes of them there.
func (p *Text) Work(tokens int) (w family.TextWork) {
	w.Scores = int64(p.T5.Layers*p.T5.Heads) * int64(tokens) * int64(tokens)
	if encode.ByLayers(p.T5) {
		w.Scores = 3 * int64(p.T5.Heads) * int64(tokens) * int64(tokens)
	}
	if p.DType.Size() < 4 {
		w.Matrix = int64(p.T5.Dim * p.T5.FF)
	}
	return w
}

// Encode runs T5 on a prompt cut or padded to its length, and CLIP where it is to be
// pooled.
func (p *Text) Encode(ctx context.Context, h family.Host, prompt string, as eligen.Reading) (eligen.Conditioning, error) {
	if as.Unpadded {
		return nil, fmt.Errorf("T5 was trained on padded prompts, and is asked for one without. This is a bug in eligen")
	}
	tokens, err := p.Tokens.Get()
	if err != nil {
		return nil, err
	}
	encoders := encode.Text{T5: p.T5, CLIP: p.CLIP, Runner: h.Runner()}
	t5, err := p.heldT5(p.T5Weights)
	if err != nil {
		return nil, err
	}
	if encoders.T5Store, err = p.store(h, "t5", t5, p.t5Under); err != nil {
		return nil, err
	}
	if encode.ByLayers(p.T5) {
		plan := p.plan(encoders.T5Store, h.Room(p.Work(as.Length)), h.Unpacks(encoders.T5Store))
		if err := encoders.T5Store.Stream(plan, p.scopes(), every); err != nil {
			return nil, err
		}
	}
	if as.Pooled {
		// A prompt with a vector is a render's: its entities' prompts come next.
		clip := p.CLIPWeights
		if p.clipUnder.Loader != nil {
			clip = p.clipUnder.Loader
		}
		encoders.CLIPStore = exec.NewStore(h.Runner().Backend, clip, p.DType)
		if err := encoders.CLIPStore.Scale(p.clipUnder.Scales...); err != nil {
			return nil, err
		}
		if err := encoders.Ready(as.Length, p.EntityLength); err != nil {
			return nil, err
		}
	}
	txt, err := encoders.States(tokens.T5(prompt, as.Length))
	if err == nil {
		err = family.Finite("T5 gave", txt)
	}
	c := eligen.Conditioning{eligen.Txt: txt}
	if err != nil || !as.Pooled {
		return c, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if encoders.CLIPStore, err = p.store(h, "clip", p.CLIPWeights, p.clipUnder); err != nil {
		return nil, err
	}
	if c[eligen.Vec], err = encoders.Pooled(tokens.CLIP(prompt, p.CLIP.Positions)); err != nil {
		return nil, err
	}
	return c, family.Finite("CLIP gave", c[eligen.Vec])
}

// Fit refuses parts that were not made for one another.
func Fit(dit flux.Config, ae vae.Config, text TextConfig) error {
	if ae.Z == dit.LatentChannels && text.T5.Dim == dit.TextDim && text.CLIP.Dim == dit.PooledDim {
		return nil
	}
	return fmt.Errorf("the parts don't fit together: the transformer takes %d latent channels, text of width %d and vectors of %d; "+
		"the others make %d, %d and %d",
		dit.LatentChannels, dit.TextDim, dit.PooledDim, ae.Z, text.T5.Dim, text.CLIP.Dim)
}

// TextConfig holds the sizes of both text encoders.
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

// Tokenize cuts prompts.
type Tokenize struct {
	T5, CLIP func(prompt string, length int) []int32

	CountT5, CountCLIP func(prompt string) int

	Unknown func(prompt string) []eligen.Stretch // what T5 has no piece for
	Words   func() []string                      // that T5 has a piece for
}

// Get returns the tokenizers, read at the first call.
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

// Checked returns tokenizers that refuse to load where ids the encoders
// have no rows for their ids.
func Checked(c TextConfig, load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error)) *Tokenizers {
	return &Tokenizers{load: func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, clip, err := load()
		if err != nil {
			return nil, nil, err
		}
		if t5.Vocab() > c.T5.Vocab {
			return nil, nil, fmt.Errorf("the T5 tokenizer has %d pieces, the T5 weights have rows for %d: they don't belong together",
				t5.Vocab(), c.T5.Vocab)
		}
		if clip.Vocab() > c.CLIP.Vocab {
			return nil, nil, fmt.Errorf("the CLIP tokenizer has %d tokens, the CLIP weights have rows for %d: they don't belong together",
				clip.Vocab(), c.CLIP.Vocab)
		}
		return t5, clip, nil
	}}
}

// Encoders returns the encoders of a Spec: T5, and CLIP, which reads clipMax tokens.
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
		{
			Name: "CLIP", Role: "which sums up the prompt in one vector", Limit: clipMax, Pooled: true,
			Count: count(func(t Tokenize) func(string) int { return t.CountCLIP }),
		},
	}
}

// Geometry returns how a transformer and its autoencoder cut pictures.
func Geometry(t flux.Config, a vae.Config) eligen.Geometry {
	return eligen.Geometry{Channels: t.LatentChannels, Factor: a.Factor(), Patch: flux.Patch}
}

// Reader returns the Unread of a model that was taught more words than anybody lists.
func Reader(t *Tokenizers) func(string) eligen.Unread {
	return func(prompt string) eligen.Unread {
		tokens, err := t.Get()
		if err != nil {
			return eligen.Unread{} // EncodePrompt reports it
		}
		return eligen.Unread{Pieces: tokens.Unknown(prompt)}
	}
}
