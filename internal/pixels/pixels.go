// Package pixels reads people's pictures: PNG, JPEG, WebP and TIFF files.
//
// One place reads them so that one rule holds everywhere: pictures are turned by their EXIF
// orientation, converted to sRGB by their colour profile, and, if transparent, shown over a
// stated background.
package pixels

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/tiff"

	"github.com/eligen/eligen"
)

// Limits of a picture's file. The number of pixels is checked before any is decoded.
const (
	MaxBytes  = 32 << 20
	MaxPixels = 1 << 24 // 16 MP: 4096 × 4096
)

// A File is a picture's file whose header has been read and checked.
type File struct {
	// Size is that of the picture as it is seen, after turning.
	Size eligen.Size
	// Profile names the colours that Picture converts to sRGB; "" where they are sRGB.
	Profile string
	// Trouble says why the file's colour profile can't be used, as the end of a sentence;
	// Picture takes the numbers for sRGB then. "" where there is none.
	Trouble string

	data    []byte
	format  format
	stored  eligen.Size
	turn    orientation
	convert *conversion // nil: none
}

// Open reads a file's header. Its errors complete "NAME: …".
func Open(data []byte) (*File, error) {
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	config, err := f.header(data)
	if err != nil {
		if errors.Is(err, png.UnsupportedError("dimension overflow")) {
			return nil, errors.New("the picture has more pixels than can be counted; 16 MP are the most")
		}
		if unsupported(err) {
			return nil, fmt.Errorf("a picture of a kind that can't be read: %w. Save it as PNG", err)
		}
		return nil, fmt.Errorf("the header is damaged or cut off: %w", err)
	}
	w, h := int64(config.Width), int64(config.Height)
	if w <= 0 || h <= 0 {
		return nil, fmt.Errorf("the header says %d×%d pixels", w, h)
	}
	if max(w*h, f.largest(data)) > MaxPixels {
		return nil, fmt.Errorf("%d×%d pixels are more than a picture may have, %d (16 MP)", w, h, MaxPixels)
	}
	if err := f.limits(data, config); err != nil {
		return nil, err
	}
	m := f.metadata(data)
	out := &File{data: data, format: f, stored: eligen.Size{W: int(w), H: int(h)}, turn: orientationOf(m.exif)}
	out.Size = out.turn.size(out.stored)
	out.convert, err = m.conversion(channelsOf(config.ColorModel))
	if err != nil {
		out.Trouble = err.Error()
	} else if out.convert != nil {
		out.Profile = out.convert.name
	}
	return out, nil
}

// Read opens the file at a path, whose bytes must have the digest that they had when
// they were planned with; "" is any. Its errors name the path.
func Read(path string, digest eligen.Digest) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%s has more than %d MiB, which is the limit", path, MaxBytes>>20)
	}
	if digest != "" && eligen.DigestOf(data) != digest {
		return nil, fmt.Errorf("%s has changed since the scene was read; run the command again", path)
	}
	out, err := Open(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// Numbers decodes the picture, turned, with the numbers that the file holds, of 16 bits
// the upper 8: what a mask is. Its errors complete "NAME is …".
func (f *File) Numbers() (*image.NRGBA, error) {
	img, err := f.decode()
	if err != nil {
		return nil, err
	}
	return f.turn.apply(Straight(img)), nil
}

// Picture decodes the picture, turned, in sRGB, with its transparency. Colours that are
// sRGB already are the file's to the bit. Its errors complete "NAME is …".
func (f *File) Picture() (*image.NRGBA, error) {
	if f.convert == nil {
		return f.Numbers()
	}
	img, err := f.decode()
	if err != nil {
		return nil, err
	}
	out, err := f.convert.apply(img)
	if err != nil {
		return nil, err
	}
	return f.turn.apply(out), nil
}

// decode decodes, and makes an error of a panic in a decoder.
func (f *File) decode() (img image.Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged or cut off: the decoder failed: %v", r)
		}
	}()
	img, err = f.format.decode(bytes.NewReader(f.data))
	if unsupported(err) {
		return nil, fmt.Errorf("of a kind that can't be read: %w. Save it as PNG", err)
	}
	if err != nil {
		return nil, fmt.Errorf("damaged or cut off: %w", err)
	}
	if b := img.Bounds(); b.Dx() != f.stored.W || b.Dy() != f.stored.H {
		return nil, fmt.Errorf("damaged: its header says %d×%d pixels, its content has %d×%d", f.stored.W, f.stored.H, b.Dx(), b.Dy())
	}
	return img, nil
}

// unsupported reports whether a decoder knows a file's kind, and can't read it.
func unsupported(err error) bool {
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	var t tiff.UnsupportedError
	return errors.As(err, &j) || errors.As(err, &p) || errors.As(err, &t)
}

// Straight returns a picture in 8 bits a channel, colours not multiplied by alpha, at (0,
// 0). It drops the lower bits of deeper pictures and changes nothing else, not even colours
// that transparency hides. The result may be img itself.
func Straight(img image.Image) *image.NRGBA {
	b := img.Bounds()
	if n, ok := img.(*image.NRGBA); ok && b.Min == (image.Point{}) && n.Stride == 4*b.Dx() {
		return n
	}
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	var at func(x, y int) color.NRGBA
	switch m := img.(type) {
	case *image.NRGBA:
		at = m.NRGBAAt
	case *image.NRGBA64:
		at = func(x, y int) color.NRGBA {
			c := m.NRGBA64At(x, y)
			return color.NRGBA{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8), uint8(c.A >> 8)}
		}
	case *image.NYCbCrA:
		at = func(x, y int) color.NRGBA {
			c := m.NYCbCrAAt(x, y)
			r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
			return color.NRGBA{r, g, b, c.A}
		}
	case *image.Paletted:
		colours := make([]color.NRGBA, 256)
		for i, c := range m.Palette {
			colours[i] = color.NRGBAModel.Convert(c).(color.NRGBA)
		}
		at = func(x, y int) color.NRGBA { return colours[m.ColorIndexAt(x, y)] }
	default: // opaque, as decoders make them
		draw.Draw(out, out.Rect, img, b.Min, draw.Src)
		return out
	}
	for y := range b.Dy() {
		row := out.Pix[y*out.Stride:]
		for x := range b.Dx() {
			c := at(b.Min.X+x, b.Min.Y+y)
			row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = c.R, c.G, c.B, c.A
		}
	}
	return out
}

// Decode decodes a picture that eligen itself made, as it is: no turning, no profile.
func Decode(data []byte) (*image.NRGBA, error) {
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	img, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if img.Bounds().Empty() {
		return nil, errors.New("it has no pixels")
	}
	return Straight(img), nil
}
