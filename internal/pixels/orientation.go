package pixels

import (
	"bytes"
	"encoding/binary"
	"image"

	"github.com/eligen/eligen"
)

// An orientation is a turn of the stored picture, 1 to 8, as in EXIF: 1 is as stored.
type orientation int

// orientationOf reads an EXIF block: a TIFF file's header and its first directory. What
// is damaged or unknown is 1, as viewers take it.
func orientationOf(exif []byte) orientation {
	exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(exif, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(exif, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return 1
	}
	if len(exif) < 8 {
		return 1
	}
	at := int64(order.Uint32(exif[4:]))
	if at < 8 || at+2 > int64(len(exif)) {
		return 1
	}
	const entry = 12 // bytes: tag, type, count, value
	entries := exif[at+2:]
	for i := range min(int(order.Uint16(exif[at:])), len(entries)/entry) {
		e := entries[i*entry:]
		if order.Uint16(e) != 274 || order.Uint32(e[4:]) != 1 {
			continue
		}
		var v uint32
		switch order.Uint16(e[2:]) {
		case 1: // a byte
			v = uint32(e[8])
		case 3: // 16 bits
			v = uint32(order.Uint16(e[8:]))
		case 4: // 32 bits
			v = order.Uint32(e[8:])
		}
		if v >= 1 && v <= 8 {
			return orientation(v)
		}
		return 1
	}
	return 1
}

// size returns a stored picture's size after turning.
func (o orientation) size(stored eligen.Size) eligen.Size {
	if o >= 5 {
		return eligen.Size{W: stored.H, H: stored.W}
	}
	return stored
}

// apply turns a picture. The result may be img itself.
func (o orientation) apply(img *image.NRGBA) *image.NRGBA {
	if o <= 1 {
		return img
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	size := o.size(eligen.Size{W: w, H: h})
	out := image.NewNRGBA(image.Rect(0, 0, size.W, size.H))
	for y := range size.H {
		for x := range size.W {
			from := 0
			switch right, down := w-1, h-1; o { // where the pixel is stored
			case 2:
				from = y*w + right - x
			case 3:
				from = (down-y)*w + right - x
			case 4:
				from = (down-y)*w + x
			case 5:
				from = x*w + y
			case 6:
				from = (down-x)*w + y
			case 7:
				from = (down-x)*w + right - y
			case 8:
				from = x*w + right - y
			}
			copy(out.Pix[4*(y*size.W+x):][:4], img.Pix[4*from:])
		}
	}
	return out
}
