// The golden suite: every case of a set of numeric fixtures, made by running
// third-party reference code, is computed by this project's code and compared
// by the case's own tolerance, on the pure-Go backend and, where the
// environment variable ELIGEN_XLA_CPU names a PJRT plugin, on XLA.
//
//	go test ./model/                               # the set in testdata/goldens
//	ELIGEN_GOLDENS=dir go test ./model/            # another set
//	go test ./model/ -run 'Goldens/go/pipeline'    # one family of cases
//
// A case is what its case.json says it is: no size, name, seed or count of a
// particular set is written down here. testdata/later.txt lists the features
// whose cases wait for code that isn't there yet; any other case that this file
// doesn't know fails.
package model_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/nn"
	"github.com/eligen/eligen/model/weights"
)

// A suite runs a set on one backend.
type suite struct {
	set     string
	xla     bool
	runner  *exec.Runner
	results map[string][]string // of each graph, by its name
}

// onBackends runs a test on the Go backend and on XLA.
func onBackends(t *testing.T, test func(t *testing.T, s *suite)) {
	open := func(t *testing.T, name string) {
		be, info, err := backend.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("backend %s", info.ID("float32"))
		s := &suite{set: goldenSet(), xla: name != "go", runner: exec.NewRunner(be), results: map[string][]string{}}
		defer be.Finalize()
		defer s.runner.Finalize()
		test(t, s)
	}
	t.Run("go", func(t *testing.T) { open(t, "go") })
	t.Run("xla", func(t *testing.T) {
		plugin := os.Getenv("ELIGEN_XLA_CPU")
		if plugin == "" {
			t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
		}
		if _, err := backend.Find("xla:" + plugin); err != nil {
			t.Skip(err)
		}
		open(t, "xla:"+plugin)
	})
}

// A golden is one case of a set.
type golden struct {
	set  string // folder of the set
	name string // folder of the case, with slashes
	raw  map[string]json.RawMessage

	Tolerance struct {
		ATol, RTol float64
	}
	in, want map[string]tensor.Tensor
}

func (g *golden) path(elem ...string) string {
	return filepath.Join(append([]string{g.set}, elem...)...)
}

func (g *golden) has(key string) bool { _, ok := g.raw[key]; return ok }

// field decodes an entry of case.json.
func (g *golden) field(t *testing.T, key string, into any) {
	t.Helper()
	raw, ok := g.raw[key]
	if !ok {
		t.Fatalf("case.json has no %q", key)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("case.json, %q: %v", key, err)
	}
}

func (g *golden) text(key string) (s string) {
	_ = json.Unmarshal(g.raw[key], &s) // not a string: no text
	return s
}

// goldens reads every case.json of a set.
func goldens(t *testing.T, set string) (list []*golden) {
	t.Helper()
	err := filepath.WalkDir(set, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "case.json" {
			return err
		}
		g := &golden{set: set}
		rel, err := filepath.Rel(set, filepath.Dir(p))
		if err != nil {
			return err
		}
		g.name = filepath.ToSlash(rel)
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &g.raw); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		// Some tolerances are objects of another kind: those cases read them themselves.
		_ = json.Unmarshal(g.raw["tolerance"], &g.Tolerance)
		list = append(list, g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("no case.json under %s", set)
	}
	return list
}

// load reads the case's tensors.
func (g *golden) load(t *testing.T) {
	t.Helper()
	for name, into := range map[string]*map[string]tensor.Tensor{"inputs": &g.in, "expected": &g.want} {
		p := g.path(g.name, name+".safetensors")
		if _, err := os.Stat(p); err != nil {
			if g.has(name) {
				t.Fatalf("case.json lists %s: %v", name, err)
			}
			continue
		}
		m, err := readTensors(p)
		if err != nil {
			t.Fatal(err)
		}
		*into = m
	}
}

// readTensors reads a file as tensor.ReadFile does, and takes integers too, as float32.
func readTensors(path string) (map[string]tensor.Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	infos, _, err := tensor.ReadHeader(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := map[string]tensor.Tensor{}
	for _, info := range infos {
		b := data[info.Offset : info.Offset+info.Size]
		var f []float32
		switch info.DType {
		case "U8", "BOOL":
			for _, x := range b {
				f = append(f, float32(x))
			}
		case "I32":
			for i := 0; i < len(b); i += 4 {
				f = append(f, float32(int32(uint32(b[i])|uint32(b[i+1])<<8|uint32(b[i+2])<<16|uint32(b[i+3])<<24)))
			}
		default:
			if f, err = tensor.Floats(info.DType, b); err != nil {
				return nil, fmt.Errorf("%s: tensor %q: %w", path, info.Name, err)
			}
		}
		out[info.Name] = tensor.Tensor{Shape: info.Shape, Data: f}
	}
	return out, nil
}

// kind says what a case is about, by what its case.json has, as a list of
// features; the first decides which function runs it.
func (g *golden) kind() (features []string) {
	add := func(f string, when bool) {
		if when {
			features = append(features, f)
		}
	}
	var config, arguments map[string]json.RawMessage
	_ = json.Unmarshal(g.raw["config"], &config)
	_ = json.Unmarshal(g.raw["arguments"], &arguments)
	model := g.text("model")
	_, isDiT := config["n_double"]
	_, isVAE := config["groups"]
	_, isQwenDiT := config["axes"]
	_, isQwenText := config["kv_heads"]
	_, isQwenVAE := config["base"]
	set := func(key string) bool {
		v, ok := arguments[key]
		return ok && string(v) != "null" && string(v) != "false" && string(v) != "[]"
	}
	switch kind := g.text("kind"); {
	case kind == "negative":
		add("negative "+g.text("opened_as"), true)
	case kind != "":
		add(kind, true) // a file as users have it
	case g.has("entities_on_the_negative_side"):
		add("qwen pipeline", true)
	case g.has("arguments"):
		add("pipeline", true)
	case g.has("optimizer"):
		add("training", true)
	case isDiT:
		add("dit", true)
	case isQwenDiT:
		add("qwen dit", true)
	case isQwenText:
		add("qwen text", true)
	case isQwenVAE:
		add("qwen vae", true)
	case g.has("grids"):
		add("qwen rope", true)
	case g.has("lightning_tables"):
		add("qwen scheduler", true)
	case g.has("drop") && g.has("files"):
		add("qwen tokenize", true)
	case g.has("records") && !g.has("sequence_seed"):
		add("noise bf16", true)
	case isVAE:
		add("vae", true)
	case strings.Contains(model, "text_encoder_2"):
		add("t5", true)
	case strings.Contains(model, "text_encoder"):
		add("clip", true)
	case strings.Contains(model, "image_encoder"):
		add("siglip", true)
	case strings.Contains(model, "ip-adapter"):
		add("ip-adapter", true)
	case g.has("records"):
		add("noise", true)
	case g.has("diffsynth_tables"):
		add("scheduler", true)
	case g.has("operations"):
		add("image_ops", true)
	case g.has("files") && g.has("prompts"):
		add("tokenize", true)
	default:
		add("unknown", true)
	}
	add("ip-adapter", g.has("ip_adapter") || set("ipadapter_images"))
	add("tiled", g.has("tile_size") || set("tiled"))
	add("teacache", set("tea_cache_l1_thresh"))
	add("inpaint", g.has("inpaint_mask") || set("enable_eligen_inpaint") || set("eligen_enable_inpaint"))
	return features
}

// later reads testdata/later.txt: features, each with the reason why its cases
// are not run.
func later(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "later.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		feature, reason, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(reason) == "" {
			t.Fatalf("testdata/later.txt: %q gives no reason", line)
		}
		list[feature] = strings.TrimSpace(reason)
	}
	return list
}

func goldenSet() string {
	if dir := os.Getenv("ELIGEN_GOLDENS"); dir != "" {
		return dir
	}
	return filepath.Join("testdata", "goldens")
}

func TestGoldens(t *testing.T) {
	skip := later(t)
	// Cases without a graph run once.
	numbers := map[string]func(*testing.T, *golden){
		"scheduler": testScheduler,
		"noise":     testNoise,
		"tokenize":  testTokenize,
		"image_ops": testImageOps,

		"qwen scheduler": testQwenScheduler,
		"qwen tokenize":  testQwenTokenize,
		"noise bf16":     testNoiseBF16,

		"negative lora": testNegative,

		"table":               testTable,
		"negative checkpoint": testForeign,
	}
	graphs := map[string]func(*testing.T, *suite, *golden){
		"dit":      testDiT,
		"t5":       testT5,
		"clip":     testCLIP,
		"vae":      testVAE,
		"pipeline": testPipeline,
		"training": testTraining,
		"lora":     testLoRAFile,

		"siglip":     testSigLIP,
		"ip-adapter": testIPAdapter,

		"checkpoint": testCheckpoint,

		"qwen dit":  testQwenDiT,
		"qwen text": testQwenText,
		"qwen vae":  testQwenVAE,
		"qwen rope": testQwenRope,

		"qwen pipeline": testQwenPipeline,
	}
	run := func(t *testing.T, mine func(kind string) func(*testing.T, *golden)) {
		for _, g := range goldens(t, goldenSet()) {
			kind := g.kind()
			if numbers[kind[0]] == nil && graphs[kind[0]] == nil && skip[kind[0]] == "" {
				t.Errorf("%s: there is no code for a case of kind %q", g.name, kind)
			}
			test := mine(kind[0])
			if test == nil {
				continue
			}
			t.Run(g.name, func(t *testing.T) {
				for _, feature := range kind {
					if reason, ok := skip[feature]; ok {
						t.Skipf("later: %s: %s", feature, reason)
					}
				}
				g.load(t)
				test(t, g)
			})
		}
	}
	t.Run("numbers", func(t *testing.T) {
		run(t, func(kind string) func(*testing.T, *golden) { return numbers[kind] })
	})
	onBackends(t, func(t *testing.T, s *suite) {
		run(t, func(kind string) func(*testing.T, *golden) {
			if graphs[kind] == nil {
				return nil
			}
			return func(t *testing.T, g *golden) { graphs[kind](t, s, g) }
		})
	})
}

// A graphFunc builds a graph; whatever it tells keep is a result.
type graphFunc func(w nn.Weights, in map[string]*Node, keep func(name string, x *Node))

// run computes a graph over a loader's weights, in a dtype; results are float32.
// Graphs of one name are one graph, whatever weights they are run with.
func (s *suite) run(t *testing.T, name string, l weights.Loader, dtype dtypes.DType, inputs map[string]tensor.Tensor,
	f graphFunc) map[string]tensor.Tensor {
	t.Helper()
	store := exec.NewStore(s.runner.Backend, l, dtype)
	defer func() {
		if err := store.Release(); err != nil {
			t.Error(err)
		}
	}()
	names := sortedKeys(inputs)
	name += fmt.Sprint(" ", dtype, " ", strings.Join(names, " "))
	var args []*tensors.Tensor
	for _, n := range names {
		args = append(args, tensors.FromFlatDataAndDimensions(inputs[n].Data, inputs[n].Shape...))
	}
	values, err := s.runner.Run(exec.Graph{Name: name, Build: func(w nn.Weights, nodes []*Node) []*Node {
		in := map[string]*Node{}
		for i, x := range nodes {
			in[names[i]] = x
		}
		var out []*Node
		s.results[name] = nil
		f(w, in, func(result string, x *Node) {
			s.results[name] = append(s.results[name], result)
			out = append(out, ConvertDType(x, dtypes.Float32))
		})
		return out
	}}, store, args...)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]tensor.Tensor{}
	for i, v := range values {
		got[s.results[name][i]] = tensor.Tensor{Shape: slices.Clone(v.Shape().Dimensions), Data: tensors.MustCopyFlatData[float32](v)}
		v.MustFinalizeAll()
	}
	return got
}

// open opens a checkpoint of the set.
func (g *golden) open(t *testing.T, path string) *weights.Checkpoint {
	t.Helper()
	c, err := weights.Open(g.path(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// scaled is a loader whose tensors are multiplied as a case's "scale_tensors"
// says: by the factor of the first entry whose text is in the tensor's name.
type scaled struct {
	weights.Loader
	factors []scaleTensor
}

type scaleTensor struct {
	part   string
	factor float32
}

func (s *scaleTensor) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&s.part, &s.factor})
}

func (s scaled) factor(name string) float32 {
	for _, f := range s.factors {
		if strings.Contains(name, f.part) {
			return f.factor
		}
	}
	return 1
}

func (s scaled) Floats(name string, from int, dst []float32) error {
	if err := s.Loader.Floats(name, from, dst); err != nil {
		return err
	}
	for i := range dst {
		dst[i] *= s.factor(name)
	}
	return nil
}

func (s scaled) Bytes(name string, dst []byte) (bool, error) {
	if s.factor(name) != 1 {
		return false, nil
	}
	return s.Loader.Bytes(name, dst)
}

// scale lays a case's "scale_tensors", if it has any, over a loader.
func (g *golden) scale(t *testing.T, l weights.Loader) weights.Loader {
	t.Helper()
	if !g.has("scale_tensors") {
		return l
	}
	s := scaled{Loader: l}
	g.field(t, "scale_tensors", &s.factors)
	return s
}

// compare holds every expected tensor against a result of its name; skip says
// which are looked at elsewhere.
func (g *golden) compare(t *testing.T, got map[string]tensor.Tensor, skip func(name string) bool) {
	t.Helper()
	for _, name := range sortedKeys(g.want) {
		if skip != nil && skip(name) {
			continue
		}
		x, ok := got[name]
		if !ok {
			t.Errorf("%s: not computed", name)
			continue
		}
		g.near(t, name, x, g.want[name])
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// near compares by the case's tolerance, |got − want| ≤ atol + rtol·|want|.
func (g *golden) near(t *testing.T, name string, got, want tensor.Tensor) {
	t.Helper()
	near(t, name, got, want, g.Tolerance.ATol, g.Tolerance.RTol)
}

func near(t *testing.T, name string, got, want tensor.Tensor, atol, rtol float64) {
	t.Helper()
	if atol <= 0 {
		t.Fatalf("%s: the case gives no tolerance", name)
	}
	if !slices.Equal(got.Shape, want.Shape) {
		t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
		return
	}
	bad, worst, at := 0, 0.0, 0
	for i, w := range want.Data {
		d := math.Abs(float64(got.Data[i]) - float64(w))
		if !(d <= atol+rtol*math.Abs(float64(w))) {
			bad++
		}
		if !(d <= worst) {
			worst, at = d, i
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d of %d differ by more than %g + %g·|want|; worst at %d: got %g, want %g",
			name, bad, len(want.Data), atol, rtol, at, got.Data[at], want.Data[at])
	} else {
		t.Logf("%-24s max |Δ| %.2g of %g allowed", name, worst, atol)
	}
}
