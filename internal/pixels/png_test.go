package pixels_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"io"
	"slices"
	"testing"

	"github.com/eligen/eligen/internal/pixels"
)

// TestPNGReader: a PNG's chunks in their order, and a clear error wherever one breaks off.
func TestPNGReader(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	read := func(data []byte) (kinds []string, err error) {
		p, err := pixels.NewPNGReader(bytes.NewReader(data))
		for err == nil {
			var kind string
			if kind, _, err = p.Next(); err == nil {
				kinds = append(kinds, kind)
				_, err = p.Body()
			}
		}
		return kinds, err
	}
	if kinds, err := read(whole); !errors.Is(err, io.EOF) || !slices.Equal(kinds, []string{"IHDR", "IDAT"}) {
		t.Errorf("%v, %v", kinds, err)
	}
	for n := range len(whole) - len("\x49\x45\x4e\x44")*2 { // without the lead of IEND, at least
		want := pixels.ErrTruncated
		if n < len(pixels.PNGSignature) {
			want = pixels.ErrNotPNG
		}
		if _, err := read(whole[:n]); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	damaged := bytes.Clone(whole)
	damaged[20] ^= 1 // the height
	if _, err := read(damaged); !errors.Is(err, pixels.ErrChecksum) {
		t.Errorf("damaged: %v", err)
	}
	huge := slices.Concat(whole[:8], []byte("\xff\xff\xff\xffiTXt"), whole) // 4 GiB are claimed, and not allocated
	if _, err := read(huge); !errors.Is(err, pixels.ErrTruncated) {
		t.Errorf("claims too much: %v", err)
	}
}
