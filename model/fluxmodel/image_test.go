package fluxmodel

import (
	"image"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/encode"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/weights"
)

func TestImagePrompts(t *testing.T) {
	r := modeltest.GoRunner(t)
	store := func(list []weights.Weight) *exec.Store {
		return exec.NewStore(r.Backend, modeltest.RandomCheckpoint(t, list), dtypes.Float32)
	}
	adapter := &ImageAdapter{Config: modeltest.SmallIP, Store: store(weights.List(modeltest.SmallIP.Weights())), Runner: r}
	transformer := &Transformer{Config: modeltest.SmallFlux, Store: store(weights.List(modeltest.SmallFlux.Weights())), Runner: r,
		Images: adapter}

	vec := tensor.New(modeltest.SmallIP.ImageDim)
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
	if _, err := (&encode.Vision{}).Vector(image.NewGray(image.Rect(0, 0, 0, 3))); err == nil {
		t.Error("a picture without pixels is encoded")
	}
}
