package train_test

import (
	"image"
	"image/color"
	"image/draw"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/train"
)

// styled returns sample i, every second one in a style of its own: its colours are dark.
func styled(i int) annotated.Sample {
	s := annotated.Sample{Name: "styled", Image: image.NewNRGBA(image.Rect(0, 0, 32, 32)), Prompt: "a", Background: "b",
		Style: annotated.DefaultStyle}
	c := color.NRGBA{200, 220, 240, 255}
	if i%2 == 1 {
		s.Style, c = "dark", color.NRGBA{20, 30, 40, 255}
		s.Prompt, s.Background = "dark, a", "dark, b"
	}
	draw.Draw(s.Image, s.Image.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	s.Entities = []annotated.Entity{{Class: "square", Prompt: "square", Region: eligen.Box(0.5, 0.5, 1, 1)}}
	return s
}

var tower = vision.Config{Dim: 8, FF: 8, Heads: 2, Layers: 1, Patch: 8, Side: 2, Size: 16}

// see gives a model a vision tower of random numbers.
func see(m train.Model) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, w := range tower.Weights() {
		x := tensor.New(w.Shape...)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64() / 4)
		}
		m.Weights["vision."+w.Name] = x
	}
}

func TestIP(t *testing.T) {
	m, _ := tiny(t)
	ip := flux.IPConfig{ImageDim: 8, Hidden: 8, Tokens: 2, TokenDim: 8, Dim: 16, Blocks: 2}
	r := eligen.Recipe{
		Name: "ip", Kind: "ip", Size: eligen.Size{W: 32, H: 32}, Steps: 6, Batch: 4, Regions: 1, Every: 6,
		Styles: map[string]float64{"dark": 0.5}, Optimizer: eligen.Optimizer{Rate: 1e-2},
	}
	dir := t.TempDir()
	exported := map[string]tensor.Tensor{}
	samples := func(i int) (annotated.Sample, error) { return styled(i), nil }
	job := train.Job{
		Recipe: r, Backend: backend(t), Dir: dir,
		Samples: func(eligen.Size, bool) (annotated.Samples, error) { return samples, nil },
		Start: train.Start{VAE: m.VAE, Autoencoder: m.Autoencoder, Model: m.Weights, Flux: m.Flux, T5: m.T5, CLIP: m.CLIP,
			Text: m.Text, Vision: tower, IP: ip},
		Export: func(w map[string]tensor.Tensor) error { exported = w; return nil },
	}
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "recipes/vision.hcl") {
		t.Fatalf("without a tower: error %v", err)
	}
	see(m)
	if err := train.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	// The adapter is trained, and nothing else.
	if want := len(ip.Weights()); len(exported) != want {
		t.Errorf("%d tensors are trained, want %d", len(exported), want)
	}
	for _, name := range slices.Sorted(maps.Keys(exported)) {
		if !strings.HasPrefix(name, "ip.") {
			t.Errorf("%s is trained", name)
		}
	}
	// Values start at zero, so that the adapter begins as if it weren't there.
	moved := false
	for _, v := range exported["ip.ip_adapter.0.to_v_ip.weight"].Data {
		moved = moved || v != 0
	}
	if !moved {
		t.Error("the values of the first block are as they started")
	}
	if sheets, _ := filepath.Glob(filepath.Join(dir, "sheet-*.png")); len(sheets) != 1 {
		t.Errorf("sheets %v", sheets)
	}
	job.Recipe.Styles = nil
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "Set \"styles\"") {
		t.Errorf("without styles: error %v", err)
	}
}

// What an adapter learns from words has no noise: its loss begins at what the words change,
// far below that of pictures.
func TestIPWords(t *testing.T) {
	m, _ := tiny(t)
	m.Vision = tower
	see(m)
	m.IP = flux.IPConfig{ImageDim: 8, Hidden: 8, Tokens: 2, TokenDim: 8, Dim: 16, Blocks: 2}
	first := func(style string, words float64) (loss float64) {
		samples := func(i int) (annotated.Sample, error) {
			s := styled(i)
			if s.Style != annotated.DefaultStyle {
				s.Style = style
			}
			return s, nil
		}
		r := eligen.Recipe{Name: "ip", Kind: "ip", Size: eligen.Size{W: 32, H: 32}, Steps: 1, Batch: 8, Regions: 1, Every: 1,
			Words: words, Styles: map[string]float64{style: 0.5}, Optimizer: eligen.Optimizer{Rate: 1e-2}}
		task, err := train.IP(backend(t), m, r, train.Pictures{Samples: samples, N: 1, Cache: filepath.Join(t.TempDir(), "latents")})
		if err != nil {
			t.Fatal(err)
		}
		if err := train.Run(t.Context(), task, train.Options{Recipe: r, Backend: backend(t), Dir: t.TempDir(),
			Report: func(s train.Status) { loss = max(loss, s.Loss) }}); err != nil {
			t.Fatal(err)
		}
		return loss
	}
	if loss := first("dark", 0); loss < 0.1 {
		t.Errorf("the loss of pictures is %v", loss)
	}
	if loss := first("dark", 1); loss < 1e-9 || loss > 0.1 {
		t.Errorf("the loss of words is %v", loss)
	}
}

// Every sample is shown a picture of its own style, and some are shown none.
func TestIPBatch(t *testing.T) {
	m, _ := tiny(t)
	m.Vision = tower
	see(m)
	m.IP = flux.IPConfig{ImageDim: 8, Hidden: 8, Tokens: 2, TokenDim: 8, Dim: 16, Blocks: 2}
	r := eligen.Recipe{Size: eligen.Size{W: 32, H: 32}, Batch: 64, Regions: 1, Styles: map[string]float64{"dark": 0.5}}
	samples := func(i int) (annotated.Sample, error) { return styled(i), nil }
	task, err := train.IP(backend(t), m, r, train.Pictures{Samples: samples, N: 1, Cache: filepath.Join(t.TempDir(), "latents")})
	if err != nil {
		t.Fatal(err)
	}
	in, err := task.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	latents, pixels, shown := tensors.MustCopyFlatData[float32](in[0]), tensors.MustCopyFlatData[float32](in[13]),
		tensors.MustCopyFlatData[float32](in[14])
	n, side := len(latents)/r.Batch, 3*m.Vision.Size*m.Vision.Size
	// Flat pictures have equal latents: those of a dark sample tell which are dark.
	dark, bare := map[bool]float32{}, 0
	for b := range r.Batch {
		isDark := pixels[b*side] < 0
		if v, ok := dark[isDark]; ok && v != latents[b*n] {
			t.Fatalf("sample %d is shown a picture of another style", b)
		}
		dark[isDark] = latents[b*n]
		if shown[b] == 0 {
			bare++
			if isDark {
				t.Errorf("sample %d is dark, and nothing says so", b)
			}
		}
	}
	// The captions that say the style are those that don't, with its name in front.
	prompt, said := tensors.MustCopyFlatData[int32](in[8]), tensors.MustCopyFlatData[int32](in[16])
	for b := range r.Batch {
		isDark := pixels[b*side] < 0
		plain, words := prompt[b*m.Text.Length:][:m.Text.Length], said[b*m.Text.Length:][:m.Text.Length]
		if isDark && !slices.Equal(words, m.Text.T5("dark, a", m.Text.Length)) || !isDark && !slices.Equal(words, plain) ||
			slices.Equal(plain, m.Text.T5("dark, a", m.Text.Length)) {
			t.Errorf("sample %d, dark: %t, has the prompt %v, and %v with the style", b, isDark, plain, words)
		}
	}
	if len(dark) != 2 || bare == 0 || bare > r.Batch/2 {
		t.Errorf("%d styles in a batch, %d samples without a picture", len(dark), bare)
	}
}

// A base with image prompts learns together with its adapter: a picture shows the style of
// some samples, a caption says that of the others, and only the first meet the adapter.
func TestImagePrompts(t *testing.T) {
	m, _ := tiny(t)
	ip := flux.IPConfig{ImageDim: 8, Hidden: 8, Tokens: 2, TokenDim: 8, Dim: 16, Blocks: 2}
	r := eligen.Recipe{
		Name: "base", Kind: "base", Size: eligen.Size{W: 32, H: 32}, Steps: 2, Batch: 32, Regions: 1, Every: 2,
		ImagePrompts: 0.5, Styles: map[string]float64{"dark": 0.5}, Optimizer: eligen.Optimizer{Rate: 1e-2},
	}
	dir := t.TempDir()
	var exported map[string]tensor.Tensor
	samples := func(i int) (annotated.Sample, error) { return styled(i), nil }
	job := train.Job{
		Recipe: r, Backend: backend(t), Dir: filepath.Join(dir, "base"),
		Samples: func(eligen.Size, bool) (annotated.Samples, error) { return samples, nil },
		Panels: func(eligen.Size, bool) (annotated.Samples, error) {
			return func(i int) (annotated.Sample, error) { return twins(i, 32, 32), nil }, nil
		},
		Start: train.Start{VAE: m.VAE, Autoencoder: m.Autoencoder, Model: m.Weights, Flux: m.Flux, T5: m.T5, CLIP: m.CLIP,
			Text: m.Text, Vision: tower, IP: ip},
		Export: func(w map[string]tensor.Tensor) error { exported = w; return nil },
	}
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), "recipes/vision.hcl") {
		t.Fatalf("without a tower: error %v", err)
	}
	see(m)
	if err := train.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if want := len(m.Params()) + len(ip.Weights()); len(exported) != want {
		t.Errorf("%d tensors are trained, want %d", len(exported), want)
	}
	moved := func(name string) bool {
		w, ok := exported[name]
		if !ok {
			t.Fatalf("%s is not trained", name)
		}
		return slices.ContainsFunc(w.Data, func(x float32) bool { return x != 0 })
	}
	const values = "ip.ip_adapter.0.to_v_ip.weight" // which start at zero
	if !moved(values) {
		t.Error("the adapter's values are as they started")
	}

	m.Vision, m.IP = tower, ip
	task, err := train.Flow(backend(t), m, r, train.Pictures{Samples: samples, N: 1, Cache: filepath.Join(dir, "latents")}, train.Pictures{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := task.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	latents, prompt := tensors.MustCopyFlatData[float32](in[0]), tensors.MustCopyFlatData[int32](in[8])
	pixels, shown, felt := tensors.MustCopyFlatData[float32](in[13]), tensors.MustCopyFlatData[float32](in[14]),
		tensors.MustCopyFlatData[float32](in[15])
	n, side := len(latents)/r.Batch, 3*tower.Size*tower.Size
	says := func(b int, s string) bool {
		return slices.Equal(prompt[b*m.Text.Length:][:m.Text.Length], m.Text.T5(s, m.Text.Length))
	}
	saidDark := map[float32]bool{} // by the latents of its picture
	count := map[string]int{}
	for b := range r.Batch {
		switch light := latents[b*n]; {
		case felt[b] == 0:
			count["said"]++
			saidDark[light] = says(b, "dark, a")
			if shown[b] != 0 {
				t.Errorf("sample %d is shown a picture that nothing sees", b)
			}
		case says(b, "dark, a"):
			t.Errorf("sample %d is shown its style, and its caption says it, too", b)
		case shown[b] == 1:
			count["shown"]++
		}
	}
	for b := range r.Batch {
		if shown[b] == 1 && (pixels[b*side] < 0) != saidDark[latents[b*n]] {
			t.Errorf("sample %d is shown a picture of another style", b)
		}
	}
	if count["said"] == 0 || count["shown"] == 0 || len(saidDark) != 2 {
		t.Errorf("of %d samples, %v", r.Batch, count)
	}

	// Pairs have no use for the adapter: it stays as it is.
	job.Recipe.Pairs, job.Dir = 1, filepath.Join(dir, "pairs")
	if err := train.Do(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if moved(values) || !moved("dit.img_in.weight") {
		t.Error("steps of pairs moved the adapter, or nothing")
	}
	job.Recipe.Kind, job.Recipe.Rank = "eligen", 2
	if err := train.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), `"image_prompts" is for`) {
		t.Errorf("another training: error %v", err)
	}
}

// A tower that sees light and dark tells them apart; one that is asked with the wrong names, never.
func TestStyleAccuracy(t *testing.T) {
	m, _ := tiny(t)
	see(m)
	picture := func(swap bool) func(style string, i int) (annotated.Sample, error) {
		return func(style string, i int) (annotated.Sample, error) {
			if (style == "dark") != swap {
				return styled(1), nil
			}
			return styled(0), nil
		}
	}
	for swap, want := range map[bool]float64{false: 1, true: 0} {
		got, err := train.StyleAccuracy(backend(t), tower, m.Weights, []string{annotated.DefaultStyle, "dark"}, 3, picture(false), picture(swap))
		if err != nil || got != want {
			t.Errorf("swapped %t: accuracy %v, %v; want %v", swap, got, err, want)
		}
	}
}
