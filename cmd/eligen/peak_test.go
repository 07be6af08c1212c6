//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// peakFile names the file that a process of this test writes its peak to.
const peakFile = "ELIGEN_TEST_PEAK"

// peak runs main, and writes the largest resident memory of its process, in KiB.
func peak() {
	code := run(os.Args[1:])
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		_, after, _ := strings.Cut(string(status), "VmHWM:")
		line, _, _ := strings.Cut(after, "kB")
		err = os.WriteFile(os.Getenv(peakFile), []byte(strings.TrimSpace(line)), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestPeakMemory renders pictures of the embedded model, each in a process of its own, and
// holds what the plan promised against the process's largest resident memory.
func TestPeakMemory(t *testing.T) {
	const (
		plain = "render \"a\" {\n  prompt = \"a meadow\"\n  size   = [256, 256]\n  sampler { steps = 1 }\n}\n"
		cat   = "entity \"cat\" {\n  prompt = \"a cat\"\n  box    = xywh(0.1, 0.1, 0.5, 0.5)\n}\n"
	)
	plugin := os.Getenv("ELIGEN_XLA_CPU")
	for _, c := range []struct{ name, backend, scene string }{
		{"go", "go", plain}, {"go, an entity", "go", plain + cat},
		{"xla", "xla:" + plugin, plain}, {"xla, an entity", "xla:" + plugin, plain + cat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.backend == "xla:" && plugin == "" {
				t.Skip("ELIGEN_XLA_CPU names no plugin")
			}
			// What graphs take that are compiled at the same time depends on how they meet: on a
			// busy machine, 544 and 588 MiB were seen of the same scene. So one of three has to fit.
			for try := range 3 {
				promised, taken := peakOf(t, c.backend, c.scene)
				t.Logf("%d MiB promised, %d taken", promised>>20, taken>>20)
				off := float64(promised)/float64(taken) - 1
				if off >= -0.1 && off <= 0.1 {
					return
				}
				if try == 2 {
					t.Errorf("%d MiB are promised, %d were taken (%+.0f %%)", promised>>20, taken>>20, 100*off)
				}
			}
		})
	}
}

// peakOf returns how many bytes a scene's plan promises, and how many its render takes.
func peakOf(t *testing.T, backend, scene string) (promised, taken int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, peak := filepath.Join(dir, "scene.hcl"), filepath.Join(dir, "peak")
	if err := os.WriteFile(file, []byte(scene), 0o600); err != nil {
		t.Fatal(err)
	}
	eligen := func(verb string) []byte {
		c := exec.CommandContext(t.Context(), self, verb, file, "--json", "--backend", backend, "--memory", "any")
		c.Args[0] = "eligen-peak"
		c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+filepath.Join(dir, "cache"), peakFile+"="+peak)
		var problems bytes.Buffer
		c.Stderr = &problems
		out, err := c.Output()
		if err != nil {
			t.Fatalf("eligen %s: %v\n%s%s", verb, err, out, &problems)
		}
		return out
	}
	var plan struct {
		Renders []struct {
			PeakMemory int64 `json:"peak_memory"`
		} `json:"renders"`
	}
	if err := json.Unmarshal(eligen("plan"), &plan); err != nil || len(plan.Renders) != 1 {
		t.Fatalf("the plan has %d renders, %v", len(plan.Renders), err)
	}
	eligen("apply")
	text, err := os.ReadFile(peak)
	if err != nil {
		t.Fatal(err)
	}
	kib, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Renders[0].PeakMemory, kib << 10
}
