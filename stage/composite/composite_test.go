package composite_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/composite"
)

const side = 48

func run(t *testing.T, op composite.Op) *image.NRGBA {
	t.Helper()
	var call eligen.Call
	for _, c := range []color.NRGBA{{200, 100, 50, 255}, {0, 10, 20, 255}} {
		img := image.NewNRGBA(image.Rect(0, 0, side, side))
		draw.Draw(img, img.Rect, image.NewUniform(c), image.Point{}, draw.Src)
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
	got := image.NewNRGBA(img.Bounds())
	draw.Draw(got, got.Rect, img, image.Point{}, draw.Src)
	return got
}

// Outside the region nothing has changed, whatever the feather; inside, the
// painted picture fades in from the edge.
func TestRun(t *testing.T) {
	region := eligen.Box(0.25, 0.25, 0.75, 0.75) // pixels 12 to 35
	for _, feather := range []float64{0, 4} {
		got := run(t, composite.Op{Region: region, Feather: feather, Size: eligen.Size{W: side, H: side}})
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
