package dataset

import "fmt"

// cropsOf is how many crops come from one composed picture.
const cropsOf = 4

// Crops fills out with batch i of n square crops of side × side pixels,
// [n, 3, side, side] of values in [-1, 1], and returns it; out may be nil or of
// the wrong length, then a new slice is made. Four crops come from one picture;
// half of them look at an object, half anywhere, and half are mirrored. The
// same i is the same batch on any 64-bit machine.
func (c *Composer) Crops(i, n, side int, out []float32) ([]float32, error) {
	size := c.options.Size
	if n <= 0 || side <= 0 || side > size.W || side > size.H {
		return nil, fmt.Errorf("%d crops of %d×%d from pictures of %d×%d", n, side, side, size.W, size.H)
	}
	if i < 0 {
		return nil, fmt.Errorf("batch %d; batches are counted from 0", i)
	}
	if len(out) != n*3*side*side {
		out = make([]float32, n*3*side*side)
	}
	s := newStream(c.options.Seed, tagCrops, uint64(i))
	pictures := (n + cropsOf - 1) / cropsOf
	for p := range pictures {
		sample, err := c.Sample(i*pictures + p)
		if err != nil {
			return nil, err
		}
		for k := p * cropsOf; k < min(n, (p+1)*cropsOf); k++ {
			x, y := s.below(size.W-side+1), s.below(size.H-side+1)
			if s.chance(50) && len(sample.Entities) > 0 {
				e := sample.Entities[s.below(len(sample.Entities))]
				b := e.Region.Numbers
				x = s.between(int(b[0]*float64(size.W)), int(b[2]*float64(size.W))) - side/2
				y = s.between(int(b[1]*float64(size.H)), int(b[3]*float64(size.H))) - side/2
				x, y = min(size.W-side, max(0, x)), min(size.H-side, max(0, y))
			}
			mirror := s.chance(50)
			crop := out[k*3*side*side:]
			for row := range side {
				from := sample.Image.Pix[sample.Image.PixOffset(x, y+row):]
				for col := range side {
					at := row*side + col
					if mirror {
						at = row*side + side - 1 - col
					}
					for ch := range 3 {
						crop[ch*side*side+at] = signed[from[4*col+ch]]
					}
				}
			}
		}
	}
	return out, nil
}

// signed takes a byte to [-1, 1].
var signed = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(2*i-255) / 255
	}
	return t
}()
