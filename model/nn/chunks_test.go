package nn_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/model/nn"
)

// rows and keys make attention scores of 64 MiB; in chunks of 256 rows, sixteen times 4 MiB.
const rows, inChunk = 4096, 256

func attention(q, k, v *Node, chunk int) *Node {
	return nn.InChunks(q, 2, chunk, func(_ SliceAxisSpec, q *Node) []*Node {
		return []*Node{nn.Attention(q, k, v, 0.3, nil)}
	})[0]
}

// Chunks of an attention are one after the other in memory: what all of them take is
// little more than what one takes.
func TestChunksTakeTurns(t *testing.T) {
	for name, be := range backends(t) {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			var in []any
			for range 3 {
				in = append(in, random(rng, 1, 1, rows, 8))
			}
			e := MustNewExec(be, func(q, k, v *Node) *Node { return attention(q, k, v, inChunk) })
			e.MustCall(in[0], in[1], in[2])[0].MustFinalizeAll() // compiled

			taken := allocated(func() { e.MustCall(in[0], in[1], in[2])[0].MustFinalizeAll() })
			if name != "go" {
				taken = grown(t, func() { e.MustCall(in[0], in[1], in[2])[0].MustFinalizeAll() })
			}
			if chunk := int64(4 * rows * inChunk); taken > 6*chunk {
				t.Errorf("%d MiB are taken at once, by chunks of %d MiB", taken>>20, chunk>>20)
			}
		})
	}
}

// allocated returns what the Go backend can't take from buffers that it has had before,
// nothing being collected meanwhile: what it holds at once.
func allocated(f func()) int64 {
	runtime.GC()
	runtime.GC() // the second drops what pools kept over the first
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// grown returns how much the process grows beyond what it is now.
func grown(t *testing.T, f func()) int64 {
	resident := func(field string) int64 {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("this system doesn't say how much memory a process takes")
		}
		_, rest, _ := strings.Cut(string(status), field+":")
		kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return kb << 10
	}
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skip(err)
	}
	before := resident("VmRSS")
	f()
	return resident("VmHWM") - before
}

// In chunks or not, the result is the same.
func TestChunksAreTheWhole(t *testing.T) {
	for name, be := range backends(t) {
		rng := rand.New(rand.NewPCG(3, 4))
		q, k, v := random(rng, 1, 2, 70, 8), random(rng, 1, 2, 90, 8), random(rng, 1, 2, 90, 8)
		run := func(chunk int) []float32 {
			e := MustNewExec(be, func(q, k, v *Node) *Node { return attention(q, k, v, chunk) })
			return tensors.MustCopyFlatData[float32](e.MustCall(q, k, v)[0])
		}
		whole := run(70)
		for _, chunk := range []int{16, 69, 1000} {
			for i, x := range run(chunk) {
				if d := x - whole[i]; d > 1e-6 || d < -1e-6 {
					t.Fatalf("%s, chunks of %d: number %d is %v, want %v", name, chunk, i, x, whole[i])
				}
			}
		}
	}
}
