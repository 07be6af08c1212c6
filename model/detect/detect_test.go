package detect

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/text"
	"github.com/eligen/eligen/model/vision"
	"github.com/eligen/eligen/model/weights"
)

func TestIPAdapterIsNamedTensorByTensor(t *testing.T) {
	list := weights.List(modeltest.SmallIP.Weights())
	c := modeltest.RandomCheckpoint(t, list)
	if cfg, err := IPAdapter(c); c.Kind != weights.KindIPAdapter || err != nil || cfg != modeltest.SmallIP {
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
	_, err := IPAdapter(modeltest.RandomCheckpoint(t, list))
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
	c := modeltest.RandomCheckpoint(t, append(weights.List(small.Weights()),
		weights.Weight{Name: "text_model.embeddings.token_embedding.weight", Shape: []int{3, 2}},
		weights.Weight{Name: "logit_scale", Shape: []int{1}}))
	cfg, err := SigLIP(c)
	if c.Kind != weights.KindSigLIP || err != nil || cfg != small {
		t.Errorf("it is taken for %s, %+v, %v", c.Kind, cfg, err)
	}
	if _, err := vision.Detect(c.Shape, 2, 300); err == nil {
		t.Error("27 tokens of 14 pixels fit into 300 pixels")
	}
}

// T5's embedding has two names, and files hold tensors that no encoder reads.
func TestTextEncoderAliases(t *testing.T) {
	rename := func(name string) string {
		return strings.Replace(name, "shared.weight", "encoder.embed_tokens.weight", 1)
	}
	want := text.T5Config{Dim: 16, FF: 24, HeadDim: 8, Heads: 2, Layers: 1, Vocab: 64}
	var list []weights.Weight
	for _, w := range weights.List(want.Weights()) {
		list = append(list, weights.Weight{Name: rename(w.Name), Shape: w.Shape})
	}
	list = append(list, weights.Weight{Name: "decoder.final_layer_norm.weight", Shape: []int{16}})
	path := filepath.Join(t.TempDir(), "t5.safetensors")
	modeltest.WriteRamps(t, path, list...)
	c := modeltest.Open(t, path)
	if cfg, err := T5(c); err != nil || cfg != want {
		t.Errorf("T5 is %+v, %v", cfg, err)
	}
	if !slices.Equal(c.Ignored, []string{"decoder.final_layer_norm.weight"}) {
		t.Errorf("ignored are %v", c.Ignored)
	}
}

// A prefix, bfloat16, shards with an index, and config.json beside the weights.
func TestCheckpointForms(t *testing.T) {
	set := filepath.Join(modeltest.Goldens(t), "models")
	schnell := modeltest.Open(t, filepath.Join(set, "flux1-tiny-schnell.safetensors"))
	if cfg, err := Transformer(schnell); err != nil || cfg.Guidance || cfg.Dim == 0 {
		t.Errorf("schnell: %+v, %v", cfg, err)
	}
	if cfg, err := Transformer(modeltest.Open(t, filepath.Join(set, "transformer"))); err != nil || !cfg.Guidance {
		t.Errorf("transformer: %+v, %v", cfg, err)
	}
	t5 := modeltest.Open(t, filepath.Join(set, "text_encoder_2"))
	if len(t5.Files) < 2 || t5.Kind != weights.KindT5 {
		t.Errorf("text_encoder_2 is %s in %d files", t5.Kind, len(t5.Files))
	}
	if _, err := T5(t5); err != nil {
		t.Error(err)
	}
	clip := modeltest.Open(t, filepath.Join(set, "text_encoder"))
	var want struct {
		Heads int `json:"num_attention_heads"`
	}
	data, err := os.ReadFile(filepath.Join(set, "text_encoder", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if cfg, err := CLIP(clip); err != nil || cfg.Heads != want.Heads {
		t.Errorf("CLIP with %d heads, %v; its config.json says %d", cfg.Heads, err, want.Heads)
	}
}

// A checkpoint may be an archive of PyTorch's, as IP-Adapters are published.
func TestTorchCheckpoint(t *testing.T) {
	dir := filepath.Join(modeltest.Goldens(t), "models")
	want, got := modeltest.Open(t, filepath.Join(dir, "ip-adapter.safetensors")), modeltest.Open(t, filepath.Join(dir, "ip-adapter.bin"))
	if got.Kind != weights.KindIPAdapter {
		t.Errorf("it is taken for %s", got.Kind)
	}
	if _, err := IPAdapter(got); err != nil {
		t.Error(err)
	}
	for _, info := range want.Tensors() {
		if d := modeltest.Differ(modeltest.All(t, want, info.Name), modeltest.All(t, got, info.Name)); d != 0 {
			t.Errorf("%s differs by %g", info.Name, d)
		}
	}
}

// FLUX.1 Kontext [dev] has the tensors of FLUX.1 [dev]: what its file, its repository or its name says tells it.
func TestKontextIsNamed(t *testing.T) {
	c := modeltest.RandomCheckpoint(t, weights.List(modeltest.SmallFlux.Weights()))
	if _, err := Transformer(c); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "x", "transformer")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(filepath.Dir(folder), "model_index.json")
	if err := os.WriteFile(index, []byte(`{"_class_name": "FluxKontextPipeline"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, kontext := range []struct {
		path     string
		metadata map[string]string
		by       string
	}{
		{"/models/flux1-kontext-dev.safetensors", nil, "its name"},
		{"/models/flux1-dev-Kontext_fp8_scaled.safetensors (transformer)", nil, "its name"},
		{"/hub/models--black-forest-labs--FLUX.1-Kontext-dev/snapshots/abc/transformer", nil, "its name"},
		{"/models/mine.safetensors", map[string]string{"modelspec.architecture": "flux-1-kontext-dev"}, "its metadata (modelspec.architecture)"},
		{folder, nil, "the repository's model_index.json"},
	} {
		c.Path, c.Metadata = kontext.path, kontext.metadata
		if _, err := Transformer(c); err == nil || !strings.Contains(err.Error(), "is FLUX.1 Kontext [dev], by "+kontext.by+":") {
			t.Errorf("%s: %v", kontext.path, err)
		}
	}
	c.Path, c.Metadata = "/home/me/kontext-tests/flux1-dev.safetensors", map[string]string{"comment": "not kontext"}
	if _, err := Transformer(c); err != nil {
		t.Errorf("a folder's name alone: %v", err)
	}
}
