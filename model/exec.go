package model

import (
	"container/list"
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
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/nn"
)

// catch is the boundary between graph code, which panics by GoMLX's custom, and
// everything else. Deferred, it turns a panic into an error. Nothing panics out
// of this package.
func catch(doing string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	if e, ok := r.(runtime.Error); ok {
		*err = fmt.Errorf("%s: %s. This is a bug in eligen", doing, firstLine(e))
		return
	}
	*err = fmt.Errorf("%s: %s", doing, firstLine(r))
}

// firstLine leaves out the pages of stack that GoMLX's errors carry.
func firstLine(v any) string {
	s := fmt.Sprint(v)
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// A Store holds a loader's weights on a backend, each from the first time that
// a graph wants it.
type Store struct {
	backend compute.Backend
	loader  Loader
	dtype   dtypes.DType
	shapes  map[string][]int
	held    map[string]*tensors.Tensor

	// Of LoRAs whose factors lie beside the weights, as lora.Beside has them.
	scales []float32
	beside string // what tells graphs with these factors from others
}

// NewStore makes a store of weights in a dtype, whatever dtype they are stored
// in. It reads nothing yet.
func NewStore(backend compute.Backend, l Loader, dtype dtypes.DType) *Store {
	s := &Store{backend: backend, loader: l, dtype: dtype, shapes: map[string][]int{}, held: map[string]*tensors.Tensor{}}
	for _, t := range l.Tensors() {
		s.shapes[t.Name] = t.Shape
	}
	return s
}

// Scale says how strongly the LoRAs act whose factors the loader has, by lora.Beside,
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

// scalesName is what the scales are called among the weights, whose input to a graph
// they are, too.
const scalesName = "scales of LoRAs"

// Bytes is the memory that the weights now take.
func (s *Store) Bytes() int64 {
	var n int64
	for _, t := range s.held {
		n += t.ByteSize()
	}
	return n
}

// whole is the memory that all of the weights would take.
func (s *Store) whole() int64 {
	var n int64
	for _, shape := range s.shapes {
		n += int64(elements(shape)) * int64(s.dtype.Size())
	}
	return n
}

// Release frees all weights but those named. They are loaded again when a
// graph wants them.
func (s *Store) Release(keep ...string) (err error) {
	kept := map[string]*tensors.Tensor{}
	for _, name := range keep {
		if t, ok := s.held[name]; ok {
			kept[name] = t
		}
	}
	for name, t := range s.held {
		if kept[name] == nil {
			err = errors.Join(err, t.FinalizeAll())
		}
	}
	s.held = kept
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
				loaded[i], errs[i] = loadTensor(s.backend, s.loader, missing[i], s.shapes[missing[i]], s.dtype)
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
		}
	}
	return errors.Join(errs...)
}

// chunk is how many elements are converted at a time.
const chunk = 1 << 16

// loadTensor reads a tensor straight into the memory that the backend computes
// from: no second copy is made, neither in the file's dtype nor in the wanted.
func loadTensor(be compute.Backend, l Loader, name string, shape []int, dtype dtypes.DType) (t *tensors.Tensor, err error) {
	// A file that shrinks while it is mapped faults where it is read.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer catch("reading tensor "+name, &err)
	want := shapes.Make(dtype, shape...)
	if raw := l.Raw(name); raw != nil && littleEndian && dtypeOf(l, name) == dtype {
		return tensors.FromRaw(be, 0, want, raw)
	}
	t, err = tensors.FromShapeForBackend(be, 0, want)
	if err != nil {
		return nil, err
	}
	var failed error
	err = t.MutableBytes(func(b []byte) {
		switch dtype {
		case dtypes.Float32:
			failed = fillFloat32(l, name, b)
		case dtypes.BFloat16:
			failed = fillBFloat16(l, name, b)
		default:
			failed = fmt.Errorf("weights can't be computed in %s", dtype)
		}
	})
	if err = errors.Join(failed, err); err != nil {
		return nil, errors.Join(err, t.FinalizeAll())
	}
	if !be.HasSharedBuffers() {
		err = t.ToDevice(be, 0)
	}
	return t, err
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// dtypeOf is the dtype of a tensor as it is stored.
func dtypeOf(l Loader, name string) dtypes.DType {
	for _, t := range l.Tensors() {
		if t.Name == name {
			switch t.DType {
			case "F32":
				return dtypes.Float32
			case "BF16":
				return dtypes.BFloat16
			}
		}
	}
	return dtypes.InvalidDType
}

func fillFloat32(l Loader, name string, b []byte) error {
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

func fillBFloat16(l Loader, name string, b []byte) error {
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

// A Graph is a function from inputs to outputs over weights, compiled for the
// shapes that it is called with.
type Graph struct {
	Name  string // of the function and everything it was made from but shapes and weights: graphs of one name are one graph
	Build func(w nn.Weights, in []*graph.Node) []*graph.Node
	// Scope is what the weights' names begin with, "double_blocks.3.": the blocks
	// of a network are one graph, compiled once and run with the weights of each.
	Scope string
}

// A Runner runs graphs on a backend, and keeps those it has compiled. It is not
// safe for concurrent use.
type Runner struct {
	Backend compute.Backend
	cache   map[string]*list.Element // of *program
	recent  list.List                // most recent first

	Compiled int // graphs, so far
}

// maxPrograms is how many compiled graphs are kept. Shapes come from prompts
// and regions, so that a long session sees many.
const maxPrograms = 48

// NewRunner is a runner with nothing compiled yet.
func NewRunner(backend compute.Backend) *Runner {
	return &Runner{Backend: backend, cache: map[string]*list.Element{}}
}

// A program is a compiled graph. Its parameters are the inputs, then weights.
type program struct {
	key     string
	graph   *graph.Graph
	inputs  int
	weights []string // without the graph's scope
}

// Run compiles a graph, if it wasn't yet for these weights' and inputs' shapes,
// and runs it. Inputs are finalised: XLA's memory is invisible to Go's garbage
// collector. So must the outputs be, by the caller.
func (r *Runner) Run(g Graph, s *Store, inputs ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	return r.runKeeping(g, s, inputs, nil)
}

// runKeeping is Run with further inputs, which are kept for the next run.
func (r *Runner) runKeeping(g Graph, s *Store, inputs, kept []*tensors.Tensor) (out []*tensors.Tensor, err error) {
	defer func() {
		for _, t := range inputs {
			err = errors.Join(err, t.FinalizeAll())
		}
	}()
	all := slices.Concat(inputs, kept)
	p, err := r.program(g, s, all)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(p.weights))
	for i, n := range p.weights {
		if names[i] = g.Scope + n; n == scalesName {
			names[i] = n
		}
	}
	if err := s.load(names); err != nil {
		return nil, err
	}
	return r.execute(g.Name, p, s, names, all)
}

func (r *Runner) execute(name string, p *program, s *Store, weights []string, inputs []*tensors.Tensor) (out []*tensors.Tensor, err error) {
	defer catch("running "+firstWord(name), &err)
	var buffers []compute.Buffer
	for _, t := range inputs {
		b, err := t.Buffer(r.Backend, 0)
		if err != nil {
			return nil, err
		}
		buffers = append(buffers, b)
	}
	for _, n := range weights {
		b, err := s.held[n].Buffer(r.Backend, 0)
		if err != nil {
			return nil, err
		}
		buffers = append(buffers, b)
	}
	return p.graph.RunWithBuffers(buffers, make([]bool, len(buffers)), 0), nil
}

func firstWord(s string) string {
	s, _, _ = strings.Cut(s, " ")
	return s
}

// An errand is a graph that will be run, its weights, and the shapes of its inputs.
type errand struct {
	graph  Graph
	store  *Store
	inputs []shapes.Shape
}

// key tells compiled graphs apart.
func (e errand) key() string {
	var b strings.Builder
	b.WriteString(e.graph.Name)
	fmt.Fprintf(&b, "\n%s %s", e.store.dtype, e.store.beside)
	for _, t := range e.inputs {
		fmt.Fprintf(&b, "\n%s", t)
	}
	return b.String()
}

// compileAll compiles those of graphs that weren't yet, at the same time: a
// compiler leaves a part of the machine idle.
func (r *Runner) compileAll(errands ...errand) error {
	var keys []string
	var todo []errand
	for _, e := range errands {
		key := e.key()
		if _, ok := r.cache[key]; !ok && !slices.Contains(keys, key) {
			keys, todo = append(keys, key), append(todo, e)
		}
	}
	made, errs := make([]*program, len(todo)), make([]error, len(todo))
	var wg sync.WaitGroup
	for i, e := range todo {
		wg.Go(func() { made[i], errs[i] = r.compile(e) })
	}
	wg.Wait()
	for i, p := range made {
		if errs[i] == nil {
			r.remember(keys[i], p)
		}
	}
	return errors.Join(errs...)
}

// program finds or compiles a graph.
func (r *Runner) program(g Graph, s *Store, inputs []*tensors.Tensor) (*program, error) {
	e := errand{graph: g, store: s}
	for _, t := range inputs {
		e.inputs = append(e.inputs, t.Shape())
	}
	key := e.key()
	if e, ok := r.cache[key]; ok {
		r.recent.MoveToFront(e)
		return e.Value.(*program), nil
	}
	p, err := r.compile(e)
	if err != nil {
		return nil, err
	}
	r.remember(key, p)
	return p, nil
}

// remember keeps a compiled graph, and forgets the one that was not used for longest.
func (r *Runner) remember(key string, p *program) {
	p.key = key
	r.Compiled++
	r.cache[key] = r.recent.PushFront(p)
	for r.recent.Len() > maxPrograms {
		old := r.recent.Remove(r.recent.Back()).(*program)
		delete(r.cache, old.key)
		old.graph.Finalize()
	}
}

func (r *Runner) compile(e errand) (p *program, err error) {
	g, s, inputs := e.graph, e.store, e.inputs
	doing := "building the graph of " + firstWord(g.Name)
	defer func() {
		if err != nil && p != nil {
			p.graph.Finalize()
		}
	}()
	defer catch(doing, &err)
	p = &program{graph: graph.NewGraph(r.Backend, firstWord(g.Name)), inputs: len(inputs)}
	var in []*graph.Node
	for i, shape := range inputs {
		in = append(in, graph.Parameter(p.graph, fmt.Sprintf("input %d", i), shape))
	}
	held := map[string]*graph.Node{}
	parameter := func(name string, shape shapes.Shape) *graph.Node {
		if held[name] == nil {
			held[name] = graph.Parameter(p.graph, name, shape)
			p.weights = append(p.weights, name)
		}
		return held[name]
	}
	updates := func(name string) (list []nn.Update) {
		for i := range s.scales {
			a, b := lora.A(name, i), lora.B(name, i)
			if shape := s.shapes[g.Scope+a]; shape != nil {
				scales := parameter(scalesName, shapes.Make(dtypes.Float32, len(s.scales)))
				list = append(list, nn.Update{
					A: parameter(a, shapes.Make(s.dtype, shape...)), B: parameter(b, shapes.Make(s.dtype, s.shapes[g.Scope+b]...)),
					S: graph.Reshape(graph.Slice(scales, graph.AxisElem(i))),
				})
			}
		}
		return list
	}
	weights := func(name string) *graph.Node {
		if n, ok := held[name]; ok {
			return n
		}
		shape, ok := s.shapes[g.Scope+name]
		if !ok {
			panic(fmt.Errorf("there is no weight %q", g.Scope+name))
		}
		n := parameter(name, shapes.Make(s.dtype, shape...))
		nn.Attach(n, name, updates(name))
		return n
	}
	out := g.Build(weights, in)
	if err := p.graph.Compile(out...); err != nil {
		return p, fmt.Errorf("%s: %s", doing, firstLine(err))
	}
	return p, nil
}

// Finalize frees all that was compiled.
func (r *Runner) Finalize() {
	for e := r.recent.Front(); e != nil; e = e.Next() {
		e.Value.(*program).graph.Finalize()
	}
	r.cache, r.recent = map[string]*list.Element{}, list.List{}
}

// upload is a tensor of this package's as the backend's, with the leading axes given.
func upload(t tensor.Tensor, leading ...int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(t.Data, append(leading, t.Shape...)...)
}

// download copies a float32 output and finalises it.
func download(t *tensors.Tensor, shape ...int) (tensor.Tensor, error) {
	data, err := tensors.CopyFlatData[float32](t)
	if err = errors.Join(err, t.FinalizeAll()); err != nil {
		return tensor.Tensor{}, err
	}
	return tensor.Tensor{Shape: shape, Data: data}, nil
}
