package pixels

import (
	"bytes"
	"encoding/binary"
)

// The tags of a TIFF that are read here (TIFF 6.0; ICC.1, annex B.4).
const (
	tagPhotometric = 262
	tagProfile     = 34675
)

func isTIFF(data []byte) bool {
	return bytes.HasPrefix(data, []byte("II*\x00")) || bytes.HasPrefix(data, []byte("MM\x00*"))
}

// A directory is what the first directory of a TIFF says.
type directory struct {
	profile []byte
	grey    bool
	pages   int // 2 where there are more
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
	for i := range min(n, len(entries)/entry) {
		e := entries[i*entry:]
		switch order.Uint16(e) {
		case tagPhotometric:
			d.grey = order.Uint16(e[8:]) <= 1
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
	return d
}

func tiffMetadata(data []byte) metadata {
	d := readTIFF(data)
	return metadata{exif: data, profile: d.profile, grey: d.grey} // EXIF is a TIFF's directory
}
