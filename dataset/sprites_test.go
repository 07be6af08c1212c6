package dataset

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/eligen/eligen"
)

// shapes is a stand-in for the assets: for every class of the table a PNG with
// an ellipse whose colour and proportions differ from class to class and whose
// upper left quarter is darker, so that turning and mirroring can be seen.
var shapes = sync.OnceValue(func() fs.FS {
	files := fstest.MapFS{}
	for i, c := range Classes(0) {
		files[c.File+".png"] = &fstest.MapFile{Data: ellipse(i)}
	}
	return files
})

func ellipse(i int) []byte {
	rx, ry := 24+i*7%30, 24+i*11%30
	img := image.NewNRGBA(image.Rect(0, 0, 112, 112))
	for y := range 112 {
		for x := range 112 {
			dx, dy := 2*x-111, 2*y-111
			if dx*dx*ry*ry+dy*dy*rx*rx > 4*rx*rx*ry*ry {
				continue
			}
			c := color.NRGBA{uint8(i * 37), uint8(i * 59), uint8(128 + i*83%128), 255}
			if dx < 0 && dy < 0 {
				c.R, c.G, c.B = c.R/3, c.G/3, c.B/3
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// composer composes with the stand-in sprites.
func composer(t *testing.T, o Options) *Composer {
	t.Helper()
	s, err := Load(shapes(), Classes(0))
	if err != nil {
		t.Fatal(err)
	}
	if o.Size == (eligen.Size{}) {
		o.Size = eligen.Size{W: 128, H: 128}
	}
	c, err := s.Composer(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// assets opens the real sprites, where the environment says where they are.
func assets(t *testing.T) *Sprites {
	t.Helper()
	dir := os.Getenv("ELIGEN_ASSETS")
	if dir == "" {
		t.Skip("ELIGEN_ASSETS is not set: it names the folder of the unpacked package " + Assets.Name + " " + Assets.Version)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpenWithoutAssetsSaysHowToFetchThem(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "nowhere"))
	if !errors.Is(err, ErrNoAssets) || !strings.Contains(err.Error(), "eligen dataset fetch") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for i, c := range Classes(0) {
		if err := os.WriteFile(filepath.Join(dir, c.File+".webp"), ellipse(i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not those of "+Assets.Name) {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, classes[7].File+".webp")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrNoAssets) || !strings.Contains(err.Error(), classes[7].Name) {
		t.Errorf("one file missing: got %v", err)
	}
}

func TestLoadNamesTheBadSprite(t *testing.T) {
	var empty bytes.Buffer
	if err := png.Encode(&empty, image.NewNRGBA(image.Rect(0, 0, 32, 32))); err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{nil, []byte("no picture"), empty.Bytes(), ellipse(3)[:60]} {
		s, err := Load(fstest.MapFS{"a.png": {Data: data}}, []Class{{Name: "thing", File: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Composer(Options{Size: eligen.Size{W: 64, H: 64}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Sample(0); err == nil || !strings.Contains(err.Error(), "a.png") {
			t.Errorf("%d bytes: got %v", len(data), err)
		}
	}
}

func TestEveryRealSpriteIsDrawn(t *testing.T) {
	s := assets(t)
	for _, c := range s.Classes() {
		img, err := s.Cutout(c.Name, eligen.Size{W: 96, H: 64})
		if err != nil {
			t.Fatal(err)
		}
		solid := image.Rectangle{}
		for y := range 64 {
			for x := range 96 {
				if img.NRGBAAt(x, y).A >= 128 {
					solid = solid.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		// 64 pixels less two margins of 4 leave 56; wide objects may touch the
		// sides first.
		if h, w := solid.Dy(), solid.Dx(); (h < 55 || h > 57) && (w < 87 || w > 89) {
			t.Errorf("%s fills %v", c.Name, solid)
		}
	}
}

// The dark quarter of the shapes is at the upper left; a quarter turn clockwise
// brings it to the upper right, and so does a mirror.
func TestPose(t *testing.T) {
	s, err := Load(shapes(), Classes(0))
	if err != nil {
		t.Fatal(err)
	}
	_, sp, err := s.get("apple", Solid)
	if err != nil {
		t.Fatal(err)
	}
	corners := func(p pose) string {
		c := sp.draw(p, 0, 0, 64*one, 64*one)
		sum := func(x, y int) int {
			o := 4 * ((y-c.y)*c.w + x - c.x)
			return int(c.pix[o]) + int(c.pix[o+1]) + int(c.pix[o+2])
		}
		points := map[string]int{"upper left": sum(22, 22), "upper right": sum(41, 22), "lower left": sum(22, 41), "lower right": sum(41, 41)}
		darkest := "upper left"
		for name, v := range points {
			if v < points[darkest] {
				darkest = name
			}
		}
		return darkest
	}
	for p, want := range map[pose]string{
		{}:                        "upper left",
		{turn: 90}:                "upper right",
		{turn: -180}:              "lower right",
		{turn: 270}:               "lower left",
		{mirror: true}:            "upper right",
		{mirror: true, turn: 90}:  "lower right",
		{mirror: true, turn: -90}: "upper left",
	} {
		if got := corners(p); got != want {
			t.Errorf("%+v: the dark quarter is at the %s, want %s", p, got, want)
		}
	}
}
