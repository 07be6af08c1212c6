package pixels

import (
	"encoding/binary"
	"image/color"
	"slices"
	"strings"
	"testing"
)

// A field is an entry of a TIFF's directory: 16-bit values, or bytes.
type field struct {
	tag    uint16
	values []uint16
	bytes  []byte
}

// tiffOf returns a TIFF of 8×8 pixels in one strip; fields are those beside the size's and the
// strip's.
func tiffOf(order binary.AppendByteOrder, strip []byte, fields ...field) []byte {
	out := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		out = []byte("MM\x00*")
	}
	fields = append(fields, field{tag: 256, values: []uint16{8}}, field{tag: 257, values: []uint16{8}},
		field{tag: 273, values: []uint16{8}}, field{tag: 278, values: []uint16{8}}, field{tag: 279, values: []uint16{uint16(len(strip))}})
	slices.SortFunc(fields, func(a, b field) int { return int(a.tag) - int(b.tag) })
	var rest []byte // what doesn't fit into an entry
	directory := 8 + len(strip)
	far := directory + 2 + 12*len(fields) + 4
	out = append(order.AppendUint32(out, uint32(directory)), strip...)
	out = order.AppendUint16(out, uint16(len(fields)))
	for _, f := range fields {
		kind, count, value := uint16(3), len(f.values), []byte(nil)
		for _, v := range f.values {
			value = order.AppendUint16(value, v)
		}
		if f.bytes != nil {
			kind, count, value = 7, len(f.bytes), f.bytes
		}
		out = order.AppendUint16(order.AppendUint16(out, f.tag), kind)
		out = order.AppendUint32(out, uint32(count))
		if len(value) > 4 {
			out = order.AppendUint32(out, uint32(far+len(rest)))
			rest = append(rest, value...)
		} else {
			out = append(append(out, value...), make([]byte, 4-len(value))...)
		}
	}
	return append(order.AppendUint32(out, 0), rest...)
}

// TestFax: white is what the file calls white, also where pixels are a fax's runs. This
// is a white fax: in G4, a bit for each row.
func TestFax(t *testing.T) {
	white := []byte{0xff, 0x00, 0x10, 0x01}
	for photometric, want := range []uint8{255, 0} { // 0: zeros are white; 1: they are black
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			_, got := converted(t, tiffOf(order, white, field{258, []uint16{1}, nil}, field{259, []uint16{4}, nil},
				field{262, []uint16{uint16(photometric)}, nil}))
			if got[0] != (color.NRGBA{want, want, want, 255}) {
				t.Errorf("%v, zeros are %d: %v, want %d (libtiff)", order, photometric, got[0], want)
			}
		}
	}
}

// TestMultiplied: colours that a TIFF has multiplied by alpha are divided again, with and
// without a profile, in 8 bits and in 16.
func TestMultiplied(t *testing.T) {
	const multiplied, straight = 1, 2 // ExtraSamples
	order := binary.BigEndian
	of := func(bits, extra uint16, profile []byte) color.NRGBA {
		var strip []byte
		for range 64 {
			for _, v := range []uint16{200, 100, 50, 51} {
				if v != 51 && extra == multiplied {
					v /= 5 // alpha is a fifth
				}
				strip = order.AppendUint16(strip, v*257)
				if bits == 8 {
					strip = strip[:len(strip)-1]
				}
			}
		}
		fields := []field{{258, []uint16{bits, bits, bits, bits}, nil}, {259, []uint16{1}, nil}, {262, []uint16{2}, nil}, {277, []uint16{4}, nil},
			{338, []uint16{extra}, nil}}
		if profile != nil {
			fields = append(fields, field{34675, nil, profile})
		}
		_, got := converted(t, tiffOf(order, strip, fields...))
		return got[0]
	}
	for name, c := range map[string]struct {
		profile []byte
		want    color.NRGBA
	}{
		"sRGB":       {nil, color.NRGBA{200, 100, 50, 51}},
		"Display P3": {profiles()["Display P3, v4"], color.NRGBA{215, 93, 31, 51}},
	} {
		for _, bits := range []uint16{8, 16} {
			for _, extra := range []uint16{multiplied, straight} {
				if got := of(bits, extra, c.profile); got != c.want {
					t.Errorf("%s, %d bits, ExtraSamples %d: %v, want %v", name, bits, extra, got, c.want)
				}
			}
		}
	}
}

// TestOtherTIFFs: what the decoder would take for another picture is refused.
func TestOtherTIFFs(t *testing.T) {
	strip := make([]byte, 192)
	for want, data := range map[string][]byte{
		"planar": tiffOf(binary.LittleEndian, strip, field{258, []uint16{8, 8, 8}, nil}, field{259, []uint16{1}, nil},
			field{262, []uint16{2}, nil}, field{277, []uint16{3}, nil}, field{284, []uint16{2}, nil}),
		"FillOrder 2": tiffOf(binary.BigEndian, strip[:8], field{258, []uint16{1}, nil}, field{259, []uint16{1}, nil},
			field{262, []uint16{1}, nil}, field{266, []uint16{2}, nil}),
	} {
		if _, err := Open(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a word of %s", err, want)
		}
	}
}
