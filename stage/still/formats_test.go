package still_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/webp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// TestFormats: a JPEG and a WebP say how they were made as a PNG does, in the same
// bytes whenever they are made, and a byte that changed is noticed.
func TestFormats(t *testing.T) {
	noisy := resolved() // says more than one of a JPEG's comments holds
	noisy.Prompt = strings.Repeat("a dog, “sleeping” & <dreaming>, ", 5000)
	for name, ops := range map[string]func(still.Resolved, bool) eligen.Op{
		"JPEG": func(r still.Resolved, strip bool) eligen.Op {
			return still.JPEG{Resolved: r, Strip: strip, Quality: 90}
		},
		"WebP": func(r still.Resolved, strip bool) eligen.Op { return still.WebP{Resolved: r, Strip: strip} },
	} {
		for _, r := range []still.Resolved{resolved(), noisy} {
			data := run(t, ops(r, false))
			got, err := still.Metadata(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(r, got, sameMasks); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if !bytes.Equal(data, run(t, ops(r, false))) {
				t.Errorf("%s: the same recipe made other bytes", name)
			}
			if !still.Untouched(bytes.NewReader(data)) {
				t.Errorf("%s: it is not recognised", name)
			}
		}
		sound := run(t, ops(resolved(), false))
		for i := range sound {
			damaged := slices.Clone(sound)
			damaged[i] ^= 0x41
			if still.Untouched(bytes.NewReader(damaged)) {
				t.Errorf("%s: byte %d is another, and it is still recognised", name, i)
			}
			_, _ = still.Metadata(bytes.NewReader(damaged)) // right, refused, or what it says now; never a panic
			if _, err := still.Metadata(bytes.NewReader(sound[:i])); err == nil {
				t.Errorf("%s: cut to %d bytes, it is read", name, i)
			}
		}
		stripped := run(t, ops(resolved(), true))
		if _, err := still.Metadata(bytes.NewReader(stripped)); err != still.ErrNoMetadata {
			t.Errorf("%s without metadata: %v", name, err)
		}
		if !still.Untouched(bytes.NewReader(stripped)) {
			t.Errorf("%s without metadata is not recognised", name)
		}
	}
}

// TestPixels: a WebP has the very pixels of the decoded picture; a JPEG is about like
// it, the more so the higher its quality: of its colours, though not its
// light, three of four are left out in any case.
func TestPixels(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, size.W, size.H))
	for y := range size.H {
		for x := range size.W {
			img.SetNRGBA(x, y, color.NRGBA{uint8(2 * x), uint8(2 * y), uint8(128 + 60*math.Sin(float64(x*y)/400)), 255})
		}
	}
	var in bytes.Buffer
	if err := png.Encode(&in, img); err != nil {
		t.Fatal(err)
	}
	write := func(op eligen.Op) []byte {
		var out bytes.Buffer
		if err := op.Run(t.Context(), &eligen.Call{Inputs: []eligen.Artifact{{Data: in.Bytes()}}, Out: &out}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	psnr := func(got image.Image, err error) float64 {
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for y := range size.H {
			for x := range size.W {
				p, q := img.NRGBAAt(x, y), color.NRGBAModel.Convert(got.At(x, y)).(color.NRGBA)
				for _, d := range []float64{float64(p.R) - float64(q.R), float64(p.G) - float64(q.G), float64(p.B) - float64(q.B)} {
					sum += d * d
				}
			}
		}
		return 10 * math.Log10(255*255*float64(3*size.W*size.H)/sum)
	}
	data := write(still.WebP{Resolved: resolved()})
	if p := psnr(webp.Decode(bytes.NewReader(data))); !math.IsInf(p, 1) {
		t.Errorf("WebP: %.2f dB", p)
	}
	t.Logf("WebP: %d bytes", len(data))
	for _, c := range []struct {
		quality int
		least   float64
	}{{50, 34}, {90, 37}, {100, 39}} {
		data := write(still.JPEG{Resolved: resolved(), Quality: c.quality})
		p := psnr(jpeg.Decode(bytes.NewReader(data)))
		if p < c.least {
			t.Errorf("JPEG of quality %d: %.2f dB, want at least %v", c.quality, p, c.least)
		}
		t.Logf("JPEG of quality %d: %d bytes, %.2f dB", c.quality, len(data), p)
	}
	for _, q := range []int{0, 101} {
		if err := (still.JPEG{Resolved: resolved(), Quality: q}).Check(); err == nil || !strings.Contains(err.Error(), "from 1 to 100") {
			t.Errorf("quality %d: %v", q, err)
		}
	}
}
