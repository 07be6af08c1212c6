package lora

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/names"
)

// What to make of the alphas that a file states.
const (
	AlphaFile   = "file"   // the update is scaled by alpha/rank; a module without alpha by 1
	AlphaIgnore = "ignore" // every update is scaled by 1, as DiffSynth-Studio 1.1 did
)

// A File is a LoRA file's factors, found and matched to the modules they update.
type File struct {
	Path     string
	Model    string // whose transformer it is for: "FLUX", "Qwen-Image"
	Format   string
	Ignored  []string // keys that are applied to nothing: embeddings, and layers that no text encoder has
	Metadata map[string]string
	// Reading tells files apart that have the same bytes, and are read with other scales
	// than by versions before 0.2, or with scales of another file; else it is "".
	Reading string

	loader  Loader
	changes []*change
}

// A change is what a file does to some rows of a tensor: scale·delta, and a DoRA's norms.
type change struct {
	target
	name  string // of the tensor
	stem  string // the file's name for the module
	delta delta
	role  string // of the tensors: down, diff, …

	alpha float64 // NaN where the file states none
	rank  int     // that alpha is divided by; 0: the scale is 1 whatever alpha is
	root  bool    // alpha is divided by the square root of the rank

	norms *norms // of a DoRA; nil else
}

// norms are the magnitudes of a DoRA.
type norms struct {
	t       tensor.Info
	columns bool // a norm a column, over the rows of the change
	peft    bool // strength scales the factors, before the norm is taken; else the norms' own change
}

// scale returns what the change is multiplied by at strength 1.
func (c *change) scale(alpha string) float64 {
	if alpha == AlphaIgnore || c.rank == 0 || math.IsNaN(c.alpha) {
		return 1
	}
	if c.root {
		return c.alpha / math.Sqrt(float64(c.rank))
	}
	return c.alpha / float64(c.rank)
}

// tensors lists all that the change reads.
func (c *change) tensors() []tensor.Info {
	list := c.delta.tensors()
	if c.norms != nil {
		list = append(slices.Clone(list), c.norms.t)
	}
	return list
}

// A Model is whose modules a LoRA's names are.
type Model struct {
	Name    string // for messages
	modules func(blocks int) []names.Module
}

// The models that LoRAs are read for.
var (
	Flux = Model{"FLUX", func(blocks int) []names.Module { return names.Modules(blocks, blocks, true) }}
	Qwen = Model{"Qwen-Image", names.QwenModules}
)

// Parse is ParseFor Flux.
func Parse(path string, l Loader, metadata map[string]string, beside *Settings) (*File, error) {
	return ParseFor(Flux, path, l, metadata, beside)
}

// ParseFor matches a LoRA file's tensors to a model's modules, and to those of FLUX's text encoders.
// metadata is that of the safetensors header, beside the settings of a file that states none
// of its scales itself; nil for none. A key that belongs to no module is an error that
// names it, as is an alpha that is no finite number; embeddings are listed in Ignored.
func ParseFor(m Model, path string, l Loader, metadata map[string]string, beside *Settings) (*File, error) {
	p := parsing{
		model: m.Name, file: &File{Path: path, Model: m.Name, loader: l, Metadata: metadata}, dictionary: newDictionary(m, l.Tensors()),
		modules: map[string]*module{}, formats: map[string]int{},
	}
	for _, t := range l.Tensors() {
		if err := p.add(t); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	settings, err := fromMetadata(metadata)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if settings[Transformer] == nil {
		settings[Transformer] = beside
	}
	if err := p.finish(settings); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p.file, nil
}

// A parsing is a LoRA file while its tensors are matched.
type parsing struct {
	model      string
	file       *File
	dictionary dictionary
	modules    map[string]*module // by stem
	order      []*module
	unknown    []string       // names that belong to no module
	norms      []string       // norms' scales as they are, which only control LoRAs have
	formats    map[string]int // how many modules of the transformer are spelled in each
}

// A module is all tensors that a file has for one module, or for some rows of it.
type module struct {
	target
	stem  string
	by    map[string]tensor.Info // by role
	alpha float64                // NaN where there is none
}

// add matches a tensor.
func (p *parsing) add(t tensor.Info) error {
	if strings.HasPrefix(t.Name, embeddings) {
		p.file.Ignored = append(p.file.Ignored, t.Name)
		return nil
	}
	stem, role := split(t.Name)
	to, part, ok := p.dictionary.find(stem)
	if !ok || role == "" {
		return p.miss(t, role, part, to)
	}
	m := p.modules[stem]
	if m == nil {
		m = &module{target: to, stem: stem, by: map[string]tensor.Info{}, alpha: math.NaN()}
		p.modules[stem] = m
		p.order = append(p.order, m)
		if to.part == Transformer {
			p.formats[to.format]++
		}
	}
	if other, ok := m.by[role]; ok {
		return fmt.Errorf("%s and %s are the same factor twice", other.Name, t.Name)
	}
	m.by[role] = t
	switch {
	case role == alphaRole:
		return p.addAlpha(t, m)
	case !tensor.IsFloat(t.DType):
		return fmt.Errorf("%s is stored as %s, of which eligen reads no weights", t.Name, t.DType)
	case role == down, role == up, strings.HasPrefix(role, "lokr_"), strings.HasPrefix(role, "hada_"):
		return matrices(t)
	}
	return nil
}

// miss keeps a tensor that means no module. A difference of zero is of no consequence.
func (p *parsing) miss(t tensor.Info, role string, part Part, to target) error {
	if role == diff || role == diffBias {
		zero, err := isZero(p.file.loader, t)
		if err != nil || zero {
			return err
		}
	}
	name, _, _ := p.dictionary.find(t.Name)
	switch {
	case role == "" && name.scale:
		p.norms = append(p.norms, t.Name)
	case part != Transformer:
		p.file.Ignored = append(p.file.Ignored, t.Name)
	default:
		p.unknown = append(p.unknown, t.Name)
	}
	return nil
}

func isZero(l Loader, t tensor.Info) (bool, error) {
	x, err := read(l, t)
	return !slices.ContainsFunc(x, func(x float32) bool { return x != 0 }), err
}

func (p *parsing) addAlpha(t tensor.Info, m *module) error {
	var x [1]float32
	if n := elements(t.Shape); n != 1 {
		return fmt.Errorf("%s has %d numbers, expected one", t.Name, n)
	}
	if err := p.file.loader.Floats(t.Name, 0, x[:]); err != nil {
		return err
	}
	if m.alpha = float64(x[0]); !finite(m.alpha) {
		return fmt.Errorf("%s is %v, no finite number: the file is damaged", t.Name, x[0])
	}
	return nil
}

// check refuses a file of which not all, or nothing, belongs to FLUX.
func (p *parsing) check() error {
	path := p.file.Path
	if len(p.norms) > 0 {
		return fmt.Errorf("%s is a control LoRA, as Black Forest Labs published for FLUX.1 Depth and Canny: it replaces the scales of %d "+
			"norms, and needs a control picture, which eligen has no input for", path, len(p.norms))
	}
	if len(p.unknown) > 0 {
		if k := otherKind(p.unknown...); k != "" {
			return fmt.Errorf("%s is a file of the kind %s, which eligen doesn't read; it reads LoRA, LoKr, LoHa, DoRA and .diff. %d of its "+
				"tensors are of that kind, such as %s", path, k, len(p.unknown), p.unknown[0])
		}
		return fmt.Errorf("%s: %s", path, listed(p.unknown,
			"the LoRA was made for another model%s: %d of its tensors belong to no linear layer of "+p.model+"'s transformer, so that it "+
				"can't be applied whole",
			otherModel(p.unknown, p.model)))
	}
	if len(p.order) > 0 {
		return nil
	}
	if dropped := p.file.Dropped(); len(dropped) > 0 {
		return fmt.Errorf("%s holds no LoRA for %s: %s alone, which eligen applies to no model", path, p.model, strings.Join(dropped, "; "))
	}
	return fmt.Errorf("%s holds no LoRA for %s: no tensor is called …lora_A.weight or …lora_down.weight", path, p.model)
}

// otherModel guesses whose LoRA has such names.
func otherModel(list []string, not string) string {
	for _, k := range []struct{ part, name string }{
		{"img_mlp.net.", "Qwen-Image"}, {"img_mlp_net_", "Qwen-Image"}, {"input_blocks_", "Stable Diffusion XL"},
		{"down_blocks", "Stable Diffusion"}, {"joint_blocks", "Stable Diffusion 3"}, {"double_stream_modulation", "FLUX.2"},
		{"double_blocks", "FLUX"}, {"single_transformer_blocks", "FLUX"}, {"distilled_guidance_layer", "Chroma"}, {"self_attn.q.lora", "Wan"},
	} {
		if k.name != not && slices.ContainsFunc(list, func(name string) bool { return strings.Contains(name, k.part) }) {
			return ", " + k.name
		}
	}
	return ""
}

// finish makes changes of the modules' tensors, with their scales, and gives the file its format.
func (p *parsing) finish(settings map[Part]*Settings) error {
	f := p.file
	for _, m := range p.order {
		list, err := m.changes()
		if err != nil {
			return err
		}
		for _, c := range list {
			if s := settings[m.part]; s != nil && math.IsNaN(c.alpha) && (c.rank > 0 || c.role == "lokr" && s.rank > 0) {
				s.apply(c)
				if m.part == Transformer {
					f.Reading = s.newly
				}
			}
			if s := float32(c.scale(AlphaFile)); !finite(float64(s)) { // in the numbers that it is applied in
				return fmt.Errorf("the alpha of %s makes its scale %v", c.stem, s)
			}
		}
		f.changes = append(f.changes, list...)
	}
	for format, n := range p.formats {
		if n > p.formats[f.Format] || n == p.formats[f.Format] && format < f.Format {
			f.Format = format
		}
	}
	if f.Format == "" {
		f.Format = Diffusers
		if strings.HasPrefix(p.order[0].stem, "lora_te") {
			f.Format = Kohya
		}
	}
	return nil
}

var number = regexp.MustCompile(`\d+`)

// listed returns names under a heading, which takes what and their count: one line a kind of
// name, whatever block it is of, the first twenty kinds.
func listed(list []string, heading, what string) string {
	const most = 20
	var order []string
	first, count := map[string]string{}, map[string]int{}
	for _, name := range list {
		kind := number.ReplaceAllString(name, "N")
		if count[kind]++; count[kind] == 1 {
			order, first[kind] = append(order, kind), name
		}
	}
	s := fmt.Sprintf(heading, what, len(list)) + ":"
	for _, kind := range order[:min(most, len(order))] {
		s += "\n  " + first[kind]
		if n := count[kind] - 1; n > 0 {
			s += fmt.Sprintf(" and %d like it", n)
		}
	}
	if n := len(order) - most; n > 0 {
		s += fmt.Sprintf("\n  and %d more kinds of name", n)
	}
	return s
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// matrix returns a shape as rows and columns; trailing axes of a 1×1 convolution are dropped.
func matrix(shape []int) (rows, cols int, ok bool) {
	for len(shape) > 2 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	if len(shape) != 2 {
		return 0, 0, false
	}
	return shape[0], shape[1], true
}

// Check reads all factors, and refuses one that holds a number that isn't finite.
func (f *File) Check() error {
	buffer := make([]float32, 1<<16)
	for _, c := range f.changes {
		for _, t := range c.tensors() {
			n := elements(t.Shape)
			for from := 0; from < n; from += len(buffer) {
				part := buffer[:min(len(buffer), n-from)]
				if err := f.loader.Floats(t.Name, from, part); err != nil {
					return err
				}
				for _, x := range part {
					if x-x != 0 { // of infinity and of NaN alone
						return fmt.Errorf("%s: %s holds %v, no finite number: the file is damaged, or was trained until it broke", f.Path, t.Name, x)
					}
				}
			}
		}
	}
	return nil
}
