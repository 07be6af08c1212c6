package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
)

// families are the kinds of model that a scene can name: each finds a model's
// parts and defaults, from headers and digests alone.
var families = map[string]func(e *Engine, m eligen.Model) (*resolved, error){
	"nano": resolveNano,
	"flux": resolveFlux,
}

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
	info    Info
	turn    chan struct{} // holds a token while nobody runs

	mu       sync.Mutex // guards what Spec finds
	models   map[eligen.Model]*resolved
	texts    map[eligen.Digest]*textPart
	dits     map[eligen.Digest]*ditPart
	vaes     map[eligen.Digest]*vaePart
	adapters map[eligen.Digest]*lora.File
	images   map[eligen.Digest]*imagePart
	open     []*Checkpoint

	// Used by whoever has the turn.
	backend compute.Backend
	runner  *Runner
	stores  map[string]*Store
}

// A resolved model is what Spec knows of it.
type resolved struct {
	spec      eligen.Spec
	text      *textPart
	dit       *ditPart
	vae       *vaePart
	adapter   func() (*Checkpoint, eligen.Digest, error) // the family's own EliGen LoRA; nil where it has none
	inContext func() (*Checkpoint, eligen.Digest, error) // its own LoRA for transfers; nil where it has none
	// The family's own IP-Adapter and vision tower; nil where it has none.
	imageAdapter func() (imageFile[flux.IPConfig], error)
	tower        func() (imageFile[vision.Config], error)
}

// The parts of a model: how to load them, and how they compute.
type textPart struct {
	textConfig
	t5, clip Loader
	tokens   *tokenizers
	dtype    dtypes.DType
}

type ditPart struct {
	config flux.Config
	loader Loader
	dtype  dtypes.DType
}

type vaePart struct {
	config vae.Config
	loader Loader
}

var _ eligen.Engine = (*Engine)(nil)

// New makes an engine. The backend is opened when a model first runs: a plan
// whose results are all in the store needs none.
func New(o Options) (*Engine, error) {
	info, err := FindBackend(o.Backend)
	if err != nil {
		return nil, err
	}
	if o.DType != "" {
		if _, err := parseDType(o.DType, info); err != nil {
			return nil, err
		}
	}
	e := &Engine{options: o, info: info, turn: make(chan struct{}, 1),
		models: map[eligen.Model]*resolved{}, texts: map[eligen.Digest]*textPart{}, dits: map[eligen.Digest]*ditPart{},
		vaes: map[eligen.Digest]*vaePart{}, adapters: map[eligen.Digest]*lora.File{}, images: map[eligen.Digest]*imagePart{}, stores: map[string]*Store{}}
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
func (e *Engine) Backend() Info { return e.info }

func parseDType(name string, info Info) (dtypes.DType, error) {
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

// Spec is what planning must know of a model and its adapters. Problems are
// Diagnostics at the model's or the adapter's block.
func (e *Engine) Spec(m eligen.Model, adapters []eligen.Adapter) (eligen.Spec, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ds eligen.Diagnostics
	r, err := e.resolve(m)
	if err != nil {
		ds.Errorf(&m.Source, "Model can't be used", "%s", sentence(err))
		return eligen.Spec{}, ds
	}
	spec := r.spec
	spec.Adapters, spec.Warnings, spec.Sizes = nil, nil, e.sizes(r)
	for i := range adapters {
		a := &adapters[i]
		if a.Kind == "ip" {
			w := e.imageAdapter(r, a, &ds)
			if p := e.images[w.Digest]; p != nil {
				p.sizes(&spec.Sizes)
			}
			spec.Adapters = append(spec.Adapters, w)
			continue
		}
		w, dropped, err := e.adapter(r, a)
		if err != nil {
			ds.Errorf(a.Where("source"), "Adapter can't be used", "%s", sentence(err))
			continue
		}
		if dropped != "" {
			spec.Warnings.Warnf(a.Where("source"), "Adapter is applied in part", "This file also holds %s. eligen applies LoRAs to the transformer alone, so that the picture is another than the author of the LoRA saw; a word that it was trained on may act less.", dropped)
		}
		spec.Adapters = append(spec.Adapters, w)
	}
	return spec, ds.Err()
}

// sizes are for the planner's estimates.
func (e *Engine) sizes(r *resolved) eligen.Sizes {
	c := r.dit.config
	s := eligen.Sizes{
		Dim: c.Dim, MLP: c.MLP(), Heads: c.Heads, Double: c.Double, Single: c.Single, TokenDim: c.PatchDim(),
		Text:        NewStore(nil, r.text.t5, r.text.dtype).whole(),
		Transformer: NewStore(nil, r.dit.loader, r.dit.dtype).whole(),
		Autoencoder: NewStore(nil, r.vae.loader, dtypes.Float32).whole(),
	}
	cost := costOf(e.info)
	s.Program, s.Step, s.Coding = cost.program, cost.step(c, int64(r.dit.dtype.Size())), cost.coding(r.vae.config)
	if s.Together = s.Text+s.Transformer+s.Autoencoder <= e.keepBytes(); !s.Together && s.Transformer > e.keepBytes() {
		s.Transformer = 0 // Lean: modulations are gone before the first step
		for _, w := range c.Weights() {
			if stepWeight(w.Name) {
				s.Transformer += int64(elements(w.Shape)) * int64(r.dit.dtype.Size())
			}
		}
	}
	return s
}

// sentence is an error as the detail of a diagnostic.
func sentence(err error) string {
	s := strings.TrimSpace(err.Error())
	if s == "" {
		return ""
	}
	s = words.Capital(s)
	if !strings.ContainsAny(s[len(s)-1:], ".!?") && !strings.Contains(s, "\n") {
		s += "."
	}
	return s
}

func (e *Engine) resolve(m eligen.Model) (_ *resolved, err error) {
	defer catch("reading the model", &err)
	key := eligen.Model{Family: m.Family, Path: m.Path, DType: m.DType}
	if r, ok := e.models[key]; ok {
		return r, nil
	}
	family, ok := families[m.Family]
	if !ok {
		return nil, fmt.Errorf("there is no model family %q. The families are flux and nano", m.Family)
	}
	r, err := family(e, m)
	if err != nil {
		return nil, err
	}
	e.models[key] = r
	e.texts[r.spec.Text] = r.text
	e.dits[r.spec.Transformer] = r.dit
	e.vaes[r.spec.Autoencoder] = r.vae
	return r, nil
}

// keep remembers an open checkpoint, to be closed with the engine.
func (e *Engine) keep(c *Checkpoint) *Checkpoint {
	e.open = append(e.open, c)
	return c
}

// adapter opens a LoRA, and checks that it fits the model. dropped is what of the file
// is applied to nothing.
func (e *Engine) adapter(r *resolved, a *eligen.Adapter) (w eligen.AdapterWeights, dropped string, err error) {
	defer catch("reading the adapter", &err)
	if a.Kind != "lora" {
		return w, "", fmt.Errorf("there is no adapter %q; the kinds are ip and lora", a.Kind)
	}
	w = eligen.AdapterWeights{Kind: a.Kind, Scale: a.Scale, Alpha: cmp.Or(a.Alpha, lora.AlphaFile)}
	var c *Checkpoint
	switch {
	case a.Path == eligen.InContext && r.inContext == nil:
		err = errors.New("this family has no in-context LoRA of its own, which a transfer needs. Name the file of one:\n\n    source = \"./weights/in-context.safetensors\"")
	case a.Path == eligen.InContext:
		c, w.Digest, err = r.inContext()
	case a.Path != "":
		file, failed := factorsFile(a.Path)
		if failed != nil {
			return w, "", failed
		}
		w.Digest, err = DigestFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return w, "", notThere(a.Path)
		}
		if err != nil {
			return w, "", err
		}
		c, err = OpenCheckpoint(file)
	case r.adapter == nil:
		err = errors.New("this family has no EliGen LoRA of its own: name the file of one")
	default:
		c, w.Digest, err = r.adapter()
	}
	if err != nil {
		return w, "", err
	}
	f, err := parseLoRA(c)
	if err != nil {
		c.Close()
		return w, "", err
	}
	if f.Reading != "" {
		w.Digest = eligen.DigestOf(fmt.Appendf(nil, "eligen lora 2\n%s\n%s\n", w.Digest, f.Reading))
	}
	if known := e.adapters[w.Digest]; known != nil {
		c.Close() // it is open already
		f = known
	} else {
		if err := f.Check(); err != nil {
			c.Close()
			return w, "", err
		}
		e.keep(c)
	}
	if _, err := lora.Over(r.dit.loader, lora.Layer{File: f, Scale: w.Scale, Alpha: w.Alpha}); err != nil {
		return w, "", err
	}
	e.adapters[w.Digest] = f
	return w, f.Dropped(), nil
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
		b, err := e.info.open()
		if err != nil {
			return err
		}
		e.backend, e.runner = b, NewRunner(b)
	}
	return f()
}

// store has a loader's weights, and sees to it that those of other parts go
// where all together would take too much memory.
func (e *Engine) store(key string, l func() (Loader, error), dtype dtypes.DType) (*Store, error) {
	s, ok := e.stores[key]
	if !ok {
		loader, err := l()
		if err != nil {
			return nil, err
		}
		s = NewStore(e.backend, loader, dtype)
		e.stores[key] = s
	}
	total := s.whole()
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
	defer catch("encoding the prompt", &err)
	p, err := part(e, e.texts, text)
	if err != nil {
		return c, err
	}
	length := as.Length
	if length <= 0 {
		return c, fmt.Errorf("a prompt can't be encoded in %d tokens", length)
	}
	tokens, err := p.tokens.get()
	if err != nil {
		return c, err
	}
	ids := tokens.t5(prompt, length)
	err = e.run(ctx, func() error {
		encoders := TextEncoders{T5: p.T5, CLIP: p.CLIP, Runner: e.runner}
		if encoders.T5Store, err = e.store("t5 "+string(text), given(p.t5), p.dtype); err != nil {
			return err
		}
		if as.Pooled {
			// A prompt with a vector is a render's: its entities' prompts come next.
			encoders.CLIPStore = NewStore(e.backend, p.clip, p.dtype)
			if err := encoders.ready(length, e.entityLength(text, length)); err != nil {
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
		if encoders.CLIPStore, err = e.store("clip "+string(text), given(p.clip), p.dtype); err != nil {
			return err
		}
		vec, err := encoders.Pooled(tokens.clip(prompt, p.CLIP.Positions))
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
func (e *Engine) decoding(d eligen.Denoise) []errand {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.models {
		if r.spec.Transformer == d.Transformer && len(d.Latents.Shape) == 3 {
			a := Autoencoder{Config: r.vae.config}
			shape := slices.Clone(d.Latents.Shape)
			if tiles := d.Decoding; tiles != nil {
				shape[1], shape[2] = min(shape[1], tiles.Tile), min(shape[2], tiles.Tile)
			}
			return []errand{{a.decoder(), NewStore(e.backend, r.vae.loader, dtypes.Float32), []shapes.Shape{shapes.Make(dtypes.Float32, append([]int{1}, shape...)...)}}}
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
		if r.spec.Text == text {
			return r.spec.EntityPrompt.Length
		}
	}
	return length
}

func given(l Loader) func() (Loader, error) { return func() (Loader, error) { return l, nil } }

// EncodeImage is the autoencoder's deterministic latent [Z,h/8,w/8]. The
// autoencoder always computes in float32: its weights are few, and pictures
// show its rounding.
func (e *Engine) EncodeImage(ctx context.Context, autoencoder eligen.Digest, img image.Image, tiles *eligen.Tiling) (out tensor.Tensor, err error) {
	defer catch("encoding the picture", &err)
	p, err := part(e, e.vaes, autoencoder)
	if err != nil {
		return out, err
	}
	err = e.run(ctx, func() error {
		s, err := e.store("vae "+string(autoencoder), given(p.loader), dtypes.Float32)
		if err != nil {
			return err
		}
		if out, err = (&Autoencoder{p.config, s, e.runner, tiles}).Encode(ctx, Pixels(img)); err != nil {
			return err
		}
		return allFinite("the autoencoder gave", out)
	})
	return out, err
}

// Decode turns latents [Z,h,w] into a picture of 8h×8w pixels.
func (e *Engine) Decode(ctx context.Context, autoencoder eligen.Digest, latents tensor.Tensor, tiles *eligen.Tiling) (img image.Image, err error) {
	defer catch("decoding the latents", &err)
	p, err := part(e, e.vaes, autoencoder)
	if err != nil {
		return nil, err
	}
	err = e.run(ctx, func() error {
		s, err := e.store("vae "+string(autoencoder), given(p.loader), dtypes.Float32)
		if err != nil {
			return err
		}
		t, err := (&Autoencoder{p.config, s, e.runner, tiles}).Decode(ctx, latents)
		if err != nil {
			return err
		}
		if err := allFinite("the autoencoder gave", t); err != nil {
			return err
		}
		img = Picture(t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return img, nil
}

// Denoise integrates latents along the schedule; see [Transformer.Denoise].
func (e *Engine) Denoise(ctx context.Context, d eligen.Denoise) (out tensor.Tensor, err error) {
	defer catch("denoising", &err)
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
		var reader *ImageAdapter
		if images != nil {
			// It comes first: if not all fits, what has read the pictures goes.
			s, err := e.store("image keys "+string(d.ImageAdapter), given(only{images.adapter, keysValuesWeights}), images.dtype)
			if err != nil {
				return err
			}
			reader = &ImageAdapter{images.ip, s, e.runner}
		}
		s, err := e.store(key, func() (Loader, error) {
			l, err := lora.Over(p.loader, within...)
			if err != nil {
				return nil, err
			}
			return lora.Beside(l, beside...)
		}, p.dtype)
		if err != nil {
			return err
		}
		if err := s.Scale(scales...); err != nil {
			return err
		}
		t := &Transformer{Config: p.config, Store: s, Runner: e.runner, Images: reader, Lean: s.whole() > e.keepBytes(), Later: e.decoding(d)}
		out, err = t.Denoise(ctx, d)
		return err
	})
	return out, err
}
