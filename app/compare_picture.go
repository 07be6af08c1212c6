package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/still"
)

// A PictureDifference is how two pictures differ.
type PictureDifference struct {
	Sizes  [2]image.Point
	PSNR   float64         // dB; measure.Equal where no colour differs
	Differ int             // pixels
	Box    image.Rectangle // around them
	Made   []string        // what differs in how the two were made, where both say it

	a, b *image.NRGBA
}

// SameSize reports whether the pictures have one size; else nothing but Sizes is known.
func (d PictureDifference) SameSize() bool { return d.Sizes[0] == d.Sizes[1] }

// ComparePictures compares the pictures in two files.
func (a *App) ComparePictures(before, after string) (PictureDifference, error) {
	var imgs [2]*image.NRGBA
	var made [2]*still.Resolved
	for i, path := range []string{before, after} {
		img, err := dsl.ReadPicture(path)
		if err != nil {
			return PictureDifference{}, err
		}
		imgs[i], made[i] = pixels.Straight(img), madeBy(path)
	}
	d := PictureDifference{Sizes: [2]image.Point{imgs[0].Rect.Size(), imgs[1].Rect.Size()}}
	if !d.SameSize() {
		return d, nil
	}
	d = comparePictures(imgs[0], imgs[1])
	if made[0] != nil && made[1] != nil {
		d.Made = factChanges("", resolvedFacts(*made[0]), resolvedFacts(*made[1]))
	}
	return d, nil
}

// CompareMade compares pictures of the store by their digests; of clips, the first frames.
func (a *App) CompareMade(ctx context.Context, before, after eligen.Digest) (PictureDifference, error) {
	var imgs [2]*image.NRGBA
	for i, d := range []eligen.Digest{before, after} {
		data, err := a.Read(ctx, eligen.Artifact{Digest: d})
		if err != nil {
			return PictureDifference{}, err
		}
		if imgs[i], err = pixels.Decode(data); err != nil {
			return PictureDifference{}, err
		}
	}
	d := PictureDifference{Sizes: [2]image.Point{imgs[0].Rect.Size(), imgs[1].Rect.Size()}}
	if !d.SameSize() {
		return d, nil
	}
	return comparePictures(imgs[0], imgs[1]), nil
}

// Shares returns how much of the difference lies in each of several areas, which may overlap, and how much in
// none of them: 1 is all of it, and pixels count by how much they differ. An area is a row of pixels after the
// other, of the pictures' size.
func (d PictureDifference) Shares(areas [][]bool) (in []float64, elsewhere float64) {
	in = make([]float64, len(areas))
	all := 0.0
	for i := range d.a.Rect.Dx() * d.a.Rect.Dy() {
		much := 0.0
		for c := range 3 {
			much += math.Abs(float64(d.a.Pix[4*i+c]) - float64(d.b.Pix[4*i+c]))
		}
		found := false
		for k, area := range areas {
			if i < len(area) && area[i] {
				in[k] += much
				found = true
			}
		}
		if all += much; !found {
			elsewhere += much
		}
	}
	for k := range in {
		in[k] /= max(all, 1)
	}
	return in, elsewhere / max(all, 1)
}

// madeBy returns what a picture says about itself, or nil.
func madeBy(path string) *still.Resolved {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := still.Metadata(f)
	if err != nil {
		return nil
	}
	return &r
}

// SizeText returns a size for people: "256×256".
func SizeText(p image.Point) string { return fmt.Sprintf("%d×%d", p.X, p.Y) }

// comparePictures compares two pictures of one size.
func comparePictures(a, b *image.NRGBA) PictureDifference {
	d := PictureDifference{a: a, b: b, Sizes: [2]image.Point{a.Rect.Size(), b.Rect.Size()}, PSNR: measure.PSNR(a, b)}
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			if a.NRGBAAt(x, y) != b.NRGBAAt(x, y) {
				d.Differ++
				d.Box = d.Box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return d
}

// String returns the difference in words.
func (d PictureDifference) String() string {
	if d.Differ == 0 {
		return "The pixels are equal."
	}
	r := d.Box
	return fmt.Sprintf(
		"%.2f dB PSNR; %.3g %% of the pixels differ, all in px(xywh(%d, %d, %d, %d)).",
		d.PSNR, 100*float64(d.Differ)/float64(d.a.Rect.Dx()*d.a.Rect.Dy()), r.Min.X, r.Min.Y, r.Dx(), r.Dy())
}

// Picture shows where the difference is: the second picture in dark grey, and on top of it what
// differs, from red (little) to yellow (much).
func (d PictureDifference) Picture() *image.NRGBA {
	out := image.NewNRGBA(d.a.Rect)
	for i := 0; i < len(out.Pix); i += 4 {
		most := 0
		for c := range 4 {
			most = max(most, int(d.a.Pix[i+c])-int(d.b.Pix[i+c]), int(d.b.Pix[i+c])-int(d.a.Pix[i+c]))
		}
		grey := color.GrayModel.Convert(color.NRGBA{d.b.Pix[i], d.b.Pix[i+1], d.b.Pix[i+2], 255}).(color.Gray).Y / 3
		out.Pix[i], out.Pix[i+1], out.Pix[i+2], out.Pix[i+3] = grey, grey, grey, 255
		if most > 0 {
			heat := math.Sqrt(float64(most) / 255) // small differences are what one looks for
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = uint8(128+127*heat), uint8(255*heat*heat), 0
		}
	}
	return out
}

// WritePicture writes a picture as a PNG, atomically. What eligen did not write stays.
func WritePicture(path string, img image.Image) error {
	return writePicture(filepath.Dir(path), filepath.Base(path), img)
}

// writePicture writes a PNG below a folder, atomically. What eligen did not write stays.
func writePicture(folder, name string, img image.Image) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	dir, err := files.OpenDir(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	path := filepath.Join(folder, name)
	if err := replaceable(dir, name); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	var b bytes.Buffer
	if err := errors.Join(still.Plain(&b, img), dir.MkdirAll(filepath.Dir(name)), dir.Put(name, b.Bytes())); err != nil {
		return fmt.Errorf("%s can't be written: %w", path, err)
	}
	return nil
}

// replaceable reports why a file must not be replaced; nil where there is none, or eligen wrote it.
func replaceable(dir files.Folder, name string) error {
	old, err := dir.Open(name)
	switch {
	case files.Missing(err):
		return nil
	case err != nil:
		return fmt.Errorf("can't be read: %w", err)
	}
	defer old.Close()
	if !still.Untouched(old) {
		return errors.New("exists, and was not written by eligen, or was edited since. Move it, or choose another path")
	}
	return nil
}
