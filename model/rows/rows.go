// Package rows holds matrices in 8 or 4 bits a number with one scale a row, which a linear layer
// applies after its product: no copy of a matrix in floats is made.
package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
)

// A Form is how many bits a number has: "int8" or "int4".
type Form string

// The forms.
const (
	Int8 Form = "int8"
	Int4 Form = "int4"
)

// Parse returns the form of a dtype's name; "" of any other dtype.
func Parse(dtype string) Form {
	if f := Form(dtype); f == Int8 || f == Int4 {
		return f
	}
	return ""
}

// columns returns how many bytes a row of so many numbers takes; 0 where it can't be held.
func (f Form) columns(in int) int {
	if f == Int4 {
		if in%2 != 0 {
			return 0
		}
		return in / 2
	}
	return in
}

// Quantise writes a row of numbers as integers to dst, of the form's bytes, and returns the scale
// that they are to be multiplied by. Int8 has the row's largest number at 127. Int4 has sixteen
// levels, the odd numbers q·2 + 1 from −15 to 15, and the scale that leaves the smallest square
// error: numbers far out are cut for the sake of the others. Of two 4-bit numbers in a byte, the
// lower bits are of the row's first half.
func (f Form) Quantise(dst []byte, row []float32) (scale float32) {
	if f == Int4 {
		return quantise4(dst, row)
	}
	most := largest(row)
	if most == 0 {
		clear(dst)
		return 0
	}
	scale = most / 127
	inverse := 127 / most
	for i, x := range row {
		dst[i] = byte(round(x*inverse, 127))
	}
	return scale
}

func largest(row []float32) (most float32) {
	for _, x := range row {
		most = max(most, x, -x)
	}
	return most
}

// round returns the nearest integer to x within ±most.
func round(x, most float32) int8 {
	if x >= 0 {
		return int8(min(x, most) + 0.5)
	}
	return int8(max(x, -most) - 0.5)
}

// refinements is how often the scale of int4 is fitted to what its integers stand for. The error
// no longer changes in its third digit then.
const refinements = 4

func quantise4(dst []byte, row []float32) float32 {
	most := largest(row)
	if most == 0 {
		clear(dst)
		return 0
	}
	var squares float64
	for _, x := range row {
		squares += float64(x) * float64(x)
	}
	// The best step for numbers of a normal distribution is 0.335 of its deviation.
	scale := min(most/15, 0.335/2*float32(math.Sqrt(squares/float64(len(row)))))
	for range refinements {
		inverse := 1 / scale
		var product, square float64
		for _, x := range row {
			q := odd(x * inverse)
			product, square = product+float64(x)*float64(q), square+float64(q*q)
		}
		scale = float32(product / square)
	}
	inverse, half := 1/scale, len(dst)
	for i := range dst {
		dst[i] = byte(odd(row[i]*inverse)>>1)&15 | byte(odd(row[half+i]*inverse)>>1)<<4
	}
	return scale
}

// odd returns the nearest odd number to x within ±15.
func odd(x float32) int {
	return int(min(max(x, -16), 15.5)+16)/2*2 - 15
}

// Dequantise fills dst with the numbers that a row of bytes and its scale stand for.
func (f Form) Dequantise(dst []float32, row []byte, scale float32) {
	if f != Int4 {
		for i, b := range row {
			dst[i] = float32(int8(b)) * scale
		}
		return
	}
	half := len(row)
	for i, b := range row {
		dst[i], dst[half+i] = float32(2*(int8(b<<4)>>4)+1)*scale, float32(2*(int8(b)>>4)+1)*scale
	}
}

// suffix ends the names of the scales.
const suffix = " rows"

// Scale names the scales of a weight, which are a tensor of their own: float32 [out].
func Scale(weight string) string { return weight + suffix }

// dtypes are what a Held's tensors in integers are listed as.
var dtypes = map[Form]string{Int8: "int8 rows", Int4: "int4 rows"}

// Columns returns how many bytes a row of in numbers takes, of a tensor listed as a dtype, and
// whether that is of integers.
func Columns(dtype string, in int) (n int, ok bool) {
	for form, d := range dtypes {
		if d == dtype {
			return form.columns(in), true
		}
	}
	return 0, false
}

// Held is a loader whose chosen matrices are in integers: tensors of dtypes of their own, with their
// scales next to them. All others are as they were. A matrix is made when it is asked for, unless
// the integers are Ready.
type Held struct {
	lora.Loader
	form  Form
	infos []tensor.Info
	of    map[string]matrix // by the weight's name
	ready lora.Loader

	// Prepare, if not nil, is called once, before the first tensor is read. It may find integers that
	// are Ready.
	Prepare func() error
	once    sync.Once
	failed  error

	mu     sync.Mutex
	scales map[string][]float32 // of matrices that were made
}

type matrix struct{ rows, in, bytes int } // bytes a row

// Over returns base with the matrices that which chooses in a form.
func Over(base lora.Loader, form Form, which func(name string) bool) *Held {
	h := &Held{Loader: base, form: form, of: map[string]matrix{}, scales: map[string][]float32{}}
	for _, t := range base.Tensors() {
		if len(t.Shape) != 2 || lora.IsBeside(t.Name) || !which(t.Name) || form.columns(t.Shape[1]) == 0 {
			h.infos = append(h.infos, t)
			continue
		}
		m := matrix{t.Shape[0], t.Shape[1], form.columns(t.Shape[1])}
		h.of[t.Name] = m
		h.infos = append(h.infos,
			tensor.Info{Name: t.Name, DType: dtypes[form], Shape: t.Shape, Size: int64(m.rows) * int64(m.bytes)},
			tensor.Info{Name: Scale(t.Name), DType: "F32", Shape: []int{m.rows}, Size: 4 * int64(m.rows)})
	}
	return h
}

// Tensors lists all tensors as they are held.
func (h *Held) Tensors() []tensor.Info { return h.infos }

// File lists the tensors of a file that the integers are kept in, in order: bytes as "I8", scales
// as "F32".
func (h *Held) File() (list []tensor.Info) {
	for _, t := range h.infos {
		if m, ok := h.of[t.Name]; ok {
			t.DType, t.Shape = "I8", []int{m.rows, m.bytes}
		} else if _, ok := h.weight(t.Name); !ok {
			continue
		}
		list = append(list, t)
	}
	return list
}

// Ready takes integers and scales from a file of them from now on. It must have all of File's
// tensors.
func (h *Held) Ready(from lora.Loader) error {
	have := map[string]tensor.Info{}
	for _, t := range from.Tensors() {
		have[t.Name] = t
	}
	for _, t := range h.File() {
		if got := have[t.Name]; got.DType != t.DType || !slices.Equal(got.Shape, t.Shape) {
			return fmt.Errorf("tensor %q is %s %v, expected %s %v", t.Name, got.DType, got.Shape, t.DType, t.Shape)
		}
	}
	h.ready = from
	return nil
}

// Bytes fills dst with a tensor's bytes.
func (h *Held) Bytes(name string, dst []byte) (bool, error) {
	m, ok := h.of[name]
	_, scales := h.weight(name)
	if ok || scales {
		if err := h.prepare(); err != nil {
			return false, err
		}
	}
	switch {
	case h.ready != nil && (ok || scales):
		return h.ready.Bytes(name, dst)
	case ok:
		return true, h.make(name, m, dst)
	case scales:
		return false, nil
	}
	return h.Loader.Bytes(name, dst)
}

func (h *Held) prepare() error {
	if h.Prepare != nil {
		h.once.Do(func() { h.failed = h.Prepare() })
	}
	return h.failed
}

// weight returns the name of the matrix that a tensor has the scales of.
func (h *Held) weight(name string) (string, bool) {
	if len(name) <= len(suffix) || name[len(name)-len(suffix):] != suffix {
		return "", false
	}
	w := name[:len(name)-len(suffix)]
	_, ok := h.of[w]
	return w, ok
}

// Floats fills dst with a tensor's numbers: of scales, too, but not of integers, which are nothing
// without their scales.
func (h *Held) Floats(name string, from int, dst []float32) error {
	if _, ok := h.of[name]; ok {
		return fmt.Errorf("tensor %q is held as integers. This is a bug in eligen", name)
	}
	w, ok := h.weight(name)
	if !ok {
		return h.Loader.Floats(name, from, dst)
	}
	if err := h.prepare(); err != nil {
		return err
	}
	if h.ready != nil {
		return h.ready.Floats(name, from, dst)
	}
	s, err := h.scale(w)
	if err == nil {
		copy(dst, s[from:])
	}
	return err
}

// scale returns a matrix' scales.
func (h *Held) scale(weight string) ([]float32, error) {
	h.mu.Lock()
	s, ok := h.scales[weight]
	h.mu.Unlock()
	if ok {
		return s, nil
	}
	m := h.of[weight]
	if err := h.make(weight, m, make([]byte, m.rows*m.bytes)); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scales[weight], nil
}

// make quantises a matrix to dst, a few rows at a time.
func (h *Held) make(name string, m matrix, dst []byte) error {
	if len(dst) != m.rows*m.bytes {
		return fmt.Errorf("tensor %q takes %d bytes, not %d", name, m.rows*m.bytes, len(dst))
	}
	scales := make([]float32, m.rows)
	atOnce := max(1, (1<<16)/m.in)
	buffer := make([]float32, atOnce*m.in)
	for row := 0; row < m.rows; row += atOnce {
		n := min(atOnce, m.rows-row)
		if err := h.Loader.Floats(name, row*m.in, buffer[:n*m.in]); err != nil {
			return err
		}
		for i := range n {
			numbers := buffer[i*m.in : (i+1)*m.in]
			if !finite(numbers) {
				return fmt.Errorf("tensor %q, row %d: %w", name, row+i, errNotFinite)
			}
			scales[row+i] = h.form.Quantise(dst[(row+i)*m.bytes:(row+i+1)*m.bytes], numbers)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scales[name] = scales
	return nil
}

// Write writes the bytes of File's tensors in order, several of them made at a time.
func (h *Held) Write(w io.Writer) error {
	list := h.File()
	data, errs := make([][]byte, len(list)), make([]error, len(list))
	atOnce := runtime.GOMAXPROCS(0)
	for from := 0; from < len(list); from += 2 * atOnce { // a matrix and its scales
		part := list[from:min(from+2*atOnce, len(list))]
		var wg sync.WaitGroup
		for i := 0; i < len(part); i += 2 {
			wg.Go(func() {
				name := part[i].Name
				data[from+i] = make([]byte, part[i].Size)
				if errs[from+i] = h.make(name, h.of[name], data[from+i]); errs[from+i] != nil {
					return
				}
				h.mu.Lock()
				scales := h.scales[name]
				h.mu.Unlock()
				for _, s := range scales {
					data[from+i+1] = binary.LittleEndian.AppendUint32(data[from+i+1], math.Float32bits(s))
				}
			})
		}
		wg.Wait()
		for i := range part {
			if errs[from+i] != nil {
				return errs[from+i]
			}
			if _, err := w.Write(data[from+i]); err != nil {
				return err
			}
			data[from+i] = nil
		}
	}
	return nil
}

var errNotFinite = errors.New("it holds a number that isn't finite, which no integer stands for. The file may be damaged: get it anew")

func finite(row []float32) bool {
	for _, x := range row {
		if x-x != 0 { // of infinity and of NaN alone
			return false
		}
	}
	return true
}
