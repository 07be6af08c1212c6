package inspect

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/names"
	"github.com/eligen/eligen/model/weights"
)

// sparse writes a file that has a header for real shapes and no data on disk.
func sparse(t *testing.T, path string, list []weights.Weight) {
	t.Helper()
	var b strings.Builder
	at := int64(0)
	for i, w := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		size := 2 * int64(weights.Elements(w.Shape))
		shape, err := json.Marshal(w.Shape)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, `%q:{"dtype":"BF16","shape":%s,"data_offsets":[%d,%d]}`, w.Name, shape, at, at+size)
		at += size
	}
	header := "{" + b.String() + "}"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := binary.Write(f, binary.LittleEndian, uint64(len(header))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(header); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(8 + int64(len(header)) + at); err != nil {
		t.Skipf("this file system has no sparse files of 24 GB: %v", err)
	}
}

// diffusersDev returns FLUX.1 [dev]'s names and shapes by diffusers' names.
func diffusersDev() []weights.Weight {
	var out []weights.Weight
	transformerNames := names.Transformer(flux.Dev.Double, flux.Dev.Single, flux.Dev.Guidance)
	for _, w := range weights.List(flux.Dev.Weights()) {
		for _, t := range transformerNames {
			if t.BFL != w.Name {
				continue
			}
			for i, name := range t.Diffusers {
				shape := slices.Clone(w.Shape)
				switch {
				case len(t.Diffusers) == 3:
					shape[0] /= 3
				case len(t.Diffusers) == 4 && i < 3:
					shape[0] = flux.Dev.Dim
				case len(t.Diffusers) == 4:
					shape[0] -= 3 * flux.Dev.Dim
				}
				out = append(out, weights.Weight{Name: name, Shape: shape})
			}
		}
	}
	return out
}

// FLUX.1 [dev] is recognised by its names and shapes, in both spellings, and a
// damaged copy is refused with the tensor's name.
func TestInspectFluxDev(t *testing.T) {
	dir := t.TempDir()
	dev := weights.List(flux.Dev.Weights())
	if len(dev) != 780 {
		t.Errorf("FLUX.1 [dev] has %d tensors, expected 780", len(dev))
	}
	misnamed := slices.Clone(dev)
	misnamed[100].Name += "x"
	misshapen := slices.Clone(dev)
	misshapen[100].Shape = []int{7}
	schnell := weights.List(flux.Schnell.Weights())
	for _, c := range []struct {
		name       string
		list       []weights.Weight
		title      string
		parameters int64
		problem    string
	}{
		{"flux1-dev.safetensors", dev, "FLUX.1 [dev] transformer", 11_901_408_320, ""},
		{"flux1-schnell.safetensors", schnell, "FLUX.1 [schnell] transformer", 11_891_178_560, ""},
		{"diffusers.safetensors", diffusersDev(), "FLUX.1 [dev] transformer", 11_901_408_320, ""},
		{"misnamed.safetensors", misnamed, "FLUX.1 [dev] transformer", 11_901_408_320, dev[100].Name + " " +
			fmt.Sprint(dev[100].Shape) + " is missing; did the file mean it by " + dev[100].Name + "x"},
		{"misshapen.safetensors", misshapen, "", 0, dev[100].Name + " has shape [7]"},
		{"missing.safetensors", dev[:779], "", 0, dev[779].Name},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			sparse(t, path, c.list)
			r, err := Path(path)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != weights.KindTransformer || c.title != "" && r.Title != c.title || c.parameters != 0 && r.Parameters != c.parameters {
				t.Errorf("taken for %q with %d parameters", r.Title, r.Parameters)
			}
			if c.problem == "" && r.Problem != "" || !strings.Contains(r.Problem, c.problem) {
				t.Errorf("its problem is %q, expected %q", r.Problem, c.problem)
			}
			if err := os.Truncate(path, 20<<30); err != nil {
				t.Fatal(err)
			}
			if _, err := Path(path); err == nil || !strings.Contains(err.Error(), "truncated: tensor ") {
				t.Errorf("cut at 20 GB, it gives %v", err)
			}
		})
	}
}

// A LoRA, and the tiny fixtures, say what they are.
func TestInspectKinds(t *testing.T) {
	set := filepath.Join(modeltest.Goldens(t), "models")
	for file, want := range map[string]string{
		"ae.safetensors":                "FLUX autoencoder",
		"text_encoder":                  "CLIP text encoder",
		"text_encoder_2":                "T5 v1.1 text encoder",
		"loras/kohya_alpha.safetensors": "kohya LoRA, rank ",
		"loras/diffusers.safetensors":   "diffusers LoRA, rank ",
		"loras/diffsynth.safetensors":   "native LoRA, rank ",
	} {
		r, err := Path(filepath.Join(set, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.Title, want) || (r.LoRA != nil) != strings.Contains(file, "lora") || r.Tensors == 0 || r.Bytes == 0 {
			t.Errorf("%s is %+v", file, r)
		}
		if s := r.String(); !strings.Contains(s, r.Title) || !strings.Contains(s, "parameters") {
			t.Errorf("%s is described as\n%s", file, s)
		}
	}
	path := filepath.Join(t.TempDir(), "other.safetensors")
	modeltest.WriteRamps(t, path, weights.Weight{Name: "conv.weight", Shape: []int{3, 3}})
	if r, err := Path(path); err != nil || r.Kind != weights.KindUnknown || !strings.Contains(r.Problem, "conv.weight") {
		t.Errorf("an unknown file is %+v, %v", r, err)
	}
}

// What evaluations ask is told by the classes that its file names.
func TestInspectJudges(t *testing.T) {
	for file, want := range map[string]string{"judge": "judge of 20 classes", "style-judge": "judge of 4 classes"} {
		path := filepath.Join("..", "family", "nano", "weights", file+".safetensors")
		if _, err := os.Stat(path); err != nil {
			t.Skipf("the embedded model's weights aren't there: %v", err)
		}
		r, err := Path(path)
		if err != nil || r.Title != want || r.Problem != "" || r.Kind != "judge" {
			t.Errorf("%s is %+v, %v", file, r, err)
		}
	}
}
