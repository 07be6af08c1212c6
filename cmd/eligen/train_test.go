package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	system "runtime"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	modelengine "github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vae"
	"github.com/eligen/eligen/train"
)

// tinyModel writes a model in nano's layout, of random numbers, small enough to be
// trained in a test.
func tinyModel(t *testing.T) string {
	t.Helper()
	m, err := train.NewTrainee([]string{"a", "red", "blue", "square", "on", "grey"})
	if err != nil {
		t.Fatal(err)
	}
	man := &m.Manifest
	man.T5 = text.T5Config{Dim: 16, FF: 16, HeadDim: 8, Heads: 1, Layers: 1, Vocab: man.T5.Vocab}
	man.CLIP = text.CLIPConfig{Dim: 16, FF: 16, Heads: 1, Layers: 1, Vocab: man.CLIP.Vocab, Positions: 8}
	man.Transformer = flux.Config{Dim: 16, Heads: 1, Axes: [3]int{4, 6, 6}, Double: 1, Single: 1, TextDim: 16, PooledDim: 16, MLPRatio: 4,
		LatentChannels: 16}
	man.Autoencoder = vae.Config{Ch: 2, Mult: []int{1, 1, 1, 1}, ResBlocks: 1, Groups: 1, Z: 16, Scale: 1}
	man.TextLength, man.EntityTextLength = 6, 4
	rng := rand.New(rand.NewPCG(1, 1))
	made := func(params []train.Param) map[string]tensor.Tensor {
		out := map[string]tensor.Tensor{}
		for _, p := range params {
			out[p.Name] = tensor.Tensor{Shape: p.Shape, Data: train.Initial(rng, p.Name, p.Shape)}
		}
		return out
	}
	var ae []train.Param
	for _, w := range man.Autoencoder.Weights() {
		ae = append(ae, train.Param{Name: w.Name, Shape: w.Shape})
	}
	for kind, params := range map[string][]train.Param{
		"autoencoder": ae, "base": train.Model{Flux: man.Transformer, T5: man.T5, CLIP: man.CLIP}.Params(),
	} {
		if err := m.Take(kind, made(params), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ownFolder writes a dataset as somebody would who has never heard of eligen: what the
// reference trainer reads, and no more.
func ownFolder(t *testing.T, dir string) {
	t.Helper()
	draw := func(name string, c func(x, y int) color.Color) {
		img := image.NewRGBA(image.Rect(0, 0, 48, 40))
		for y := range 40 {
			for x := range 48 {
				img.Set(x, y, c(x, y))
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var items []map[string]any
	for i, c := range []color.RGBA{{200, 40, 40, 255}, {40, 40, 200, 255}} {
		in := image.Rect(8+16*i, 8, 24+16*i, 24)
		inside := func(yes, no color.Color) func(x, y int) color.Color {
			return func(x, y int) color.Color {
				if image.Pt(x, y).In(in) {
					return yes
				}
				return no
			}
		}
		what := []string{"a red square", "a blue square"}[i]
		draw(fmt.Sprintf("%d.png", i), inside(c, color.Gray{128}))
		draw(fmt.Sprintf("%d-mask.png", i), inside(color.White, color.Black))
		items = append(items, map[string]any{
			"image": fmt.Sprintf("%d.png", i), "prompt": what + " on grey",
			"eligen_entity_prompts": []string{what}, "eligen_entity_masks": []string{fmt.Sprintf("%d-mask.png", i)},
		})
	}
	data, err := json.MarshalIndent(items, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// EliGen's LoRA is trained on a folder of one's own, and written for other programs; a
// mistake in the folder is said with its line, before anything is trained.
func TestTrainOnAFolder(t *testing.T) {
	tiny, dir := tinyModel(t), t.TempDir()
	t.Setenv("ELIGEN_CACHE_DIR", filepath.Join(dir, "cache"))
	folder := filepath.Join(dir, "folder")
	ownFolder(t, folder)
	recipe := filepath.Join(dir, "own.hcl")
	write := func(path, data string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(recipe, `recipe "eligen" {
  dataset = "./folder"
  size    = [32, 32]
  train   = lora(2)
  steps   = 2
  batch   = 2
  regions = 1
  every   = 2
  optimizer "adamw" {
    learning_rate = 1e-2
  }
}
`)
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		root := newRoot()
		root.SilenceErrors, root.SilenceUsage = true, true
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("train", "--backend", "go", "--model", tiny, "--out", filepath.Join(dir, "training"), "--format", "kohya", recipe)
	if err != nil {
		t.Fatal(err, out)
	}
	kohya := filepath.Join(dir, "training", "eligen-kohya.safetensors")
	if !strings.HasSuffix(out, kohya+"\n") {
		t.Errorf("the LoRA's file is not named at the end:\n%s", out)
	}
	card, err := os.ReadFile(filepath.Join(dir, "training", "README.md"))
	if err != nil || !strings.Contains(string(card), `source = "./eligen-kohya.safetensors"`) {
		t.Errorf("the model card: %v\n%s", err, card)
	}
	if out, err := run("models", "inspect", kohya); err != nil || !strings.Contains(out, "kohya LoRA, rank 2") {
		t.Errorf("%v\n%s", err, out)
	}
	// A second training in the folder of one that is at work is refused.
	busy := filepath.Join(dir, "busy")
	free, ok, err := files.Claim(busy)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := run("train", "--backend", "go", "--model", tiny, "--out", busy, recipe); err == nil ||
		!strings.Contains(err.Error(), "another training is at work in "+busy) {
		if system.GOOS != "windows" { // files can't be locked there
			t.Errorf("two trainings in one folder: %v", err)
		}
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	// The model that was trained takes it as its own.
	e, err := modelengine.New(modelengine.Options{Backend: "go", Embedded: filepath.Join(dir, "training", "model")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{{Kind: "lora", Scale: 1, Path: kohya},
		{Kind: "lora", Name: "eligen", Scale: 1}}); err != nil {
		t.Error(err)
	}

	list := filepath.Join(folder, "metadata.json")
	good, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"1-mask.png", "2-mask.png", "metadata.json:12: item 1: mask of entity 0: there is no file 2-mask.png"},
		{`"prompt": "a blue`, `"promt": "a blue`, "metadata.json:12: item 1: there is no prompt"},
		{"\"1-mask.png\"\n", "\"1-mask.png\",\n\"0-mask.png\"\n", "metadata.json:12: item 1: 1 entity prompts but 2 entity masks"},
	} {
		bad := strings.Replace(string(good), c.from, c.to, 1)
		if bad == string(good) {
			t.Fatalf("%q is not in\n%s", c.from, good)
		}
		write(list, bad)
		other := filepath.Join(dir, "other")
		if _, err := run("train", "--backend", "go", "--model", tiny, "--out", other, recipe); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\ndoes not say %q", err, c.want)
		}
		if _, err := os.Stat(other); err == nil {
			t.Errorf("a training was begun in %s", other)
		}
	}

	for _, c := range []struct {
		want string
		args []string
	}{
		{"--smoke keeps nothing", []string{"--smoke", "--format", "kohya"}},
		{"native, kohya or diffusers", []string{"--format", "ckpt"}},
	} {
		if _, err := run(append([]string{"train", recipe}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}
