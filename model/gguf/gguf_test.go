package gguf

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// file returns a GGUF file of two tensors.
func file(t testing.TB) []byte {
	t.Helper()
	head, err := Header(map[string]string{Architecture: "flux", "general.name": "small"}, []tensor.Info{
		{Name: "a.weight", DType: "Q8_0", Shape: []int{3, 32}, Size: 3 * 34}, {Name: "a.bias", DType: "F32", Shape: []int{3}, Size: 12}})
	if err != nil {
		t.Fatal(err)
	}
	return append(head, make([]byte, Padded(3*34)+Padded(12))...)
}

// What is written is read back; no shorter file is, and no header that claims what can't be.
func TestRead(t *testing.T) {
	data := file(t)
	infos, metadata, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(infos) != 2 || infos[0].DType != "Q8_0" || infos[0].Shape[0] != 3 || metadata[Architecture] != "flux" {
		t.Fatalf("%v, %v, %v", infos, metadata, err)
	}
	needed := int(infos[1].Offset + infos[1].Size) // padding may be missing
	for n := range needed {
		if _, _, err := Read(bytes.NewReader(data[:n]), int64(n)); err == nil {
			t.Fatalf("the first %d of %d bytes are read without an error", n, len(data))
		}
	}
	for _, c := range []struct {
		name  string
		at    int
		value uint64
		want  string
	}{
		{"tensors", 8, 1 << 61, "the header claims 2305843009213693952 tensors"},
		{"tensors that the file has no room for", 8, 9000, "take 216026 bytes at least"},
		{"pairs", 16, 1 << 40, "pairs of metadata"},
		{"another version", 4, 1, "version 1"},
		{"the other byte order", 4, 3 << 24, "big-endian"},
		{"a text", 24, 1 << 50, "a key of"},
	} {
		wrong := bytes.Clone(data)
		if c.at == 4 {
			binary.LittleEndian.PutUint32(wrong[c.at:], uint32(c.value))
		} else {
			binary.LittleEndian.PutUint64(wrong[c.at:], c.value)
		}
		if _, _, err := Read(bytes.NewReader(wrong), int64(len(wrong))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Whatever a file holds, reading its header returns, and what is accepted lies in the file and overlaps nothing.
func FuzzRead(f *testing.F) {
	f.Add(file(f))
	f.Add([]byte("GGUF\x03\x00\x00\x00 and no more"))
	f.Add([]byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00a\x09\x00\x00\x00\x08\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		infos, _, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		at := int64(0)
		for _, info := range infos {
			if info.Offset < at || info.Size < 0 || info.Offset+info.Size > int64(len(data)) {
				t.Fatalf("tensor %q has bytes %d to %d; the one before ends at %d", info.Name, info.Offset, info.Offset+info.Size, at)
			}
			at = info.Offset + info.Size
		}
	})
}
