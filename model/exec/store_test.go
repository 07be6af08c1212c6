package exec

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/weights"
)

// A tensor arrives on each backend in the dtype that is wanted, rounded to
// nearest even.
func TestLoadTensor(t *testing.T) {
	bf16 := []byte{0x80, 0x3f, 0x81, 0x3f}                                        // 1, 1.0078125
	f16 := []byte{0x00, 0x3c, 0x01, 0x3c}                                         // 1, 1.0009765625
	f32 := binary.LittleEndian.AppendUint32([]byte{0, 0, 0x80, 0x3f}, 0x3f808000) // 1, 1.00390625: a tie
	f64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1))             // 1
	f64 = binary.LittleEndian.AppendUint64(f64, math.Float64bits(1.005859375))    // 1.005859375
	data := raw(t, vector{"a", "BF16", bf16}, vector{"b", "F16", f16}, vector{"c", "F32", f32}, vector{"d", "F64", f64})
	c, err := weights.FromBytes("memory", data)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]float32{"a": {1, 1.0078125}, "b": {1, 1.0009765625}, "c": {1, 1.00390625}, "d": {1, 1.005859375}}
	rounded := map[string][2]float32{"a": {1, 1.0078125}, "b": {1, 1}, "c": {1, 1}, "d": {1, 1.0078125}}
	for _, name := range []string{"go", "xla"} {
		t.Run(name, func(t *testing.T) {
			be := openBackend(t, name)
			for name := range want {
				x, err := NewStore(be, c, dtypes.Float32).loadTensor(name)
				if err != nil {
					t.Fatal(err)
				}
				if got := tensors.MustCopyFlatData[float32](x); !slices.Equal(got, []float32{want[name][0], want[name][1]}) {
					t.Errorf("%s in float32 is %v, want %v", name, got, want[name])
				}
				x.MustFinalizeAll()
				x, err = NewStore(be, c, dtypes.BFloat16).loadTensor(name)
				if err != nil {
					t.Fatal(err)
				}
				err = x.ConstBytes(func(b []byte) {
					got, err := tensor.Floats("BF16", b)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, []float32{rounded[name][0], rounded[name][1]}) {
						t.Errorf("%s in bfloat16 is %v, want %v", name, got, rounded[name])
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				x.MustFinalizeAll()
			}
		})
	}
}

type vector struct {
	name, dtype string
	data        []byte
}

// raw returns a safetensors file of vectors.
func raw(t *testing.T, parts ...vector) []byte {
	t.Helper()
	header, at, body := map[string]any{}, 0, []byte{}
	for _, p := range parts {
		header[p.name] = map[string]any{"dtype": p.dtype, "shape": []int{len(p.data) / map[string]int{"F32": 4, "F16": 2, "BF16": 2,
			"F64": 8}[p.dtype]}, "data_offsets": []int{at, at + len(p.data)}}
		at += len(p.data)
		body = append(body, p.data...)
	}
	b, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b...), body...)
}

func openBackend(t *testing.T, name string) compute.Backend {
	t.Helper()
	if plugin := os.Getenv("ELIGEN_XLA_CPU"); name == "xla" {
		if plugin == "" {
			t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
		}
		name = "xla:" + plugin
	}
	be, _, err := backend.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Finalize)
	return be
}
