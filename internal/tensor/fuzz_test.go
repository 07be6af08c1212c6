package tensor_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

// tensorFile returns a safetensors file of a header and data.
func tensorFile(header, data string) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

// Whatever a file holds, reading its header returns. What is accepted covers the file
// exactly, without gap or overlap, and its floats can be read.
func FuzzReadTensors(f *testing.F) {
	for _, seed := range [][2]string{
		{`{}`, ""},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "12345678"},
		{`{"__metadata__":{"step":"3"},"b":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},` +
			`"a":{"dtype":"F16","shape":[0,3],"data_offsets":[2,2]}}`, "12"},
		{`{"a":{"dtype":"F8_E4M3","shape":[1,1,1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "12"},
		{`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, ""},
		{`{"a":{"dtype":"I64","shape":[-1],"data_offsets":[8,0]}}`, "12345678"},
		{`{"a":{"dtype":"F32","shape":[1e3],"data_offsets":[0.5,null]}}`, ""},
		{`[[[[[[{"a":`, ""},
		{"{\"\\ud800\": {}, \"\xff\": 7}", "\x00"},
	} {
		f.Add(tensorFile(seed[0], seed[1]))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
	f.Add([]byte("PK\x03\x04 a zip archive, as PyTorch writes them"))
	f.Fuzz(func(t *testing.T, data []byte) {
		infos, _, err := tensor.ReadHeader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		at := int64(8 + binary.LittleEndian.Uint64(data))
		for _, info := range infos {
			if info.Offset != at || info.Size < 0 {
				t.Fatalf("tensor %q has bytes %d to %d; the one before ends at %d", info.Name, info.Offset, info.Offset+info.Size, at)
			}
			at += info.Size
		}
		if at != int64(len(data)) {
			t.Fatalf("tensors end at %d of %d bytes", at, len(data))
		}
		tensors, err := tensor.Read(data)
		if err != nil {
			return // of a dtype that is no float
		}
		for name, x := range tensors {
			n := 1
			for _, d := range x.Shape {
				n *= d
			}
			if n != len(x.Data) {
				t.Fatalf("tensor %q of shape %v has %d numbers", name, x.Shape, len(x.Data))
			}
		}
	})
}

// The limits, from both sides. A header's length is believed no further than the file
// goes.
func TestTensorLimits(t *testing.T) {
	read := func(file []byte) error {
		_, _, err := tensor.ReadHeader(bytes.NewReader(file), int64(len(file)))
		return err
	}
	padded := func(n int) []byte { return tensorFile("{}"+strings.Repeat(" ", n-2), "") }
	many := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `%s"t%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, map[bool]string{true: "{", false: ","}[i == 0], i)
		}
		return tensorFile(b.String()+"}", "")
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"a header of 8 MiB", padded(tensor.MaxHeader), ""},
		{"one of a byte more", padded(tensor.MaxHeader + 1), "the header claims 8388609 bytes (the limit is 8388608)"},
		{"a header beyond the file", tensorFile("{}", "")[:9], "the header claims 2 bytes, the file has 9"},
		{"20 000 tensors", many(tensor.MaxTensors), ""},
		{"one more", many(tensor.MaxTensors + 1), "more than 20000 tensors"},
	} {
		err := read(c.file)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
