package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/quant"
	"github.com/eligen/eligen/model/rows"
)

// A Store holds a loader's weights on a backend, each from the first time that
// a graph wants it.
type Store struct {
	backend compute.Backend
	loader  lora.Loader
	dtype   dtypes.DType
	shapes  map[string][]int
	stored  map[string]string // dtypes in the file
	bytes   map[string]int64  // that they take there
	held    map[string]*tensors.Tensor

	streaming *streaming // nil: all that a graph wants stays
	packing   sync.Mutex
	packed    map[string]quant.Tensor // as files store them

	integers string // what tells graphs over weights in integers from others

	Loaded int // weights, so far

	// Of unmerged LoRAs, as lora.Beside has them.
	scales []float32
	beside string // what tells graphs with these factors from others
}

// NewStore makes a store of weights in a dtype, whatever dtype they are stored
// in. It reads nothing yet.
func NewStore(backend compute.Backend, l lora.Loader, dtype dtypes.DType) *Store {
	s := &Store{backend: backend, loader: l, dtype: dtype, shapes: map[string][]int{}, stored: map[string]string{},
		bytes: map[string]int64{}, held: map[string]*tensors.Tensor{}, packed: map[string]quant.Tensor{}}
	var integers strings.Builder
	for _, t := range l.Tensors() {
		s.bytes[t.Name] = t.Size
		if s.shapes[t.Name], s.stored[t.Name] = t.Shape, t.DType; s.isIntegers(t.Name) {
			fmt.Fprintf(&integers, "%s %s\n", t.Name, t.DType)
		}
	}
	if integers.Len() > 0 {
		s.integers = string(eligen.DigestOf([]byte(integers.String())))
	}
	return s
}

// Scale sets how strongly the LoRAs act whose factors the loader has, by lora.Beside,
// from the next run on. There must be as many scales as there were layers.
func (s *Store) Scale(scales ...float32) error {
	if slices.Equal(scales, s.scales) {
		return nil
	}
	if len(scales) != len(s.scales) {
		var b strings.Builder
		for _, t := range s.loader.Tensors() {
			if lora.IsBeside(t.Name) {
				fmt.Fprintf(&b, "%s %v\n", t.Name, t.Shape)
			}
		}
		s.beside = string(eligen.DigestOf([]byte(b.String())))
	}
	s.scales = slices.Clone(scales)
	if t := s.held[scalesName]; t != nil {
		delete(s.held, scalesName)
		return t.FinalizeAll()
	}
	return nil
}

// scalesName names the scales among the weights, whose input to a graph
// they are, too.
const scalesName = "scales of LoRAs"

// Bytes returns the memory that the weights now take.
func (s *Store) Bytes() int64 {
	var n int64
	for _, t := range s.held {
		n += t.ByteSize()
	}
	return n + s.packedBytes()
}

// Whole returns how many bytes all weights would take.
func (s *Store) Whole() int64 {
	var n int64
	for name := range s.shapes {
		n += int64(s.shape(name).ByteSize())
	}
	return n
}

// shape returns how a weight lies on the backend: integers and their scales keep their dtypes.
func (s *Store) shape(name string) shapes.Shape {
	shape := s.shapes[name]
	if s.isIntegers(name) {
		n, _ := rows.Columns(s.stored[name], shape[1])
		return shapes.Make(dtypes.Int8, shape[0], n)
	}
	if weight, ok := strings.CutSuffix(name, rows.Scale("")); ok && s.isIntegers(weight) {
		return shapes.Make(dtypes.Float32, shape...)
	}
	return shapes.Make(s.dtype, shape...)
}

func (s *Store) isIntegers(name string) bool {
	_, ok := rows.Columns(s.stored[name], 0)
	return ok && len(s.shapes[name]) == 2
}

// Release frees all weights. A graph that needs one loads it again.
func (s *Store) Release() error {
	err := s.Settle()
	s.packing.Lock()
	if len(s.packed) > 0 {
		clear(s.packed)
		defer debug.FreeOSMemory() // they are gigabytes, of Go's own
	}
	s.packing.Unlock()
	return errors.Join(err, s.ReleaseExcept(func(string) bool { return false }))
}

// ReleaseExcept frees the weights whose names keep doesn't want.
func (s *Store) ReleaseExcept(keep func(name string) bool) (err error) {
	for name, t := range s.held {
		if !keep(name) {
			err = errors.Join(err, t.FinalizeAll())
			delete(s.held, name)
		}
	}
	trim()
	return err
}

// load brings weights onto the backend, several at a time.
func (s *Store) load(names []string) error {
	var missing []string
	for _, n := range names {
		if s.held[n] == nil {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	trim() // what other graphs left, before more comes
	loaded, err := s.loadAll(missing, func(name string) (*tensors.Tensor, error) {
		if name == scalesName {
			return tensors.FromFlatDataAndDimensions(s.scales, len(s.scales)), nil
		}
		return s.loadTensor(name)
	})
	for i, t := range loaded {
		if t != nil {
			s.held[missing[i]] = t
			s.Loaded++
		}
	}
	return err
}

// loadAll loads weights, several at a time. Some may be there where others failed.
func (s *Store) loadAll(names []string, load func(name string) (*tensors.Tensor, error)) ([]*tensors.Tensor, error) {
	loaded, errs := make([]*tensors.Tensor, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(len(names), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				loaded[i], errs[i] = load(names[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return loaded, err // what ails one tensor of a file ails hundreds
		}
	}
	return loaded, nil
}

// chunk is the number of elements that are converted at a time.
const chunk = 1 << 16

// loadTensor reads a tensor straight into the memory that the backend computes
// from: no second copy is made, neither in the file's dtype nor in the wanted.
func (s *Store) loadTensor(name string) (*tensors.Tensor, error) { return s.loadFrom(name, s.loader) }

// A source gives a tensor's numbers, or its bytes, as a loader does.
type source interface {
	Floats(name string, from int, dst []float32) error
	Bytes(name string, dst []byte) (ok bool, err error)
}

func (s *Store) loadFrom(name string, from source) (t *tensors.Tensor, err error) {
	defer panics.Catch("reading tensor "+name, &err)
	t, err = tensors.FromShapeForBackend(s.backend, 0, s.shape(name))
	if err != nil {
		return nil, err
	}
	var failed error
	err = t.MutableBytes(func(b []byte) { failed = s.fill(name, from, b) })
	if err = errors.Join(failed, err); err != nil {
		return nil, errors.Join(err, t.FinalizeAll())
	}
	if !s.backend.HasSharedBuffers() {
		err = t.ToDevice(s.backend, 0)
	}
	return t, err
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// asStored are the dtypes that a file's bytes can be taken as they are for.
var asStored = map[string]dtypes.DType{"F32": dtypes.Float32, "BF16": dtypes.BFloat16, "int8 rows": dtypes.Int8,
	"int4 rows": dtypes.Int8}

// fill reads a tensor into memory of a dtype: as it is stored, where that is the dtype.
func (s *Store) fill(name string, from source, b []byte) error {
	dtype := s.shape(name).DType
	if (littleEndian || dtype == dtypes.Int8) && asStored[s.stored[name]] == dtype {
		if ok, err := from.Bytes(name, b); ok || err != nil {
			return err
		}
	}
	switch dtype {
	case dtypes.Float32:
		return fillFloat32(from, name, b)
	case dtypes.BFloat16:
		return fillBFloat16(from, name, b)
	}
	return fmt.Errorf("weights can't be computed in %s", dtype)
}

func fillFloat32(l source, name string, b []byte) error {
	f := make([]float32, min(chunk, len(b)/4))
	for at := 0; at < len(b)/4; at += len(f) {
		f = f[:min(len(f), len(b)/4-at)]
		if err := l.Floats(name, at, f); err != nil {
			return err
		}
		for i, x := range f {
			binary.NativeEndian.PutUint32(b[4*(at+i):], math.Float32bits(x))
		}
	}
	return nil
}

func fillBFloat16(l source, name string, b []byte) error {
	f := make([]float32, min(chunk, len(b)/2))
	for at := 0; at < len(b)/2; at += len(f) {
		f = f[:min(len(f), len(b)/2-at)]
		if err := l.Floats(name, at, f); err != nil {
			return err
		}
		for i, x := range f {
			binary.NativeEndian.PutUint16(b[2*(at+i):], tensor.BFloat16(x))
		}
	}
	return nil
}
