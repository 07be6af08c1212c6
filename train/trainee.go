package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/weights"
)

// JudgeFile is the classifier that tells evaluation which object is in a picture, and
// the names of its classes.
const JudgeFile = "judge.safetensors"

// StyleJudgeFile is the classifier that tells evaluation an object's style.
const StyleJudgeFile = "style-judge.safetensors"

// A Trainee is a model in nano's layout on its way to being trained: parts may
// be missing. Training writes whole such folders, so that the next recipe, and
// every render, can start from one.
type Trainee struct {
	Manifest   nano.Manifest
	tokenizers map[string][]byte
	parts      map[string]map[string]tensor.Tensor // by file
	classes    map[string][]string                 // of the classifiers' files
}

// OpenTrainee reads a model folder; "" is the embedded model. Where there is no
// model yet, it is a new one, whose tokenizers know the words.
func OpenTrainee(dir string, words []string) (*Trainee, error) {
	if dir == "" {
		dir = os.Getenv("ELIGEN_NANO_DIR")
	}
	t := &Trainee{tokenizers: map[string][]byte{}, parts: map[string]map[string]tensor.Tensor{}, classes: map[string][]string{}}
	f := nano.At(dir)
	if _, err := f.Read(nano.ManifestFile); errors.Is(err, fs.ErrNotExist) {
		if dir != "" {
			return nil, fmt.Errorf("%s holds no model: there is no %s", dir, nano.ManifestFile)
		}
		return NewTrainee(words)
	}
	var err error
	if t.Manifest, err = f.Manifest(); err != nil {
		return nil, err
	}
	for _, name := range []string{nano.T5TokenizerFile, nano.CLIPVocabularyFile, nano.CLIPMergesFile} {
		if t.tokenizers[name], err = f.Read(name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{nano.AutoencoderFile, nano.TransformerFile, nano.TextFile, nano.EliGenFile, nano.VisionFile,
		nano.IPFile, nano.InContextFile, JudgeFile, StyleJudgeFile} {
		data, err := f.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if t.parts[name], err = tensor.Read(data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Where(name), err)
		}
		if name == JudgeFile || name == StyleJudgeFile {
			_, meta, err := tensor.ReadHeader(strings.NewReader(string(data)), int64(len(data)))
			if err != nil {
				return nil, err
			}
			t.classes[name] = strings.Split(meta["classes"], ",")
		}
	}
	return t, nil
}

// NewTrainee returns a model without weights, whose tokenizers know the words.
func NewTrainee(words []string) (*Trainee, error) {
	tokenizer, vocab, merges, err := text.BuildNanoTokenizers(words)
	if err != nil {
		return nil, err
	}
	t5, err := text.NewT5Tokenizer(tokenizer)
	if err != nil {
		return nil, err
	}
	clip, err := text.NewCLIPTokenizer(vocab, merges)
	if err != nil {
		return nil, err
	}
	m := nano.Manifest{
		Name: "nano", Native: eligen.Size{W: 256, H: 256}, Transformer: flux.Nano, T5: text.T5Nano(t5.Vocab()),
		CLIP: text.CLIPNano(clip.Vocab()), Autoencoder: vae.Nano,
		TextLength: 24, EntityTextLength: 8, Steps: 20, StepsWithEntities: 20, CFG: 2.5, CFGWithNegative: 2.5, CFGWithEntities: 2.5,
		Schedule: "flux-schnell",
	}
	m.Transformer.TextDim, m.Transformer.PooledDim = m.T5.Dim, m.CLIP.Dim
	return &Trainee{
		Manifest:   m,
		tokenizers: map[string][]byte{nano.T5TokenizerFile: tokenizer, nano.CLIPVocabularyFile: vocab, nano.CLIPMergesFile: merges},
		parts:      map[string]map[string]tensor.Tensor{},
		classes:    map[string][]string{},
	}, nil
}

// prefixes come before the names of a file's weights in training.
var prefixes = map[string]string{nano.TransformerFile: "dit.", nano.VisionFile: "vision.", nano.IPFile: "ip.",
	nano.InContextFile: "in-context."}

// Start returns what a training builds upon.
func (t *Trainee) Start() (Start, error) {
	t5, err := text.NewT5Tokenizer(t.tokenizers[nano.T5TokenizerFile])
	if err != nil {
		return Start{}, err
	}
	clip, err := text.NewCLIPTokenizer(t.tokenizers[nano.CLIPVocabularyFile], t.tokenizers[nano.CLIPMergesFile])
	if err != nil {
		return Start{}, err
	}
	m := t.Manifest
	tower, ip := m.ImageSide()
	s := Start{
		VAE: m.Autoencoder, Autoencoder: t.parts[nano.AutoencoderFile], Flux: m.Transformer, Vision: tower, IP: ip, T5: m.T5, CLIP: m.CLIP,
		Text: Text{
			T5:     func(p string, n int) []int32 { ids, _ := t5.Encode(p, n); return ids },
			CLIP:   func(p string, n int) []int32 { ids, _ := clip.Encode(p, n); return ids },
			Length: m.TextLength, EntityLength: m.EntityTextLength, CLIPLength: m.CLIP.Positions,
		},
	}
	if t.parts[nano.TransformerFile] != nil {
		s.Model = map[string]tensor.Tensor{}
		maps.Copy(s.Model, t.parts[nano.TextFile])
		maps.Copy(s.Model, t.parts[nano.EliGenFile]) // a LoRA's training starts from the model's own
		for file, prefix := range prefixes {
			for name, w := range t.parts[file] {
				s.Model[prefix+name] = w
			}
		}
	}
	return s, nil
}

// Judge returns the classes and weights of the classifier in a file, JudgeFile or
// StyleJudgeFile; nil where there is none.
func (t *Trainee) Judge(file string) (classes []string, weights map[string]tensor.Tensor) {
	return t.classes[file], t.parts[file]
}

// Take puts a training's weights in their place. q, for an autoencoder that no
// transformer depends on yet, sets how its latents are normalised.
func (t *Trainee) Take(kind string, weights map[string]tensor.Tensor, q *Quality, classes []string) error {
	switch kind {
	case "autoencoder":
		t.parts[nano.AutoencoderFile] = weights
		if q != nil {
			t.Manifest.Autoencoder.Shift, t.Manifest.Autoencoder.Scale = q.Mean, 1/q.Sigma
		}
	case "base":
		dit, txt, ip := map[string]tensor.Tensor{}, map[string]tensor.Tensor{}, map[string]tensor.Tensor{}
		for name, w := range weights {
			if short, ok := strings.CutPrefix(name, prefixes[nano.TransformerFile]); ok {
				dit[short] = w
			} else if short, ok := strings.CutPrefix(name, prefixes[nano.IPFile]); ok {
				ip[short] = w
			} else {
				txt[name] = w
			}
		}
		t.parts[nano.TransformerFile], t.parts[nano.TextFile] = dit, txt
		if len(ip) > 0 { // it was trained with the base
			tower, adapter := t.Manifest.ImageSide()
			t.Manifest.Vision, t.Manifest.IP, t.parts[nano.IPFile] = &tower, &adapter, ip
		}
	case "eligen":
		t.parts[nano.EliGenFile] = weights
	case "in-context":
		t.parts[nano.InContextFile] = weights
		t.Manifest.CleanSource = true // as it is trained
	case "vision", "ip":
		file := map[string]string{"vision": nano.VisionFile, "ip": nano.IPFile}[kind]
		part := map[string]tensor.Tensor{}
		for name, w := range weights {
			short, ok := strings.CutPrefix(name, prefixes[file])
			if !ok {
				return fmt.Errorf("the training %q has made the weight %s, which is not under %s", kind, name, prefixes[file])
			}
			part[short] = w
		}
		tower, adapter := t.Manifest.ImageSide()
		t.Manifest.Vision, t.parts[file] = &tower, part
		if kind == "ip" {
			t.Manifest.IP = &adapter
		}
	case "judge":
		t.parts[JudgeFile], t.classes[JudgeFile] = weights, classes
	case "style":
		t.parts[StyleJudgeFile], t.classes[StyleJudgeFile] = weights, classes
	default:
		return fmt.Errorf("unknown kind of training %q", kind)
	}
	return nil
}

// Write puts the model into a folder, its weights rounded to bfloat16; each
// file whole or not at all.
func (t *Trainee) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	manifest, err := json.MarshalIndent(t.Manifest, "", "  ")
	if err != nil {
		return err
	}
	for name, data := range t.tokenizers {
		if err := files.WriteBytes(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	for name, tensors := range t.parts {
		if tensors == nil {
			continue
		}
		var meta map[string]string
		if c := t.classes[name]; c != nil {
			meta = map[string]string{"classes": strings.Join(c, ",")}
		}
		if err := files.WriteFile(filepath.Join(dir, name), func(w io.Writer) error {
			return weights.WriteBFloat16(w, meta,
				tensors)
		}); err != nil {
			return err
		}
	}
	return files.WriteBytes(filepath.Join(dir, nano.ManifestFile), append(manifest, '\n'))
}
