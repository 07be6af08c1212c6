package still

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/jpeg"
	"slices"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/internal/container"
)

// JPEG is [Op] for a JPEG. Quality is from 1 to 100.
type JPEG struct {
	Resolved Resolved
	Overlay  bool
	Strip    bool
	Quality  int
	Mark     *eligen.Mark `recipe:"omitzero"` // as an Op's
}

// Kind returns the stage's name and version.
func (JPEG) Kind() string { return "jpeg/2" }

// String describes the stage, for people.
func (o JPEG) String() string { return described("JPEG", o.Overlay) }

// Check says why there can be no such JPEG. Planning can ask it.
func (o JPEG) Check() error {
	if o.Quality < 1 || o.Quality > 100 {
		return fmt.Errorf("a JPEG's quality is from 1 to 100, not %d", o.Quality)
	}
	if s := o.Resolved.Size; max(s.W, s.H) > 65535 {
		return fmt.Errorf("a JPEG has at most 65535 pixels a side, not %d×%d", s.W, s.H)
	}
	return nil
}

// Markers of JPEG: its begin, its end, a comment, and the begin of the pixels.
const (
	jpegBegin   = "\xff\xd8"
	jpegEnd     = "\xff\xd9"
	jpegComment = "\xff\xfe"
	jpegScan    = 0xda
)

// maxComment is the most that a comment holds of a text.
const maxComment = 65_000

// deflatedKeyword begins comments of a text that is compressed, since it would fill
// more than one.
const deflatedKeyword = keyword + "-zlib"

// Run finishes the picture. Its record is in comments, each of which begins with
// a keyword and a zero.
func (o JPEG) Run(_ context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	img, err := finish(c, o.Resolved, o.Overlay)
	if err != nil {
		return err
	}
	background, err := pixels.ParseColour(o.Resolved.Background())
	if err != nil {
		return err
	}
	img = pixels.Over(img, background) // a JPEG has no transparency
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: o.Quality}); err != nil {
		return err
	}
	f := container.New(c.Out)
	f.Add([]byte(jpegBegin))
	if o.Mark != nil && !o.Strip {
		f.Add(container.CommentJPEG(container.Comment(o.Resolved.Parameters(o.Mark))))
	}
	f.Add(container.MarkJPEG(o.Mark))
	if !o.Strip {
		text, err := container.About(o.Resolved)
		if err != nil {
			return err
		}
		key := keyword
		if len(text) > maxComment {
			key = deflatedKeyword
			if text, err = container.Deflated(text); err != nil {
				return err
			}
		}
		for part := range slices.Chunk(text, maxComment) {
			f.Add(comment(key + "\x00" + string(part)))
		}
	}
	f.Add(bytes.TrimSuffix(bytes.TrimPrefix(b.Bytes(), []byte(jpegBegin)), []byte(jpegEnd)))
	return f.Close(endJPEG)
}

func comment(text string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte(jpegComment), uint16(len(text)+2)), text...)
}

func endJPEG(seal string) []byte {
	return append(comment(container.Seal+"\x00"+seal), jpegEnd...)
}

// textOfJPEG returns the text in comments before the pixels. The seal judges all that
// follows the picture's end.
func textOfJPEG(data []byte) ([]byte, error) {
	truncated := errors.New("the JPEG file is truncated")
	var plain, deflated []byte
	at := len(jpegBegin)
	for {
		if at+4 > len(data) || data[at] != 0xff {
			return nil, truncated
		}
		if data[at+1] == jpegScan {
			break
		}
		n := int(binary.BigEndian.Uint16(data[at+2:]))
		if n < 2 || at+2+n > len(data) {
			return nil, truncated
		}
		if data[at+1] == jpegComment[1] {
			switch key, part, _ := bytes.Cut(data[at+4:at+2+n], []byte{0}); string(key) {
			case keyword:
				plain = append(plain, part...)
			case deflatedKeyword:
				deflated = append(deflated, part...)
			}
		}
		at += 2 + n
	}
	if !bytes.Contains(data[at:], []byte(jpegEnd)) {
		return nil, truncated
	}
	if deflated == nil {
		return plain, nil
	}
	text, err := container.Inflated(deflated)
	if err != nil {
		return nil, fmt.Errorf("the JPEG file can't be read: %w", err)
	}
	return text, nil
}

// WebP is [Op] for a WebP without loss.
type WebP struct {
	Resolved Resolved
	Overlay  bool
	Strip    bool
	Mark     *eligen.Mark `recipe:"omitzero"` // as an Op's
}

// Kind returns the stage's name and version.
func (WebP) Kind() string { return "webp/2" }

// String describes the stage, for people.
func (o WebP) String() string { return described("WebP", o.Overlay) }

// Check says why there can be no such WebP. Planning can ask it.
func (o WebP) Check() error {
	if s := o.Resolved.Size; max(s.W, s.H) > container.MaxWebP {
		return fmt.Errorf("a WebP has at most %d pixels a side, not %d×%d", container.MaxWebP, s.W, s.H)
	}
	return nil
}

// webpText names the text that holds a [Resolved] as JSON.
const webpText = "still"

// Run finishes the picture.
func (o WebP) Run(_ context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	img, err := finish(c, o.Resolved, o.Overlay)
	if err != nil {
		return err
	}
	flags := uint8(0)
	if !img.Opaque() {
		flags |= container.WithAlpha
	}
	var meta, exif []byte
	if !o.Strip {
		text, err := container.About(o.Resolved)
		if err != nil {
			return err
		}
		flags |= container.WithXMP
		meta = container.XMP(o.Mark, webpText, text)
	} else if o.Mark != nil {
		flags |= container.WithXMP
		meta = container.XMP(o.Mark, "", nil)
	}
	if o.Mark != nil && !o.Strip {
		if comment := container.Comment(o.Resolved.Parameters(o.Mark)); comment != nil {
			flags |= container.WithEXIF
			exif = container.Chunk("EXIF", comment)
		}
	}
	return container.WriteWebP(c.Out, container.VP8X(flags, o.Resolved.Size.W, o.Resolved.Size.H), container.Lossless(img), exif, meta)
}

func textOfWebP(data []byte) ([]byte, error) {
	text, err := container.Text(data, webpText)
	if err != nil {
		return nil, fmt.Errorf("the WebP file can't be read: %w", err)
	}
	return text, nil
}
