package pixels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"iter"
	"slices"
)

// PNGSignature begins every PNG.
const PNGSignature = "\x89PNG\r\n\x1a\n"

// Errors of [PNGReader].
var (
	ErrNotPNG    = errors.New("not a PNG file")
	ErrTruncated = errors.New("the PNG file is truncated")
	ErrChecksum  = errors.New("the PNG file is damaged: a chunk's checksum is wrong")
)

// A PNGReader reads a PNG chunk by chunk, up to its end. It holds one chunk's body at a
// time, and only bodies that were requested.
type PNGReader struct {
	r    io.Reader
	lead [8]byte // the chunk's length and kind
	left int64   // bytes of the chunk that are unread: its body and its checksum
}

// NewPNGReader reads the signature. The error is ErrNotPNG if r holds something else.
func NewPNGReader(r io.Reader) (*PNGReader, error) {
	var head [len(PNGSignature)]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:]) != PNGSignature {
		return nil, ErrNotPNG
	}
	return &PNGReader{r: r}, nil
}

// Next goes to the next chunk and returns its kind and its body's length in bytes, as the
// file claims it. The error is io.EOF at the chunk IEND.
func (p *PNGReader) Next() (kind string, size int64, err error) {
	if _, err := io.CopyN(io.Discard, p.r, p.left); err != nil {
		return "", 0, ErrTruncated
	}
	if _, err := io.ReadFull(p.r, p.lead[:]); err != nil {
		return "", 0, ErrTruncated
	}
	size = int64(binary.BigEndian.Uint32(p.lead[:]))
	p.left = size + 4
	if kind = string(p.lead[4:]); kind == "IEND" {
		return kind, size, io.EOF
	}
	return kind, size, nil
}

// Body reads the body of the chunk that Next returned, once, and checks its checksum.
func (p *PNGReader) Body() ([]byte, error) {
	var b bytes.Buffer // grows with what is there: the claimed length may be a lie
	if _, err := io.CopyN(&b, p.r, p.left); err != nil {
		return nil, ErrTruncated
	}
	body, sum := b.Bytes()[:p.left-4], b.Bytes()[p.left-4:]
	p.left = 0
	if crc32.Update(crc32.ChecksumIEEE(p.lead[4:]), crc32.IEEETable, body) != binary.BigEndian.Uint32(sum) {
		return nil, ErrChecksum
	}
	return body, nil
}

// pngChunks yields the chunks of some kinds, up to the PNG's end or the first that is
// damaged: the decoder reports that.
func pngChunks(data []byte, kinds ...string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		p, err := NewPNGReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		for {
			kind, _, err := p.Next()
			if err != nil {
				return
			}
			if !slices.Contains(kinds, kind) {
				continue
			}
			body, err := p.Body()
			if err != nil || !yield(kind, body) {
				return
			}
		}
	}
}
