package model

import (
	"bytes"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/vision"
)

// A transformer with one block of each kind, and an IP-Adapter for it.
var (
	smallFlux = flux.Config{Dim: 16, Heads: 2, Axes: [3]int{4, 2, 2}, Double: 1, Single: 1, TextDim: 6, PooledDim: 4, MLPRatio: 2, LatentChannels: 4}
	smallIP   = flux.IPConfig{ImageDim: 5, Hidden: 7, Tokens: 3, TokenDim: 6, Dim: 16, Blocks: 2}
)

// randomCheckpoint is a checkpoint in memory with the weights of a list.
func randomCheckpoint(t *testing.T, list []Weight) *Checkpoint {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var all []tensor.Named
	for _, w := range list {
		x := tensor.New(w.Shape...)
		for i := range x.Data {
			x.Data[i] = float32(0.3 * r.NormFloat64())
		}
		all = append(all, tensor.Named{Name: w.Name, Tensor: x})
	}
	var file bytes.Buffer
	if err := tensor.Write(&file, nil, all...); err != nil {
		t.Fatal(err)
	}
	c, err := NewCheckpoint("memory", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIPAdapterIsNamedTensorByTensor(t *testing.T) {
	list := weights(smallIP.Weights())
	c := randomCheckpoint(t, list)
	if cfg, err := IPAdapterConfig(c); c.Kind != KindIPAdapter || err != nil || cfg != smallIP {
		t.Errorf("it is taken for %s, %+v, %v", c.Kind, cfg, err)
	}
	for i, w := range list {
		switch w.Name {
		case "ip_adapter.1.to_v_ip.weight":
			list[i].Name = "ip_adapter.1.to_v_pi.weight"
		case "image_proj.norm.bias":
			list[i].Shape = []int{7}
		}
	}
	_, err := IPAdapterConfig(randomCheckpoint(t, list))
	if err == nil {
		t.Fatal("it passes")
	}
	for _, want := range []string{
		"ip_adapter.1.to_v_ip.weight [16 6] is missing; did the file mean it by ip_adapter.1.to_v_pi.weight?",
		"image_proj.norm.bias has shape [7], expected [6]",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error doesn't say %q:\n%v", want, err)
		}
	}
}

// A published SigLIP has a text half, which is left out, and says its sizes in
// config.json, if at all.
func TestSigLIPConfig(t *testing.T) {
	small := vision.Config{Dim: 128, FF: 10, Heads: 2, Layers: 1, Patch: 14, Side: 27, Size: 384}
	c := randomCheckpoint(t, append(weights(small.Weights()), Weight{"text_model.embeddings.token_embedding.weight", []int{3, 2}}, Weight{"logit_scale", []int{1}}))
	cfg, err := SigLIPConfig(c)
	if c.Kind != KindSigLIP || err != nil || cfg != small {
		t.Errorf("it is taken for %s, %+v, %v", c.Kind, cfg, err)
	}
	if _, err := vision.Detect(c.Shape, 2, 300); err == nil {
		t.Error("27 tokens of 14 pixels fit into 300 pixels")
	}
}

func TestImagePrompts(t *testing.T) {
	be, _, err := OpenBackend("go")
	if err != nil {
		t.Fatal(err)
	}
	defer be.Finalize()
	r := NewRunner(be)
	defer r.Finalize()
	store := func(list []Weight) *Store { return NewStore(be, randomCheckpoint(t, list), dtypes.Float32) }
	adapter := &ImageAdapter{Config: smallIP, Store: store(weights(smallIP.Weights())), Runner: r}
	transformer := &Transformer{Config: smallFlux, Store: store(weights(smallFlux.Weights())), Runner: r, Images: adapter}

	vec := tensor.New(smallIP.ImageDim)
	vec.Data[2] = 1
	tokens, err := adapter.Tokens(vec)
	if err != nil {
		t.Fatal(err)
	}
	work := func(prompts ...eligen.ImagePrompt) eligen.Denoise {
		d := eligen.Denoise{
			Latents: tensor.New(4, 4, 6), Sigmas: []float32{1, 0.5, 0}, CFG: 2, ImagePrompts: prompts,
			Prompt: eligen.Conditioning{eligen.Txt: tensor.New(2, 6), eligen.Vec: tensor.New(4)},
		}
		d.Latents.Data[7] = 1
		d.Negative = d.Prompt
		return d
	}
	denoise := func(lean bool, d eligen.Denoise) []float32 {
		t.Helper()
		transformer.Lean = lean
		x, err := transformer.Denoise(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return x.Data
	}
	prompt := eligen.ImagePrompt{Tokens: tokens, Scale: 0.5}
	want := denoise(false, work(prompt))
	if slices.Equal(want, denoise(false, work())) {
		t.Error("an image prompt has no effect")
	}
	negative := work(prompt)
	negative.NegativeImagePrompts = []eligen.ImagePrompt{{Tokens: tokens, Scale: 1}}
	if slices.Equal(want, denoise(false, negative)) {
		t.Error("a negative image prompt has no effect")
	}
	if !slices.Equal(want, denoise(true, work(prompt))) {
		t.Error("the picture is another where weights are let go early")
	}
	if n := adapter.Store.Bytes(); n != 0 {
		t.Errorf("%d bytes of the IP-Adapter are still there", n)
	}

	none, other := *transformer, *transformer
	none.Images = nil
	other.Config.Single++
	for what, c := range map[string]struct {
		t    *Transformer
		d    eligen.Denoise
		want string
	}{
		"no adapter":      {&none, work(prompt), "needs an IP-Adapter"},
		"another's":       {&other, work(prompt), "for a transformer of 2 blocks"},
		"another's token": {transformer, work(eligen.ImagePrompt{Tokens: tensor.New(2, 6), Scale: 1}), "makes [3 6]"},
		"no scale":        {transformer, work(eligen.ImagePrompt{Tokens: tokens, Scale: math.NaN()}), "scale NaN"},
	} {
		if _, err := c.t.Denoise(t.Context(), c.d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := adapter.Tokens(tensor.New(4)); err == nil {
		t.Error("a vector of 4 numbers is taken for one of 5")
	}
	if _, err := (&ImageEncoder{}).Vector(image.NewGray(image.Rect(0, 0, 0, 3))); err == nil {
		t.Error("a picture without pixels is encoded")
	}
}

// Pixels are those of the picture, wherever its bounds begin and whatever its kind.
func TestSigLIPPixels(t *testing.T) {
	c := vision.Config{Size: 4}
	whole := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	part := whole.SubImage(image.Rect(3, 2, 7, 6)).(*image.NRGBA)
	for y := 2; y < 6; y++ {
		for x := 3; x < 7; x++ {
			part.SetNRGBA(x, y, color.NRGBA{uint8(10 * x), uint8(20 * y), 255, 1}) // nearly transparent
		}
	}
	got := c.Pixels(part).Data
	for i, level := range map[int]float32{0: 30, 3: 60, 4: 30, 16: 40, 28: 100, 32: 255} {
		if want := level*(2.0/255) - 1; got[i] != want {
			t.Errorf("number %d is %g, want %g", i, got[i], want)
		}
	}
}
