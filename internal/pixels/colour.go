package pixels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
	"runtime"
	"strings"
	"sync"
	"unicode"

	"github.com/kovidgoyal/imaging/prism/meta/icc"
)

// A conversion makes sRGB of a file's numbers.
type conversion struct {
	name     string // of the colours that it converts from
	channels int    // that it takes: 1, 3 or 4
	pipeline *icc.Pipeline
}

// conversion is what the file's numbers, of so many channels, need; nil where they are
// sRGB. Its errors complete "NAME: … ".
func (m metadata) conversion(channels int) (*conversion, error) {
	if m.grey {
		channels = 1
	}
	switch {
	case m.cicp != nil:
		return ofCICP(m.cicp)
	case m.broken != nil:
		return nil, m.broken
	case len(m.profile) > 0:
		return ofProfile(m.profile, channels)
	default:
		return m.ofPrimaries()
	}
}

// ofProfile is the conversion from an ICC profile's colours. A profile that is sRGB by
// what it holds, whatever its name, needs none.
func ofProfile(data []byte, channels int) (c *conversion, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, errProfile
		}
	}()
	if err := checkProfile(data); err != nil {
		return nil, err
	}
	p, err := icc.DecodeProfile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("its colour profile can't be used: %s", printable(err.Error()))
	}
	c = &conversion{name: profileName(p), channels: 3}
	switch p.Header.DataColorSpace {
	case icc.ColorSpaceGray:
		c.channels = 1
	case icc.ColorSpaceCMYK:
		c.channels = 4
	}
	if c.channels != channels && (c.channels != 3 || channels != 1) {
		return nil, fmt.Errorf("its colour profile %q is for %s, and its pixels are %s", c.name, channelNames[c.channels], channelNames[channels])
	}
	if p.IsSRGB() {
		return nil, nil
	}
	c.pipeline, err = p.CreateTransformerToSRGB(icc.PerceptualRenderingIntent, false, c.channels, true, false, true)
	if err != nil {
		return nil, fmt.Errorf("its colour profile %q can't be used: %s", c.name, printable(err.Error()))
	}
	c.of([4]float64{0.5, 0.5, 0.5, 0.5}) // a pipeline that fails, fails here
	return c, nil
}

var channelNames = map[int]string{1: "grey", 3: "RGB", 4: "CMYK"}

// profileName is a profile's own name.
func profileName(p *icc.Profile) string {
	name, err := p.Description()
	if name = printable(name); err != nil || name == "" {
		return "a profile without a name"
	}
	return name
}

// printable is the first line of a text of the file's, without what a terminal or a
// message can't show.
func printable(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// checkProfile refuses profiles that would take a lot of memory or time to read: the
// reader believes the counts that they hold.
func checkProfile(data []byte) error {
	const header, entry = 132, 12
	if len(data) < header {
		return errProfile
	}
	if len(data) > maxProfile {
		return fmt.Errorf("its colour profile has more than %d MiB, which is the limit", maxProfile>>20)
	}
	be := binary.BigEndian
	tags := int64(be.Uint32(data[header-4:]))
	if tags > int64(len(data)-header)/entry {
		return errProfile
	}
	for i := range int(tags) {
		e := data[header+i*entry:]
		if at, n := int64(be.Uint32(e[4:])), int64(be.Uint32(e[8:])); at < header+tags*entry || at+n > int64(len(data)) {
			return errProfile
		}
	}
	// Sampled curves, wherever they are: sorting out one that turns back takes the square
	// of its length.
	const maxCurve = 1 << 13
	for at := 0; ; {
		next := bytes.Index(data[at:], []byte("curv"))
		if next < 0 {
			return nil
		}
		at += next + 4
		if at+8 > len(data) {
			return nil
		}
		if n := int64(be.Uint32(data[at+4:])); n > maxCurve || int64(at)+8+2*n > int64(len(data)) {
			return errProfile
		}
	}
}

// of is a colour in sRGB, [0, 1].
func (c *conversion) of(in [4]float64) (out [4]float64) {
	if c.channels == 3 {
		out[0], out[1], out[2] = c.pipeline.Transform(in[0], in[1], in[2])
	} else {
		c.pipeline.TransformGeneral(out[:], in[:])
	}
	return out
}

// apply converts a picture, row by row on all processors.
func (c *conversion) apply(img image.Image) (*image.NRGBA, error) {
	b := img.Bounds()
	at := numbersOf(img)
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	workers := min(runtime.GOMAXPROCS(0), b.Dy())
	failed := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					failed[w] = errors.New("not readable: its colour profile is damaged")
				}
			}()
			var last [5]uint16 // neighbours are often equal
			var rgb [3]uint8
			for y := w; y < b.Dy(); y += workers {
				row := out.Pix[y*out.Stride:]
				for x := range b.Dx() {
					n := at(b.Min.X+x, b.Min.Y+y)
					if n != last || x == 0 {
						var in [4]float64
						for i := range in {
							in[i] = float64(n[i]) / math.MaxUint16
						}
						for i, v := range c.of(in) {
							if i < 3 {
								rgb[i] = eightBits(v)
							}
						}
						last = n
					}
					row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = rgb[0], rgb[1], rgb[2], uint8(n[4]>>8)
				}
			}
		})
	}
	wait.Wait()
	return out, errors.Join(failed...)
}

func eightBits(v float64) uint8 {
	if !(v > 0) { // also what is no number
		return 0
	}
	return uint8(math.Round(min(v, 1) * 255))
}

// numbersOf is how a pixel is read in 16 bits: its three or four channels, and, last,
// its alpha, which colours are not multiplied by.
func numbersOf(img image.Image) func(x, y int) [5]uint16 {
	switch m := img.(type) {
	case *image.CMYK:
		return func(x, y int) [5]uint16 {
			c := m.CMYKAt(x, y)
			return [5]uint16{uint16(c.C) * 0x101, uint16(c.M) * 0x101, uint16(c.Y) * 0x101, uint16(c.K) * 0x101, math.MaxUint16}
		}
	case *image.NRGBA64:
		return func(x, y int) [5]uint16 {
			c := m.NRGBA64At(x, y)
			return [5]uint16{c.R, c.G, c.B, 0, c.A}
		}
	case *image.NRGBA, *image.NYCbCrA, *image.Paletted:
		n, from := Straight(img), img.Bounds().Min
		return func(x, y int) [5]uint16 {
			c := n.NRGBAAt(x-from.X, y-from.Y)
			return [5]uint16{uint16(c.R) * 0x101, uint16(c.G) * 0x101, uint16(c.B) * 0x101, 0, uint16(c.A) * 0x101}
		}
	}
	return func(x, y int) [5]uint16 { // opaque, as decoders make them
		r, g, b, a := img.At(x, y).RGBA()
		return [5]uint16{uint16(r), uint16(g), uint16(b), 0, uint16(a)}
	}
}

// Primaries of sRGB, and others by their numbers in ITU-T H.273: white, red, green, blue.
var (
	d65       = chromaticity{0.3127, 0.3290}
	srgb      = [4]chromaticity{d65, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}}
	primaries = map[byte]struct {
		name string
		at   [4]chromaticity
	}{
		1:  {"BT.709", srgb},
		9:  {"BT.2020", [4]chromaticity{d65, {0.708, 0.292}, {0.170, 0.797}, {0.131, 0.046}}},
		12: {"Display P3", [4]chromaticity{d65, {0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}}},
	}
)

// ofCICP is the conversion from a cICP chunk's colours: primaries, transfer, matrix,
// range, by their numbers in ITU-T H.273.
func ofCICP(chunk []byte) (*conversion, error) {
	if len(chunk) != 4 || chunk[2] != 0 {
		return nil, errors.New("its cICP chunk, which says what its colours are, is damaged")
	}
	p, known := primaries[chunk[0]]
	if !known || chunk[3] != 1 {
		return nil, fmt.Errorf("its cICP chunk says that its colours are %d/%d/%d/%d of ITU-T H.273, which eligen can't convert", chunk[0], chunk[1], chunk[2], chunk[3])
	}
	name := p.name
	switch chunk[1] {
	case 13: // sRGB
		if chunk[0] == 1 {
			return nil, nil
		}
		return fromPrimaries(name, p.at, icc.SRGBCurve().Transform)
	case 8:
		return fromPrimaries(name+", linear", p.at, func(v float64) float64 { return v })
	case 4:
		return fromPrimaries(name+", gamma 2.2", p.at, power(2.2))
	}
	return nil, fmt.Errorf("its cICP chunk says that its colours are in transfer %d of ITU-T H.273 (16 and 18 are HDR), which eligen can't convert", chunk[1])
}

func power(exponent float64) func(float64) float64 {
	return func(v float64) float64 { return math.Pow(max(v, 0), exponent) }
}

// ofPrimaries is the conversion from colours that PNG's gAMA and cHRM chunks describe.
func (m metadata) ofPrimaries() (*conversion, error) {
	at, hasPrimaries := m.chromaticities()
	exponent, hasGamma := m.exponent()
	if hasPrimaries && near(at, srgb, 0.01) || !hasPrimaries {
		at = srgb
	}
	if !hasGamma || math.Abs(exponent/2.2-1) < 0.05 { // what PNGs say for sRGB
		if at == srgb {
			return nil, nil
		}
		exponent = 2.2
	}
	if !near([4]chromaticity{at[0]}, [4]chromaticity{d65}, 0.005) {
		return nil, fmt.Errorf("its cHRM chunk says that its white is (%g, %g), which eligen can't convert", at[0].x, at[0].y)
	}
	return fromPrimaries(fmt.Sprintf("gamma %.3g (PNG's gAMA and cHRM)", exponent), at, power(exponent))
}

func near(a, b [4]chromaticity, by float64) bool {
	for i := range a {
		if math.Abs(a[i].x-b[i].x) > by || math.Abs(a[i].y-b[i].y) > by {
			return false
		}
	}
	return true
}

// fromPrimaries converts from primaries with the white of sRGB, and numbers that
// linear makes light of.
func fromPrimaries(name string, at [4]chromaticity, linear func(float64) float64) (*conversion, error) {
	from, err := toXYZ(at)
	if err != nil {
		return nil, err
	}
	to, err := toXYZ(srgb)
	if err != nil {
		return nil, err
	}
	if to, err = to.Inverted(); err != nil {
		return nil, err
	}
	c := &conversion{name: name, channels: 3, pipeline: &icc.Pipeline{}}
	encode := icc.SRGBCurve().InverseTransform
	c.pipeline.Append(icc.NewUniformFunctionTransformer("linear", linear), &from, &to,
		icc.NewUniformFunctionTransformer("sRGB", func(v float64) float64 { return encode(max(0, min(v, 1))) }))
	c.pipeline.Finalize(true)
	return c, nil
}

// toXYZ makes CIE XYZ of linear light in some primaries.
func toXYZ(at [4]chromaticity) (m icc.Matrix3, err error) {
	xyz := func(c chromaticity) [3]float64 { return [3]float64{c.x / c.y, 1, (1 - c.x - c.y) / c.y} }
	for k, c := range at[1:] {
		if c.y <= 0 {
			return m, errors.New("its cHRM chunk is damaged")
		}
		for i, v := range xyz(c) {
			m[i][k] = v
		}
	}
	inverse, err := m.Inverted()
	if err != nil {
		return m, errors.New("its cHRM chunk is damaged")
	}
	white := xyz(at[0])
	for k := range 3 {
		scale := inverse[k][0]*white[0] + inverse[k][1]*white[1] + inverse[k][2]*white[2]
		for i := range 3 {
			m[i][k] *= scale
		}
	}
	return m, nil
}
