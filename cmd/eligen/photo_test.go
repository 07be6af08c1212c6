package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	_ "golang.org/x/image/webp"

	"github.com/eligen/eligen/internal/pixels"
)

// photo FILE WxH [TRAIT…] writes a picture as people have them, a PNG or a JPEG: its
// quarters are red, green, blue and yellow, clockwise from the upper left. hole makes
// the right half transparent; exif=N says that it is turned; p3 that its colours are
// Display P3's, cmyk that they are a printer's.
func photo(ts *testscript.TestScript, neg bool, args []string) {
	var w, h int
	if len(args) < 2 {
		ts.Fatalf("usage: photo FILE WxH [TRAIT…]")
	}
	_, err := fmt.Sscanf(args[1], "%dx%d", &w, &h)
	ts.Check(err)
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [2][2]color.NRGBA{{{200, 30, 30, 255}, {30, 160, 30, 255}}, {{220, 200, 40, 255}, {30, 30, 200, 255}}}[2*y/h][2*x/w]
			if slices.Contains(args, "hole") && 2*x/w == 1 {
				c.A = 0
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if strings.HasSuffix(args[0], ".jpg") {
		ts.Check(jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}))
	} else {
		ts.Check(png.Encode(&b, img))
	}
	data := b.Bytes()
	for _, trait := range args[2:] {
		switch name, value, _ := strings.Cut(trait, "="); name {
		case "exif":
			n, err := strconv.Atoi(value)
			ts.Check(err)
			block := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(rune(n)) + "\x00\x00\x00\x00\x00\x00")
			if bytes.HasPrefix(data, []byte("\xff\xd8")) {
				block = append([]byte("Exif\x00\x00"), block...)
				segment := append(binary.BigEndian.AppendUint16([]byte("\xff\xe1"), uint16(len(block)+2)), block...)
				data = slices.Insert(data, 2, segment...)
			} else {
				data = withChunk(data, "eXIf", block)
			}
		case "p3":
			data = withChunk(data, "cICP", []byte{12, 13, 0, 1})
		case "cmyk":
			profile := make([]byte, 132)
			copy(profile[8:], "\x02\x10\x00\x00prtrCMYKLab ")
			copy(profile[36:], "acsp")
			stored := append([]byte("\x78\x01\x01\x84\x00\x7b\xff"), profile...) // zlib, not compressed
			stored = binary.BigEndian.AppendUint32(stored, adler(profile))
			data = withChunk(data, "iCCP", append([]byte("press\x00\x00"), stored...))
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

// withChunk puts a chunk behind a PNG's header.
func withChunk(data []byte, kind string, body []byte) []byte {
	chunk := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind...)
	chunk = append(chunk, body...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return slices.Insert(data, 33, chunk...)
}

func adler(data []byte) uint32 {
	a, b := uint32(1), uint32(0)
	for _, v := range data {
		a = (a + uint32(v)) % 65521
		b = (b + a) % 65521
	}
	return b<<16 | a
}

// colour PICTURE X Y R G B A expects a colour at a pixel, not multiplied by its alpha, to
// what JPEG keeps.
func colour(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 7 {
		ts.Fatalf("usage: colour PICTURE X Y R G B A")
	}
	var n [6]int // x, y, red, green, blue, alpha
	for i := range n {
		v, err := strconv.Atoi(args[1+i])
		ts.Check(err)
		n[i] = v
	}
	img, _, err := image.Decode(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	c := pixels.Straight(img).NRGBAAt(n[0], n[1])
	near := true
	for i, v := range []uint8{c.R, c.G, c.B, c.A} {
		near = near && max(int(v)-n[2+i], n[2+i]-int(v)) <= 6
	}
	if near == neg {
		ts.Fatalf("%s has %v at %s, %s", args[0], c, args[1], args[2])
	}
}
