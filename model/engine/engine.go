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
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/rows"
	"github.com/eligen/eligen/model/sample"
	"github.com/eligen/eligen/model/weights"
)

// Options say how an Engine computes.
type Options struct {
	Backend string // as for OpenBackend; "" is ChooseBackend's
	DType   string // of models that name none: "float32", "bfloat16", "int8" or "int4"; "" is what suits family and backend
	Keep    int64  // bytes of weights to keep when another part's are needed; 0 is 2 GiB
	// Elsewhere is a backend to plan for that isn't here, "xla:cuda", in Backend's place. Such an engine runs nothing.
	Elsewhere string
	// Embedded is a folder to take a family's embedded weights from; "" leaves it to the family.
	Embedded string
	Families family.Table // nil is families.All
	// Sources finds weights that a scene names by anything but a path; nil finds none.
	Sources eligen.Sources
}

// Engine runs models on GoMLX. Its methods may be called from several
// goroutines; they take turns, since a backend uses the whole machine.
type Engine struct {
	options  Options
	families family.Table
	info     backend.Info
	turn     chan struct{} // holds a token while nobody runs

	mu       sync.Mutex               // guards what Spec finds
	models   map[string]*family.Model // by modelKey
	texts    map[eligen.Digest]family.Encoders
	dits     map[eligen.Digest]family.Transformer
	vaes     map[eligen.Digest]family.Autoencoder
	adapters map[eligen.Digest]adapter
	images   map[eligen.Digest]family.Images
	open     []*weights.Checkpoint
	stale    bool // stores may read files that have changed since they were opened

	// Used by whoever has the turn.
	backend compute.Backend
	limit   atomic.Int64 // bytes that a render may take; 0 is no limit
	runner  *exec.Runner
	stores  map[string]*exec.Store
}

// An adapter is a LoRA, and the file that it is read from.
type adapter struct {
	*lora.File
	from *weights.Checkpoint
}

var _ eligen.Engine = (*Engine)(nil)

// New makes an engine. The backend is opened when a model first runs: a plan
// whose results are all in the store needs none.
func New(o Options) (*Engine, error) {
	info, err := o.backend()
	if err != nil {
		return nil, err
	}
	if o.DType != "" {
		if rows.Parse(o.DType) != "" {
			// Each family computes over them in what suits it.
		} else if _, err := parseDType(o.DType, info); err != nil {
			return nil, err
		}
	}
	e := &Engine{options: o, families: o.Families, info: info, turn: make(chan struct{}, 1),
		models: map[string]*family.Model{}, texts: map[eligen.Digest]family.Encoders{}, dits: map[eligen.Digest]family.Transformer{},
		vaes: map[eligen.Digest]family.Autoencoder{}, adapters: map[eligen.Digest]adapter{},
		images: map[eligen.Digest]family.Images{}, stores: map[string]*exec.Store{}}
	if e.families == nil {
		e.families = families.All
	}
	e.turn <- struct{}{}
	return e, nil
}

// backend finds the backend, or describes the one that is elsewhere.
func (o Options) backend() (backend.Info, error) {
	if o.Elsewhere != "" {
		return describedBackend(o.Elsewhere), nil
	}
	return backend.Find(o.Backend)
}

// Compiled counts the graphs that were compiled so far.
func (e *Engine) Compiled() int {
	if e.runner == nil {
		return 0
	}
	return e.runner.Compiled
}

// Waited returns how long graphs were compiled for so far, and how long they waited for weights.
func (e *Engine) Waited() (compiling, loading time.Duration) {
	if e.runner == nil {
		return 0, 0
	}
	return e.runner.Compiling, e.runner.Loading
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
func (e *Engine) ID() string {
	if e.options.Elsewhere != "" {
		return "described " + e.options.Elsewhere
	}
	return e.info.ID(cmp.Or(e.options.DType, "auto"))
}

// Backend returns the backend that the engine runs on.
func (e *Engine) Backend() backend.Info { return e.info }

func parseDType(name string, info backend.Info) (dtypes.DType, error) {
	switch name {
	case "float32":
		return dtypes.Float32, nil
	case "bfloat16":
		if info.Plugin == "" {
			return 0, fmt.Errorf("the Go backend computes in float32 only, bfloat16 needs an XLA backend. Leave the dtype out, or " +
				"install one with\n  eligen backend install xla:cpu")
		}
		return dtypes.BFloat16, nil
	}
	return 0, fmt.Errorf("there is no dtype %q; weights are computed in float32 or bfloat16, or held as int8 or int4", name)
}

// dtype returns what a model's transformer and text encoders are computed in, and how their
// weights are held: as that, or as integers, over which the family's own choice is computed in.
func (e *Engine) dtype(m eligen.Model, best string) (n family.Numbers, err error) {
	n.Name = cmp.Or(m.DType, e.options.DType, best)
	n.Computed = n.Name
	if n.Rows = rows.Parse(n.Name); n.Rows != "" {
		n.Computed = best
	}
	if chosen := cmp.Or(m.DType, e.options.DType); n.Computed == "bfloat16" && chosen != n.Computed && e.info.Plugin == "" {
		n.Computed = "float32"
	}
	if n.Rows == "" {
		n.Name = n.Computed
	}
	n.DType, err = parseDType(n.Computed, e.info)
	return n, err
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
	if e.options.Elsewhere != "" {
		return fmt.Errorf("the engine plans for %s elsewhere, and runs nothing", e.options.Elsewhere)
	}
	if e.runner == nil {
		b, err := e.info.Open()
		if err != nil {
			return err
		}
		e.backend, e.runner = b, exec.NewRunner(b)
	}
	if err := e.refresh(); err != nil {
		return err
	}
	err := f()
	if errors.Is(err, weights.ErrChanged) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.stale = true
	}
	return err
}

// refresh lets go of all weights where files have been opened anew: stores of the same digest
// would read on from the old ones.
func (e *Engine) refresh() (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stale {
		return nil
	}
	for _, s := range e.stores {
		err = errors.Join(err, s.Release())
	}
	clear(e.stores)
	e.stale = false
	return err
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

// leastKept is how many bytes of weights are kept where no more is known of the memory.
const leastKept = 2 << 30

// keepBytes returns how many bytes of all parts' weights are kept together: half of the memory, and three quarters of
// a card's, where less is needed beside them and what was let go comes back over PCIe.
func (e *Engine) keepBytes() int64 {
	kept := e.limit.Load() / 2
	if e.info.CUDA() {
		kept = e.limit.Load() / 4 * 3
	}
	return cmp.Or(e.options.Keep, max(leastKept, kept))
}

// Limit says how many bytes a render may take, from the next Spec and run on; 0 is no limit. What
// doesn't fit passes through block by block.
func (e *Engine) Limit(bytes int64) { e.limit.Store(bytes) }

// room returns how many bytes weights may take beside others; 0 is no limit.
func (e *Engine) room(beside int64) int64 {
	limit := e.limit.Load()
	if limit <= 0 {
		return 0
	}
	return max(1, limit-costOf(e.info).program-beside)
}

// A host is the engine as a part sees it that has the turn.
type host struct{ *Engine }

var _ family.Host = host{}

// Runner returns what runs graphs.
func (h host) Runner() *exec.Runner { return h.runner }

// Store returns a part's weights.
func (h host) Store(key string, l weights.Loader, dtype dtypes.DType) (*exec.Store, error) {
	return h.store(key, given(l), dtype)
}

// Lean reports whether weights are more than are kept.
func (h host) Lean(s *exec.Store) bool { return s.Whole() > h.keepBytes() }

// Unpacks reports whether weights are held as they are computed with, if they fit: those that aren't many, and all
// on a card, which the processor would have to make them for, in each step anew.
func (h host) Unpacks(s *exec.Store) bool { return h.info.CUDA() || !h.Lean(s) }

// Room returns how many bytes a prompt's encoder may hold.
func (h host) Room(w family.TextWork) int64 { return h.room(costOf(h.info).prompts(w)) }

// part finds what Spec has resolved.
func part[P any](e *Engine, parts map[eligen.Digest]P, d eligen.Digest) (P, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := parts[d]
	if !ok {
		return p, fmt.Errorf("the weights %s are not among those that were planned with in this process. This is a bug in eligen", d.Short())
	}
	return p, nil
}

// EncodePrompt runs a model's text encoders on a prompt.
func (e *Engine) EncodePrompt(ctx context.Context, text eligen.Digest,
	prompt string, as eligen.Reading) (c eligen.Conditioning, err error) {
	defer panics.Catch("encoding the prompt", &err)
	p, err := part(e, e.texts, text)
	if err != nil {
		return nil, err
	}
	if as.Length <= 0 {
		return nil, fmt.Errorf("a prompt can't be encoded in %d tokens", as.Length)
	}
	if len(as.Adapters) > 0 {
		if p, err = e.layeredText(p, as.Adapters); err != nil {
			return nil, err
		}
	}
	err = e.run(ctx, func() (err error) {
		c, err = p.Encode(ctx, host{e}, prompt, as)
		return err
	})
	if err != nil {
		return nil, err
	}
	for name, t := range c {
		err = errors.Join(err, family.Finite("the text encoders gave "+name, t))
	}
	return c, err
}

// decoding returns the graph that will decode what a transformer made of latents.
func (e *Engine) decoding(d eligen.Denoise) []exec.CompileRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.models {
		if r.Spec.Transformer == d.Transformer && len(d.Latents.Shape) == 3 {
			shape := slices.Clone(d.Latents.Shape)
			if tiles := d.Decoding; tiles != nil {
				shape[1], shape[2] = min(shape[1], tiles.Tile), min(shape[2], tiles.Tile)
			}
			return []exec.CompileRequest{r.Autoencoder.Decoding(exec.NewStore(e.backend, r.Autoencoder.Weights(), dtypes.Float32), shape...)}
		}
	}
	return nil
}

func given(l weights.Loader) func() (weights.Loader, error) {
	return func() (weights.Loader, error) { return l, nil }
}

// EncodeImage returns the autoencoder's deterministic latents of a picture.
func (e *Engine) EncodeImage(ctx context.Context, autoencoder eligen.Digest, img image.Image,
	tiles *eligen.Tiling) (out tensor.Tensor, err error) {
	defer panics.Catch("encoding the picture", &err)
	p, err := part(e, e.vaes, autoencoder)
	if err != nil {
		return out, err
	}
	err = e.run(ctx, func() error {
		s, err := e.store("vae "+string(autoencoder), given(p.Weights()), dtypes.Float32)
		if err != nil {
			return err
		}
		_, work := e.coding(p.Shape(), img.Bounds().Dx(), img.Bounds().Dy(), tiles)
		defer e.within(s, work)()
		if out, err = p.Encode(ctx, e.runner, s, encode.Pixels(img), tiles); err != nil {
			return err
		}
		return family.Finite("the autoencoder gave", out)
	})
	return out, err
}

// EncodeImagePrompt returns a picture's tokens [tokens,width], or, of nil, those of none.
func (e *Engine) EncodeImagePrompt(ctx context.Context, adapter eligen.Digest, img image.Image) (out tensor.Tensor, err error) {
	defer panics.Catch("encoding the image prompt", &err)
	p, err := part(e, e.images, adapter)
	if err != nil {
		return out, err
	}
	err = e.run(ctx, func() (err error) {
		out, err = p.Tokens(ctx, host{e}, img)
		return err
	})
	return out, err
}

// Decode turns latents [C,h,w] into a picture.
func (e *Engine) Decode(ctx context.Context, autoencoder eligen.Digest, latents tensor.Tensor,
	tiles *eligen.Tiling) (img image.Image, err error) {
	defer panics.Catch("decoding the latents", &err)
	p, err := part(e, e.vaes, autoencoder)
	if err != nil {
		return nil, err
	}
	err = e.run(ctx, func() error {
		s, err := e.store("vae "+string(autoencoder), given(p.Weights()), dtypes.Float32)
		if err != nil {
			return err
		}
		if n := len(latents.Shape); n > 1 {
			f := p.Shape().Factor
			work, _ := e.coding(p.Shape(), f*latents.Shape[n-1], f*latents.Shape[n-2], tiles)
			defer e.within(s, work)()
		}
		t, err := p.Decode(ctx, e.runner, s, latents, tiles)
		if err != nil {
			return err
		}
		if err := family.Finite("the autoencoder gave", t); err != nil {
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

// Denoise integrates latents along the schedule; see [sample.Integrate].
func (e *Engine) Denoise(ctx context.Context, d eligen.Denoise) (out tensor.Tensor, err error) {
	defer panics.Catch("denoising", &err)
	p, err := part(e, e.dits, d.Transformer)
	if err != nil {
		return out, err
	}
	l, err := e.layers(d.Adapters)
	if err != nil {
		return out, err
	}
	w := family.Work{Denoise: d, Store: func() (*exec.Store, error) { return e.layered(d, p, l) }}
	if d.ImageAdapter != "" {
		if w.Images, err = part(e, e.images, d.ImageAdapter); err != nil {
			return out, err
		}
	}
	err = e.run(ctx, func() error {
		w.Precompile, w.Room = e.decoding(d), e.roomOfSteps(d, p)
		s, err := w.Store()
		if err != nil {
			return err
		}
		defer e.within(s, e.steps(d, p))()
		positive, negative, err := p.Begin(ctx, host{e}, w)
		if err != nil {
			return err
		}
		defer positive.Close()
		if negative != nil {
			defer negative.Close()
		}
		out, err = sample.Integrate(ctx, d, positive, negative)
		return err
	})
	return out, err
}
