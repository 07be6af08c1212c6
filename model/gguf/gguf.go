// Package gguf finds the tensors in GGUF files, as llama.cpp, stable-diffusion.cpp and ComfyUI's
// users have them, and writes such files.
//
// Source: the format's specification in ggml's repository (docs/gguf.md), version 3.
package gguf

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/quant"
)

// Magic begins such files.
const Magic = "GGUF"

// What a header may claim. A pair or a tensor takes a dozen bytes at least, so that what is
// kept of a header is not much larger than it is.
const (
	maxHeader = 64 << 20 // tokenizers' words are in the headers of text encoders
	maxPairs  = 10_000
	maxText   = 1 << 16 // bytes of a text that is kept
	maxAxes   = 4
	maxKept   = 16 // numbers of an array that is kept
	alignment = 32
)

// Architecture is the key of what the writer calls its model.
const Architecture = "general.architecture"

// types are the names of the types of tensors, by their codes.
var types = map[uint32]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 4: "Q4_2", 5: "Q4_3", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K",
	11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
	20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
	30: "BF16", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
	38: "IQ4_NL_8_8", 39: "MXFP4", 40: "NVFP4",
}

// ErrEnds is the error of a file that ends before all that its header says.
var ErrEnds = errors.New("the file is truncated: it ends")

// Read lists the tensors of a file of a size, in order of offset, and the texts and numbers of its
// metadata. A tensor's DType is the name of its [quant.Format]. It trusts nothing that the file says.
func Read(r io.ReaderAt, size int64) (infos []tensor.Info, metadata map[string]string, err error) {
	limit := min(size, maxHeader)
	h := &header{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, limit), 1<<16), whole: limit == size}
	defer func() {
		if err == nil {
			return
		}
		infos, metadata = nil, nil
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = h.early(size)
		}
	}()
	tensors, pairs, err := h.begin()
	if err != nil {
		return nil, nil, err
	}
	// Less than this no tensor and no pair takes: a number that can't be true is not counted up to.
	if least := 24*int64(tensors) + 13*int64(pairs); least > limit {
		return nil, nil, fmt.Errorf("the header claims %d tensors and %d pairs, which take %d bytes at least; the file has %d",
			tensors, pairs, least, size)
	}
	metadata = map[string]string{}
	for range pairs {
		if err := h.pair(metadata); err != nil {
			return nil, nil, err
		}
	}
	seen := map[string]bool{}
	for range tensors {
		info, err := h.info()
		if err != nil {
			return nil, nil, err
		}
		if seen[info.Name] {
			return nil, nil, fmt.Errorf("tensor %q appears twice in the header", info.Name)
		}
		seen[info.Name] = true
		reshape(&info, metadata)
		infos = append(infos, info)
	}
	align, err := alignmentOf(metadata)
	if err != nil {
		return nil, nil, err
	}
	begin := (h.at + align - 1) / align * align
	return infos, metadata, place(infos, begin, align, size)
}

// A header is read byte by byte, and knows where it is.
type header struct {
	r     *bufio.Reader
	at    int64
	whole bool // the reader ends where the file does
}

// early says that a file ends too soon, or that its header is too long to be believed.
func (h *header) early(size int64) error {
	if !h.whole {
		return fmt.Errorf("the header is longer than %d bytes", maxHeader)
	}
	return fmt.Errorf("%w at byte %d, within its header", ErrEnds, size)
}

// begin reads a file's first bytes.
func (h *header) begin() (tensors, pairs int, err error) {
	magic, err := h.bytes(4)
	if err != nil {
		return 0, 0, err
	}
	if string(magic) != Magic {
		return 0, 0, errors.New("not a GGUF file")
	}
	version, err := h.uint(4)
	if err != nil {
		return 0, 0, err
	}
	switch {
	case version&0xffff == 0:
		return 0, 0, fmt.Errorf("a GGUF file in the other byte order (its version reads as %d): it is for big-endian machines", version)
	case version != 2 && version != 3: // 2 and 3 differ in byte order alone
		return 0, 0, fmt.Errorf("version %d of GGUF; eligen reads 2 and 3", version)
	}
	var n [2]int
	for i, what := range []string{"tensors", "pairs of metadata"} {
		x, err := h.uint(8)
		if err != nil {
			return 0, 0, err
		}
		if most := []uint64{tensor.MaxTensors, maxPairs}[i]; x > most {
			return 0, 0, fmt.Errorf("the header claims %d %s (the limit is %d)", x, what, most)
		}
		n[i] = int(x)
	}
	return n[0], n[1], nil
}

func (h *header) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	k, err := io.ReadFull(h.r, b)
	h.at += int64(k)
	return b, err
}

// uint reads a number of so many bytes.
func (h *header) uint(n int) (x uint64, err error) {
	for i := range n {
		b, err := h.r.ReadByte()
		if err != nil {
			return 0, err
		}
		x |= uint64(b) << (8 * i)
	}
	h.at += int64(n)
	return x, nil
}

// skip passes over bytes.
func (h *header) skip(n uint64) error {
	if n > maxHeader {
		return io.ErrUnexpectedEOF
	}
	k, err := h.r.Discard(int(n))
	h.at += int64(k)
	return err
}

// text reads a text: of a name or a key, no longer than most.
func (h *header) text(what string, most int) (string, error) {
	n, err := h.uint(8)
	if err != nil {
		return "", err
	}
	if n > uint64(most) {
		return "", fmt.Errorf("the header is damaged: %s of %d bytes", what, n)
	}
	b, err := h.bytes(int(n))
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("the header is damaged: %s is not valid UTF-8", what)
	}
	return string(b), nil
}

// The types of metadata that are no plain numbers.
const (
	typeString = 8
	typeArray  = 9
)

// widths are the bytes of the other types.
var widths = map[uint64]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

// pair reads a key and its value, and keeps texts, numbers and short lists of numbers.
func (h *header) pair(metadata map[string]string) error {
	key, err := h.text("a key", 1<<12)
	if err != nil {
		return err
	}
	kind, err := h.uint(4)
	if err != nil {
		return err
	}
	switch kind {
	case typeArray:
		return h.array(key, metadata)
	case typeString:
		n, err := h.uint(8)
		if err != nil {
			return err
		}
		if n > maxText { // a license, a template
			return h.skip(n)
		}
		b, err := h.bytes(int(n))
		if err == nil {
			metadata[key] = strings.ToValidUTF8(string(b), "�")
		}
		return err
	}
	x, err := h.number(key, kind)
	if err == nil {
		metadata[key] = x
	}
	return err
}

func (h *header) number(key string, kind uint64) (string, error) {
	width, ok := widths[kind]
	if !ok {
		return "", fmt.Errorf("the header is damaged: %q has a value of the unknown type %d", key, kind)
	}
	x, err := h.uint(width)
	if err != nil {
		return "", err
	}
	switch kind {
	case 6:
		return fmt.Sprint(math.Float32frombits(uint32(x))), nil
	case 12:
		return fmt.Sprint(math.Float64frombits(x)), nil
	case 1, 3, 5, 11:
		shift := 64 - 8*width
		return fmt.Sprint(int64(x<<shift) >> shift), nil
	}
	return fmt.Sprint(x), nil
}

// array reads a list.
func (h *header) array(key string, metadata map[string]string) error {
	kind, err := h.uint(4)
	if err != nil {
		return err
	}
	n, err := h.uint(8)
	if err != nil {
		return err
	}
	switch width, ok := widths[kind]; {
	case kind == typeString:
		for range n { // each takes 8 bytes, of a header that is bounded
			length, err := h.uint(8)
			if err != nil {
				return err
			}
			if err := h.skip(length); err != nil {
				return err
			}
		}
		return nil
	case !ok:
		return fmt.Errorf("the header is damaged: %q is a list of the type %d", key, kind)
	case n > maxKept:
		if n > maxHeader {
			return io.ErrUnexpectedEOF
		}
		return h.skip(n * uint64(width))
	}
	var list []string
	for range n {
		x, err := h.number(key, kind)
		if err != nil {
			return err
		}
		list = append(list, x)
	}
	metadata[key] = strings.Join(list, " ")
	return nil
}

// info reads one tensor's entry. Its offset is from the start of the data.
func (h *header) info() (t tensor.Info, err error) {
	if t.Name, err = h.text("a tensor's name", 1<<10); err != nil {
		return t, err
	}
	axes, err := h.uint(4)
	if err != nil {
		return t, err
	}
	if axes > maxAxes {
		return t, fmt.Errorf("tensor %q: impossible number of axes: %d", t.Name, axes)
	}
	t.Shape = make([]int, axes)
	elements := int64(1)
	for i := range axes { // the fastest first
		n, err := h.uint(8)
		if err != nil {
			return t, err
		}
		if n > math.MaxInt64/16 || n > 0 && elements > math.MaxInt64/16/int64(n) {
			return t, fmt.Errorf("tensor %q: impossible shape", t.Name)
		}
		t.Shape[axes-1-i], elements = int(n), elements*int64(n)
	}
	code, err := h.uint(4)
	if err != nil {
		return t, err
	}
	offset, err := h.uint(8)
	if err != nil {
		return t, err
	}
	if offset > math.MaxInt64/4 {
		return t, fmt.Errorf("tensor %q: impossible offset %d", t.Name, offset)
	}
	t.Offset = int64(offset)
	t.DType = types[uint32(code)]
	f, ok := quant.Of(t.DType)
	switch {
	case t.DType == "":
		return t, fmt.Errorf("tensor %q has the type %d, which eligen doesn't know", t.Name, code)
	case !ok:
		return t, fmt.Errorf("tensor %q is %s; eligen reads %s of GGUF's types", t.Name, t.DType, readable())
	case axes > 0 && t.Shape[axes-1]%f.Elements != 0 || axes == 0 && f.Elements > 1:
		return t, fmt.Errorf("tensor %q: rows of %v are not whole blocks of %s, %d each", t.Name, t.Shape, t.DType, f.Elements)
	}
	t.Size = f.Size(int(elements))
	return t, nil
}

// readable lists the types that are read.
func readable() string {
	var list []string
	for _, code := range slices.Sorted(maps.Keys(types)) {
		if f, ok := quant.Of(types[code]); ok && quant.IsWeight(f.Name) {
			list = append(list, f.Name)
		}
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// reshape gives a tensor the shape that it had before its rows were made whole blocks, as ComfyUI's
// converter notes it.
func reshape(t *tensor.Info, metadata map[string]string) {
	note, ok := metadata["comfy.gguf.orig_shape."+t.Name]
	if !ok {
		return
	}
	shape, elements := []int{}, 1
	for _, s := range strings.Fields(note) {
		var n int
		if _, err := fmt.Sscan(s, &n); err != nil || n < 0 || n > 0 && elements > math.MaxInt32*64/n {
			return
		}
		shape, elements = append(shape, n), elements*n
	}
	have := 1
	for _, n := range t.Shape {
		have *= n
	}
	if have == elements {
		t.Shape = shape
	}
}

func alignmentOf(metadata map[string]string) (int64, error) {
	text, ok := metadata["general.alignment"]
	if !ok {
		return alignment, nil
	}
	var n int64
	if _, err := fmt.Sscan(text, &n); err != nil || n < 1 || n > 1<<20 || n&(n-1) != 0 {
		return 0, fmt.Errorf("the header is damaged: general.alignment is %q, no power of two", text)
	}
	return n, nil
}

// place makes offsets those in the file, sorts by them, and checks that tensors don't overlap and are there.
func place(infos []tensor.Info, begin, align, size int64) error {
	for i := range infos {
		if infos[i].Offset%align != 0 {
			return fmt.Errorf("tensor %q starts at byte %d of the data, no multiple of %d", infos[i].Name, infos[i].Offset, align)
		}
		infos[i].Offset += begin
	}
	slices.SortStableFunc(infos, func(a, b tensor.Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	at := begin
	for _, t := range infos {
		if t.Offset < at {
			return fmt.Errorf("tensor %q starts at byte %d, and the one before it ends at %d: they overlap", t.Name, t.Offset, at)
		}
		at = t.Offset + t.Size
		if at > size {
			return fmt.Errorf("%w at byte %d, and tensor %q at %d", ErrEnds, size, t.Name, at)
		}
	}
	return nil
}

// Header returns a file up to its data, which follows in the order of tensors, each at a multiple of 32
// bytes from the first: names, types, shapes and sizes say it all, and offsets are not looked at. Texts
// are the metadata, in order of key.
func Header(metadata map[string]string, tensors []tensor.Info) ([]byte, error) {
	codes := map[string]uint32{}
	for code, name := range types {
		codes[name] = code
	}
	b := []byte(Magic)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(metadata)))
	text := func(s string) { b = append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...) }
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		text(k)
		b = binary.LittleEndian.AppendUint32(b, typeString)
		text(metadata[k])
	}
	var at int64
	for _, t := range tensors {
		code, ok := codes[t.DType]
		if !ok || len(t.Shape) > maxAxes || len(t.Name) > 1<<10 {
			return nil, fmt.Errorf("tensor %q %s%v can't be in a GGUF file", t.Name, t.DType, t.Shape)
		}
		text(t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(max(1, len(t.Shape))))
		for _, n := range slices.Backward(t.Shape) {
			b = binary.LittleEndian.AppendUint64(b, uint64(n))
		}
		if len(t.Shape) == 0 {
			b = binary.LittleEndian.AppendUint64(b, 1)
		}
		b = binary.LittleEndian.AppendUint32(b, code)
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		at += Padded(t.Size)
	}
	return append(b, make([]byte, Padded(int64(len(b)))-int64(len(b)))...), nil
}

// Padded returns the bytes that so many take up in a file.
func Padded(n int64) int64 { return (n + alignment - 1) / alignment * alignment }
