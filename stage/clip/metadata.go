package clip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/internal/container"
)

// keyword names the text that holds a [Resolved] as JSON, in formats that name texts.
const keyword = "eligen-clip"

// MaxFile is how many bytes are read of a clip that somebody else may have made.
const MaxFile = 1 << 30

// headLength is how many of a file's bytes tell its format.
const headLength = 64

var (
	// ErrNotClip says that a file is none that this package writes.
	ErrNotClip = errors.New("not a GIF, APNG, animated WebP, MP4 or WebM file")
	// ErrNoMetadata says that a clip holds nothing about how it was made.
	ErrNoMetadata = errors.New("the clip holds no eligen metadata: it was made by something else, or has been edited and saved again")

	errDamaged = errors.New("the clip is damaged or truncated")
)

// A format is how a kind of file is known, what it says of itself, and how it ends.
type format struct {
	is   func(data []byte) bool
	text func(data []byte) ([]byte, error) // nil where there is none
	end  container.End
}

var formats = []format{
	{is: starts("GIF89a"), text: textOfGIF, end: endGIF},
	{is: func(b []byte) bool {
		return len(b) > 41 && string(b[:8]) == pixels.PNGSignature && string(b[37:41]) == "acTL"
	}, text: textOfAPNG, end: container.EndPNG},
	{is: func(b []byte) bool {
		return len(b) > 21 && string(b[:4]) == "RIFF" && string(b[8:16]) == "WEBPVP8X" && b[20]&container.Animated != 0
	}, text: textOfWebP, end: container.EndWebP},
	{is: func(b []byte) bool { return len(b) > 8 && string(b[4:8]) == "ftyp" }, text: textOfMP4, end: endMP4},
	{is: starts(ebmlHead), text: textOfWebM, end: endWebM},
}

func starts(with string) func([]byte) bool {
	return func(b []byte) bool { return bytes.HasPrefix(b, []byte(with)) }
}

func formatOf(r io.Reader) (format, []byte, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(headLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return format{}, nil, err
	}
	for _, f := range formats {
		if !f.is(head) {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(b, MaxFile+1))
		if err == nil && len(data) > MaxFile {
			err = fmt.Errorf("the clip has more than %d MiB, which is the limit", MaxFile>>20)
		}
		return f, data, err
	}
	return format{}, nil, ErrNotClip
}

// Metadata reads from a clip what made it. The error is ErrNotClip where the file is
// something else, and ErrNoMetadata where it is a clip and says nothing.
func Metadata(r io.Reader) (Resolved, error) {
	f, data, err := formatOf(r)
	if err != nil {
		return Resolved{}, err
	}
	text, err := f.text(data)
	if err != nil {
		return Resolved{}, err
	}
	if text == nil {
		return Resolved{}, ErrNoMetadata
	}
	var res Resolved
	if err := json.Unmarshal(text, &res); err != nil {
		return Resolved{}, fmt.Errorf("the clip's eligen metadata is damaged: %w", err)
	}
	if res.Format != 1 {
		return Resolved{}, fmt.Errorf(
			"the clip's metadata has format %d, and this version of eligen reads format 1 only: a newer version made it",
			res.Format)
	}
	return res, nil
}

// Untouched reports whether a file is a clip that eligen made, every byte of it. Of a
// bufio.Reader over something else it reads nothing.
func Untouched(r io.Reader) bool {
	b := bufio.NewReader(r)
	head, _ := b.Peek(headLength) // less where the file has less
	for _, f := range formats {
		if f.is(head) {
			return f.end.Sealed(b)
		}
	}
	return false
}

// ascii returns JSON in ASCII, as a GIF's comment holds it.
func ascii(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch hi, lo := utf16.EncodeRune(r); {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
		text = text[n:]
	}
	return out
}

// textOfGIF returns the text of a comment before the first frame.
func textOfGIF(data []byte) ([]byte, error) {
	if len(data) < 13 {
		return nil, errDamaged
	}
	at := 13
	if data[10]&0x80 != 0 {
		at += 3 << (data[10]&7 + 1)
	}
	for at+2 < len(data) && data[at] == 0x21 {
		comment := data[at+1] == 0xfe
		var text []byte
		for at += 2; ; {
			if at >= len(data) {
				return nil, errDamaged
			}
			n := int(data[at])
			if at++; n == 0 {
				break
			}
			if at+n > len(data) {
				return nil, errDamaged
			}
			text = append(text, data[at:at+n]...)
			at += n
		}
		if text, ours := bytes.CutPrefix(text, []byte(keyword+" ")); comment && ours {
			return text, nil
		}
	}
	return nil, nil
}

func textOfAPNG(data []byte) ([]byte, error) {
	parts, err := chunks(data)
	if err != nil {
		return nil, err
	}
	texts := container.NewTexts(keyword)
	for _, p := range parts {
		if p.kind != "iTXt" {
			continue
		}
		if err := texts.Add(p.body); err != nil {
			return nil, fmt.Errorf("the clip can't be read: %w", err)
		}
	}
	return texts.Get(keyword), nil
}

func textOfWebP(data []byte) ([]byte, error) {
	text, err := container.Text(data, webpText)
	if err != nil {
		return nil, errDamaged
	}
	return text, nil
}

// An MP4's text and seal are in boxes of a kind that everybody may use, and that an
// identity of their own tells apart.
const (
	uuidText = "\x5e\x0a\x6c\x1d\x2b\x4f\x4d\x19\x9c\x70\xe1\x16\xe7\x00\x00\x01"
	uuidSeal = "\x5e\x0a\x6c\x1d\x2b\x4f\x4d\x19\x9c\x70\xe1\x16\xe7\x00\x00\x02"
)

func box(uuid string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(uuid)+len(body)))
	return append(append(append(out, "uuid"...), uuid...), body...)
}

func endMP4(seal string) []byte { return box(uuidSeal, []byte(seal)) }

func textOfMP4(data []byte) ([]byte, error) {
	for len(data) >= 8 {
		n, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		if n == 1 && len(data) >= 16 {
			n, head = binary.BigEndian.Uint64(data[8:]), 16
		}
		if n < head || n > uint64(len(data)) {
			return nil, errDamaged
		}
		if text, ours := bytes.CutPrefix(data[head:n], []byte(uuidText)); ours && string(data[4:8]) == "uuid" {
			return text, nil
		}
		data = data[n:]
	}
	if len(data) > 0 {
		return nil, errDamaged
	}
	return nil, nil
}

// Elements of a WebM: its head, what holds all else, and tags.
const (
	ebmlHead      = "\x1a\x45\xdf\xa3"
	ebmlSegment   = "\x18\x53\x80\x67"
	ebmlTags      = "\x12\x54\xc3\x67"
	ebmlTag       = "\x73\x73"
	ebmlTargets   = "\x63\xc0"
	ebmlSimpleTag = "\x67\xc8"
	ebmlTagName   = "\x45\xa3"
	ebmlTagString = "\x44\x87"
)

// element returns an element of a WebM, its size in eight bytes as ffmpeg writes it.
func element(kind string, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	out := binary.BigEndian.AppendUint64([]byte(kind), uint64(len(all))|1<<56)
	return append(out, all...)
}

// webmTag returns a text by its name: an element that players skip and tools list.
func webmTag(name string, text []byte) []byte {
	return element(ebmlTags, element(ebmlTag, element(ebmlTargets),
		element(ebmlSimpleTag, element(ebmlTagName, []byte(name)), element(ebmlTagString, text))))
}

const (
	webmText = "ELIGEN_CLIP"
	webmSeal = "ELIGEN_SEAL"
	webmMark = "DIGITAL_SOURCE_TYPE" // WebM has no place for XMP
)

func endWebM(seal string) []byte { return webmTag(webmSeal, []byte(seal)) }

// elements takes a WebM's element apart.
func elements(data []byte) ([]part, error) {
	var out []part
	for len(data) > 0 {
		kind, n, ok := number(data, 4)
		if !ok {
			return out, errDamaged
		}
		_, m, ok := number(data[n:], 8)
		if !ok {
			return out, errDamaged
		}
		size, body := size(data[n:n+m]), data[n+m:]
		if size > uint64(len(body)) {
			return out, errDamaged
		}
		out, data = append(out, part{kind, body[:size]}), body[size:]
	}
	return out, nil
}

// number returns the bytes of a number whose leading zeros tell its length.
func number(data []byte, most int) (string, int, bool) {
	for n := 1; n <= most && n <= len(data); n++ {
		if data[0]>>(8-n) == 1 {
			return string(data[:n]), n, true
		}
	}
	return "", 0, false
}

// size returns a number without the bit that tells its length.
func size(b []byte) uint64 {
	v := uint64(0)
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v &^ (1 << (7 * len(b)))
}

// textOfWebM returns the text in the segment's tags.
func textOfWebM(data []byte) ([]byte, error) {
	inside := func(parts []part, kind string) (out []part, err error) {
		for _, p := range parts {
			if p.kind != kind {
				continue
			}
			in, err := elements(p.body)
			if err != nil {
				return nil, err
			}
			out = append(out, in...)
		}
		return out, nil
	}
	parts, err := elements(data)
	if len(parts) > 1 { // its head and its segment: what lies behind them is the seal's business
		err = nil
	}
	for _, kind := range []string{ebmlSegment, ebmlTags, ebmlTag} {
		if err == nil {
			parts, err = inside(parts, kind)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.kind != ebmlSimpleTag {
			continue
		}
		tag, err := elements(p.body)
		if err != nil {
			return nil, err
		}
		if len(tag) == 2 && string(tag[0].body) == webmText {
			return tag[1].body, nil
		}
	}
	return nil, nil
}
