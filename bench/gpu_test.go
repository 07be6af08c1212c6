package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// JAX's plugin is found in a folder of Python's packages, that of the newer CUDA first.
func TestCardFindsJAX(t *testing.T) {
	site := t.TempDir()
	var want []string
	for _, version := range []string{"xla_cuda13", "xla_cuda12"} {
		path := filepath.Join(site, "jax_plugins", version, "xla_cuda_plugin.so")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	if diff := cmp.Diff(want, jaxPlugins(site)); diff != "" {
		t.Error(diff)
	}
	if c := (&card{plugin: want[1]}); c.find() != nil || c.plugin != want[1] {
		t.Errorf("a plugin that is named is not taken: %s", c.plugin)
	}
	if err := (&card{plugin: filepath.Join(site, "none.so")}).find(); err == nil || !strings.Contains(err.Error(), "none.so") {
		t.Errorf("a plugin that isn't there gives %v", err)
	}
}

// The parts that need nothing but a plugin run on the processors' too.
func TestCardParts(t *testing.T) {
	plugin := os.Getenv("ELIGEN_XLA_CPU")
	if plugin == "" {
		t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
	}
	for part, want := range map[string][]string{
		"peak":      {"matrix product, bfloat16, 512", "matrix product, float32, 512"},
		"attention": {"4 entities, bfloat16"},
		"goldens":   {"fixtures"}, // are not in the kit
		"FLUX.1":    {"4 entities: a step", "memory at the end"},
		"nano":      {"scenes"},
	} {
		var out bytes.Buffer
		c := &card{plugin: plugin, kit: t.TempDir(), small: true, counts: []int{4}, out: &out}
		if err := runPart(t.Context(), c, part, time.Hour); err != nil {
			t.Errorf("%s: %v", part, err)
		}
		var rows []row
		for line := range strings.Lines(out.String()) {
			var r row
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.Part != part || r.Result == "" {
				t.Errorf("%s tells %s, %v", part, line, err)
			}
			rows = append(rows, r)
		}
		for _, what := range want {
			if !slices.ContainsFunc(rows, func(r row) bool { return strings.Contains(r.What, what) }) {
				t.Errorf("%s has no row %q: %v", part, what, rows)
			}
		}
	}
}

// Random weights are the same each time, finite, and as large as a trained model's.
func TestNoise(t *testing.T) {
	n := newNoise(nil)
	b := make([]byte, 3*len(n.block)/2)
	if ok, err := n.Bytes("blocks.0.weight", b); !ok || err != nil {
		t.Fatal(err)
	}
	again := make([]byte, len(b))
	if _, err := n.Bytes("blocks.0.weight", again); err != nil || !bytes.Equal(b, again) {
		t.Error("a weight differs from itself")
	}
	if _, err := n.Bytes("blocks.10.weight", again); err != nil || bytes.Equal(b, again) {
		t.Error("two weights are the same")
	}
	if bytes.Equal(b[len(b)-1024:], make([]byte, 1024)) {
		t.Error("the end of a weight is 0")
	}
}
