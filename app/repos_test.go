package app

import (
	"slices"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/model/families"
)

// What `models pull` fetches of a repository is what a scene needs that names it so, and opens by the same path.
func TestPulledIsWhatScenesNeed(t *testing.T) {
	sharded := []string{"README.md", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
		"model.safetensors.index.json", "pytorch_model.bin"}
	encoder := []string{"README.md", "config.json", "model.safetensors", "tokenizer.json"}
	folders := []string{"text_encoder_2/config.json", "text_encoder_2/model-00001-of-00002.safetensors",
		"text_encoder_2/model-00002-of-00002.safetensors", "text_encoder_2/model.safetensors.index.json", "vae/ae.safetensors"}
	a := New(Options{Families: families.All, Env: func(string) (string, bool) { return "", false }})
	defer a.Close()
	for _, c := range []struct {
		names      []string
		file, part string
	}{
		{sharded, "", eligen.PartT5},
		{sharded, "model.safetensors.index.json", eligen.PartT5},
		{encoder, "", eligen.PartCLIP},
		{encoder, "", eligen.PartVision},
		{encoder, "model.safetensors", eligen.PartCLIP},
		{folders, "text_encoder_2", eligen.PartT5},
		{folders, "text_encoder_2/model.safetensors.index.json", eligen.PartT5},
		{folders, "vae", eligen.PartVAE},
		{[]string{"style.ckpt"}, "", eligen.PartLoRA},
		{[]string{"STYLE.SAFETENSORS", "LICENSE"}, "", eligen.PartLoRA},
		{[]string{"adapter_config.json", "adapter_model.safetensors"}, "", eligen.PartLoRA},
	} {
		r := eligen.Repo{ID: "lab/x", File: c.file}
		want, err := a.sources.choose(r, c.part, c.names)
		if err != nil {
			t.Errorf("%v %q: %v", c.names, c.file, err)
			continue
		}
		info := &hub.Info{Repo: hubRepo(r)}
		for _, n := range c.names {
			info.Files = append(info.Files, hub.File{Name: n})
		}
		var patterns []string
		if c.file != "" {
			patterns = []string{c.file}
		}
		_, got, err := a.filesOf(info, patterns)
		if err != nil {
			t.Errorf("%v %q: %v", c.names, c.file, err)
			continue
		}
		for _, f := range want.files {
			if !slices.Contains(got.files, f) {
				t.Errorf("%v %q: %s is left out of %v", c.names, c.file, f, got.files)
			}
		}
		if got.open != want.open {
			t.Errorf("%v %q: it prints %q, and a scene opens %q", c.names, c.file, got.open, want.open)
		}
	}
}
