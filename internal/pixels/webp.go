package pixels

import (
	"image"
	"image/color"
	"io"

	"golang.org/x/image/webp"
)

// decodeWebP decodes a WebP. The numbers of a lossy one are those of video, where black is
// 16 and white 235; the decoder passes them on as if they were a JPEG's, in which black is
// 0, and everything would be pale.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	var at func(x, y int) (color.YCbCr, uint8)
	switch m := img.(type) {
	case *image.YCbCr:
		at = func(x, y int) (color.YCbCr, uint8) { return m.YCbCrAt(x, y), 255 }
	case *image.NYCbCrA:
		at = func(x, y int) (color.YCbCr, uint8) { c := m.NYCbCrAAt(x, y); return c.YCbCr, c.A }
	default:
		return img, nil
	}
	b := img.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		row := out.Pix[y*out.Stride:]
		for x := range b.Dx() {
			c, a := at(b.Min.X+x, b.Min.Y+y)
			row[4*x], row[4*x+1], row[4*x+2] = fromVideo(c)
			row[4*x+3] = a
		}
	}
	return out, nil
}

// fromVideo returns a colour by BT.601 in video's range, in libwebp's fixed-point numbers.
func fromVideo(c color.YCbCr) (r, g, b uint8) {
	times := func(v uint8, factor int) int { return int(v) * factor >> 8 }
	clip := func(v int) uint8 { return uint8(max(0, min(255, v>>6))) }
	y := times(c.Y, 19077)
	return clip(y + times(c.Cr, 26149) - 14234),
		clip(y - times(c.Cb, 6419) - times(c.Cr, 13320) + 8708),
		clip(y + times(c.Cb, 33050) - 17685)
}
