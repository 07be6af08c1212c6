package flux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/weights"
)

// A folder that holds two transformers under names of one's own is refused; a
// known name, or the file itself, settles it.
func TestFindFluxRefusesToGuess(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"flux1-mine.safetensors", "flux1-yours.safetensors", "ae.safetensors", "clip_l.safetensors",
		"t5xxl_fp16.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Find(dir, nil, nil); err == nil || !strings.Contains(err.Error(), "flux1-yours.safetensors") {
		t.Errorf("two candidates: %v", err)
	}
	named := filepath.Join(dir, "flux1-yours.safetensors")
	if l, err := Find(named, nil, nil); err != nil || l.Transformer != named {
		t.Errorf("the file itself: %+v, %v", l, err)
	}
	if err := os.Rename(filepath.Join(dir, "flux1-mine.safetensors"), filepath.Join(dir, "flux1-dev.safetensors")); err != nil {
		t.Fatal(err)
	}
	if l, err := Find(dir, nil, nil); err != nil || filepath.Base(l.Transformer) != "flux1-dev.safetensors" {
		t.Errorf("a known name beside another: %+v, %v", l, err)
	}
}

// The hint at EliGen's LoRA is one that can be copied.
func TestEliGenHintNamesTheArgument(t *testing.T) {
	_, _, err := eligenLoRA(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `source = "modelscope:DiffSynth-Studio/Eligen"`) ||
		strings.Contains(err.Error(), "path =") {
		t.Errorf("the hint is %v", err)
	}
}

// Files that nobody named as repositories do are known by what they hold; what the named file holds itself
// comes first, and a part that a scene names before that.
func TestFindByContent(t *testing.T) {
	dir, clips := t.TempDir(), t.TempDir()
	transformer := []weights.Weight{{Name: "model.diffusion_model.img_in.weight", Shape: []int{4, 8}},
		{Name: "model.diffusion_model.txt_in.weight", Shape: []int{4, 8}}}
	ae := []weights.Weight{{Name: "vae.encoder.conv_in.weight", Shape: []int{2, 3, 3, 3}},
		{Name: "vae.decoder.conv_in.weight", Shape: []int{2, 3, 3, 3}}}
	t5 := weights.Weight{Name: "encoder.block.0.layer.0.SelfAttention.q.weight", Shape: []int{2, 2}}
	clip := weights.Weight{Name: "text_model.embeddings.token_embedding.weight", Shape: []int{2, 2}}
	modeltest.WriteRamps(t, filepath.Join(dir, "mine.sft"), append(transformer, ae...)...)
	modeltest.WriteRamps(t, filepath.Join(dir, "whatever.safetensors"), t5)
	modeltest.WriteRamps(t, filepath.Join(dir, "lora.safetensors"), weights.Weight{Name: "double_blocks.0.img_attn.qkv.lora_A.weight",
		Shape: []int{2, 2}})
	modeltest.WriteRamps(t, filepath.Join(clips, "c.safetensors"), clip)
	pointer := []byte("version https://git-lfs.github.com/spec/v1\n")
	if err := os.WriteFile(filepath.Join(dir, "clip_of_git.safetensors"), pointer, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(dir, nil, nil); err == nil || !strings.Contains(err.Error(), "lacks the CLIP text encoder") ||
		!strings.Contains(err.Error(), "git lfs pull") {
		t.Errorf("without CLIP: %v", err)
	}
	beside := func(part string) []string { return []string{filepath.Join(dir, "nowhere"), clips} }
	mine := filepath.Join(dir, "mine.sft")
	want := Files{Transformer: mine, Autoencoder: mine, CLIP: filepath.Join(clips, "c.safetensors"),
		T5: filepath.Join(dir, "whatever.safetensors")}
	for _, path := range []string{dir, mine} {
		if got, err := Find(path, nil, beside); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	want.Autoencoder = "other.safetensors"
	if got, err := Find(mine, map[string]string{"vae": want.Autoencoder}, beside); err != nil || got != want {
		t.Errorf("a named part: %+v, %v", got, err)
	}
	modeltest.WriteRamps(t, filepath.Join(dir, "whatever2.safetensors"), t5)
	if _, err := Find(dir, nil, beside); err == nil || !strings.Contains(err.Error(), `t5 = "`) {
		t.Errorf("two T5s: %v", err)
	}
}
