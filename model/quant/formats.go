package quant

import (
	"encoding/binary"
	"math"

	"github.com/eligen/eligen/internal/tensor"
)

// formats are all formats that are read.
var formats = func() map[string]Format {
	list := []Format{
		{"Q4_0", 32, 18, decodeQ40, encodeQ40}, {"Q4_1", 32, 20, decodeQ41, encodeQ41},
		{"Q5_0", 32, 22, decodeQ50, encodeQ50}, {"Q5_1", 32, 24, decodeQ51, encodeQ51},
		{"Q8_0", 32, 34, decodeQ80, encodeQ80}, {"IQ4_NL", 32, 18, decodeIQ4NL, nil},
		{"Q2_K", 256, 84, decodeQ2K, nil}, {"Q3_K", 256, 110, decodeQ3K, nil}, {"Q4_K", 256, 144, decodeQ4K, nil},
		{"Q5_K", 256, 176, decodeQ5K, nil}, {"Q6_K", 256, 210, decodeQ6K, nil}, {"IQ4_XS", 256, 136, decodeIQ4XS, nil},
		{"NF4", 2, 1, nil, nil}, {"FP4", 2, 1, nil, nil}, // a part has their levels
		{"INT8", 1, 1, decodeInt8, nil}, // with scales
		{"F8_E8M0", 1, 1, decodeE8M0, nil},
		{"F8_E4M3", 1, 1, plain("F8_E4M3"), encodeE4M3}, {"F8_E5M2", 1, 1, plain("F8_E5M2"), nil},
		{"F16", 1, 2, decodeF16, encodeF16}, {"BF16", 1, 2, plain("BF16"), encodeBF16}, {"F32", 1, 4, plain("F32"), encodeF32},
	}
	for name, size := range map[string]int{"F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1} {
		list = append(list, Format{name, 1, size, plain(name), nil})
	}
	m := make(map[string]Format, len(list))
	for _, f := range list {
		m[f.Name] = f
	}
	return m
}()

// plain decodes a dtype of safetensors.
func plain(dtype string) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) {
		if err := tensor.Fill(dst, dtype, src); err != nil {
			panic(err) // it is in the table, and isn't read
		}
	}
}

// half returns a float16 in float32.
func half(b []byte) float32 {
	return halfs(uint32(binary.LittleEndian.Uint16(b)))
}

func halfs(h uint32) float32 {
	sign := h & 0x8000 << 16
	switch h & 0x7c00 {
	case 0: // subnormal: whole units of 2⁻²⁴
		return math.Float32frombits(math.Float32bits(float32(h&0x3ff)*0x1p-24) | sign)
	case 0x7c00:
		return math.Float32frombits(sign | 0xff<<23 | h&0x3ff<<13)
	}
	return math.Float32frombits(sign | (h&0x7fff<<13 + 112<<23))
}

func decodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = halfs(uint32(src[2*i]) | uint32(src[2*i+1])<<8)
	}
}

func decodeInt8(dst []float32, src []byte) {
	src = src[:len(dst)]
	for i, q := range src {
		dst[i] = float32(int8(q))
	}
}

// decodeE8M0 decodes powers of two, the scales of blocks in some files.
func decodeE8M0(dst []float32, src []byte) {
	for i := range dst {
		switch b := uint32(src[i]); b {
		case 0:
			dst[i] = 0x1p-127
		case 255:
			dst[i] = float32(math.NaN())
		default:
			dst[i] = math.Float32frombits(b << 23)
		}
	}
}

// In blocks of 32, number i < 16 is the low half of byte i, number i + 16 the high one.

func decodeQ40(dst []float32, src []byte) {
	for len(dst) >= 32 {
		b, o := (*[18]byte)(src), (*[32]float32)(dst)
		d := half(b[:])
		for i := range 16 {
			q := b[2+i]
			o[i], o[16+i] = d*float32(int32(q&15)-8), d*float32(int32(q>>4)-8)
		}
		dst, src = dst[32:], src[18:]
	}
}

func decodeQ41(dst []float32, src []byte) {
	for len(dst) >= 32 {
		b, o := (*[20]byte)(src), (*[32]float32)(dst)
		d, m := half(b[:]), half(b[2:])
		for i := range 16 {
			q := b[4+i]
			o[i], o[16+i] = float32(d*float32(q&15))+m, float32(d*float32(q>>4))+m
		}
		dst, src = dst[32:], src[20:]
	}
}

func decodeQ50(dst []float32, src []byte) {
	for len(dst) >= 32 {
		b, o := (*[22]byte)(src), (*[32]float32)(dst)
		d, high := half(b[:]), binary.LittleEndian.Uint32(b[2:])
		for i := range 16 {
			q := uint32(b[6+i])
			o[i] = d * float32(int32(q&15|high>>i&1<<4)-16)
			o[16+i] = d * float32(int32(q>>4|high>>(16+i)&1<<4)-16)
		}
		dst, src = dst[32:], src[22:]
	}
}

func decodeQ51(dst []float32, src []byte) {
	for len(dst) >= 32 {
		b, o := (*[24]byte)(src), (*[32]float32)(dst)
		d, m, high := half(b[:]), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
		for i := range 16 {
			q := uint32(b[8+i])
			o[i] = float32(d*float32(int32(q&15|high>>i&1<<4))) + m
			o[16+i] = float32(d*float32(int32(q>>4|high>>(16+i)&1<<4))) + m
		}
		dst, src = dst[32:], src[24:]
	}
}

func decodeQ80(dst []float32, src []byte) {
	for len(dst) >= 32 {
		b, o := (*[34]byte)(src), (*[32]float32)(dst)
		d := half(b[:])
		for i := range 32 {
			o[i] = d * float32(int8(b[2+i]))
		}
		dst, src = dst[32:], src[34:]
	}
}

// levels are the numbers that IQ4's codes stand for.
var levels = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func decodeIQ4NL(dst []float32, src []byte) {
	for len(dst) >= 32 {
		b, o := (*[18]byte)(src), (*[32]float32)(dst)
		d := half(b[:])
		for i := range 16 {
			q := b[2+i]
			o[i], o[16+i] = d*levels[q&15], d*levels[q>>4]
		}
		dst, src = dst[32:], src[18:]
	}
}
