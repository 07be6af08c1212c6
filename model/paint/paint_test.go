package paint_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/paint"
)

func spec(t *testing.T) eligen.Spec {
	t.Helper()
	s, err := paint.Engine{}.Spec(eligen.Model{Family: "nano"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func encode(t *testing.T, prompt string) eligen.Conditioning {
	t.Helper()
	c, err := paint.Engine{}.EncodePrompt(t.Context(), spec(t).Text, prompt, eligen.Reading{Length: 1, Pooled: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// work returns a job of 64×32 pixels: 4×2 image tokens. Token 0 is the first entity's, token 2 the
// second's, token 1 belongs to both.
func work(t *testing.T) eligen.Denoise {
	sigmas, err := eligen.Sigmas("eligen", 3, nil, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	d := eligen.Denoise{
		Transformer: spec(t).Transformer, Patch: 2, Latents: tensor.New(16, 4, 8), Prompt: encode(t, "a white wall"), Sigmas: sigmas, CFG: 1,
		Entities: []eligen.EntityConditioning{
			{Prompt: encode(t, "a red cup"), Tokens: []int32{0, 1}, Bucket: 16, Strength: 1},
			{Prompt: encode(t, "a blue cup"), Tokens: []int32{1, 2}, Bucket: 16, Strength: 3},
		},
	}
	for i := range d.Latents.Data {
		d.Latents.Data[i] = float32(math.Sin(float64(i)))
	}
	return d
}

func TestPoster(t *testing.T) {
	latents, err := paint.Engine{}.Denoise(t.Context(), work(t))
	if err != nil {
		t.Fatal(err)
	}
	img, err := paint.Engine{}.Decode(t.Context(), spec(t).Autoencoder, latents, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 64 || b.Dy() != 32 {
		t.Fatalf("the picture is %v", b)
	}
	red, blue, white := paint.Colour("red"), paint.Colour("blue"), paint.Colour("white")
	mixed := func(a, b uint8) uint8 { return uint8(math.Round((float64(a) + 3*float64(b)) / 4)) }
	for token, want := range []color.NRGBA{red, {mixed(red.R, blue.R), mixed(red.G, blue.G), mixed(red.B, blue.B), 255}, blue, white,
		white, white, white, white} {
		x, y := token%4*16, token/4*16
		for _, p := range []image.Point{{x, y}, {x + 15, y + 15}} {
			got := img.At(p.X, p.Y).(color.NRGBA)
			if near := func(a, b uint8) bool { return int(a)-int(b) <= 1 && int(b)-int(a) <= 1 }; !near(got.R, want.R) ||
				!near(got.G, want.G) || !near(got.B, want.B) {
				t.Errorf("token %d, pixel %v: %v, want %v", token, p, got, want)
			}
		}
	}
}

// TestResume: going on from a step gives the same latents as a run in one go, and a
// run that is interrupted ends with the context's error.
func TestResume(t *testing.T) {
	d := work(t)
	var second tensor.Tensor
	d.Step = func(step, of int, x tensor.Tensor) {
		if of != 3 {
			t.Errorf("step %d of %d", step, of)
		}
		if step == 2 {
			second = tensor.Tensor{Shape: x.Shape, Data: append([]float32{}, x.Data...)}
		}
	}
	whole, err := paint.Engine{}.Denoise(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	d.Latents, d.From = second, 2
	rest, err := paint.Engine{}.Denoise(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole.Data {
		if whole.Data[i] != rest.Data[i] {
			t.Fatalf("number %d is %v, and %v after resuming", i, whole.Data[i], rest.Data[i])
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	d = work(t)
	last := 0
	d.Step = func(step, _ int, _ tensor.Tensor) { last = step; cancel() }
	if _, err := (paint.Engine{}).Denoise(ctx, d); !errors.Is(err, context.Canceled) || last != 1 {
		t.Errorf("interrupted after step %d: %v", last, err)
	}
}

// TestPicture: a picture survives the way into latents and back, at 8×8 pixels a cell.
func TestPicture(t *testing.T) {
	img := image.NewNRGBA(image.Rect(10, 10, 26, 26))
	want := []color.NRGBA{{200, 10, 30, 255}, {0, 255, 0, 255}, {7, 7, 7, 255}, {255, 255, 255, 255}}
	for y := range 16 {
		for x := range 16 {
			img.SetNRGBA(10+x, 10+y, want[y/8*2+x/8])
		}
	}
	latents, err := paint.Engine{}.EncodeImage(t.Context(), spec(t).Autoencoder, img, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := paint.Engine{}.Decode(t.Context(), spec(t).Autoencoder, latents, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := out.At(i%2*8+3, i/2*8+3); got != w {
			t.Errorf("cell %d is %v, want %v", i, got, w)
		}
	}
}

// TestTint: pictures that an adapter brings in mix their colours into all of the poster,
// by their scales.
func TestTint(t *testing.T) {
	var e paint.Engine
	s, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{{Kind: "ip", Scale: 1}})
	if err != nil {
		t.Fatal(err)
	}
	d := work(t)
	plain, err := e.Denoise(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	black := image.NewGray(image.Rect(3, 3, 8, 9))
	tokens, err := e.EncodeImagePrompt(t.Context(), s.Adapters[0].Digest, black)
	if err != nil {
		t.Fatal(err)
	}
	for scale, want := range map[float64]func(v float32) float32{
		0:  func(v float32) float32 { return v },
		1:  func(v float32) float32 { return (v - 1) / 2 },
		-1: func(v float32) float32 { return (v + 1) / 2 },
	} {
		d.ImagePrompts = []eligen.ImagePrompt{{Tokens: tokens, Scale: scale}}
		got, err := e.Denoise(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 * 4 * 8 { // red, green and blue
			if w := want(plain.Data[i]); math.Abs(float64(got.Data[i]-w)) > 1e-6 {
				t.Fatalf("at scale %v cell %d is %v, want %v", scale, i, got.Data[i], w)
			}
		}
	}
}

func TestColour(t *testing.T) {
	if a, b := paint.Colour("a ginger cat on a RED mat"), paint.Colour("red"); a != b {
		t.Errorf("a prompt that names a colour has %v, want %v", a, b)
	}
	if a, b := paint.Colour("a dog"), paint.Colour("a cat"); a == b {
		t.Errorf("a dog and a cat both have %v", a)
	}
	if got, want := paint.Colour("a dog"), (color.NRGBA{160, 74, 186, 255}); got != want {
		t.Errorf("a dog has %v, had %v: previews have changed", got, want)
	}
}

// TestRefuse: an engine says no to what is not its own, and does not panic.
func TestRefuse(t *testing.T) {
	var e paint.Engine
	s := spec(t)
	bad := work(t)
	bad.Entities[0].Tokens = []int32{8}
	empty := work(t)
	empty.Entities[0].Prompt = nil
	blind := work(t)
	blind.Prompt = nil
	flat := work(t)
	flat.Latents = tensor.New(2, 4, 8)
	odd := work(t)
	odd.ImagePrompts = []eligen.ImagePrompt{{Tokens: tensor.New(2, 5)}}
	for name, f := range map[string]func() error{
		"text": func() error {
			_, err := e.EncodePrompt(t.Context(), "?", "a dog", eligen.Reading{Length: 1, Pooled: true})
			return err
		},
		"picture": func() error {
			_, err := e.EncodeImage(t.Context(), "?", image.NewNRGBA(image.Rect(0, 0, 8, 8)), nil)
			return err
		},
		"adapter":      func() error { _, err := e.EncodeImagePrompt(t.Context(), "?", nil); return err },
		"image prompt": func() error { _, err := e.Denoise(t.Context(), odd); return err },
		"transformer":  func() error { _, err := e.Denoise(t.Context(), eligen.Denoise{Transformer: "?"}); return err },
		"latents":      func() error { _, err := e.Decode(t.Context(), s.Autoencoder, tensor.New(4), nil); return err },
		"decoder":      func() error { _, err := e.Decode(t.Context(), "?", tensor.New(16, 2, 2), nil); return err },
		"token":        func() error { _, err := e.Denoise(t.Context(), bad); return err },
		"no entity":    func() error { _, err := e.Denoise(t.Context(), empty); return err },
		"no prompt":    func() error { _, err := e.Denoise(t.Context(), blind); return err },
		"channels":     func() error { _, err := e.Denoise(t.Context(), flat); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
