package pixels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
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
	// light is linear sRGB, of profiles that have no more than a curve for each channel
	// and a matrix: what channels give is added up. nil: only the pipeline knows.
	light func(rgb [3]float64) [3]float64
}

// conversion returns the conversion to sRGB of a file with so many channels, nil if its
// numbers are sRGB. Its errors complete "NAME: … ".
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

// ofProfile returns the conversion from an ICC profile's colours. A profile that is sRGB by
// its content, whatever its name, needs none.
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
	if t := &p.TagTable; c.channels == 3 && !t.Has(icc.AToB0TagSignature) && !t.Has(icc.AToB1TagSignature) &&
		p.Header.ProfileConnectionSpace == icc.ColorSpaceXYZ {
		pcs, err := p.CreateTransformerToPCS(icc.PerceptualRenderingIntent, 3, true)
		if err != nil {
			return nil, fmt.Errorf("its colour profile %q can't be used: %s", c.name, printable(err.Error()))
		}
		c.light = func(in [3]float64) (out [3]float64) {
			x, y, z := pcs.Transform(in[0], in[1], in[2])
			out[0], out[1], out[2] = fromD50.Transform(x, y, z)
			return out
		}
	}
	return c, nil
}

var channelNames = map[int]string{1: "grey", 3: "RGB", 4: "CMYK"}

// profileName returns a profile's own name.
func profileName(p *icc.Profile) string {
	name, err := p.Description()
	if name = printable(name); err != nil || name == "" {
		return "a profile without a name"
	}
	return name
}

// printable returns the first line of a file's text, without characters that a terminal or
// a message can't show.
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

// of returns a colour in sRGB, [0, 1].
func (c *conversion) of(in [4]float64) (out [4]float64) {
	if c.channels == 3 {
		out[0], out[1], out[2] = c.pipeline.Transform(in[0], in[1], in[2])
	} else {
		c.pipeline.TransformGeneral(out[:], in[:])
	}
	return out
}

// apply converts a picture, row by row on all processors.
func (c *conversion) apply(img image.Image) (out *image.NRGBA, err error) {
	defer func() {
		if recover() != nil {
			out, err = nil, errProfiled
		}
	}()
	b := img.Bounds()
	at, deep := numbersOf(img)
	convert := c.converter(deep)
	out = image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	workers := min(runtime.GOMAXPROCS(0), b.Dy())
	failed := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			defer func() {
				if recover() != nil {
					failed[w] = errProfiled
				}
			}()
			of := convert()
			for y := w; y < b.Dy(); y += workers {
				row := out.Pix[y*out.Stride:]
				for x := range b.Dx() {
					n := at(b.Min.X+x, b.Min.Y+y)
					rgb := of([4]uint16(n[:4]))
					row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = rgb[0], rgb[1], rgb[2], uint8(n[4]>>8)
				}
			}
		})
	}
	wait.Wait()
	return out, errors.Join(failed...)
}

var errProfiled = errors.New("not readable: its colour profile is damaged")

// converter returns a worker's function for numbers of 16 bits, whose lower half counts
// only if they are deep. Powers are slow: it looks up as much as possible.
func (c *conversion) converter(deep bool) func() func([4]uint16) [3]uint8 {
	shift, values := 8, 256
	if deep {
		shift, values = 0, 1<<16
	}
	at := func(i int) float64 { return float64(i) / float64(values-1) }
	switch {
	case c.channels == 1:
		table := make([][3]uint8, values)
		for i := range table {
			rgb := c.of([4]float64{at(i)})
			table[i] = [3]uint8{eightBits(rgb[0]), eightBits(rgb[1]), eightBits(rgb[2])}
		}
		return func() func([4]uint16) [3]uint8 {
			return func(n [4]uint16) [3]uint8 { return table[n[0]>>shift] }
		}
	case c.light != nil:
		var light [3][][3]float64 // each channel's part; red's holds what black gives, too
		black := c.light([3]float64{})
		for k := range light {
			light[k] = make([][3]float64, values)
			for i := range light[k] {
				var in [3]float64
				in[k] = at(i)
				light[k][i] = c.light(in)
				for j := range black {
					if k > 0 {
						light[k][i][j] -= black[j]
					}
				}
			}
		}
		return func() func([4]uint16) [3]uint8 {
			return func(n [4]uint16) (out [3]uint8) {
				r, g, b := &light[0][n[0]>>shift], &light[1][n[1]>>shift], &light[2][n[2]>>shift]
				for j := range out {
					out[j] = level(r[j] + g[j] + b[j])
				}
				return out
			}
		}
	}
	return func() func([4]uint16) [3]uint8 {
		known := make(memory, 1<<15)
		return func(n [4]uint16) [3]uint8 { return known.of(c, n) }
	}
}

// levels are the levels of sRGB in 8 bits: from which linear light each is, and which
// one parts of light begin with.
var levels = func() (l struct {
	from  [257]float64
	begin [4097]uint8
}) {
	for k := 1; k < 256; k++ {
		l.from[k] = icc.SRGBCurve().Transform((float64(k) - 0.5) / 255)
	}
	l.from[256] = math.Inf(1)
	k := 0
	for i := range l.begin {
		for float64(i)/4096 >= l.from[k+1] {
			k++
		}
		l.begin[i] = uint8(k)
	}
	return l
}()

// level returns the level of sRGB that is nearest to linear light.
func level(light float64) uint8 {
	if !(light > 0) { // also what is no number
		return 0
	}
	l := &levels
	k := int(l.begin[int(min(light, 1)*4096)])
	for light >= l.from[k+1] {
		k++
	}
	return uint8(k)
}

// A memory holds colours that were converted already: a photo's pixels have few, and a
// conversion raises each to powers.
type memory []struct {
	known bool
	in    [4]uint16
	out   [3]uint8
}

func (m memory) of(c *conversion, n [4]uint16) [3]uint8 {
	hash := uint32(n[0])*0x9e3779b1 ^ uint32(n[1])*0x85ebca77 ^ uint32(n[2])*0xc2b2ae3d ^ uint32(n[3])*0x27d4eb2f
	e := &m[(hash^hash>>15)%uint32(len(m))]
	if !e.known || e.in != n {
		var in [4]float64
		for i := range in {
			in[i] = float64(n[i]) / math.MaxUint16
		}
		out := c.of(in)
		e.known, e.in, e.out = true, n, [3]uint8{eightBits(out[0]), eightBits(out[1]), eightBits(out[2])}
	}
	return e.out
}

func eightBits(v float64) uint8 {
	if !(v > 0) { // also what is no number
		return 0
	}
	return uint8(math.Round(min(v, 1) * 255))
}

// numbersOf returns a function that reads a pixel's three or four channels and its alpha,
// in 16 bits, colours not multiplied by alpha. deep reports whether the file has as many
// bits.
func numbersOf(img image.Image) (at func(x, y int) [5]uint16, deep bool) {
	switch m := img.(type) {
	case *image.CMYK:
		return func(x, y int) [5]uint16 {
			c := m.CMYKAt(x, y)
			return [5]uint16{uint16(c.C) * 0x101, uint16(c.M) * 0x101, uint16(c.Y) * 0x101, uint16(c.K) * 0x101, math.MaxUint16}
		}, false
	case *image.NRGBA64:
		return func(x, y int) [5]uint16 {
			c := m.NRGBA64At(x, y)
			return [5]uint16{c.R, c.G, c.B, 0, c.A}
		}, true
	case *image.RGBA64, *image.Gray16: // a TIFF's colours may be multiplied by alpha
		return func(x, y int) [5]uint16 {
			c := color.NRGBA64Model.Convert(img.At(x, y)).(color.NRGBA64)
			return [5]uint16{c.R, c.G, c.B, 0, c.A}
		}, true
	}
	n, from := Straight(img), img.Bounds().Min
	return func(x, y int) [5]uint16 {
		c := n.Pix[n.PixOffset(x-from.X, y-from.Y):]
		return [5]uint16{uint16(c[0]) * 0x101, uint16(c[1]) * 0x101, uint16(c[2]) * 0x101, 0, uint16(c[3]) * 0x101}
	}, false
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

// ofCICP returns the conversion from a cICP chunk's colours: primaries, transfer, matrix,
// range, by their numbers in ITU-T H.273.
func ofCICP(chunk []byte) (*conversion, error) {
	if len(chunk) != 4 || chunk[2] != 0 {
		return nil, errors.New("its cICP chunk, which says what its colours are, is damaged")
	}
	p, known := primaries[chunk[0]]
	if !known || chunk[3] != 1 {
		return nil, fmt.Errorf("its cICP chunk says that its colours are %d/%d/%d/%d of ITU-T H.273, which eligen can't convert", chunk[0],
			chunk[1], chunk[2], chunk[3])
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
	return nil, fmt.Errorf("its cICP chunk says that its colours are in transfer %d of ITU-T H.273 (16 and 18 are HDR), which eligen "+
		"can't convert", chunk[1])
}

func power(exponent float64) func(float64) float64 {
	return func(v float64) float64 { return math.Pow(max(v, 0), exponent) }
}

// ofPrimaries returns the conversion from colours that PNG's gAMA and cHRM chunks describe.
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
	matrix := to.Multiply(from)
	return &conversion{name: name, channels: 3, light: func(in [3]float64) (out [3]float64) {
		out[0], out[1], out[2] = matrix.Transform(linear(in[0]), linear(in[1]), linear(in[2]))
		return out
	}}, nil
}

// fromD50 makes linear sRGB of a profile's XYZ, whose white is D50: the inverse of the
// colorants of sRGB's own profile.
var fromD50 = func() icc.Matrix3 {
	m, err := (&icc.Matrix3{{0.43607, 0.38515, 0.14307}, {0.22249, 0.71687, 0.06061}, {0.01392, 0.09708, 0.71410}}).Inverted()
	if err != nil {
		panic(err)
	}
	return m
}()

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
