package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
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
)

// A Store holds a loader's weights on a backend, each from the first time that
// a graph wants it.
type Store struct {
	backend compute.Backend
	loader  lora.Loader
	dtype   dtypes.DType
	shapes  map[string][]int
	stored  map[string]string // dtypes in the file
	held    map[string]*tensors.Tensor

	Loaded int // weights, so far

	// Of unmerged LoRAs, as lora.Beside has them.
	scales []float32
	beside string // what tells graphs with these factors from others
}

// NewStore makes a store of weights in a dtype, whatever dtype they are stored
// in. It reads nothing yet.
func NewStore(backend compute.Backend, l lora.Loader, dtype dtypes.DType) *Store {
	s := &Store{backend: backend, loader: l, dtype: dtype, shapes: map[string][]int{}, stored: map[string]string{},
		held: map[string]*tensors.Tensor{}}
	for _, t := range l.Tensors() {
		s.shapes[t.Name], s.stored[t.Name] = t.Shape, t.DType
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
	return n
}

// Whole returns how many bytes all weights would take.
func (s *Store) Whole() int64 {
	var n int64
	for _, shape := range s.shapes {
		n += int64(shapes.Make(s.dtype, shape...).ByteSize())
	}
	return n
}

// Release frees all weights. A graph that needs one loads it again.
func (s *Store) Release() error {
	return s.ReleaseExcept(func(string) bool { return false })
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
	loaded := make([]*tensors.Tensor, len(missing))
	errs := make([]error, len(missing))
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(len(missing), runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				if missing[i] == scalesName {
					loaded[i] = tensors.FromFlatDataAndDimensions(s.scales, len(s.scales))
					continue
				}
				loaded[i], errs[i] = s.loadTensor(missing[i])
			}
		}()
	}
	for i := range missing {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, t := range loaded {
		if t != nil {
			s.held[missing[i]] = t
			s.Loaded++
		}
	}
	for _, err := range errs {
		if err != nil {
			return err // what ails one tensor of a file ails hundreds
		}
	}
	return nil
}

// chunk is the number of elements that are converted at a time.
const chunk = 1 << 16

// loadTensor reads a tensor straight into the memory that the backend computes
// from: no second copy is made, neither in the file's dtype nor in the wanted.
func (s *Store) loadTensor(name string) (t *tensors.Tensor, err error) {
	defer panics.Catch("reading tensor "+name, &err)
	t, err = tensors.FromShapeForBackend(s.backend, 0, shapes.Make(s.dtype, s.shapes[name]...))
	if err != nil {
		return nil, err
	}
	var failed error
	err = t.MutableBytes(func(b []byte) { failed = s.fill(name, b) })
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
var asStored = map[string]dtypes.DType{"F32": dtypes.Float32, "BF16": dtypes.BFloat16}

// fill reads a tensor into memory of a dtype: as it is stored, where that is the dtype.
func (s *Store) fill(name string, b []byte) error {
	if littleEndian && asStored[s.stored[name]] == s.dtype {
		if ok, err := s.loader.Bytes(name, b); ok || err != nil {
			return err
		}
	}
	switch s.dtype {
	case dtypes.Float32:
		return fillFloat32(s.loader, name, b)
	case dtypes.BFloat16:
		return fillBFloat16(s.loader, name, b)
	}
	return fmt.Errorf("weights can't be computed in %s", s.dtype)
}

func fillFloat32(l lora.Loader, name string, b []byte) error {
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

func fillBFloat16(l lora.Loader, name string, b []byte) error {
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
