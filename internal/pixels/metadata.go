package pixels

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image/color"
	"io"
)

// metadata holds what a file declares about its pixels: their orientation and their
// colours.
type metadata struct {
	exif    []byte
	profile []byte
	broken  error // why there is no profile, though the file has one
	grey    bool  // the pixels have one channel, whatever the decoder makes of them

	// Of PNG, where there is no profile. An sRGB chunk leaves them empty.
	cicp           []byte
	gamma, primary []byte
}

var errProfile = errors.New("its colour profile is damaged")

// maxProfile is the largest profile, in bytes.
const maxProfile = 8 << 20

func pngMetadata(data []byte) (m metadata) {
	srgb := false
	for kind, body := range pngChunks(data, "IHDR", "eXIf", "iCCP", "sRGB", "gAMA", "cHRM", "cICP") {
		switch kind {
		case "IHDR":
			m.grey = len(body) > 9 && body[9]&2 == 0 // colour types 0 and 4
		case "eXIf":
			m.exif = body
		case "iCCP":
			if m.profile, m.broken = inflateProfile(body); m.broken != nil {
				m.profile = nil
			}
		case "sRGB":
			srgb = true
		case "gAMA":
			m.gamma = body
		case "cHRM":
			m.primary = body
		case "cICP":
			m.cicp = body
		}
	}
	if srgb {
		m.gamma, m.primary = nil, nil
	}
	return m
}

// inflateProfile returns the profile of an iCCP chunk: a name, a zero, a method, the rest.
func inflateProfile(body []byte) ([]byte, error) {
	_, rest, ok := bytes.Cut(body, []byte{0})
	if !ok || len(rest) < 1 || rest[0] != 0 {
		return nil, errProfile
	}
	r, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil, errProfile
	}
	defer r.Close()
	out, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return nil, errProfile
	}
	return out, nil
}

func webpMetadata(data []byte) (m metadata) {
	for kind, body := range webpChunks(data) {
		switch kind {
		case "EXIF":
			m.exif = body
		case "ICCP":
			m.profile = body
		}
	}
	return m
}

// jpegMetadata reads what stands before the first scan. A profile is in parts, each with
// its number from 1 and how many there are.
func jpegMetadata(data []byte) (m metadata) {
	var parts [256][]byte
	count := 0
	for marker, body := range jpegSegments(data) {
		switch {
		case marker == startOfScan:
			for i := 1; i <= count; i++ {
				if parts[i] == nil {
					m.broken = errProfile
				}
				m.profile = append(m.profile, parts[i]...)
			}
			if m.broken != nil {
				m.profile = nil
			}
			return m
		case marker == app1 && m.exif == nil && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
			m.exif = body
		case marker == app2 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")) && len(body) >= 14:
			parts[body[12]], count = body[14:], max(count, int(body[13]))
		}
	}
	return m
}

// channelsOf returns how many numbers a pixel of a colour model has, without alpha.
func channelsOf(m color.Model) int {
	switch m {
	case color.GrayModel, color.Gray16Model:
		return 1
	case color.CMYKModel:
		return 4
	}
	return 3
}

// A chromaticity is a point of CIE 1931's diagram.
type chromaticity struct{ x, y float64 }

// chromaticities returns those of a cHRM chunk: white, red, green, blue.
func (m metadata) chromaticities() (c [4]chromaticity, ok bool) {
	if len(m.primary) < 32 {
		return c, false
	}
	for i := range c {
		c[i].x = float64(binary.BigEndian.Uint32(m.primary[8*i:])) / 100000
		c[i].y = float64(binary.BigEndian.Uint32(m.primary[8*i+4:])) / 100000
	}
	return c, true
}

// exponent returns the power of a gAMA chunk that turns numbers into light.
func (m metadata) exponent() (float64, bool) {
	if len(m.gamma) < 4 || binary.BigEndian.Uint32(m.gamma) == 0 {
		return 0, false
	}
	return 100000 / float64(binary.BigEndian.Uint32(m.gamma)), true
}
