// Package flux finds and opens FLUX.1 models as users have them.
package flux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/weights"
)

// Family is FLUX.1: models that a scene names by their files.
var Family = family.Family{
	Family: eligen.Family{
		Name:   "flux",
		Source: `the folder or file of its weights, as "./weights/FLUX.1-dev", or a repository, as "black-forest-labs/FLUX.1-dev"`,
		Parts:  []string{eligen.PartCLIP, eligen.PartT5, eligen.PartVAE},
	},
	Outline: outline, Resolve: resolve, Wanted: Wanted, Describe: describe,
}

func outline() eligen.Spec {
	s := fluxmodel.Outline(text.EmbeddedT5)
	s.Native = eligen.Size{W: 1024, H: 1024}
	s.WithoutLoRA = "FLUX.1 has learned regional attention through EliGen's LoRA only; " +
		"without it, entities are likely to ignore their regions."
	return s
}

func resolve(m eligen.Model, s family.Settings) (_ *family.Model, err error) {
	if m.Path == "" {
		return nil, errors.New("the family flux has no weights of its own: name a FLUX.1 repository or folder, or the " +
			"transformer's file, with the autoencoder and the text encoders next to it or named by themselves")
	}
	l, err := Find(m.Path, m.Parts, beside(m.Path, s))
	if err != nil {
		return nil, err
	}
	n, err := s.DType(m, "bfloat16")
	if err != nil {
		return nil, err
	}
	r := &family.Model{}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	dir := m.Path
	if !weights.IsFolder(dir) {
		dir = filepath.Dir(dir)
	}
	for _, f := range slices.Concat(tokenFiles(dir), l.settings()) {
		r.Read = append(r.Read, cache.StampAt(f))
	}
	p, err := open(l, r)
	if err != nil {
		return nil, err
	}
	load, digests, err := tokenizers(dir)
	if err != nil {
		return nil, err
	}
	tokens := fluxmodel.Checked(p.TextConfig, load)
	r.Spec = spec(p, tokens)
	r.Spec.Family, r.Spec.DType, r.Spec.Computed = m.Family, n.Name, n.Rounded()
	if err := p.handles(&r.Spec, digests); err != nil {
		return nil, err
	}
	r.Encoders = &fluxmodel.Text{
		TextConfig: p.TextConfig, T5Weights: p.t5, CLIPWeights: p.clip, Tokens: tokens, Numbers: n,
		Digest: r.Spec.Text, EntityLength: r.Spec.EntityPrompt.Length,
	}
	dit := &fluxmodel.DiT{Config: p.ditConfig, Loader: p.dit, Numbers: n, Digest: r.Spec.Transformer}
	r.Transformer, r.Autoencoder = dit, &fluxmodel.VAE{Config: p.aeConfig, Loader: p.ae}
	r.LoRA, r.Images = weights.ParseLoRA, fluxmodel.ImageOpener{Family: m.Family, DType: n.Computed, Transformer: dit}.Open
	r.EliGen = func() (*weights.Checkpoint, eligen.Digest, error) { return eligenLoRA(dir, loraFolders(m.Path, s)...) }
	return r, nil
}

// parts are a model's parts, open, and their sizes.
type parts struct {
	dit, ae, clip, t5 *weights.Checkpoint
	ditConfig         flux.Config
	aeConfig          vae.Config
	fluxmodel.TextConfig
}

// open opens a model's parts, and checks that each is what it should be and that they fit.
// Files that are open when it fails are in r.
func open(l Files, r *family.Model) (p parts, err error) {
	for _, part := range []struct {
		into       **weights.Checkpoint
		path, kind string
	}{{&p.dit, l.Transformer, weights.KindTransformer}, {&p.ae, l.Autoencoder, weights.KindAutoencoder},
		{&p.clip, l.CLIP, weights.KindCLIP}, {&p.t5, l.T5, weights.KindT5}} {
		c, err := weights.Open(part.path)
		if err != nil {
			return p, err
		}
		r.Open = append(r.Open, c)
		if err := c.Refused(); err != nil {
			return p, err
		}
		if *part.into = c.Of(part.kind); *part.into == nil {
			return p, fmt.Errorf("%s should be the %s, but is %s", part.path, part.kind, c.Kind)
		}
	}
	var errs [4]error
	p.ditConfig, errs[0] = detect.Transformer(p.dit)
	p.aeConfig, errs[1] = detect.Autoencoder(p.ae)
	p.CLIP, errs[2] = detect.CLIP(p.clip)
	p.T5, errs[3] = detect.T5(p.t5)
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	return p, fluxmodel.Fit(p.ditConfig, p.aeConfig, p.TextConfig)
}

// handles digests the parts' files.
func (p parts) handles(spec *eligen.Spec, tokenizers []eligen.Digest) error {
	var digests [4][]eligen.Digest
	for i, c := range []*weights.Checkpoint{p.dit, p.ae, p.clip, p.t5} {
		var err error
		if digests[i], err = weights.Digests(c); err != nil {
			return err
		}
	}
	spec.Text = family.Digest("text", spec.DType, p.TextConfig, slices.Concat(tokenizers, digests[2], digests[3])...)
	spec.Transformer = family.Digest("transformer", spec.DType, p.ditConfig, digests[0]...)
	if len(digests[0]) == 1 {
		spec.File = digests[0][0]
	}
	spec.Autoencoder = family.Digest("autoencoder", "float32", p.aeConfig, digests[1]...)
	return nil
}

// spec returns the reference's defaults, and those of EliGen's examples.
func spec(p parts, tokens *fluxmodel.Tokenizers) eligen.Spec {
	spec := outline()
	spec.Geometry, spec.Blocks = fluxmodel.Geometry(p.ditConfig, p.aeConfig), p.ditConfig.Double+p.ditConfig.Single
	spec.Prompt, spec.EntityPrompt = eligen.Reading{Length: 512, Pooled: true}, eligen.Reading{Length: 512}
	spec.Encoders, spec.Unread = fluxmodel.Encoders(tokens, p.CLIP.Positions), fluxmodel.Reader(tokens)
	spec.Steps, spec.StepsWithEntities = 30, 50
	spec.CFG, spec.CFGWithNegative, spec.CFGWithEntities = 1, 3, 3
	spec.HasGuidance, spec.Guidance, spec.Schedule = p.ditConfig.Guidance, 3.5, "eligen"
	if !p.ditConfig.Guidance {
		// FLUX.1 [schnell] is distilled to four steps without guidance.
		spec.Steps, spec.StepsWithEntities, spec.Prompt.Length, spec.EntityPrompt.Length = 4, 4, 256, 256
		spec.CFGWithNegative, spec.CFGWithEntities, spec.Guidance, spec.Schedule = 1, 1, 0, "flux-schnell"
	}
	return spec
}

// A tokensFile is a tokenizer's file, which may be read long after its digest was taken.
type tokensFile struct {
	path   string
	digest eligen.Digest
}

func (f tokensFile) read() ([]byte, error) {
	data, err := files.Read(f.path, 64<<20)
	if err == nil && eligen.DigestOf(data) != f.digest {
		err = fmt.Errorf("%s: %w", f.path, weights.ErrChanged)
	}
	return data, err
}

// tokenFiles lists where a FLUX.1 repository has its tokenizers: T5's, and CLIP's words
// and merges.
func tokenFiles(dir string) []string {
	return []string{filepath.Join(dir, "tokenizer_2", "tokenizer.json"),
		filepath.Join(dir, "tokenizer", "vocab.json"), filepath.Join(dir, "tokenizer", "merges.txt")}
}

// tokenizers returns those of a FLUX.1 repository, or, where it has none, the
// published ones that are embedded.
func tokenizers(dir string) (load func() (*text.T5Tokenizer, *text.CLIPTokenizer, error), digests []eligen.Digest, err error) {
	there := func(paths ...string) (list []tokensFile, err error) {
		for _, p := range paths {
			if _, err := os.Stat(p); err != nil {
				return nil, nil
			}
		}
		for _, p := range paths {
			d, err := cache.Digest(p)
			if err != nil {
				return nil, err
			}
			list, digests = append(list, tokensFile{p, d}), append(digests, d)
		}
		return list, nil
	}
	paths := tokenFiles(dir)
	ofT5, err := there(paths[0])
	if err != nil {
		return nil, nil, err
	}
	ofCLIP, err := there(paths[1:]...)
	if err != nil {
		return nil, nil, err
	}
	return func() (*text.T5Tokenizer, *text.CLIPTokenizer, error) {
		t5, err := loadT5(ofT5)
		if err != nil {
			return nil, nil, err
		}
		clip, err := loadCLIP(ofCLIP)
		return t5, clip, err
	}, digests, nil
}

func loadT5(from []tokensFile) (*text.T5Tokenizer, error) {
	if len(from) == 0 {
		return text.EmbeddedT5()
	}
	data, err := from[0].read()
	if err != nil {
		return nil, err
	}
	t, err := text.NewT5Tokenizer(data)
	if err != nil {
		err = fmt.Errorf("%s: %w", from[0].path, err)
	}
	return t, err
}

func loadCLIP(from []tokensFile) (*text.CLIPTokenizer, error) {
	if len(from) == 0 {
		return text.EmbeddedCLIP()
	}
	v, err := from[0].read()
	if err != nil {
		return nil, err
	}
	m, err := from[1].read()
	if err != nil {
		return nil, err
	}
	t, err := text.NewCLIPTokenizer(v, m)
	if err != nil {
		err = fmt.Errorf("%s: %w", from[0].path, err)
	}
	return t, err
}

// Where EliGen's LoRA for FLUX.1 is published.
const (
	eligenRepo = "modelscope:DiffSynth-Studio/Eligen"
	eligenFile = "model_bf16.safetensors"
)

// isEliGen reports whether a file next to a FLUX model's own is named as an EliGen LoRA.
func isEliGen(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".safetensors") && !strings.Contains(name, "/") &&
		(strings.Contains(name, "eligen") || name == "model_bf16.safetensors")
}

// beside returns what lists the folders in which a part of the model at a path may lie; nil where nothing does.
func beside(path string, s family.Settings) func(part string) []string {
	if s.Beside == nil {
		return nil
	}
	return func(part string) []string { return s.Beside(path, part) }
}

// loraFolders returns the folders of LoRAs that belong to the model at a path.
func loraFolders(path string, s family.Settings) []string {
	if s.Beside == nil {
		return nil
	}
	return s.Beside(path, eligen.PartLoRA)
}

// eligenLoRA opens the EliGen LoRA next to a FLUX model's own files, or else in the first of other folders that has
// one.
func eligenLoRA(dir string, others ...string) (*weights.Checkpoint, eligen.Digest, error) {
	var found []string
	for _, folder := range append([]string{dir}, others...) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			if !e.IsDir() && isEliGen(e.Name()) {
				found = append(found, filepath.Join(folder, e.Name()))
			}
		}
		if len(found) > 0 {
			break
		}
	}
	switch len(found) {
	case 0:
		return nil, "", fmt.Errorf("%s holds no EliGen LoRA for FLUX.1 (*eligen*.safetensors, or model_bf16.safetensors as it is "+
			"published). Put it there, or name it:\n\n    adapter \"lora\" \"eligen\" {\n      source = \"%s\"\n      file   = \"%s\"\n    }",
			dir, eligenRepo, eligenFile)
	case 1:
		c, err := weights.Open(found[0])
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
	return nil, "", fmt.Errorf("%s holds several EliGen LoRAs: %s. Name the one to use", filepath.Dir(found[0]), strings.Join(found, ", "))
}
