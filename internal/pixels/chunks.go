package pixels

import (
	"bytes"
	"encoding/binary"
	"iter"
)

func isWebP(data []byte) bool {
	return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
}

// webpChunks goes through a WebP's chunks, by kind; the last may be cut off.
func webpChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for at := 12; at+8 <= len(data); {
			size := int64(binary.LittleEndian.Uint32(data[at+4:]))
			end := min(int64(at)+8+size, int64(len(data)))
			if !yield(string(data[at:at+4]), data[at+8:end]) {
				return
			}
			next := int64(at) + 8 + size + size%2
			if next > int64(len(data)) {
				return
			}
			at = int(next)
		}
	}
}

// Markers of JPEG.
const (
	startOfScan  = 0xda
	endOfPicture = 0xd9
	app1, app2   = 0xe1, 0xe2
)

// jpegSegments goes through a JPEG's segments, by marker, as a decoder does: to the end
// of the picture, over the bytes between them.
func jpegSegments(data []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		at := 2
		for {
			next := bytes.IndexByte(data[min(at, len(data)):], 0xff)
			if next < 0 {
				return
			}
			at += next
			for at < len(data) && data[at] == 0xff {
				at++
			}
			if at >= len(data) || data[at] == endOfPicture {
				return
			}
			marker := data[at]
			at++
			if marker == 0 || marker >= 0xd0 && marker <= 0xd7 { // a byte of pixels, or a restart
				continue
			}
			if at+2 > len(data) {
				return
			}
			n := int(binary.BigEndian.Uint16(data[at:]))
			if n < 2 || at+n > len(data) {
				return
			}
			if !yield(marker, data[at+2:at+n]) {
				return
			}
			at += n
		}
	}
}
