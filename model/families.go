package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nano"
	"github.com/eligen/eligen/model/sizes"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
)

// A Manifest is nano.json: what the files of a model in nano's layout can't say
// themselves.
type Manifest struct {
	Name             string          `json:"name"`
	Native           eligen.Size     `json:"native"`
	Transformer      flux.Config     `json:"dit"`
	T5               text.T5Config   `json:"t5"`
	CLIP             text.CLIPConfig `json:"clip"`
	Autoencoder      vae.Config      `json:"vae"`
	Vision           *vision.Config  `json:"vision,omitempty"` // of image prompts: both, or neither
	IP               *flux.IPConfig  `json:"ip,omitempty"`
	TextLength       int             `json:"text_length"`        // T5 tokens of the prompt
	EntityTextLength int             `json:"entity_text_length"` // T5 tokens of an entity's prompt

	Steps             int     `json:"steps"`
	StepsWithEntities int     `json:"steps_with_entities"`
	CFG               float64 `json:"cfg"`
	CFGWithNegative   float64 `json:"cfg_with_negative"`
	CFGWithEntities   float64 `json:"cfg_with_entities"`
	CFGWithSource     float64 `json:"cfg_with_source,omitempty"` // of transfers; 0 is as with entities
	Guidance          float64 `json:"guidance"`
	Schedule          string  `json:"schedule"`
	CleanSource       bool    `json:"clean_source,omitempty"` // the in-context LoRA is trained to see the source without noise

	Pixels [2]int  `json:"pixels,omitzero"`  // fewest and most of pictures that it draws well; zeros are not known
	Taught *Taught `json:"taught,omitempty"` // nil: every word of the tokenizer's may have been taught
}

// Taught is what a small model was taught: plans warn of other words.
type Taught struct {
	Objects []string `json:"objects"` // by their names
	Words   []string `json:"words"`   // in lower case and in order; those of objects are among them
}

// Add adds what a further training has shown.
func (t *Taught) Add(objects, words []string) {
	for _, o := range objects {
		if !slices.Contains(t.Objects, o) {
			t.Objects = append(t.Objects, o)
		}
	}
	t.Words = append(t.Words, words...)
	slices.Sort(t.Words)
	t.Words = slices.Compact(t.Words)
}

// The files of a model in nano's layout.
const (
	ManifestFile       = "nano.json"
	TransformerFile    = "dit.safetensors"
	EliGenFile         = "eligen.safetensors" // LoRA
	TextFile           = "text.safetensors"   // T5 under "t5.", CLIP under "clip."
	AutoencoderFile    = "ae.safetensors"
	VisionFile         = "vision.safetensors"     // the vision tower that image prompts are read by, under SigLIP's names
	IPFile             = "ip.safetensors"         // IP-Adapter, under InstantX's names
	InContextFile      = "in-context.safetensors" // LoRA
	T5TokenizerFile    = "tokenizer.json"
	CLIPVocabularyFile = "vocab.json"
	CLIPMergesFile     = "merges.txt"
)

// textConfig is the sizes of both text encoders.
type textConfig struct {
	T5   text.T5Config
	CLIP text.CLIPConfig
}

// tokenizers are read when a prompt is first counted or encoded.
type tokenizers struct {
	once sync.Once
	load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error)
	t    tokenize
	err  error
}

// tokenize cuts prompts.
type tokenize struct {
	t5, clip func(prompt string, length int) []int32

	countT5, countCLIP func(prompt string) int

	unknown func(prompt string) []eligen.Stretch // what T5 has no piece for
	words   func() []string                      // that T5 has a piece for
}

func (t *tokenizers) get() (tokenize, error) {
	t.once.Do(func() {
		t5, clip, err := t.load()
		if err != nil {
			t.err = err
			return
		}
		t.t = tokenize{
			t5:      func(p string, n int) []int32 { ids, _ := t5.Encode(p, n); return ids },
			clip:    func(p string, n int) []int32 { ids, _ := clip.Encode(p, n); return ids },
			countT5: t5.Count, countCLIP: clip.Count,

			unknown: t5.Unknown, words: t5.Words,
		}
	})
	return t.t, t.err
}

// checked is a loader of tokenizers that refuses those whose ids the encoders
// have no rows for.
func checked(c textConfig, load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error)) *tokenizers {
	return &tokenizers{load: func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
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

// encoders are a Spec's.
func encoders(t *tokenizers, clipMax int) []eligen.Encoder {
	count := func(of func(tokenize) func(string) int) func(string) int {
		return func(prompt string) int {
			tokens, err := t.get()
			if err != nil {
				return 0 // EncodePrompt reports it
			}
			return of(tokens)(prompt)
		}
	}
	return []eligen.Encoder{
		{Name: "T5", Role: "the text encoder", Count: count(func(t tokenize) func(string) int { return t.countT5 })},
		{Name: "CLIP", Role: "which sums up the prompt in one vector", Limit: clipMax, Pooled: true, Count: count(func(t tokenize) func(string) int { return t.countCLIP })},
	}
}

// geometry is how a transformer and its autoencoder cut pictures.
func geometry(t flux.Config, a vae.Config) eligen.Geometry {
	return eligen.Geometry{Channels: t.LatentChannels, Factor: a.Factor(), Patch: flux.Patch}
}

// handle is the digest that stands for a part: of what it is made from, and of
// how it computes.
func handle(part, dtype string, config any, from ...eligen.Digest) eligen.Digest {
	var b strings.Builder
	fmt.Fprintf(&b, "eligen weights 1\n%s\n%s\n%s\n", part, dtype, configName(config))
	for _, d := range from {
		fmt.Fprintf(&b, "%s\n", d)
	}
	return eligen.DigestOf([]byte(b.String()))
}

// part is the tensors of a checkpoint under a prefix, without it.
func (c *Checkpoint) part(prefix string) *Checkpoint {
	p := &Checkpoint{Path: c.Path + " (" + strings.TrimSuffix(prefix, ".") + ")", entries: map[string]entry{}}
	for _, t := range c.order {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			e := c.entries[t.Name]
			e.info.Name = name
			p.entries[name] = e
			p.order = append(p.order, e.info)
		}
	}
	return p
}

// nanoFiles is a model in nano's layout: a folder, or embedded files.
type nanoFiles struct {
	dir string // "" is embedded
	fs  fs.FS
}

func (e *Engine) nanoFiles(path string) (nanoFiles, error) {
	if _, err := os.Stat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
		return nanoFiles{}, notThere(path)
	}
	if path == "" {
		path = e.options.Nano
	}
	if path == "" {
		path = os.Getenv("ELIGEN_NANO_DIR")
	}
	if path != "" {
		if !isFolder(path) {
			return nanoFiles{}, fmt.Errorf("the model nano is a folder with %s and the files it describes; %s is none", ManifestFile, path)
		}
		return nanoFiles{path, os.DirFS(path)}, nil
	}
	f := nanoFiles{"", nano.Files()}
	if _, err := fs.Stat(f.fs, ManifestFile); err != nil {
		return f, errors.New("this build has no embedded weights. Set ELIGEN_NANO_DIR to a folder of them, or use the family flux with weights of your own")
	}
	return f, nil
}

func (f nanoFiles) where(name string) string {
	if f.dir == "" {
		return "embedded " + name
	}
	return filepath.Join(f.dir, name)
}

func (f nanoFiles) read(name string) ([]byte, error) {
	data, err := fs.ReadFile(f.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent{f.where(name)}
	}
	return data, err
}

// absent is a file that a model lacks.
type absent struct{ file string }

func (e absent) Error() string        { return "there is no " + e.file }
func (e absent) Is(target error) bool { return target == fs.ErrNotExist }

// checkpoint opens a safetensors file and digests it.
func (f nanoFiles) checkpoint(name string) (*Checkpoint, eligen.Digest, error) {
	if f.dir != "" {
		c, err := OpenCheckpoint(f.where(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", absent{f.where(name)}
		}
		if err != nil {
			return nil, "", err
		}
		d, err := DigestFile(f.where(name))
		if err != nil {
			c.Close()
		}
		return c, d, err
	}
	data, err := f.read(name)
	if err != nil {
		return nil, "", err
	}
	c, err := NewCheckpoint(f.where(name), data)
	return c, eligen.DigestOf(data), err
}

func (f nanoFiles) manifest() (m Manifest, err error) {
	data, err := f.read(ManifestFile)
	if err != nil {
		return m, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", f.where(ManifestFile), err)
	}
	if err := m.validate(); err != nil {
		return m, fmt.Errorf("%s: %w", f.where(ManifestFile), err)
	}
	if m.Autoencoder.Z != m.Transformer.LatentChannels || m.T5.Dim != m.Transformer.TextDim || m.CLIP.Dim != m.Transformer.PooledDim {
		return m, fmt.Errorf("%s: the parts don't fit together: the transformer takes %d latent channels, text of width %d and vectors of %d; the others make %d, %d and %d",
			f.where(ManifestFile), m.Transformer.LatentChannels, m.Transformer.TextDim, m.Transformer.PooledDim, m.Autoencoder.Z, m.T5.Dim, m.CLIP.Dim)
	}
	if err := m.checkImageSide(); err != nil {
		return m, fmt.Errorf("%s: %w", f.where(ManifestFile), err)
	}
	return m, nil
}

// validate says which number no model can have, before anything is built to it.
func (m Manifest) validate() error {
	list := []sizes.Size{{Name: "native.W", N: m.Native.W, Max: maxSide}, {Name: "native.H", N: m.Native.H, Max: maxSide},
		{Name: "text_length", N: m.TextLength, Max: maxText}, {Name: "entity_text_length", N: m.EntityTextLength, Max: maxText},
		{Name: "steps", N: m.Steps, Max: eligen.MaxSteps}, {Name: "steps_with_entities", N: m.StepsWithEntities, Max: eligen.MaxSteps}}
	if err := sizes.Check(list...); err != nil {
		return err
	}
	if p := m.Pixels; p != [2]int{} && (p[0] < 1 || p[0] > p[1] || p[1] > maxSide*maxSide) {
		return fmt.Errorf("pixels are from %d to %d; they must be from 1 to %d", p[0], p[1], maxSide*maxSide)
	}
	if m.Native.W%16 != 0 || m.Native.H%16 != 0 {
		return fmt.Errorf("native is %d×%d, it must be of multiples of 16", m.Native.W, m.Native.H)
	}
	for _, n := range []struct {
		name string
		x    float64
	}{{"cfg", m.CFG}, {"cfg_with_negative", m.CFGWithNegative}, {"cfg_with_entities", m.CFGWithEntities}, {"cfg_with_source", m.CFGWithSource}, {"guidance", m.Guidance}} {
		if !(n.x >= 0 && n.x <= maxGuidance) {
			return fmt.Errorf("%s is %v; it must be from 0 to %v", n.name, n.x, maxGuidance)
		}
	}
	if !slices.Contains(eligen.Schedules, m.Schedule) {
		return fmt.Errorf("schedule is %q; it must be one of %s", m.Schedule, strings.Join(eligen.Schedules, ", "))
	}
	for _, part := range []struct {
		name     string
		validate func() error
	}{{"dit", m.Transformer.Validate}, {"t5", m.T5.Validate}, {"clip", m.CLIP.Validate}, {"vae", m.Autoencoder.Validate}} {
		if err := part.validate(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if n := len(m.Autoencoder.Mult); n != 4 {
		return fmt.Errorf("vae: mult has %d levels; eligen's latents are 8 pixels wide, which 4 levels make", n)
	}
	return nil
}

// The largest numbers of a manifest that are believed.
const (
	maxSide     = 1 << 13
	maxText     = 4096
	maxGuidance = 1000.
)

// checkImageSide refuses sizes of the vision tower and the IP-Adapter that make no
// sense, or don't fit together.
func (m Manifest) checkImageSide() error {
	v, ip := m.Vision, m.IP
	if v == nil {
		if ip != nil {
			return errors.New("ip needs vision: an IP-Adapter takes what a vision tower makes of pictures")
		}
		return nil
	}
	if err := v.Validate(); err != nil {
		return fmt.Errorf("vision: %w", err)
	}
	if ip == nil { // a tower is trained before the adapter
		return nil
	}
	if err := ip.Validate(); err != nil {
		return fmt.Errorf("ip: %w", err)
	}
	if ip.ImageDim != v.Dim {
		return fmt.Errorf("the parts don't fit together: the vision tower makes vectors of %d, the IP-Adapter takes %d", v.Dim, ip.ImageDim)
	}
	return ip.Fits(m.Transformer)
}

// imageSide is the sizes of the vision tower and the IP-Adapter, or, of a model
// that has none, those that training begins with.
func (m Manifest) imageSide() (vision.Config, flux.IPConfig) {
	v := vision.Nano
	if m.Vision != nil {
		v = *m.Vision
	}
	if m.IP != nil {
		return v, *m.IP
	}
	return v, flux.IPConfig{ImageDim: v.Dim, Hidden: 192, Tokens: 4, TokenDim: m.T5.Dim, Dim: m.Transformer.Dim, Blocks: m.Transformer.Double + m.Transformer.Single}
}

func resolveNano(e *Engine, m eligen.Model) (*resolved, error) {
	f, err := e.nanoFiles(m.Path)
	if err != nil {
		return nil, err
	}
	dtype, computed, err := e.dtype(m, "float32")
	if err != nil {
		return nil, err
	}
	man, err := f.manifest()
	if err != nil {
		return nil, err
	}
	var opened []*Checkpoint
	done := false
	defer func() {
		for _, c := range opened {
			if !done {
				c.Close()
			} else {
				e.keep(c)
			}
		}
	}()
	open := func(name string) (*Checkpoint, eligen.Digest, error) {
		c, d, err := f.checkpoint(name)
		if err == nil {
			opened = append(opened, c)
		}
		return c, d, err
	}
	dit, ditDigest, err := open(TransformerFile)
	if err != nil {
		return nil, err
	}
	ae, aeDigest, err := open(AutoencoderFile)
	if err != nil {
		return nil, err
	}
	txt, txtDigest, err := open(TextFile)
	if err != nil {
		return nil, err
	}
	t5, clip := txt.part("t5."), txt.part("clip.")
	if err := errors.Join(
		Check(dit.Path, dit, weights(man.Transformer.Weights())),
		Check(ae.Path, ae, weights(man.Autoencoder.Weights())),
		Check(t5.Path, t5, weights(man.T5.Weights())),
		Check(clip.Path, clip, weights(man.CLIP.Weights())),
	); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var digests []eligen.Digest
	for _, name := range []string{T5TokenizerFile, CLIPVocabularyFile, CLIPMergesFile} {
		data, err := f.read(name)
		if err != nil {
			return nil, err
		}
		files[name] = data
		digests = append(digests, eligen.DigestOf(data))
	}
	cfg := textConfig{man.T5, man.CLIP}
	tokens := checked(cfg, func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, err := text.NewT5Tokenizer(files[T5TokenizerFile])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.where(T5TokenizerFile), err)
		}
		clip, err := text.NewCLIPTokenizer(files[CLIPVocabularyFile], files[CLIPMergesFile])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.where(CLIPVocabularyFile), err)
		}
		return t5, clip, nil
	})
	own := func(name string) (*Checkpoint, []eligen.Digest, error) {
		if man.Vision == nil || man.IP == nil {
			return nil, nil, fmt.Errorf("%s says nothing of an IP-Adapter and of the vision tower that reads pictures: this model takes none", f.where(ManifestFile))
		}
		c, d, err := f.checkpoint(name)
		return c, []eligen.Digest{d}, err
	}
	done = true
	return &resolved{
		imageAdapter: func() (file imageFile[flux.IPConfig], err error) {
			if file.Checkpoint, file.digests, err = own(IPFile); err == nil {
				file.config, err = *man.IP, Check(file.Path, file.Checkpoint, weights(man.IP.Weights()))
			}
			return file, err
		},
		tower: func() (file imageFile[vision.Config], err error) {
			if file.Checkpoint, file.digests, err = own(VisionFile); err == nil {
				file.config, err = *man.Vision, Check(file.Path, file.Checkpoint, weights(man.Vision.Weights()))
			}
			return file, err
		},
		spec: eligen.Spec{
			Family: m.Family, Geometry: geometry(man.Transformer, man.Autoencoder), Native: man.Native, DType: dtype,
			Text:        handle("text", dtype, cfg, append(digests, txtDigest)...),
			Transformer: handle("transformer", dtype, man.Transformer, ditDigest),
			Autoencoder: handle("autoencoder", "float32", man.Autoencoder, aeDigest),
			Prompt:      eligen.Reading{Length: man.TextLength, Pooled: true}, EntityPrompt: eligen.Reading{Length: man.EntityTextLength}, HasGuidance: man.Transformer.Guidance,
			Steps: man.Steps, StepsWithEntities: man.StepsWithEntities,
			CFG: man.CFG, CFGWithNegative: man.CFGWithNegative, CFGWithEntities: man.CFGWithEntities, CFGWithSource: man.CFGWithSource, CleanSource: man.CleanSource,
			Guidance: man.Guidance, Schedule: man.Schedule,
			Encoders: encoders(tokens, man.CLIP.Positions), Unread: man.reader(tokens), Pixels: man.Pixels, Objects: man.objects(), EliGen: true, InContext: true, LeastTeaCache: eligen.LeastTeaCache,
		},
		text: &textPart{cfg, t5, clip, tokens, computed},
		dit:  &ditPart{man.Transformer, dit, computed},
		vae:  &vaePart{man.Autoencoder, ae},
		adapter: func() (*Checkpoint, eligen.Digest, error) {
			c, d, err := f.checkpoint(EliGenFile)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w. A model without EliGen's LoRA renders with\n\n    adapters = []", err)
			}
			return c, d, err
		},
		inContext: func() (*Checkpoint, eligen.Digest, error) {
			c, d, err := f.checkpoint(InContextFile)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: this model has no in-context LoRA, which a transfer needs. `eligen train` makes one; or list LoRAs that you have, in `adapters`", err)
			}
			return c, d, err
		},
	}, nil
}

// digestFiles is the digest of every file of a checkpoint.
func digestFiles(c *Checkpoint) ([]eligen.Digest, error) {
	var out []eligen.Digest
	for _, f := range c.Files {
		d, err := DigestFile(f)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func resolveFlux(e *Engine, m eligen.Model) (*resolved, error) {
	if m.Path == "" {
		return nil, errors.New("the family flux has no weights of its own: give the path of a FLUX.1 folder or of its transformer's file, with the autoencoder and the text encoders beside it")
	}
	l, err := FindFlux(m.Path)
	if err != nil {
		return nil, err
	}
	dtype, computed, err := e.dtype(m, "bfloat16")
	if err != nil {
		return nil, err
	}
	var opened []*Checkpoint
	done := false
	defer func() {
		for _, c := range opened {
			if !done {
				c.Close()
			} else {
				e.keep(c)
			}
		}
	}()
	open := func(path, kind string) (*Checkpoint, error) {
		c, err := OpenCheckpoint(path)
		if err != nil {
			return nil, err
		}
		opened = append(opened, c)
		if c.Kind != kind {
			return nil, fmt.Errorf("%s should be the %s, but is %s", path, kind, c.Kind)
		}
		return c, nil
	}
	dit, err := open(l.Transformer, KindTransformer)
	if err != nil {
		return nil, err
	}
	ae, err := open(l.Autoencoder, KindAutoencoder)
	if err != nil {
		return nil, err
	}
	clip, err := open(l.CLIP, KindCLIP)
	if err != nil {
		return nil, err
	}
	t5, err := open(l.T5, KindT5)
	if err != nil {
		return nil, err
	}
	ditConfig, err1 := TransformerConfig(dit)
	aeConfig, err2 := AutoencoderConfig(ae)
	clipConfig, err3 := CLIPConfig(clip)
	t5Config, err4 := T5Config(t5)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	if aeConfig.Z != ditConfig.LatentChannels || t5Config.Dim != ditConfig.TextDim || clipConfig.Dim != ditConfig.PooledDim {
		return nil, fmt.Errorf("the parts don't fit together: the transformer takes %d latent channels, text of width %d and vectors of %d; the others make %d, %d and %d",
			ditConfig.LatentChannels, ditConfig.TextDim, ditConfig.PooledDim, aeConfig.Z, t5Config.Dim, clipConfig.Dim)
	}
	var digests [4][]eligen.Digest
	for i, c := range []*Checkpoint{dit, ae, clip, t5} {
		if digests[i], err = digestFiles(c); err != nil {
			return nil, err
		}
	}
	dir := m.Path
	if !isFolder(dir) {
		dir = filepath.Dir(dir)
	}
	cfg := textConfig{t5Config, clipConfig}
	load, tokenDigests, err := fluxTokenizers(dir)
	if err != nil {
		return nil, err
	}
	tokens := checked(cfg, load)
	spec := eligen.Spec{
		Family: m.Family, Geometry: geometry(ditConfig, aeConfig), Native: eligen.Size{W: 1024, H: 1024}, DType: dtype,
		Text:        handle("text", dtype, cfg, slices.Concat(tokenDigests, digests[2], digests[3])...),
		Transformer: handle("transformer", dtype, ditConfig, digests[0]...),
		Autoencoder: handle("autoencoder", "float32", aeConfig, digests[1]...),
		Prompt:      eligen.Reading{Length: 512, Pooled: true}, EntityPrompt: eligen.Reading{Length: 512}, HasGuidance: ditConfig.Guidance,
		// The reference's defaults, and those of EliGen's examples.
		Steps: 30, StepsWithEntities: 50, CFG: 1, CFGWithNegative: 3, CFGWithEntities: 3,
		Guidance: 3.5, Schedule: "eligen", Encoders: encoders(tokens, clipConfig.Positions), Unread: reader(tokens),
		EliGen: true, WithoutLoRA: "FLUX.1 has learned regional attention through EliGen's LoRA only; without it, entities are likely to ignore their regions.", LeastTeaCache: eligen.LeastTeaCache,
	}
	if !ditConfig.Guidance {
		// FLUX.1 [schnell] is distilled to four steps without guidance.
		spec.Steps, spec.StepsWithEntities, spec.Prompt.Length, spec.EntityPrompt.Length = 4, 4, 256, 256
		spec.CFGWithNegative, spec.CFGWithEntities, spec.Guidance, spec.Schedule = 1, 1, 0, "flux-schnell"
	}
	done = true
	return &resolved{
		spec:    spec,
		text:    &textPart{cfg, t5, clip, tokens, computed},
		dit:     &ditPart{ditConfig, dit, computed},
		vae:     &vaePart{aeConfig, ae},
		adapter: func() (*Checkpoint, eligen.Digest, error) { return fluxEliGen(dir) },
	}, nil
}

// fluxTokenizers are those of a FLUX.1 repository, or, where it has none, the
// published ones that are embedded.
func fluxTokenizers(dir string) (load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error), digests []eligen.Digest, err error) {
	t5File := filepath.Join(dir, "tokenizer_2", "tokenizer.json")
	vocab, merges := filepath.Join(dir, "tokenizer", "vocab.json"), filepath.Join(dir, "tokenizer", "merges.txt")
	exists := func(p string) bool { _, err := os.Stat(p); return err == nil }
	loadT5, loadCLIP := text.EmbeddedT5, text.EmbeddedCLIP
	const limit = 64 << 20
	if exists(t5File) {
		d, err := DigestFile(t5File)
		if err != nil {
			return nil, nil, err
		}
		digests = append(digests, d)
		loadT5 = func() (*text.T5Tokenizer, error) {
			data, err := readSmall(t5File, limit)
			if err != nil {
				return nil, err
			}
			t, err := text.NewT5Tokenizer(data)
			if err != nil {
				err = fmt.Errorf("%s: %w", t5File, err)
			}
			return t, err
		}
	}
	if exists(vocab) && exists(merges) {
		for _, p := range []string{vocab, merges} {
			d, err := DigestFile(p)
			if err != nil {
				return nil, nil, err
			}
			digests = append(digests, d)
		}
		loadCLIP = func() (*text.CLIPTokenizer, error) {
			v, err := readSmall(vocab, limit)
			if err != nil {
				return nil, err
			}
			m, err := readSmall(merges, limit)
			if err != nil {
				return nil, err
			}
			t, err := text.NewCLIPTokenizer(v, m)
			if err != nil {
				err = fmt.Errorf("%s: %w", vocab, err)
			}
			return t, err
		}
	}
	return func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, err := loadT5()
		if err != nil {
			return nil, nil, err
		}
		clip, err := loadCLIP()
		return t5, clip, err
	}, digests, nil
}

// fluxEliGen is the EliGen LoRA beside a FLUX model's own files.
func fluxEliGen(dir string) (*Checkpoint, eligen.Digest, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, "", err
	}
	var found []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if !e.IsDir() && strings.HasSuffix(name, ".safetensors") && (strings.Contains(name, "eligen") || name == "model_bf16.safetensors") {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	switch len(found) {
	case 0:
		return nil, "", fmt.Errorf("%s holds no EliGen LoRA for FLUX.1 (*eligen*.safetensors, or model_bf16.safetensors as it is published). Put it there, or name it:\n\n    adapter \"lora\" \"eligen\" {\n      source = \"./eligen.safetensors\"\n    }", dir)
	case 1:
		c, err := OpenCheckpoint(found[0])
		if err != nil {
			return nil, "", err
		}
		d, err := DigestFile(found[0])
		if err != nil {
			c.Close()
		}
		return c, d, err
	}
	return nil, "", fmt.Errorf("%s holds several EliGen LoRAs: %s. Name the one to use", dir, strings.Join(found, ", "))
}
