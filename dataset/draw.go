package dataset

import (
	"math/bits"
	"math/rand/v2"
)

// A stream is a reproducible source of random numbers. It does not use the
// bounded methods of rand.Rand, whose results may depend on the word size.
type stream struct{ *rand.PCG }

func newStream(seed, tag, i uint64) stream {
	return stream{rand.NewPCG(mix(seed^mix(tag)), mix(i+0x5851f42d4c957f2d))}
}

// mix returns the finaliser of splitmix64: neighbouring seeds become unrelated ones.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a uniform number in 0 … n-1.
func (s stream) below(n int) int {
	hi, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int(hi)
}

// between returns a uniform number in lo … hi, both included; lo if hi is smaller.
func (s stream) between(lo, hi int) int {
	if hi <= lo {
		return lo
	}
	return lo + s.below(hi-lo+1)
}

// chance returns true in percent of all cases.
func (s stream) chance(percent int) bool { return s.below(100) < percent }

// shuffled returns a random order of 0 … n-1.
func (s stream) shuffled(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := s.below(i + 1)
		p[i] = p[j]
		p[j] = i
	}
	return p
}
