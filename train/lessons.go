package train

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/weights"
)

// A Teacher is an engine, for which a model of any size and form is as good as another.
type Teacher interface {
	EncodePrompt(ctx context.Context, text eligen.Digest, prompt string, as eligen.Reading) (eligen.Conditioning, error)
	EncodeImage(ctx context.Context, autoencoder eligen.Digest, img image.Image, tiles *eligen.Tiling) (tensor.Tensor, error)
	Adaptable(transformer eligen.Digest) ([]weights.Weight, error)
	Learner
}

// Lessons train EliGen's LoRA on a model that an engine runs: a step computes its pictures one after the other, so
// that a batch takes no more memory than a picture, and each may have a size of its own.
//
// With Devices, a step's pictures are computed on the engine and on these at once. Gradients are added in the pictures'
// order, however many devices there are, so that the sum is the same to the bit.
//
// Prompts and pictures are encoded before the first step and kept on disk: text encoders and autoencoder are
// never in memory beside the transformer.
type Lessons struct {
	Engine  Teacher
	Devices []Learner // that compute lessons beside the engine
	Spec    eligen.Spec
	Samples annotated.Samples
	N       int    // samples that are trained on, the first
	Held    int    // samples after those, which are validated by
	Cache   string // folder of latents and of what encoders made of prompts
	Report  func(note string)
}

// Task returns the recipe's training of a LoRA.
func (l Lessons) Task(ctx context.Context, r eligen.Recipe) (t Task, err error) {
	if r.Rank == 0 {
		return t, fmt.Errorf("recipe %q: of a model like this, a LoRA is trained. Set train = lora(16)", r.Name)
	}
	matrices, err := l.Engine.Adaptable(l.Spec.Transformer)
	if err != nil {
		return t, err
	}
	rng := rand.New(rand.NewPCG(r.Seed, 0x10a))
	for _, w := range matrices {
		a, b, ok := LoRANames("dit." + w.Name)
		if !ok {
			return t, fmt.Errorf("a LoRA's factors of %s have no names. This is a bug in eligen", w.Name)
		}
		t.Params = append(t.Params, Param{a, []int{r.Rank, w.Shape[1]}, uniform(rng, r.Rank, w.Shape[1])},
			Param{b, []int{w.Shape[0], r.Rank}, make([]float32, w.Shape[0]*r.Rank)})
	}
	if err := l.prepare(ctx, r); err != nil {
		return t, err
	}
	t.Pictures = max(1, r.Batch)
	factors := func(params map[string]tensor.Tensor) family.Factors {
		out := family.Factors{}
		for _, w := range matrices {
			a, b, _ := LoRANames("dit." + w.Name)
			out[w.Name] = family.Pair{A: params[a], B: params[b]}
		}
		return out
	}
	t.Gradients = func(ctx context.Context, step int, params map[string]tensor.Tensor) (Gradients, error) {
		return l.step(ctx, r, step, factors(params))
	}
	if l.Held > 0 {
		t.Validate = func(ctx context.Context, params map[string]tensor.Tensor) (float64, error) {
			return l.validate(ctx, r, factors(params))
		}
	}
	return t, nil
}

// validated are the noise levels that each picture is validated at.
var validated = []float32{0.25, 0.5, 0.75}

// validate returns the mean loss of the pictures that are not trained on: of all their entities, and at the same noise
// every time, so that what differs is the LoRA.
func (l Lessons) validate(ctx context.Context, r eligen.Recipe, factors family.Factors) (mean float64, err error) {
	r.Drop, r.Objects = eligen.Dropout{}, 0
	if r.Regions > 0 {
		r.Regions = 1
	}
	for i := range l.Held {
		x, err := l.lesson(ctx, r, rand.New(rand.NewPCG(r.Seed+3, uint64(i))), l.N+i)
		if err != nil {
			return 0, err
		}
		x.Weight, x.Only = 1, true
		for _, x.Sigma = range validated {
			loss, _, err := l.Engine.Learn(ctx, l.Spec.Transformer, x, factors)
			if err != nil {
				return 0, err
			}
			mean += loss / float64(l.Held*len(validated))
		}
	}
	return mean, nil
}

// uniform draws a LoRA's factor A as PEFT does: Kaiming-uniform with a = √5.
func uniform(rng *rand.Rand, rank, in int) []float32 {
	out := make([]float32, rank*in)
	bound := 1 / math.Sqrt(float64(in))
	for i := range out {
		out[i] = float32((2*rng.Float64() - 1) * bound)
	}
	return out
}

// step computes the mean loss and gradient of a step's lessons.
func (l Lessons) step(ctx context.Context, r eligen.Recipe, step int, factors family.Factors) (g Gradients, err error) {
	batch := max(1, r.Batch)
	rng := rand.New(rand.NewPCG(r.Seed+2, uint64(step)))
	g.Of, g.Measures = map[string]tensor.Tensor{}, map[string]float64{}
	for from := 0; from < batch; from += 1 + len(l.Devices) {
		var lessons []family.Lesson
		for k := from; k < min(batch, from+1+len(l.Devices)); k++ {
			x, err := l.lesson(ctx, r, rng, l.index(r.Seed, step*batch+k))
			if err != nil {
				return g, err
			}
			lessons = append(lessons, x)
		}
		for i, of := range l.learn(ctx, lessons, factors) {
			if of.err != nil {
				return g, of.err
			}
			g.add(lessons[i], of, batch)
		}
	}
	return g, nil
}

// index returns which sample is the i-th to be seen: all of them, in an order drawn anew every epoch.
func (l Lessons) index(seed uint64, i int) int {
	return rand.New(rand.NewPCG(seed, uint64(i/l.N))).Perm(l.N)[i%l.N]
}

// lesson draws what a step sees of a sample.
func (l Lessons) lesson(ctx context.Context, r eligen.Recipe, rng *rand.Rand, i int) (x family.Lesson, err error) {
	s, err := l.Samples(i)
	if err != nil {
		return x, err
	}
	if x.Latents, err = l.latents(ctx, s.Image); err != nil {
		return x, err
	}
	regional, bare := rng.Float64() < r.Regions, rng.Float64() < r.Drop.Prompt
	prompt := s.Prompt
	if bare {
		prompt = ""
	}
	if x.Prompt, err = l.prompt(ctx, prompt, l.Spec.Prompt); err != nil {
		return x, err
	}
	size := eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}
	if r.Objects > 0 && r.Objects != 1 {
		x.Of = weighted(s, size, x.Latents.Shape, r.Objects)
	}
	for _, e := range s.Entities {
		seen := rng.Float64() >= r.Drop.Entity
		tokens := e.Region.Tokens(size, l.Spec.Geometry)
		if !regional || bare || !seen || len(tokens) == 0 {
			continue
		}
		c := eligen.EntityConditioning{Tokens: tokens, Strength: 1, Bucket: eligen.Bucket(len(tokens), l.Spec.Geometry.Tokens(size))}
		if c.Prompt, err = l.prompt(ctx, e.Prompt, l.Spec.EntityPrompt); err != nil {
			return x, err
		}
		x.Entities = append(x.Entities, c)
	}
	sigma, weight := drawSigma(rng, r)
	x.Sigma, x.Weight, x.Guidance = float32(sigma), float32(weight), 1 // as the reference trains
	x.Noise = tensor.New(x.Latents.Shape...)
	for i := range x.Noise.Data {
		x.Noise.Data[i] = float32(rng.NormFloat64())
	}
	return x, nil
}

// weighted returns the loss weights of latent pixels: more where an entity's region is.
func weighted(s annotated.Sample, size eligen.Size, latents []int, objects float64) []float32 {
	h, w := latents[1], latents[2]
	out := make([]float32, h*w)
	for i := range out {
		out[i] = 1
	}
	for _, e := range s.Entities {
		mask := e.Region.Mask(size)
		for i := range out {
			x, y := (2*(i%w)+1)*size.W/(2*w), (2*(i/w)+1)*size.H/(2*h)
			if mask[y*size.W+x] {
				out[i] = float32(objects)
			}
		}
	}
	return out
}

// prepare encodes all prompts, then all pictures, that aren't in the cache.
func (l Lessons) prepare(ctx context.Context, r eligen.Recipe) error {
	if err := os.MkdirAll(l.Cache, 0o755); err != nil {
		return err
	}
	type said struct {
		prompt string
		entity bool
	}
	seen := map[said]bool{{prompt: ""}: true}
	sizes := map[eligen.Size]int{}
	for i := range l.N + l.Held {
		s, err := l.Samples(i)
		if err != nil {
			return err
		}
		seen[said{prompt: s.Prompt}] = true
		if r.Regions > 0 {
			for _, e := range s.Entities {
				seen[said{e.Prompt, true}] = true
			}
		}
		sizes[eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}]++
	}
	l.note("pictures: %d, sizes: %d, prompts: %d", l.N+l.Held, len(sizes), len(seen))
	all := slices.SortedFunc(maps.Keys(seen), func(a, b said) int {
		if a.entity != b.entity {
			return map[bool]int{true: 1, false: -1}[a.entity]
		}
		return map[bool]int{true: -1, false: 1}[a.prompt < b.prompt]
	})
	for _, p := range all {
		as := l.Spec.Prompt
		if p.entity {
			as = l.Spec.EntityPrompt
		}
		if _, err := l.prompt(ctx, p.prompt, as); err != nil {
			return fmt.Errorf("encoding the prompt %q: %w", p.prompt, err)
		}
	}
	for i := range l.N + l.Held {
		s, err := l.Samples(i)
		if err != nil {
			return err
		}
		if _, err := l.latents(ctx, s.Image); err != nil {
			return fmt.Errorf("encoding %s: %w", s.Name, err)
		}
	}
	return nil
}

func (l Lessons) note(format string, args ...any) {
	if l.Report != nil {
		l.Report(fmt.Sprintf(format, args...))
	}
}

// latents returns a picture's latents, from the cache where they are there.
func (l Lessons) latents(ctx context.Context, img *image.NRGBA) (tensor.Tensor, error) {
	h := sha.New()
	fmt.Fprintf(h, "latents 1\n%s\n%v\n", l.Spec.Autoencoder, img.Rect.Size())
	for y := range img.Rect.Dy() {
		h.Write(img.Pix[y*img.Stride : y*img.Stride+4*img.Rect.Dx()])
	}
	all, err := l.cached("latents-"+hex.EncodeToString(h.Sum(nil)), func() (map[string]tensor.Tensor, error) {
		x, err := l.Engine.EncodeImage(ctx, l.Spec.Autoencoder, img, nil)
		return map[string]tensor.Tensor{"latents": x}, err
	})
	return all["latents"], err
}

// prompt returns what encoders make of a prompt, from the cache where it is there.
func (l Lessons) prompt(ctx context.Context, prompt string, as eligen.Reading) (eligen.Conditioning, error) {
	h := sha.New()
	fmt.Fprintf(h, "prompt 1\n%s\n%d %t %t\n%s", l.Spec.Text, as.Length, as.Unpadded, as.Pooled, prompt)
	all, err := l.cached("prompt-"+hex.EncodeToString(h.Sum(nil)), func() (map[string]tensor.Tensor, error) {
		return l.Engine.EncodePrompt(ctx, l.Spec.Text, prompt, as)
	})
	return all, err
}

// cached returns the tensors of a file in the cache, and makes it where it isn't there or is damaged.
func (l Lessons) cached(name string, make func() (map[string]tensor.Tensor, error)) (map[string]tensor.Tensor, error) {
	path := filepath.Join(l.Cache, name+".safetensors")
	if all, err := tensor.ReadFile(path); err == nil {
		return all, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		l.note("%s is damaged, and made again: %v", path, err)
	}
	all, err := make()
	if err != nil {
		return nil, err
	}
	var list []tensor.Named
	for _, name := range sortedKeys(all) {
		list = append(list, tensor.Named{Name: name, Tensor: all[name]})
	}
	return all, writeTensors(path, nil, list...)
}
