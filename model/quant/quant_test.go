package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// random returns bytes of whole blocks, with scales that are numbers.
func random(f Format, blocks int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(f.Bytes)))
	b := make([]byte, blocks*f.Bytes)
	for i := range b {
		b[i] = byte(r.Uint32()) & 0x3b // no exponent of all ones, whatever the bytes are
	}
	return b
}

// Numbers come out alike whichever range is asked for, across blocks, scales and parts.
func TestRangesAgree(t *testing.T) {
	for name, f := range formats {
		if f.decode == nil {
			continue
		}
		const blocks, first = 7, 1
		skip := min(first, f.Elements-1)
		n := blocks*f.Elements - skip
		p := Part{Format: f, Data: random(f, blocks), First: skip, N: n, Scale: []float32{2, 3, 5, 7, 11, 13, 17, 19, 23}, Span: n/8 + 1, Into: 1}
		x := Tensor{Shape: []int{2, n}, Parts: []Part{p, p}}
		whole := make([]float32, 2*n)
		x.Decode(whole, 0)
		if !slices.Equal(whole[:n], whole[n:]) {
			t.Errorf("%s: the same part twice gives other numbers", name)
		}
		for from := 0; from < 2*n; from += 1 + from/5 {
			for _, k := range []int{0, 1, 3, f.Elements, n} {
				k = min(k, 2*n-from)
				got := make([]float32, k)
				if x.Decode(got, from); !slices.Equal(got, whole[from:from+k]) {
					t.Fatalf("%s: %d numbers from %d on are others by themselves", name, k, from)
				}
			}
		}
	}
}

// Every float16 is its number, and rounds back to itself; halves round to even.
func TestHalf(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		x := half([]byte{byte(h), byte(h >> 8)})
		sign, exp, man := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
		want := sign * math.Ldexp(1024+man, exp-25)
		switch {
		case exp == 0:
			want = sign * math.Ldexp(man, -24)
		case exp == 31 && man == 0:
			want = math.Inf(int(sign))
		case exp == 31:
			if x == x {
				t.Fatalf("%#x is %v", h, x)
			}
			continue
		}
		if float64(x) != want || toHalf(x) != h {
			t.Fatalf("%#x is %v and back %#x, want %v", h, x, toHalf(x), want)
		}
	}
	for x, want := range map[float32]uint16{1 + 0x1p-11: 0x3c00, 1 + 3*0x1p-11: 0x3c02, 65519: 0x7bff, 65520: 0x7c00, 0x1p-25: 0, 0x3p-25: 2} {
		if got := toHalf(x); got != want {
			t.Errorf("%v rounds to %#x, want %#x", x, got, want)
		}
	}
}

// Every 8-bit float rounds to itself, and what lies between two to the nearer one.
func TestE4M3(t *testing.T) {
	f, _ := Of("F8_E4M3")
	var x [256]float32
	var codes [256]byte
	for i := range codes {
		codes[i] = byte(i)
	}
	f.Decode(x[:], codes[:])
	for i, v := range x {
		if v == v && toE4M3(v) != byte(i) {
			t.Errorf("%#x is %v, and back %#x", i, v, toE4M3(v))
		}
	}
	for i := range 0x7e {
		if low, high := x[i], x[i+1]; toE4M3(low+(high-low)*0.49) != byte(i) || toE4M3(low+(high-low)*0.51) != byte(i+1) {
			t.Errorf("numbers between %v and %v round to %#x and %#x", low, high, toE4M3(low+(high-low)*0.49), toE4M3(low+(high-low)*0.51))
		}
	}
	for v, want := range map[float32]byte{448: 0x7e, 1e9: 0x7e, -1e9: 0xfe, 0: 0} {
		if got := toE4M3(v); got != want {
			t.Errorf("%v rounds to %#x, want %#x", v, got, want)
		}
	}
}

// BenchmarkDecode prints the speed of each format, in bytes as they are stored and in numbers.
func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"BF16", "F16", "F8_E4M3", "INT8", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_XS",
		"IQ4_NL", "Q3_K", "Q2_K"} {
		f, _ := Of(name)
		const n = 1 << 16
		src, dst := random(f, n/f.Elements), make([]float32, n)
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				f.Decode(dst, src)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gnumbers/s")
		})
	}
}
