package pixels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// maxScans is how many times a JPEG of [MaxPixels] may go over its pixels; a smaller one
// may do so proportionally more often. Encoders write about ten scans. Each costs as much
// as the whole picture, in a few bytes.
const maxScans = 25

// scansOf returns how many scans a JPEG of a size may have.
func scansOf(width, height int) int64 { return maxScans * MaxPixels / (int64(width) * int64(height)) }

// A format is a readable kind of file.
type format struct {
	decode   func(io.Reader) (image.Image, error)
	config   func(io.Reader) (image.Config, error)
	largest  func(data []byte) int64                 // pixels that the decoder may believe in, beside the header's
	limits   func(data []byte, c image.Config) error // what else is refused before decoding
	metadata func(data []byte) metadata
}

var formats = struct{ png, jpeg, webp, tiff format }{
	png: format{png.Decode, png.DecodeConfig, none, func(data []byte, _ image.Config) error { return notAnimated(pngFrames(data)) },
		pngMetadata},
	jpeg: format{jpeg.Decode, jpeg.DecodeConfig, none, func(data []byte, c image.Config) error {
		if n, most := jpegScans(data), scansOf(c.Width, c.Height); n > most {
			return fmt.Errorf("a JPEG of %d scans, which would take too long to decode; at most %d are read of %d×%d pixels. Save it anew, as a "+
				"baseline JPEG", n, most, c.Width, c.Height)
		}
		return nil
	}, jpegMetadata},
	tiff: format{decodeTIFF, tiff.DecodeConfig, none, tiffLimits, tiffMetadata},
	webp: format{decodeWebP, webp.DecodeConfig, webpFrame, func([]byte, image.Config) error { return nil }, webpMetadata},
}

func none([]byte) int64 { return 0 }

// header reads a file's header, and makes an error of a panic in a decoder.
func (f format) header(data []byte) (c image.Config, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the decoder failed: %v", r)
		}
	}()
	return f.config(bytes.NewReader(data))
}

// formatOf looks at a file's first bytes. Its errors name formats that people have and
// that can't be read.
func formatOf(data []byte) (format, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return formats.png, nil
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return formats.jpeg, nil
	case isTIFF(data):
		return formats.tiff, nil
	case isWebP(data):
		if frames := webpFrames(data); frames != 0 { // the decoder reads none of them
			return format{}, animated(frames)
		}
		return formats.webp, nil
	case len(data) == 0:
		return format{}, errors.New("the file is empty")
	case bytes.HasPrefix(data, []byte("GIF8")):
		if frames := gifFrames(data); frames > 1 {
			return format{}, animated(frames)
		}
	}
	const wanted = "not a PNG, JPEG, WebP or TIFF picture"
	if name := foreign(data); name != "" {
		return format{}, fmt.Errorf("%s, but %s. Save it as PNG", wanted, name)
	}
	return format{}, errors.New(wanted)
}

// foreign names a format that can't be read, "" where it isn't known.
func foreign(data []byte) string {
	for _, f := range []struct {
		at         int
		magic, say string
	}{
		{0, "GIF8", "a GIF"}, {0, "BM", "a BMP"}, {0, "8BPS", "a Photoshop file"},
		{4, "ftypheic", "a HEIC"}, {4, "ftypheix", "a HEIC"}, {4, "ftypmif1", "a HEIF"}, {4, "ftypavif", "an AVIF"}, {4, "ftypavis", "an AVIF"},
		{0, "\xff\x0a", "a JPEG XL"}, {4, "JXL ", "a JPEG XL"}, {0, "<svg", "an SVG"}, {0, "<?xml", "an XML file"}, {0, "%PDF", "a PDF"},
	} {
		if len(data) >= f.at && bytes.HasPrefix(data[f.at:], []byte(f.magic)) {
			return f.say
		}
	}
	return ""
}

// animated says that a file holds several pictures.
func animated(frames int) error {
	return fmt.Errorf("an animated picture of %d frames; a scene needs one that doesn't move. Save a frame as PNG", frames)
}

func notAnimated(frames int) error {
	if frames > 1 {
		return animated(frames)
	}
	return nil
}

// pngFrames returns how many frames an APNG says it has; 0 for a PNG.
func pngFrames(data []byte) (frames int) {
	for kind, body := range pngChunks(data, "acTL", "IDAT") {
		switch {
		case kind == "IDAT": // acTL stands before it
			return frames
		case kind == "acTL" && len(body) >= 4:
			frames = int(binary.BigEndian.Uint32(body))
		}
	}
	return frames
}

// webpFrames counts an animated WebP's frames; 0 for a picture.
func webpFrames(data []byte) (frames int) {
	for kind := range webpChunks(data) {
		if kind == "ANMF" {
			frames++
		}
	}
	return frames
}

// gifFrames counts a GIF's frames, as far as it is whole.
func gifFrames(data []byte) (frames int) {
	if len(data) < 13 {
		return 0
	}
	at := 13 + colourTable(data[10])
	blocks := func() { // those of an extension or of a frame's pixels, up to an empty one
		for at < len(data) && data[at] != 0 {
			at += 1 + int(data[at])
		}
		at++
	}
	for at < len(data) {
		switch kind := data[at]; {
		case kind == 0x21: // extension: its label, its blocks
			at += 2
			blocks()
		case kind == 0x2c && at+10 < len(data):
			frames++
			at += 11 + colourTable(data[at+9]) // the descriptor, and the code size
			blocks()
		default:
			return frames
		}
	}
	return frames
}

// colourTable returns a colour table's length in bytes, by the flags before it.
func colourTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// jpegScans counts the scans that a decoder would go through.
func jpegScans(data []byte) (scans int64) {
	for marker := range jpegSegments(data) {
		if marker == startOfScan {
			scans++
		}
	}
	return scans
}

// webpFrame returns the largest number of pixels that a frame of a WebP file claims:
// the decoder believes the frame, not the file's header.
func webpFrame(data []byte) (most int64) {
	for kind, body := range webpChunks(data) {
		switch {
		case kind == "VP8 " && len(body) >= 10:
			w, h := binary.LittleEndian.Uint16(body[6:])&0x3fff, binary.LittleEndian.Uint16(body[8:])&0x3fff
			most = max(most, int64(w)*int64(h))
		case kind == "VP8L" && len(body) >= 5:
			bits := binary.LittleEndian.Uint32(body[1:])
			most = max(most, int64(bits&0x3fff+1)*int64(bits>>14&0x3fff+1))
		}
	}
	return most
}
