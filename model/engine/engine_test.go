package engine

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

// tiny is a model of a few thousand random numbers, with every part that nano has.
var tiny = nano.Manifest{
	Name: "tiny", Native: eligen.Size{W: 64, H: 48},
	Transformer: flux.Config{Dim: 32, Heads: 2, Axes: [3]int{4, 6, 6}, Double: 1, Single: 2, TextDim: 16, PooledDim: 12,
		Guidance: true, MLPRatio: 4, LatentChannels: 16},
	T5:          text.T5Config{Dim: 16, FF: 24, HeadDim: 8, Heads: 2, Layers: 1, Vocab: 64},
	CLIP:        text.CLIPConfig{Dim: 12, FF: 24, Heads: 2, Layers: 1, Vocab: 64, Positions: 16},
	Autoencoder: vae.Config{Ch: 4, Mult: []int{1, 2, 4, 4}, ResBlocks: 1, Groups: 2, Z: 16, Scale: 0.5, Shift: 0.1},
	Vision:      &vision.Config{Dim: 8, FF: 12, Heads: 2, Layers: 1, Patch: 4, Side: 2, Size: 9},
	IP:          &flux.IPConfig{ImageDim: 8, Hidden: 10, Tokens: 3, TokenDim: 16, Dim: 32, Blocks: 3},
	TextLength:  6, EntityTextLength: 4,
	Steps: 3, StepsWithEntities: 4, CFG: 1, CFGWithNegative: 2, CFGWithEntities: 3, Guidance: 3.5, Schedule: "eligen",
}

// random draws weights from a seed, at a size that keeps activations near 1.
func random(seed uint64, prefix string, list []weights.Weight) []tensor.Named {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []tensor.Named
	for _, w := range list {
		t := tensor.New(w.Shape...)
		for i := range t.Data {
			switch {
			case strings.HasSuffix(w.Name, ".bias"):
				t.Data[i] = float32(rng.NormFloat64() * 0.1)
			case len(w.Shape) == 1:
				t.Data[i] = float32(1 + rng.NormFloat64()*0.1)
			default:
				t.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(len(t.Data)/w.Shape[0])))
			}
		}
		out = append(out, tensor.Named{Name: prefix + w.Name, Tensor: t})
	}
	return out
}

// tinyFolder writes tiny in nano's layout.
func tinyFolder(t testing.TB) string {
	t.Helper()
	t.Setenv("ELIGEN_CACHE_DIR", t.TempDir())
	dir := t.TempDir()
	tensors := func(name string, list ...tensor.Named) {
		modeltest.WriteFile(t, filepath.Join(dir, name), func(b *bytes.Buffer) error { return tensor.Write(b, nil, list...) })
	}
	tensors(nano.TransformerFile, random(1, "", weights.List(tiny.Transformer.Weights()))...)
	tensors(nano.AutoencoderFile, random(2, "", weights.List(tiny.Autoencoder.Weights()))...)
	tensors(nano.TextFile, append(random(3, "t5.", weights.List(tiny.T5.Weights())),
		random(4, "clip.", weights.List(tiny.CLIP.Weights()))...)...)
	tensors(nano.VisionFile, random(8, "", weights.List(tiny.Vision.Weights()))...)
	tensors(nano.IPFile, random(9, "", weights.List(tiny.IP.Weights()))...)
	rng := rand.New(rand.NewPCG(5, 1))
	var factors []lora.Factor
	for _, w := range tiny.Transformer.Weights() {
		module, ok := strings.CutSuffix(w.Name, ".weight")
		if !ok || len(w.Shape) != 2 || !strings.Contains(w.Name, "blocks.") {
			continue
		}
		f := lora.Factor{Module: module, A: tensor.New(2, w.Shape[1]), B: tensor.New(w.Shape[0], 2)}
		for _, x := range [][]float32{f.A.Data, f.B.Data} {
			for i := range x {
				x[i] = float32(rng.NormFloat64() * 0.1)
			}
		}
		factors = append(factors, f)
	}
	modeltest.WriteLoRA(t, filepath.Join(dir, nano.EliGenFile), lora.Native, factors...)

	pieces := []any{[]any{"<pad>", 0}, []any{"</s>", 0}, []any{"<unk>", 0}, []any{"▁", -2.0}}
	vocab := map[string]int{}
	for c := 'a'; c <= 'z'; c++ {
		pieces = append(pieces, []any{string(c), -3.0})
		vocab[string(c)] = len(vocab)
		vocab[string(c)+"</w>"] = len(vocab)
	}
	vocab["sk"], vocab["<|startoftext|>"], vocab["<|endoftext|>"] = 61, 62, 63
	toJSON := func(name string, v any) {
		modeltest.WriteFile(t, filepath.Join(dir, name), func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(v) })
	}
	toJSON(nano.T5TokenizerFile, map[string]any{
		"pre_tokenizer": map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
		"model":         map[string]any{"type": "Unigram", "unk_id": 2, "vocab": pieces},
	})
	toJSON(nano.CLIPVocabularyFile, vocab)
	modeltest.WriteFile(t, filepath.Join(dir, nano.CLIPMergesFile),
		func(b *bytes.Buffer) error { b.WriteString("#version: 0.2\ns k\n"); return nil })
	toJSON(nano.ManifestFile, tiny)
	return dir
}

// One engine of each backend does everything, as one process does: what it has
// compiled and loaded for one picture serves the next.
func TestEngine(t *testing.T) {
	dir := tinyFolder(t)
	var reference tensor.Tensor // of the Go backend
	for _, backend := range []string{"go", "xla"} {
		t.Run(backend, func(t *testing.T) {
			e := newEngine(t, backend, Options{Embedded: dir})
			t.Run("agreement", func(t *testing.T) {
				_, d := job(t, e)
				x := denoise(t, e, d)
				if reference.Data == nil {
					reference = x
				}
				if diff := modeltest.Differ(x.Data, reference.Data); diff > 2e-5 {
					t.Errorf("latents differ from the Go backend's by %g", diff)
				}
			})
			t.Run("picture", func(t *testing.T) { testPicture(t, e) })
			if backend == "go" { // XLA agrees with it, and takes minutes to compile the dense form
				t.Run("definition", func(t *testing.T) { testDefinition(t, e) })
			}
			t.Run("invariants", func(t *testing.T) { testInvariants(t, e) })
			t.Run("against", func(t *testing.T) { testAgainst(t, e, backend == "go") })
			t.Run("schedules", func(t *testing.T) { testSchedules(t, e, backend == "go") })
			t.Run("layers", func(t *testing.T) { testLayered(t, e) })
			t.Run("cancel", func(t *testing.T) { testCancel(t, e) })
			t.Run("adapters", func(t *testing.T) { testAdapters(t, e) })
			t.Run("image prompts", func(t *testing.T) { testImagePrompts(t, e) })
			t.Run("little memory", func(t *testing.T) { testLittleMemory(t, e, newEngine(t, backend, Options{Embedded: dir, Keep: 1})) })
		})
	}
}

func newEngine(t *testing.T, name string, o Options) *Engine {
	t.Helper()
	o.Backend = name
	if name == "xla" {
		plugin := os.Getenv("ELIGEN_XLA_CPU")
		if info, err := backend.Find("xla:/plugin"); err != nil && info.Plugin == "" {
			t.Skip(err) // this build has no XLA
		}
		if plugin == "" {
			t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
		}
		o.Backend = "xla:" + plugin
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// job returns a picture's work: two entities that overlap, of different sizes, and a
// negative prompt.
func job(t *testing.T, e *Engine, adapters ...eligen.Adapter) (eligen.Spec, eligen.Denoise) {
	t.Helper()
	ctx := context.Background()
	spec, err := e.Spec(eligen.Model{Family: "nano"}, adapters)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(prompt string, as eligen.Reading) eligen.Conditioning {
		c, err := e.EncodePrompt(ctx, spec.Text, prompt, as)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	negative := encode("dull", spec.Prompt)
	rng := rand.New(rand.NewPCG(7, 7))
	latents := tensor.New(16, 6, 8)
	for i := range latents.Data {
		latents.Data[i] = float32(rng.NormFloat64())
	}
	return spec, eligen.Denoise{
		Transformer: spec.Transformer, Adapters: spec.Adapters, Latents: latents,
		Prompt: encode("a dog and a cat", spec.Prompt), Negative: negative,
		Entities: []eligen.EntityConditioning{
			{Prompt: encode("dog", spec.EntityPrompt), Tokens: []int32{0, 1, 4, 5}, Bucket: 8, Strength: 1},
			{Prompt: encode("cat", spec.EntityPrompt), Tokens: []int32{5, 6, 7}, Bucket: 4, Strength: 1},
			{Prompt: encode("sky", spec.EntityPrompt), Tokens: []int32{1, 2, 3}, Bucket: 4, Strength: 2},
		},
		Sigmas: []float32{1, 0.8, 0.5, 0.2, 0}, CFG: 2, Guidance: 3.5,
	}
}

func denoise(t *testing.T, e *Engine, d eligen.Denoise) tensor.Tensor {
	t.Helper()
	out, err := e.Denoise(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// From a scene's words to pixels, twice the same.
func testPicture(t *testing.T, e *Engine) {
	spec, d := job(t, e)
	if t5, clip := spec.Encoders[0], spec.Encoders[1]; t5.Count("dog") != 5 || t5.Limit != 0 || clip.Count("dog") != 5 || clip.Limit != 16 {
		t.Errorf("encoders of dog: %d, %d, at most %d; want 5 T5 tokens (▁ d o g and the end), 5 CLIP tokens and at most 16",
			t5.Count("dog"), clip.Count("dog"), clip.Limit)
	}
	if vec, txt := d.Prompt[eligen.Vec], d.Entities[0].Prompt[eligen.Txt]; len(vec.Data) != 12 || !slices.Equal(txt.Shape, []int{4, 16}) {
		t.Errorf("conditioning of shapes %v, %v", vec.Shape, txt.Shape)
	}
	var steps []int
	d.Step = func(step, of int, x tensor.Tensor) { steps = append(steps, step, of) }
	x := denoise(t, e, d)
	if !slices.Equal(steps, []int{1, 4, 2, 4, 3, 4, 4, 4}) {
		t.Errorf("steps reported: %v", steps)
	}
	img, err := e.Decode(context.Background(), spec.Autoencoder, x, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds(); got != image.Rect(0, 0, 64, 48) {
		t.Errorf("a picture of %v", got)
	}
	back, err := e.EncodeImage(context.Background(), spec.Autoencoder, img, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Shape, x.Shape) {
		t.Errorf("latents of the picture have shape %v, those it was made from %v", back.Shape, x.Shape)
	}
	tiles := &eligen.Tiling{Tile: 4, Stride: 2}
	if tiled, err := e.Decode(context.Background(), spec.Autoencoder, x, tiles); err != nil || tiled.Bounds() != img.Bounds() {
		t.Errorf("in tiles a picture of %v, %v", tiled, err)
	}
	if tiled, err := e.EncodeImage(context.Background(), spec.Autoencoder, img, tiles); err != nil ||
		!slices.Equal(tiled.Shape, x.Shape) || modeltest.Differ(tiled.Data, back.Data) == 0 {
		t.Errorf("in tiles latents of shape %v, %v", tiled.Shape, err)
	}
	d.Decoding = tiles // which changes nothing of the latents
	if again := denoise(t, e, d); modeltest.Differ(again.Data, x.Data) != 0 {
		t.Error("the same work gave other latents")
	}
}

// The engine's way (text projected once, modulations in a batch, regions as
// blocks, two branches) gives what the definition gives: every step whole, with
// the dense mask, guidance and Euler's step written out.
func testDefinition(t *testing.T, e *Engine) {
	_, d := job(t, e)
	for _, c := range []struct {
		name     string
		change   func(*eligen.Denoise)
		negative bool // entities on the negative branch
	}{
		{"entities", func(d *eligen.Denoise) {}, false},
		{"entities on the negative branch too", func(d *eligen.Denoise) { d.NegativeEntities = true }, true},
		{"no entities", func(d *eligen.Denoise) { d.Entities = nil }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d
			c.change(&d)
			want := defined(t, e, d, c.negative)
			if diff := modeltest.Differ(denoise(t, e, d).Data, want.Data); diff > 2e-5 {
				t.Errorf("latents differ by %g", diff)
			}
		})
	}
}

// defined computes Denoise by its definition.
func defined(t *testing.T, e *Engine, d eligen.Denoise, negativeEntities bool) tensor.Tensor {
	t.Helper()
	p := e.dits[d.Transformer].(*fluxmodel.DiT)
	cfg := p.Config
	image := d.Latents.Shape[1] / 2 * d.Latents.Shape[2] / 2
	velocity := func(x tensor.Tensor, sigma float32, c eligen.Conditioning, entities []eligen.EntityConditioning,
		text eligen.Conditioning) []float32 {
		s := exec.NewStore(e.backend, p.Loader, p.DType())
		defer func() { _ = s.Release() }()
		scalar := func(v float32) tensor.Tensor { return tensor.Tensor{Shape: []int{1}, Data: []float32{v}} }
		vec := tensor.Tensor{Shape: []int{len(c[eligen.Vec].Data)}, Data: c[eligen.Vec].Data}
		inputs := []tensor.Tensor{x, vec, c[eligen.Txt]}
		for _, en := range entities {
			txt := en.Prompt[eligen.Txt]
			if text != nil {
				txt = text[eligen.Txt]
			}
			members := tensor.New(1, image)
			for k, n := range en.Tokens {
				if members.Data[n] = 1; en.Cover != nil {
					members.Data[n] = en.Cover[k]
				}
			}
			inputs = append(inputs, tensor.Tensor{Shape: append([]int{1}, txt.Shape...), Data: txt.Data}, members,
				scalar(float32(math.Log(en.Strength))))
		}
		up := tensorsOf(inputs, 1)
		up = append(up, tensorsOf([]tensor.Tensor{scalar(1000 * sigma), scalar(float32(d.Guidance))})...)
		name := fmt.Sprintf("definition %d", len(entities))
		for _, en := range entities {
			if en.Blocks != nil {
				name += fmt.Sprint(" ", *en.Blocks)
			} else {
				name += " all"
			}
		}
		out, err := e.runner.Run(exec.Graph{Name: name,
			Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
				n := len(in)
				f := flux.Input{Latents: in[0], Vec: in[1], Txt: in[2], Timestep: in[n-2], Guidance: in[n-1]}
				for i := range entities {
					g := in[3+3*i:]
					f.Entities = append(f.Entities, flux.Entities{Txt: g[0], Members: g[1], LogStrength: g[2], Blocks: entities[i].Blocks})
				}
				return []*graph.Node{flux.Velocity(w, cfg, f)}
			}}, s, up...)
		if err != nil {
			t.Fatal(err)
		}
		v, err := exec.Download(out[0])
		if err != nil {
			t.Fatal(err)
		}
		return v.Data
	}
	x := tensor.Tensor{Shape: d.Latents.Shape, Data: slices.Clone(d.Latents.Data)}
	for i := range len(d.Sigmas) - 1 {
		v := velocity(x, d.Sigmas[i], d.Prompt, inStep(d.Entities, i), nil)
		var entities []eligen.EntityConditioning
		if negativeEntities {
			entities = d.Entities
		}
		text := d.Negative
		if len(d.Against) > 0 {
			entities, text = d.Against, nil
		}
		n := velocity(x, d.Sigmas[i], d.Negative, inStep(entities, i), text)
		for j := range x.Data {
			guided := n[j] + float32(d.CFG)*(v[j]-n[j])
			x.Data[j] += guided * (d.Sigmas[i+1] - d.Sigmas[i])
		}
	}
	return x
}

// What must not change a picture doesn't, to the last bit.
func testInvariants(t *testing.T, e *Engine) {
	_, d := job(t, e)
	want := denoise(t, e, d)
	same := func(name string, d eligen.Denoise) {
		t.Helper()
		if diff := modeltest.Differ(denoise(t, e, d).Data, want.Data); diff != 0 {
			t.Errorf("%s: latents differ by %g", name, diff)
		}
	}
	empty := d
	empty.Entities = append(slices.Clone(d.Entities), eligen.EntityConditioning{Prompt: d.Entities[0].Prompt, Bucket: 4, Strength: 1})
	same("an entity without a token", empty)

	var halfway tensor.Tensor
	watched := d
	watched.Step = func(step, of int, x tensor.Tensor) {
		if step == 2 {
			halfway = tensor.Tensor{Shape: x.Shape, Data: slices.Clone(x.Data)}
		}
	}
	denoise(t, e, watched)
	resumed := d
	resumed.From, resumed.Latents = 2, halfway
	same("going on from step 2", resumed)

	// Inpainting that paints everything keeps nothing, and the other way round:
	// what is kept ends as the picture's latents, guidance or not.
	picture := tensor.New(d.Latents.Shape...)
	for i := range picture.Data {
		picture.Data[i] = float32(i%7) / 3
	}
	cells := picture.Shape[1] * picture.Shape[2]
	inpaint := &eligen.Fusion{Picture: picture, Paint: make([]float32, cells)}
	kept := d
	kept.Fusion = inpaint
	if diff := modeltest.Differ(denoise(t, e, kept).Data, picture.Data); diff > 1e-5 {
		t.Errorf("inpainting that paints nothing is %g off the picture", diff)
	}
	for i := range inpaint.Paint {
		inpaint.Paint[i] = 1
	}
	same("inpainting that paints everything", kept)

	d.CFG = 1
	one := denoise(t, e, d)
	d.Negative = nil
	if modeltest.Differ(denoise(t, e, d).Data, one.Data) != 0 {
		t.Error("with CFG 1 the negative prompt had an effect")
	}
	d.From, d.Latents = len(d.Sigmas)-1, one
	if modeltest.Differ(denoise(t, e, d).Data, one.Data) != 0 {
		t.Error("going on after the last step changed the latents")
	}
}

// A step at hand is finished when the run is cancelled, and no other begins.
func testCancel(t *testing.T, e *Engine) {
	_, d := job(t, e)
	ctx, cancel := context.WithCancel(context.Background())
	last := 0
	d.Step = func(step, of int, x tensor.Tensor) {
		last = step
		if step == 2 {
			cancel()
		}
	}
	if _, err := e.Denoise(ctx, d); !errors.Is(err, context.Canceled) || last != 2 {
		t.Errorf("stopped after step %d with %v", last, err)
	}
	if _, err := e.EncodePrompt(ctx, "unknown", "a", eligen.Reading{Length: 4}); err == nil {
		t.Error("unknown weights were encoded with")
	}
}

// An engine with hardly any memory frees what it can, and gives the same bits.
func testLittleMemory(t *testing.T, roomy, tight *Engine) {
	_, d := job(t, roomy)
	spec, _ := job(t, tight)
	d.Entities = nil // what is released doesn't depend on them, and graphs without them compile fast
	see(t, tight, &d, eligen.Adapter{Kind: "ip", Scale: 0.7})
	see(t, roomy, &d, eligen.Adapter{Kind: "ip", Scale: 0.7})
	want := denoise(t, roomy, d)
	for range 2 {
		if diff := modeltest.Differ(denoise(t, tight, d).Data, want.Data); diff != 0 {
			t.Errorf("latents differ by %g", diff)
		}
	}
	if _, err := tight.Decode(context.Background(), spec.Autoencoder, want, nil); err != nil {
		t.Fatal(err)
	}
	for key, s := range tight.stores {
		if n := s.Bytes(); n > 0 && !strings.HasPrefix(key, "vae ") {
			t.Errorf("after decoding, %s still holds %d bytes", key[:8], n)
		}
	}
}

// The LoRA acts as far as its scale says, and its own file is the family's.
func testAdapters(t *testing.T, e *Engine) {
	own := eligen.Adapter{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"}
	off, file := own, own
	off.Scale = 0
	file.Path = filepath.Join(e.options.Embedded, nano.EliGenFile)
	_, without := job(t, e)
	_, with := job(t, e, own)
	_, zero := job(t, e, off)
	_, named := job(t, e, file)
	plain, adapted := denoise(t, e, without), denoise(t, e, with)
	if d := modeltest.Differ(plain.Data, adapted.Data); d < 1e-3 {
		t.Errorf("the LoRA changed latents by %g only", d)
	}
	if d := modeltest.Differ(denoise(t, e, zero).Data, plain.Data); d != 0 {
		t.Errorf("at scale 0 the LoRA changed latents by %g", d)
	}
	if d := modeltest.Differ(denoise(t, e, named).Data, adapted.Data); d != 0 {
		t.Errorf("the LoRA named by its path changed latents by %g", d)
	}
	if with.Adapters[0] != named.Adapters[0] {
		t.Errorf("one file, two recipes: %v, %v", with.Adapters[0], named.Adapters[0])
	}
}

// gradient draws a picture of a shape and size that no vision tower takes.
func gradient() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, 30, 20))
	for i := range img.Pix {
		img.Pix[i] = uint8(7 * i)
	}
	return img
}

// see has a picture brought in by an IP-Adapter, as a render of that scale would.
func see(t *testing.T, e *Engine, d *eligen.Denoise, a eligen.Adapter) eligen.Spec {
	t.Helper()
	spec, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{a})
	if err != nil {
		t.Fatal(err)
	}
	d.ImageAdapter = spec.Adapters[0].Digest
	tokens := func(img image.Image) tensor.Tensor {
		x, err := e.EncodeImagePrompt(t.Context(), d.ImageAdapter, img)
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{tiny.IP.Tokens, tiny.IP.TokenDim}; !slices.Equal(x.Shape, want) {
			t.Fatalf("tokens of shape %v, want %v", x.Shape, want)
		}
		return x
	}
	d.ImagePrompts = []eligen.ImagePrompt{{Tokens: tokens(gradient()), Scale: a.Scale}}
	d.NegativeImagePrompts = []eligen.ImagePrompt{{Tokens: tokens(nil), Scale: 1}}
	return spec
}

// A picture acts as far as its scale says, and what is not seen in no picture.
func testImagePrompts(t *testing.T, e *Engine) {
	_, d := job(t, e)
	d.CFG, d.Entities = 1, nil // graphs that are compiled fast, and for little memory, too
	plain := denoise(t, e, d)
	spec := see(t, e, &d, eligen.Adapter{Kind: "ip", Scale: 0.7})
	if s := spec.Sizes; s.PictureTokens != tiny.IP.Tokens || s.Pictures <= 0 || s.PictureKeys != int64(4*2*3*32*16) {
		t.Errorf("sizes %+v", s)
	}
	if d2 := modeltest.Differ(denoise(t, e, d).Data, plain.Data); d2 < 1e-3 {
		t.Errorf("a picture changed latents by %g only", d2)
	}
	both := append(d.ImagePrompts, eligen.ImagePrompt{Tokens: d.NegativeImagePrompts[0].Tokens, Scale: 1})
	if slices.Equal(both[0].Tokens.Data, both[1].Tokens.Data) {
		t.Error("a picture is seen as none is")
	}
	d.ImagePrompts = both[:1]
	d.ImagePrompts[0].Scale = 0
	if d := modeltest.Differ(denoise(t, e, d).Data, plain.Data); d != 0 {
		t.Errorf("at scale 0 a picture changed latents by %g", d)
	}
	if again, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{{Kind: "ip", Scale: 2,
		Path: filepath.Join(e.options.Embedded, nano.IPFile)}}); err != nil || again.Adapters[0].Digest != d.ImageAdapter {
		t.Errorf("the IP-Adapter named by its path is another: %v, %v", again.Adapters, err)
	}
	if _, err := e.EncodeImagePrompt(t.Context(), "0123456789abcdef", nil); err == nil || !strings.Contains(err.Error(), "0123456789ab") {
		t.Errorf("weights that were not planned with: %v", err)
	}
	d.ImageAdapter = ""
	if _, err := e.Denoise(t.Context(), d); err == nil || !strings.Contains(err.Error(), "needs an IP-Adapter") {
		t.Errorf("pictures without an IP-Adapter: %v", err)
	}
}

// What is wrong with an IP-Adapter is said at the argument that names it, and of both
// files at once.
func TestImageAdapterProblems(t *testing.T) {
	at := func(line int) eligen.Source { return eligen.Source{File: "fox.hcl", Line: line} }
	write := func(dir, name string, config string, list []weights.Weight) string {
		modeltest.WriteFile(t, filepath.Join(dir, name, "model.safetensors"), func(b *bytes.Buffer) error {
			return tensor.Write(b, nil, random(1, "", list)...)
		})
		if config != "" {
			modeltest.WriteFile(t, filepath.Join(dir, name, "config.json"), func(b *bytes.Buffer) error { b.WriteString(config); return nil })
		}
		return filepath.Join(dir, name)
	}
	for _, c := range []struct {
		name    string
		adapter eligen.Adapter
		spoil   func(dir string, a *eligen.Adapter) error
		want    []string // line, and a part of the detail
	}{
		{name: "no files", adapter: eligen.Adapter{Path: "nowhere.bin", Encoder: "nowhere"},
			want: []string{"2 There is no nowhere.bin", "3 There is no nowhere"}},
		{name: "not what they should be", spoil: func(dir string, a *eligen.Adapter) error {
			a.Path, a.Encoder = filepath.Join(dir, nano.EliGenFile), filepath.Join(dir, nano.AutoencoderFile)
			return nil
		}, want: []string{"2 should be an IP-Adapter for FLUX, but is lora", "3 should be a SigLIP vision tower, but is autoencoder"}},
		{name: "for another transformer", spoil: func(dir string, a *eligen.Adapter) error {
			other := *tiny.IP
			other.Dim = 48
			a.Path = write(dir, "other", "", weights.List(other.Weights()))
			return nil
		}, want: []string{"2 for a transformer of 3 blocks and width 48; this one has 1 + 2 and width 32"}},
		{name: "for another tower", spoil: func(dir string, a *eligen.Adapter) error {
			other := *tiny.Vision
			other.Dim = 16
			a.Encoder = write(dir, "other", `{"vision_config": {"num_attention_heads": 2, "image_size": 9}}`, weights.List(other.Weights()))
			return nil
		}, want: []string{"3 makes vectors of 16, and this IP-Adapter takes those of 8"}},
		{name: "a tower without its heads", spoil: func(dir string, a *eligen.Adapter) error {
			a.Encoder = write(dir, "other", "", weights.List(tiny.Vision.Weights()))
			return nil
		}, want: []string{"3 num_attention_heads"}},
		{name: "a pickle", spoil: func(dir string, a *eligen.Adapter) error {
			a.Path = filepath.Join(dir, "old.bin")
			return os.WriteFile(a.Path, []byte("\x80\x02}q\x00."), 0o644)
		}, want: []string{"2 is a pickle"}},
		{name: "a model without one", spoil: func(dir string, a *eligen.Adapter) error {
			m := tiny
			m.Vision, m.IP = nil, nil
			data, err := json.Marshal(m)
			return errors.Join(err, os.WriteFile(filepath.Join(dir, nano.ManifestFile), data, 0o644))
		}, want: []string{"2 says nothing of an IP-Adapter", "3 says nothing of an IP-Adapter"}},
		{name: "a manifest that makes no sense", spoil: func(dir string, a *eligen.Adapter) error {
			m, v := tiny, *tiny.Vision
			v.Heads = 3
			m.Vision = &v
			data, err := json.Marshal(m)
			return errors.Join(err, os.WriteFile(filepath.Join(dir, nano.ManifestFile), data, 0o644))
		}, want: []string{"0 doesn't divide into 3 heads"}},
		{name: "a file that is gone", spoil: func(dir string, a *eligen.Adapter) error { return os.Remove(filepath.Join(dir, nano.VisionFile)) },
			want: []string{"3 There is no"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tinyFolder(t)
			if c.spoil != nil {
				if err := c.spoil(dir, &c.adapter); err != nil {
					t.Fatal(err)
				}
			}
			c.adapter.Kind, c.adapter.Scale, c.adapter.At = "ip", 1, map[string]eligen.Source{"source": at(2), "encoder": at(3)}
			e := newEngine(t, "go", Options{Embedded: dir})
			_, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{c.adapter})
			var ds eligen.Diagnostics
			if !errors.As(err, &ds) || len(ds) != len(c.want) {
				t.Fatalf("Spec gave %v", err)
			}
			for i, want := range c.want {
				line, part, _ := strings.Cut(want, " ")
				if got := fmt.Sprint(ds[i].Source.Line); got != line || !strings.Contains(ds[i].Detail, part) {
					t.Errorf("line %s: %s\nwant line %s, with %q", got, ds[i].Detail, line, part)
				}
			}
		})
	}
}

// writeTorch writes tensors as torch.save does: in a zip archive, in dictionaries by the
// first words of their names.
func writeTorch(w io.Writer, list []tensor.Named) error {
	z := zip.NewWriter(w)
	entry := func(name string, data []byte) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(data)
		}
		return err
	}
	text := func(s string) string {
		return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
	}
	number := func(n int) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
	groups := map[string]string{}
	for i, t := range list {
		var data []byte
		for _, x := range t.Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
		if err := entry(fmt.Sprint("data/", i), data); err != nil {
			return err
		}
		shape, strides, step := "(", "", 1
		for _, d := range t.Shape {
			shape += number(d)
		}
		for k := len(t.Shape) - 1; k >= 0; k-- {
			strides, step = number(step)+strides, step*t.Shape[k]
		}
		group, name, _ := strings.Cut(t.Name, ".")
		groups[group] += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
			text(fmt.Sprint(i)) + text("cpu") +
			number(len(t.Data)) + "tQK\x00" + shape + "t(" + strides + "t\x89}tRs"
	}
	program := "\x80\x02}"
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		program += text(group) + "}" + groups[group] + "s"
	}
	return errors.Join(entry("data.pkl", []byte(program+".")), z.Close())
}

// In bfloat16 latents come near those of float32; how near is logged.
func TestBFloat16(t *testing.T) {
	dir := tinyFolder(t)
	half := newEngine(t, "xla", Options{Embedded: dir, DType: "bfloat16"})
	full := newEngine(t, "go", Options{Embedded: dir})
	latents := func(e *Engine) []float32 {
		_, d := job(t, e)
		d.Entities, d.Negative = d.Entities[:1], nil
		return denoise(t, e, d).Data
	}
	diff := modeltest.Differ(latents(half), latents(full))
	t.Logf("largest difference of latents: %g", diff)
	if diff > 0.3 || diff == 0 {
		t.Errorf("largest difference of latents %g, expected more than 0 and at most 0.3", diff)
	}
}

// What is wrong with a model is said where the scene names it, before it runs.
func TestSpecProblems(t *testing.T) {
	at := eligen.Source{File: "fox.hcl", Line: 3, Code: `model "nano" {`, End: 5}
	for _, c := range []struct {
		name     string
		model    eligen.Model
		adapters []eligen.Adapter
		spoil    func(dir string) error
		want     []string
	}{
		{name: "family", model: eligen.Model{Family: "sd"}, want: []string{`no model family "sd"`, "flux, nano and qwen"}},
		{name: "dtype", model: eligen.Model{Family: "nano", DType: "bfloat16"}, want: []string{"float32 only", "eligen backend install xla:cpu"}},
		{name: "no weights", model: eligen.Model{Family: "flux"}, want: []string{"no weights of its own"}},
		{name: "no folder", model: eligen.Model{Family: "flux", Path: "nowhere"}, want: []string{"There is no nowhere"}},
		{name: "missing file", model: eligen.Model{Family: "nano"},
			spoil: func(dir string) error { return os.Remove(filepath.Join(dir, nano.AutoencoderFile)) },
			want:  []string{"There is no", nano.AutoencoderFile}},
		{name: "truncated file", model: eligen.Model{Family: "nano"},
			spoil: func(dir string) error { return os.Truncate(filepath.Join(dir, nano.AutoencoderFile), 30000) },
			want:  []string{nano.AutoencoderFile, "truncated"}},
		{name: "misnamed tensor", model: eligen.Model{Family: "nano"}, spoil: func(dir string) error {
			return rename(filepath.Join(dir, nano.TransformerFile), "double_blocks.0.img_mlp.0.weight", "double_blocks.0.img_mlp.O.weight")
		}, want: []string{"double_blocks.0.img_mlp.0.weight [128 32] is missing; did the file mean it by double_blocks.0.img_mlp.O.weight?"}},
		{name: "damaged manifest", model: eligen.Model{Family: "nano"}, spoil: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, nano.ManifestFile), []byte(`{"steps": "many"}`), 0o644)
		}, want: []string{nano.ManifestFile, "steps"}},
		{name: "adapter kind", model: eligen.Model{Family: "nano"}, adapters: []eligen.Adapter{{Kind: "loha", Source: at}},
			want: []string{`nknown adapter "loha"`}},
		{name: "adapter file", model: eligen.Model{Family: "nano"},
			adapters: []eligen.Adapter{{Kind: "lora", Path: "nowhere.safetensors", Scale: 1, Source: at}}, want: []string{"nowhere.safetensors"}},
		{name: "two adapters", model: eligen.Model{Family: "nano"},
			adapters: []eligen.Adapter{{Kind: "lora", Scale: math.NaN(), Source: at}, {Kind: "lora", Path: "x.bin", Scale: 1, Source: at}},
			want:     []string{"scale NaN", "x.bin"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tinyFolder(t)
			if c.spoil != nil {
				if err := c.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			e := newEngine(t, "go", Options{Embedded: dir})
			c.model.Source = at
			_, err := e.Spec(c.model, c.adapters)
			var ds eligen.Diagnostics
			if !errors.As(err, &ds) {
				t.Fatalf("Spec gave %v", err)
			}
			if s := ds[0].Source; s == nil || *s != at {
				t.Errorf("blamed is %v", s)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%s", want, err)
				}
			}
		})
	}
}

// rename changes a tensor's name in a file for one of the same length.
func rename(path, from, to string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(data, []byte(`"`+from+`"`), []byte(`"`+to+`"`), 1), 0o644)
}

// Digests follow content and dtype, not paths.
func TestSpecDigests(t *testing.T) {
	a, b := tinyFolder(t), tinyFolder(t)
	e := newEngine(t, "go", Options{Embedded: a})
	spec := func(m eligen.Model) eligen.Spec {
		t.Helper()
		m.Family = "nano"
		s, err := e.Spec(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := spec(eligen.Model{})
	if other := spec(eligen.Model{Path: b, Name: "copy"}); other.Transformer != first.Transformer || other.Text != first.Text ||
		other.Autoencoder != first.Autoencoder {
		t.Error("a copy of the files has other digests")
	}
	c := tinyFolder(t)
	data, err := os.ReadFile(filepath.Join(c, nano.TransformerFile))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(filepath.Join(c, nano.TransformerFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if other := spec(eligen.Model{Path: c}); other.Transformer == first.Transformer || other.Text != first.Text {
		t.Error("one changed bit of the transformer should change its digest, and no other")
	}
}

// Bad work is refused with its reason.
func TestDenoiseRefuses(t *testing.T) {
	e := newEngine(t, "go", Options{Embedded: tinyFolder(t)})
	_, good := job(t, e)
	for _, c := range []struct {
		name   string
		change func(d *eligen.Denoise)
		want   string
	}{
		{"odd latents", func(d *eligen.Denoise) { d.Latents = tensor.New(16, 5, 8) }, "h and w multiples of 2"},
		{"no steps", func(d *eligen.Denoise) { d.Sigmas = []float32{1} }, "has no step"},
		{"no vector", func(d *eligen.Denoise) { d.Prompt = eligen.Conditioning{eligen.Txt: d.Prompt[eligen.Txt]} }, "takes 12"},
		{"token outside", func(d *eligen.Denoise) {
			d.Entities = []eligen.EntityConditioning{{Prompt: d.Entities[0].Prompt, Tokens: []int32{12}, Strength: 1}}
		}, "token 12"},
		{"small bucket", func(d *eligen.Denoise) {
			d.Entities = []eligen.EntityConditioning{{Prompt: d.Entities[0].Prompt, Tokens: []int32{0, 1}, Bucket: 1, Strength: 1}}
		}, "doesn't fit"},
		{"not finite", func(d *eligen.Denoise) {
			d.Latents = tensor.New(16, 6, 8)
			d.Latents.Data[0] = float32(math.NaN())
		}, "not finite"},
		{"unknown weights", func(d *eligen.Denoise) { d.Transformer = "0123456789abcdef" }, "0123456789ab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := good
			c.change(&d)
			if _, err := e.Denoise(context.Background(), d); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// A build without weights says so.
func TestEmbeddedWeights(t *testing.T) {
	t.Setenv("ELIGEN_NANO_DIR", "")
	e := newEngine(t, "go", Options{})
	_, err := e.Spec(eligen.Model{Family: "nano"}, nil)
	if err != nil && !strings.Contains(err.Error(), "This build has no embedded weights") {
		t.Errorf("the embedded model can't be used: %v", err)
	}
}

// The reference's rule for pixels: truncation of 255·clip(y/2 + 0.5).
func TestPixelRule(t *testing.T) {
	y := []float32{-2, -1, 0, 1, 3, float32(math.NaN()), 0.999, -0.999}
	want := []uint8{0, 0, 127, 255, 255, 0, 254, 0}
	for i := range y {
		img := encode.Picture(tensor.Tensor{Shape: []int{3, 1, 1}, Data: []float32{y[i], 0, 0}})
		if got := img.NRGBAAt(0, 0).R; got != want[i] {
			t.Errorf("%g is drawn as %d, want %d", y[i], got, want[i])
		}
	}
	img := image.NewGray(image.Rect(3, 5, 5, 6))
	img.SetGray(3, 5, color.Gray{255})
	if got := encode.Pixels(img); !slices.Equal(got.Shape, []int{3, 1, 2}) || got.Data[0] != 1 || got.Data[1] != -1 || got.Data[4] != 1 {
		t.Errorf("a grey picture becomes %v %v", got.Shape, got.Data)
	}
}

func tensorsOf(list []tensor.Tensor, leading ...int) []*tensors.Tensor {
	var out []*tensors.Tensor
	for _, t := range list {
		out = append(out, exec.Upload(t, leading...))
	}
	return out
}

// The same weights as a FLUX repository, with its tokenizers, text encoders in
// folders, and an EliGen LoRA beside them, make the same latents.
func TestFluxFamily(t *testing.T) {
	from := tinyFolder(t)
	e := newEngine(t, "go", Options{Embedded: from})
	dir := t.TempDir()
	move := func(name, to string) {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		modeltest.WriteFile(t, filepath.Join(dir, to), func(b *bytes.Buffer) error { b.Write(data); return nil })
	}
	model := eligen.Model{Family: "flux", Path: dir}
	if _, err := e.Spec(model, nil); err == nil || !strings.Contains(err.Error(), "the transformer (flux1-dev.safetensors") ||
		!strings.Contains(err.Error(), "the T5 text encoder (text_encoder_2") {
		t.Errorf("an empty folder gives %v; want every part that it lacks", err)
	}
	move(nano.TransformerFile, "flux1-dev.safetensors")
	move(nano.AutoencoderFile, "ae.safetensors")
	move(nano.EliGenFile, "flux-eligen.safetensors")
	move(nano.T5TokenizerFile, "tokenizer_2/tokenizer.json")
	move(nano.CLIPVocabularyFile, "tokenizer/vocab.json")
	move(nano.CLIPMergesFile, "tokenizer/merges.txt")
	modeltest.WriteFile(t, filepath.Join(dir, "text_encoder", "config.json"),
		func(b *bytes.Buffer) error { b.WriteString(`{"num_attention_heads": 2}`); return nil })
	modeltest.WriteFile(t, filepath.Join(dir, "text_encoder", "model.safetensors"), func(b *bytes.Buffer) error {
		return tensor.Write(b, nil, random(4, "", weights.List(tiny.CLIP.Weights()))...)
	})
	modeltest.WriteFile(t, filepath.Join(dir, "text_encoder_2", "model.safetensors"), func(b *bytes.Buffer) error {
		return tensor.Write(b, nil, random(3, "", weights.List(tiny.T5.Weights()))...)
	})
	own := eligen.Adapter{Kind: "lora", Name: "eligen", Scale: 1, Alpha: "file"}
	_, d := job(t, e, own)
	see(t, e, &d, eligen.Adapter{Kind: "ip", Scale: 0.7})
	want := denoise(t, e, d)
	// An IP-Adapter with nested names in an archive of PyTorch's, and a vision tower in
	// a folder with the other half of its model.
	ip := eligen.Adapter{Kind: "ip", Scale: 0.7, Path: filepath.Join(dir, "ip-adapter.bin"), Encoder: filepath.Join(dir, "siglip")}
	modeltest.WriteFile(t, ip.Path, func(b *bytes.Buffer) error { return writeTorch(b, random(9, "", weights.List(tiny.IP.Weights()))) })
	modeltest.WriteFile(t, filepath.Join(ip.Encoder, "model.safetensors"), func(b *bytes.Buffer) error {
		return tensor.Write(b, nil, append(random(8, "", weights.List(tiny.Vision.Weights())),
			tensor.Named{Name: "text_model.head.weight", Tensor: tensor.New(2)})...)
	})
	modeltest.WriteFile(t, filepath.Join(ip.Encoder, "config.json"), func(b *bytes.Buffer) error {
		b.WriteString(`{"vision_config": {"num_attention_heads": 2, "image_size": 9}}`)
		return nil
	})
	if _, err := e.Spec(model, []eligen.Adapter{{Kind: "ip", Scale: 1}}); err == nil ||
		!strings.Contains(err.Error(), `source = "./weights/ip-adapter.bin"`) || !strings.Contains(err.Error(), "has no vision tower") {
		t.Errorf("FLUX has no IP-Adapter of its own: %v", err)
	}

	for _, path := range []string{dir, filepath.Join(dir, "flux1-dev.safetensors")} {
		model.Path = path
		spec, err := e.Spec(model, []eligen.Adapter{own, ip})
		if err != nil {
			t.Fatal(err)
		}
		if spec.DType != "float32" || !spec.HasGuidance || spec.Schedule != "eligen" || spec.Prompt.Length != 512 {
			t.Errorf("spec is %+v", spec)
		}
		d.Transformer, d.Adapters, d.ImageAdapter = spec.Transformer, spec.Adapters[:1], spec.Adapters[1].Digest
		if d.ImagePrompts[0].Tokens, err = e.EncodeImagePrompt(t.Context(), d.ImageAdapter, gradient()); err != nil {
			t.Fatal(err)
		}
		p, err := e.EncodePrompt(context.Background(), spec.Text, "a dog and a cat", eligen.Reading{Length: 6, Pooled: true})
		if err != nil {
			t.Fatal(err)
		}
		d.Prompt = p
		if diff := modeltest.Differ(denoise(t, e, d).Data, want.Data); diff != 0 {
			t.Errorf("%s: latents differ by %g from those of the same weights in nano's layout", path, diff)
		}
	}
}
