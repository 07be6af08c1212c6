package pixels

import (
	"encoding/hex"
	"image"
	"image/color"
	"testing"

	"github.com/eligen/eligen"
)

// TestResize: transparent pictures are scaled as Pillow 13.0 scales them, to the bit:
// what can't be seen has no part in what can.
func TestResize(t *testing.T) {
	const from = "a54dcaff1825304d1d6d1300ded623032ed91ec83f721fc8cb1971004494d6033c9d5c0060be31c8201e6980daa0eec8e8b999035c7c29c8" +
		"99fdafffe5932500d654af03fad714ff27a0aeffb3fee9002f8af2ff211f9effe491c5ffb10bec4d563bfc006f9342ff7ecbc8802955e580" +
		"8e46dcc88ed4b7ffc2764d005a4d76ff7706f8c85d8690004ad6bdc8a3401b80c8cbcc8035f6cd0061226a805338aec81a3400c84d33bac8" +
		"0d246ac8c04c814dbaf23e00"
	pix, err := hex.DecodeString(from)
	if err != nil {
		t.Fatal(err)
	}
	img := &image.NRGBA{Pix: pix, Stride: 20, Rect: image.Rect(0, 0, 5, 9)}
	for size, want := range map[eligen.Size]string{
		{W: 3, H: 4}: "74587b95bf3f7f0859ce3e8e4e62ba6fb6a272a965af9183587f8cb67d4ccfa67c9dc792674f59974f319a775e529969",
		{W: 4, H: 2}: "55619098b2899c5d86907a6a65d06f94586b64966c5cacb17c43af7d6997ba82",
	} {
		got := Resize(img, size, Bicubic, Resample)
		if got.Rect != image.Rect(0, 0, size.W, size.H) || hex.EncodeToString(got.Pix) != want {
			t.Errorf("to %v:\n got %x\nwant %s", size, got.Pix, want)
		}
	}
	if hex.EncodeToString(img.Pix) != from {
		t.Error("the picture itself has changed")
	}
}

// TestOver: a picture over a background is opaque, and shows no colour that it hides.
func TestOver(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 3, 1))
	img.SetNRGBA(0, 0, color.NRGBA{200, 100, 50, 0})
	img.SetNRGBA(1, 0, color.NRGBA{200, 100, 50, 128})
	img.SetNRGBA(2, 0, color.NRGBA{200, 100, 50, 255})
	got := Over(img, color.NRGBA{0, 0, 255, 255})
	for x, want := range []color.NRGBA{{0, 0, 255, 255}, {100, 50, 152, 255}, {200, 100, 50, 255}} {
		if c := got.NRGBAAt(x, 0); c != want {
			t.Errorf("pixel %d is %v, want %v", x, c, want)
		}
	}
}

// TestParseColour: a colour is "#rrggbb", and nothing else.
func TestParseColour(t *testing.T) {
	for s, want := range map[string]color.NRGBA{"": White, "#102aFf": {0x10, 0x2a, 0xff, 255}} {
		if c, err := ParseColour(s); err != nil || c != want {
			t.Errorf("%q is %v, %v; want %v", s, c, err, want)
		}
	}
	for _, s := range []string{"white", "#fff", "#12345", "#1234567", "#12345g", "1234567", "#-1+2 3"} {
		if c, err := ParseColour(s); err == nil {
			t.Errorf("%q is %v", s, c)
		}
	}
}
