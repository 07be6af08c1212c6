package pixels

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/HugoSmits86/nativewebp"

	"github.com/eligen/eligen"
)

// marked returns a picture of 32×16 pixels with a red, a green, a blue and a white quarter,
// clockwise from the upper left.
func marked() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, 32, 16))
	for y := range 16 {
		for x := range 32 {
			img.SetNRGBA(x, y, [2][2]color.NRGBA{{{255, 0, 0, 255}, {0, 255, 0, 255}}, {{255, 255, 255, 255}, {0, 0, 255, 255}}}[y/8][x/16])
		}
	}
	return img
}

// quarters names the colours of a picture's quarters, clockwise from the upper left.
func quarters(img *image.NRGBA) (s string) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for _, p := range []image.Point{{w / 4, h / 4}, {3 * w / 4, h / 4}, {3 * w / 4, 3 * h / 4}, {w / 4, 3 * h / 4}} {
		switch c := img.NRGBAAt(p.X, p.Y); {
		case c.R > 200 && c.G > 200:
			s += "W"
		case c.R > 200:
			s += "R"
		case c.G > 200:
			s += "G"
		default:
			s += "B"
		}
	}
	return s
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asWebP(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := nativewebp.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withPNG puts a chunk before the pixels.
func withPNG(data []byte, kind string, body []byte) []byte {
	const head = 8 + 25 // the signature, and IHDR
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	chunk = append(append(chunk, kind...), body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return bytes.Join([][]byte{data[:head], chunk, data[head:]}, nil)
}

// withJPEG puts a segment behind the first marker.
func withJPEG(data []byte, marker byte, body []byte) []byte {
	segment := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2))
	return bytes.Join([][]byte{data[:2], segment, body, data[2:]}, nil)
}

// withWebP makes an extended WebP of a simple one, with a chunk behind the pixels.
func withWebP(data []byte, flag byte, kind string, body []byte) []byte {
	chunk := func(kind string, body []byte) []byte {
		out := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))
		return append(append(out, body...), make([]byte, len(body)%2)...)
	}
	head := []byte{flag, 0, 0, 0, 31, 0, 0, 15, 0, 0}
	pixels, rest := data[12:], chunk(kind, body)
	if kind == "ICCP" {
		pixels, rest = rest, pixels
	}
	all := bytes.Join([][]byte{[]byte("WEBP"), chunk("VP8X", head), pixels, rest}, nil)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(all))), all...)
}

// exif returns an EXIF block with another entry and an orientation, of a type.
func exif(order binary.AppendByteOrder, kind uint16, value int) []byte {
	out := []byte("II*\x00")
	if order.String() == "BigEndian" {
		out = []byte("MM\x00*")
	}
	out = order.AppendUint32(out, 8)
	out = order.AppendUint16(out, 2)
	for _, e := range [][3]int{{271, 4, 7}, {274, int(kind), value}} {
		out = order.AppendUint16(out, uint16(e[0]))
		out = order.AppendUint16(out, uint16(e[1]))
		out = order.AppendUint32(out, 1)
		switch e[1] {
		case 1:
			out = append(out, uint8(e[2]), 0, 0, 0)
		case 3:
			out = append(order.AppendUint16(out, uint16(e[2])), 0, 0)
		default:
			out = order.AppendUint32(out, uint32(e[2]))
		}
	}
	return append(out, 0, 0, 0, 0)
}

// TestOrientation: a picture is seen as viewers show it, whatever holds its EXIF block
// and in whatever byte order, and its size is that of what is seen.
func TestOrientation(t *testing.T) {
	seen := []string{1: "RGBW", "GRWB", "BWRG", "WBGR", "RWBG", "WRGB", "BGRW", "GBWR"} // as PIL's ImageOps.exif_transpose
	for o := 1; o <= 8; o++ {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			block := exif(order, 3, o)
			for name, data := range map[string][]byte{
				"TIFF":               asTIFF(marked(), order, o, 0),
				"JPEG":               withJPEG(asJPEG(t, marked()), app1, append([]byte("Exif\x00\x00"), block...)),
				"PNG":                withPNG(asPNG(t, marked()), "eXIf", block),
				"WebP":               withWebP(asWebP(t, marked()), 8, "EXIF", block),
				"WebP with a prefix": withWebP(asWebP(t, marked()), 8, "EXIF", append([]byte("Exif\x00\x00"), block...)),
			} {
				f, err := Open(data)
				if err != nil {
					t.Fatalf("%s, orientation %d: %v", name, o, err)
				}
				want := eligen.Size{W: 32, H: 16}
				if o >= 5 {
					want = eligen.Size{W: 16, H: 32}
				}
				img, err := f.Picture()
				if err != nil {
					t.Fatalf("%s, orientation %d: %v", name, o, err)
				}
				if got := (eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}); f.Size != want || got != want {
					t.Errorf("%s, orientation %d: said to have %v pixels, has %v, want %v", name, o, f.Size, got, want)
				}
				if got := quarters(img); got != seen[o] {
					t.Errorf("%s %v, orientation %d: quarters %s, want %s", name, order, o, got, seen[o])
				}
			}
		}
	}
}

// asTIFF returns a picture as an uncompressed TIFF of one strip, with an orientation and the
// offset of a next page.
func asTIFF(img *image.NRGBA, order binary.AppendByteOrder, orientation, next int) []byte {
	out := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		out = []byte("MM\x00*")
	}
	out = order.AppendUint32(out, 8)
	w, h := img.Rect.Dx(), img.Rect.Dy()
	const entries = 10
	bits := 8 + 2 + 12*entries + 4
	pixels := bits + 6
	out = order.AppendUint16(out, entries)
	for _, e := range []struct{ tag, kind, count, value int }{
		{256, 4, 1, w}, {257, 4, 1, h}, {258, 3, 3, bits}, {259, 3, 1, 1}, {262, 3, 1, 2},
		{273, 4, 1, pixels}, {274, 3, 1, orientation}, {277, 3, 1, 3}, {278, 4, 1, h}, {279, 4, 1, 3 * w * h},
	} {
		out = order.AppendUint16(order.AppendUint16(out, uint16(e.tag)), uint16(e.kind))
		out = order.AppendUint32(out, uint32(e.count))
		if e.kind == 3 && e.count == 1 { // a short stands at the left of its four bytes
			out = order.AppendUint16(order.AppendUint16(out, uint16(e.value)), 0)
		} else {
			out = order.AppendUint32(out, uint32(e.value))
		}
	}
	out = order.AppendUint32(out, uint32(next))
	for range 3 {
		out = order.AppendUint16(out, 8)
	}
	for i := 0; i < len(img.Pix); i += 4 {
		out = append(out, img.Pix[i:i+3]...)
	}
	return out
}

// TestDamagedOrientation: an EXIF block that says nothing clear turns nothing.
func TestDamagedOrientation(t *testing.T) {
	le := binary.LittleEndian
	whole := exif(le, 3, 6)
	for name, c := range map[string]struct {
		block []byte
		want  orientation
	}{
		"as 8 bits":                {exif(le, 1, 6), 6},
		"as 32 bits":               {exif(binary.BigEndian, 4, 6), 6},
		"0":                        {exif(le, 3, 0), 1},
		"9":                        {exif(le, 3, 9), 1},
		"a text":                   {exif(le, 2, 6), 1},
		"nothing":                  {nil, 1},
		"cut in the entry":         {whole[:30], 1},
		"cut in the header":        {whole[:6], 1},
		"directory at itself":      {append(append([]byte{}, whole[:4]...), 0, 0, 0, 0), 1},
		"directory far away":       {append(append([]byte{}, whole[:4]...), 255, 255, 255, 255), 1},
		"65535 entries, two there": {append(append(append([]byte{}, whole[:8]...), 255, 255), whole[10:]...), 6},
		"another byte order's":     {append([]byte("MM\x00*"), whole[4:]...), 1},
	} {
		if got := orientationOf(c.block); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// frames returns a WebP of some frames, as eligen's own clips are laid out.
func frames(t testing.TB, n int) []byte {
	t.Helper()
	le := binary.LittleEndian
	still := asWebP(t, marked())[12:]
	body := append([]byte("WEBPVP8X\x0a\x00\x00\x00"), 2, 0, 0, 0, 31, 0, 0, 15, 0, 0)
	body = append(body, "ANIM\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for range n {
		frame := append([]byte{0, 0, 0, 0, 0, 0, 31, 0, 0, 15, 0, 0, 100, 0, 0, 0}, still...)
		body = append(le.AppendUint32(append(body, "ANMF"...), uint32(len(frame))), frame...)
	}
	return append(le.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// TestRefused: what can't be read is said by name, with what to do.
func TestRefused(t *testing.T) {
	acTL := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 16), 0)
	gif := []byte("GIF89a\x02\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff")
	frame := []byte("\x21\xf9\x04\x04\x0a\x00\x00\x00\x2c\x00\x00\x00\x00\x02\x00\x01\x00\x00\x02\x02\x44\x01\x00")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"animated WebP": {frames(t, 3), "an animated picture of 3 frames; a scene needs one that doesn't move. Save a frame as PNG"},
		"APNG":          {withPNG(asPNG(t, marked()), "acTL", acTL), "an animated picture of 16 frames"},
		"animated GIF":  {bytes.Join([][]byte{gif, frame, frame, {0x3b}}, nil), "an animated picture of 2 frames"},
		"GIF":           {bytes.Join([][]byte{gif, frame, {0x3b}}, nil), "not a PNG, JPEG, WebP or TIFF picture, but a GIF. Save it as PNG"},
		"HEIC":          {[]byte("\x00\x00\x00\x18ftypheic\x00\x00"), "but a HEIC. Save it as PNG"},
		"TIFF":          {[]byte("MM\x00*\x00\x00\x00\x08"), "the header is damaged"},
		"TIFF of two":   {asTIFF(marked(), binary.LittleEndian, 1, 8), "a TIFF of several pages"},
		"text":          {[]byte("hello"), "not a PNG, JPEG, WebP or TIFF picture"},
		"nothing":       {nil, "the file is empty"},
		"JPEG of 12 bits": {bytes.Replace(asJPEG(t, marked()), []byte{0xff, 0xc0, 0, 17, 8}, []byte{0xff, 0xc0, 0, 17, 12}, 1),
			"of a kind that can't be read: unsupported JPEG feature: precision. Save it as PNG"},
		"arithmetic JPEG": {bytes.Replace(asJPEG(t, marked()), []byte{0xff, 0xc0, 0, 17}, []byte{0xff, 0xc9, 0, 17}, 1),
			"of a kind that can't be read: unsupported JPEG feature"},
		"one frame of one": {withPNG(asPNG(t, marked()), "acTL", append([]byte{0, 0, 0, 1}, acTL[4:]...)), ""},
	} {
		_, err := Open(c.data)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// scans returns a grey progressive JPEG that goes over its pixels many times: each scan
// refines by nothing, in 18 bytes and 4 bits for a block of 8×8 pixels.
func scans(t testing.TB, side, n int) []byte {
	t.Helper()
	base := asJPEG(t, image.NewGray(image.Rect(0, 0, side, side)))
	at := bytes.Index(base, []byte{0xff, startOfScan})
	base[bytes.Index(base, []byte{0xff, 0xc0})+1] = 0xc2 // progressive
	out := bytes.Clone(base[:at])
	blocks := side / 8 * side / 8
	// Each block has the symbol 0, the first code of the table: 00.
	out = append(out, 0xff, startOfScan, 0, 8, 1, 1, 0, 0, 0, 0)
	out = append(out, make([]byte, blocks/4)...)
	for range n - 1 {
		// AC 1 to 63: one end of a block, 1010, for each.
		out = append(out, 0xff, startOfScan, 0, 8, 1, 1, 0, 1, 63, 0)
		out = append(out, bytes.Repeat([]byte{0xaa}, blocks/2)...)
	}
	return append(out, 0xff, endOfPicture)
}

// TestScans: a JPEG may have as many scans as don't take long, and no more. As many as are
// read are read within seconds.
func TestScans(t *testing.T) {
	for _, side := range []int{64, 1024} {
		most := int(scansOf(side, side))
		if side == 64 {
			most = 2000 // of what may be 102,400
		}
		f, err := Open(scans(t, side, most))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := f.Picture(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Minute { // 1 s, where nothing else runs
			t.Errorf("%d scans of %d² pixels took %v", most, side, took)
		}
	}
	_, err := Open(scans(t, 1024, int(scansOf(1024, 1024))+1))
	if want := "a JPEG of 401 scans, which would take too long to decode; at most 400 are read of 1024×1024 pixels"; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}

// TestStraight: nothing but the lower half of 16 bits is lost on the way to 8, not even
// the colours that transparency hides.
func TestStraight(t *testing.T) {
	hidden := color.NRGBA{200, 100, 50, 0}
	faint := color.NRGBA{201, 101, 51, 1}
	straight := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	straight.SetNRGBA(0, 0, hidden)
	straight.SetNRGBA(1, 0, faint)
	wide := image.NewNRGBA64(straight.Rect)
	for x := range 2 {
		c := straight.NRGBAAt(x, 0)
		wide.SetNRGBA64(x, 0, color.NRGBA64{uint16(c.R)<<8 | 77, uint16(c.G)<<8 | 88, uint16(c.B)<<8 | 99, uint16(c.A) << 8})
	}
	for name, img := range map[string]image.Image{"8 bits": straight, "16 bits": wide} {
		f, err := Open(asPNG(t, img))
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Picture()
		if err != nil {
			t.Fatal(err)
		}
		if got.NRGBAAt(0, 0) != hidden || got.NRGBAAt(1, 0) != faint {
			t.Errorf("%s: %v, %v; want %v, %v", name, got.NRGBAAt(0, 0), got.NRGBAAt(1, 0), hidden, faint)
		}
	}
	grey := image.NewGray16(image.Rect(0, 0, 1, 1))
	grey.SetGray16(0, 0, color.Gray16{Y: 0x80ff})
	if got := Straight(grey).NRGBAAt(0, 0); got != (color.NRGBA{128, 128, 128, 255}) {
		t.Errorf("16-bit grey 0x80ff is %v", got)
	}
}
