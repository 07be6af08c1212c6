package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// masks N SIZE writes mask0.png and so on, discs on N places of a square that wide.
func masks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: masks N SIZE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		turn := 2 * math.Pi * float64(i) / float64(n)
		cx, cy := float64(size)*(0.5+0.3*math.Cos(turn)), float64(size)*(0.5+0.3*math.Sin(turn))
		img := image.NewGray(image.Rect(0, 0, size, size))
		for y := range size {
			half := math.Sqrt(max(0, float64(size*size)/100-(float64(y)-cy)*(float64(y)-cy)))
			draw.Draw(img, image.Rect(int(cx-half), y, int(cx+half), y+1), image.White, image.Point{}, draw.Src)
		}
		f, err := os.Create(ts.MkAbs(fmt.Sprintf("mask%d.png", i)))
		ts.Check(err)
		ts.Check((&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(f, img))
		ts.Check(f.Close())
	}
}

// most FILE N says that a file has at most N bytes.
func most(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: most FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := len(ts.ReadFile(args[0])); got > n {
		ts.Fatalf("%s has %d bytes, at most %d are wanted", args[0], got, n)
	}
}

// behind FILE TEXT writes a text behind a file's end.
func behind(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: behind FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append([]byte(ts.ReadFile(args[0])), args[1]...), 0o644))
}

// reword PNG OLD NEW replaces words in a PNG's texts, with care: its chunks stay sound.
func reword(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: reword PNG OLD NEW")
	}
	data := []byte(ts.ReadFile(args[0]))
	out := bytes.Clone(data[:8])
	for at := 8; at < len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		kind, body := data[at+4:at+8], data[at+8:at+8+n]
		at += 12 + n
		if key, rest, _ := bytes.Cut(body, []byte{0}); string(kind) == "iTXt" {
			text := rest[4:]
			if rest[0] == 1 {
				z, err := zlib.NewReader(bytes.NewReader(text))
				ts.Check(err)
				text, err = io.ReadAll(z)
				ts.Check(err)
			}
			text = bytes.ReplaceAll(text, []byte(args[1]), []byte(args[2]))
			body = append(append(bytes.Clone(key), 0, 0, 0, 0, 0), text...)
		}
		chunk := append(bytes.Clone(kind), body...)
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		out = binary.BigEndian.AppendUint32(append(out, chunk...), crc32.ChecksumIEEE(chunk))
	}
	if bytes.Equal(out, data) {
		ts.Fatalf("%s doesn't say %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o644))
}
