package flux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if _, err := Find(dir); err == nil || !strings.Contains(err.Error(), "flux1-yours.safetensors") {
		t.Errorf("two candidates: %v", err)
	}
	named := filepath.Join(dir, "flux1-yours.safetensors")
	if l, err := Find(named); err != nil || l.Transformer != named {
		t.Errorf("the file itself: %+v, %v", l, err)
	}
	if err := os.Rename(filepath.Join(dir, "flux1-mine.safetensors"), filepath.Join(dir, "flux1-dev.safetensors")); err != nil {
		t.Fatal(err)
	}
	if l, err := Find(dir); err != nil || filepath.Base(l.Transformer) != "flux1-dev.safetensors" {
		t.Errorf("a known name beside another: %+v, %v", l, err)
	}
}

// The hint at EliGen's LoRA is one that can be copied.
func TestEliGenHintNamesTheArgument(t *testing.T) {
	_, _, err := eligenLoRA(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), `source = "./eligen.safetensors"`) || strings.Contains(err.Error(), "path =") {
		t.Errorf("the hint is %v", err)
	}
}
