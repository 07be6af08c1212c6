package still

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/internal/container"
)

// Keywords of a PNG's texts.
const (
	keyword           = "eligen"        // a [Resolved] as JSON
	sheetKeyword      = "eligen-sheet"  // a [Shown]
	parametersKeyword = "parameters"    // what other tools for generated pictures read and show
	pixelsKeyword     = "eligen-pixels" // the digest of the pixels: the seal of earlier versions
)

// Limits on what is read from a picture that somebody else may have made.
const (
	MaxFile   = 256 << 20 // bytes of the file
	maxChunk  = 8 << 20   // bytes of a PNG's text chunk as stored
	maxChunks = 65_536
	maxPixels = 16 << 20
)

// ErrNoMetadata says that a picture holds nothing about how it was made.
var ErrNoMetadata = errors.New("the picture holds no eligen metadata: it was made by something else, or has been edited and saved again")

// writePNG writes a picture with texts and a mark after its header, and the seal at its end.
func writePNG(w io.Writer, img image.Image, mark *eligen.Mark, about ...metadata) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	const header = len(pixels.PNGSignature) + 12 + 13 // IHDR is always the first chunk, and has 13 bytes
	const end = 12                                    // IEND is always the last, and has none
	pic := b.Bytes()
	f := container.New(w)
	f.Add(pic[:header])
	for _, m := range about {
		chunks, err := container.TextChunks(m.keyword, m.text)
		if err != nil {
			return err
		}
		f.Add(chunks)
	}
	f.Add(container.MarkPNG(mark), pic[header:len(pic)-end])
	return f.Close(container.EndPNG)
}

// metadata is a text by its keyword.
type metadata struct {
	keyword string
	text    []byte
}

// about returns a picture's record of itself.
func (r Resolved) about(m *eligen.Mark) ([]metadata, error) {
	text, err := container.About(r)
	return []metadata{{keyword, text}, {parametersKeyword, []byte(r.Parameters(m))}}, err
}

// Parameters returns the render in the words that AUTOMATIC1111's web UI made common:
// the prompt, the negative prompt, and a line of settings. Entities have no
// place in it; the picture's own metadata has them. With a mark it has the hashes of LoRAs and of a
// model that is one file, the first ten digits of their SHA-256, by which sites find them.
func (r Resolved) Parameters(m *eligen.Mark) string {
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
	if a := r.Approximate; a != nil && a.TextTokens != 0 {
		fmt.Fprintf(&b, "Entity text tokens: %d (approximate), ", a.TextTokens)
	}
	model := r.Model.Transformer.Short()
	if m != nil && m.Model != "" {
		model = shortHash(m.Model)
	}
	fmt.Fprintf(&b, "Seed: %d, Size: %dx%d, Model hash: %s, Model: %s, ", r.Seed, r.Size.W, r.Size.H, model, r.Model.Family)
	list, all := r.hashes(m)
	if list != "" {
		fmt.Fprintf(&b, "Lora hashes: \"%s\", ", list)
	}
	fmt.Fprintf(&b, "Version: eligen %s", r.Version)
	if all != "" {
		fmt.Fprintf(&b, ", Hashes: {%s}", all)
	}
	return b.String()
}

// hashes returns LoRAs' hashes as the web UI lists them, and those of all files as JSON without its braces.
func (r Resolved) hashes(m *eligen.Mark) (loras, all string) {
	if m == nil || m.Source == eligen.DrawnMedia { // whose weights are stand-ins
		return "", ""
	}
	var list, members []string
	if m.Model != "" {
		members = append(members, fmt.Sprintf("%q: %q", "model", shortHash(m.Model)))
	}
	for i, a := range r.Adapters {
		if a.Kind == "ip" {
			continue
		}
		name := fmt.Sprintf("%s_%d", a.Kind, i+1)
		list = append(list, name+": "+shortHash(a.Digest))
		members = append(members, fmt.Sprintf("%q: %q", "lora:"+name, shortHash(a.Digest)))
	}
	return strings.Join(list, ", "), strings.Join(members, ", ")
}

// shortHash returns the beginning of a digest that sites know files by.
func shortHash(d eligen.Digest) string {
	s := strings.TrimPrefix(string(d), "sha256:")
	return s[:min(len(s), 10)]
}

// Metadata reads a picture's record of itself. The error is ErrNoMetadata if the picture is
// sound and holds none.
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
		return Resolved{}, fmt.Errorf(
			"the picture's metadata has format %d, and this version of eligen reads format 1 only: a newer version made it",
			res.Format)
	}
	return res, nil
}

// SheetOf reads a sheet's record of its pictures. The error is ErrNoMetadata where
// the file is a sound PNG and no sheet.
func SheetOf(r io.Reader) (Shown, error) {
	texts, err := readTexts(bufio.NewReader(r))
	if err != nil {
		return Shown{}, err
	}
	text := texts.Get(sheetKeyword)
	if text == nil {
		return Shown{}, ErrNoMetadata
	}
	var s Shown
	if err := json.Unmarshal(text, &s); err != nil {
		return Shown{}, fmt.Errorf("the sheet's eligen metadata is damaged: %w", err)
	}
	return s, nil
}

// text returns the JSON in a picture, nil where there is none.
func text(r io.Reader) ([]byte, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(12) // a shorter file gives fewer, and is no picture
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
		if err != nil {
			return nil, err
		}
		return texts.Get(keyword), nil
	}
	data, err := io.ReadAll(io.LimitReader(b, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("the file has more than %d MiB, which is the limit", MaxFile>>20)
	}
	return read(data)
}

func isJPEG(head []byte) bool { return bytes.HasPrefix(head, []byte(jpegBegin)) }

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// Untouched reports whether a picture is as eligen wrote it, every byte of it: one that
// was opened and saved again is somebody's work.
func Untouched(r io.Reader) bool {
	b := bufio.NewReader(r)
	head, _ := b.Peek(12) // less where the file has less
	switch {
	case isJPEG(head):
		return container.End(endJPEG).Sealed(b)
	case isWebP(head):
		return container.End(container.EndWebP).Sealed(b)
	}
	data, err := io.ReadAll(io.LimitReader(b, MaxFile+1))
	if err != nil || len(data) > MaxFile {
		return false
	}
	return container.End(container.EndPNG).Sealed(bytes.NewReader(data)) || untouchedPixels(data)
}

// untouchedPixels reports Untouched for PNGs of versions before 0.2, which held the
// digest of their pixels and no other seal.
func untouchedPixels(data []byte) bool {
	texts, err := readTexts(bytes.NewReader(data))
	if err != nil {
		return false
	}
	sealed := texts.Get(pixelsKeyword)
	head, err := png.DecodeConfig(bytes.NewReader(data))
	if sealed == nil || err != nil || int64(head.Width)*int64(head.Height) > maxPixels {
		return false
	}
	img, err := png.Decode(bytes.NewReader(data))
	return err == nil && Pixels(img) == eligen.Digest(sealed)
}

// Pixels returns the digest of a picture's size and colours, whatever file it is in.
func Pixels(img image.Image) eligen.Digest {
	n := pixels.Straight(img)
	head := fmt.Sprintf("pixels %d %d\n", n.Rect.Dx(), n.Rect.Dy())
	return eligen.DigestOf(append([]byte(head), n.Pix...))
}

// Plain writes a PNG that says of itself no more than that eligen made it.
func Plain(w io.Writer, img image.Image) error { return writePNG(w, img, nil) }

// readTexts reads a PNG to its end and returns its texts that are eligen's.
func readTexts(r io.Reader) (*container.Texts, error) {
	p, err := pixels.NewPNGReader(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, errors.New("not a PNG, JPEG or WebP file")
	}
	texts := container.NewTexts(keyword, pixelsKeyword, sheetKeyword)
	read := int64(len(pixels.PNGSignature))
	for range maxChunks {
		kind, size, err := p.Next()
		if read += size + 12; read > MaxFile {
			return nil, fmt.Errorf("the PNG file has more than %d MiB, which is the limit", MaxFile>>20)
		}
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, err
		}
		if kind != "iTXt" {
			continue
		}
		if size > maxChunk {
			return nil, fmt.Errorf("the PNG file has a text of %d bytes; the limit is %d", size, maxChunk)
		}
		body, err := p.Body()
		if err != nil {
			return nil, err
		}
		if err := texts.Add(body); err != nil {
			return nil, fmt.Errorf("the PNG file can't be read: %w", err)
		}
	}
	return nil, fmt.Errorf("the PNG file has more than %d chunks", maxChunks)
}
