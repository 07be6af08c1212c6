package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/internal/modeltest"
)

// A weight that is no number becomes no picture: whatever part it is of, the verb that
// meets it says which part that is.
func TestWhatIsNoNumberIsAnError(t *testing.T) {
	ctx := context.Background()
	ip := eligen.Adapter{Kind: "ip", Name: "p", Scale: 1}
	verbs := map[string]func(e *Engine, spec eligen.Spec) error{
		"encode a prompt": func(e *Engine, spec eligen.Spec) error {
			_, err := e.EncodePrompt(ctx, spec.Text, "a dog", spec.Prompt)
			return err
		},
		"encode a picture": func(e *Engine, spec eligen.Spec) error {
			_, err := e.EncodeImage(ctx, spec.Autoencoder, image.NewNRGBA(image.Rect(0, 0, 32, 32)), nil)
			return err
		},
		"encode an image prompt": func(e *Engine, spec eligen.Spec) error {
			_, err := e.EncodeImagePrompt(ctx, spec.Adapters[0].Digest, image.NewNRGBA(image.Rect(0, 0, 9, 9)))
			return err
		},
		"denoise": func(e *Engine, spec eligen.Spec) error {
			p, err := e.EncodePrompt(ctx, spec.Text, "a dog", spec.Prompt)
			if err == nil {
				_, err = e.Denoise(ctx, eligen.Denoise{Transformer: spec.Transformer, Latents: tensor.New(16, 4, 4), Prompt: p,
					Sigmas: []float32{1, 0.5, 0}, CFG: 1})
			}
			return err
		},
		"decode": func(e *Engine, spec eligen.Spec) error {
			_, err := e.Decode(ctx, spec.Autoencoder, tensor.New(16, 4, 4), nil)
			return err
		},
	}
	for _, c := range []struct{ file, weight, verb, want string }{
		{nano.TextFile, "t5.encoder.final_layer_norm.weight", "encode a prompt", "T5 gave"},
		{nano.TextFile, "clip.text_model.final_layer_norm.bias", "encode a prompt", "CLIP gave"},
		{nano.AutoencoderFile, "encoder.conv_in.bias", "encode a picture", "the autoencoder gave"},
		{nano.AutoencoderFile, "decoder.conv_out.bias", "decode", "the autoencoder gave"},
		{nano.VisionFile, "vision_model.post_layernorm.bias", "encode an image prompt", "the vision tower gave"},
		{nano.IPFile, "image_proj.norm.bias", "encode an image prompt", "the IP-Adapter gave"},
		{nano.TransformerFile, "final_layer.linear.bias", "denoise", "step 1 of 2"},
	} {
		t.Run(c.weight, func(t *testing.T) {
			dir := tinyFolder(t)
			all, err := tensor.ReadFile(filepath.Join(dir, c.file))
			if err != nil {
				t.Fatal(err)
			}
			all[c.weight].Data[1] = float32(math.Inf(1))
			var list []tensor.Named
			for name, x := range all {
				list = append(list, tensor.Named{Name: name, Tensor: x})
			}
			modeltest.WriteFile(t, filepath.Join(dir, c.file), func(b *bytes.Buffer) error { return tensor.Write(b, nil, list...) })
			e := newEngine(t, "go", Options{Embedded: dir})
			spec, err := e.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{ip})
			if err != nil {
				t.Fatal(err)
			}
			if err := verbs[c.verb](e, spec); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.verb, err, c.want)
			}
		})
	}
}

// Whichever number of a manifest is absurd, it is refused before anything is built to it.
func TestManifestNumbersAreBounded(t *testing.T) {
	dir := tinyFolder(t)
	file := filepath.Join(dir, nano.ManifestFile)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, absurd := range []float64{-1, math.MaxInt32 + 1, 1 << 53} {
		for i := 0; ; i++ {
			var doc any
			if err := json.Unmarshal(good, &doc); err != nil {
				t.Fatal(err)
			}
			at, changed := changeNumber(doc, "", i, absurd)
			if !changed {
				break
			}
			if absurd < 0 && (strings.HasSuffix(at, ".scale") || strings.HasSuffix(at, ".shift")) {
				continue // they may be
			}
			count++
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			modeltest.WriteFile(t, file, func(b *bytes.Buffer) error { b.Write(text); return nil })
			_, err = newEngine(t, "go", Options{Embedded: dir}).Spec(eligen.Model{Family: "nano"}, nil)
			if err == nil || !strings.Contains(err.Error(), nano.ManifestFile) {
				t.Errorf("%s = %v: %v", at, absurd, err)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d numbers were tried", count)
	}
}

// changeNumber changes number n of a JSON document, and says where it is.
func changeNumber(v any, at string, n int, x float64) (where string, changed bool) {
	i := 0
	var walk func(v any, at string, set func(float64))
	walk = func(v any, at string, set func(float64)) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key], at+"."+key, func(x float64) { v[key] = x })
			}
		case []any:
			for k := range v {
				walk(v[k], fmt.Sprintf("%s[%d]", at, k), func(x float64) { v[k] = x })
			}
		case float64:
			if i == n {
				set(x)
				where, changed = at, true
			}
			i++
		}
	}
	walk(v, at, nil)
	return where, changed
}
