package tensor_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen/internal/tensor"
)

func TestTensorsComeBack(t *testing.T) {
	want := map[string]tensor.Tensor{
		"a":     {Shape: []int{2, 3}, Data: []float32{1, -2, 0.5, 3e8, -0.25, 7}},
		"empty": {Shape: []int{0, 4}, Data: []float32{}},
		"one":   {Shape: []int{}, Data: []float32{42}},
	}
	var b bytes.Buffer
	if err := tensor.Write(&b, map[string]string{"step": "3"}, tensor.Named{Name: "a", Tensor: want["a"]},
		tensor.Named{Name: "empty", Tensor: want["empty"]}, tensor.Named{Name: "one", Tensor: want["one"]}); err != nil {
		t.Fatal(err)
	}
	got, err := tensor.Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	_, meta, err := tensor.ReadHeader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || meta["step"] != "3" {
		t.Errorf("metadata %v, %v", meta, err)
	}
	// Every shorter file is refused, never read as something else.
	for n := range b.Len() {
		if _, err := tensor.Read(b.Bytes()[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are read without an error", n, b.Len())
		}
	}
}

func TestDamagedTensors(t *testing.T) {
	for _, c := range []struct{ header, data, want string }{
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "12345678", ""},
		{`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "12345678", `tensor "a": F32[3] takes 12 bytes, the header gives it 8`},
		{`{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}`, "12345678", `unknown dtype "F99"`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, "12345678",
			`"a" appears twice`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678", "a gap or an overlap"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678",
			"a gap or an overlap"},
		{`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, "", "impossible shape"},
		{`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}`, "12345678", "impossible shape"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "12345678", "4 bytes after its last tensor"},
		{`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, "12345678", "truncated"},
		{`{"a":7}`, "", "damaged"},
		// What the format's own library refuses, or reads otherwise.
		{`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, "1234", "shape is null"},
		{`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, "1234", "no shape"},
		{`{"a":{"dtype":"F32","Shape":[1],"data_offsets":[0,4]}}`, "1234", "no shape"},
		{`{"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]}}`, "1234", "dtype is null"},
		{`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, "1234", ""},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ` + "\n", "1234", ""},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}`, "1234", "1 bytes follow its last brace"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}{"b":7}`, "1234", "follow its last brace"},
		{` {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234", "no JSON object"},
		{`{"__metadata__":{"a":null}}`, "", `"a" is null`},
		{`{"__metadata__":{"a":1}}`, "", "metadata"},
		{"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "1234", "UTF-8"},
		{`[]`, "", "no JSON object"},
		{`{"a":{"dtype":"F32"`, "", "damaged"},
	} {
		file := binary.LittleEndian.AppendUint64(nil, uint64(len(c.header)))
		file = append(append(file, c.header...), c.data...)
		_, _, err := tensor.ReadHeader(bytes.NewReader(file), int64(len(file)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.header, err, c.want)
		}
	}
	long := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	if _, _, err := tensor.ReadHeader(bytes.NewReader(long), 8); err == nil || !strings.Contains(err.Error(), "not a safetensors file") {
		t.Errorf("a header of 2⁶⁴ bytes: %v", err)
	}
}

// A file is written as other readers want it: a single number has the shape [], and the
// data begins at a multiple of eight bytes.
func TestTensorHeader(t *testing.T) {
	number := tensor.Info{Name: "alpha", DType: "BF16", Size: 2}
	head, err := tensor.Header(map[string]string{"format": "pt"},
		[]tensor.Info{number, {Name: "w", DType: "F32", Shape: []int{2, 1}, Size: 8}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"__metadata__":{"format":"pt"},"alpha":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},` +
		`"w":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]}}`
	if got := strings.TrimRight(string(head[8:]), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(head)%8 != 0 || binary.LittleEndian.Uint64(head) != uint64(len(head)-8) {
		t.Errorf("a header of %d bytes says %d", len(head), binary.LittleEndian.Uint64(head))
	}
	for name, list := range map[string][]tensor.Info{
		"appears twice": {number, number}, "takes 4 bytes": {{Name: "a", DType: "F32", Shape: []int{1}, Size: 2}},
		"can't have": {{Name: "__metadata__", DType: "BF16", Size: 2}},
	} {
		if _, err := tensor.Header(nil, list); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v, want %q", list, err, name)
		}
	}
}

// Eight bits: PyTorch's float8_e4m3fn and float8_e5m2, and integers as they are.
func TestEightBits(t *testing.T) {
	for _, c := range []struct {
		dtype string
		bits  []byte
		want  []float32
	}{
		{"F8_E4M3", []byte{0x00, 0x01, 0x07, 0x08, 0x38, 0x3c, 0x77, 0x7e, 0xb8, 0xfe},
			[]float32{0, 0x1p-9, 7 * 0x1p-9, 0x1p-6, 1, 1.5, 240, 448, -1, -448}},
		{"F8_E5M2", []byte{0x00, 0x01, 0x04, 0x3c, 0x3e, 0x7b, 0xbc}, []float32{0, 0x1p-16, 0x1p-14, 1, 1.5, 57344, -1}},
		{"I8", []byte{0, 7, 0xff}, []float32{0, 7, -1}},
		{"I64", binary.LittleEndian.AppendUint64(nil, 16), []float32{16}},
	} {
		got, err := tensor.Floats(c.dtype, c.bits)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.dtype, got, err, c.want)
		}
	}
	for dtype, bits := range map[string][]byte{"F8_E4M3": {0x7f, 0xff}, "F8_E5M2": {0x7d, 0x7e, 0x7f, 0xff}} {
		nan, err := tensor.Floats(dtype, bits)
		if err != nil || slices.ContainsFunc(nan, func(x float32) bool { return x == x }) {
			t.Errorf("%s: %v, %v, want no numbers", dtype, nan, err)
		}
	}
}

func TestHalfPrecision(t *testing.T) {
	for _, c := range []struct {
		dtype string
		bits  uint16
		want  float32
	}{
		{"F16", 0x3c00, 1}, {"F16", 0xc000, -2}, {"F16", 0x7bff, 65504}, {"F16", 0x0001, 5.9604645e-08}, {"F16", 0x8000, 0},
		{"BF16", 0x3f80, 1}, {"BF16", 0xc000, -2}, {"BF16", 0x4049, 3.140625},
	} {
		got, err := tensor.Floats(c.dtype, binary.LittleEndian.AppendUint16(nil, c.bits))
		if err != nil || got[0] != c.want {
			t.Errorf("%s %#04x is %v (%v), want %v", c.dtype, c.bits, got, err, c.want)
		}
	}
	if inf, _ := tensor.Floats("F16", []byte{0, 0x7c}); !math.IsInf(float64(inf[0]), 1) {
		t.Errorf("F16 infinity is %v", inf)
	}
	// To nearest, ties to even.
	for f, want := range map[float32]uint16{1: 0x3f80, 1.00390625: 0x3f80, 1.01171875: 0x3f82, -1: 0xbf80, 3.1415927: 0x4049} {
		if got := tensor.BFloat16(f); got != want {
			t.Errorf("%v rounds to %#04x, want %#04x", f, got, want)
		}
	}
}
