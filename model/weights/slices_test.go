package weights

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// Any slice of a tensor reads alike from a mapped file, from one that is read
// in pieces, and from a stack of tensors whose halves are swapped.
func TestSlices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	const rows, cols = 700, 1000 // more than is read at once
	x := tensor.New(rows, cols)
	for i := range x.Data {
		x.Data[i] = float32(i) + 0.5
	}
	var data bytes.Buffer
	if err := errors.Join(tensor.Write(&data, nil, tensor.Named{Name: "w", Tensor: x}), os.WriteFile(path, data.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	mapped, err1 := Open(path)
	read, err2 := Open(path)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	defer read.Close()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read.shards[0].data, read.shards[0].read = nil, f // as where mapping isn't possible
	swapped, ok := stack("w", []entry{read.entries["w"]}, true)
	if !ok {
		t.Fatal("a matrix of an even number of rows can't be swapped")
	}
	turned := &Checkpoint{Path: path, entries: map[string]entry{"w": swapped}, order: []tensor.Info{swapped.info}}
	for _, s := range [][2]int{{0, rows * cols}, {0, 1}, {5, 3}, {rows*cols - 2, 2}, {rows/2*cols - 7, 400_000 - 350_000}, {17, 0}} {
		want := make([]float32, s[1])
		for i := range want {
			want[i] = float32(s[0]+i) + 0.5
		}
		for name, c := range map[string]*Checkpoint{"mapped": mapped, "read": read, "swapped": turned} {
			got := make([]float32, s[1])
			if err := c.Floats("w", s[0], got); err != nil {
				t.Fatal(err)
			}
			for i := range got {
				w := want[i]
				if name == "swapped" {
					w = float32((s[0]+i+rows/2*cols)%(rows*cols)) + 0.5
				}
				if got[i] != w {
					t.Fatalf("%s: element %d is %v, want %v", name, s[0]+i, got[i], w)
				}
			}
		}
	}
	if err := mapped.Floats("w", rows*cols-1, make([]float32, 2)); err == nil {
		t.Error("elements beyond the end were read")
	}
	if err := mapped.Floats("v", 0, make([]float32, 1)); err == nil {
		t.Error("a tensor that isn't there was read")
	}
}
