// Package inspect reports on files of weights.
package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/exec"
	fluxfamily "github.com/eligen/eligen/model/family/flux"
	qwenfamily "github.com/eligen/eligen/model/family/qwen"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// A Report describes a file or folder, for `eligen models inspect`.
type Report struct {
	Path       string         `json:"path"`
	Kind       string         `json:"kind"`             // KindTransformer, …; "model" for a folder with several parts
	Title      string         `json:"title"`            // "FLUX.1 [dev] transformer"
	Format     string         `json:"format,omitempty"` // whose names the file uses
	Files      int            `json:"files"`
	Bytes      int64          `json:"bytes"`
	Tensors    int            `json:"tensors"`
	Parameters int64          `json:"parameters"`
	DTypes     map[string]int `json:"dtypes"` // tensors of each
	// flux.Config, flux.IPConfig, vae.Config, vision.Config, text.T5Config, text.CLIPConfig
	Config  any      `json:"config,omitempty"`
	LoRA    *LoRA    `json:"lora,omitempty"`    // of a LoRA
	Ignored []string `json:"ignored,omitempty"` // tensors that no model reads, and that do no harm
	Problem string   `json:"problem,omitempty"` // why it can't be run; names every tensor that is missing, in excess or misshapen
	Parts   []Report `json:"parts,omitempty"`   // of a model
}

// LoRA describes a LoRA before it is laid over a model.
type LoRA struct {
	Kinds   []string   `json:"kinds"`          // LoRA, LoKr, …, the most frequent first
	Rank    [2]int     `json:"rank"`           // smallest and largest
	Alpha   [2]float64 `json:"alpha"`          // smallest and largest alpha/rank
	Modules int        `json:"modules"`        // linear layers and norms of the transformer that it updates
	CLIP    int        `json:"clip,omitempty"` // layers of text encoders that it updates
	T5      int        `json:"t5,omitempty"`
	About   lora.About `json:"about"`             // what the file says of itself
	Dropped []string   `json:"dropped,omitempty"` // what of it is applied to nothing, one string a kind
}

// Path reports on a file or folder. It reads headers only, and of a LoRA all numbers. A file
// that can't be read at all is an error; a readable one that can't be run has a Problem.
func Path(path string) (Report, error) {
	if fi, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Report{}, fmt.Errorf("there is no %s", path)
		}
		return Report{}, err
	} else if fi.IsDir() {
		if l, err := fluxfamily.Find(path, nil, nil); err == nil || l.Transformer != "" && l.Transformer != path &&
			(l.Autoencoder != "" || l.CLIP != "" || l.T5 != "") {
			return inspectModel(path, "FLUX model", err, l.Transformer, l.Autoencoder, l.CLIP, l.T5)
		}
		if l, err := qwenfamily.Find(path, nil, nil); err == nil {
			return inspectModel(path, "Qwen-Image model", nil, l.Transformer, l.Text, l.Autoencoder)
		}
	}
	c, err := weights.Open(weights.InPEFT(path))
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	if c.Kind == weights.KindAllInOne {
		return inspectParts(c), nil
	}
	return inspect(c), nil
}

// inspectParts reports on a file that holds several networks.
func inspectParts(c *weights.Checkpoint) Report {
	r := inspect(c)
	var problems []string
	if r.Problem != "" {
		problems = append(problems, r.Problem)
	}
	for _, p := range c.Parts() {
		part := inspect(p)
		r.Parts = append(r.Parts, part)
		if part.Problem != "" {
			problems = append(problems, part.Problem)
		}
	}
	r.Problem = strings.Join(problems, "\n")
	return r
}

func inspectModel(path, title string, incomplete error, parts ...string) (Report, error) {
	r := Report{Path: path, Kind: "model", Title: title, DTypes: map[string]int{}}
	var problems []string
	if incomplete != nil {
		problems = append(problems, incomplete.Error())
	}
	for _, p := range parts {
		if p == "" || slices.ContainsFunc(r.Parts, func(other Report) bool { return other.Path == p }) {
			continue
		}
		part, err := Path(p)
		if err != nil {
			part = Report{Path: p, Kind: weights.KindUnknown, Title: "unreadable", Problem: err.Error()}
		}
		r.Parts = append(r.Parts, part)
		r.Files += part.Files
		r.Bytes += part.Bytes
		r.Tensors += part.Tensors
		r.Parameters += part.Parameters
		for d, n := range part.DTypes {
			r.DTypes[d] += n
		}
		if part.Problem != "" {
			problems = append(problems, part.Problem)
		}
	}
	r.Problem = strings.Join(problems, "\n")
	return r, nil
}

func inspect(c *weights.Checkpoint) Report {
	r := Report{Path: c.Path, Kind: c.Kind, Format: c.Format, Files: len(c.Files), Tensors: len(c.Tensors()) + len(c.Ignored),
		DTypes: map[string]int{}, Ignored: c.Ignored}
	for _, t := range c.Tensors() {
		r.Bytes += t.Size
		r.Parameters += int64(weights.Elements(t.Shape))
		r.DTypes[t.DType]++
	}
	if err := r.describe(c); err != nil {
		r.Problem = err.Error()
	}
	return r
}

// describe fills in what a checkpoint's kind tells. The error says why it can't be run.
func (r *Report) describe(c *weights.Checkpoint) error {
	switch c.Kind {
	case weights.KindTransformer:
		cfg, err := detect.Transformer(c)
		r.about(cfg, "FLUX transformer", known{flux.Dev, "FLUX.1 [dev] transformer"},
			known{flux.Schnell, "FLUX.1 [schnell] transformer"}, known{flux.Nano, "nano transformer"})
		if cfg.Dim == 0 {
			r.Config, r.Title = nil, "transformer"
		}
		return err
	case weights.KindAutoencoder:
		cfg, err := detect.Autoencoder(c)
		r.Config, r.Title = cfg, "FLUX autoencoder" // not comparable
		return err
	case weights.KindCLIP:
		cfg, err := detect.CLIP(c)
		r.about(cfg, "CLIP text encoder", known{text.CLIPViTL14, "CLIP ViT-L/14 text encoder"})
		return err
	case weights.KindT5:
		cfg, err := detect.T5(c)
		r.about(cfg, "T5 v1.1 text encoder", known{text.T5XXL, "T5 v1.1 XXL text encoder"})
		return err
	case weights.KindSigLIP:
		cfg, err := detect.SigLIP(c)
		r.about(cfg, "SigLIP vision tower", known{vision.SO400M, "SigLIP SO400M vision tower"})
		return err
	case weights.KindIPAdapter:
		cfg, err := detect.IPAdapter(c)
		r.about(cfg, "FLUX IP-Adapter", known{flux.InstantX, "FLUX.1 [dev] IP-Adapter"})
		return err
	case weights.KindQwenDiT:
		cfg, err := detect.QwenTransformer(c)
		r.about(cfg, "Qwen-Image transformer", known{qwen.Image, "Qwen-Image transformer, as published"})
		return err
	case weights.KindQwenVL:
		cfg, err := detect.Qwen(c)
		r.about(cfg, "Qwen2.5-VL text encoder", known{text.QwenVL7B, "Qwen2.5-VL 7B text encoder"})
		return err
	case weights.KindQwenCode:
		cfg, err := detect.QwenCoder(c)
		r.Config, r.Title = cfg, "Qwen-Image autoencoder" // not comparable
		return err
	case weights.KindLoRA:
		return r.describeLoRA(c)
	case weights.KindAllInOne:
		r.Title = "all-in-one file"
		return c.Refused()
	}
	if r.judge(c) {
		return nil
	}
	r.Title = "unknown"
	if err := c.Refused(); err != nil {
		r.Title = "another model"
		return err
	}
	return fmt.Errorf("%s: none of the models that eligen runs has tensors of these names; the first is %q", c.Path, firstName(c))
}

// judge describes what evaluations ask, as training writes it: a head of a row for each class that its metadata name,
// and one for none of them.
func (r *Report) judge(c *weights.Checkpoint) bool {
	classes, head := strings.Split(c.Metadata["classes"], ","), c.Shape("head.weight")
	if c.Metadata["classes"] == "" || len(head) != 2 || head[0] != len(classes)+1 || c.Shape("layers.0.conv.weight") == nil {
		return false
	}
	r.Kind, r.Title = "judge", fmt.Sprintf("judge of %d classes", len(classes))
	r.Config = struct{ Classes []string }{classes}
	return true
}

// known is a configuration that has a name.
type known struct {
	config any
	title  string
}

// about states a configuration, by its own name if it has one.
func (r *Report) about(config any, title string, named ...known) {
	r.Config, r.Title = config, title
	for _, k := range named {
		if k.config == config {
			r.Title = k.title
		}
	}
}

func (r *Report) describeLoRA(c *weights.Checkpoint) error {
	r.Title = "LoRA"
	f, err := weights.ParseLoRA(c)
	if err != nil {
		var other error
		if f, other = weights.ParseLoRAFor(lora.Qwen, c); other != nil {
			return err
		}
	}
	r.LoRA = &LoRA{
		Dropped: f.Dropped(), Modules: f.Modules(lora.Transformer), CLIP: f.Modules(lora.CLIP), T5: f.Modules(lora.T5),
		About: lora.ReadAbout(f.Metadata),
	}
	for _, k := range f.Kinds() {
		r.LoRA.Kinds = append(r.LoRA.Kinds, string(k))
	}
	r.LoRA.Rank[0], r.LoRA.Rank[1] = f.Rank()
	r.LoRA.Alpha[0], r.LoRA.Alpha[1] = f.Alpha()
	r.Format, r.Title = f.Format, f.String()
	r.Ignored = append(r.Ignored, f.Ignored...)
	return f.Check()
}

func firstName(c *weights.Checkpoint) string {
	if len(c.Tensors()) == 0 {
		return ""
	}
	return c.Tensors()[0].Name
}

// String writes the report as lines for people.
func (r Report) String() string {
	var b strings.Builder
	r.write(&b, "")
	return b.String()
}

func (r Report) write(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s%s: %s\n", indent, r.Path, r.Title)
	indent += "  "
	if r.Format != "" {
		fmt.Fprintf(b, "%sformat      %s\n", indent, r.Format)
	}
	var types []string
	for _, d := range slices.Sorted(maps.Keys(r.DTypes)) {
		types = append(types, fmt.Sprintf("%d %s", r.DTypes[d], d))
	}
	fmt.Fprintf(b, "%stensors     %d (%s) in %d files, %s\n", indent, r.Tensors, strings.Join(types, ", "), r.Files, words.Bytes(r.Bytes))
	fmt.Fprintf(b, "%sparameters  %s\n", indent, thousands(r.Parameters))
	if r.Config != nil {
		fmt.Fprintf(b, "%sconfig      %s\n", indent, exec.ConfigName(r.Config))
	}
	if r.LoRA != nil {
		r.LoRA.write(b, indent)
	}
	if l := r.LoRA; l != nil && len(l.Dropped) > 0 {
		for _, what := range l.Dropped {
			fmt.Fprintf(b, "%snot applied %s\n", indent, what)
		}
	} else if len(r.Ignored) > 0 {
		fmt.Fprintf(b, "%signored     %d tensors, %s\n", indent, len(r.Ignored), r.Ignored[0])
	}
	for _, p := range r.Parts {
		p.write(b, indent)
	}
	if r.Problem != "" && len(r.Parts) == 0 {
		fmt.Fprintf(b, "%sproblem     %s\n", indent, strings.ReplaceAll(r.Problem, "\n", "\n"+indent))
	}
}

// write writes what people ask of a LoRA: how strong, for which model, by which words.
func (l *LoRA) write(b *strings.Builder, indent string) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%s%-11s %s\n", indent, name, fmt.Sprintf(format, args...))
	}
	line("kind", "%s", strings.Join(l.Kinds, ", "))
	if l.Rank[1] > 0 {
		line("rank", "%d to %d, alpha/rank %.4g to %.4g", l.Rank[0], l.Rank[1], l.Alpha[0], l.Alpha[1])
	}
	modules := fmt.Sprintf("%d of the transformer", l.Modules)
	for _, p := range []struct {
		n    int
		name string
	}{{l.CLIP, "CLIP"}, {l.T5, "T5"}} {
		if p.n > 0 {
			modules += fmt.Sprintf(", %d of %s", p.n, p.name)
		}
	}
	line("modules", "%s", modules)
	for _, x := range []struct{ name, text string }{
		{"title", l.About.Title}, {"base", l.About.Architecture}, {"triggers", strings.Join(l.About.Triggers, ", ")},
		{"tags", strings.Join(l.About.Tags, ", ")}, {"trained at", l.About.Resolution},
	} {
		if x.text != "" {
			line(x.name, "%s", x.text)
		}
	}
}

// thousands returns n with its digits in groups of three.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
