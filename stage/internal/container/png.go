package container

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxTextChunk is the most that a text chunk of a PNG holds, in bytes of its text: other
// readers refuse a picture with a chunk of more than 1 MiB.
const MaxTextChunk = 1_000_000

// PNGChunk returns a chunk of a PNG.
func PNGChunk(kind string, body []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind...)
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// EndPNG returns the end of a PNG, animated or not, with the seal as a text.
func EndPNG(seal string) []byte {
	return append(PNGChunk("tEXt", []byte(Seal+"\x00"+seal)), PNGChunk("IEND", nil)...)
}

// TextChunks returns a text in iTXt chunks (UTF-8, compressed where it is long). A text that
// is too long for one continues in chunks named keyword-2, keyword-3, ….
func TextChunks(keyword string, text []byte) ([]byte, error) {
	var out []byte
	for n := 1; n == 1 || len(text) > 0; n++ {
		piece := text[:min(len(text), MaxTextChunk)]
		for len(piece) < len(text) && !utf8.RuneStart(text[len(piece)]) {
			piece = piece[:len(piece)-1]
		}
		text = text[len(piece):]
		chunk, err := textChunk(pieceName(keyword, n), piece)
		if err != nil {
			return nil, err
		}
		out = append(out, chunk...)
	}
	return out, nil
}

// pieceName returns the keyword of a text's n-th chunk, counted from 1.
func pieceName(keyword string, n int) string {
	if n == 1 {
		return keyword
	}
	return keyword + "-" + strconv.Itoa(n)
}

func textChunk(keyword string, text []byte) ([]byte, error) {
	// keyword, 0, compressed?, method, language, 0, translated keyword, 0, text
	body := append([]byte(keyword), 0, 0, 0, 0, 0)
	if len(text) > 1024 {
		body[len(keyword)+1] = 1
		var err error
		if text, err = Deflated(text); err != nil {
			return nil, err
		}
	}
	return PNGChunk("iTXt", append(body, text...)), nil
}

// Deflated returns a text as a zlib stream.
func Deflated(text []byte) ([]byte, error) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return z.Bytes(), nil
}

// inflated returns the text in a zlib stream of at most so many bytes.
func inflated(data []byte, limit int) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, ErrDamaged
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, ErrDamaged
	}
	if len(out) > limit {
		return nil, errTooLong
	}
	return out, nil
}

var errTooLong = fmt.Errorf("it holds texts of more than %d MiB, which is the limit", MaxText>>20)

// Inflated returns the text in a zlib stream.
func Inflated(data []byte) ([]byte, error) { return inflated(data, MaxText) }

// Texts are the texts of a PNG whose keywords are wanted.
type Texts struct {
	keywords []string
	pieces   map[string][]byte
	size     int
}

// NewTexts returns a reader of the texts with these keywords.
func NewTexts(keywords ...string) *Texts {
	return &Texts{keywords: keywords, pieces: map[string][]byte{}}
}

// Add takes the body of an iTXt chunk. One that isn't wanted is passed over, whatever
// it holds.
func (t *Texts) Add(body []byte) error {
	key, rest, _ := bytes.Cut(body, []byte{0})
	name := string(key)
	if !t.wants(name) {
		return nil
	}
	if t.pieces[name] != nil {
		return fmt.Errorf("it has two texts named %q", name)
	}
	if len(rest) < 2 || rest[0] > 1 {
		return ErrDamaged
	}
	compressed := rest[0] == 1
	_, rest, ok := bytes.Cut(rest[2:], []byte{0}) // language
	if !ok {
		return ErrDamaged
	}
	_, text, ok := bytes.Cut(rest, []byte{0}) // translated keyword
	if !ok {
		return ErrDamaged
	}
	text = append([]byte{}, text...)
	if compressed {
		var err error
		if text, err = inflated(text, MaxText-t.size); err != nil {
			return err
		}
	}
	if t.size += len(text); t.size > MaxText {
		return errTooLong
	}
	t.pieces[name] = text
	return nil
}

// wants reports whether a keyword is one of the texts', or of a piece of one.
func (t *Texts) wants(name string) bool {
	at := strings.LastIndexByte(name, '-')
	n, err := strconv.Atoi(name[at+1:])
	if at < 0 || err != nil || n < 2 || name != pieceName(name[:at], n) {
		return slices.Contains(t.keywords, name)
	}
	return slices.Contains(t.keywords, name[:at])
}

// Get returns a text, put together from its pieces; nil where there is none.
func (t *Texts) Get(keyword string) []byte {
	text := t.pieces[keyword]
	for n := 2; ; n++ {
		piece := t.pieces[pieceName(keyword, n)]
		if piece == nil {
			return text
		}
		text = append(text, piece...)
	}
}
