// Package engine implements eligen.Engine on GoMLX: it resolves models, and runs them in
// turns, within the memory that it may keep.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/weights"
)

// Options say how an Engine computes.
type Options struct {
	Backend string // as for OpenBackend; "" is ChooseBackend's
	DType   string // "float32" or "bfloat16" for models that name none; "" is what suits family and backend
	Keep    int64  // bytes of weights to keep when another part's are needed; 0 is 2 GiB
	Nano    string // folder to take the model nano from; "" is ELIGEN_NANO_DIR, else the embedded one
}

// Engine runs models on GoMLX. Its methods may be called from several
// goroutines; they take turns, since a backend uses the whole machine.
type Engine struct {
	options Options
	info    backend.Info
	turn    chan struct{} // holds a token while nobody runs

	mu       sync.Mutex // guards what Spec finds
	models   map[eligen.Model]*family.Model
	texts    map[eligen.Digest]*family.Text
	dits     map[eligen.Digest]*family.Transformer
	vaes     map[eligen.Digest]*family.Autoencoder
	adapters map[eligen.Digest]*lora.File
	images   map[eligen.Digest]*imagePart
	open     []*weights.Checkpoint

	// Used by whoever has the turn.
	backend compute.Backend
	runner  *exec.Runner
	stores  map[string]*exec.Store
}

var _ eligen.Engine = (*Engine)(nil)

// New makes an engine. The backend is opened when a model first runs: a plan
// whose results are all in the store needs none.
func New(o Options) (*Engine, error) {
	info, err := backend.Find(o.Backend)
	if err != nil {
		return nil, err
	}
	if o.DType != "" {
		if _, err := parseDType(o.DType, info); err != nil {
			return nil, err
		}
	}
	e := &Engine{options: o, info: info, turn: make(chan struct{}, 1),
		models: map[eligen.Model]*family.Model{}, texts: map[eligen.Digest]*family.Text{}, dits: map[eligen.Digest]*family.Transformer{},
		vaes: map[eligen.Digest]*family.Autoencoder{}, adapters: map[eligen.Digest]*lora.File{}, images: map[eligen.Digest]*imagePart{}, stores: map[string]*exec.Store{}}
	e.turn <- struct{}{}
	return e, nil
}

// Compiled is how many graphs were compiled so far.
func (e *Engine) Compiled() int {
	if e.runner == nil {
		return 0
	}
	return e.runner.Compiled
}

// Close frees weights, graphs and the backend, and closes files.
func (e *Engine) Close() error {
	<-e.turn
	defer func() { e.turn <- struct{}{} }()
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	for _, s := range e.stores {
		err = errors.Join(err, s.Release())
	}
	clear(e.stores)
	if e.runner != nil {
		e.runner.Finalize()
		e.backend.Finalize()
		e.runner, e.backend = nil, nil
	}
	for _, c := range e.open {
		err = errors.Join(err, c.Close())
	}
	e.open = nil
	clear(e.models)
	clear(e.texts)
	clear(e.dits)
	clear(e.vaes)
	clear(e.adapters)
	clear(e.images)
	return err
}

// ID names everything about the engine that can change bits. The dtype is that
// of models which name none ("auto" lets family and backend choose); what a
// model's weights are computed in is part of their digests.
func (e *Engine) ID() string { return e.info.ID(cmp.Or(e.options.DType, "auto")) }

// Backend is the backend that the engine runs on.
func (e *Engine) Backend() backend.Info { return e.info }

func parseDType(name string, info backend.Info) (dtypes.DType, error) {
	switch name {
	case "float32":
		return dtypes.Float32, nil
	case "bfloat16":
		if info.Plugin == "" {
			return 0, fmt.Errorf("the Go backend computes in float32 only, bfloat16 needs an XLA backend. Leave the dtype out, or install one with\n  eligen backend install xla:cpu")
		}
		return dtypes.BFloat16, nil
	}
	return 0, fmt.Errorf("there is no dtype %q; weights are computed in float32 or bfloat16", name)
}

// dtype is what a model's transformer and text encoders are computed in.
func (e *Engine) dtype(m eligen.Model, family string) (string, dtypes.DType, error) {
	name := cmp.Or(m.DType, e.options.DType, family)
	if name == "bfloat16" && m.DType == "" && e.options.DType == "" && e.info.Plugin == "" {
		name = "float32"
	}
	d, err := parseDType(name, e.info)
	return name, d, err
}

// keep remembers an open checkpoint, to be closed with the engine.
func (e *Engine) keep(c *weights.Checkpoint) *weights.Checkpoint {
	e.open = append(e.open, c)
	return c
}

// run waits for its turn and has the backend open.
func (e *Engine) run(ctx context.Context, f func() error) error {
	select {
	case <-e.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { e.turn <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.runner == nil {
		b, err := e.info.Open()
		if err != nil {
			return err
		}
		e.backend, e.runner = b, exec.NewRunner(b)
	}
	return f()
}

// store has a loader's weights, and sees to it that those of other parts go
// where all together would take too much memory.
func (e *Engine) store(key string, l func() (weights.Loader, error), dtype dtypes.DType) (*exec.Store, error) {
	s, ok := e.stores[key]
	if !ok {
		loader, err := l()
		if err != nil {
			return nil, err
		}
		s = exec.NewStore(e.backend, loader, dtype)
		e.stores[key] = s
	}
	total := s.Whole()
	for k, other := range e.stores {
		if k != key {
			total += other.Bytes()
		}
	}
	if total > e.keepBytes() {
		for k, other := range e.stores {
			if k != key {
				if err := other.Release(); err != nil {
					return nil, err
				}
			}
		}
	}
	return s, nil
}

func (e *Engine) keepBytes() int64 { return cmp.Or(e.options.Keep, 2<<30) }

// part finds what Spec has resolved.
func part[P any](e *Engine, parts map[eligen.Digest]*P, d eligen.Digest) (*P, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := parts[d]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("the weights %s are not among those that were planned with in this process. This is a bug in eligen", d.Short())
}

// EncodePrompt runs T5 on a prompt cut or padded to its length, and CLIP where it is to
// be pooled.
func (e *Engine) EncodePrompt(ctx context.Context, text eligen.Digest, prompt string, as eligen.Reading) (c eligen.Conditioning, err error) {
	defer panics.Catch("encoding the prompt", &err)
	p, err := part(e, e.texts, text)
	if err != nil {
		return c, err
	}
	length := as.Length
	if length <= 0 {
		return c, fmt.Errorf("a prompt can't be encoded in %d tokens", length)
	}
	tokens, err := p.Tokens.Get()
	if err != nil {
		return c, err
	}
	ids := tokens.T5(prompt, length)
	err = e.run(ctx, func() error {
		encoders := encode.Text{T5: p.T5, CLIP: p.CLIP, Runner: e.runner}
		if encoders.T5Store, err = e.store("t5 "+string(text), given(p.T5Weights), p.DType); err != nil {
			return err
		}
		if as.Pooled {
			// A prompt with a vector is a render's: its entities' prompts come next.
			encoders.CLIPStore = exec.NewStore(e.backend, p.CLIPWeights, p.DType)
			if err := encoders.Ready(length, e.entityLength(text, length)); err != nil {
				return err
			}
		}
		txt, err := encoders.States(ids)
		if err == nil {
			err = allFinite("T5 gave", txt)
		}
		c = eligen.Conditioning{eligen.Txt: txt}
		if err != nil || !as.Pooled {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if encoders.CLIPStore, err = e.store("clip "+string(text), given(p.CLIPWeights), p.DType); err != nil {
			return err
		}
		vec, err := encoders.Pooled(tokens.CLIP(prompt, p.CLIP.Positions))
		if err != nil {
			return err
		}
		c[eligen.Vec] = vec
		return allFinite("CLIP gave", vec)
	})
	return c, err
}

// allFinite says of the first number that is none: one makes the rest of a picture black,
// and nothing after it would say so.
func allFinite(what string, t tensor.Tensor) error {
	for _, x := range t.Data {
		if x-x != 0 { // of infinity and of NaN alone
			return fmt.Errorf("%s %v, which is no finite number. Its weights may be damaged: get the file anew, or compute in float32 where they were made for it", what, x)
		}
	}
	return nil
}

// decoding is the graph that will decode what a transformer made of latents.
func (e *Engine) decoding(d eligen.Denoise) []exec.CompileRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.models {
		if r.Spec.Transformer == d.Transformer && len(d.Latents.Shape) == 3 {
			a := encode.Autoencoder{Config: r.Autoencoder.Config}
			shape := slices.Clone(d.Latents.Shape)
			if tiles := d.Decoding; tiles != nil {
				shape[1], shape[2] = min(shape[1], tiles.Tile), min(shape[2], tiles.Tile)
			}
			s := exec.NewStore(e.backend, r.Autoencoder.Weights, dtypes.Float32)
			return []exec.CompileRequest{a.Decoder().Request(s, shapes.Make(dtypes.Float32, append([]int{1}, shape...)...))}
		}
	}
	return nil
}

// entityLength is how many tokens the entities' prompts have where a text
// encoder is used; length, if it isn't known.
func (e *Engine) entityLength(text eligen.Digest, length int) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.models {
		if r.Spec.Text == text {
			return r.Spec.EntityPrompt.Length
		}
	}
	return length
}

func given(l weights.Loader) func() (weights.Loader, error) {
	return func() (weights.Loader, error) { return l, nil }
}

// EncodeImage is the autoencoder's deterministic latent [Z,h/8,w/8]. The
// autoencoder always computes in float32: its weights are few, and pictures
// show its rounding.
func (e *Engine) EncodeImage(ctx context.Context, autoencoder eligen.Digest, img image.Image, tiles *eligen.Tiling) (out tensor.Tensor, err error) {
	defer panics.Catch("encoding the picture", &err)
	p, err := part(e, e.vaes, autoencoder)
	if err != nil {
		return out, err
	}
	err = e.run(ctx, func() error {
		s, err := e.store("vae "+string(autoencoder), given(p.Weights), dtypes.Float32)
		if err != nil {
			return err
		}
		if out, err = (&encode.Autoencoder{Config: p.Config, Store: s, Runner: e.runner, Tiles: tiles}).Encode(ctx, encode.Pixels(img)); err != nil {
			return err
		}
		return allFinite("the autoencoder gave", out)
	})
	return out, err
}

// Decode turns latents [Z,h,w] into a picture of 8h×8w pixels.
func (e *Engine) Decode(ctx context.Context, autoencoder eligen.Digest, latents tensor.Tensor, tiles *eligen.Tiling) (img image.Image, err error) {
	defer panics.Catch("decoding the latents", &err)
	p, err := part(e, e.vaes, autoencoder)
	if err != nil {
		return nil, err
	}
	err = e.run(ctx, func() error {
		s, err := e.store("vae "+string(autoencoder), given(p.Weights), dtypes.Float32)
		if err != nil {
			return err
		}
		t, err := (&encode.Autoencoder{Config: p.Config, Store: s, Runner: e.runner, Tiles: tiles}).Decode(ctx, latents)
		if err != nil {
			return err
		}
		if err := allFinite("the autoencoder gave", t); err != nil {
			return err
		}
		img = encode.Picture(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return img, nil
}

// Denoise integrates latents along the schedule; see [Transformer.Denoise].
func (e *Engine) Denoise(ctx context.Context, d eligen.Denoise) (out tensor.Tensor, err error) {
	defer panics.Catch("denoising", &err)
	p, err := part(e, e.dits, d.Transformer)
	if err != nil {
		return out, err
	}
	key := "dit " + string(d.Transformer)
	var within, beside []lora.Layer
	var scales []float32
	for _, a := range d.Adapters {
		if a.Kind != "lora" {
			return out, fmt.Errorf("there is no adapter %q", a.Kind)
		}
		f, err := part(e, e.adapters, a.Digest)
		if err != nil {
			return out, err
		}
		if a.Factors {
			key += fmt.Sprintf(" %s beside %s", a.Digest, a.Alpha)
			beside, scales = append(beside, lora.Layer{File: f, Scale: 1, Alpha: a.Alpha}), append(scales, float32(a.Scale))
			continue
		}
		key += fmt.Sprintf(" %s %v %s", a.Digest, a.Scale, a.Alpha)
		within = append(within, lora.Layer{File: f, Scale: a.Scale, Alpha: a.Alpha})
	}
	var images *imagePart
	if d.ImageAdapter != "" {
		if images, err = part(e, e.images, d.ImageAdapter); err != nil {
			return out, err
		}
	}
	err = e.run(ctx, func() error {
		var reader *sample.ImageAdapter
		if images != nil {
			// It comes first: if not all fits, what has read the pictures goes.
			s, err := e.store("image keys "+string(d.ImageAdapter), given(only{images.adapter, keysValuesWeights}), images.dtype)
			if err != nil {
				return err
			}
			reader = &sample.ImageAdapter{Config: images.ip, Store: s, Runner: e.runner}
		}
		s, err := e.store(key, func() (weights.Loader, error) {
			l, err := lora.Over(p.Weights, within...)
			if err != nil {
				return nil, err
			}
			return lora.Beside(l, beside...)
		}, p.DType)
		if err != nil {
			return err
		}
		if err := s.Scale(scales...); err != nil {
			return err
		}
		t := &sample.Transformer{Config: p.Config, Store: s, Runner: e.runner, Images: reader, Lean: s.Whole() > e.keepBytes(), Precompile: e.decoding(d)}
		out, err = t.Denoise(ctx, d)
		return err
	})
	return out, err
}
