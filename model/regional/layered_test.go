package regional

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/model/backend"
)

// eachBackend runs a test on the Go backend and, where ELIGEN_XLA_CPU names a plugin, on XLA.
func eachBackend(t *testing.T, test func(t *testing.T, be compute.Backend)) {
	for _, name := range []string{"go", "xla:cpu"} {
		t.Run(name, func(t *testing.T) {
			if name != "go" {
				plugin := os.Getenv("ELIGEN_XLA_CPU")
				if plugin == "" {
					t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
				}
				name = "xla:" + plugin
				if os.Getenv("XLA_FLAGS") == "" {
					t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0") // compiles in a third of the time
				}
			}
			be, _, err := backend.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer be.Finalize()
			test(t, be)
		})
	}
}

// A sheet is an entity of the dense oracle: rows of text, tokens of the image, and its opacity.
type sheet struct {
	text    int
	tokens  []int
	opacity float64
	log     float64 // of its strength
}

// A scores gives the logit of a query row on a key row.
type scores func(query, key int) float64

// softmax returns Σ exp(s)·v / Σ exp(s) of one query over keys, which each have a bias.
func softmax(s scores, query int, keys []int, bias []float64, v func(key int) []float64) []float64 {
	most := math.Inf(-1)
	for i, k := range keys {
		most = max(most, s(query, k)+bias[i])
	}
	var out []float64
	sum := 0.0
	for i, k := range keys {
		e := math.Exp(s(query, k) + bias[i] - most)
		sum += e
		row := v(k)
		if out == nil {
			out = make([]float64, len(row))
		}
		for j, x := range row {
			out[j] += e * x
		}
	}
	for j := range out {
		out[j] /= sum
	}
	return out
}

// An oracle is attention row by row. Rows are the entities' text, the global prompt, the image.
type oracle struct {
	heads, dim int
	q, k, v    []float32 // [rows, heads·dim]
	global     int
	image      int
	sheets     []sheet // from the back
}

// run returns all rows' attention.
func (o oracle) run() []float64 {
	rows := len(o.q) / (o.heads * o.dim)
	out := make([]float64, len(o.q))
	text := rows - o.image - o.global
	var common []int
	for i := text; i < rows; i++ {
		common = append(common, i)
	}
	for h := range o.heads {
		row := func(x []float32, i int) []float64 {
			all := make([]float64, o.dim)
			for j := range all {
				all[j] = float64(x[(i*o.heads+h)*o.dim+j])
			}
			return all
		}
		s := func(query, key int) float64 {
			sum, a, b := 0.0, row(o.q, query), row(o.k, key)
			for j := range a {
				sum += a[j] * b[j]
			}
			return sum / math.Sqrt(float64(o.dim))
		}
		v := func(key int) []float64 { return row(o.v, key) }
		put := func(i int, x []float64) { copy(out[(i*o.heads+h)*o.dim:], x) }
		for i := text; i < rows; i++ {
			all := softmax(s, i, common, make([]float64, len(common)), v)
			if token := i - text - o.global; token >= 0 {
				all = o.layer(all, token, i, common, s, v)
			}
			put(i, all)
		}
		for e, first := 0, 0; e < len(o.sheets); e++ {
			x := o.sheets[e]
			var keys []int
			var bias []float64
			for j := range x.text {
				keys, bias = append(keys, first+j), append(bias, 0)
			}
			for _, token := range x.tokens {
				keys, bias = append(keys, text+o.global+token), append(bias, math.Log(o.above(e, token)))
			}
			for j := range x.text {
				put(first+j, softmax(s, first+j, keys, bias, v))
			}
			first += x.text
		}
	}
	return out
}

// above returns how much of a token is seen through what lies over entity e.
func (o oracle) above(e, token int) float64 {
	seen := 1.0
	for _, x := range o.sheets[e+1:] {
		for _, other := range x.tokens {
			if other == token {
				seen *= 1 - x.opacity
			}
		}
	}
	return seen
}

// layer goes from the back to the front: O = (1 − α)·O + α·(attention over the common keys and the entity's).
func (o oracle) layer(a []float64, token, query int, common []int, s scores, v func(int) []float64) []float64 {
	first := 0
	for _, x := range o.sheets {
		own := append([]int(nil), common...)
		bias := make([]float64, len(common))
		for j := range x.text {
			own, bias = append(own, first+j), append(bias, x.log)
		}
		first += x.text
		for _, other := range x.tokens {
			if other != token {
				continue
			}
			both := softmax(s, query, own, bias, v)
			for j := range a {
				a[j] = (1-x.opacity)*a[j] + x.opacity*both[j]
			}
		}
	}
	return a
}

// region returns the tokens of entity e of a picture of 4×3: overlapping, nested, of one token, none, all.
func region(e int) (tokens []int) {
	boxes := [][4]int{{0, 0, 3, 2}, {1, 0, 4, 2}, {1, 1, 2, 2}, {}, {0, 0, 4, 3}, {2, 0, 4, 3}, {1, 1, 3, 2}, {3, 2, 4, 3}}
	b := boxes[e]
	for y := b[1]; y < b[3]; y++ {
		for x := b[0]; x < b[2]; x++ {
			tokens = append(tokens, y*4+x)
		}
	}
	return tokens
}

// TestLayered: layered attention in blocks is that of a dense oracle which goes through the entities from the
// back, row by row. With an opacity of 1 everywhere it is the attention of regions that hide one another.
func TestLayered(t *testing.T) {
	eachBackend(t, func(t *testing.T, be compute.Backend) {
		worst, worstOver := 0.0, 0.0
		for n := range 9 {
			for _, opaque := range []bool{false, true} {
				l, over := layered(t, be, n, opaque)
				worst, worstOver = max(worst, l), max(worstOver, over)
			}
		}
		t.Logf("the largest difference from the oracle is %.2g; opaque sheets from hidden regions, %.2g", worst, worstOver)
	})
}

func layered(t *testing.T, be compute.Backend, n int, opaque bool) (worst, worstOver float64) {
	t.Helper()
	const heads, dim, te, global, image = 2, 8, 3, 4, 12
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	rows := n*te + global + image
	random := func() []float32 {
		x := make([]float32, rows*heads*dim)
		for i := range x {
			x[i] = float32(2 * rng.NormFloat64())
		}
		return x
	}
	o := oracle{heads: heads, dim: dim, q: random(), k: random(), v: random(), global: global, image: image}
	for e := range n {
		x := sheet{text: te, tokens: region(e), opacity: 1, log: []float64{0, 0.5, -1}[e%3]}
		if !opaque {
			x.opacity = []float64{0.5, 1, 0.25, 0.9, 0.05}[e%5]
		}
		o.sheets = append(o.sheets, x)
	}
	want := o.run()
	differ := func(got []float32, seen func(row int) bool) (d float64) {
		for i, x := range got {
			if seen(i / (heads * dim)) {
				d = max(d, math.Abs(float64(x)-want[i]))
			}
		}
		return d
	}
	// An entity of which nothing is seen may say anything: nobody reads it.
	shown := func(row int) bool {
		if row >= n*te {
			return true
		}
		for _, token := range o.sheets[row/te].tokens {
			if o.above(row/te, token) > 0 {
				return true
			}
		}
		return len(o.sheets[row/te].tokens) == 0
	}
	worst = differ(o.blocks(t, be, te, false), shown)
	if !(worst <= 1e-5) {
		t.Errorf("%d entities, opaque %t: %g from the oracle", n, opaque, worst)
	}
	if opaque {
		worstOver = differ(o.blocks(t, be, te, true), shown)
		if !(worstOver <= 1e-5) {
			t.Errorf("%d entities: hidden regions are %g from opaque sheets", n, worstOver)
		}
	}
	return worst, worstOver
}

// blocks runs Attend: on sheets, or, with over, on what is left to each entity of its region.
func (o oracle) blocks(t *testing.T, be compute.Backend, te int, over bool) (all []float32) {
	t.Helper()
	const k = 12
	n, width := len(o.sheets), o.heads*o.dim
	tokens, share, seen, logs := make([]int32, 0, n*k), make([]float32, n*k), make([]float32, n*k), make([]float32, n)
	for e, x := range o.sheets {
		logs[e] = float32(x.log)
		for _, token := range x.tokens {
			above := o.above(e, token)
			if above == 0 {
				continue
			}
			at := len(tokens)
			share[at], seen[at] = float32(x.opacity*above), float32(above)
			tokens = append(tokens, int32(token))
		}
		for len(tokens) < (e+1)*k {
			seen[len(tokens)] = 1
			tokens = append(tokens, int32(o.image))
		}
	}
	part := func(x []float32, from, to int) any {
		return tensors.FromFlatDataAndDimensions(x[from*width:to*width], 1, to-from, o.heads, o.dim)
	}
	text := len(o.q)/width - o.image
	args := []any{part(o.q, 0, text), part(o.k, 0, text), part(o.v, 0, text),
		part(o.q, text, text+o.image), part(o.k, text, text+o.image), part(o.v, text, text+o.image)}
	if n > 0 {
		args = append(args, tensors.FromFlatDataAndDimensions(tokens, 1, n, k), tensors.FromFlatDataAndDimensions(logs, 1, n),
			tensors.FromFlatDataAndDimensions(share, 1, n, k), tensors.FromFlatDataAndDimensions(seen, 1, n, k))
	}
	exec := MustNewExec(be, func(in []*Node) []*Node {
		var groups []Group
		if n > 0 {
			g := NewGroup(in[6], in[7], te, o.image)
			if over { // the shares go along unread
				in[8], in[9] = Identity(in[8]), Identity(in[9])
			} else {
				g = g.Layered(in[8], in[9])
			}
			groups = append(groups, g)
		}
		txt, img := Attend(groups, QKV{in[0], in[1], in[2]}, QKV{in[3], in[4], in[5]}, true)
		return []*Node{txt, img}
	})
	defer exec.Finalize()
	for _, x := range exec.MustCall(args...) {
		all = append(all, tensors.MustCopyFlatData[float32](x)...)
	}
	if want := len(o.q); len(all) != want {
		t.Fatal(fmt.Errorf("%d numbers, want %d", len(all), want))
	}
	return all
}
