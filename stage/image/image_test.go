package image_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/paint"
	stage "github.com/eligen/eligen/stage/image"
)

func picture(w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	return img
}

func encoded(t *testing.T, f func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRun: a picture is encoded if it is the one that the scene was planned with, and
// refused by name else.
func TestRun(t *testing.T) {
	asPNG := encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(32, 16)) })
	asJPEG := encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, picture(32, 16), nil) })
	// A header is all that is read of a picture that is too large.
	huge := slices.Clone(asPNG)
	binary.BigEndian.PutUint32(huge[16:], 1<<21)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	spec, _ := paint.Engine{}.Spec(eligen.Model{Family: "nano"}, nil)
	for _, c := range []struct {
		name   string
		data   []byte
		digest eligen.Digest
		size   eligen.Size
		want   string // of the error
	}{
		{"PNG", asPNG, eligen.DigestOf(asPNG), eligen.Size{W: 32, H: 16}, ""},
		{"JPEG", asJPEG, eligen.DigestOf(asJPEG), eligen.Size{W: 32, H: 16}, ""},
		{"changed", asPNG, eligen.DigestOf(asJPEG), eligen.Size{W: 32, H: 16}, "has changed"},
		{"another size", asPNG, eligen.DigestOf(asPNG), eligen.Size{W: 64, H: 16}, "32×16 pixels, the render 64×16"},
		{"truncated", asPNG[:60], eligen.DigestOf(asPNG[:60]), eligen.Size{W: 32, H: 16}, "damaged"},
		{"no picture", []byte("hello"), eligen.DigestOf([]byte("hello")), eligen.Size{W: 32, H: 16}, "not a PNG, JPEG, WebP or TIFF picture"},
		{"too many pixels", huge, eligen.DigestOf(huge), eligen.Size{W: 1 << 21, H: 16}, "16 MP"},
		{"too many bytes", make([]byte, pixels.MaxBytes+1), "", eligen.Size{W: 32, H: 16}, "32 MiB"},
		{"missing", nil, "", eligen.Size{W: 32, H: 16}, "no such file"},
	} {
		path := filepath.Join(t.TempDir(), "photo")
		if c.data != nil {
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		op := stage.Op{Autoencoder: spec.Autoencoder, Picture: c.digest, Size: c.size, Path: path}
		err := op.Run(t.Context(), &eligen.Call{Out: &out, Engine: paint.Engine{}})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || out.Len() > 0 {
				t.Errorf("%s: %v; want an error with %q and the path", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		tensors, err := tensor.Read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		latents := tensors["latents"]
		if len(latents.Shape) != 3 || latents.Shape[1] != 2 || latents.Shape[2] != 4 || latents.Data[0] < 0.99 {
			t.Errorf("%s: latents %v, first %v", c.name, latents.Shape, latents.Data[0])
		}
	}
}

// TestPrompt: a picture of any size is read as it was planned, and none is no picture.
func TestPrompt(t *testing.T) {
	data := encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(31, 7)) })
	path := filepath.Join(t.TempDir(), "ref.png")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	spec, _ := paint.Engine{}.Spec(eligen.Model{Family: "nano"}, []eligen.Adapter{{Kind: "ip", Scale: 1}})
	run := func(op stage.Prompt) ([]float32, error) {
		op.Adapter = spec.Adapters[0].Digest
		var out bytes.Buffer
		if err := op.Run(t.Context(), &eligen.Call{Out: &out, Engine: paint.Engine{}}); err != nil {
			return nil, err
		}
		tensors, err := tensor.Read(out.Bytes())
		return tensors["tokens"].Data, err
	}
	if got, err := run(stage.Prompt{Picture: eligen.DigestOf(data), Path: path}); err != nil || !slices.Equal(got, []float32{1, 1, 1}) {
		t.Errorf("a white picture is %v, %v", got, err)
	}
	if got, err := run(stage.Prompt{}); err != nil || !slices.Equal(got, []float32{0, 0, 0}) {
		t.Errorf("no picture is %v, %v", got, err)
	}
	if _, err := run(stage.Prompt{Picture: eligen.DigestOf(nil), Path: path}); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("another picture than was planned: %v", err)
	}
}
