package quant

import "encoding/binary"

// Blocks of 256 have scales of their own for runs of 16 or 32 numbers, themselves in few bits.

func decodeQ2K(dst []float32, src []byte) {
	for len(dst) >= 256 {
		b, o := (*[84]byte)(src), (*[256]float32)(dst)
		d, dmin := half(b[80:]), half(b[82:])
		for j := range 16 { // runs of 16
			s := b[j]
			scale, low := float32(d*float32(s&15)), float32(dmin*float32(s>>4))
			q := (*[16]byte)(b[16+32*(j/8)+16*(j%2):])
			shift, run := 2*(j%8/2), (*[16]float32)(o[16*j:])
			for i := range 16 {
				run[i] = float32(scale*float32(q[i]>>shift&3)) - low
			}
		}
		dst, src = dst[256:], src[84:]
	}
}

func decodeQ3K(dst []float32, src []byte) {
	for len(dst) >= 256 {
		b, o := (*[110]byte)(src), (*[256]float32)(dst)
		d, packed := half(b[108:]), (*[12]byte)(b[96:])
		for j := range 16 {
			low := packed[j%8] >> (4 * (j / 8)) & 15
			s := int32(low|packed[8+j%4]>>(2*(j/4))&3<<4) - 32
			scale := d * float32(s)
			q, mask := (*[16]byte)(b[32+32*(j/8)+16*(j%2):]), (*[16]byte)(b[16*(j%2):])
			shift, bit, run := 2*(j%8/2), j/2, (*[16]float32)(o[16*j:])
			for i := range 16 {
				run[i] = scale * float32(int32(q[i]>>shift&3|mask[i]>>bit&1<<2)-4)
			}
		}
		dst, src = dst[256:], src[110:]
	}
}

// sixBits returns scale j and minimum j of the eight that twelve bytes hold, six bits each.
func sixBits(b *[12]byte, j int) (scale, low byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

func decodeQ4K(dst []float32, src []byte) {
	for len(dst) >= 256 {
		b, o := (*[144]byte)(src), (*[256]float32)(dst)
		d, dmin, packed := half(b[:]), half(b[2:]), (*[12]byte)(b[4:])
		for j := range 8 { // runs of 32
			s, m := sixBits(packed, j)
			scale, low := float32(d*float32(s)), float32(dmin*float32(m))
			q, run := (*[32]byte)(b[16+32*(j/2):]), (*[32]float32)(o[32*j:])
			shift := 4 * (j % 2)
			for i := range 32 {
				run[i] = float32(scale*float32(q[i]>>shift&15)) - low
			}
		}
		dst, src = dst[256:], src[144:]
	}
}

func decodeQ5K(dst []float32, src []byte) {
	for len(dst) >= 256 {
		b, o := (*[176]byte)(src), (*[256]float32)(dst)
		d, dmin, packed := half(b[:]), half(b[2:]), (*[12]byte)(b[4:])
		high := (*[32]byte)(b[16:])
		for j := range 8 {
			s, m := sixBits(packed, j)
			scale, low := float32(d*float32(s)), float32(dmin*float32(m))
			q, run := (*[32]byte)(b[48+32*(j/2):]), (*[32]float32)(o[32*j:])
			shift := 4 * (j % 2)
			for i := range 32 {
				run[i] = float32(scale*float32(q[i]>>shift&15|high[i]>>j&1<<4)) - low
			}
		}
		dst, src = dst[256:], src[176:]
	}
}

func decodeQ6K(dst []float32, src []byte) {
	for len(dst) >= 256 {
		b, o := (*[210]byte)(src), (*[256]float32)(dst)
		d := half(b[208:])
		for j := range 16 { // runs of 16
			n, g, l := j/8, j%8/2, 16*(j%2) // half of the block, quarter of the half, place in the quarter
			scale := d * float32(int8(b[192+j]))
			q, high := (*[16]byte)(b[64*n+32*(g%2)+l:]), (*[16]byte)(b[128+32*n+l:])
			shift, run := 4*(g/2), (*[16]float32)(o[16*j:])
			for i := range 16 {
				run[i] = scale * float32(int32(q[i]>>shift&15|high[i]>>(2*g)&3<<4)-32)
			}
		}
		dst, src = dst[256:], src[210:]
	}
}

func decodeIQ4XS(dst []float32, src []byte) {
	for len(dst) >= 256 {
		b, o := (*[136]byte)(src), (*[256]float32)(dst)
		d, high := half(b[:]), binary.LittleEndian.Uint16(b[2:])
		for j := range 8 {
			s := int32(b[4+j/2]>>(4*(j%2))&15) | int32(high>>(2*j)&3)<<4
			scale := d * float32(s-32)
			q, run := (*[16]byte)(b[8+16*j:]), (*[32]float32)(o[32*j:])
			for i := range 16 {
				run[i], run[16+i] = scale*levels[q[i]&15], scale*levels[q[i]>>4]
			}
		}
		dst, src = dst[256:], src[136:]
	}
}
