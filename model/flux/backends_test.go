package flux

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// openXLA opens a PJRT plugin; nil in builds without cgo.
var openXLA func(plugin string) (compute.Backend, error)

// eachBackend runs a test on the Go backend and, where ELIGEN_XLA_CPU names a
// PJRT plugin, on XLA.
func eachBackend(t *testing.T, test func(t *testing.T, r *runner)) {
	t.Run("go", func(t *testing.T) {
		be, err := gobackend.New("ops_sequential")
		if err != nil {
			t.Fatal(err)
		}
		defer be.Finalize()
		test(t, newRunner(be))
	})
	t.Run("xla", func(t *testing.T) {
		plugin := os.Getenv("ELIGEN_XLA_CPU")
		switch {
		case openXLA == nil:
			t.Skip("built without cgo: no XLA")
		case plugin == "":
			t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
		}
		if os.Getenv("XLA_FLAGS") == "" {
			// Compiles in a third of the time. The golden suite, one folder up, runs
			// what users run.
			t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
		}
		be, err := openXLA(plugin)
		if err != nil {
			t.Fatal(err)
		}
		defer be.Finalize()
		test(t, newRunner(be))
	})
}

type tensorMap = map[string]tensor.Tensor

// A runner runs graphs on a backend and keeps what it compiled.
type runner struct {
	compute.Backend
	programs map[string]*program
}

type program struct {
	exec    *Exec
	results []string
}

func newRunner(be compute.Backend) *runner { return &runner{be, map[string]*program{}} }

// isGo tells the backend that compiles in milliseconds from the one that takes
// seconds, on which fewer graphs are tried.
func (r *runner) isGo() bool { return r.String() == gobackend.BackendName }

// forms returns the forms in which regions are tried.
func (r *runner) forms() []string {
	if r.isGo() {
		return []string{"blocks", "mask"}
	}
	return []string{"blocks"}
}

// run runs a graph on named tensors; it gets those with the prefix "w:" as
// weights, without it. Graphs of one name must be one graph.
func (r *runner) run(t *testing.T, graph string, inputs tensorMap, f func(w nn.Weights, in map[string]*Node) map[string]*Node) tensorMap {
	t.Helper()
	var names []string
	var args []any
	for name := range inputs {
		names = append(names, name)
	}
	sort.Strings(names)
	key := graph
	for _, name := range names {
		args = append(args, tensors.FromFlatDataAndDimensions(inputs[name].Data, inputs[name].Shape...))
		key += fmt.Sprint("\n", name, inputs[name].Shape)
	}
	p := r.programs[key]
	if p == nil {
		p = &program{}
		var err error
		p.exec, err = NewExec(r.Backend, func(nodes []*Node) []*Node {
			in := map[string]*Node{}
			for i, n := range nodes {
				in[names[i]] = n
			}
			out := f(func(name string) *Node {
				if in["w:"+name] == nil {
					panic(fmt.Errorf("no weight %q", name))
				}
				return in["w:"+name]
			}, in)
			var list []*Node
			for name := range out {
				p.results = append(p.results, name)
			}
			sort.Strings(p.results)
			for _, name := range p.results {
				list = append(list, out[name])
			}
			return list
		})
		if err != nil {
			t.Fatal(err)
		}
		r.programs[key] = p
	}
	values, err := p.exec.Call(args...)
	if err != nil {
		line, _, _ := strings.Cut(fmt.Sprint(err), "\n")
		t.Fatal(line)
	}
	got := tensorMap{}
	for i, v := range values {
		got[p.results[i]] = tensor.Tensor{Shape: v.Shape().Dimensions, Data: tensors.MustCopyFlatData[float32](v)}
		v.MustFinalizeAll()
	}
	return got
}

// random fills a tensor with normal numbers of a deviation.
func random(r *rand.Rand, deviation float64, shape ...int) tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data {
		x.Data[i] = float32(deviation * r.NormFloat64())
	}
	return x
}

// randomWeights makes streams and logits of ordinary size.
func randomWeights(r *rand.Rand, cfg Config) tensorMap {
	m := tensorMap{}
	for _, w := range cfg.Weights() {
		x := random(r, 0.1, w.Shape...)
		switch {
		case strings.HasSuffix(w.Name, ".scale"):
			for i := range x.Data {
				x.Data[i] = 1.5 + x.Data[i]
			}
		case len(w.Shape) == 2:
			x = random(r, 1/math.Sqrt(float64(w.Shape[1])), w.Shape...)
		}
		m["w:"+w.Name] = x
	}
	return m
}

// distance returns the largest absolute difference.
func distance(t *testing.T, a, b tensor.Tensor) (worst float64) {
	t.Helper()
	if fmt.Sprint(a.Shape) != fmt.Sprint(b.Shape) {
		t.Fatalf("shapes differ: %v and %v", a.Shape, b.Shape)
	}
	for i := range a.Data {
		d := math.Abs(float64(a.Data[i]) - float64(b.Data[i]))
		if !(d <= worst) { // NaN is worst
			worst = d
		}
	}
	return worst
}

func with(m tensorMap, more ...tensorMap) tensorMap {
	out := tensorMap{}
	for _, m := range append([]tensorMap{m}, more...) {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// goBackend opens the Go backend, for what doesn't depend on the backend.
func goBackend(t *testing.T) *runner {
	t.Helper()
	be, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Finalize)
	return newRunner(be)
}

const tokenDType = dtypes.Int32
