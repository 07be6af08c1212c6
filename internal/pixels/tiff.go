package pixels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"

	"golang.org/x/image/tiff"
)

// The tags of a TIFF that are read here (TIFF 6.0; ICC.1, annex B.4).
const (
	tagCompression = 259
	tagPhotometric = 262
	tagFillOrder   = 266
	tagSamples     = 277
	tagPlanar      = 284
	tagProfile     = 34675
)

func isTIFF(data []byte) bool {
	return bytes.HasPrefix(data, []byte("II*\x00")) || bytes.HasPrefix(data, []byte("MM\x00*"))
}

// A directory is the first directory of a TIFF.
type directory struct {
	profile []byte
	grey    bool
	fax     bool // pixels are compressed as a fax's: runs of white and of black
	zero    bool // 0 is black, not white
	swapped bool // the first pixel of a byte is in its lowest bit
	planar  bool // all of red, then all of green, then all of blue
	pages   int  // 2 where there are more
}

// readTIFF reads a TIFF's first directory. What is damaged is left out: the decoder
// says so.
func readTIFF(data []byte) (d directory) {
	if !isTIFF(data) || len(data) < 8 {
		return d
	}
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(data[4:]))
	if at < 8 || at+2 > int64(len(data)) {
		return d
	}
	d.pages = 1
	const entry = 12 // bytes: tag, type, count, value or its offset
	n := int(order.Uint16(data[at:]))
	entries := data[at+2:]
	samples := uint32(1)
	for i := range min(n, len(entries)/entry) {
		e := entries[i*entry:]
		value := uint32(order.Uint16(e[8:]))
		if order.Uint16(e[2:]) == 4 { // of 32 bits
			value = order.Uint32(e[8:])
		}
		switch order.Uint16(e) {
		case tagCompression:
			d.fax = value >= 2 && value <= 4
		case tagPhotometric:
			d.grey, d.zero = value <= 1, value == 1
		case tagFillOrder:
			d.swapped = value == 2
		case tagSamples:
			samples = value
		case tagPlanar:
			d.planar = value == 2
		case tagProfile:
			from, length := int64(order.Uint32(e[8:])), int64(order.Uint32(e[4:]))
			if length > 4 && length <= maxProfile && from+length <= int64(len(data)) {
				d.profile = data[from : from+length]
			}
		}
	}
	if next := n * entry; next+4 <= len(entries) && order.Uint32(entries[next:]) != 0 {
		d.pages = 2
	}
	d.planar = d.planar && samples > 1
	return d
}

// tiffLimits refuses what the decoder would make another picture of.
func tiffLimits(data []byte, _ image.Config) error {
	switch d := readTIFF(data); {
	case d.pages > 1:
		return errors.New("a TIFF of several pages. Save the one that is meant as PNG")
	case d.planar:
		return errors.New("a TIFF whose colours are stored one after the other (planar), which can't be read. Save it as PNG")
	case d.swapped && !d.fax:
		return errors.New("a TIFF whose bits are stored in reverse (FillOrder 2), which can't be read. Save it as PNG")
	}
	return nil
}

// decodeTIFF decodes a TIFF. A fax's white runs are its zeros, which the file may call
// black; the decoder takes them for white in any case.
func decodeTIFF(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	img, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if grey, ok := img.(*image.Gray); ok {
		if d := readTIFF(data); d.fax && d.zero {
			for i := range grey.Pix {
				grey.Pix[i] ^= 255
			}
		}
	}
	return img, nil
}

func tiffMetadata(data []byte) metadata {
	d := readTIFF(data)
	return metadata{exif: data, profile: d.profile, grey: d.grey} // EXIF is a TIFF's directory
}
