// Package qwen finds, opens and runs Qwen-Image with EliGen (V1, V2, Poster) as users have it.
package qwen

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
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/weights"
)

// Family is Qwen-Image: models that a scene names by their files.
var Family = family.Family{
	Family: eligen.Family{
		Name:   "qwen",
		Source: `the folder or file of its weights, as "./weights/Qwen-Image", or a repository, as "Qwen/Qwen-Image"`,
		Parts:  []string{eligen.PartText, eligen.PartVAE},
	},
	Outline: outline, Resolve: resolve, Wanted: Wanted, Describe: describe,
}

// The most tokens that are read of a prompt, and of an entity's.
const (
	maxPrompt = 4096
	maxEntity = 1024
)

// outline returns the reference's defaults. Its text is read at its true length.
func outline() eligen.Spec {
	return eligen.Spec{
		Geometry: eligen.DefaultGeometry, Native: eligen.Size{W: 1328, H: 1328},
		Encoders: encoders(&Tokenizer{Load: text.EmbeddedQwen, Rows: text.QwenVL7B.Vocab}),
		Prompt:   eligen.Reading{Length: maxPrompt, Unpadded: true}, EntityPrompt: eligen.Reading{Length: maxEntity, Unpadded: true},
		Steps: 30, StepsWithEntities: 30, CFG: 4, CFGWithNegative: 4, CFGWithEntities: 4, Schedule: "qwen",
		EliGen: true,
		WithoutLoRA: "Qwen-Image has learned regional attention through EliGen's LoRAs only; " +
			"without one, entities are likely to ignore their regions.",
	}
}

// encoders returns the encoders of a Spec.
func encoders(t *Tokenizer) []eligen.Encoder {
	return []eligen.Encoder{{Name: "Qwen2.5-VL", Role: "the text encoder", Count: func(prompt string) int {
		tokens, err := t.Get()
		if err != nil {
			return 0 // EncodePrompt reports it
		}
		return tokens.Count(prompt)
	}}}
}

func resolve(m eligen.Model, s family.Settings) (_ *family.Model, err error) {
	if m.Path == "" {
		return nil, errors.New("the family qwen has no weights of its own: name a Qwen-Image repository or folder, or the " +
			"transformer's file, with the autoencoder and the text encoder next to it or named by themselves")
	}
	var beside func(part string) []string
	if s.Beside != nil {
		beside = func(part string) []string { return s.Beside(m.Path, part) }
	}
	l, err := Find(m.Path, m.Parts, beside)
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
	for _, f := range slices.Concat(tokenFiles(dir), family.FolderSettings(l.Transformer, l.Text, l.Autoencoder)) {
		r.Read = append(r.Read, cache.StampAt(f))
	}
	p, err := open(l, r)
	if err != nil {
		return nil, err
	}
	load, digests, err := tokenizer(dir)
	if err != nil {
		return nil, err
	}
	tokens := &Tokenizer{Load: load, Rows: p.textConfig.Vocab}
	r.Spec = outline()
	r.Spec.Geometry = eligen.Geometry{Channels: p.ditConfig.LatentChannels, Factor: p.coderConfig.Factor(), Patch: qwen.Patch}
	r.Spec.Encoders = encoders(tokens)
	r.Spec.Family, r.Spec.DType, r.Spec.Computed = m.Family, n.Name, n.Rounded()
	if err := p.handles(&r.Spec, digests); err != nil {
		return nil, err
	}
	r.Encoders = &Text{Config: p.textConfig, Loader: p.text, Tokens: tokens, Numbers: n, Digest: r.Spec.Text}
	r.Transformer = &DiT{Config: p.ditConfig, Loader: p.dit, Numbers: n, Digest: r.Spec.Transformer}
	r.Autoencoder = &Coder{Config: p.coderConfig, Loader: p.coder}
	r.LoRA = func(c *weights.Checkpoint) (*lora.File, error) { return weights.ParseLoRAFor(lora.Qwen, c) }
	r.EliGen = func() (*weights.Checkpoint, eligen.Digest, error) {
		folders := []string{dir}
		if s.Beside != nil {
			folders = append(folders, s.Beside(m.Path, eligen.PartLoRA)...)
		}
		return eligenLoRA(folders)
	}
	return r, nil
}

// parts are a model's parts, open, and their sizes.
type parts struct {
	dit, text, coder *weights.Checkpoint
	ditConfig        qwen.Config
	textConfig       text.QwenConfig
	coderConfig      qwen.CoderConfig
}

// open opens a model's parts, and checks that each is what it should be and that they fit.
// Files that are open when it fails are in r.
func open(l Files, r *family.Model) (p parts, err error) {
	for _, part := range []struct {
		into       **weights.Checkpoint
		path, kind string
	}{{&p.dit, l.Transformer, weights.KindQwenDiT}, {&p.text, l.Text, weights.KindQwenVL}, {&p.coder, l.Autoencoder, weights.KindQwenCode}} {
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
	var errs [3]error
	p.ditConfig, errs[0] = detect.QwenTransformer(p.dit)
	p.textConfig, errs[1] = detect.Qwen(p.text)
	p.coderConfig, errs[2] = detect.QwenCoder(p.coder)
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	if p.coderConfig.Z != p.ditConfig.LatentChannels || p.textConfig.Dim != p.ditConfig.TextDim {
		return p, fmt.Errorf("the parts don't fit together: the transformer takes %d latent channels and text of width %d; the others make %d "+
			"and %d", p.ditConfig.LatentChannels, p.ditConfig.TextDim, p.coderConfig.Z, p.textConfig.Dim)
	}
	return p, nil
}

// handles digests the parts' files.
func (p parts) handles(spec *eligen.Spec, tokenizer []eligen.Digest) error {
	var digests [3][]eligen.Digest
	for i, c := range []*weights.Checkpoint{p.dit, p.text, p.coder} {
		var err error
		if digests[i], err = weights.Digests(c); err != nil {
			return err
		}
	}
	spec.Transformer = family.Digest("transformer", spec.DType, p.ditConfig, digests[0]...)
	spec.Text = family.Digest("text", spec.DType, p.textConfig, slices.Concat(tokenizer, digests[1])...)
	if len(digests[0]) == 1 {
		spec.File = digests[0][0]
	}
	spec.Autoencoder = family.Digest("autoencoder", "float32", p.coderConfig, digests[2]...)
	return nil
}

// tokenFiles lists where a Qwen-Image repository has its tokenizer.
func tokenFiles(dir string) []string {
	return []string{filepath.Join(dir, "tokenizer", "vocab.json"), filepath.Join(dir, "tokenizer", "merges.txt"),
		filepath.Join(dir, "tokenizer", "added_tokens.json")}
}

// tokenizer returns that of a Qwen-Image repository, or, where it has none, the published one that is
// embedded.
func tokenizer(dir string) (load func() (*text.QwenTokenizer, error), digests []eligen.Digest, err error) {
	paths := tokenFiles(dir)
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			return text.EmbeddedQwen, nil, nil
		}
	}
	for _, p := range paths {
		d, err := cache.Digest(p)
		if err != nil {
			return nil, nil, err
		}
		digests = append(digests, d)
	}
	return func() (*text.QwenTokenizer, error) {
		var data [3][]byte
		for i, p := range paths {
			if data[i], err = files.Read(p, 64<<20); err != nil {
				return nil, err
			}
			if eligen.DigestOf(data[i]) != digests[i] {
				return nil, fmt.Errorf("%s: %w", p, weights.ErrChanged)
			}
		}
		t, err := text.NewQwenTokenizer(data[0], data[1], data[2])
		if err != nil {
			err = fmt.Errorf("%s: %w", filepath.Dir(paths[0]), err)
		}
		return t, err
	}, digests, nil
}

// Where EliGen's LoRAs for Qwen-Image are published, and the file in each.
const (
	eligenRepo = "modelscope:DiffSynth-Studio/Qwen-Image-EliGen-V2"
	eligenFile = "model.safetensors"
)

// eligenLoRA opens the EliGen LoRA in the first of folders that has one.
func eligenLoRA(folders []string) (*weights.Checkpoint, eligen.Digest, error) {
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, "", err
		}
		var found []string
		for _, e := range entries {
			if name := strings.ToLower(e.Name()); !e.IsDir() && strings.HasSuffix(name, ".safetensors") && strings.Contains(name, "eligen") &&
				strings.Contains(name, "qwen") {
				found = append(found, filepath.Join(folder, e.Name()))
			}
		}
		if len(found) > 1 {
			return nil, "", fmt.Errorf("%s holds several EliGen LoRAs: %s. Name the one to use", folder, strings.Join(found, ", "))
		}
		if len(found) == 1 {
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
	}
	return nil, "", fmt.Errorf("%s holds no EliGen LoRA for Qwen-Image (*qwen*eligen*.safetensors). Put it there, or name it:\n\n"+
		"    adapter \"lora\" \"eligen\" {\n      source = \"%s\"\n      file   = \"%s\"\n    }", folders[0], eligenRepo, eligenFile)
}
