package composite_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/composite"
)

const side = 48

// run paints an orange over a picture of one colour.
func run(t *testing.T, op composite.Op, kept color.NRGBA) *image.NRGBA {
	t.Helper()
	var call eligen.Call
	for _, c := range []color.NRGBA{{200, 100, 50, 255}, kept} {
		img := image.NewNRGBA(image.Rect(0, 0, side, side))
		for i := 0; i < len(img.Pix); i += 4 {
			copy(img.Pix[i:], []uint8{c.R, c.G, c.B, c.A})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		call.Inputs = append(call.Inputs, eligen.Artifact{Data: b.Bytes()})
	}
	var out bytes.Buffer
	call.Out = &out
	if err := op.Run(t.Context(), &call); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	return pixels.Straight(img)
}

// Outside the region nothing has changed, whatever the feather; inside, the
// painted picture fades in from the edge.
func TestRun(t *testing.T) {
	region := eligen.Box(0.25, 0.25, 0.75, 0.75) // pixels 12 to 35
	for _, feather := range []float64{0, 4} {
		got := run(t, composite.Op{Region: region, Feather: feather, Size: eligen.Size{W: side, H: side}}, color.NRGBA{0, 10, 20, 255})
		for y := range side {
			for x := range side {
				r := int(got.NRGBAAt(x, y).R)
				depth := min(x-11, y-11, 36-x, 36-y) // 1 at the outermost pixel inside
				switch {
				case depth <= 0 && r != 0:
					t.Fatalf("feather %v: pixel %d, %d outside has changed to %d", feather, x, y, r)
				case depth > 0 && float64(depth) > feather && r != 200:
					t.Fatalf("feather %v: pixel %d, %d inside is %d, want 200", feather, x, y, r)
				case depth > 0 && feather > 0 && float64(depth) < feather && (r <= 0 || r >= 200):
					t.Fatalf("feather %v: pixel %d, %d at the edge is %d, want something between", feather, x, y, r)
				}
			}
		}
	}
}

// TestTransparent: what is painted over a transparent picture is opaque, its edge fades
// without a trace of the colours that are hidden, and the rest keeps its bits.
func TestTransparent(t *testing.T) {
	region := eligen.Box(0.25, 0.25, 0.75, 0.75)
	hidden := color.NRGBA{0, 255, 0, 0}
	got := run(t, composite.Op{Region: region, Feather: 4, Size: eligen.Size{W: side, H: side}}, hidden)
	for x, want := range map[int]color.NRGBA{
		11: hidden, 12: {200, 100, 50, 32}, 13: {200, 100, 50, 96}, 14: {200, 100, 50, 159}, 15: {200, 100, 50, 223}, 24: {200, 100, 50, 255},
	} {
		if c := got.NRGBAAt(x, 24); c != want {
			t.Errorf("over a hole, pixel %d is %v, want %v", x, c, want)
		}
	}
	// 0.375 over a half: 0.69 covers, of which the new is 0.54.
	got = run(t, composite.Op{Region: region, Feather: 4, Size: eligen.Size{W: side, H: side}}, color.NRGBA{20, 40, 200, 128})
	if c, want := got.NRGBAAt(13, 24), (color.NRGBA{118, 73, 118, 176}); c != want {
		t.Errorf("over a half, pixel 13 is %v, want %v", c, want)
	}
}
