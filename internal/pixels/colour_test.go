package pixels

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
	"testing"
)

func s15(v float64) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(int32(math.Round(v*65536))))
}

// xyz returns a tag of type XYZ.
func xyz(x, y, z float64) []byte {
	return bytes.Join([][]byte{[]byte("XYZ \x00\x00\x00\x00"), s15(x), s15(y), s15(z)}, nil)
}

// curv returns a tag of samples, of which one alone is an exponent in 8.8 bits.
func curv(samples ...uint16) []byte {
	out := binary.BigEndian.AppendUint32([]byte("curv\x00\x00\x00\x00"), uint32(len(samples)))
	for _, s := range samples {
		out = binary.BigEndian.AppendUint16(out, s)
	}
	return out
}

// para returns a tag of a parametric curve.
func para(function uint16, parameters ...float64) []byte {
	out := append(binary.BigEndian.AppendUint16([]byte("para\x00\x00\x00\x00"), function), 0, 0)
	for _, p := range parameters {
		out = append(out, s15(p)...)
	}
	return out
}

type tag struct {
	name string
	body []byte
}

// profile returns an ICC profile of a version ("\x02\x40" is 2.4) and colour space.
func profile(version, space, name string, tags ...tag) []byte {
	desc := append(binary.BigEndian.AppendUint32([]byte("desc\x00\x00\x00\x00"), uint32(len(name)+1)), name...)
	desc = append(desc, make([]byte, 1+4+4+2+1+67)...)
	if version[0] >= 4 {
		desc = binary.BigEndian.AppendUint32([]byte("mluc\x00\x00\x00\x00"), 1)
		desc = append(desc, "\x00\x00\x00\x0cenUS"...)
		desc = binary.BigEndian.AppendUint32(desc, uint32(2*len(name)))
		desc = binary.BigEndian.AppendUint32(desc, 28)
		for _, r := range name {
			desc = binary.BigEndian.AppendUint16(desc, uint16(r))
		}
	}
	tags = append([]tag{{"desc", desc}, {"wtpt", xyz(0.9642, 1, 0.8249)}}, tags...)
	head := make([]byte, 128)
	copy(head[8:], version)
	copy(head[12:], "mntr"+space+"XYZ ")
	copy(head[36:], "acsp")
	copy(head[68:], xyz(0.9642, 1, 0.8249)[8:])
	table := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	var data []byte
	begin := len(head) + 4 + 12*len(tags)
	for _, t := range tags {
		table = append(table, t.name...)
		table = binary.BigEndian.AppendUint32(table, uint32(begin+len(data)))
		table = binary.BigEndian.AppendUint32(table, uint32(len(t.body)))
		data = append(data, t.body...)
		data = append(data, make([]byte, -len(t.body)&3)...)
	}
	out := bytes.Join([][]byte{head, table, data}, nil)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// matrix returns a profile of an RGB space by its colorants, adapted to D50.
func matrix(version, name string, colorants [9]float64, trc []byte) []byte {
	c := colorants
	return profile(version, "RGB ", name, tag{"rXYZ", xyz(c[0], c[1], c[2])}, tag{"gXYZ", xyz(c[3], c[4], c[5])},
		tag{"bXYZ", xyz(c[6], c[7], c[8])},
		tag{"rTRC", trc}, tag{"gTRC", trc}, tag{"bTRC", trc})
}

var (
	srgbColorants = [9]float64{0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.71410}
	p3Colorants   = [9]float64{0.51512, 0.24120, -0.00105, 0.29198, 0.69225, 0.04189, 0.15710, 0.06657, 0.78407}
	srgbCurve     = para(3, 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045)
)

// profiles returns those that people's pictures hold.
func profiles() map[string][]byte {
	table := make([]uint16, 1024)
	for i := range table {
		table[i] = uint16(math.Round(65535 * math.Pow(float64(i)/1023, 1.8)))
	}
	adobe := [9]float64{0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457}
	prophoto := [9]float64{0.79767, 0.28804, 0, 0.13519, 0.71188, 0, 0.03134, 0.00009, 0.82491}
	return map[string][]byte{
		"Display P3, v4":            matrix("\x04\x00", "Display P3", p3Colorants, srgbCurve),
		"Adobe RGB, v2":             matrix("\x02\x10", "Adobe RGB (1998)", adobe, curv(563)),
		"ProPhoto, sampled":         matrix("\x02\x10", "ProPhoto RGB", prophoto, curv(table...)),
		"sRGB by another name":      matrix("\x04\x00", "Not what you think", srgbColorants, srgbCurve),
		"P3 under the name of sRGB": matrix("\x02\x10", "sRGB IEC61966-2.1", p3Colorants, curv(563)),
		"grey, gamma 1.8":           profile("\x02\x10", "GRAY", "Gray Gamma 1.8", tag{"kTRC", curv(461)}),
		"grey, as sRGB":             profile("\x04\x00", "GRAY", "sGray", tag{"kTRC", srgbCurve}),
		"linear, no exponent":       matrix("\x02\x10", "Linear", srgbColorants, curv()),
		"parametric power":          matrix("\x04\x00", "Gamma 2", p3Colorants, para(0, 2)),
	}
}

// colours are the pixels that are converted.
var colours = []color.NRGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {255, 255, 255, 255}, {128, 128, 128, 255},
	{200, 100, 50, 255}, {12, 34, 56, 255}, {250, 240, 10, 255}}

// converted returns a picture's file, read: its colours in a row.
func converted(t *testing.T, data []byte) (*File, []color.NRGBA) {
	t.Helper()
	f, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	img, err := f.Picture()
	if err != nil {
		t.Fatal(err)
	}
	var out []color.NRGBA
	for x := range img.Rect.Dx() {
		out = append(out, img.NRGBAAt(x, 0))
	}
	return f, out
}

// rows returns the colours as a picture, and their reds as a grey one.
func rows() (rgb *image.NRGBA, grey *image.Gray) {
	rgb = image.NewNRGBA(image.Rect(0, 0, len(colours), 1))
	grey = image.NewGray(rgb.Rect)
	for x, c := range colours {
		rgb.SetNRGBA(x, 0, c)
		grey.SetGray(x, 0, color.Gray{Y: c.R})
	}
	return rgb, grey
}

// TestProfiles: colours come out as LittleCMS 2.19 converts them (ImageCms of Pillow
// 13.0, perceptual), to one level; what is sRGB, by whatever name, to the bit.
func TestProfiles(t *testing.T) {
	rgb, grey := rows()
	all := profiles()
	for _, c := range []struct{ name, from, want string }{
		{"Adobe RGB, v2", "Adobe RGB (1998)", "255,0,0 0,255,0 0,0,255 255,255,255 129,129,129 227,100,42 0,28,54 254,240,0"},
		{"Display P3, v4", "Display P3", "255,0,0 0,255,0 0,0,255 255,255,255 128,128,128 215,93,31 3,35,58 252,240,0"},
		{"ProPhoto, sampled", "ProPhoto RGB", "255,0,0 0,255,0 0,0,255 255,255,255 146,146,146 255,80,47 0,50,76 255,241,0"},
		{"P3 under the name of sRGB", "sRGB IEC61966-2.1", "255,0,0 0,255,0 0,0,255 255,255,255 129,129,129 216,93,24 0,29,55 252,240,0"},
		{"sRGB by another name", "", "255,0,0 0,255,0 0,0,255 255,255,255 128,128,128 200,100,50 12,34,56 250,240,10"},
		{"linear, no exponent", "Linear", "255,0,0 1,255,0 0,0,255 255,255,255 188,188,188 229,168,122 61,102,129 253,248,56"},
		{"parametric power", "Gamma 2", "255,0,0 0,255,0 0,0,255 255,255,255 137,137,137 220,103,36 0,37,64 253,241,0"},
		{"grey, gamma 1.8", "Gray Gamma 1.8", "255,255,255 0,0,0 0,0,0 255,255,255 146,146,146 210,210,210 13,13,13 251,251,251"},
		{"grey, as sRGB", "", "255,255,255 0,0,0 0,0,0 255,255,255 128,128,128 200,200,200 12,12,12 250,250,250"},
	} {
		img := image.Image(rgb)
		if strings.HasPrefix(c.name, "grey") {
			img = grey
		}
		f, got := converted(t, withPNG(asPNG(t, img), "iCCP", iccp(all[c.name])))
		if f.Trouble != "" || f.Profile != c.from {
			t.Errorf("%s: from %q, trouble %q; want %q and none", c.name, f.Profile, f.Trouble, c.from)
		}
		tolerance := 1
		if c.from == "" {
			tolerance = 0
		}
		checkColours(t, c.name, got, c.want, tolerance)
	}
}

func checkColours(t *testing.T, name string, got []color.NRGBA, want string, tolerance int) {
	t.Helper()
	for i, text := range strings.Fields(want) {
		var r, g, b int
		if _, err := fmt.Sscanf(text, "%d,%d,%d", &r, &g, &b); err != nil {
			t.Fatal(err)
		}
		c := got[i]
		if d := max(abs(int(c.R)-r), abs(int(c.G)-g), abs(int(c.B)-b)); d > tolerance || c.A != 255 {
			t.Errorf("%s: colour %d is %v, want %s", name, i, c, text)
		}
	}
}

func abs(x int) int { return max(x, -x) }

// TestProfileContainers: a profile is found in every format, in parts too, and also
// acts on grey pixels, on transparent ones and on those of 16 bits.
func TestProfileContainers(t *testing.T) {
	p3 := profiles()["Display P3, v4"]
	part := func(i, n byte, body []byte) []byte {
		return append([]byte("ICC_PROFILE\x00"), append([]byte{i, n}, body...)...)
	}
	flat := image.NewNRGBA(image.Rect(0, 0, 32, 16))
	deep := image.NewNRGBA64(flat.Rect)
	for i := range flat.Pix {
		flat.Pix[i] = []uint8{200, 100, 50, 128}[i%4]
	}
	for y := range 16 {
		for x := range 32 {
			deep.SetNRGBA64(x, y, color.NRGBA64{200 * 257, 100 * 257, 50 * 257, 128 * 257})
		}
	}
	solid := image.NewNRGBA(flat.Rect)
	for i := range solid.Pix {
		solid.Pix[i] = []uint8{200, 100, 50, 255}[i%4]
	}
	paletted := image.NewPaletted(flat.Rect, color.Palette{color.NRGBA{200, 100, 50, 255}})
	for name, data := range map[string][]byte{
		"PNG":                withPNG(asPNG(t, flat), "iCCP", iccp(p3)),
		"PNG, 16 bits":       withPNG(asPNG(t, deep), "iCCP", iccp(p3)),
		"PNG with a palette": withPNG(asPNG(t, paletted), "iCCP", iccp(p3)),
		"WebP":               withWebP(asWebP(t, flat), 0x20, "ICCP", p3),
		"JPEG":               withJPEG(asJPEG(t, solid), app2, part(1, 1, p3)),
		"JPEG in two parts":  withJPEG(withJPEG(asJPEG(t, solid), app2, part(2, 2, p3[300:])), app2, part(1, 2, p3[:300])),
		// which comes first
		"cICP": withPNG(withPNG(asPNG(t, solid), "iCCP", iccp(profiles()["Adobe RGB, v2"])), "cICP", []byte{12, 13, 0, 1}),
	} {
		f, got := converted(t, data)
		if f.Trouble != "" || f.Profile != "Display P3" {
			t.Errorf("%s: from %q, trouble %q", name, f.Profile, f.Trouble)
		}
		tolerance := 1
		if strings.HasPrefix(name, "JPEG") {
			tolerance = 3 // as far as JPEG keeps the colour
		}
		if c := got[0]; abs(int(c.R)-215) > tolerance || abs(int(c.G)-93) > tolerance || abs(int(c.B)-31) > 2*tolerance ||
			c.A != 128 && c.A != 255 {
			t.Errorf("%s: %v, want 215, 93, 31", name, c)
		}
	}
	_, grey := rows()
	_, got := converted(t, withPNG(asPNG(t, grey), "iCCP", iccp(matrix("\x04\x00", "Linear", srgbColorants, curv()))))
	checkColours(t, "grey pixels, RGB profile", got, "255,255,255 0,0,0 0,0,0 255,255,255 188,188,188", 1)
}

// TestChunks: what PNG's own chunks say of colours holds where there is no profile, and
// what they say of sRGB changes nothing.
func TestChunks(t *testing.T) {
	rgb, _ := rows()
	plain := asPNG(t, rgb)
	gama := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	chrm := func(v ...uint32) (out []byte) {
		for _, n := range v {
			out = binary.BigEndian.AppendUint32(out, n)
		}
		return out
	}
	srgb := chrm(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
	const same = "255,0,0 0,255,0 0,0,255 255,255,255 128,128,128 200,100,50 12,34,56 250,240,10"
	for name, c := range map[string]struct {
		data    []byte
		want    string
		trouble string
	}{
		"gAMA of sRGB": {withPNG(withPNG(plain, "cHRM", srgb), "gAMA", gama(45455)), same, ""},
		"gAMA of 1": {withPNG(plain, "gAMA", gama(100000)),
			"255,0,0 0,255,0 0,0,255 255,255,255 188,188,188 229,168,122 61,102,129 253,248,56", ""},
		"gAMA of 0":        {withPNG(plain, "gAMA", gama(0)), same, ""},
		"gAMA beside sRGB": {withPNG(withPNG(plain, "sRGB", []byte{0}), "gAMA", gama(100000)), same, ""},
		"cHRM of Display P3": {withPNG(withPNG(plain, "cHRM", chrm(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)), "gAMA",
			gama(45455)), "255,0,0 0,255,0 0,0,255 255,255,255 129,129,129 216,93,24 0,29,55 252,240,0", ""},
		"cHRM of another white": {withPNG(plain, "cHRM", chrm(34570, 35850, 64000, 33000, 30000, 60000, 15000, 6000)), same, "white"},
		"cHRM of nothing":       {withPNG(plain, "cHRM", chrm(31270, 32900, 1, 1, 1, 1, 1, 1)), same, "damaged"},
		"cICP of sRGB":          {withPNG(plain, "cICP", []byte{1, 13, 0, 1}), same, ""},
		"cICP of HDR":           {withPNG(plain, "cICP", []byte{9, 16, 0, 1}), same, "HDR"},
		"cICP of film":          {withPNG(plain, "cICP", []byte{8, 13, 0, 1}), same, "8/13/0/1"},
		"cICP cut":              {withPNG(plain, "cICP", []byte{12, 13}), same, "damaged"},
	} {
		f, got := converted(t, c.data)
		if (c.trouble == "") != (f.Trouble == "") || !strings.Contains(f.Trouble, c.trouble) {
			t.Errorf("%s: trouble %q, want %q", name, f.Trouble, c.trouble)
		}
		tolerance := 1
		if c.want == same {
			tolerance = 0
		}
		checkColours(t, name, got, c.want, tolerance)
	}
}

// TestProfileTrouble: a profile that can't be used is said to be, its numbers stay, and
// none takes the memory that it claims.
func TestProfileTrouble(t *testing.T) {
	rgb, grey := rows()
	good := profiles()["Adobe RGB, v2"]
	with := func(at int, v uint32) []byte {
		out := bytes.Clone(good)
		binary.BigEndian.PutUint32(out[at:], v)
		return out
	}
	curve := bytes.Index(good, []byte("curv"))
	huge := curv(1, 2)
	binary.BigEndian.PutUint32(huge[8:], 1<<31)
	for name, c := range map[string]struct {
		img     image.Image
		profile []byte
		want    string
	}{
		"cut":            {rgb, good[:200], "is damaged"},
		"empty":          {rgb, []byte{0}, "is damaged"},
		"no profile":     {rgb, bytes.Repeat([]byte("x"), 500), "is damaged"},
		"2³² tags":       {rgb, with(128, math.MaxUint32), "is damaged"},
		"a tag outside":  {rgb, with(132+12+4, math.MaxUint32-3), "is damaged"},
		"a tag of 4 GiB": {rgb, with(132+12+8, math.MaxUint32), "is damaged"},
		"a curve of 2³²": {rgb, with(curve+8, math.MaxUint32), "is damaged"},
		"a curve of 2³¹ in a LUT": {rgb, profile("\x04\x00", "RGB ", "x",
			tag{"A2B0", append([]byte("mAB \x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x20"), append(make([]byte, 16), huge...)...)}),
			"is damaged"},
		"of six inks":         {rgb, profile("\x04\x00", "6CLR", "Six inks"), "can't be used"},
		"without curves":      {rgb, profile("\x02\x10", "RGB ", "Nothing"), "\"Nothing\" can't be used"},
		"of CMYK":             {rgb, profile("\x02\x10", "CMYK", "Press"), "\"Press\" is for CMYK, and its pixels are RGB"},
		"of grey, in colour":  {rgb, profiles()["grey, gamma 1.8"], "is for grey, and its pixels are RGB"},
		"of CMYK, for grey":   {grey, profile("\x02\x10", "CMYK", "Press"), "its pixels are grey"},
		"a name with escapes": {rgb, profile("\x02\x10", "RGB ", "a\x1b]0;b\x07c"), "\"a]0;bc\""},
		"too large":           {rgb, make([]byte, maxProfile+1), "8 MiB"},
	} {
		data := withPNG(asPNG(t, c.img), "iCCP", iccp(c.profile))
		f, got := converted(t, data)
		if !strings.Contains(f.Trouble, c.want) || f.Profile != "" || !strings.HasPrefix(f.Trouble, "its colour profile ") {
			t.Errorf("%s: trouble %q, want %q", name, f.Trouble, c.want)
		}
		if got[5].R != 200 {
			t.Errorf("%s: the numbers have changed to %v", name, got[5])
		}
	}
	jpeg := withJPEG(asJPEG(t, marked()), app2, append([]byte("ICC_PROFILE\x00\x01\x02"), good...)) // the first of two
	if f, _ := converted(t, jpeg); f.Trouble == "" {
		t.Error("half a profile is no trouble")
	}
}

// iccp returns the body of a PNG's chunk for a profile.
func iccp(profile []byte) []byte {
	var b bytes.Buffer
	b.WriteString("icc\x00\x00")
	w := zlib.NewWriter(&b)
	if _, err := w.Write(profile); err != nil {
		panic(err) // a buffer takes all
	}
	w.Close()
	return b.Bytes()
}
