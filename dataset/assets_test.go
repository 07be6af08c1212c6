package dataset

import (
	"image"
	"io/fs"

	"github.com/eligen/eligen"
)

// Load takes sprites from any file system: for each class the file named
// Class.File with extension .webp or .png, with transparency around the object.
func Load(fsys fs.FS, classes []Class) (*Sprites, error) {
	s, _, err := load(fsys, classes)
	return s, err
}

// Classes lists the classes there are sprites of.
func (s *Sprites) Classes() []Class { return append([]Class(nil), s.classes...) }

// Cutout returns one object alone on a transparent picture of the given size, as large as
// fits with a margin of a sixteenth.
func (s *Sprites) Cutout(class string, size eligen.Size) (*image.NRGBA, error) {
	_, sp, err := s.get(class, Solid)
	if err != nil {
		return nil, err
	}
	m := min(size.W, size.H) * one / 16
	c := sp.draw(pose{}, m, m, size.W*one-m, size.H*one-m)
	img := image.NewNRGBA(image.Rect(0, 0, size.W, size.H))
	for y := range c.h {
		for x := range c.w {
			p := c.pix[4*(y*c.w+x):]
			if a := int(p[3]); a > 0 && image.Pt(c.x+x, c.y+y).In(img.Rect) {
				o := img.Pix[img.PixOffset(c.x+x, c.y+y):]
				for i := range 3 {
					o[i] = uint8(min(255, (int(p[i])*255+a/2)/a))
				}
				o[3] = p[3]
			}
		}
	}
	return img, nil
}
