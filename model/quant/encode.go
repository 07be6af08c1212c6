package quant

import (
	"encoding/binary"
	"math"

	"github.com/eligen/eligen/internal/tensor"
)

// toHalf rounds to float16, to nearest even.
func toHalf(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // not a number
		return sign | 0x7e00
	case bits >= 0x477ff000: // rounds to more than the largest
		return sign | 0x7c00
	case bits < 0x38800000: // subnormal: the sum's last bits are the number in units of 2⁻²⁴
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-0x38000000)>>13)
}

func putHalf(b []byte, x float32) float32 {
	binary.LittleEndian.PutUint16(b, toHalf(x))
	return half(b)
}

func encodeF16(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], toHalf(x))
	}
}

func encodeBF16(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], tensor.BFloat16(x))
	}
}

func encodeF32(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
	}
}

// encodeE4M3 rounds to nearest even; what is larger than 448 becomes that.
func encodeE4M3(dst []byte, src []float32) {
	for i, x := range src {
		dst[i] = toE4M3(x)
	}
}

func toE4M3(x float32) byte {
	bits := math.Float32bits(x)
	sign := byte(bits >> 24 & 0x80)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000:
		return sign | 0x7f
	case bits >= 0x43e80000: // 464 and more round beyond 448
		return sign | 0x7e
	case bits < 0x3c800000: // subnormal, in units of 2⁻⁹
		return sign | byte(math.RoundToEven(float64(math.Float32frombits(bits))*512))
	}
	bits += 0x7ffff + bits>>20&1
	return sign | byte((bits-0x3c000000)>>20)
}

// invert returns 1/d, or 0 of 0.
func invert(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

func encodeQ80(dst []byte, src []float32) {
	for len(src) >= 32 {
		var most float32
		for _, x := range src[:32] {
			most = max(most, float32(math.Abs(float64(x))))
		}
		d := most / 127
		by := invert(d)
		putHalf(dst, d)
		for i, x := range src[:32] {
			dst[2+i] = byte(int8(math.Round(float64(x * by)))) // halves away from 0
		}
		dst, src = dst[34:], src[32:]
	}
}

// extreme returns the number that is farthest from 0.
func extreme(list []float32) (x float32) {
	for _, y := range list {
		if math.Abs(float64(y)) > math.Abs(float64(x)) {
			x = y
		}
	}
	return x
}

func encodeQ40(dst []byte, src []float32) {
	for len(src) >= 32 {
		d := extreme(src[:32]) / -8
		by := invert(d)
		putHalf(dst, d)
		for i := range 16 {
			dst[2+i] = code(float32(src[i]*by)+8.5, 15) | code(float32(src[16+i]*by)+8.5, 15)<<4
		}
		dst, src = dst[18:], src[32:]
	}
}

// code rounds towards 0, to at most a number.
func code(x float32, most byte) byte {
	if !(x > 0) {
		return 0
	}
	return byte(min(x, float32(most)))
}

func encodeQ41(dst []byte, src []float32) {
	for len(src) >= 32 {
		low, d := span(src[:32], 15)
		by := invert(d)
		putHalf(dst, d)
		putHalf(dst[2:], low)
		for i := range 16 {
			dst[4+i] = code(float32((src[i]-low)*by)+0.5, 15) | code(float32((src[16+i]-low)*by)+0.5, 15)<<4
		}
		dst, src = dst[20:], src[32:]
	}
}

// span returns the smallest number, and the step from it to the largest in so many.
func span(list []float32, steps float32) (low, d float32) {
	low, high := list[0], list[0]
	for _, x := range list {
		low, high = min(low, x), max(high, x)
	}
	return low, (high - low) / steps
}

func encodeQ50(dst []byte, src []float32) {
	for len(src) >= 32 {
		d := extreme(src[:32]) / -16
		by := invert(d)
		putHalf(dst, d)
		fiveBits(dst[2:22], src, func(x float32) byte { return code(float32(x*by)+16.5, 31) })
		dst, src = dst[22:], src[32:]
	}
}

func encodeQ51(dst []byte, src []float32) {
	for len(src) >= 32 {
		low, d := span(src[:32], 31)
		by := invert(d)
		putHalf(dst, d)
		putHalf(dst[2:], low)
		fiveBits(dst[4:24], src, func(x float32) byte { return code(float32((x-low)*by)+0.5, 31) })
		dst, src = dst[24:], src[32:]
	}
}

// fiveBits writes the fifth bits of 32 codes, and the lower four of each.
func fiveBits(dst []byte, src []float32, code func(x float32) byte) {
	var high uint32
	for i := range 16 {
		a, b := code(src[i]), code(src[16+i])
		high |= uint32(a>>4)<<i | uint32(b>>4)<<(16+i)
		dst[4+i] = a&15 | b&15<<4
	}
	binary.LittleEndian.PutUint32(dst, high)
}
