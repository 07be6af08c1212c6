package noise

import (
	"math"

	"github.com/eligen/eligen/internal/tensor"
)

// Variant is one of the ways in which PyTorch computes normal numbers on a CPU. The
// first two start from the same bits and end apart in the last ones of a float32.
type Variant string

// The variants.
const (
	AVX2   Variant = "avx2"   // x86-64 processors since 2013: what users' PyTorch gives, nearly always
	Scalar Variant = "scalar" // ARM, and x86-64 without AVX2: the C library's logf, cosf and sinf

	// BFloat16 is how PyTorch up to 2.11 drew in bfloat16: uniform numbers of 8 bits, and every
	// result on the way rounded. No number is beyond 3.33.
	BFloat16 Variant = "bfloat16"
)

// A Generator is torch.Generator("cpu"): consecutive draws from it are what
// consecutive torch.randn calls give.
type Generator struct {
	variant Variant
	state   [624]uint32
	at      int
	second  float64 // the sine half of a small draw's last pair, which outlives the draw
	pending bool
}

// NewGenerator returns a generator seeded with the low 32 bits of seed, which are all
// that PyTorch's uses.
func NewGenerator(seed uint64, variant Variant) *Generator {
	g := &Generator{variant: variant, at: 624}
	g.state[0] = uint32(seed)
	for i := uint32(1); i < 624; i++ {
		p := g.state[i-1]
		g.state[i] = 1812433253*(p^p>>30) + i
	}
	return g
}

// Randn returns torch.randn(shape, dtype=float32) of a fresh CPU generator with a seed.
func Randn(seed uint64, shape []int, variant Variant) tensor.Tensor {
	return NewGenerator(seed, variant).Randn(shape...)
}

// Randn draws a tensor of normal numbers, row-major. Of 16 numbers or more, each
// block of 16 is made of 8 pairs, cosines first; what 16 does not divide has its
// last 16 numbers drawn anew.
func (g *Generator) Randn(shape ...int) tensor.Tensor {
	t := tensor.New(shape...)
	n := len(t.Data)
	if n < 16 {
		for i := range t.Data {
			t.Data[i] = float32(g.normal())
		}
		return t
	}
	g.fill(t.Data)
	for b := 0; b+16 <= n; b += 16 {
		g.transform(t.Data[b : b+16])
	}
	if n%16 != 0 {
		g.fill(t.Data[n-16:])
		g.transform(t.Data[n-16:])
	}
	return t
}

func (g *Generator) fill(u []float32) {
	bits := 24
	if g.variant == BFloat16 {
		bits = 8
	}
	for i := range u {
		u[i] = float32(g.Uint32()&(1<<bits-1)) / float32(int(1)<<bits)
	}
}

// Uint32 returns the Mersenne Twister's next word (MT19937; Matsumoto and Nishimura,
// 1998).
func (g *Generator) Uint32() uint32 {
	if g.at == 624 {
		for i := range g.state {
			y := g.state[i]&0x80000000 | g.state[(i+1)%624]&0x7fffffff
			next := g.state[(i+397)%624] ^ y>>1
			if y&1 != 0 {
				next ^= 0x9908b0df
			}
			g.state[i] = next
		}
		g.at = 0
	}
	y := g.state[g.at]
	g.at++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// uniform53 returns a float64 in [0, 1) of two words, the high one first.
func (g *Generator) uniform53() float64 {
	high := uint64(g.Uint32())
	return float64((high<<32|uint64(g.Uint32()))&(1<<53-1)) * (1.0 / (1 << 53))
}

// normal draws a number as for tensors of fewer than 16.
func (g *Generator) normal() float64 {
	if g.pending {
		g.pending = false
		return g.second
	}
	u1, u2 := g.uniform53(), g.uniform53()
	r, theta := math.Sqrt(-2*math.Log1p(-u2)), 2*math.Pi*u1
	g.second, g.pending = r*math.Sin(theta), true
	return r * math.Cos(theta)
}

// transform makes 16 uniform numbers into 16 normal ones (Box and Muller, 1958).
func (g *Generator) transform(b []float32) {
	if g.variant == BFloat16 {
		rounded(b)
		return
	}
	for j := range 8 {
		a, c := 1-b[j], b[j+8]
		var r, sin, cos float32
		if g.variant == Scalar {
			r = sqrt32(-2 * logf(a))
			sin, cos = sincosf(float32(2 * math.Pi * float64(c)))
		} else {
			r = sqrt32(-2 * log8(a))
			sin, cos = sincos8(float32(float32(2*math.Pi) * c))
		}
		b[j], b[j+8] = positive(r*cos), positive(r*sin)
	}
}

// rounded does as transform does, in bfloat16.
func rounded(b []float32) {
	round := func(x float64) float64 {
		return float64(math.Float32frombits(uint32(tensor.BFloat16(float32(x))) << 16))
	}
	for j := range 8 {
		a, c := round(1-float64(b[j])), float64(b[j+8])
		r := round(math.Sqrt(round(-2 * round(math.Log(a)))))
		sin, cos := math.Sincos(round(2 * math.Pi * c))
		b[j], b[j+8] = float32(round(r*round(cos))), float32(round(r*round(sin))) // zeros keep their signs there
	}
}

// positive returns x, and 0 for −0: PyTorch adds a mean of 0.
func positive(x float32) float32 {
	if x == 0 {
		return 0
	}
	return x
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// log8 returns the natural logarithm as PyTorch's 8-wide kernel computes it: Cephes'
// logf (Moshier) with products and sums fused. x is in (0, 1].
func log8(x float32) float32 {
	bits := math.Float32bits(x)
	e := float32(int32(bits>>23) - 126)
	m := math.Float32frombits(bits&0x7fffff | 0x3f000000) // [0.5, 1)
	x = m - 1
	if m < 0.707106781186547524 {
		e--
		x += m
	}
	z := x * x
	y := float32(7.0376836292e-2)
	for _, c := range [...]float32{
		-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
		-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
	} {
		y = fma32(y, x, c)
	}
	y *= x
	y = fma32(y, z, e*-2.12194440e-4)
	y = fma32(z, -0.5, y)
	return fma32(e, 0.693359375, x+y)
}

// sincos8 returns sine and cosine as PyTorch's 8-wide kernel computes them: Cephes'
// sinf and cosf with products and sums fused. x is at least 0.
func sincos8(x float32) (sin, cos float32) {
	j := (int32(x*1.27323954473516) + 1) &^ 1
	y := float32(j)
	x = fma32(y, -0.78515625, x)
	x = fma32(y, -2.4187564849853515625e-4, x)
	x = fma32(y, -3.77489497744594108e-8, x)
	z := x * x

	c := fma32(2.443315711809948e-5, z, -1.388731625493765e-3)
	c = fma32(c, z, 4.166664568298827e-2)
	c *= z
	c = fma32(c, z, -(0.5 * z))
	c += 1

	s := fma32(-1.9515295891e-4, z, 8.3321608736e-3)
	s = fma32(s, z, -1.6666654611e-1)
	s *= z
	s = fma32(s, x, x)

	if j&2 != 0 {
		s, c = c, s
	}
	if j&4 != 0 {
		s = -s
	}
	if (j-2)&4 == 0 {
		c = -c
	}
	return s, c
}

// fma32 returns a·b + c rounded once to float32. The product is exact in float64; the
// sum is rounded to odd there, so that rounding again to float32 does no harm.
func fma32(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	s := p + q
	t := s - p
	lost := (p - (s - t)) + (q - t)
	if lost != 0 {
		if bits := math.Float64bits(s); bits&1 == 0 {
			if (lost > 0) == (s > 0) {
				bits++
			} else {
				bits--
			}
			s = math.Float64frombits(bits)
		}
	}
	return float32(s)
}
