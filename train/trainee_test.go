package train_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/train"
)

// A model grows training by training: autoencoder, base, LoRA, classifier. What
// each leaves is a whole folder that the next one starts from.
func TestTraineeGrows(t *testing.T) {
	t.Setenv("ELIGEN_NANO_DIR", "")
	first := filepath.Join(t.TempDir(), "first")
	words := []string{"a", "and", "dog", "cat", "on", "grass"}
	fresh, err := train.NewTrainee(words)
	if err != nil {
		t.Fatal(err)
	}
	start, err := fresh.Start()
	if err != nil {
		t.Fatal(err)
	}
	if start.Autoencoder != nil || start.Model != nil {
		t.Error("a new model has weights")
	}
	if ids := start.Text.T5("a dog and a cat", 8); len(ids) != 8 || ids[5] != 1 {
		t.Errorf("five words are %v, want five pieces and the end marker", ids)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	made := func(params []train.Param) map[string]tensor.Tensor {
		out := map[string]tensor.Tensor{}
		for _, p := range params {
			out[p.Name] = tensor.Tensor{Shape: p.Shape, Data: train.Initial(rng, p.Name, p.Shape)}
		}
		return out
	}
	ae := map[string]tensor.Tensor{}
	for _, w := range start.VAE.Weights() {
		ae[w.Name] = tensor.New(w.Shape...)
	}
	if err := fresh.Take("autoencoder", ae, &train.Quality{Mean: 0.25, Sigma: 2}, nil); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Write(first); err != nil {
		t.Fatal(err)
	}
	second, err := train.OpenTrainee(first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if start, err = second.Start(); err != nil {
		t.Fatal(err)
	}
	if start.VAE.Scale != 0.5 || start.VAE.Shift != 0.25 || len(start.Autoencoder) != len(ae) || start.Model != nil {
		t.Errorf("after the autoencoder: scale %v, shift %v, %d tensors", start.VAE.Scale, start.VAE.Shift, len(start.Autoencoder))
	}
	base := made(train.Model{Flux: start.Flux, T5: start.T5, CLIP: start.CLIP}.Params())
	lora := map[string]tensor.Tensor{}
	for name, w := range base {
		if a, b, ok := train.LoRANames(name); ok {
			lora[a], lora[b] = tensor.New(4, w.Shape[1]), tensor.New(w.Shape[0], 4)
		}
	}
	if start.Vision.Dim != 96 || start.IP.ImageDim != 96 || start.IP.Fits(start.Flux) != nil {
		t.Errorf("sizes of the image side to begin with: %+v, %+v", start.Vision, start.IP)
	}
	tower, ip := map[string]tensor.Tensor{}, map[string]tensor.Tensor{}
	for _, w := range start.Vision.Weights() {
		tower["vision."+w.Name] = tensor.New(w.Shape...)
	}
	for _, w := range start.IP.Weights() {
		ip["ip."+w.Name] = tensor.New(w.Shape...)
	}
	if second.Manifest.Vision != nil {
		t.Error("a model without a vision tower says what it is like")
	}
	for kind, w := range map[string]map[string]tensor.Tensor{"base": base, "eligen": lora, "vision": tower, "in-context": lora} {
		if err := second.Take(kind, w, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Take("judge", map[string]tensor.Tensor{"head.bias": tensor.New(3)}, nil, []string{"dog", "cat"}); err != nil {
		t.Fatal(err)
	}
	// A tower without an adapter is a model, too.
	seeing := filepath.Join(t.TempDir(), "seeing")
	if err := second.Write(seeing); err != nil {
		t.Fatal(err)
	}
	if second, err = train.OpenTrainee(seeing, nil); err != nil {
		t.Fatal(err)
	}
	if err := second.Take("ip", ip, nil, nil); err != nil {
		t.Fatal(err)
	}
	maps.Copy(ip, tower)
	whole := filepath.Join(t.TempDir(), "whole")
	if err := second.Write(whole); err != nil {
		t.Fatal(err)
	}
	third, err := train.OpenTrainee(whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	if classes, w := third.Judge(train.JudgeFile); !slices.Equal(classes, []string{"dog", "cat"}) || len(w) != 1 {
		t.Errorf("the classifier came back with %v and %d tensors", classes, len(w))
	}
	if start, err = third.Start(); err != nil || len(start.Model) != len(base)+2*len(lora)+len(ip) {
		t.Errorf("the model came back with %d tensors, want %d (%v)", len(start.Model), len(base)+2*len(lora)+len(ip), err)
	}
	for name := range ip {
		if _, ok := start.Model[name]; !ok {
			t.Fatalf("%s did not come back", name)
		}
	}
	if m := third.Manifest; m.Vision == nil || *m.Vision != start.Vision || m.IP == nil || *m.IP != start.IP {
		t.Errorf("the manifest does not say the image side's sizes: %+v, %+v", m.Vision, m.IP)
	}
	// And it is a model that the engine takes.
	e, err := engine.New(engine.Options{Backend: "go", Embedded: whole})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	spec, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{{Kind: "lora", Scale: 1, Alpha: "file"}})
	if err != nil || spec.Transformer == "" || len(spec.Adapters) != 1 || !spec.CleanSource {
		t.Errorf("the engine's spec of it: %+v, %v", spec, err)
	}
}

func TestOpenTraineeRefuses(t *testing.T) {
	empty := t.TempDir()
	if _, err := train.OpenTrainee(empty, nil); err == nil || !strings.Contains(err.Error(), "holds no model") {
		t.Errorf("an empty folder: %v", err)
	}
	trainee, err := train.NewTrainee([]string{"a", "dog"})
	if err != nil {
		t.Fatal(err)
	}
	if err := trainee.Write(empty); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(empty, nano.AutoencoderFile), []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := train.OpenTrainee(empty, nil); err == nil || !strings.Contains(err.Error(), filepath.Join(empty, nano.AutoencoderFile)) {
		t.Errorf("a damaged file: %v", err)
	}
	if err := trainee.Take("ip", map[string]tensor.Tensor{"ip.a": {}, "vision.b": {}}, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "weight vision.b") {
		t.Errorf("a weight of another part: %v", err)
	}
	if err := trainee.Take("sculpture", nil, nil, nil); err == nil {
		t.Error("a sculpture was taken")
	}
}
