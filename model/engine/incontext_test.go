package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/family/nano"
	"github.com/eligen/eligen/model/internal/modeltest"
	"github.com/eligen/eligen/model/weights"
)

// A model's own LoRA for transfers is a file of its folder; where there is none, that
// is said.
func TestInContext(t *testing.T) {
	dir := tinyFolder(t)
	both := []eligen.Adapter{{Kind: "lora", Scale: 1}, {Kind: "lora", Path: eligen.InContext, Scale: 1}}
	own := eligen.Model{Family: "nano"}
	_, err := newEngine(t, "go", Options{Embedded: dir}).Spec(own, both)
	if err == nil || !strings.Contains(err.Error(), nano.InContextFile) || !strings.Contains(err.Error(), "which a transfer needs") {
		t.Errorf("without the file: %v", err)
	}

	data, err := os.ReadFile(filepath.Join(dir, nano.EliGenFile))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1 // another LoRA, by a bit
	file := filepath.Join(dir, nano.InContextFile)
	modeltest.WriteFile(t, file, func(b *bytes.Buffer) error { _, err := b.Write(data); return err })
	spec, err := newEngine(t, "go", Options{Embedded: dir}).Spec(own, both)
	if err != nil {
		t.Fatal(err)
	}
	if want := eligen.DigestOf(data); len(spec.Adapters) != 2 || spec.Adapters[1].Digest != want || spec.Adapters[0].Digest == want {
		t.Errorf("adapters %+v, the file is %s", spec.Adapters, want)
	}

	e := newEngine(t, "go", Options{})
	if _, _, _, err := e.adapter(&family.Model{LoRA: weights.ParseLoRA}, &both[1]); err == nil ||
		!strings.Contains(err.Error(), "no in-context LoRA of its own") {
		t.Errorf("a family without one: %v", err)
	}
}
