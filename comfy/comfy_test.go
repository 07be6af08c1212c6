package comfy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// touch makes empty files below a folder.
func touch(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, n := range names {
		p := filepath.Join(root, filepath.FromSlash(n))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// The folders of another program, as ComfyUI's own example names them, with what people make of it: several
// folders a line each, a home folder, a variable, and folders that come first.
const extraPaths = `
comfyui:
     base_path: ~/$MORE/
     is_default: true
     diffusion_models: |
                  models/flux
                  /elsewhere/unet
a111:
    base_path: ../webui
    vae: models/VAE
    loras: |
         models/Lora

         models/LyCORIS
other:
    clip: /elsewhere/clip
empty:
`

func TestPath(t *testing.T) {
	home := t.TempDir()
	root := filepath.Join(home, "ComfyUI")
	touch(t, root, "models/unet/flux1-dev.safetensors", "models/diffusion_models/flux1-dev.safetensors",
		"models/diffusion_models/gguf/flux1-dev-Q4_0.gguf", "models/checkpoints/flux1-dev-fp8.safetensors", "models/clip/clip_l.safetensors",
		"models/text_encoders/t5/t5xxl_fp16.safetensors", "models/vae/ae.safetensors", "models/vae/old/ae.safetensors",
		"models/vae/a/twice.safetensors", "models/vae/b/twice.safetensors", "models/vae/put_vae_here", "models/loras/eligen.safetensors")
	touch(t, home, "big/models/flux/flux1-big.safetensors", "webui/models/Lora/style.safetensors",
		"webui/models/LyCORIS/lokr.safetensors", "webui/models/VAE/web.safetensors")
	write(t, filepath.Join(root, extraName), extraPaths)
	m, err := Find(env("HOME", home, "MORE", "big"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ part, name, want string }{
		{eligen.PartModel, "flux1-dev.safetensors", "ComfyUI/models/unet/flux1-dev.safetensors"}, // ComfyUI looks there first
		{eligen.PartModel, "gguf/flux1-dev-Q4_0.gguf", "ComfyUI/models/diffusion_models/gguf/flux1-dev-Q4_0.gguf"},
		{eligen.PartModel, "flux1-dev-Q4_0.gguf", "ComfyUI/models/diffusion_models/gguf/flux1-dev-Q4_0.gguf"},
		{eligen.PartModel, "flux1-dev-fp8.safetensors", "ComfyUI/models/checkpoints/flux1-dev-fp8.safetensors"},
		{eligen.PartModel, "flux1-big.safetensors", "big/models/flux/flux1-big.safetensors"},
		{eligen.PartCLIP, "clip_l.safetensors", "ComfyUI/models/clip/clip_l.safetensors"},
		{eligen.PartT5, "t5xxl_fp16.safetensors", "ComfyUI/models/text_encoders/t5/t5xxl_fp16.safetensors"},
		{eligen.PartVAE, "ae.safetensors", "ComfyUI/models/vae/ae.safetensors"},
		{eligen.PartVAE, "web.safetensors", "webui/models/VAE/web.safetensors"},
		{eligen.PartLoRA, "lokr.safetensors", "webui/models/LyCORIS/lokr.safetensors"},
	} {
		if got, err := m.Path(c.part, c.name); err != nil || got != filepath.Join(home, c.want) {
			t.Errorf("%s %s: %s, %v, want %s", c.part, c.name, got, err, c.want)
		}
	}
	for _, c := range []struct{ part, name, want string }{
		{eligen.PartVAE, "clip_l.safetensors", `no "clip_l.safetensors"`},
		{eligen.PartVAE, "put_vae_here", "they hold a/twice.safetensors"},
		{eligen.PartVAE, "twice.safetensors", "comfyui:a/twice.safetensors or comfyui:b/twice.safetensors"},
		{eligen.PartVision, "clip_vision.safetensors", "has no folder for"},
	} {
		if _, err := m.Path(c.part, c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.part, c.name, err, c.want)
		}
	}
}

// What lies next to a transformer is found by the folders around it, of an install that is known or not.
func TestBeside(t *testing.T) {
	home := t.TempDir()
	touch(t, home, "AI/models/unet/sub/flux1-dev.safetensors", "AI/models/vae/FLUX1/ae.safetensors", "alone/unet/flux1-dev.safetensors",
		"extra/unet/flux1.safetensors", "ComfyUI/models/vae/ae.safetensors")
	write(t, filepath.Join(home, "ComfyUI", extraName), "extra:\n  base_path: "+filepath.Join(home, "extra")+"\n  unet: unet\n")
	m, err := Find(env("HOME", home))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want []string
	}{
		{"AI/models/unet/sub/flux1-dev.safetensors", []string{"AI/models/vae", "AI/models/vae/FLUX1"}},
		{"extra/unet/flux1.safetensors", []string{"ComfyUI/models/vae"}}, // the folder is of that install
		{"alone/unet/flux1-dev.safetensors", nil},
		{"somewhere/flux1-dev.safetensors", nil},
	} {
		var want []string
		for _, w := range c.want {
			want = append(want, filepath.Join(home, w))
		}
		if got := m.Beside(filepath.Join(home, c.path), eligen.PartVAE); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.path, got, want)
		}
	}
}

// A file of paths that can't be read is reported with its line, and not passed over.
func TestExtraPathsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"comfyui: [":                          "can't be read",
		"comfyui: models":                     ":1: \"comfyui\" must hold folders by category",
		"a:\n  vae:\n    - one\n":             ":3: \"vae\" must be a text",
		"a:\n  vae: x\n  is_default: maybe":   ":3: \"is_default\" must be true or false",
		"a:\n  base_path: {x: y}\n  vae: v\n": ":2: \"base_path\" must be a text",
	} {
		root := t.TempDir()
		touch(t, root, "models/vae/ae.safetensors")
		write(t, filepath.Join(root, extraName), text)
		if _, err := Find(env(Variable, root)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The variable names the install, or its folder of models, in place of the usual places.
func TestVariable(t *testing.T) {
	home := t.TempDir()
	touch(t, home, "ComfyUI/models/vae/usual.safetensors", "mine/vae/ae.safetensors")
	m, err := Find(env("HOME", home, Variable, filepath.Join(home, "mine")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Path(eligen.PartVAE, "ae.safetensors"); err != nil || got != filepath.Join(home, "mine/vae/ae.safetensors") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := m.Path(eligen.PartVAE, "usual.safetensors"); err == nil {
		t.Error("the usual place was searched too")
	}
	_, err = Find(env(Variable, filepath.Join(home, "nowhere")))
	if err == nil || !strings.Contains(err.Error(), "there is no such folder") {
		t.Errorf("a folder that isn't there: %v", err)
	}
	none, err := Find(env("HOME", filepath.Join(home, "mine")))
	if err != nil {
		t.Fatal(err)
	}
	if len(none.Installs) > 0 {
		t.Skipf("this machine has a ComfyUI in %s", none.Installs[0].Root)
	}
	_, err = none.Path(eligen.PartVAE, "ae.safetensors")
	if err == nil || !strings.Contains(err.Error(), "Set ELIGEN_COMFYUI to its folder") {
		t.Errorf("without an install: %v", err)
	}
}

// FuzzExtra: whatever a file of paths holds, it adds folders or is refused.
func FuzzExtra(f *testing.F) {
	for _, seed := range []string{extraPaths, "a: {vae: x}", "a:\n  vae: |\n    x\n    y\n", "&a a: *a",
		"? [x]\n: y", "a: !!binary x", "---\n---\n"} {
		f.Add([]byte(seed))
	}
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(root, extraName), data, 0o644); err != nil {
			t.Fatal(err)
		}
		in := &Install{Root: root, folders: map[string][]string{}}
		if err := in.extra(filepath.Join(root, extraName), env("HOME", root)); err != nil {
			return
		}
		for category, list := range in.folders {
			for _, folder := range list {
				if !filepath.IsAbs(folder) {
					t.Errorf("%s: %q is not absolute", category, folder)
				}
			}
		}
	})
}
