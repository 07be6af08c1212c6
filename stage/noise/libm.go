package noise

import "math"

// The C library's logf, sinf and cosf as glibc has had them since 2.28: short
// polynomials in float64, rounded once, and so not always to the nearest
// float32. Method and coefficients are those of Arm's optimized routines
// (Szabolcs Nagy and Wilco Dijkstra, 2017; MIT licence).

// logTable is 1/c and ln c of a point c in each sixteenth of [0.7, 1.4).
var logTable = [16][2]float64{
	{0x1.661ec79f8f3bep+0, -0x1.57bf7808caadep-2}, {0x1.571ed4aaf883dp+0, -0x1.2bef0a7c06ddbp-2},
	{0x1.49539f0f010bp+0, -0x1.01eae7f513a67p-2}, {0x1.3c995b0b80385p+0, -0x1.b31d8a68224e9p-3},
	{0x1.30d190c8864a5p+0, -0x1.6574f0ac07758p-3}, {0x1.25e227b0b8eap+0, -0x1.1aa2bc79c81p-3},
	{0x1.1bb4a4a1a343fp+0, -0x1.a4e76ce8c0e5ep-4}, {0x1.12358f08ae5bap+0, -0x1.1973c5a611cccp-4},
	{0x1.0953f419900a7p+0, -0x1.252f438e10c1ep-5}, {1, 0},
	{0x1.e608cfd9a47acp-1, 0x1.aa5aa5df25984p-5}, {0x1.ca4b31f026aap-1, 0x1.c5e53aa362eb4p-4},
	{0x1.b2036576afce6p-1, 0x1.526e57720db08p-3}, {0x1.9c2d163a1aa2dp-1, 0x1.bc2860d22477p-3},
	{0x1.886e6037841edp-1, 0x1.1058bc8a07ee1p-2}, {0x1.767dcf5534862p-1, 0x1.4043057b6ee09p-2},
}

// logf returns ln x of a normal float32 above 0: ln c + k·ln 2 + log1p(x/(c·2ᵏ) − 1).
func logf(x float32) float32 {
	const below = 0x3f330000 // bits of 0.7
	bits := math.Float32bits(x)
	off := bits - below
	c := logTable[off>>19%16]
	k := float64(int32(off) >> 23)
	z := float64(math.Float32frombits(bits - off&0xff800000))
	r := math.FMA(z, c[0], -1)
	y0 := math.FMA(k, math.Ln2, c[1])
	y := math.FMA(0x1.5575b0be00b6ap-2, r, -0x1.ffffef20a4123p-2)
	y = math.FMA(-0x1.00ea348b88334p-2, r*r, y)
	return float32(math.FMA(y, r*r, y0+r))
}

// sincosf returns sin x and cos x for 0 ≤ x < 120: reduced to the nearest multiple n
// of π/2.
func sincosf(x float32) (sin, cos float32) {
	y := float64(x)
	n := int32(0)
	if y >= math.Pi/4 {
		n = (int32(y*(2/math.Pi*(1<<24))) + 1<<23) >> 24
		y = math.FMA(-float64(n), math.Pi/2, y)
	}
	y2 := y * y
	y3, y4 := y*y2, y2*y2
	s := math.FMA(y3, -0x1.555545995a603p-3, y)
	s = math.FMA(y3*y2, math.FMA(y2, -0x1.994eb3774cf24p-13, 0x1.1107605230bc4p-7), s)
	c := math.FMA(y2, -0x1.ffffffd0c621cp-2, 1)
	c = math.FMA(y4, 0x1.55553e1068f19p-5, c)
	c = math.FMA(y4*y2, math.FMA(y2, 0x1.99343027bf8c3p-16, -0x1.6c087e89a359dp-10), c)
	switch n & 3 {
	case 1:
		s, c = c, -s
	case 2:
		s, c = -s, -c
	case 3:
		s, c = -c, s
	}
	return float32(s), float32(c)
}
