package eligen

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// masks makes bitmaps of many kinds, by name.
func masks() map[string]*Bitmap {
	noise := rand.New(rand.NewPCG(1, 2))
	return map[string]*Bitmap{
		"one pixel, off":      NewBitmap(1, 1, func(x, y int) bool { return false }),
		"one pixel, on":       NewBitmap(1, 1, func(x, y int) bool { return true }),
		"all on":              NewBitmap(300, 200, func(x, y int) bool { return true }),
		"all off":             NewBitmap(300, 200, func(x, y int) bool { return false }),
		"a disc":              NewBitmap(257, 255, func(x, y int) bool { return math.Hypot(float64(x-100), float64(y-100)) < 70 }),
		"first and last":      NewBitmap(67, 43, func(x, y int) bool { return x+y == 0 || x == 66 && y == 42 }),
		"a board of squares":  NewBitmap(64, 64, func(x, y int) bool { return (x+y)%2 == 0 }),
		"noise":               NewBitmap(100, 99, func(x, y int) bool { return noise.IntN(2) == 0 }),
		"thirteen by seven":   NewBitmap(13, 7, func(x, y int) bool { return x*y%3 == 1 }),
		"a column, two wide":  NewBitmap(640, 480, func(x, y int) bool { return x/2 == 100 }),
		"a row":               NewBitmap(640, 480, func(x, y int) bool { return y == 479 }),
		"on to the last byte": NewBitmap(10, 10, func(x, y int) bool { return y > 4 }),
	}
}

// A bitmap goes through JSON, more than once, as the same pixels and the same digest.
func TestBitmapTravels(t *testing.T) {
	for name, want := range masks() {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var got Bitmap
				if err := json.Unmarshal(data, &got); err != nil {
					t.Fatal(err)
				}
				if got.Digest != want.Digest {
					t.Errorf("it comes back with digest %s, it was %s", got.Digest, want.Digest)
				}
				for y := -1; y <= want.H; y++ {
					for x := -1; x <= want.W; x++ {
						if got.On(x, y) != want.On(x, y) {
							t.Fatalf("pixel (%d, %d) is %t", x, y, got.On(x, y))
						}
					}
				}
				again, err := json.Marshal(&got)
				if err != nil {
					t.Fatal(err)
				}
				if string(again) != string(data) {
					t.Errorf("written again, it is\n%s\nand was\n%s", again, data)
				}
			}
		})
	}
}

// A mask of sixteen megapixels takes kilobytes, and one that is nothing but noise no
// more than its bits.
func TestBitmapIsShort(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name string
		at   func(x, y int) bool
		most int
	}{
		{"a disc", func(x, y int) bool { return math.Hypot(float64(x-2048), float64(y-2048)) < 1500 }, 20_000},
		{"noise", func(x, y int) bool { return noise.IntN(2) == 0 }, 2_800_000},
	} {
		data, err := json.Marshal(NewBitmap(4096, 4096, c.at))
		if err != nil {
			t.Fatal(err)
		}
		if t.Logf("%s: %d bytes", c.name, len(data)); len(data) > c.most {
			t.Errorf("%s takes %d bytes, at most %d are wanted", c.name, len(data), c.most)
		}
	}
}

// Pictures of earlier versions hold all bits of a mask.
func TestBitmapOfBefore(t *testing.T) {
	var got Bitmap
	if err := json.Unmarshal([]byte(`{"bits":"kkk=","h":4,"w":4}`), &got); err != nil {
		t.Fatal(err)
	}
	want := NewBitmap(4, 4, func(x, y int) bool { return (y*4+x)%3 == 0 })
	if got.Digest != want.Digest {
		t.Errorf("digest %s, want %s", got.Digest, want.Digest)
	}
}

// A bitmap that is only named keeps its digest, and has no pixel.
func TestBitmapNamed(t *testing.T) {
	want := masks()["a disc"]
	data, err := json.Marshal(want.Named())
	if err != nil {
		t.Fatal(err)
	}
	var got Bitmap
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.Digest || got.W != want.W || got.H != want.H || got.On(100, 100) {
		t.Errorf("%s is read as %+v", data, got)
	}
}

// What is no bitmap isn't read as one, whatever it claims to stand for.
func TestBitmapRefuses(t *testing.T) {
	digest := strings.Repeat("0", 64)
	for _, bad := range []string{
		`{"w":3,"h":3,"bits":"AA=="}`,
		`{"w":-1,"h":3,"bits":""}`,
		`{"w":99999,"h":99999,"bits":""}`,
		`{"w":3,"h":3}`,
		`{"w":3,"h":3,"digest":"short"}`,
		`{"w":3,"h":3,"runs":"CQ=="}`,                                     // no digest
		`{"w":3,"h":3,"digest":"` + digest + `","runs":"CA=="}`,           // 8 pixels of 9
		`{"w":3,"h":3,"digest":"` + digest + `","runs":"Cg=="}`,           // 10
		`{"w":3,"h":3,"digest":"` + digest + `","runs":"////////////"}`,   // a varint without end
		`{"w":3,"h":3,"digest":"` + digest + `","runs":"gICAgICAgICAAQ"}`, // no base64
	} {
		var got Bitmap
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s is read as a bitmap", bad)
		}
	}
}
