package dsl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	empty, ds := LoadLock(dir)
	if ds.HasErrors() || len(empty.Renders) != 0 {
		t.Fatalf("a folder without a lock: %v, %s", empty, ds.Error())
	}
	a, b := eligen.DigestOf([]byte("a")), eligen.DigestOf([]byte("b"))
	want := &eligen.Lock{Renders: []eligen.LockedRender{
		{Scene: "a.hcl", Address: `render.x["a \"b\" ${c}"]`, Plan: a, Engine: "paint/1", Pixels: b, PSNR: 30,
			Weights:  []eligen.LockedWeights{{Part: "text", Digest: a}, {Part: "adapter", Digest: b}},
			Resolved: map[string]string{"prompt": "a \"dog\" of ${x}\n%{ if y }", "entity.bird[\"near\"].region": "xywh(0, 0, 1, 1)"}},
		{Scene: "b.hcl", Address: "render.y", Plan: b, Engine: "go", Pixels: a, PSNR: 35.5, Files: []string{"out/y.png", "out/y two.jpg"},
			Tiles: &eligen.Tiling{Tile: 128, Stride: 64}},
	}}
	reversed := &eligen.Lock{Renders: []eligen.LockedRender{want.Renders[1], want.Renders[0]}}
	if err := WriteLock(dir, reversed); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(dir, eligen.LockName))
	if err != nil {
		t.Fatal(err)
	}
	got, ds := LoadLock(dir)
	if ds.HasErrors() {
		t.Fatalf("%s\n%s", ds.Error(), first)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(eligen.LockedRender{}, "Source")); diff != "" {
		t.Error(diff)
	}
	if err := WriteLock(dir, got); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(filepath.Join(dir, eligen.LockName)); string(second) != string(first) {
		t.Errorf("the lock was written in two ways:\n%s\n%s", first, second)
	}
	if formatted, ds := Format("lock.hcl", first); ds.HasErrors() || string(formatted) != string(first) {
		t.Errorf("the lock is not formatted as fmt would:\n%s", first)
	}
}

func TestLockMistakes(t *testing.T) {
	digest := string(eligen.DigestOf(nil))
	record := "render \"a.hcl\" \"render.a\" {\n  plan   = \"" + digest + "\"\n  engine = \"x\"\n  pixels = \"" + digest + "\"\n}\n"
	for src, want := range map[string]string{
		"render \"a.hcl\" {\n}\n":                     "Write it as",
		"render \"a.hcl\" \"render.a\" {\n}\n":        `A recorded render needs the argument "plan"`,
		strings.Replace(record, digest, "abc", 1):     `"plan" must be a SHA-256 digest`,
		record + record:                               "is recorded twice",
		strings.Replace(record, "engine", "engin", 1): `Did you mean "engine"?`,
		"render {":                     "",
		strings.Repeat("#", maxFile+1): "bytes",
		record[:len(record)-2] + "  psnr = 1000\n}\n":       `"psnr" must be a number from 0 to 100`,
		record[:len(record)-2] + "  tiles = [64, 128]\n}\n": `the stride at most the tile`,
		record[:len(record)-2] + "  tiles = [64]\n}\n":      `"tiles" must be a tile and a stride`,
		record[:len(record)-2] + "  tiles = \"x\"\n}\n":     `"tiles" must be a tile and a stride`,
		record[:len(record)-2] + "  resolved = 3\n}\n":      `"resolved" must be an object of texts`,
		record[:len(record)-2] + "  files = 3\n}\n":         `"files" must be a list of paths`,
		record[:len(record)-2] + "  weights \"text\" {}\n}": `Recorded weights needs the argument "sha256"`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, eligen.LockName), []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		_, ds := LoadLock(dir)
		if !ds.HasErrors() || !strings.Contains(ds.Error(), want) {
			t.Errorf("%.60q: %s\nwant %q", src, ds.Error(), want)
		}
	}
}
