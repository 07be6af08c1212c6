package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// Any slice of a tensor reads alike from memory, from a file that is read
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
	read, err1 := Open(path)
	held, err2 := FromBytes(path, data.Bytes())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer read.Close()
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
		for name, c := range map[string]*Checkpoint{"held": held, "read": read, "swapped": turned} {
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
	for name, c := range map[string]*Checkpoint{"held": held, "read": read, "swapped": turned} {
		got := make([]byte, 4*rows*cols)
		if ok, err := c.Bytes("w", got); !ok || err != nil {
			t.Fatalf("%s: %t, %v", name, ok, err)
		}
		want := data.Bytes()[data.Len()-len(got):]
		if half := len(want) / 2; name == "swapped" {
			want = slices.Concat(want[half:], want[:half])
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the bytes are others", name)
		}
	}
	if _, err := read.Bytes("w", make([]byte, 8)); err == nil {
		t.Error("a part of a tensor was read as all of it")
	}
	if err := read.Floats("w", rows*cols-1, make([]float32, 2)); err == nil {
		t.Error("elements beyond the end were read")
	}
	if err := read.Floats("v", 0, make([]float32, 1)); err == nil {
		t.Error("a tensor that isn't there was read")
	}
}

// What becomes float32 in pieces leaves no garbage as large as the file.
func TestFloatsReuseTheirBuffer(t *testing.T) {
	const n, piece = 1 << 20, 1 << 14
	for dtype, size := range map[string]int{"BF16": 2, "F16": 2, "F8_E4M3": 1} {
		header := fmt.Sprintf(`{"w":{"dtype":%q,"shape":[%d],"data_offsets":[0,%d]}}`, dtype, n, n*size)
		data := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		c, err := FromBytes("w", append(data, make([]byte, n*size)...))
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, piece)
		const times = 16
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for at := 0; at < times*n; at += piece {
			if err := c.Floats("w", at%n, out); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		made := int((after.TotalAlloc - before.TotalAlloc) / times)
		if made > n*size/4 {
			t.Errorf("%s: reading %d bytes made %d bytes of garbage", dtype, n*size, made)
		}
	}
}
