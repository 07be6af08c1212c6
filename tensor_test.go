package eligen_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
)

func TestTensorsComeBack(t *testing.T) {
	want := map[string]eligen.Tensor{
		"a":     {Shape: []int{2, 3}, Data: []float32{1, -2, 0.5, 3e8, -0.25, 7}},
		"empty": {Shape: []int{0, 4}, Data: []float32{}},
		"one":   {Shape: []int{}, Data: []float32{42}},
	}
	var b bytes.Buffer
	if err := eligen.WriteTensors(&b, map[string]string{"step": "3"}, eligen.NamedTensor{Name: "a", Tensor: want["a"]},
		eligen.NamedTensor{Name: "empty", Tensor: want["empty"]}, eligen.NamedTensor{Name: "one", Tensor: want["one"]}); err != nil {
		t.Fatal(err)
	}
	got, err := eligen.ReadTensors(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	_, meta, err := eligen.ReadTensorHeader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || meta["step"] != "3" {
		t.Errorf("metadata %v, %v", meta, err)
	}
	// Every shorter file is refused, never read as something else.
	for n := range b.Len() {
		if _, err := eligen.ReadTensors(b.Bytes()[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are read without an error", n, b.Len())
		}
	}
}

func TestDamagedTensors(t *testing.T) {
	for _, c := range []struct{ header, data, want string }{
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "12345678", ""},
		{`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "12345678", `tensor "a": F32[3] takes 12 bytes, the header gives it 8`},
		{`{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}`, "12345678", `unknown dtype "F99"`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, "12345678", `"a" appears twice`},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678", "a gap or an overlap"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678", "a gap or an overlap"},
		{`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, "", "impossible shape"},
		{`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}`, "12345678", "impossible shape"},
		{`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "12345678", "4 bytes after its last tensor"},
		{`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, "12345678", "truncated"},
		{`{"a":7}`, "", "damaged"},
		{`[]`, "", "no JSON object"},
		{`{"a":{"dtype":"F32"`, "", "damaged"},
	} {
		file := binary.LittleEndian.AppendUint64(nil, uint64(len(c.header)))
		file = append(append(file, c.header...), c.data...)
		_, _, err := eligen.ReadTensorHeader(bytes.NewReader(file), int64(len(file)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.header, err, c.want)
		}
	}
	long := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	if _, _, err := eligen.ReadTensorHeader(bytes.NewReader(long), 8); err == nil || !strings.Contains(err.Error(), "not a safetensors file") {
		t.Errorf("a header of 2⁶⁴ bytes: %v", err)
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
		got, err := eligen.Floats(c.dtype, binary.LittleEndian.AppendUint16(nil, c.bits))
		if err != nil || got[0] != c.want {
			t.Errorf("%s %#04x is %v (%v), want %v", c.dtype, c.bits, got, err, c.want)
		}
	}
	if inf, _ := eligen.Floats("F16", []byte{0, 0x7c}); !math.IsInf(float64(inf[0]), 1) {
		t.Errorf("F16 infinity is %v", inf)
	}
	// To nearest, ties to even.
	for f, want := range map[float32]uint16{1: 0x3f80, 1.00390625: 0x3f80, 1.01171875: 0x3f82, -1: 0xbf80, 3.1415927: 0x4049} {
		if got := eligen.BFloat16(f); got != want {
			t.Errorf("%v rounds to %#04x, want %#04x", f, got, want)
		}
	}
}
