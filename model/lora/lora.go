package lora

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/names"
)

// The formats of LoRA files, by whose names they use.
const (
	Native    = "native"    // DiffSynth-Studio: blocks.0.attn.a_to_qkv.lora_A[.default].weight
	Kohya     = "kohya"     // lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight, .alpha
	Diffusers = "diffusers" // PEFT: transformer.transformer_blocks.0.attn.to_q.lora_A.weight
	BFL       = "bfl"       // double_blocks.0.img_attn.qkv.lora_A.weight
)

// What to make of the alphas that a file states.
const (
	AlphaFile   = "file"   // the update is scaled by alpha/rank; a module without alpha by 1
	AlphaIgnore = "ignore" // every update is scaled by 1, as DiffSynth-Studio 1.1 did
)

// A File is a LoRA file's factors, found and matched to the modules they update.
type File struct {
	Path    string
	Format  string
	Ignored []string // keys of parts that aren't updated: the text encoders', and embeddings
	// Reading tells files apart that have the same bytes, and are read with other scales
	// than by versions before 0.2, or with scales of another file; else it is "".
	Reading string

	loader  Loader
	factors []factor
}

// A factor is one pair of matrices, for a module or for some rows of it.
type factor struct {
	module names.Module
	part   int    // of module.Diffusers; -1 for all rows
	stem   string // the file's name for it
	swap   bool   // the halves of its rows are the other way round than the module's
	a, b   string // names of A [rank, in] and B [out, rank]
	rank   int
	in     int
	out    int
	alpha  float64 // NaN where the file states none
	root   bool    // alpha is divided by the square root of the rank
}

// matrices end the names of the two matrices, by what trainers write. PEFT may put the
// adapter's name, "default", before ".weight".
var matrices = regexp.MustCompile(`^(.*)\.(?:lora_([AB])(?:\.[^.]+)?|lora[_.](down|up))\.weight$`)

// Is reports whether a tensor's name is one that LoRA files have, or files of its
// relatives that eligen doesn't read.
func Is(name string) bool { return matrices.MatchString(name) || otherKind(name) != "" }

// otherKind names the kind of file that has such names, where it is no plain LoRA; "" for none.
func otherKind(list ...string) string {
	for _, k := range []struct{ part, name string }{
		{".lokr_", "LoKr"}, {".hada_", "LoHa"}, {".oft_", "OFT"}, {".dora_scale", "DoRA"}, {".lora_magnitude_vector", "DoRA"},
		{".diff", "file with whole differences (.diff)"},
	} {
		if slices.ContainsFunc(list, func(name string) bool { return strings.Contains(name, k.part) }) {
			return k.name
		}
	}
	return ""
}

// target is the module that a file's name means.
type target struct {
	module names.Module
	part   int
	format string
}

// Parse matches a LoRA file's tensors to FLUX's modules. metadata is that of
// the safetensors header, beside the settings of a file that states none of its
// scales itself; nil for none. A key that belongs to no module is an error that
// names it, as is an alpha that is no finite number; keys of text encoders are listed
// in Ignored.
func Parse(path string, l Loader, metadata map[string]string, beside *Settings) (*File, error) {
	f := &File{Path: path, loader: l}
	infos := map[string]tensor.Info{}
	for _, t := range l.Tensors() {
		infos[t.Name] = t
	}
	p := parsing{file: f, targets: dictionary(infos), alphas: map[string]float64{}, pairs: map[string]*factor{}, formats: map[string]int{}}
	for _, t := range l.Tensors() {
		if err := p.add(t); err != nil {
			return nil, err
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	settings, err := fromMetadata(metadata)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if settings == nil {
		settings = beside
	}
	if err := p.finish(settings); err != nil {
		return nil, err
	}
	return f, nil
}

// A parsing is a LoRA file while its tensors are matched.
type parsing struct {
	file           *File
	targets        map[string]target
	alphas         map[string]float64 // by stem
	pairs          map[string]*factor // by stem
	order, unknown []string           // stems, and names that belong to no module
	formats        map[string]int     // how many pairs are spelled in each
}

// add matches a tensor.
func (p *parsing) add(t tensor.Info) error {
	if part(t.Name) != "" {
		p.file.Ignored = append(p.file.Ignored, t.Name)
		return nil
	}
	stem, kind := split(t.Name)
	to, ok := p.targets[trim(stem)]
	if !ok || kind == "" {
		p.unknown = append(p.unknown, t.Name)
		return nil
	}
	if kind == "alpha" {
		return p.addAlpha(t, stem)
	}
	pair := p.pairs[stem]
	if pair == nil {
		pair = &factor{module: to.module, part: to.part, stem: stem, alpha: math.NaN(), swap: to.module.Swap && to.format == Diffusers}
		p.pairs[stem] = pair
		p.order = append(p.order, stem)
		p.formats[to.format]++
	}
	if err := pair.add(t, kind); err != nil {
		return fmt.Errorf("%s: %w", p.file.Path, err)
	}
	return nil
}

func (p *parsing) addAlpha(t tensor.Info, stem string) error {
	var x [1]float32
	if n := elements(t.Shape); n != 1 {
		return fmt.Errorf("%s: %s has %d numbers, expected one", p.file.Path, t.Name, n)
	}
	if err := p.file.loader.Floats(t.Name, 0, x[:]); err != nil {
		return err
	}
	if p.alphas[stem] = float64(x[0]); !finite(p.alphas[stem]) {
		return fmt.Errorf("%s: %s is %v, no finite number: the file is damaged", p.file.Path, t.Name, x[0])
	}
	return nil
}

// add takes a tensor as one of the two matrices; kind is "a" or "b".
func (f *factor) add(t tensor.Info, kind string) error {
	if !tensor.IsFloat(t.DType) {
		return fmt.Errorf("%s is stored as %s, of which eligen reads no weights", t.Name, t.DType)
	}
	rows, cols, ok := matrix(t.Shape)
	if !ok {
		return fmt.Errorf("%s has shape %v, expected a matrix", t.Name, t.Shape)
	}
	name, n := &f.a, &f.in
	if kind == "b" {
		name, n = &f.b, &f.out
		rows, cols = cols, rows
	}
	if *name != "" {
		return fmt.Errorf("%s and %s are the same factor twice", *name, t.Name)
	}
	*name, *n = t.Name, cols
	if f.rank != 0 && f.rank != rows {
		return fmt.Errorf("%s: the two factors have the ranks %d and %d", f.stem, f.rank, rows)
	}
	if f.rank = rows; rows == 0 {
		return fmt.Errorf("%s has rank 0", t.Name)
	}
	return nil
}

// check refuses a file of which not all, or nothing, belongs to FLUX's transformer.
func (p *parsing) check() error {
	path := p.file.Path
	if len(p.unknown) > 0 {
		kind := ""
		if k := otherKind(p.unknown...); k != "" {
			kind = "it is a " + k + ", and eligen reads plain LoRAs alone: "
		}
		return fmt.Errorf("%s: %s%s", path, kind,
			listed(p.unknown, "%d of its tensors belong to no linear layer of FLUX's transformer, so that the LoRA can't be applied whole"))
	}
	if len(p.order) > 0 {
		return nil
	}
	if len(p.file.Ignored) > 0 {
		return fmt.Errorf("%s holds no LoRA for FLUX's transformer: %s alone, which eligen applies to no model", path, p.file.Dropped())
	}
	return fmt.Errorf("%s holds no LoRA for FLUX's transformer: no tensor is called …lora_A.weight or …lora_down.weight", path)
}

// finish gives the factors their scales, and the file its format.
func (p *parsing) finish(settings *Settings) error {
	f := p.file
	for _, stem := range p.order {
		pair := p.pairs[stem]
		if pair.a == "" || pair.b == "" {
			return fmt.Errorf("%s: %s has only one of its two factors", f.Path, stem)
		}
		if a, ok := p.alphas[stem]; ok {
			pair.alpha = a
		} else if settings != nil {
			settings.apply(pair)
			f.Reading = settings.newly
		}
		if s := float32(pair.scale(AlphaFile)); !finite(float64(s)) { // in the numbers that it is applied in
			return fmt.Errorf("%s: the alpha of %s makes its scale %v", f.Path, stem, s)
		}
		f.factors = append(f.factors, *pair)
	}
	for format, n := range p.formats {
		if n > p.formats[f.Format] || n == p.formats[f.Format] && format < f.Format {
			f.Format = format
		}
	}
	return nil
}

// listed returns names under a heading, the first twenty of them.
func listed(list []string, heading string) string {
	const most = 20
	s := fmt.Sprintf(heading, len(list)) + ":\n  " + strings.Join(list[:min(most, len(list))], "\n  ")
	if n := len(list) - most; n > 0 {
		s += fmt.Sprintf("\n  and %d more", n)
	}
	return s
}

// besideTransformer lists the components other than transformers in LoRA files, by what their names
// begin with: sd-scripts', OneTrainer's, diffusers' and ComfyUI's.
var besideTransformer = []struct{ prefix, what string }{
	{"lora_te1_", "CLIP"}, {"lora_te2_", "T5"}, {"lora_te3_", "T5"}, {"lora_te_", "CLIP"},
	{"text_encoder_2.", "T5"}, {"text_encoder_3.", "T5"}, {"text_encoder.", "CLIP"}, {"text_model.", "CLIP"},
	{"text_encoders.t5", "T5"}, {"text_encoders.clip", "CLIP"},
	{"bundle_emb.", "embeddings"},
}

// part names the component, other than the transformer, that a key belongs to; "" for none.
func part(name string) string {
	for _, p := range besideTransformer {
		if strings.HasPrefix(name, p.prefix) {
			return p.what
		}
	}
	return ""
}

// Dropped describes the part of the file that is applied to nothing, with counts: "the updates of 4
// layers of CLIP and 8 of T5, the text encoders". It is "" where all is applied.
func (f *File) Dropped() string {
	seen, counts := map[string]bool{}, map[string]int{}
	for _, name := range f.Ignored {
		stem, _ := split(name)
		if what := part(name); !seen[stem] {
			seen[stem] = true
			counts[what]++
		}
	}
	var parts []string
	for _, encoder := range []string{"CLIP", "T5"} {
		if n := counts[encoder]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d of %s", n, encoder))
		}
	}
	text := ""
	if len(parts) > 0 {
		text = "updates of text encoders' layers, " + strings.Join(parts, " and ")
	}
	if n := counts["embeddings"]; n > 0 {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("embeddings of new words, %d tensors", n)
	}
	return text
}

// split takes a key apart into the module's name and "a", "b" or "alpha".
func split(name string) (stem, kind string) {
	if m := matrices.FindStringSubmatch(name); m != nil {
		if m[2] == "A" || m[3] == "down" {
			return m[1], "a"
		}
		return m[1], "b"
	}
	if stem, ok := strings.CutSuffix(name, ".alpha"); ok {
		return stem, "alpha"
	}
	return name, ""
}

// trim takes off what trainers put before the module's name.
func trim(stem string) string {
	for _, p := range []string{"base_model.model.", "diffusion_model.", "pipe.dit."} {
		stem = strings.TrimPrefix(stem, p)
	}
	return stem
}

// dictionary has every name of every linear layer, in a model that has as many
// blocks as the keys name.
func dictionary(keys map[string]tensor.Info) map[string]target {
	blocks := 0
	for k := range keys {
		for _, s := range strings.FieldsFunc(k, func(r rune) bool { return r == '.' || r == '_' }) {
			// No FLUX comes near a thousand blocks; a larger number is not one.
			if n, err := strconv.Atoi(s); err == nil && n >= blocks && n < 1000 {
				blocks = n + 1
			}
		}
	}
	out := map[string]target{}
	for _, m := range names.Modules(blocks, blocks, true) {
		if m.Norm {
			continue
		}
		out[m.Native] = target{m, -1, Native}
		for i, d := range m.Diffusers {
			part := i
			if len(m.Diffusers) == 1 {
				part = -1
			}
			out["transformer."+d] = target{m, part, Diffusers}
			if _, taken := out[d]; !taken {
				out[d] = target{m, part, Diffusers}
			}
		}
		out[m.BFL] = target{m, -1, BFL}
		out[m.Kohya()] = target{m, -1, Kohya}
	}
	return out
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
	for _, p := range f.factors {
		for _, m := range []struct {
			name string
			n    int
		}{{p.a, p.rank * p.in}, {p.b, p.rank * p.out}} {
			for from := 0; from < m.n; from += len(buffer) {
				part := buffer[:min(len(buffer), m.n-from)]
				if err := f.loader.Floats(m.name, from, part); err != nil {
					return err
				}
				for _, x := range part {
					if x-x != 0 { // of infinity and of NaN alone
						return fmt.Errorf("%s: %s holds %v, no finite number: the file is damaged, or was trained until it broke", f.Path, m.name, x)
					}
				}
			}
		}
	}
	return nil
}

// Rank returns the smallest and the largest rank of the file's factors.
func (f *File) Rank() (low, high int) {
	low = f.factors[0].rank
	for _, p := range f.factors {
		low, high = min(low, p.rank), max(high, p.rank)
	}
	return low, high
}

// Alpha returns the smallest and the largest alpha/rank that the file states, 1 for
// a module that states none.
func (f *File) Alpha() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range f.factors {
		s := p.scale(AlphaFile)
		low, high = min(low, s), max(high, s)
	}
	return low, high
}

// Modules counts the transformer's linear layers that are updated.
func (f *File) Modules() int {
	seen := map[string]bool{}
	for _, p := range f.factors {
		seen[p.module.BFL] = true
	}
	return len(seen)
}

// String describes the file: "native LoRA, rank 16, 60 modules".
func (f *File) String() string {
	low, high := f.Rank()
	s := fmt.Sprintf("%s LoRA, rank %d", f.Format, low)
	if high != low {
		s += fmt.Sprintf("–%d", high)
	}
	if a, b := f.Alpha(); a != 1 || b != 1 {
		s += fmt.Sprintf(", alpha/rank %.4g", a)
		if b != a {
			s += fmt.Sprintf("–%.4g", b)
		}
	}
	return fmt.Sprintf("%s, %d modules", s, f.Modules())
}

func (p factor) scale(alpha string) float64 {
	if alpha == AlphaIgnore || math.IsNaN(p.alpha) {
		return 1
	}
	if p.root {
		return p.alpha / math.Sqrt(float64(p.rank))
	}
	return p.alpha / float64(p.rank)
}

// A Layer is a file to lay over a base, and how strongly.
type Layer struct {
	File  *File
	Scale float64
	Alpha string // AlphaFile or AlphaIgnore; "" is AlphaFile
}

// fused is a base with layers over it.
type fused struct {
	Loader
	updates map[string][]update // by tensor
	shapes  map[string][]int
}

// An update adds scale·B·A to some rows of a tensor.
type update struct {
	factor
	name     string // the tensor's
	file     Loader
	scale    float32
	from, to int // rows
}

// Over returns base with layers laid over it: each module's updates are added up in
// float32, in the order of layers, on the original weights. It fails, naming
// every module, where a factor doesn't fit the base.
func Over(base Loader, layers ...Layer) (Loader, error) {
	if len(layers) == 0 {
		return base, nil
	}
	f := &fused{Loader: base, updates: map[string][]update{}, shapes: shapesOf(base)}
	for _, l := range layers {
		list, err := l.updates(f.shapes)
		if err != nil {
			return nil, err
		}
		for _, u := range list {
			f.updates[u.name] = append(f.updates[u.name], u)
		}
	}
	return f, nil
}

func shapesOf(l Loader) map[string][]int {
	shapes := map[string][]int{}
	for _, t := range l.Tensors() {
		shapes[t.Name] = t.Shape
	}
	return shapes
}

// updates returns what a layer adds to the tensors of a base with these shapes.
func (l Layer) updates(shapes map[string][]int) (list []update, err error) {
	switch l.Alpha {
	case "", AlphaFile, AlphaIgnore:
	default:
		return nil, fmt.Errorf("alpha is %q, it must be %q or %q", l.Alpha, AlphaFile, AlphaIgnore)
	}
	if math.IsNaN(l.Scale) || math.IsInf(l.Scale, 0) {
		return nil, fmt.Errorf("%s: a LoRA can't have the scale %v", l.File.Path, l.Scale)
	}
	var misfits []string
	for _, p := range l.File.factors {
		name := p.module.BFL + ".weight"
		shape := shapes[name]
		if len(shape) != 2 {
			misfits = append(misfits, p.stem+": the model has no such layer")
			continue
		}
		u := update{factor: p, name: name, file: l.File.loader, scale: float32(l.Scale * p.scale(l.Alpha)), to: shape[0]}
		if p.part >= 0 {
			u.from, u.to = p.module.PartRows(p.part, shape)
		}
		if p.in != shape[1] || p.out != u.to-u.from {
			misfits = append(misfits, fmt.Sprintf("%s: the factors make [%d %d], the model's layer is [%d %d]", p.stem, p.out, p.in,
				u.to-u.from, shape[1]))
			continue
		}
		list = append(list, u)
	}
	if len(misfits) > 0 {
		return nil, fmt.Errorf("%s: %s", l.File.Path, listed(misfits, "the LoRA was made for another model; %d of its modules don't fit"))
	}
	return list, nil
}

// Bytes has none of a tensor that is updated.
func (f *fused) Bytes(name string, dst []byte) (bool, error) {
	if len(f.updates[name]) > 0 {
		return false, nil
	}
	return f.Loader.Bytes(name, dst)
}

// Floats returns the base's numbers with all updates added.
func (f *fused) Floats(name string, from int, dst []float32) error {
	if err := f.Loader.Floats(name, from, dst); err != nil {
		return err
	}
	updates := f.updates[name]
	if len(updates) == 0 || len(dst) == 0 {
		return nil
	}
	cols := f.shapes[name][1]
	first, last := from/cols, (from+len(dst)-1)/cols // rows that dst has part of
	sum := make([]float32, cols)
	for _, u := range updates {
		low, high := max(first, u.from), min(last+1, u.to)
		if low >= high {
			continue
		}
		a := make([]float32, u.rank*u.in)
		if err := u.file.Floats(u.a, 0, a); err != nil {
			return err
		}
		b := make([]float32, u.rank)
		for row := low; row < high; row++ {
			if err := u.file.Floats(u.b, u.row(row)*u.rank, b); err != nil {
				return err
			}
			clear(sum)
			for k, x := range b {
				axpy(sum, x, a[k*cols:(k+1)*cols])
			}
			// The part of the row that dst holds.
			start, end := max(row*cols, from), min((row+1)*cols, from+len(dst))
			axpy(dst[start-from:end-from], u.scale, sum[start-row*cols:end-row*cols])
		}
	}
	return nil
}

// row returns the row of B that belongs to a row of the tensor.
func (u update) row(row int) int {
	row -= u.from
	if u.swap {
		return (row + u.out/2) % u.out
	}
	return row
}

// axpy adds a·x to y.
func axpy(y []float32, a float32, x []float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// Names lists the tensors that layers change.
func (f *fused) Names() []string {
	var out []string
	for n := range f.updates {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
