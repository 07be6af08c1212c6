package image_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/paint"
	stage "github.com/eligen/eligen/stage/image"
)

// flat draws a picture of one colour.
func flat(w, h int, c color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = c.R, c.G, c.B, c.A
	}
	return img
}

// made returns what an Op makes of pictures.
func made(t *testing.T, op eligen.Op, in ...image.Image) (out bytes.Buffer, err error) {
	t.Helper()
	call := eligen.Call{Out: &out, Engine: paint.Engine{}}
	for _, img := range in {
		call.Inputs = append(call.Inputs, eligen.Artifact{Data: encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })})
	}
	return out, op.Run(t.Context(), &call)
}

func drawn(t *testing.T, op eligen.Op, in ...image.Image) image.Image {
	t.Helper()
	out, err := made(t, op, in...)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func at(img image.Image, x, y int) color.NRGBA {
	return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
}

var (
	red  = color.NRGBA{200, 20, 10, 255}
	blue = color.NRGBA{10, 20, 200, 255}
)

// TestPanels: what is laid side by side is cut apart again, and the right one comes out
// as it was.
func TestPanels(t *testing.T) {
	right := flat(48, 32, blue)
	for i := range right.Pix {
		if i%4 < 3 {
			right.Pix[i] = uint8(i * 7)
		}
	}
	both := drawn(t, stage.Panels{}, flat(48, 32, red), right)
	if both.Bounds() != image.Rect(0, 0, 96, 32) || at(both, 0, 0) != red || at(both, 47, 31) != red {
		t.Fatalf("%v, and %v at the left", both.Bounds(), at(both, 47, 31))
	}
	got := drawn(t, stage.Right{}, both)
	if got.Bounds() != right.Rect {
		t.Fatal(got.Bounds())
	}
	for i := range 48 * 32 {
		if x, y := i%48, i/48; at(got, x, y) != right.NRGBAAt(x, y) {
			t.Fatalf("pixel %d, %d is %v, and was %v", x, y, at(got, x, y), right.NRGBAAt(x, y))
		}
	}
	if _, err := made(t, stage.Panels{}, flat(48, 32, red), flat(32, 32, blue)); err == nil {
		t.Error("panels of two sizes are laid together")
	}
}

// TestResize: stretch shows all of a picture, cover its middle.
func TestResize(t *testing.T) {
	wide := flat(60, 20, red)
	for y := range 20 {
		for x := 20; x < 40; x++ {
			wide.SetNRGBA(x, y, blue)
		}
	}
	size := eligen.Size{W: 32, H: 32}
	for fit, corner := range map[string]color.NRGBA{"stretch": red, "cover": blue} {
		got := drawn(t, stage.Resize{Size: size, Fit: fit}, wide)
		if got.Bounds() != image.Rect(0, 0, 32, 32) || at(got, 16, 16) != blue || fit == "stretch" && at(got, 0, 0) != corner ||
			fit == "cover" && at(got, 4, 4) != corner {
			t.Errorf("%s: %v, %v in the middle, %v at the corner", fit, got.Bounds(), at(got, 16, 16), at(got, 0, 0))
		}
	}
	if _, err := made(t, stage.Resize{Size: size, Fit: "contain"}, wide); err == nil {
		t.Error("an unknown fit is taken")
	}
}

// TestLatents: a stage's picture is encoded as a file's is.
func TestLatents(t *testing.T) {
	spec, _ := paint.Engine{}.Spec(eligen.Model{Family: "nano"}, nil)
	out, err := made(t, stage.Latents{Autoencoder: spec.Autoencoder}, drawn(t, stage.Panels{}, flat(16, 16, red), flat(16, 16, blue)))
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := tensor.Read(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	x := tensors["latents"]
	if len(x.Shape) != 3 || x.Shape[1] != 2 || x.Shape[2] != 4 || x.Data[1] <= x.Data[2] {
		t.Errorf("latents %v, red from left to right %v", x.Shape, x.Data[:4])
	}
}
