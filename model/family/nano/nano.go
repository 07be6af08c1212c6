package nano

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
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/sizes"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
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

// A Folder is a model in nano's layout: a folder of files, or the embedded ones.
type Folder struct {
	dir string // "" is embedded
	fs  fs.FS
}

// At returns the model in a folder; "" is the embedded one.
func At(dir string) Folder {
	if dir == "" {
		return Folder{"", Files()}
	}
	return Folder{dir, os.DirFS(dir)}
}

// Find finds the files of a model: in the folder that a scene names, in the one that
// is given instead of the embedded model, or embedded.
func Find(path, instead string) (Folder, error) {
	if _, err := os.Stat(path); path != "" && errors.Is(err, fs.ErrNotExist) {
		return Folder{}, weights.NotThere(path)
	}
	if path == "" {
		path = instead
	}
	if path == "" {
		path = os.Getenv("ELIGEN_NANO_DIR")
	}
	if path != "" {
		if !weights.IsFolder(path) {
			return Folder{}, fmt.Errorf("the model nano is a folder with %s and the files it describes; %s is none", ManifestFile, path)
		}
		return At(path), nil
	}
	f := At("")
	if _, err := fs.Stat(f.fs, ManifestFile); err != nil {
		return f, errors.New("this build has no embedded weights. Set ELIGEN_NANO_DIR to a folder of them, or use the family flux " +
			"with weights of your own")
	}
	return f, nil
}

// Where says where a file lies.
func (f Folder) Where(name string) string {
	if f.dir == "" {
		return "embedded " + name
	}
	return filepath.Join(f.dir, name)
}

// Read returns a file's content. A missing one is fs.ErrNotExist.
func (f Folder) Read(name string) ([]byte, error) {
	data, err := fs.ReadFile(f.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, absent{f.Where(name)}
	}
	return data, err
}

// absent is a file that a model lacks.
type absent struct{ file string }

func (e absent) Error() string { return "there is no " + e.file }

func (e absent) Is(target error) bool { return target == fs.ErrNotExist }

// checkpoint opens a safetensors file and digests it.
func (f Folder) checkpoint(name string) (*weights.Checkpoint, eligen.Digest, error) {
	if f.dir != "" {
		c, err := weights.Open(f.Where(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", absent{f.Where(name)}
		}
		if err != nil {
			return nil, "", err
		}
		d, err := weights.Digests(c)
		if err != nil {
			c.Close()
			return nil, "", err
		}
		return c, d[0], nil
	}
	data, err := f.Read(name)
	if err != nil {
		return nil, "", err
	}
	c, err := weights.FromBytes(f.Where(name), data)
	return c, eligen.DigestOf(data), err
}

// Manifest reads nano.json, and refuses numbers that no model can have.
func (f Folder) Manifest() (m Manifest, err error) {
	data, err := f.Read(ManifestFile)
	if err != nil {
		return m, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, fmt.Errorf("%s: %w", f.Where(ManifestFile), err)
	}
	if err := m.validate(); err != nil {
		return m, fmt.Errorf("%s: %w", f.Where(ManifestFile), err)
	}
	if err := fluxmodel.Fit(m.Transformer, m.Autoencoder, fluxmodel.TextConfig{T5: m.T5, CLIP: m.CLIP}); err != nil {
		return m, fmt.Errorf("%s: %w", f.Where(ManifestFile), err)
	}
	if err := m.checkImageSide(); err != nil {
		return m, fmt.Errorf("%s: %w", f.Where(ManifestFile), err)
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
	}{{"cfg", m.CFG}, {"cfg_with_negative", m.CFGWithNegative}, {"cfg_with_entities", m.CFGWithEntities},
		{"cfg_with_source", m.CFGWithSource}, {"guidance", m.Guidance}} {
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

// ImageSide returns the sizes of the vision tower and the IP-Adapter, or, of a model
// that has none, those that training begins with.
func (m Manifest) ImageSide() (vision.Config, flux.IPConfig) {
	v := vision.Nano
	if m.Vision != nil {
		v = *m.Vision
	}
	if m.IP != nil {
		return v, *m.IP
	}
	return v, flux.IPConfig{ImageDim: v.Dim, Hidden: 192, Tokens: 4, TokenDim: m.T5.Dim, Dim: m.Transformer.Dim,
		Blocks: m.Transformer.Double + m.Transformer.Single}
}

// Family is the embedded model, and others in its layout.
var Family = family.Family{
	Family:  eligen.Family{Name: "nano"},
	Outline: outline, Resolve: resolve,
}

func outline() eligen.Spec {
	s := fluxmodel.Outline(tokenizer)
	s.Native, s.InContext = eligen.Size{W: 256, H: 256}, true
	return s
}

// tokenizer is the embedded model's.
var tokenizer = sync.OnceValues(func() (*text.T5Tokenizer, error) {
	file, err := fs.ReadFile(Files(), T5TokenizerFile)
	if err != nil {
		return nil, err
	}
	return text.NewT5Tokenizer(file)
})

// stamps returns the stamps of the small files in a folder; none of the embedded model's.
func (f Folder) stamps() (list []cache.Stamp) {
	if f.dir != "" {
		for _, name := range []string{ManifestFile, T5TokenizerFile, CLIPVocabularyFile, CLIPMergesFile} {
			list = append(list, cache.StampAt(f.Where(name)))
		}
	}
	return list
}

func resolve(m eligen.Model, s family.Settings) (_ *family.Model, err error) {
	f, err := Find(m.Path, s.Embedded)
	if err != nil {
		return nil, err
	}
	numbers, err := s.DType(m, "float32")
	if err != nil {
		return nil, err
	}
	r := &family.Model{Read: f.stamps()}
	man, err := f.Manifest()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	n, err := f.networks(r)
	if err != nil {
		return nil, err
	}
	cfg := fluxmodel.TextConfig{T5: man.T5, CLIP: man.CLIP}
	if err := man.check(n.dit, n.ae, n.t5, n.clip); err != nil {
		return nil, err
	}
	load, digests, err := f.tokenizers()
	if err != nil {
		return nil, err
	}
	tokens := fluxmodel.Checked(cfg, load)
	r.Spec = man.spec(tokens)
	r.Spec.Family, r.Spec.DType, r.Spec.Computed = m.Family, numbers.Name, numbers.Rounded()
	r.Spec.Text = family.Digest("text", numbers.Name, cfg, slices.Concat(digests, n.digests[n.t5], n.digests[n.clip])...)
	r.Spec.Transformer = family.Digest("transformer", numbers.Name, man.Transformer, n.digests[n.dit]...)
	r.Spec.Autoencoder = family.Digest("autoencoder", "float32", man.Autoencoder, n.digests[n.ae]...)
	r.Encoders = &fluxmodel.Text{
		TextConfig: cfg, T5Weights: n.t5, CLIPWeights: n.clip, Tokens: tokens, Numbers: numbers,
		Digest: r.Spec.Text, EntityLength: man.EntityTextLength,
	}
	part := &fluxmodel.DiT{Config: man.Transformer, Loader: n.dit, Numbers: numbers, Digest: r.Spec.Transformer}
	r.Transformer, r.Autoencoder, r.LoRA = part, &fluxmodel.VAE{Config: man.Autoencoder, Loader: n.ae}, weights.ParseLoRA
	f.adapters(man, r, part)
	return r, nil
}

// check compares the parts' tensors with those that the manifest's sizes ask for.
func (m Manifest) check(dit, ae, t5, clip *weights.Checkpoint) error {
	return errors.Join(
		weights.Check(dit.Path, dit, weights.List(m.Transformer.Weights())),
		weights.Check(ae.Path, ae, weights.List(m.Autoencoder.Weights())),
		weights.Check(t5.Path, t5, weights.List(m.T5.Weights())),
		weights.Check(clip.Path, clip, weights.List(m.CLIP.Weights())),
	)
}

// spec returns the defaults and limits that the manifest states.
func (m Manifest) spec(tokens *fluxmodel.Tokenizers) eligen.Spec {
	s := outline()
	s.Geometry, s.Native = fluxmodel.Geometry(m.Transformer, m.Autoencoder), m.Native
	s.Blocks = m.Transformer.Double + m.Transformer.Single
	s.Prompt, s.EntityPrompt = eligen.Reading{Length: m.TextLength, Pooled: true}, eligen.Reading{Length: m.EntityTextLength}
	s.Encoders, s.Unread = fluxmodel.Encoders(tokens, m.CLIP.Positions), m.reader(tokens)
	s.Steps, s.StepsWithEntities, s.Schedule = m.Steps, m.StepsWithEntities, m.Schedule
	s.CFG, s.CFGWithNegative, s.CFGWithEntities = m.CFG, m.CFGWithNegative, m.CFGWithEntities
	s.CFGWithSource, s.CleanSource = m.CFGWithSource, m.CleanSource
	s.HasGuidance, s.Guidance = m.Transformer.Guidance, m.Guidance
	s.Pixels, s.Objects = m.Pixels, m.objects()
	return s
}

// tokenizers reads the tokenizers' files, and returns what makes tokenizers of them.
func (f Folder) tokenizers() (load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error), digests []eligen.Digest, err error) {
	files := map[string][]byte{}
	for _, name := range []string{T5TokenizerFile, CLIPVocabularyFile, CLIPMergesFile} {
		data, err := f.Read(name)
		if err != nil {
			return nil, nil, err
		}
		files[name] = data
		digests = append(digests, eligen.DigestOf(data))
	}
	return func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, err := text.NewT5Tokenizer(files[T5TokenizerFile])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Where(T5TokenizerFile), err)
		}
		clip, err := text.NewCLIPTokenizer(files[CLIPVocabularyFile], files[CLIPMergesFile])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.Where(CLIPVocabularyFile), err)
		}
		return t5, clip, nil
	}, digests, nil
}

// adapters has a model open its own adapters when a scene asks for them.
func (f Folder) adapters(man Manifest, r *family.Model, dit *fluxmodel.DiT) {
	o := fluxmodel.ImageOpener{Family: r.Spec.Family, DType: dit.Computed, Transformer: dit}
	own := func(name string) (*weights.Checkpoint, []eligen.Digest, error) {
		if man.Vision == nil || man.IP == nil {
			return nil, nil, fmt.Errorf("%s says nothing of an IP-Adapter and of the vision tower that reads pictures: this model takes none",
				f.Where(ManifestFile))
		}
		c, d, err := f.checkpoint(name)
		return c, []eligen.Digest{d}, err
	}
	o.Adapter = func() (file fluxmodel.ImageFile[flux.IPConfig], err error) {
		if file.Checkpoint, file.Digests, err = own(IPFile); err == nil {
			file.Config, err = *man.IP, weights.Check(file.Path, file.Checkpoint, weights.List(man.IP.Weights()))
		}
		return file, err
	}
	o.Tower = func() (file fluxmodel.ImageFile[vision.Config], err error) {
		if file.Checkpoint, file.Digests, err = own(VisionFile); err == nil {
			file.Config, err = *man.Vision, weights.Check(file.Path, file.Checkpoint, weights.List(man.Vision.Weights()))
		}
		return file, err
	}
	r.Images = o.Open
	r.EliGen = func() (*weights.Checkpoint, eligen.Digest, error) {
		c, d, err := f.checkpoint(EliGenFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w. A model without EliGen's LoRA renders with\n\n    adapters = []", err)
		}
		return c, d, err
	}
	r.InContext = func() (*weights.Checkpoint, eligen.Digest, error) {
		c, d, err := f.checkpoint(InContextFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: this model has no in-context LoRA, which a transfer needs. `eligen train` makes one; or list LoRAs "+
				"that you have, in `adapters`", err)
		}
		return c, d, err
	}
}
