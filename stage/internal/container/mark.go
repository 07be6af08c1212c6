package container

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"unicode/utf16"

	"github.com/eligen/eligen"
)

// XMP is what pictures say in XML, where readers of all formats look for it. A packet has a mark, a text
// of eligen's, or both.

const (
	iptc      = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
	sourceURI = "http://cv.iptc.org/newscodes/digitalsourcetype/"

	xmpHead = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">`
	xmpTail = `</rdf:RDF></x:xmpmeta>`
)

// SourceOf returns a mark's digital source type as an address, by which IPTC names it.
func SourceOf(m *eligen.Mark) string { return sourceURI + m.Source }

// Packet returns XMP with a mark, which may be nil, and a text by its name, which may be "".
func Packet(m *eligen.Mark, name string, text []byte) []byte {
	var b bytes.Buffer
	b.WriteString(xmpHead)
	if m != nil {
		b.WriteString(`<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="` + iptc + `"><Iptc4xmpExt:DigitalSourceType>`)
		_ = xml.EscapeText(&b, []byte(SourceOf(m))) // into memory
		b.WriteString(`</Iptc4xmpExt:DigitalSourceType></rdf:Description>`)
	}
	if name != "" {
		b.WriteString(`<rdf:Description rdf:about="" xmlns:eligen="` + namespace + `"><eligen:` + name + `>`)
		_ = xml.EscapeText(&b, text) // into memory
		b.WriteString(`</eligen:` + name + `></rdf:Description>`)
	}
	b.WriteString(xmpTail)
	return b.Bytes()
}

// wrapped returns a mark's packet with the frame that programs which scan a file's bytes look for.
func wrapped(m *eligen.Mark) []byte {
	out := append([]byte("<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"), Packet(m, "", nil)...)
	return append(out, `<?xpacket end="r"?>`...)
}

// MarkPNG returns a mark as a PNG's chunk; nothing of nil.
func MarkPNG(m *eligen.Mark) []byte {
	if m == nil {
		return nil
	}
	return PNGChunk("iTXt", append([]byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"), wrapped(m)...))
}

// MarkJPEG returns a mark as a JPEG's segment; nothing of nil.
func MarkJPEG(m *eligen.Mark) []byte {
	if m == nil {
		return nil
	}
	return app1("http://ns.adobe.com/xap/1.0/\x00", wrapped(m))
}

// MarkGIF returns a mark as a GIF's extension; nothing of nil. It is not in blocks: behind it lie bytes
// that lead a reader of blocks from any of its bytes to the end.
func MarkGIF(m *eligen.Mark) []byte {
	if m == nil {
		return nil
	}
	out := append([]byte("\x21\xff\x0bXMP DataXMP"), wrapped(m)...)
	out = append(out, 1)
	for n := 255; n >= 0; n-- {
		out = append(out, uint8(n))
	}
	return append(out, 0)
}

// MarkMP4 returns a mark as an MP4's box; nothing of nil.
func MarkMP4(m *eligen.Mark) []byte {
	if m == nil {
		return nil
	}
	const xmp = "\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac"
	packet := wrapped(m)
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(xmp)+len(packet)))
	return append(append(append(out, "uuid"...), xmp...), packet...)
}

func app1(head string, body []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte("\xff\xe1"), uint16(2+len(head)+len(body)))
	return append(append(out, head...), body...)
}

// maxEXIF is the most that a JPEG's segment holds of EXIF.
const maxEXIF = 65_533 - len("Exif\x00\x00")

// Comment returns EXIF whose user comment is a text: where programs look for what made a JPEG or WebP.
// It is nil where the text is too long for a JPEG's segment.
func Comment(text string) []byte {
	be := binary.BigEndian
	words := utf16.Encode([]rune(text))
	n := len("UNICODE\x00") + 2*len(words)
	out := be.AppendUint32([]byte("MM\x00\x2a"), 8) // big-endian; the first directory follows
	entry := func(tag, kind uint16, count, value int) {
		out = be.AppendUint16(be.AppendUint16(out, tag), kind)
		out = be.AppendUint32(be.AppendUint32(out, uint32(count)), uint32(value))
	}
	const directory = 2 + 12 + 4
	out = be.AppendUint16(out, 1)
	entry(0x8769, 4, 1, 8+directory) // EXIF's own directory
	out = be.AppendUint32(out, 0)
	out = be.AppendUint16(out, 1)
	entry(0x9286, 7, n, 8+2*directory) // the user comment
	out = be.AppendUint32(out, 0)
	out = append(out, "UNICODE\x00"...)
	for _, w := range words {
		out = be.AppendUint16(out, w)
	}
	if len(out) > maxEXIF {
		return nil
	}
	return out
}

// CommentJPEG returns EXIF as a JPEG's segment; nothing of nil.
func CommentJPEG(exif []byte) []byte {
	if exif == nil {
		return nil
	}
	return app1("Exif\x00\x00", exif)
}
