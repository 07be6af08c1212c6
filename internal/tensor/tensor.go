// Package tensor reads and writes tensors of plain numbers, as safetensors files.
package tensor

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Tensor is plain float32 numbers, row-major, so that a result can be a file.
type Tensor struct {
	Shape []int
	Data  []float32
}

// New returns a zero tensor of a shape.
func New(shape ...int) Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return Tensor{shape, make([]float32, n)}
}

// Limits of a safetensors file (the format's own limit on the header is 100 MB;
// no FLUX file comes near ours).
const (
	MaxHeader  = 8 << 20
	MaxTensors = 20_000
)

// Info is one entry of a safetensors header.
type Info struct {
	Name   string
	DType  string // F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL F8_E4M3 F8_E5M2 …; blocks by the names of package model/quant
	Shape  []int
	Offset int64 // from the start of the file
	Size   int64 // bytes
}

// SizeOf returns the bytes of an element of a dtype that a header may name, or 0.
func SizeOf(dtype string) int { return int(dtypeSize[dtype]) }

// dtypeSize is the bytes of one element of each dtype that is accepted.
var dtypeSize = map[string]int64{
	"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
	"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}

// ReadHeader reads and checks a safetensors header: sizes, types, shapes,
// gaps and overlaps, against the file's size in bytes. It returns entries in order
// of offset. It trusts nothing in the file.
func ReadHeader(r io.Reader, size int64) (infos []Info, metadata map[string]string, err error) {
	raw, err := readRaw(r, size)
	if err != nil {
		return nil, nil, err
	}
	// A decoder over tokens, since a map would hide duplicate names.
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') || raw[0] != '{' {
		return nil, nil, fmt.Errorf("the safetensors header is no JSON object")
	}
	begin := 8 + int64(len(raw))
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("the safetensors header is damaged: %w", err)
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %q appears twice in the header", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if metadata, err = readTensorMetadata(dec); err != nil {
				return nil, nil, fmt.Errorf("the metadata of the safetensors header is damaged: %w", err)
			}
			continue
		}
		info, err := readInfo(dec, name, begin)
		if err != nil {
			return nil, nil, err
		}
		infos = append(infos, info)
		if len(infos) > MaxTensors {
			return nil, nil, fmt.Errorf("more than %d tensors", MaxTensors)
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return nil, nil, fmt.Errorf("the safetensors header is damaged: it does not end")
	}
	// Other readers refuse what follows, unless it is padding.
	if rest := bytes.TrimLeft(raw[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, nil, fmt.Errorf("the safetensors header is damaged: %d bytes follow its last brace", len(rest))
	}
	if err := contiguous(infos, begin, size); err != nil {
		return nil, nil, err
	}
	return infos, metadata, nil
}

// readRaw reads a header's length and its JSON.
func readRaw(r io.Reader, size int64) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("not a safetensors file: it has %d bytes, fewer than the 8 of the header's length", size)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > MaxHeader {
		return nil, fmt.Errorf("not a safetensors file, or a damaged one: the header claims %d bytes (the limit is %d)", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("truncated: the header claims %d bytes, the file has %d", n, size)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("truncated in the header: %w", err)
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("the safetensors header is damaged: it is not valid UTF-8")
	}
	return raw, nil
}

// readInfo reads one tensor's entry and checks it by itself. begin is the offset of the
// data in the file.
func readInfo(dec *json.Decoder, name string, begin int64) (Info, error) {
	e, err := readTensorEntry(dec)
	if err != nil {
		return Info{}, fmt.Errorf("tensor %q: the header is damaged: %w", name, err)
	}
	want, ok := dtypeSize[e.DType]
	if !ok {
		return Info{}, fmt.Errorf("tensor %q: unknown dtype %q", name, e.DType)
	}
	shape := make([]int, len(e.Shape))
	for i, d := range e.Shape {
		if d < 0 || (d > 0 && want > math.MaxInt64/8/d) {
			return Info{}, fmt.Errorf("tensor %q: impossible shape %v", name, e.Shape)
		}
		want *= d
		shape[i] = int(d)
	}
	if len(e.DataOffsets) != 2 || e.DataOffsets[0] < 0 || e.DataOffsets[1] < e.DataOffsets[0] {
		return Info{}, fmt.Errorf("tensor %q: impossible offsets %v", name, e.DataOffsets)
	}
	got := e.DataOffsets[1] - e.DataOffsets[0]
	if got != want {
		return Info{}, fmt.Errorf("tensor %q: %s%v takes %d bytes, the header gives it %d", name, e.DType, shape, want, got)
	}
	return Info{name, e.DType, shape, begin + e.DataOffsets[0], got}, nil
}

// contiguous sorts tensors by offset and checks that they fill the file from begin on.
func contiguous(infos []Info, begin, size int64) error {
	slices.SortStableFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	at := begin
	for _, t := range infos {
		if t.Offset != at {
			return fmt.Errorf("tensor %q starts at byte %d, expected %d: the file has a gap or an overlap", t.Name, t.Offset, at)
		}
		at += t.Size
		if at > size {
			return fmt.Errorf("truncated: tensor %q ends at byte %d, the file has %d", t.Name, at, size)
		}
	}
	if at != size {
		return fmt.Errorf("the file has %d bytes after its last tensor", size-at)
	}
	return nil
}

// A tensorEntry is a tensor's entry in a safetensors header.
type tensorEntry struct {
	DType       string  `json:"dtype"`
	Shape       []int64 `json:"shape"`
	DataOffsets []int64 `json:"data_offsets"`
}

// readTensorEntry reads an entry as strictly as the format's own library: package json
// alone takes keys in any case, and null for a list.
func readTensorEntry(dec *json.Decoder) (e tensorEntry, err error) {
	var fields map[string]json.RawMessage
	if err := dec.Decode(&fields); err != nil {
		return e, err
	}
	for _, f := range []struct {
		name string
		to   any
	}{{"dtype", &e.DType}, {"shape", &e.Shape}, {"data_offsets", &e.DataOffsets}} {
		switch text, ok := fields[f.name]; {
		case !ok:
			return e, fmt.Errorf("it has no %s", f.name)
		case string(text) == "null" && f.name == "shape":
			return e, errors.New("its shape is null. The shape of a single number is []; eligen 0.1 wrote null for a LoRA's alphas: write that " +
				"file again")
		case string(text) == "null":
			return e, fmt.Errorf("its %s is null", f.name)
		default:
			if err := json.Unmarshal(text, f.to); err != nil {
				return e, fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return e, nil
}

// readTensorMetadata reads a map from text to text.
func readTensorMetadata(dec *json.Decoder) (map[string]string, error) {
	var values map[string]*string
	if err := dec.Decode(&values); err != nil {
		return nil, err
	}
	metadata := map[string]string{}
	for key, v := range values {
		if v == nil {
			return nil, fmt.Errorf("%q is null, no text", key)
		}
		metadata[key] = *v
	}
	return metadata, nil
}

// Header returns a safetensors file up to its data, which follows in the order of
// tensors: their names, dtypes, shapes and sizes say it all, and offsets are not looked
// at. What no reader could read is an error.
func Header(metadata map[string]string, tensors []Info) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	comma := ""
	if len(metadata) > 0 {
		m, err := json.Marshal(metadata) // sorts keys: same bytes every time
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `"__metadata__":%s`, m)
		comma = ","
	}
	var at int64
	for _, t := range tensors {
		if !utf8.ValidString(t.Name) || t.Name == "__metadata__" {
			return nil, fmt.Errorf("tensor %q has a name that safetensors can't have", t.Name)
		}
		name, _ := json.Marshal(t.Name)
		shape, _ := json.Marshal(append([]int{}, t.Shape...)) // a nil shape is a number's
		fmt.Fprintf(&b, `%s%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, comma, name, t.DType, shape, at, at+t.Size)
		at += t.Size
		comma = ","
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.Bytes()...)
	if _, _, err := ReadHeader(bytes.NewReader(head), int64(len(head))+at); err != nil {
		return nil, err
	}
	return head, nil
}

// Named is an entry of a file of tensors.
type Named struct {
	Name string
	Tensor
}

// Write writes float32 tensors as a safetensors file, in the order given.
func Write(w io.Writer, metadata map[string]string, tensors ...Named) error {
	infos := make([]Info, len(tensors))
	for i, t := range tensors {
		infos[i] = Info{Name: t.Name, DType: "F32", Shape: t.Shape, Size: 4 * int64(len(t.Data))}
	}
	buf, err := Header(metadata, infos)
	if err != nil {
		return err
	}
	if _, err := w.Write(buf); err != nil {
		return err
	}
	for _, t := range tensors {
		buf = buf[:0]
		for _, x := range t.Data {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// Read reads a whole safetensors file of tensors that [Floats] reads; small
// files only: weights are read in slices by package model.
func Read(data []byte) (map[string]Tensor, error) {
	infos, _, err := ReadHeader(strings.NewReader(string(data[:min(len(data), MaxHeader+8)])), int64(len(data)))
	if err != nil {
		return nil, err
	}
	out := map[string]Tensor{}
	for _, t := range infos {
		f, err := Floats(t.DType, data[t.Offset:t.Offset+t.Size])
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		out[t.Name] = Tensor{t.Shape, f}
	}
	return out, nil
}

// ReadFile reads a file as Read does.
func ReadFile(path string) (map[string]Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Floats converts little-endian elements of a safetensors dtype to float32: of all
// floating-point types, and of integers, which beyond 2²⁴ are rounded.
func Floats(dtype string, b []byte) ([]float32, error) {
	size, known := dtypeSize[dtype]
	if !known {
		size = 1 // of what Fill refuses
	}
	out := make([]float32, len(b)/int(size))
	if err := Fill(out, dtype, b); err != nil {
		return nil, err
	}
	return out, nil
}

// Fill converts as [Floats] does, into a slice, whose length says how many elements b has
// at least.
func Fill(out []float32, dtype string, b []byte) error {
	size, known := dtypeSize[dtype]
	if !known || !IsFloat(dtype) && integers[dtype] == nil {
		return fmt.Errorf("eligen reads no numbers of dtype %s", dtype)
	}
	switch dtype {
	case "F64":
		for i := range out {
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	case "F32":
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case "F16":
		for i := range out {
			out[i] = halfToFloat(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case "BF16":
		for i := range out {
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	case "F8_E4M3", "F8_E5M2":
		table := &e4m3
		if dtype == "F8_E5M2" {
			table = &e5m2
		}
		for i := range out {
			out[i] = table[b[i]]
		}
	default:
		number := integers[dtype]
		for i := range out {
			out[i] = number(b[i*int(size):])
		}
	}
	return nil
}

// IsFloat reports whether a dtype is a floating-point type that [Floats] reads: one
// that weights may have.
func IsFloat(dtype string) bool {
	return slices.Contains([]string{"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}, dtype)
}

// integers reads the first element of some bytes.
var integers = map[string]func(b []byte) float32{
	"I64": func(b []byte) float32 { return float32(int64(binary.LittleEndian.Uint64(b))) },
	"I32": func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) },
	"I16": func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) },
	"I8":  func(b []byte) float32 { return float32(int8(b[0])) },
	"U8":  func(b []byte) float32 { return float32(b[0]) },
}

// e4m3 is every F8_E4M3: a sign, 4 bits of exponent with bias 7, 3 of mantissa; no
// infinity, and one not-a-number a sign.
var e4m3 = func() (table [256]float32) {
	for i := range table {
		exp, man := i>>3&15, float64(i&7)
		x := math.Ldexp(8+man, exp-10)
		switch {
		case i&0x7f == 0x7f:
			x = math.NaN()
		case exp == 0:
			x = math.Ldexp(man, -9)
		}
		if table[i] = float32(x); i > 127 {
			table[i] = -table[i]
		}
	}
	return table
}()

// e5m2 is every F8_E5M2: the upper half of a float16.
var e5m2 = func() (table [256]float32) {
	for i := range table {
		table[i] = halfToFloat(uint16(i) << 8)
	}
	return table
}()

// BFloat16 rounds to nearest even, as PyTorch does.
func BFloat16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + (b>>16)&1) >> 16)
}

func halfToFloat(h uint16) float32 {
	sign, exp, man := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exp {
	case 0:
		f := float32(man) / (1 << 24)
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | man<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}
