package model_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/detect"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	fluxfamily "github.com/eligen/eligen/model/family/flux"
	"github.com/eligen/eligen/model/fluxmodel"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/weights"
	"github.com/eligen/eligen/stage/decode"
	"github.com/eligen/eligen/stage/denoise"
	encodestage "github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/noise"
)

// testPipeline makes a picture from end to end, stage by stage as a plan does:
// noise, encode, denoise, decode.
func testPipeline(t *testing.T, s *suite, g *golden) {
	args := struct {
		Prompt         string
		NegativePrompt string  `json:"negative_prompt"`
		Guidance       float64 `json:"embedded_guidance"`
		Length         int     `json:"t5_sequence_length"`
		Height, Width  int
		Seed           uint64
		Steps          int      `json:"num_inference_steps"`
		CFG            float64  `json:"cfg_scale"`
		Shift          float64  `json:"sigma_shift"`
		EntityPrompts  []string `json:"eligen_entity_prompts"`
		EntityMasks    []string `json:"eligen_entity_masks"`
		OnNegative     bool     `json:"eligen_enable_on_negative"`
		InputImage     string   `json:"input_image"`
		Strength       float64  `json:"denoising_strength"`
		Inpaint        bool     `json:"enable_eligen_inpaint"`
		Pictures       []string `json:"ipadapter_images"`
		PictureScale   float64  `json:"ipadapter_scale"`
		Tiled          bool     `json:"tiled"`
		Tile           int      `json:"tile_size"`
		Stride         int      `json:"tile_stride"`
		TeaCache       float64  `json:"tea_cache_l1_thresh"`
	}{Guidance: 3.5, Length: 512, Height: 1024, Width: 1024, Steps: 30, CFG: 1, Strength: 1, PictureScale: 1, Tile: 128, Stride: 64}
	decoder := json.NewDecoder(bytes.NewReader(g.raw["arguments"]))
	decoder.DisallowUnknownFields() // none may be ignored
	if err := decoder.Decode(&args); err != nil {
		t.Fatalf("arguments: %v", err)
	}
	levels := struct {
		Levels  int     `json:"image_levels"`
		Latents float64 `json:"latents_atol"`
	}{Levels: 1}
	g.field(t, "tolerance", &levels)
	if g.Tolerance.ATol == 0 { // a case of step caching, which goes by its decisions first
		g.Tolerance.ATol = levels.Latents
	}
	ceil := func(n int) int { return (n + 15) / 16 * 16 }
	canvas := eligen.Size{W: ceil(args.Width), H: ceil(args.Height)}
	h, w := canvas.H/8, canvas.W/8

	e := g.pipelineEngine(t, s)
	op := denoise.Op{
		Schedule: denoise.Schedule{Name: "eligen", Steps: args.Steps, Shift: args.Shift, Strength: args.Strength},
		CFG:      args.CFG, Guidance: args.Guidance,
		Negative: args.CFG != 1, NegativeEntities: args.OnNegative, Init: args.InputImage != "",
		TeaCache: args.TeaCache,
	}
	var decoding decode.Op
	if args.Tiled {
		decoding.Tiles = &eligen.Tiling{Tile: args.Tile, Stride: args.Stride}
		e.transformer.Tiles = decoding.Tiles
	}
	var tea []fluxmodel.TeaStep
	e.transformer.Tea = func(_ int, negative bool, s fluxmodel.TeaStep) {
		if !negative {
			tea = append(tea, s)
		}
	}
	got := map[string]tensor.Tensor{}
	batch := func(x tensor.Tensor) tensor.Tensor {
		return tensor.Tensor{Shape: append([]int{1}, x.Shape...), Data: x.Data}
	}
	prompt := func(prompt string, pooled bool) (file []byte, c map[string]tensor.Tensor) {
		file = runOp(t, e, encodestage.Op{Prompt: prompt, Length: args.Length, Pooled: pooled})
		c, err := tensor.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		return file, c
	}

	inputs := [][]byte{runOp(t, e, noise.Op{Seed: args.Seed, Shape: []int{e.transformer.Config.LatentChannels, h, w},
		Variant: noise.AVX2, DType: "float32"})}
	file, c := prompt(args.Prompt, true)
	inputs = append(inputs, file)
	got["prompt_emb"], got["pooled_prompt_emb"] = batch(c["txt"]), batch(c["vec"])
	if op.Negative {
		file, _ := prompt(args.NegativePrompt, true)
		inputs = append(inputs, file)
	}
	if n := len(args.EntityMasks); n > 0 {
		if len(args.EntityPrompts) != n {
			t.Fatalf("%d masks and %d prompts", n, len(args.EntityPrompts))
		}
		emb := tensor.Tensor{Shape: []int{1, n, args.Length, e.transformer.Config.TextDim}}
		masks := tensor.Tensor{Shape: []int{1, n, 1, h, w}}
		for i, name := range args.EntityMasks {
			file, c := prompt(args.EntityPrompts[i], false)
			inputs = append(inputs, file)
			emb.Data = append(emb.Data, c["txt"].Data...)
			region := maskRegion(g.readPicture(t, name))
			masks.Data = append(masks.Data, bits(region.LatentMask(canvas, eligen.DefaultGeometry), h, w).Data...)
			tokens := region.Tokens(canvas, eligen.DefaultGeometry)
			op.Entities = append(op.Entities, denoise.Entity{Tokens: tokens, Bucket: eligen.Bucket(len(tokens), h/2*(w/2)), Strength: 1})
		}
		got["entity_prompt_emb"], got["entity_masks"] = emb, masks
	}
	if op.Init {
		x, err := e.EncodeImage(t.Context(), "", g.readPicture(t, args.InputImage), nil)
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, tensorFile(t, "latents", x))
		if args.Inpaint {
			inputs = append(inputs, tensorFile(t, "latents", x))
		}
	}

	if len(args.Pictures) > 0 {
		g.readImagePrompts(t, s, e, g.modelFolder(), args.Pictures, args.PictureScale)
	}
	if args.Inpaint {
		// Version 1.1: hard cells, fused before guidance.
		var regions []eligen.Region
		for _, name := range args.EntityMasks {
			regions = append(regions, maskRegion(g.readPicture(t, name)))
		}
		painted := pixels.Painted(regions, canvas, eligen.DefaultGeometry)
		op.Fusion = &denoise.Fusion{Before: true}
		for i, on := range painted {
			if on {
				op.Fusion.Paint = append(op.Fusion.Paint, int32(i))
			}
		}
		got["fg_mask"] = bits(painted, 1, 1, h, w)
	}
	if name := g.text("inpaint_mask"); name != "" {
		// Version 2.1: a soft mask, fused after guidance.
		var size *int
		var sigma *float64
		g.field(t, "blur_size", &size)
		g.field(t, "blur_sigma", &sigma)
		pix, from := samples(g.readPicture(t, name), 3)
		latent := eligen.Size{W: w, H: h}
		e.paint = soften(pix, from, latent)
		if size != nil {
			e.paint = blurMask(e.paint, latent, *size, *sigma)
		}
		got["inpaint_mask"] = tensor.Tensor{Shape: []int{1, 1, h, w}, Data: e.paint}
	}

	e.step = func(step int, x tensor.Tensor) { got[fmt.Sprintf("latents.%d", step)] = batch(clone(x)) }
	e.velocity = func(step int, v []float32) {
		got[fmt.Sprintf("noise_pred.%d", step)] = batch(clone(tensor.Tensor{Shape: e.start.Shape, Data: v}))
	}
	latents := runOp(t, e, op, inputs...)
	e.transformer.Tea = nil
	if args.TeaCache != 0 {
		g.compareTea(t, tea)
	}
	got["init_latents"] = batch(e.start)
	got["model_out.0.positive"] = batch(e.first(t, e.work.Prompt, true, nil))
	if p := e.work.Fusion; p != nil {
		got["input_latents"] = batch(p.Picture)
		fused := clone(got["model_out.0.positive"])
		p.Fuse(fused.Data, e.start.Data, e.work.Sigmas[0])
		got["fused.0"] = fused
	}
	if e.work.Negative != nil {
		got["model_out.0.negative"] = batch(e.first(t, e.work.Negative, args.OnNegative, e.work.Negative))
	}

	picture, _, err := image.Decode(bytes.NewReader(runOp(t, e, decoding, latents)))
	if err != nil {
		t.Fatal(err)
	}
	got["image_float"] = batch(e.picture)
	g.compare(t, got, nil)
	comparePictures(t, g.text("image"), picture, g.readPicture(t, g.text("image")), levels.Levels)
}

func clone(x tensor.Tensor) tensor.Tensor {
	return tensor.Tensor{Shape: x.Shape, Data: append([]float32(nil), x.Data...)}
}

// pipelineEngine is the engine's parts with the fixtures' tokenizers, which
// count bytes. It keeps what it sees.
type pipelineEngine struct {
	encoders    encode.Text
	transformer fluxmodel.Transformer
	autoencoder encode.Autoencoder
	bos, eos    int32 // CLIP's

	step     func(step int, latents tensor.Tensor)
	velocity func(step int, v []float32)
	paint    []float32 // a soft mask to inpaint by

	pictures, noPicture []eligen.ImagePrompt // of the two sides

	work    eligen.Denoise
	encoded tensor.Tensor // latents of the picture that was encoded last
	start   tensor.Tensor // latents before the first step
	picture tensor.Tensor // before it is 8-bit
}

var _ eligen.Engine = (*pipelineEngine)(nil)

func (e *pipelineEngine) ID() string { return "golden" }

func (e *pipelineEngine) Spec(eligen.Model, []eligen.Adapter) (eligen.Spec, error) {
	return eligen.Spec{}, errors.New("the golden suite plans nothing")
}

func (e *pipelineEngine) EncodePrompt(_ context.Context, _ eligen.Digest, prompt string, as eligen.Reading) (eligen.Conditioning, error) {
	length := as.Length
	ids := make([]int32, length)
	n := copy(ids, bytesAs([]byte(prompt)[:min(len(prompt), length-1)], 3))
	ids[n] = 1
	txt, err := e.encoders.States(ids)
	c := eligen.Conditioning{eligen.Txt: txt}
	if err != nil || !as.Pooled {
		return c, err
	}
	length = e.encoders.CLIP.Positions
	ids = append([]int32{e.bos}, bytesAs([]byte(prompt)[:min(len(prompt), length-2)], 0)...)
	for len(ids) < length {
		ids = append(ids, e.eos)
	}
	c[eligen.Vec], err = e.encoders.Pooled(ids)
	return c, err
}

func bytesAs(b []byte, offset int32) (ids []int32) {
	for _, x := range b {
		ids = append(ids, int32(x)+offset)
	}
	return ids
}

func (e *pipelineEngine) EncodeImage(ctx context.Context, _ eligen.Digest, img image.Image, tiles *eligen.Tiling) (tensor.Tensor, error) {
	e.autoencoder.Tiles = tiles
	x, err := e.autoencoder.Encode(ctx, encode.Pixels(img))
	e.encoded = x
	return x, err
}

// The suite has the pictures read before, by the parts themselves.
func (e *pipelineEngine) EncodeImagePrompt(context.Context, eligen.Digest, image.Image) (tensor.Tensor, error) {
	return tensor.Tensor{}, errors.New("no stage of the golden suite reads image prompts")
}

func (e *pipelineEngine) Denoise(ctx context.Context, d eligen.Denoise) (tensor.Tensor, error) {
	if e.paint != nil {
		d.Fusion = &eligen.Fusion{Picture: e.encoded, Paint: e.paint}
	}
	d.ImagePrompts, d.NegativeImagePrompts = e.pictures, e.noPicture
	e.work, e.start = d, clone(d.Latents)
	d.Velocity = e.velocity
	step := d.Step
	d.Step = func(n, of int, x tensor.Tensor) {
		if e.step != nil {
			e.step(n-1, x)
		}
		step(n, of, x)
	}
	return e.transformer.Denoise(ctx, d)
}

func (e *pipelineEngine) Decode(ctx context.Context, _ eligen.Digest, latents tensor.Tensor,
	tiles *eligen.Tiling) (_ image.Image, err error) {
	e.autoencoder.Tiles = tiles
	if e.picture, err = e.autoencoder.Decode(ctx, latents); err != nil {
		return nil, err
	}
	return encode.Picture(e.picture), nil
}

// first returns the velocity of the first step of one branch, with the entities or
// without; text, if not nil, is the negative branch's, and replaces their text.
func (e *pipelineEngine) first(t *testing.T, prompt eligen.Conditioning, entities bool, text eligen.Conditioning) (v tensor.Tensor) {
	t.Helper()
	d := e.work
	d.Prompt, d.Negative, d.CFG, d.Sigmas, d.Step, d.Fusion, d.TeaCache = prompt, nil, 1, d.Sigmas[:2], nil, nil, 0
	d.Entities = nil
	if text != nil {
		d.ImagePrompts = d.NegativeImagePrompts
	}
	for _, x := range e.work.Entities {
		if text != nil {
			x.Prompt = text
		}
		if entities {
			d.Entities = append(d.Entities, x)
		}
	}
	d.Velocity = func(_ int, x []float32) { v = clone(tensor.Tensor{Shape: e.start.Shape, Data: x}) }
	if _, err := e.transformer.Denoise(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return v
}

// compareTea holds what a step cache decided to a case's steps.
func (g *golden) compareTea(t *testing.T, got []fluxmodel.TeaStep) {
	t.Helper()
	var want []struct {
		Change *float64 `json:"rel_l1"`
		Sum    *float64 `json:"accumulated_before_decision"`
		Skip   bool
	}
	var tolerance struct {
		Change float64 `json:"rel_l1_rtol"`
		Sum    float64 `json:"accumulated_atol"`
	}
	g.field(t, "steps", &want)
	g.field(t, "tolerance", &tolerance)
	if len(got) != len(want) {
		t.Fatalf("the cache decided on %d steps, want %d", len(got), len(want))
	}
	worst, reused := 0.0, 0
	for i, w := range want {
		s := got[i]
		if s.Reused != w.Skip {
			t.Errorf("step %d: reused %t, want %t", i, s.Reused, w.Skip)
		}
		if s.Reused {
			reused++
		}
		if w.Sum == nil || w.Change == nil || i == len(want)-1 { // the first and the last aren't asked about
			continue
		}
		if d := math.Abs(s.Change / *w.Change - 1); !(d <= tolerance.Change) {
			t.Errorf("step %d: the change is %g, want %g", i, s.Change, *w.Change)
		}
		d := math.Abs(s.Sum - *w.Sum)
		if !(d <= tolerance.Sum) {
			t.Errorf("step %d: the sum is %g, want %g", i, s.Sum, *w.Sum)
		}
		worst = max(worst, d)
	}
	t.Logf("%d of %d steps reused, sums differ by %.2g of %g allowed", reused, len(want), worst, tolerance.Sum)
}

// runOp runs a stage on its inputs' contents.
func runOp(t *testing.T, e eligen.Engine, op eligen.Op, inputs ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	c := &eligen.Call{Out: &out, Engine: e, Step: func(int, int) {}}
	for _, data := range inputs {
		c.Inputs = append(c.Inputs, eligen.Artifact{Data: data, Size: int64(len(data))})
	}
	if err := op.Run(t.Context(), c); err != nil {
		t.Fatalf("%s: %v", op.Kind(), err)
	}
	return out.Bytes()
}

// tensorFile returns a file of tensors: name, tensor, name, tensor.
func tensorFile(t *testing.T, pairs ...any) []byte {
	t.Helper()
	var out bytes.Buffer
	var list []tensor.Named
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, tensor.Named{Name: pairs[i].(string), Tensor: pairs[i+1].(tensor.Tensor)})
	}
	if err := tensor.Write(&out, nil, list...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// setDims is what a set's dims.json says that no single-file checkpoint does.
type setDims struct {
	DiT ditConfig `json:"dit"`
	VAE struct {
		Groups int
	}
	CLIP struct {
		BOS, EOS int32
	} `json:"clip_text"`
}

func (g *golden) dims(t *testing.T, dir string) (dims setDims) {
	t.Helper()
	data, err := os.ReadFile(g.path(dir, "dims.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &dims); err != nil {
		t.Fatal(err)
	}
	return dims
}

// modelFolder holds a case's models.
func (g *golden) modelFolder() string { return cmp.Or(g.text("models"), "models") }

// pipelineEngine opens a case's models: the files that users have, found as the
// product finds them.
func (g *golden) pipelineEngine(t *testing.T, s *suite) *pipelineEngine {
	t.Helper()
	dir := g.modelFolder()
	dims := g.dims(t, dir)
	layout, err := fluxfamily.Find(g.findTransformer(t, dir, dims.DiT), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := func(path string) string {
		rel, err := filepath.Rel(g.set, path)
		if err != nil {
			t.Fatal(err)
		}
		return rel
	}
	store := func(l weights.Loader) *exec.Store {
		st := exec.NewStore(s.runner.Backend, l, dtypes.Float32)
		t.Cleanup(func() {
			if err := st.Release(); err != nil {
				t.Error(err)
			}
		})
		return st
	}
	e := &pipelineEngine{bos: dims.CLIP.BOS, eos: dims.CLIP.EOS}

	dit := g.open(t, in(layout.Transformer))
	var weights weights.Loader = dit
	if path := g.text("lora"); path != "" {
		var scale float64
		g.field(t, "lora_alpha", &scale)
		c := g.open(t, path)
		f, err := lora.Parse(path, c, c.Metadata, nil)
		if err != nil {
			t.Fatal(err)
		}
		if weights, err = lora.Over(dit, lora.Layer{File: f, Scale: scale}); err != nil {
			t.Fatal(err)
		}
	}
	e.transformer = fluxmodel.Transformer{Config: dims.DiT.flux(), Store: store(weights), Runner: s.runner}

	t5, clip := g.open(t, in(layout.T5)), g.open(t, in(layout.CLIP))
	e.encoders = encode.Text{T5Store: store(t5), CLIPStore: store(clip), Runner: s.runner}
	var errs [3]error
	e.encoders.T5, errs[0] = detect.T5(t5)
	e.encoders.CLIP, errs[1] = detect.CLIP(clip)
	ae := g.open(t, in(layout.Autoencoder))
	e.autoencoder = encode.Autoencoder{Store: store(ae), Runner: s.runner}
	e.autoencoder.Config, errs[2] = detect.Autoencoder(ae)
	e.autoencoder.Config.Groups = dims.VAE.Groups
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return e
}

// findTransformer returns the checkpoint in a folder with the sizes of dims.json.
func (g *golden) findTransformer(t *testing.T, dir string, want ditConfig) string {
	t.Helper()
	entries, err := os.ReadDir(g.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".safetensors") {
			continue
		}
		c, err := weights.Open(g.path(dir, entry.Name()))
		if err != nil {
			continue // another kind of file
		}
		cfg, err := detect.Transformer(c)
		cfg.Axes = want.Axes
		if closed := c.Close(); closed != nil {
			t.Fatal(closed)
		}
		if err == nil && cfg == want.flux() {
			return g.path(dir, entry.Name())
		}
	}
	t.Fatalf("%s holds no transformer of dims.json's sizes", dir)
	return ""
}
