package noise_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/stage/noise"
)

// TestRandn compares whole tensors with torch.randn of PyTorch 2.15, to the bit,
// by the first half of the SHA-256 of their little-endian float32 bytes. Fewer
// than 16 numbers, 16 and more, and lengths that 16 does not divide are drawn in
// three different ways; of a seed only the low 32 bits matter.
func TestRandn(t *testing.T) {
	for _, c := range []struct {
		seed         uint64
		shape        []int
		avx2, scalar string
	}{
		{0, []int{1}, "3b8ea0dd3165a760", "3b8ea0dd3165a760"},
		{0, []int{15}, "feb39d97c8afee24", "feb39d97c8afee24"},
		{0, []int{3, 5}, "feb39d97c8afee24", "feb39d97c8afee24"},
		{0, []int{16}, "7648137a31024642", "5dc71d650d690fe0"},
		{0, []int{17}, "6d2169852e19b6d1", "4b50821537854582"},
		{42, []int{33}, "e6ebc861c02eae81", "b65d1c126da642b2"},
		{42, []int{2, 3, 7}, "1ef7600ab034f1fe", "eb6e4c312e19c3b3"},
		{42, []int{1, 16, 8, 9}, "41abcd33f489f97c", "9421feb1a1e7f3c5"},
		{1234, []int{1, 16, 32, 32}, "1a5280994365d72a", "c270c301535a4297"},
		{2147483647, []int{1, 16, 6, 10}, "ebd594534d5d59c5", "3d2d24c9a20b3bd6"},
		{1<<32 + 7, []int{1, 16, 90, 160}, "a20029e987981f78", "11e4ebc92309dbbd"},
		{math.MaxInt64, []int{1, 16, 128, 128}, "ad8ae78cf5e669f9", "0be776f251acf3ff"},
	} {
		for variant, want := range map[noise.Variant]string{noise.AVX2: c.avx2, noise.Scalar: c.scalar} {
			if got := digest(noise.Randn(c.seed, c.shape, variant).Data); !strings.HasPrefix(got, want) {
				t.Errorf("seed %d, %v, %s: digest %s, want %s…", c.seed, c.shape, variant, got, want)
			}
		}
	}
}

// TestFirstNumbers shows some of them.
func TestFirstNumbers(t *testing.T) {
	for _, c := range []struct {
		seed    uint64
		n       int
		variant noise.Variant
		want    []uint32 // bits of float32
	}{
		{0, 16, noise.Scalar, []uint32{
			0xbf901b85, 0xbf93808a, 0xbe804bd6, 0xbede255e, 0x3f594515, 0x3f312784, 0xbea1cc6d, 0xc0075fc2,
			0x3ea50138, 0xbfa1b4f4, 0x3eb330ff, 0x3e9dc3ba, 0x3df56f77, 0x3f9e6b93, 0x3f8ef28e, 0xbe7d365a,
		}},
		{0, 16, noise.AVX2, []uint32{
			0xbf901b85, 0xbf93808a, 0xbe804bd6, 0xbede255d, 0x3f594515, 0x3f312783, 0xbea1cc6d, 0xc0075fc1,
			0x3ea50138, 0xbfa1b4f4, 0x3eb330ff, 0x3e9dc3bb, 0x3df56f77, 0x3f9e6b93, 0x3f8ef28e, 0xbe7d367c,
		}},
		// Of the first block only its first number outlives the drawing anew of the last 16.
		{42, 17, noise.Scalar, []uint32{0x3ff6a527, 0xbe236d7b, 0xbefeaae2, 0x3ee111d7}},
	} {
		got := noise.Randn(c.seed, []int{c.n}, c.variant).Data
		for i, want := range c.want {
			if math.Float32bits(got[i]) != want {
				t.Errorf("seed %d, %s: number %d is %08x, want %08x", c.seed, c.variant, i, math.Float32bits(got[i]), want)
			}
		}
	}
}

// TestGenerator draws one tensor after another, as torch.randn does from one
// generator: the second half of a small draw's last pair waits for the next small
// draw, past large ones.
func TestGenerator(t *testing.T) {
	g := noise.NewGenerator(1, noise.AVX2)
	for i, c := range []struct {
		shape []int
		want  string
	}{
		{[]int{5}, "90f5f4fe6ac6802b"},
		{[]int{3}, "1615a00a207e990b"},
		{[]int{16}, "85b8687eb02ee814"},
		{[]int{20}, "1a3fbac2615ce4f8"},
		{[]int{1}, "682118641c870da0"},
		{[]int{1, 16, 2, 2}, "76421e6e49c3bd4a"},
	} {
		if got := digest(g.Randn(c.shape...).Data); !strings.HasPrefix(got, c.want) {
			t.Errorf("draw %d, %v: digest %s, want %s…", i, c.shape, got, c.want)
		}
	}

	if got := digest(noise.NewGenerator(42, noise.AVX2).Rand(20)); !strings.HasPrefix(got, "3441b23ab90759bd") {
		t.Errorf("torch.rand(20): digest %s", got)
	}
	g = noise.NewGenerator(0, noise.AVX2)
	words := []uint32{g.Uint32(), g.Uint32(), g.Uint32(), g.Uint32()}
	if want := []uint32{2357136044, 2546248239, 3071714933, 3626093760}; !slices.Equal(words, want) {
		t.Errorf("MT19937, seed 0: %v, want %v", words, want)
	}
}

// TestOp: a bfloat16 model gets noise rounded to bfloat16, as in the reference.
func TestOp(t *testing.T) {
	for _, c := range []struct {
		seed    uint64
		variant noise.Variant
		want    string // of the numbers as little-endian bfloat16
	}{
		{0, noise.Scalar, "09b64a741d7c8992"},
		{0, noise.AVX2, "14d7945306222294"},
		{42, noise.Scalar, "da130cbda079ca9b"},
		{42, noise.AVX2, "2332faceaef3f0ff"},
	} {
		var out bytes.Buffer
		op := noise.Op{Seed: c.seed, Shape: []int{16, 128, 128}, Variant: c.variant, DType: "bfloat16"}
		if err := op.Run(t.Context(), &eligen.Call{Out: &out}); err != nil {
			t.Fatal(err)
		}
		tensors, err := tensor.Read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for _, x := range tensors["latents"].Data {
			bits := math.Float32bits(x)
			if bits&0xffff != 0 {
				t.Fatalf("%v is no bfloat16", x)
			}
			b = binary.LittleEndian.AppendUint16(b, uint16(bits>>16))
		}
		if got := eligen.DigestOf(b); !strings.HasPrefix(string(got), c.want) {
			t.Errorf("seed %d, %s: digest %s, want %s…", c.seed, c.variant, got, c.want)
		}
	}

	for _, op := range []noise.Op{
		{Seed: 1 << 32, Shape: []int{16, 8, 8}, Variant: noise.AVX2},
		{Shape: []int{16, 8, 8}, Variant: "cuda"},
		{Shape: []int{16, -8, 8}, Variant: noise.AVX2},
		{Shape: []int{1 << 20, 1 << 20, 1 << 30}, Variant: noise.AVX2},
	} {
		if err := op.Run(t.Context(), &eligen.Call{Out: new(bytes.Buffer)}); err == nil {
			t.Errorf("%+v was drawn", op)
		}
	}
}

func digest(x []float32) string {
	var b []byte
	for _, f := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return string(eligen.DigestOf(b))
}

func ExampleRandn() {
	fmt.Println(noise.Randn(42, []int{2, 2}, noise.AVX2).Data)
	// Output: [0.33669037 0.1288094 0.23446237 0.23033303]
}
