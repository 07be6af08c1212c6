package still

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/internal/container"
)

// Keywords of the PNG text chunks that are written. The first holds a [Resolved] as
// JSON, the second the digest of the pixels; the third is what other tools for
// generated pictures read and show.
const (
	keyword           = "eligen"
	pixelsKeyword     = "eligen-pixels"
	sheetKeyword      = "eligen-sheet" // a [Shown]
	parametersKeyword = "parameters"
)

// Limits on what is read from a picture that somebody else may have made.
const (
	MaxPNG      = 64 << 20 // bytes of the file, whatever its format
	maxText     = 8 << 20  // bytes of a text chunk as stored
	maxInflated = 32 << 20 // bytes of a text chunk's text
	maxChunks   = 65_536
	maxPixels   = 16 << 20
)

// ErrNoMetadata says that a picture holds nothing about how it was made.
var ErrNoMetadata = errors.New("the picture holds no eligen metadata: it was made by something else, or has been edited and saved again")

const signature = "\x89PNG\r\n\x1a\n"

// writeWithMetadata writes a PNG with text chunks (iTXt: UTF-8, compressed where
// they are long) after its header. Without r, it says of itself no more than that
// eligen made it.
func writeWithMetadata(w io.Writer, pic []byte, r *Resolved, pixels eligen.Digest) error {
	var about []metadata
	if r != nil {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		about = append(about, metadata{keyword, data}, metadata{parametersKeyword, []byte(r.Parameters())})
	}
	return writeWithTexts(w, pic, append(about, metadata{pixelsKeyword, []byte(pixels)})...)
}

// metadata is a text chunk.
type metadata struct {
	keyword string
	text    []byte
}

func writeWithTexts(w io.Writer, pic []byte, about ...metadata) error {
	const header = len(signature) + 12 + 13 // IHDR is always the first chunk, and has 13 bytes
	parts := [][]byte{pic[:header]}
	for _, m := range about {
		chunk, err := textChunk(m.keyword, m.text)
		if err != nil {
			return err
		}
		parts = append(parts, chunk)
	}
	for _, b := range append(parts, pic[header:]) {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// Parameters is the render in the words that AUTOMATIC1111's web UI made common:
// the prompt, the negative prompt, and a line of settings. Entities have no
// place in it; the picture's own metadata has them.
func (r Resolved) Parameters() string {
	var b strings.Builder
	b.WriteString(r.Prompt)
	if r.Negative != "" {
		fmt.Fprintf(&b, "\nNegative prompt: %s", r.Negative)
	}
	fmt.Fprintf(&b, "\nSteps: %d, Sampler: Euler, Schedule type: %s, CFG scale: %g, ", r.Steps, r.Schedule, r.CFG)
	if r.Guidance != 0 {
		fmt.Fprintf(&b, "Distilled CFG Scale: %g, ", r.Guidance)
	}
	if a := r.Approximate; a != nil && a.TeaCache != 0 {
		fmt.Fprintf(&b, "TeaCache threshold: %g (approximate), ", a.TeaCache)
	}
	fmt.Fprintf(&b, "Seed: %d, Size: %dx%d, Model hash: %s, Model: %s, Version: eligen %s", r.Seed, r.Size.W, r.Size.H, r.Model.Transformer.Short(), r.Model.Family, r.Version)
	return b.String()
}

func textChunk(keyword string, text []byte) ([]byte, error) {
	// keyword, 0, compressed?, method, language, 0, translated keyword, 0, text
	body := append([]byte("iTXt"+keyword), 0, 0, 0, 0, 0)
	if len(text) > 1024 {
		body[4+len(keyword)+1] = 1
		var z bytes.Buffer
		zw := zlib.NewWriter(&z)
		if _, err := zw.Write(text); err != nil {
			return nil, err
		}
		if err := zw.Close(); err != nil {
			return nil, err
		}
		text = z.Bytes()
	}
	body = append(body, text...)
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body)), nil
}

// Metadata reads from a picture what made it. The error is ErrNoMetadata where the
// picture is sound and says nothing.
func Metadata(r io.Reader) (Resolved, error) {
	data, err := text(r)
	if err != nil {
		return Resolved{}, err
	}
	if data == nil {
		return Resolved{}, ErrNoMetadata
	}
	var res Resolved
	if err := json.Unmarshal(data, &res); err != nil {
		return Resolved{}, fmt.Errorf("the picture's eligen metadata is damaged: %w", err)
	}
	if res.Format != 1 {
		return Resolved{}, fmt.Errorf("the picture's metadata has format %d, and this version of eligen reads format 1 only: a newer version made it", res.Format)
	}
	return res, nil
}

// SheetOf reads from a sheet what made its pictures. The error is ErrNoMetadata where
// the file is a sound PNG and no sheet.
func SheetOf(r io.Reader) (Shown, error) {
	texts, err := readTexts(bufio.NewReader(r))
	if err != nil {
		return Shown{}, err
	}
	if texts[sheetKeyword] == nil {
		return Shown{}, ErrNoMetadata
	}
	var s Shown
	if err := json.Unmarshal(texts[sheetKeyword], &s); err != nil {
		return Shown{}, fmt.Errorf("the sheet's eligen metadata is damaged: %w", err)
	}
	return s, nil
}

// text is the JSON in a picture, nil where there is none.
func text(r io.Reader) ([]byte, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(12) // less where the file has less: what is wrong is told by what it isn't
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	read := textOfJPEG
	switch {
	case isJPEG(head):
	case isWebP(head):
		read = textOfWebP
	default:
		texts, err := readTexts(b)
		return texts[keyword], err
	}
	data, err := io.ReadAll(io.LimitReader(b, MaxPNG+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxPNG {
		return nil, fmt.Errorf("the file has more than %d MiB, which is the limit", MaxPNG>>20)
	}
	return read(data)
}

func isJPEG(head []byte) bool { return bytes.HasPrefix(head, []byte(jpegBegin)) }

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// Untouched reports whether a picture is one that eligen made, pixels and all: one
// that was opened, drawn on and saved is somebody's work.
func Untouched(r io.Reader) bool {
	data, err := io.ReadAll(io.LimitReader(r, MaxPNG+1))
	if err != nil || len(data) > MaxPNG {
		return false
	}
	switch {
	case isJPEG(data):
		return container.End(endJPEG).Sealed(data)
	case isWebP(data):
		return container.End(container.EndWebP).Sealed(data)
	}
	texts, err := readTexts(bytes.NewReader(data))
	if err != nil || texts[pixelsKeyword] == nil {
		return false
	}
	head, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil || int64(head.Width)*int64(head.Height) > maxPixels {
		return false
	}
	img, err := png.Decode(bytes.NewReader(data))
	return err == nil && pixels(nrgba(img)) == eligen.Digest(texts[pixelsKeyword])
}

// Pixels is the digest of a picture's size and colours, whatever file it is in.
func Pixels(img image.Image) eligen.Digest { return pixels(nrgba(img)) }

// Plain writes a PNG that says of itself no more than that eligen made it.
func Plain(w io.Writer, img image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	return writeWithMetadata(w, b.Bytes(), nil, Pixels(img))
}

func pixels(img *image.NRGBA) eligen.Digest {
	head := fmt.Sprintf("pixels %d %d\n", img.Rect.Dx(), img.Rect.Dy())
	return eligen.DigestOf(append([]byte(head), img.Pix...))
}

// readTexts reads a PNG's chunks, to its end, and gives the texts of ours.
func readTexts(r io.Reader) (map[string][]byte, error) {
	r = io.LimitReader(r, MaxPNG+1)
	head := make([]byte, len(signature))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != signature {
		return nil, errors.New("not a PNG, JPEG or WebP file")
	}
	texts := map[string][]byte{}
	read := int64(len(signature))
	for range maxChunks {
		var lead [8]byte
		if _, err := io.ReadFull(r, lead[:]); err != nil {
			return nil, errors.New("the PNG file is truncated")
		}
		n, kind := int64(binary.BigEndian.Uint32(lead[:])), string(lead[4:])
		if read += n + 12; read > MaxPNG {
			return nil, fmt.Errorf("the PNG file has more than %d MiB, which is the limit", MaxPNG>>20)
		}
		if kind == "IEND" {
			return texts, nil
		}
		if kind != "iTXt" {
			if _, err := io.CopyN(io.Discard, r, n+4); err != nil {
				return nil, errors.New("the PNG file is truncated")
			}
			continue
		}
		if n > maxText {
			return nil, fmt.Errorf("the PNG file has a text of %d bytes; the limit is %d", n, maxText)
		}
		body := make([]byte, n+4)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, errors.New("the PNG file is truncated")
		}
		sum := crc32.Update(crc32.ChecksumIEEE(lead[4:]), crc32.IEEETable, body[:n])
		if sum != binary.BigEndian.Uint32(body[n:]) {
			return nil, errors.New("the PNG file is damaged: a text's checksum is wrong")
		}
		key, rest, _ := bytes.Cut(body[:n], []byte{0})
		if k := string(key); k != keyword && k != pixelsKeyword && k != sheetKeyword {
			continue
		}
		if texts[string(key)] != nil {
			return nil, fmt.Errorf("the PNG file has two texts named %q", key)
		}
		text, err := parseText(rest)
		if err != nil {
			return nil, err
		}
		texts[string(key)] = text
	}
	return nil, fmt.Errorf("the PNG file has more than %d chunks", maxChunks)
}

// parseText is the text of an iTXt chunk's bytes after the keyword.
func parseText(rest []byte) ([]byte, error) {
	damaged := errors.New("the PNG file is damaged: a text can't be read")
	if len(rest) < 2 {
		return nil, damaged
	}
	compressed := rest[0]
	_, rest, ok := bytes.Cut(rest[2:], []byte{0}) // language
	if !ok {
		return nil, damaged
	}
	_, text, ok := bytes.Cut(rest, []byte{0}) // translated keyword
	if !ok || compressed > 1 {
		return nil, damaged
	}
	if compressed == 0 {
		return append([]byte{}, text...), nil
	}
	zr, err := zlib.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, damaged
	}
	out, err := io.ReadAll(io.LimitReader(zr, maxInflated+1))
	if err != nil {
		return nil, damaged
	}
	if len(out) > maxInflated {
		return nil, fmt.Errorf("the PNG file has a text of more than %d MiB, which is the limit", maxInflated>>20)
	}
	return out, nil
}
