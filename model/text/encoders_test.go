package text

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// The fixtures under testdata come from transformers and PyTorch in float32, on
// tiny models of random weights; testdata/NOTICE.txt says more.

// openXLA is set where the build has XLA (see xla_test.go).
var openXLA func(t *testing.T, plugin string) compute.Backend

// onBackends runs a test on the pure-Go backend and on XLA's.
func onBackends(t *testing.T, test func(t *testing.T, b compute.Backend)) {
	t.Run("go", func(t *testing.T) { onGo(t, test) })
	t.Run("xla", func(t *testing.T) { onXLA(t, test) })
}

func onGo(t *testing.T, test func(t *testing.T, b compute.Backend)) {
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	test(t, b)
}

// onXLA runs a test where ELIGEN_XLA_CPU names XLA's plugin for the CPU.
func onXLA(t *testing.T, test func(t *testing.T, b compute.Backend)) {
	plugin := os.Getenv("ELIGEN_XLA_CPU")
	switch {
	case openXLA == nil:
		t.Skip("this build has no XLA: it was made without cgo")
	case plugin == "":
		t.Skip("ELIGEN_XLA_CPU does not name a PJRT plugin for the CPU")
	}
	b := openXLA(t, plugin)
	t.Cleanup(b.Finalize)
	test(t, b)
}

// checkpoint reads all tensors of a folder's safetensors files.
func checkpoint(t *testing.T, folder string) map[string]tensor.Tensor {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("testdata", folder, "*.safetensors"))
	out := map[string]tensor.Tensor{}
	for _, f := range files {
		part, err := tensor.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(out, part)
	}
	if len(out) == 0 {
		t.Fatalf("no tensors in testdata/%s", folder)
	}
	return out
}

func shapesOf(tensors map[string]tensor.Tensor) map[string][]int {
	out := map[string][]int{}
	for name, t := range tensors {
		out[name] = t.Shape
	}
	return out
}

// A fixture is one case: token ids in, named results and a tolerance out.
type fixture struct {
	Tolerance struct{ Atol, Rtol float64 }
	Scale     []scale `json:"scale_tensors"`
	ids       [][]int32
	want      map[string]tensor.Tensor
}

// scale multiplies the tensors whose name contains Part.
type scale struct {
	Part   string
	Factor float32
}

func (s *scale) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]any{&s.Part, &s.Factor}) }

func readFixture(t *testing.T, folder string) fixture {
	t.Helper()
	var f fixture
	raw, err := os.ReadFile(filepath.Join("testdata", folder, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	f.want, err = tensor.ReadFile(filepath.Join("testdata", folder, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err = os.ReadFile(filepath.Join("testdata", folder, "inputs.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	infos, _, err := tensor.ReadHeader(strings.NewReader(string(raw)), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if i.Name != "input_ids" {
			continue
		}
		rows := raw[i.Offset : i.Offset+i.Size]
		for range i.Shape[0] {
			row := make([]int32, i.Shape[1])
			for j := range row {
				row[j] = int32(binary.LittleEndian.Uint32(rows[4*j:]))
			}
			f.ids, rows = append(f.ids, row), rows[4*len(row):]
		}
	}
	return f
}

// scaled returns the weights with the factors of the fixture applied.
func (f fixture) scaled(weights map[string]tensor.Tensor) map[string]tensor.Tensor {
	out := maps.Clone(weights)
	for name, w := range out {
		for _, s := range f.Scale {
			if strings.Contains(name, s.Part) {
				data := slices.Clone(w.Data)
				for i := range data {
					data[i] *= s.Factor
				}
				out[name] = tensor.Tensor{Shape: w.Shape, Data: data}
				break
			}
		}
	}
	return out
}

// compare fails where a result is missing or outside the fixture's tolerance.
// The fixture may hold fewer rows of a batch than were computed.
func (f fixture) compare(t *testing.T, got map[string]tensor.Tensor, names ...string) {
	t.Helper()
	for _, name := range names {
		want, have := f.want[name], got[name]
		if want.Data == nil || len(have.Data) < len(want.Data) || !slices.Equal(have.Shape[1:], want.Shape[1:]) {
			t.Errorf("%s: got %v, the fixture has %v", name, have.Shape, want.Shape)
			continue
		}
		worst, bad := 0.0, 0
		for i, w := range want.Data {
			d := math.Abs(float64(have.Data[i]) - float64(w))
			worst = max(worst, d)
			if !(d <= f.Tolerance.Atol+f.Tolerance.Rtol*math.Abs(float64(w))) {
				bad++
			}
		}
		t.Logf("%s: greatest difference %.2g", name, worst)
		if bad > 0 {
			t.Errorf("%s: %d of %d numbers are outside the tolerance; greatest difference %g", name, bad, len(want.Data), worst)
		}
	}
}

// results runs a graph once on weights, given as arguments in the dtype, and
// returns everything that it reports, as float32.
func results(t *testing.T, b compute.Backend, dtype dtypes.DType, weights map[string]tensor.Tensor, ids [][]int32,
	graph func(w nn.Weights, ids *Node, report Trace)) map[string]tensor.Tensor {
	t.Helper()
	return compiled(t, b, dtype, graph)(weights, ids)
}

// compiled returns results for more than one call.
func compiled(t *testing.T, b compute.Backend, dtype dtypes.DType,
	graph func(w nn.Weights, ids *Node, report Trace)) func(map[string]tensor.Tensor, [][]int32) map[string]tensor.Tensor {
	t.Helper()
	var names, reported []string
	ex, err := NewExec(b, func(nodes []*Node) []*Node {
		reported = nil
		var out []*Node
		graph(func(name string) *Node {
			i, ok := slices.BinarySearch(names, name)
			if !ok {
				panic(fmt.Sprintf("the graph asks for %s, which the checkpoint lacks", name))
			}
			return nodes[i+1]
		}, nodes[0], func(name string, x *Node) {
			reported = append(reported, name)
			out = append(out, ConvertDType(x, dtypes.Float32))
		})
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ex.Finalize)
	return func(weights map[string]tensor.Tensor, ids [][]int32) map[string]tensor.Tensor {
		t.Helper()
		names = slices.Sorted(maps.Keys(weights))
		args := []any{ids}
		for _, n := range names {
			w := weights[n]
			if dtype == dtypes.BFloat16 {
				half := make([]bfloat16.BFloat16, len(w.Data))
				for i, x := range w.Data {
					half[i] = bfloat16.FromFloat32(x)
				}
				args = append(args, tensors.FromFlatDataAndDimensions(half, w.Shape...))
			} else {
				args = append(args, tensors.FromFlatDataAndDimensions(slices.Clone(w.Data), w.Shape...))
			}
		}
		outs, err := ex.Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]tensor.Tensor{}
		for i, o := range outs {
			got[reported[i]] = tensor.Tensor{Shape: o.Shape().Dimensions, Data: tensors.MustCopyFlatData[float32](o)}
			o.MustFinalizeAll()
		}
		return got
	}
}

func TestT5IsTransformersT5(t *testing.T) {
	weights := checkpoint(t, "models/text_encoder_2")
	c, err := DetectT5(shapesOf(weights))
	if err != nil {
		t.Fatal(err)
	}
	if want := (T5Config{Dim: 32, FF: 48, HeadDim: 8, Heads: 3, Layers: 2, Vocab: 259}); c != want {
		t.Fatalf("detected %+v, the checkpoint's config.json says %+v", c, want)
	}
	for folder, names := range map[string][]string{
		"t5/short": {"position_bias", "block.0", "block.1", "last_hidden"},
		// Distances beyond 128: every position bucket is met.
		"t5/long": {"last_hidden"},
		// Small weights, so that the norms' epsilon shows.
		"t5_eps": {"last_hidden"},
	} {
		t.Run(folder, func(t *testing.T) {
			onBackends(t, func(t *testing.T, b compute.Backend) {
				f := readFixture(t, folder)
				f.compare(t, results(t, b, dtypes.Float32, f.scaled(weights), f.ids, func(w nn.Weights, ids *Node, report Trace) {
					report("last_hidden", T5(w, c, ids, report))
				}), names...)
			})
		})
	}
}

func TestCLIPIsTransformersCLIP(t *testing.T) {
	weights := checkpoint(t, "models/text_encoder")
	c, err := DetectCLIP(shapesOf(weights), 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := (CLIPConfig{Dim: 24, FF: 64, Heads: 3, Layers: 3, Vocab: 258, Positions: 77}); c != want {
		t.Fatalf("detected %+v, the checkpoint's config.json says %+v", c, want)
	}
	for folder, names := range map[string][]string{
		"clip/text": {"layer.0", "layer.1", "layer.2", "final_layer_norm", "pooled"},
		"clip_eps":  {"pooled"},
	} {
		t.Run(folder, func(t *testing.T) {
			onBackends(t, func(t *testing.T, b compute.Backend) {
				f := readFixture(t, folder)
				f.compare(t, results(t, b, dtypes.Float32, f.scaled(weights), f.ids, func(w nn.Weights, ids *Node, report Trace) {
					report("pooled", CLIP(w, c, ids, report))
				}), names...)
			})
		})
	}
}

// A causal encoder's pooled row sees nothing after the end marker, so a shorter
// padding gives the same vector. nano's sequences are shorter than 77.
func TestCLIPLengthOfPaddingDoesNotMatter(t *testing.T) {
	weights := checkpoint(t, "models/text_encoder")
	c, err := DetectCLIP(shapesOf(weights), 3)
	if err != nil {
		t.Fatal(err)
	}
	onGo(t, func(t *testing.T, b compute.Backend) {
		pooled := func(ids ...int32) []float32 {
			return results(t, b, dtypes.Float32, weights, [][]int32{ids}, func(w nn.Weights, ids *Node, report Trace) {
				report("pooled", CLIP(w, c, ids))
			})["pooled"].Data
		}
		short, long := pooled(256, 97, 98, 257), pooled(256, 97, 98, 257, 257, 257, 257, 257)
		for i := range short {
			if d := math.Abs(float64(short[i] - long[i])); d > 1e-5 {
				t.Fatalf("element %d differs by %g", i, d)
			}
		}
	})
}

// In bfloat16 the encoders stay within that type's rounding (8 bits of
// mantissa, over a few layers) of the float32 results. On XLA only: the Go
// backend is always given float32, since with GOEXPERIMENT=simd its matrix
// products of bfloat16 are wrong.
func TestEncodersInBFloat16(t *testing.T) {
	onXLA(t, func(t *testing.T, b compute.Backend) {
		near := func(t *testing.T, got, want tensor.Tensor, limit float64) {
			t.Helper()
			sum, whole := 0.0, 0.0
			for i, w := range want.Data {
				d := float64(got.Data[i]) - float64(w)
				sum, whole = sum+d*d, whole+float64(w)*float64(w)
			}
			relative := math.Sqrt(sum / whole)
			t.Logf("relative error %.3g", relative)
			if !(relative > 0 && relative < limit) {
				t.Errorf("relative error %g, want more than 0 and less than %g", relative, limit)
			}
		}
		t5, clip := checkpoint(t, "models/text_encoder_2"), checkpoint(t, "models/text_encoder")
		f := readFixture(t, "t5/short")
		got := results(t, b, dtypes.BFloat16, t5, f.ids, func(w nn.Weights, ids *Node, report Trace) {
			c, _ := DetectT5(shapesOf(t5))
			report("out", T5(w, c, ids))
		})
		near(t, got["out"], f.want["last_hidden"], 0.05)
		f = readFixture(t, "clip/text")
		got = results(t, b, dtypes.BFloat16, clip, f.ids, func(w nn.Weights, ids *Node, report Trace) {
			c, _ := DetectCLIP(shapesOf(clip), 3)
			report("out", CLIP(w, c, ids))
		})
		near(t, got["out"], f.want["pooled"], 0.05)
	})
}

// Training moves every weight: each gradient agrees with what a small step
// along it does to the loss. The graph of the gradient is the same on every
// backend.
func TestEncodersHaveGradients(t *testing.T) {
	t5, clip := checkpoint(t, "models/text_encoder_2"), checkpoint(t, "models/text_encoder")
	t5Config, _ := DetectT5(shapesOf(t5))
	clipConfig, _ := DetectCLIP(shapesOf(clip), 3)
	for _, m := range []struct {
		name    string
		weights map[string]tensor.Tensor
		list    []Weight
		ids     [][]int32
		forward func(w nn.Weights, ids *Node) *Node
	}{
		{"t5", t5, t5Config.Weights(), [][]int32{{70, 71, 70, 1, 0, 0}, {90, 1, 0, 0, 0, 0}},
			func(w nn.Weights, ids *Node) *Node { return T5(w, t5Config, ids) }},
		{"clip", clip, clipConfig.Weights(), [][]int32{{256, 97, 97, 98, 257, 257}, {256, 98, 257, 257, 257, 257}},
			func(w nn.Weights, ids *Node) *Node { return CLIP(w, clipConfig, ids) }},
	} {
		t.Run(m.name, func(t *testing.T) {
			onGo(t, func(t *testing.T, b compute.Backend) {
				loss := func(w nn.Weights, ids *Node) *Node {
					y := m.forward(w, ids)
					return ReduceAllSum(Mul(y, Sin(IotaFull(y.Graph(), y.Shape())))) // no direction is special
				}
				got := results(t, b, dtypes.Float32, m.weights, m.ids, func(w nn.Weights, ids *Node, report Trace) {
					var nodes []*Node
					for _, l := range m.list {
						nodes = append(nodes, w(l.Name))
					}
					for i, g := range Gradient(loss(w, ids), nodes...) {
						report(m.list[i].Name, g)
					}
				})
				const step = 2e-3
				run := compiled(t, b, dtypes.Float32, func(w nn.Weights, ids *Node, report Trace) { report("loss", loss(w, ids)) })
				at := func(name string, s float32) float64 {
					moved := maps.Clone(m.weights)
					x := tensor.Tensor{Shape: moved[name].Shape, Data: slices.Clone(moved[name].Data)}
					for i, d := range unit(got[name].Data) {
						x.Data[i] += s * d
					}
					moved[name] = x
					return float64(run(moved, m.ids)["loss"].Data[0])
				}
				for _, l := range m.list {
					length := euclid(got[l.Name].Data)
					slope := (at(l.Name, step) - at(l.Name, -step)) / (2 * step)
					if strings.HasSuffix(l.Name, "k_proj.bias") {
						// Softmax does not see what all keys share: this one gradient is rounding.
						if length > 1e-4 {
							t.Errorf("%s: gradient of length %g, want none", l.Name, length)
						}
						continue
					}
					if length == 0 || math.Abs(slope-length) > 0.03*length+2e-3 {
						t.Errorf("%s: the gradient says the loss rises by %g a step, it rises by %g", l.Name, length, slope)
					}
				}
			})
		})
	}
}

func euclid(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s)
}

func unit(x []float32) []float32 {
	n := euclid(x)
	out := make([]float32, len(x))
	for i, v := range x {
		if n > 0 {
			out[i] = float32(float64(v) / n)
		}
	}
	return out
}

// The published bucket boundaries (relative position is key − query).
func TestT5Bucket(t *testing.T) {
	for relative, want := range map[int]int{
		0: 0, -1: 1, 1: 17, -7: 7, -8: 8, -11: 8, -12: 9, -15: 9, -16: 10, -22: 10, -23: 11, -31: 11, -32: 12,
		-45: 12, -46: 13, -63: 13, -64: 14, -90: 14, -91: 15, -511: 15, 7: 23, 8: 24, 90: 30, 91: 31, 511: 31,
	} {
		if got := t5Bucket(relative); got != want {
			t.Errorf("relative position %d is in bucket %d, want %d", relative, got, want)
		}
	}
}

// The published checkpoints' tensor counts and parameter counts.
func TestPresets(t *testing.T) {
	count := func(ws []Weight) (tensors, parameters int) {
		for _, w := range ws {
			n := 1
			for _, d := range w.Shape {
				n *= d
			}
			parameters += n
		}
		return len(ws), parameters
	}
	if n, p := count(T5XXL.Weights()); n != 219 || p != 4_762_310_656 {
		t.Errorf("T5-XXL's encoder has 219 tensors and 4762310656 parameters, the config %d and %d", n, p)
	}
	if n, p := count(CLIPViTL14.Weights()); n != 196 || p != 123_060_480 {
		t.Errorf("CLIP ViT-L/14's text model has 196 tensors and 123060480 parameters, the config %d and %d", n, p)
	}
}

// A checkpoint of something else, or a damaged one, is named before any graph is built.
func TestDetectNamesWhatIsWrong(t *testing.T) {
	t5, clip := shapesOf(checkpoint(t, "models/text_encoder_2")), shapesOf(checkpoint(t, "models/text_encoder"))
	without := func(m map[string][]int, name string) map[string][]int {
		m = maps.Clone(m)
		delete(m, name)
		return m
	}
	with := func(m map[string][]int, name string, shape ...int) map[string][]int {
		m = maps.Clone(m)
		m[name] = shape
		return m
	}
	detectT5 := func(s map[string][]int) error { _, err := DetectT5(s); return err }
	detectCLIP := func(s map[string][]int) error { _, err := DetectCLIP(s, 3); return err }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"empty t5":    {detectT5(nil), "shared.weight"},
		"empty clip":  {detectCLIP(nil), "token_embedding"},
		"t5 for clip": {detectCLIP(t5), "not the weights of a CLIP text encoder"},
		"clip for t5": {detectT5(clip), "not the weights of a T5"},
		"missing": {detectT5(without(t5, "encoder.block.1.layer.1.DenseReluDense.wo.weight")),
			"encoder.block.1.layer.1.DenseReluDense.wo.weight is missing"},
		"shape":     {detectT5(with(t5, "encoder.final_layer_norm.weight", 31)), "encoder.final_layer_norm.weight is [31], want [32]"},
		"rank":      {detectT5(with(t5, "shared.weight", 259)), "shared.weight"},
		"clip bias": {detectCLIP(without(clip, "text_model.encoder.layers.2.mlp.fc2.bias")), "fc2.bias is missing"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one that says %q", name, c.err, c.want)
		}
	}
	if _, err := DetectCLIP(clip, 0); err == nil || !strings.Contains(err.Error(), "num_attention_heads") {
		t.Errorf("width 24 has no heads of 64: got error %v", err)
	}
}
