package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/torch"
)

// A Loader gives the tensors of a checkpoint, by Black Forest Labs' names for
// the transformer and the autoencoder and by Hugging Face's for encoders.
type Loader = lora.Loader

// A Weight is a tensor that a model wants.
type Weight struct {
	Name  string
	Shape []int
}

// weights makes the lists of the model families into one type.
func weights[W ~struct {
	Name  string
	Shape []int
}](list []W) []Weight {
	out := make([]Weight, len(list))
	for i, w := range list {
		out[i] = Weight(w)
	}
	return out
}

// The kinds of checkpoint.
const (
	KindTransformer = "transformer" // FLUX's DiT
	KindAutoencoder = "autoencoder" // FLUX's, with 16 channels
	KindCLIP        = "clip"        // text encoder
	KindT5          = "t5"          // text encoder
	KindSigLIP      = "siglip"      // vision tower, that image prompts are read by
	KindIPAdapter   = "ip-adapter"  // for FLUX
	KindLoRA        = "lora"
	KindUnknown     = "unknown"
)

// A Checkpoint is one model's weights in files as users have them: a single
// safetensors file, or a folder of them with or without an index; or a single
// archive of PyTorch's. It reads no more than headers until a tensor is asked for.
type Checkpoint struct {
	Path     string
	Kind     string            // KindTransformer, …
	Format   string            // whose names the file uses: "bfl", "diffusers" or "hf"
	Metadata map[string]string // of a single file
	Files    []string          // in order of name
	Ignored  []string          // names that belong to no part of the model that runs

	shards  []*shard
	order   []tensor.Info
	entries map[string]entry
}

// A shard is the bytes of one file.
type shard struct {
	data  []byte      // mapped or embedded; nil where the file must be read
	read  io.ReaderAt // where data is nil
	close func() error
}

// An entry is one tensor: segments of files, one after the other.
type entry struct {
	info     tensor.Info
	segments []segment
}

type segment struct {
	in     *shard
	offset int64 // bytes from the start of the file
	n      int   // elements
}

// element is the bytes of one element of the dtypes that are read as numbers. Integers
// are no weights, but alphas of LoRAs.
var element = map[string]int64{"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}

// readable names the dtypes that weights may have.
const readable = "F32, BF16, F16, F64, F8_E4M3 and F8_E5M2"

// OpenCheckpoint opens a safetensors file, or a folder that holds one, or a
// folder of shards with its index. Close it when it is no longer read.
func OpenCheckpoint(path string) (_ *Checkpoint, err error) {
	files, index, err := checkpointFiles(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Path: path, Files: files}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	held := map[string]string{} // tensor → file
	var all []entry
	for _, f := range files {
		s, infos, meta, err := openShard(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		c.shards = append(c.shards, s)
		if len(files) == 1 {
			c.Metadata = meta
		}
		for _, t := range infos {
			if other, ok := held[t.Name]; ok {
				return nil, fmt.Errorf("tensor %q is in %s and in %s", t.Name, filepath.Base(other), filepath.Base(f))
			}
			held[t.Name] = f
			all = append(all, entry{t, []segment{{s, t.Offset, elements(t.Shape)}}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if f := held[name]; filepath.Base(f) != index[name] {
			return nil, fmt.Errorf("%s: the index says that tensor %q is in %s, but it isn't there", path, name, index[name])
		}
	}
	c.identify(all)
	return c, nil
}

// NewCheckpoint is a checkpoint of a safetensors file held in memory, such as
// an embedded one. path is for messages.
func NewCheckpoint(path string, data []byte) (*Checkpoint, error) {
	infos, meta, err := tensor.ReadHeader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &shard{data: data}
	c := &Checkpoint{Path: path, Metadata: meta, shards: []*shard{s}}
	var all []entry
	for _, t := range infos {
		all = append(all, entry{t, []segment{{s, t.Offset, elements(t.Shape)}}})
	}
	c.identify(all)
	return c, nil
}

// checkpointFiles finds the safetensors files of a path, and the index where
// there is one.
func checkpointFiles(path string) (files []string, index map[string]string, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	indexFile := ""
	switch {
	case !fi.IsDir() && strings.HasSuffix(path, ".index.json"):
		indexFile = path
	case !fi.IsDir():
		if err := refusePickle(path); err != nil {
			return nil, nil, err
		}
		return []string{path}, nil, nil
	default:
		found, err := filepath.Glob(filepath.Join(globEscape(path), "*.safetensors.index.json"))
		if err != nil {
			return nil, nil, err
		}
		// Repositories may hold a half-precision variant beside the usual one.
		found = slices.DeleteFunc(found, func(f string) bool { return len(found) > 1 && strings.Contains(filepath.Base(f), ".fp16.") })
		switch len(found) {
		case 0:
			single, err := filepath.Glob(filepath.Join(globEscape(path), "*.safetensors"))
			if err != nil {
				return nil, nil, err
			}
			for _, usual := range []string{"diffusion_pytorch_model.safetensors", "model.safetensors"} {
				if f := filepath.Join(path, usual); slices.Contains(single, f) {
					return []string{f}, nil, nil
				}
			}
			switch len(single) {
			case 0:
				return nil, nil, fmt.Errorf("%s holds no safetensors file", path)
			case 1:
				return single, nil, nil
			}
			return nil, nil, fmt.Errorf("%s holds %d safetensors files and no index (a file *.safetensors.index.json) that says how they belong together. Name one of them", path, len(single))
		case 1:
			indexFile = found[0]
		default:
			return nil, nil, fmt.Errorf("%s holds %d indexes: %s. Name one of them", path, len(found), strings.Join(found, ", "))
		}
	}
	data, err := readSmall(indexFile, 16<<20)
	if err != nil {
		return nil, nil, err
	}
	var doc struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, nil, fmt.Errorf("%s is no index of shards: %w", indexFile, err)
	}
	if len(doc.Map) == 0 {
		return nil, nil, fmt.Errorf("%s is no index of shards: it has no weight_map", indexFile)
	}
	var missing []string
	for _, base := range slices.Compact(slices.Sorted(maps.Values(doc.Map))) {
		if base != filepath.Base(base) || !filepath.IsLocal(base) {
			return nil, nil, fmt.Errorf("%s names a shard %q outside its own folder", indexFile, base)
		}
		f := filepath.Join(filepath.Dir(indexFile), base)
		if _, err := os.Stat(f); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, base)
		}
		files = append(files, f)
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("%s lacks %s, which its index names", filepath.Dir(indexFile), strings.Join(missing, " and "))
	}
	return files, doc.Map, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`[`, `[[]`, `*`, `[*]`, `?`, `[?]`).Replace(path)
}

// isTorch reports whether a file is one of PyTorch's archives. No safetensors
// file begins like that: its header would have 64 MiB.
func isTorch(f io.ReaderAt) bool {
	head := make([]byte, len(torch.Magic))
	_, err := f.ReadAt(head, 0)
	return err == nil && string(head) == torch.Magic
}

// refusePickle says why a file isn't read that is neither safetensors nor an
// archive of PyTorch's.
func refusePickle(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pt", ".pth", ".bin", ".ckpt", ".pkl":
		if f, err := files.Open(path); err == nil {
			defer f.Close()
			if isTorch(f) {
				return nil
			}
		}
		return fmt.Errorf("%s is a pickle, a program that would run when it is read, and no archive of PyTorch 1.6 or later, whose tensors eligen finds without. Use the model's .safetensors file, or convert it", path)
	case ".gguf":
		return fmt.Errorf("%s is a GGUF file with quantised weights. eligen reads safetensors and PyTorch's archives", path)
	}
	return nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

func openShard(path string) (*shard, []tensor.Info, map[string]string, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, nil, nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	var infos []tensor.Info
	var meta map[string]string
	if isTorch(f) {
		infos, err = torch.Read(f, fi.Size())
	} else {
		infos, meta, err = tensor.ReadHeader(io.NewSectionReader(f, 0, fi.Size()), fi.Size())
	}
	if err != nil {
		f.Close()
		return nil, nil, nil, err
	}
	data, unmap, err := mapFile(f, fi.Size())
	if err != nil {
		return &shard{read: f, close: f.Close}, infos, meta, nil
	}
	f.Close() // the mapping outlives it
	return &shard{data: data, close: unmap}, infos, meta, nil
}

// Close lets go of the files. Nothing may be loaded after it.
func (c *Checkpoint) Close() error {
	var err error
	for _, s := range c.shards {
		if s.close != nil {
			err = errors.Join(err, s.close())
			s.close = nil
		}
	}
	c.entries, c.shards = nil, nil
	return err
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// identify finds out whose weights these are, and puts them under the names
// that the models ask for.
func (c *Checkpoint) identify(all []entry) {
	const prefix = "model.diffusion_model."
	for i := range all {
		all[i].info.Name = strings.TrimPrefix(all[i].info.Name, prefix)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(all, func(e entry) bool { return e.info.Name == name })
	}
	c.Kind, c.Format = KindUnknown, ""
	switch {
	case slices.ContainsFunc(all, func(e entry) bool { return lora.Is(e.info.Name) }):
		c.Kind = KindLoRA
	case has("img_in.weight") && has("txt_in.weight"):
		c.Kind, c.Format = KindTransformer, "bfl"
	case has("x_embedder.weight") && has("context_embedder.weight"):
		c.Kind, c.Format = KindTransformer, "diffusers"
		all = transformerEntries(all)
	case has("encoder.conv_in.weight") && has("decoder.conv_in.weight"):
		c.Kind, c.Format = KindAutoencoder, "bfl"
		if has("encoder.down_blocks.0.resnets.0.conv1.weight") {
			c.Format = "diffusers"
			all = autoencoderEntries(all)
		}
	case has("vision_model.head.probe"): // CLIP's vision towers have none
		c.Kind, c.Format = KindSigLIP, "hf"
		all = c.drop(all, "text_model.", "logit_scale", "logit_bias")
	case slices.ContainsFunc(all, func(e entry) bool { return strings.HasPrefix(e.info.Name, "ip_adapter.") }):
		c.Kind, c.Format = KindIPAdapter, "instantx"
	case has("text_model.embeddings.token_embedding.weight"):
		c.Kind, c.Format = KindCLIP, "hf"
		all = c.drop(all, "text_model.embeddings.position_ids", "text_projection.weight", "logit_scale")
	case has("encoder.block.0.layer.0.SelfAttention.q.weight"):
		c.Kind, c.Format = KindT5, "hf"
		if has("shared.weight") {
			all = c.drop(all, "encoder.embed_tokens.weight")
		}
		for i := range all {
			if all[i].info.Name == "encoder.embed_tokens.weight" {
				all[i].info.Name = "shared.weight"
			}
		}
		all = c.drop(all, "decoder.", "lm_head.weight", "spiece_model")
	}
	c.entries = make(map[string]entry, len(all))
	for _, e := range all {
		c.entries[e.info.Name] = e
		c.order = append(c.order, e.info)
	}
}

// drop leaves out tensors that no model asks for: those named, and those whose
// names start with one that ends in a dot.
func (c *Checkpoint) drop(all []entry, unwanted ...string) []entry {
	return slices.DeleteFunc(all, func(e entry) bool {
		out := slices.ContainsFunc(unwanted, func(u string) bool {
			return e.info.Name == u || strings.HasSuffix(u, ".") && strings.HasPrefix(e.info.Name, u)
		})
		if out {
			c.Ignored = append(c.Ignored, e.info.Name)
		}
		return out
	})
}

// transformerEntries turns diffusers' names into BFL's. What it does not know,
// or knows only in part, keeps its name, so that Check can point at it.
func transformerEntries(all []entry) []entry {
	byName := make(map[string]entry, len(all))
	for _, e := range all {
		byName[e.info.Name] = e
	}
	has := func(name string) bool { _, ok := byName[name]; return ok }
	double, single := names.Blocks(has)
	var out []entry
	used := map[string]bool{}
	for _, t := range names.Transformer(double, single, has("time_text_embed.guidance_embedder.linear_1.weight")) {
		var parts []entry
		for _, d := range t.Diffusers {
			if e, ok := byName[d]; ok {
				parts = append(parts, e)
			}
		}
		if len(parts) < len(t.Diffusers) {
			continue
		}
		e, ok := stack(t.BFL, parts, t.Swap)
		if !ok {
			continue
		}
		for _, d := range t.Diffusers {
			used[d] = true
		}
		out = append(out, e)
	}
	for _, e := range all {
		if !used[e.info.Name] {
			out = append(out, e)
		}
	}
	return out
}

// stack is tensors one below the other, or false where they don't fit.
func stack(name string, parts []entry, swap bool) (entry, bool) {
	e := entry{info: parts[0].info}
	e.info.Name = name
	e.info.Shape = slices.Clone(e.info.Shape)
	e.segments = slices.Clone(parts[0].segments)
	for _, p := range parts[1:] {
		if len(e.info.Shape) == 0 || len(p.info.Shape) != len(e.info.Shape) || p.info.DType != e.info.DType ||
			!slices.Equal(p.info.Shape[1:], e.info.Shape[1:]) {
			return e, false
		}
		e.info.Shape[0] += p.info.Shape[0]
		e.info.Size += p.info.Size
		e.segments = append(e.segments, p.segments...)
	}
	if swap {
		s := e.segments[0]
		size, ok := element[e.info.DType]
		if !ok || len(e.segments) != 1 || len(e.info.Shape) == 0 || e.info.Shape[0]%2 != 0 {
			return e, false
		}
		half := s.n / 2
		e.segments = []segment{{s.in, s.offset + int64(half)*size, half}, {s.in, s.offset, half}}
	}
	return e, true
}

// autoencoderEntries turns diffusers' names into BFL's, and the attention's
// linear layers into the 1×1 convolutions that they are there.
func autoencoderEntries(all []entry) []entry {
	levels := 0
	for slices.ContainsFunc(all, func(e entry) bool {
		return e.info.Name == fmt.Sprintf("encoder.down_blocks.%d.resnets.0.conv1.weight", levels)
	}) {
		levels++
	}
	out := slices.Clone(all)
	for i, e := range out {
		bfl, ok := names.AutoencoderBFL(e.info.Name, levels)
		if !ok {
			continue
		}
		out[i].info.Name = bfl
		if d := e.info.Shape; strings.Contains(bfl, ".attn_1.") && len(d) == 2 {
			out[i].info.Shape = []int{d[0], d[1], 1, 1}
		}
	}
	return out
}

// Tensors lists the tensors in the order of the data, under the names that the
// models ask for.
func (c *Checkpoint) Tensors() []tensor.Info { return c.order }

// Shape is a tensor's shape, or nil where there is no such tensor.
func (c *Checkpoint) Shape(name string) []int {
	e, ok := c.entries[name]
	if !ok {
		return nil
	}
	return e.info.Shape
}

// Raw is a tensor's bytes where they lie in memory in one piece; else nil.
func (c *Checkpoint) Raw(name string) []byte {
	e, ok := c.entries[name]
	if !ok || len(e.segments) != 1 || e.segments[0].in.data == nil {
		return nil
	}
	s := e.segments[0]
	return s.in.data[s.offset : s.offset+e.info.Size]
}

// readAtOnce is how many bytes are read at a time from a file that isn't mapped.
const readAtOnce = 1 << 20

// Floats fills dst with a tensor's elements from an element on. No more of the
// tensor is read than is asked for.
func (c *Checkpoint) Floats(name string, from int, dst []float32) error {
	e, ok := c.entries[name]
	if !ok {
		return fmt.Errorf("%s has no tensor %q", c.Path, name)
	}
	size, ok := element[e.info.DType]
	if !ok {
		return fmt.Errorf("%s: tensor %q is %s; eligen reads %s", c.Path, name, e.info.DType, readable)
	}
	if from < 0 || from+len(dst) > elements(e.info.Shape) {
		return fmt.Errorf("%s: tensor %q has %d elements, not %d", c.Path, name, elements(e.info.Shape), from+len(dst))
	}
	var buf []byte
	for _, s := range e.segments {
		if from >= s.n {
			from -= s.n
			continue
		}
		n := min(s.n-from, len(dst))
		at := s.offset + int64(from)*size
		if s.in.data != nil {
			convert(dst[:n], e.info.DType, s.in.data[at:at+int64(n)*size])
			dst, from = dst[n:], 0
		} else {
			if buf == nil {
				buf = make([]byte, min(readAtOnce, int64(len(dst))*size))
			}
			for n > 0 {
				k := min(n, len(buf)/int(size))
				b := buf[:int64(k)*size]
				if _, err := s.in.read.ReadAt(b, at); err != nil {
					return fmt.Errorf("%s: tensor %q: %w", c.Path, name, err)
				}
				convert(dst[:k], e.info.DType, b)
				dst, n, at = dst[k:], n-k, at+int64(len(b))
			}
			from = 0
		}
		if len(dst) == 0 {
			return nil
		}
	}
	return nil
}

// convert turns little-endian elements into float32; len(dst) says how many.
func convert(dst []float32, dtype string, b []byte) {
	switch dtype {
	case "F32":
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case "BF16":
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	default:
		// Rare enough to go through the slice that this makes.
		const some = 1 << 16
		size := int(element[dtype])
		for len(dst) > 0 {
			n := min(some, len(dst))
			f, err := tensor.Floats(dtype, b[:n*size])
			if err != nil {
				panic(err) // Floats of Checkpoint lets no other dtype through
			}
			copy(dst, f)
			dst, b = dst[n:], b[n*size:]
		}
	}
}

// maxListed is how many problems an error lists before it only counts them.
const maxListed = 20

// Check compares what a loader has with what a model wants, tensor by tensor,
// and reports everything that is missing, of another shape or dtype, or in
// excess, before any of it is read. what names the weights in the message.
func Check(what string, l Loader, want []Weight) error {
	have := map[string]tensor.Info{}
	for _, t := range l.Tensors() {
		have[t.Name] = t
	}
	wanted := map[string]bool{}
	var missing []Weight
	var problems []string
	for _, w := range want {
		wanted[w.Name] = true
		t, ok := have[w.Name]
		switch {
		case !ok:
			missing = append(missing, w)
		case !slices.Equal(t.Shape, w.Shape) && len(t.Shape)+len(w.Shape) > 0:
			problems = append(problems, fmt.Sprintf("%s has shape %v, expected %v", w.Name, t.Shape, w.Shape))
		case !tensor.IsFloat(t.DType):
			problems = append(problems, fmt.Sprintf("%s is stored as %s; eligen reads %s", w.Name, t.DType, readable))
		}
	}
	var extra []string
	for _, t := range l.Tensors() {
		if !wanted[t.Name] {
			extra = append(extra, t.Name)
		}
	}
	for i, w := range missing {
		s := fmt.Sprintf("%s %v is missing", w.Name, w.Shape)
		if i < maxListed {
			if n := nearest(w.Name, extra); n != "" {
				s += fmt.Sprintf("; did the file mean it by %s?", n)
			}
		}
		problems = append(problems, s)
	}
	for _, n := range extra {
		problems = append(problems, n+" is not part of the model")
	}
	if len(problems) == 0 {
		return nil
	}
	more := ""
	if n := len(problems) - maxListed; n > 0 {
		problems, more = problems[:maxListed], fmt.Sprintf("\n  and %d more", n)
	}
	return fmt.Errorf("%s: the tensors are not those of the model:\n  %s%s", what, strings.Join(problems, "\n  "), more)
}

// nearest is the candidate with the smallest edit distance, if it is small
// enough to be a misspelling.
func nearest(name string, candidates []string) string {
	best, at := "", max(3, len(name)/5)+1
	for _, c := range candidates {
		if d := len(c) - len(name); d >= at || -d >= at {
			continue
		}
		if d := distance(name, c); d < at {
			best, at = c, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
