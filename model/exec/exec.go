// Package exec compiles graphs and runs them over weights.
package exec

import (
	"container/list"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/panics"
	"github.com/eligen/eligen/model/regional"
	"github.com/eligen/eligen/model/rows"
)

// ConfigName returns a configuration as text, which tells graphs of different ones apart.
func ConfigName(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // configurations are plain structs
	}
	return string(b)
}

// A Graph is a function from inputs to outputs over weights, compiled for the
// shapes that it is called with.
type Graph struct {
	Name  string // of the function and everything it was made from but shapes and weights: graphs of one name are one graph
	Build func(w nn.Weights, in []*graph.Node) []*graph.Node
	// Scope is what the weights' names begin with, "double_blocks.3.": the blocks
	// of a network are one graph, compiled once and run with the weights of each.
	Scope string
	// Learns says that the graph takes a gradient, or runs as one that does: attention that has none is not used.
	Learns bool
}

// A Runner runs graphs on a backend, and keeps those it has compiled. It is not
// safe for concurrent use.
type Runner struct {
	Backend compute.Backend
	cache   map[string]*list.Element // of *program
	recent  list.List                // most recent first

	Compiled  int           // graphs, so far
	Compiling time.Duration // in which at least one was being built and compiled
	Loading   time.Duration // in which weights were read for a graph that waited
}

// maxPrograms is the number of compiled graphs that are kept. Shapes come from prompts
// and regions, so that a long session sees many.
const maxPrograms = 48

// NewRunner returns a runner with nothing compiled yet.
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
	return r.RunKeeping(g, s, inputs, nil)
}

// RunKeeping runs a graph as Run does, with further inputs that it leaves to the next
// run.
func (r *Runner) RunKeeping(g Graph, s *Store, inputs, kept []*tensors.Tensor) (out []*tensors.Tensor, err error) {
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
	passing, err := s.take(g.Scope)
	if err != nil {
		return nil, err
	}
	defer func() {
		if len(passing.weights) > 0 {
			err = errors.Join(err, r.await(out), passing.free())
		}
	}()
	began := time.Now()
	held := names
	if len(passing.weights) > 0 {
		held = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return passing.weights[n] != nil })
	}
	if err := s.load(held); err != nil {
		return nil, err
	}
	r.Loading += time.Since(began)
	weights := make([]*tensors.Tensor, len(names))
	for i, n := range names {
		if weights[i] = passing.weights[n]; weights[i] == nil {
			weights[i] = s.held[n]
		}
	}
	return r.execute(g.Name, p, weights, all)
}

// await returns when a graph has run, which a backend may do after it has given its outputs: what
// it reads must not go before, and the next one must not begin.
func (r *Runner) await(out []*tensors.Tensor) (err error) {
	defer panics.Catch("waiting for a graph", &err)
	if len(out) == 0 {
		return nil
	}
	least := slices.MinFunc(out, func(a, b *tensors.Tensor) int { return a.Shape().Size() - b.Shape().Size() })
	b, err := least.Buffer(r.Backend, 0)
	if err != nil {
		return err
	}
	return b.ToFlatData(reflect.MakeSlice(reflect.SliceOf(least.DType().GoType()), least.Shape().Size(), least.Shape().Size()).Interface())
}

func (r *Runner) execute(name string, p *program, weights, inputs []*tensors.Tensor) (out []*tensors.Tensor, err error) {
	defer panics.Catch("running "+firstWord(name), &err)
	var buffers []compute.Buffer
	for _, t := range inputs {
		b, err := t.Buffer(r.Backend, 0)
		if err != nil {
			return nil, err
		}
		buffers = append(buffers, b)
	}
	for _, t := range weights {
		b, err := t.Buffer(r.Backend, 0)
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

// A CompileRequest is a graph to compile, with its weights and input shapes.
type CompileRequest struct {
	Graph  Graph
	Store  *Store
	Inputs []shapes.Shape
}

// Request asks for the graph over a store's weights, for inputs of some shapes.
func (g Graph) Request(s *Store, inputs ...shapes.Shape) CompileRequest {
	return CompileRequest{Graph: g, Store: s, Inputs: inputs}
}

// key tells compiled graphs apart.
func (e CompileRequest) key() string {
	var b strings.Builder
	b.WriteString(e.Graph.Name)
	fmt.Fprintf(&b, "\n%s %s %s", e.Store.dtype, e.Store.integers, e.Store.beside)
	for _, t := range e.Inputs {
		fmt.Fprintf(&b, "\n%s", t)
	}
	return b.String()
}

// AtOnce returns how many graphs are compiled concurrently: XLA's compiler leaves a part of
// the machine idle, and takes 30 to 60 MiB for each graph.
func AtOnce() int { return min(max(2, runtime.GOMAXPROCS(0)), 8) }

// CompileAll compiles the graphs that aren't compiled yet, AtOnce at a time.
func (r *Runner) CompileAll(requests ...CompileRequest) error {
	var keys []string
	var todo []CompileRequest
	for _, e := range requests {
		key := e.key()
		if _, ok := r.cache[key]; !ok && !slices.Contains(keys, key) {
			keys, todo = append(keys, key), append(todo, e)
		}
	}
	began := time.Now()
	made, errs := make([]*program, len(todo)), make([]error, len(todo))
	var wg sync.WaitGroup
	turns := make(chan struct{}, AtOnce())
	for i, e := range todo {
		turns <- struct{}{}
		wg.Go(func() {
			made[i], errs[i] = r.compile(e)
			<-turns
		})
	}
	wg.Wait()
	r.Compiling += time.Since(began)
	trim()
	for i, p := range made {
		if errs[i] == nil {
			r.remember(keys[i], p)
		}
	}
	return errors.Join(errs...)
}

// program finds or compiles a graph.
func (r *Runner) program(g Graph, s *Store, inputs []*tensors.Tensor) (*program, error) {
	e := CompileRequest{Graph: g, Store: s}
	for _, t := range inputs {
		e.Inputs = append(e.Inputs, t.Shape())
	}
	key := e.key()
	if e, ok := r.cache[key]; ok {
		r.recent.MoveToFront(e)
		return e.Value.(*program), nil
	}
	began := time.Now()
	p, err := r.compile(e)
	if err != nil {
		return nil, err
	}
	r.Compiling += time.Since(began)
	trim()
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

func (r *Runner) compile(e CompileRequest) (p *program, err error) {
	g, s, inputs := e.Graph, e.Store, e.Inputs
	doing := "building the graph of " + firstWord(g.Name)
	defer func() {
		if err != nil && p != nil {
			p.graph.Finalize()
		}
	}()
	defer panics.Catch(doing, &err)
	p = &program{graph: graph.NewGraph(r.Backend, firstWord(g.Name)), inputs: len(inputs)}
	var in []*graph.Node
	for i, shape := range inputs {
		in = append(in, graph.Parameter(p.graph, fmt.Sprintf("input %d", i), shape))
	}
	if g.Learns {
		regional.Learn(p.graph)
	} else {
		regional.Infer(p.graph)
	}
	b := building{p, s, g.Scope, map[string]*graph.Node{}}
	out := g.Build(b.weight, in)
	if err := p.graph.Compile(out...); err != nil {
		return p, fmt.Errorf("%s: %s", doing, panics.FirstLine(err))
	}
	return p, nil
}

// building is a graph that is being built, over a store's weights.
type building struct {
	p     *program
	s     *Store
	scope string
	held  map[string]*graph.Node
}

// parameter returns the input that a weight, or what belongs to one, comes in by.
func (b building) parameter(name string, shape shapes.Shape) *graph.Node {
	if b.held[name] == nil {
		b.held[name] = graph.Parameter(b.p.graph, name, shape)
		b.p.weights = append(b.p.weights, name)
	}
	return b.held[name]
}

// scale returns how strongly LoRA i acts, a number in float32.
func (b building) scale(i int) *graph.Node {
	scales := b.parameter(scalesName, shapes.Make(dtypes.Float32, len(b.s.scales)))
	return graph.Reshape(graph.Slice(scales, graph.AxisElem(i)))
}

// updates returns what unmerged LoRAs have for a matrix.
func (b building) updates(name string) (list []nn.Update) {
	for i := range b.s.scales {
		x, y := lora.A(name, i), lora.B(name, i)
		if shape := b.s.shapes[b.scope+x]; shape != nil {
			list = append(list, nn.Update{
				A: b.parameter(x, shapes.Make(b.s.dtype, shape...)), B: b.parameter(y, shapes.Make(b.s.dtype, b.s.shapes[b.scope+y]...)),
				S: b.scale(i),
			})
		}
	}
	return list
}

// moved adds what LoRAs have for a bias or a norm, which is as small as it is.
func (b building) moved(name string, n *graph.Node) *graph.Node {
	for i := range b.s.scales {
		d := lora.D(name, i)
		if shape := b.s.shapes[b.scope+d]; shape != nil {
			scale := graph.ConvertDType(b.scale(i), b.s.dtype)
			n = graph.Add(n, graph.Mul(scale, b.parameter(d, shapes.Make(b.s.dtype, shape...))))
		}
	}
	return n
}

// weight is the graph's nn.Weights.
func (b building) weight(name string) *graph.Node {
	if n, ok := b.held[name]; ok {
		return n
	}
	if _, ok := b.s.shapes[b.scope+name]; !ok {
		panic(fmt.Errorf("the weights lack %q", b.scope+name))
	}
	n := b.parameter(name, b.s.shape(b.scope+name))
	nn.Attach(n, name, b.updates(name))
	if scale := rows.Scale(name); b.s.shapes[b.scope+scale] != nil {
		nn.AttachRows(n, name, b.parameter(scale, b.s.shape(b.scope+scale)))
	}
	n = b.moved(name, n)
	b.held[name] = n
	return n
}

// Finalize frees all that was compiled.
func (r *Runner) Finalize() {
	for e := r.recent.Front(); e != nil; e = e.Next() {
		e.Value.(*program).graph.Finalize()
	}
	r.cache, r.recent = map[string]*list.Element{}, list.List{}
}

// Upload copies a tensor to the backend, with leading axes in front of its own.
func Upload(t tensor.Tensor, leading ...int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(t.Data, append(leading, t.Shape...)...)
}

// Download copies a float32 output from the backend and finalises it.
func Download(t *tensors.Tensor, shape ...int) (tensor.Tensor, error) {
	data, err := tensors.CopyFlatData[float32](t)
	if err = errors.Join(err, t.FinalizeAll()); err != nil {
		return tensor.Tensor{}, err
	}
	return tensor.Tensor{Shape: shape, Data: data}, nil
}
