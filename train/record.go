package train

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/vae"
)

// A Tokenizer turns a prompt into token ids, padded or cut to a length.
type Tokenizer func(prompt string, length int) []int32

// Text turns prompts into tokens.
type Text struct {
	T5, CLIP     Tokenizer
	Length       int // T5 tokens of the global prompt
	EntityLength int // T5 tokens of an entity's prompt
	CLIPLength   int
}

// MaxEntities is the number of entities in a training sample; of a picture with
// more, the rest are in the global prompt alone.
const MaxEntities = 4

// records is a sequence of samples as the transformer sees them: latents and
// token ids. It is made once, a shard at a time when a shard is first asked
// for, and kept on disk, since encoding a picture costs as much as a third of a
// training step on it.
type records struct {
	dir     string
	size    eligen.Size
	n       int // samples in all
	text    Text
	samples annotated.Samples
	encode  *model.Exec
	z       int
	cache   map[int]shard
	recent  []int
	styles  []string // that samples are told apart by, in further fields: the index, and the prompts with and without it; nil for none
	pairs   bool     // samples are pairs of panels: latents are of two pictures, and there is a further field
}

const shardSize = 512

// fields are the tensors of a shard, one row a sample.
var fields = append([]string{"latents", "entities", "members", "objects"}, promptFields[:]...)

// The prompt and the background for T5, then for CLIP; and as they say a sample's style.
var (
	promptFields = [4]string{"prompt", "background", "clip", "clip_background"}
	saidFields   = [4]string{"said", "said_background", "clip_said", "clip_said_background"}
)

func (r *records) fields() []string {
	switch {
	case r.pairs:
		return append(slices.Clone(fields), "reference")
	case r.styles != nil:
		return append(slices.Clone(fields), append([]string{"style"}, saidFields[:]...)...)
	}
	return fields
}

type shard map[string]tensor.Tensor

// records returns the pictures' records, of a size: made, or found, in their cache.
func (p Pictures) records(backend compute.Backend, m Model, size eligen.Size) (*records, error) {
	if err := os.MkdirAll(p.Cache, 0o755); err != nil {
		return nil, err
	}
	encode, err := Compile(backend, m.Autoencoder, func(w nn.Weights, in []*Node) []*Node {
		return []*Node{vae.Encode(w, m.VAE, in[0], nil)}
	})
	if err != nil {
		return nil, err
	}
	return &records{
		dir: p.Cache, size: size, n: max(1, (p.N+shardSize-1)/shardSize) * shardSize, text: m.Text, samples: p.Samples,
		encode: encode, z: m.VAE.Z, cache: map[int]shard{},
	}, nil
}

// recordsKey tells records apart by what they are made from, so that those of another
// autoencoder, tokenizer or dataset are never taken for these: the weights, the shares of
// styles, in which a few samples may not differ, whether their styles are told apart, and
// the first samples.
func recordsKey(m Model, styles map[string]float64, styled bool, samples annotated.Samples) (eligen.Digest, error) {
	h := sha.New()
	if styled { // they hold more
		fmt.Fprintln(h, "with styles")
	}
	fmt.Fprintf(h, "records 1\n%v\n%+v\n%d %d %d\n", styles, m.VAE, m.Text.Length, m.Text.EntityLength, m.Text.CLIPLength)
	for _, name := range sortedKeys(m.Autoencoder) {
		fmt.Fprintln(h, name)
		if err := binary.Write(h, binary.LittleEndian, m.Autoencoder[name].Data); err != nil {
			return "", err
		}
	}
	for i := range 8 {
		s, err := samples(i)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %v %v\n", s.Prompt, m.Text.T5(s.Prompt, m.Text.Length), m.Text.CLIP(s.Prompt, m.Text.CLIPLength))
		h.Write(s.Image.Pix)
		if s.Before != nil {
			h.Write(s.Before.Pix)
		}
		for _, e := range s.Entities {
			fmt.Fprintf(h, "%q %v\n", e.Prompt, e.Region.Numbers)
		}
	}
	return eligen.Digest(hex.EncodeToString(h.Sum(nil))), nil
}

// index returns which sample is the i-th to be seen: shards in an order drawn anew
// every epoch, and so the samples of four shards at a time.
func (r *records) index(seed uint64, i int) int {
	const group = 4
	epoch, at := i/r.n, i%r.n
	shards := r.n / shardSize
	order := rand.New(rand.NewPCG(seed, uint64(epoch))).Perm(shards)
	first := at / (group * shardSize) * group
	members := order[first:min(first+group, shards)]
	within := rand.New(rand.NewPCG(seed^0x5a, uint64(epoch*shards+first))).Perm(len(members) * shardSize)
	k := within[at-first*shardSize]
	return members[k/shardSize]*shardSize + k%shardSize
}

// row returns a field of a sample.
func (r *records) row(i int, field string) ([]float32, error) {
	s, err := r.shard(i / shardSize)
	if err != nil {
		return nil, err
	}
	t := s[field]
	n := len(t.Data) / shardSize
	k := i % shardSize
	return t.Data[k*n : (k+1)*n], nil
}

func (r *records) shard(k int) (shard, error) {
	if s, ok := r.cache[k]; ok {
		return s, nil
	}
	path := filepath.Join(r.dir, fmt.Sprintf("%05d.safetensors", k))
	s, err := tensor.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		s, err = r.make(k, path)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range r.fields() {
		if len(s[f].Data) == 0 || len(s[f].Data)%shardSize != 0 {
			return nil, fmt.Errorf("%s holds no %q: delete the folder, it is made again", path, f)
		}
	}
	if r.recent = append(r.recent, k); len(r.recent) > 12 {
		delete(r.cache, r.recent[0])
		r.recent = r.recent[1:]
	}
	r.cache[k] = s
	return s, nil
}

// make makes a shard and writes it to path.
func (r *records) make(k int, path string) (shard, error) {
	w, h := r.size.W, r.size.H
	lw, lh := w/8, h/8
	tokens := lw / 2 * (lh / 2)
	all := rows{}
	for i := range shardSize {
		s, err := r.samples(k*shardSize + i)
		if err != nil {
			return nil, err
		}
		if b := s.Image.Bounds(); b.Dx() != w || b.Dy() != h {
			return nil, fmt.Errorf("sample %s is %d×%d pixels; the recipe asks for %d×%d", s.Name, b.Dx(), b.Dy(), w, h)
		}
		if err := r.add(all, s); err != nil {
			return nil, err
		}
	}
	shapes := map[string][]int{
		"latents":  {shardSize, r.z, lh, lw},
		"entities": {shardSize, MaxEntities, r.text.EntityLength}, "members": {shardSize, MaxEntities, tokens},
		"objects": {shardSize, lh, lw}, "reference": {shardSize, tokens}, "style": {shardSize, 1},
	}
	for _, f := range [][4]string{promptFields, saidFields} {
		shapes[f[0]], shapes[f[1]] = []int{shardSize, r.text.Length}, []int{shardSize, r.text.Length}
		shapes[f[2]], shapes[f[3]] = []int{shardSize, r.text.CLIPLength}, []int{shardSize, r.text.CLIPLength}
	}
	s := shard{}
	var list []tensor.Named
	for _, f := range r.fields() {
		s[f] = tensor.Tensor{Shape: shapes[f], Data: all[f]}
		list = append(list, tensor.Named{Name: f, Tensor: s[f]})
	}
	return s, writeTensors(path, nil, list...)
}

// rows are a shard's fields, sample after sample.
type rows map[string][]float32

func (r rows) ids(field string, list []int32) {
	for _, id := range list {
		r[field] = append(r[field], float32(id))
	}
}

func (r rows) prompts(text Text, fields [4]string, prompt, background string) {
	r.ids(fields[0], text.T5(prompt, text.Length))
	r.ids(fields[1], text.T5(background, text.Length))
	r.ids(fields[2], text.CLIP(prompt, text.CLIPLength))
	r.ids(fields[3], text.CLIP(background, text.CLIPLength))
}

// add adds a sample.
func (r *records) add(all rows, s annotated.Sample) error {
	latents, err := r.latents(s.Image)
	if err != nil {
		return err
	}
	if r.pairs {
		if err := checkPair(s, r.size); err != nil {
			return err
		}
		if latents, err = r.painted(latents, s); err != nil {
			return err
		}
		reference := make([]float32, r.size.W/16*(r.size.H/16))
		for _, t := range s.Reference.Region.Tokens(r.size, eligen.DefaultGeometry) {
			reference[t] = 1
		}
		all["reference"] = append(all["reference"], reference...)
	}
	if r.styles != nil {
		k := slices.Index(r.styles, s.Style)
		if k < 0 {
			return fmt.Errorf("sample %s has the style %q; the recipe knows %s", s.Name, s.Style, strings.Join(r.styles, ", "))
		}
		all["style"] = append(all["style"], float32(k))
		all.prompts(r.text, saidFields, s.StyledPrompt(s.Prompt), s.StyledPrompt(s.Background))
		s.Prompt, s.Background = s.PlainPrompt(s.Prompt), s.PlainPrompt(s.Background)
	}
	all["latents"] = append(all["latents"], latents...)
	all.prompts(r.text, promptFields, s.Prompt, s.Background)
	r.addEntities(all, s.Entities)
	return nil
}

func (r *records) addEntities(all rows, entities []annotated.Entity) {
	lw, lh := r.size.W/8, r.size.H/8
	tokens := lw / 2 * (lh / 2)
	members := make([]float32, MaxEntities*tokens)
	for i := range MaxEntities {
		prompt := ""
		if i < len(entities) {
			prompt = entities[i].Prompt
			for _, t := range entities[i].Region.Tokens(r.size, eligen.DefaultGeometry) {
				members[i*tokens+int(t)] = 1
			}
		}
		all.ids("entities", r.text.T5(prompt, r.text.EntityLength))
	}
	objects := make([]float32, lw*lh)
	for _, e := range entities {
		for i, on := range e.Region.LatentMask(r.size, eligen.DefaultGeometry) {
			if on {
				objects[i] = 1
			}
		}
	}
	all["members"] = append(all["members"], members...)
	all["objects"] = append(all["objects"], objects...)
}

// latents returns those of a picture of the records' size, [Z,h,w].
func (r *records) latents(img *image.NRGBA) ([]float32, error) {
	w, h := r.size.W, r.size.H
	out, err := r.encode.Call(tensors.FromFlatDataAndDimensions(Pixels(img, 0, 0, w, h), 1, 3, h, w))
	if err != nil {
		return nil, err
	}
	latents := tensors.MustCopyFlatData[float32](out[0])
	return latents, out[0].FinalizeAll()
}

// painted returns a pair's latents in the tokens of its first entity's region, and
// around them those of the picture without it.
func (r *records) painted(latents []float32, s annotated.Sample) ([]float32, error) {
	before, err := r.latents(s.Before)
	if err != nil {
		return nil, err
	}
	lw, lh := r.size.W/8, r.size.H/8
	for _, t := range s.Entities[0].Region.Tokens(r.size, eligen.DefaultGeometry) {
		x, y := int(t)%(lw/2)*2, int(t)/(lw/2)*2
		for plane := 0; plane < len(latents); plane += lw * lh {
			for _, at := range [4]int{y*lw + x, y*lw + x + 1, (y+1)*lw + x, (y+1)*lw + x + 1} {
				before[plane+at] = latents[plane+at]
			}
		}
	}
	return before, nil
}
