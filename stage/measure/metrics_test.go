package measure

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

const side = 128

// canvas draws a soft gradient with filled boxes on it.
func canvas(boxes ...image.Rectangle) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.SetNRGBA(x, y, color.NRGBA{uint8(60 + y/2), uint8(120 + x/4), uint8(200 - y/2), 255})
		}
	}
	for i, b := range boxes {
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				img.SetNRGBA(x, y, color.NRGBA{uint8(250 - 90*i), uint8(30 + 60*i), 20, 255})
			}
		}
	}
	return img
}

func TestPlacement(t *testing.T) {
	a, b := image.Rect(10, 10, 50, 50), image.Rect(70, 60, 120, 110)
	for _, c := range []struct {
		name  string
		drawn []image.Rectangle
		want  [2]float64 // lower bounds; negative: exactly 0
	}{
		{"both where asked", []image.Rectangle{a, b}, [2]float64{0.97, 0.97}},
		{"one missing", []image.Rectangle{a}, [2]float64{0.97, -1}},
		{"nothing at all", nil, [2]float64{-1, -1}},
		{"elsewhere", []image.Rectangle{image.Rect(10, 80, 50, 120)}, [2]float64{-1, -1}},
		{"a little off", []image.Rectangle{a.Add(image.Pt(4, 4)), b}, [2]float64{0.6, 0.97}},
		{"half as high", []image.Rectangle{image.Rect(10, 10, 50, 30), b}, [2]float64{0.45, 0.97}},
	} {
		got := Placement(canvas(c.drawn...), []image.Rectangle{a, b})
		for i, want := range c.want {
			if want < 0 && got[i] != 0 || want >= 0 && got[i] < want {
				t.Errorf("%s: IoU %.3f of box %d, want %v", c.name, got[i], i, want)
			}
		}
	}
	// Two that touch are two, and what covers the whole canvas is at no place.
	c := image.Rect(50, 10, 90, 50)
	for i, got := range Placement(canvas(a, c), []image.Rectangle{a, c}) {
		if got < 0.97 {
			t.Errorf("touching neighbours: IoU %.3f of box %d", got, i)
		}
	}
	for i, got := range Placement(canvas(image.Rect(0, 6, side, side-6)), []image.Rectangle{a, b}) {
		if got != 0 {
			t.Errorf("something over all of the canvas: IoU %.3f of box %d", got, i)
		}
	}
	// The same picture judged against boxes that nobody drew.
	if got := Placement(canvas(a), []image.Rectangle{b}); got[0] != 0 {
		t.Errorf("a box without anything in it has IoU %.3f", got[0])
	}
}

func TestLocality(t *testing.T) {
	a, b := image.Rect(16, 16, 48, 48), image.Rect(64, 64, 112, 112)
	regions := []eligen.Region{eligen.Box(0.125, 0.125, 0.375, 0.375), eligen.Box(0.5, 0.5, 0.875, 0.875)}
	before := canvas(a, b)
	inside := canvas(image.Rect(20, 20, 40, 40), b) // entity 0 alone has changed
	if got, ok := Locality(before, inside, regions, 0); !ok || got != 1 {
		t.Errorf("a change inside the region alone: %.3f, %v", got, ok)
	}
	everywhere := canvas()
	for i := range everywhere.Pix {
		everywhere.Pix[i] = 255 - before.Pix[i]
	}
	for i := range before.Pix {
		before.Pix[i] = 100
		everywhere.Pix[i] = 120
	}
	if got, ok := Locality(before, everywhere, regions, 0); !ok || math.Abs(got-0.5) > 1e-9 {
		t.Errorf("the same change everywhere: %.3f, %v", got, ok)
	}
	if _, ok := Locality(before, before, regions, 0); ok {
		t.Error("no change at all has a locality")
	}
}

func TestPSNR(t *testing.T) {
	a, b := canvas(), canvas()
	if got := PSNR(a, b); got != Equal {
		t.Errorf("equal pictures have a PSNR of %v dB, want %v", got, Equal)
	}
	for i := range b.Pix {
		if i%4 != 3 {
			b.Pix[i]++ // none is 255
		}
	}
	if got, want := PSNR(a, b), 10*math.Log10(255*255); math.Abs(got-want) > 1e-9 {
		t.Errorf("off by one everywhere: %v dB, want %v", got, want)
	}
}

// The stage reads pictures and writes a number; what it can't measure, it says.
func TestOp(t *testing.T) {
	encode := func(img image.Image) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	box := image.Rect(16, 16, 48, 48)
	drawn, empty := encode(canvas(box)), encode(canvas())
	path := filepath.Join(t.TempDir(), "other.png")
	if err := os.WriteFile(path, empty, 0o644); err != nil {
		t.Fatal(err)
	}
	small := encode(image.NewNRGBA(image.Rect(0, 0, 16, 16)))
	regions := []eligen.Region{eligen.Box(0.125, 0.125, 0.375, 0.375)}
	for _, c := range []struct {
		name    string
		op      Op
		inputs  [][]byte
		low     float64
		problem string
	}{
		{"placement", Op{Metric: "placement", Regions: regions}, [][]byte{drawn}, 0.95, ""},
		{"locality", Op{Metric: "locality", Regions: regions}, [][]byte{drawn, empty}, 0.99, ""},
		{"locality of nothing", Op{Metric: "locality", Regions: regions}, [][]byte{drawn, drawn}, 0, "the picture is the same"},
		{"psnr", Op{Metric: "psnr"}, [][]byte{drawn, drawn}, Equal, ""},
		{"psnr with a file", Op{Metric: "psnr", Picture: eligen.DigestOf(empty), Path: path}, [][]byte{empty}, Equal, ""},
		{"a file that has changed", Op{Metric: "psnr", Picture: eligen.DigestOf(drawn), Path: path}, [][]byte{drawn}, 0, "has changed"},
		{"two sizes", Op{Metric: "psnr"}, [][]byte{drawn, small}, 0, "can't be compared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			call := &eligen.Call{Out: &out}
			for _, in := range c.inputs {
				call.Inputs = append(call.Inputs, eligen.Artifact{Data: in})
			}
			err := c.op.Run(t.Context(), call)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Fatalf("error %v, want one with %q", err, c.problem)
				}
				return
			}
			var r Result
			if err == nil {
				err = json.Unmarshal(out.Bytes(), &r)
			}
			if err != nil || r.Value < c.low {
				t.Errorf("measured %v, %v; want at least %v", r.Value, err, c.low)
			}
		})
	}
}
