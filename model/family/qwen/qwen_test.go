package qwen_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/qwen"
	"github.com/eligen/eligen/model/text"
)

// The model of these tests has random weights, drawn from a seed: it draws nothing that anybody would
// recognise, by every path that Qwen-Image's own weights take.
var (
	dit   = qwen.Config{Dim: 32, Heads: 2, Axes: [3]int{4, 6, 6}, Layers: 2, TextDim: 24, MLPRatio: 4, LatentChannels: 16}
	coder = func() qwen.CoderConfig { c := qwen.ImageCoder; c.Base = 4; return c }()
	words = text.QwenConfig{Dim: 24, FF: 40, Heads: 3, KVHeads: 1, Layers: 2, Vocab: 320, Theta: 1e6, Epsilon: 1e-6}
)

type weight = struct {
	Name  string
	Shape []int
}

// write writes weights as a folder of diffusers has them.
func write(t *testing.T, file string, seed uint64, list []weight, config map[string]any) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var named []tensor.Named
	for _, w := range list {
		x := tensor.New(w.Shape...)
		fan := 1
		for _, d := range w.Shape[1:] {
			fan *= d
		}
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(fan)))
			if len(w.Shape) == 1 || strings.HasSuffix(w.Name, "gamma") {
				x.Data[i] = 1 + x.Data[i]/10
			}
		}
		named = append(named, tensor.Named{Name: w.Name, Tensor: x})
	}
	var b bytes.Buffer
	if err := tensor.Write(&b, nil, named...); err != nil {
		t.Fatal(err)
	}
	save(t, file, b.Bytes())
	if config != nil {
		data, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(filepath.Dir(file), "config.json"), data)
	}
}

func save(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeModel writes a whole model, with a tokenizer of bytes and few merges.
func writeModel(t *testing.T, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "transformer", "diffusion_pytorch_model.safetensors"), 1, dit.Weights(), map[string]any{
		"axes_dims_rope": dit.Axes})
	write(t, filepath.Join(dir, "text_encoder", "model.safetensors"), 2, words.Weights(), map[string]any{
		"num_attention_heads": words.Heads, "num_key_value_heads": words.KVHeads, "rope_theta": words.Theta})
	write(t, filepath.Join(dir, "vae", "diffusion_pytorch_model.safetensors"), 3, coder.Weights(), nil)
	vocab, id := map[string]int{}, 0
	for _, from := range [][2]rune{{'!', '~'}, {0xa1, 0xac}, {0xae, 0xff}, {0x100, 0x143}} {
		for r := from[0]; r <= from[1]; r++ {
			vocab[string(r)] = id
			id++
		}
	}
	vocab["he"] = id
	data, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "tokenizer", "vocab.json"), data)
	save(t, filepath.Join(dir, "tokenizer", "merges.txt"), []byte("#version: 0.2\nh e\n"))
	save(t, filepath.Join(dir, "tokenizer", "added_tokens.json"), fmt.Appendf(nil, `{"<|im_start|>": %d, "<|im_end|>": %d}`, id+1, id+2))
}

type studio struct {
	*app.App
	folder string
}

func open(t *testing.T) studio {
	t.Helper()
	s := studio{folder: t.TempDir()}
	writeModel(t, filepath.Join(s.folder, "weights"))
	t.Setenv("ELIGEN_CACHE_DIR", t.TempDir())
	s.App = app.New(app.Options{Folder: t.TempDir(), Families: families.All})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const model = `model "qwen" "tiny" {
  source = "./weights"
}
`

// plan plans a scene that is on no disk.
func (s studio) plan(t *testing.T, text string) (*app.Plan, eligen.Diagnostics, error) {
	t.Helper()
	path := filepath.Join(s.folder, "scene.hcl")
	return s.Plan(t.Context(), app.PlanRequest{
		Input:  app.Input{Path: path, Unsaved: map[string][]byte{path: []byte(text)}},
		Engine: "model", Backend: "go",
	})
}

// apply makes a scene's pictures, and returns them, and how many stages ran.
func (s studio) apply(t *testing.T, text string) (pictures []*image.NRGBA, ran int) {
	t.Helper()
	p, _, err := s.plan(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Apply(t.Context(), p, app.Run{Events: func(e eligen.Event) {
		if e.Type == eligen.Started {
			ran++
		}
	}}); err != nil {
		t.Fatal(err)
	}
	for _, o := range p.Outputs {
		data, err := os.ReadFile(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		straight := image.NewNRGBA(img.Bounds())
		draw.Draw(straight, straight.Rect, img, image.Point{}, draw.Src)
		pictures = append(pictures, straight)
	}
	return pictures, ran
}

// park returns a scene with two entities and lines of the render's own.
func park(hat, lines string) string {
	return model + `
render "park" {
  prompt   = "a park"
  model    = model.qwen.tiny
  adapters = []
  size     = [96, 64]
` + lines + `
  sampler {
    steps = 3
  }
}

entity "hat" {
  prompt = "` + hat + `"
  box    = xywh(0, 0, 0.4, 1)
}

entity "moon" {
  prompt   = "the moon, with words enough for a longer text"
  box      = xywh(0.5, 0, 0.5, 0.7)
  strength = 1.5
}
`
}

func equal(a, b *image.NRGBA) bool { return bytes.Equal(a.Pix, b.Pix) }

// TestApply goes from a scene's text to a picture: every prompt and region is in it, and nothing is made
// twice.
func TestApply(t *testing.T) {
	s := open(t)
	first, ran := s.apply(t, park("a hat", ""))
	if b := first[0].Rect; b != image.Rect(0, 0, 96, 64) || ran != 8 {
		t.Errorf("a picture of %v, after %d stages", b, ran)
	}
	if again, ran := s.apply(t, park("a hat", "")); ran > 0 || !equal(again[0], first[0]) {
		t.Errorf("%d stages ran again", ran)
	}
	if other, ran := s.apply(t, park("a cap", "")); ran != 4 || equal(other[0], first[0]) {
		t.Errorf("another prompt of an entity: %d stages ran, or nothing changed", ran)
	}
	if other, _ := s.apply(t, park("a hat", `  negative = "dull"`)); equal(other[0], first[0]) {
		t.Error("a negative prompt changes nothing")
	}
	both := strings.Replace(park("a hat", ""), "steps = 3", "steps = 3\n    negative_entities = true", 1)
	if other, _ := s.apply(t, both); equal(other[0], first[0]) {
		t.Error("entities on the negative side change nothing")
	}
	plain := strings.Replace(park("a hat", ""), `source = "./weights"`, "source = \"./weights\"\n  dtype = \"int8\"", 1)
	if other, _ := s.apply(t, plain); equal(other[0], first[0]) {
		t.Error("weights in int8 give the same bits")
	}
}

// TestAdapter: a LoRA in the spelling that EliGen's trainer writes acts, and one for FLUX.1 is refused.
func TestAdapter(t *testing.T) {
	s := open(t)
	factors := func(module string) []weight {
		return []weight{{Name: module + ".lora_A.default.weight", Shape: []int{2, dit.Dim}},
			{Name: module + ".lora_B.default.weight", Shape: []int{dit.Dim, 2}}}
	}
	write(t, filepath.Join(s.folder, "eligen.safetensors"), 4, factors("transformer_blocks.1.attn.to_q"), nil)
	write(t, filepath.Join(s.folder, "flux.safetensors"), 5, factors("double_blocks.0.img_attn.proj"), nil)
	scene := func(file string) string {
		return strings.Replace(park("a hat", ""), "adapters = []", "adapters = [adapter.lora.x]", 1) +
			"adapter \"lora\" \"x\" {\n  source = \"./" + file + "\"\n}\n"
	}
	without, _ := s.apply(t, park("a hat", ""))
	if with, _ := s.apply(t, scene("eligen.safetensors")); equal(with[0], without[0]) {
		t.Error("the LoRA changes nothing")
	}
	if _, _, err := s.plan(t, scene("flux.safetensors")); err == nil || !strings.Contains(err.Error(), "another model, FLUX") {
		t.Errorf("a LoRA for FLUX.1: %v", err)
	}
}

// TestClip: a thing moves over a background that stays, to the last bit.
func TestClip(t *testing.T) {
	s := open(t)
	frames, _ := s.apply(t, model+`
render "walk" {
  prompt   = "a park"
  model    = model.qwen.tiny
  adapters = []
  size     = [96, 64]
  timeline = timeline.walk

  background {
    lock = true
  }

  sampler {
    steps = 3
  }

  output {
    path = "out/walk-%d.png"
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0, 0, 0.25, 0.5)
}

timeline "walk" {
  frames = 2
  fps    = 2

  track {
    target = entity.dog.box
    keys = [
      { at = 0, value = xywh(0, 0, 0.25, 0.5) },
      { at = 1, value = xywh(0.25, 0, 0.25, 0.5) },
    ]
  }
}
`)
	if len(frames) != 2 || equal(frames[0], frames[1]) {
		t.Fatalf("%d frames, or a dog that stands still", len(frames))
	}
	kept := image.Rect(64, 0, 96, 64)
	for y := kept.Min.Y; y < kept.Max.Y; y++ {
		for x := kept.Min.X; x < kept.Max.X; x++ {
			if frames[0].NRGBAAt(x, y) != frames[1].NRGBAAt(x, y) {
				t.Fatalf("pixel (%d, %d) of the locked background changes", x, y)
			}
		}
	}
}

// TestRefused: what Qwen-Image doesn't have is refused at its line.
func TestRefused(t *testing.T) {
	s := open(t)
	for name, c := range map[string]struct{ lines, want string }{
		"one step":          {"steps = 1", "2 steps or more"},
		"embedded guidance": {"steps = 3\n    guidance = 3", "no guidance embedding"},
		"a step cache":      {"steps = 3\n    tea_cache = 0.3", "no step cache"},
	} {
		_, _, err := s.plan(t, strings.Replace(park("a hat", ""), "steps = 3", c.lines, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
	other := filepath.Join(s.folder, "weights", "vae", "diffusion_pytorch_model.safetensors")
	write(t, other, 3, []weight{{Name: "encoder.conv_in.weight", Shape: []int{2, 3, 3, 3}},
		{Name: "decoder.conv_in.weight", Shape: []int{2, 4, 3, 3}}}, nil)
	if _, _, err := s.plan(t, park("a hat", "")); err == nil || !strings.Contains(err.Error(), "should be the autoencoder of Qwen-Image") {
		t.Errorf("FLUX.1's autoencoder: %v", err)
	}
}
