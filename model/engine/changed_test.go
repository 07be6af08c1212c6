package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/weights"
)

// flip changes the last bit of a file: in place with its time set back, or by another file that is
// moved over it.
func flip(t *testing.T, path string, inPlace bool) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	to := path
	if !inPlace {
		to += ".new"
	}
	time.Sleep(20 * time.Millisecond) // more than a tick of the file system's clock
	if err := errors.Join(os.WriteFile(to, data, 0o644), os.Chtimes(to, fi.ModTime(), fi.ModTime()), os.Rename(to, path)); err != nil {
		t.Fatal(err)
	}
}

func TestReplacedWeights(t *testing.T) {
	dir := tinyFolder(t)
	e := newEngine(t, "go", Options{Embedded: dir})
	own := []eligen.Adapter{{Kind: "ip", Scale: 1}, {Kind: "lora", Scale: 1}}
	spec := func() eligen.Spec {
		t.Helper()
		s, err := e.Spec(eligen.Model{Family: "nano"}, own)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := spec()
	if again := spec(); again.Transformer != before.Transformer || len(e.open) != 6 {
		t.Fatalf("files that have not changed were opened anew: %d are open", len(e.open))
	}
	for name, digest := range map[string]func(eligen.Spec) eligen.Digest{
		nano.TransformerFile: func(s eligen.Spec) eligen.Digest { return s.Transformer },
		nano.AutoencoderFile: func(s eligen.Spec) eligen.Digest { return s.Autoencoder },
		nano.TextFile:        func(s eligen.Spec) eligen.Digest { return s.Text },
		nano.VisionFile:      func(s eligen.Spec) eligen.Digest { return s.Adapters[0].Digest },
		nano.IPFile:          func(s eligen.Spec) eligen.Digest { return s.Adapters[0].Digest },
		nano.EliGenFile:      func(s eligen.Spec) eligen.Digest { return s.Adapters[1].Digest },
	} {
		for _, inPlace := range []bool{false, true} {
			was := digest(spec())
			flip(t, filepath.Join(dir, name), inPlace)
			if digest(spec()) == was {
				t.Errorf("%s, in place %v: the digest is still that of the old file", name, inPlace)
			}
		}
	}
	// A manifest with another default.
	m := tiny
	m.Steps++
	was := spec().Steps
	data, err := json.Marshal(m)
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, nano.ManifestFile), data, 0o644)); err != nil {
		t.Fatal(err)
	}
	if s := spec(); s.Steps != was+1 {
		t.Errorf("the plan has %d steps, as before the manifest changed", s.Steps)
	}
}

// What changes between plan and run would be stored under the digest of what it was.
func TestWeightsChangeAfterThePlan(t *testing.T) {
	ctx := context.Background()
	for _, inPlace := range []bool{true, false} {
		dir := tinyFolder(t)
		file := loraFile(t, lora.Native, 21, 2, every)
		adapter := eligen.Adapter{Kind: "lora", Path: file, Scale: 1}
		var e *Engine
		for _, name := range []string{filepath.Join(dir, nano.TransformerFile), file} {
			e = newEngine(t, "go", Options{Embedded: dir})
			_, d := job(t, e, adapter)
			flip(t, name, inPlace)
			if _, err := e.Denoise(ctx, d); !errors.Is(err, weights.ErrChanged) {
				t.Errorf("%s, in place %v: %v", name, inPlace, err)
			}
			_, d = job(t, e, adapter)
			denoise(t, e, d)
		}
		spec, d := job(t, e)
		flip(t, filepath.Join(dir, nano.TextFile), inPlace)
		flip(t, filepath.Join(dir, nano.AutoencoderFile), inPlace)
		if _, err := e.Decode(ctx, spec.Autoencoder, d.Latents, nil); !errors.Is(err, weights.ErrChanged) {
			t.Errorf("autoencoder, in place %v: %v", inPlace, err)
		}
		// Touched between: the same digests, and weights that are partly loaded.
		spec, d = job(t, e, adapter)
		now := time.Now()
		for _, name := range []string{nano.TransformerFile, nano.AutoencoderFile, nano.TextFile} {
			if err := os.Chtimes(filepath.Join(dir, name), now, now); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(file, now, now); err != nil {
			t.Fatal(err)
		}
		again, d := job(t, e, adapter)
		if again.Transformer != spec.Transformer {
			t.Error("a touched file has another digest")
		}
		denoise(t, e, d)
		if _, err := e.Decode(ctx, spec.Autoencoder, d.Latents, nil); err != nil {
			t.Error(err)
		}
	}
}
