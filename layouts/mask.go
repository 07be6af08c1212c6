package layouts

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // masks of annotators
	"image/png"

	"github.com/eligen/eligen/internal/pixels"
)

// maxMasked is how many pixels of masks one file may hold.
const maxMasked = 1 << 28

// A bitmap is a mask: true is on.
type bitmap struct {
	w, h int
	on   []bool
}

// mask returns an empty mask of a size, counted against the limit.
func (r *reader) mask(w, h int) (*bitmap, error) {
	if w < 1 || h < 1 || w > pixels.MaxPixels/h {
		return nil, fmt.Errorf("a mask of %d×%d pixels; 16 MP are the most", w, h)
	}
	if r.masked += w * h; r.masked > maxMasked {
		return nil, fmt.Errorf("the masks have more than %d pixels together", maxMasked)
	}
	return &bitmap{w, h, make([]bool, w*h)}, nil
}

func (b *bitmap) bounds() [4]float64 {
	x0, y0, x1, y1 := b.w, b.h, 0, 0
	for y := range b.h {
		for x := range b.w {
			if b.on[y*b.w+x] {
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
			}
		}
	}
	if x1 == 0 {
		return [4]float64{}
	}
	w, h := float64(b.w), float64(b.h)
	return [4]float64{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}
}

func (b *bitmap) share() float64 {
	n := 0
	for _, on := range b.on {
		if on {
			n++
		}
	}
	return float64(n) / float64(len(b.on))
}

// rectangle reports whether all of a mask's bounds is on.
func (b *bitmap) rectangle() (box [4]float64, ok bool) {
	box = b.bounds()
	return box, area(box) > 0 && int(area(box)*float64(len(b.on))+0.5) == int(b.share()*float64(len(b.on))+0.5)
}

// PNG returns the mask as a picture, white on black.
func (b *bitmap) png() ([]byte, error) {
	img := image.NewPaletted(image.Rect(0, 0, b.w, b.h), color.Palette{color.Gray{}, color.Gray{Y: 255}})
	for i, on := range b.on {
		if on {
			img.Pix[i] = 1
		}
	}
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, img)
	return out.Bytes(), err
}

// picture decodes a picture whose values are keys: nothing is converted.
func picture(data []byte) (image.Image, error) {
	if _, err := pixels.Open(data); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	return img, err
}

// pictureMask reads a mask picture: on is what is brighter than the threshold, of 255.
func (r *reader) pictureMask(data []byte, above uint32) (*bitmap, error) {
	img, err := picture(data)
	if err != nil {
		return nil, err
	}
	b := img.Bounds()
	m, err := r.mask(b.Dx(), b.Dy())
	if err != nil {
		return nil, err
	}
	p, indexed := img.(*image.Paletted)
	for y := range m.h {
		for x := range m.w {
			if indexed && above == 0 { // numbers of things, not colours
				m.on[y*m.w+x] = p.Pix[y*p.Stride+x] != 0
				continue
			}
			c, g, bl, a := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			m.on[y*m.w+x] = max(c, g, bl)>>8 > above && a > 0
		}
	}
	return m, nil
}

// paste lays a smaller mask into one of the canvas's size.
func (r *reader) paste(small *bitmap, c *Canvas, x0, y0 int) (*bitmap, error) {
	m, err := r.mask(c.W, c.H)
	if err != nil {
		return nil, err
	}
	for y := range small.h {
		for x := range small.w {
			if at := (y+y0)*c.W + x + x0; small.on[y*small.w+x] && x+x0 >= 0 && x+x0 < c.W && y+y0 >= 0 && y+y0 < c.H {
				m.on[at] = true
			}
		}
	}
	return m, nil
}

var errRuns = errors.New("the run lengths don't fit the mask's size")

// columns reads COCO's run lengths, columns first, off and on in turn.
func (r *reader) columns(v value) (*bitmap, error) {
	n, ok := v.get("size").numbers(2)
	if !ok || n[0] < 1 || n[1] < 1 || n[0] > 1<<15 || n[1] > 1<<15 {
		return nil, errors.New("the mask's size is none")
	}
	var runs []int
	switch c := v.get("counts"); c.kind {
	case 's':
		var err error
		if runs, err = pixels.Runs(c.str); err != nil {
			return nil, errRuns
		}
	case 'a':
		for _, e := range c.arr {
			k, ok := e.integer()
			if !ok {
				return nil, errRuns
			}
			runs = append(runs, k)
		}
	default:
		return nil, errors.New("the mask has no counts")
	}
	h, w := int(n[0]), int(n[1])
	m, err := r.mask(w, h)
	if err != nil {
		return nil, err
	}
	return m, m.fill(runs, func(at int) int { return at%h*w + at/h })
}

// fill turns runs, off and on in turn, into pixels; index says where each is.
func (b *bitmap) fill(runs []int, index func(at int) int) error {
	at := 0
	for i, n := range runs {
		if n < 0 || n > len(b.on)-at {
			return errRuns
		}
		if i%2 == 1 {
			for k := at; k < at+n; k++ {
				b.on[index(k)] = true
			}
		}
		at += n
	}
	if at != len(b.on) {
		return errRuns
	}
	return nil
}

// base64Picture decodes a picture in base64, with or without a data URL's head.
func base64Picture(s string) ([]byte, error) {
	if i := bytes.IndexByte([]byte(s[:min(len(s), 64)]), ','); i >= 0 {
		s = s[i+1:]
	}
	return base64.StdEncoding.DecodeString(s)
}
