package still_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

// formats are the stages that write a picture of each format.
var formats = map[string]func(still.Resolved) eligen.Op{
	"PNG":  func(r still.Resolved) eligen.Op { return still.Op{Resolved: r} },
	"JPEG": func(r still.Resolved) eligen.Op { return still.JPEG{Resolved: r, Quality: 90} },
	"WebP": func(r still.Resolved) eligen.Op { return still.WebP{Resolved: r} },
}

// masked returns a render of many entities, each in a mask of n×n pixels.
func masked(n, entities int, on func(x, y int) bool) still.Resolved {
	r := resolved()
	mask := eligen.NewBitmap(n, n, on)
	for i := range entities {
		r.Entities = append(r.Entities, still.Entity{
			Address: fmt.Sprintf("entity.e%d", i), Prompt: "a frog", Strength: 1, Tokens: 1,
			Region: eligen.Region{Kind: "union", Parts: []eligen.Region{{Kind: "image", Bitmap: mask}}},
		})
	}
	return r
}

// textSizes returns how many bytes each text chunk of a PNG holds when it is read.
func textSizes(t *testing.T, data []byte) (sizes []int) {
	t.Helper()
	for at := 8; at < len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		kind, body := string(data[at+4:at+8]), data[at+8:at+8+n]
		at += 12 + n
		if kind != "iTXt" && kind != "tEXt" {
			continue
		}
		if _, rest, _ := bytes.Cut(body, []byte{0}); kind == "iTXt" && rest[0] == 1 {
			z, err := zlib.NewReader(bytes.NewReader(rest[4:]))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		sizes = append(sizes, len(body))
	}
	return sizes
}

// TestMasksAreSmall: however many masks of whatever size a render has, its picture says
// so in little, no text chunk is one that other programs refuse, and what is written is
// read back. Masks that would take more than a megabyte are named by their digests.
func TestMasksAreSmall(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	disc := func(n int) func(x, y int) bool {
		return func(x, y int) bool { return math.Hypot(float64(x-n/2), float64(y-n/2)) < float64(n)/3 }
	}
	for _, c := range []struct {
		name string
		r    still.Resolved
		most int // bytes of the file
		kept bool
	}{
		{"six of 1024²", masked(1024, 6, disc(1024)), 60_000, true},
		{"sixteen of 4096²", masked(4096, 16, disc(4096)), 500_000, true},
		{"eight of 4096², all noise", masked(4096, 8, func(x, y int) bool { return noise.IntN(2) == 0 }), 20_000, false},
	} {
		for format, op := range formats {
			data := run(t, op(c.r))
			t.Logf("%s, %s: %d bytes", c.name, format, len(data))
			if len(data) > c.most {
				t.Errorf("%s: a %s of 128×96 pixels has %d bytes", c.name, format, len(data))
			}
			if !still.Untouched(bytes.NewReader(data)) {
				t.Errorf("%s: eligen doesn't know its own %s", c.name, format)
			}
			got, err := still.Metadata(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%s, %s: %v", c.name, format, err)
			}
			want := c.r
			if !c.kept {
				want.Entities = slices.Clone(want.Entities)
				for i, e := range want.Entities[2:] {
					e.Region = eligen.Region{
						Kind:  "union",
						Parts: []eligen.Region{{Kind: "image", Bitmap: e.Region.Parts[0].Bitmap.Named()}},
					}
					want.Entities[2+i] = e
				}
			}
			if diff := cmp.Diff(want, got, sameMasks); diff != "" {
				t.Errorf("%s, %s: %s", c.name, format, diff)
			}
			if format != "PNG" {
				continue
			}
			for _, n := range textSizes(t, data) {
				if n > 1<<20 {
					t.Errorf("%s: a text chunk of %d bytes; Pillow reads at most 1 MiB", c.name, n)
				}
			}
		}
	}
}

// TestLongText: a text that is longer than a chunk may be goes on in the next, and
// none is cut inside a letter.
func TestLongText(t *testing.T) {
	r := resolved()
	r.Entities = nil
	for i := range 999 {
		r.Entities = append(
			r.Entities,
			still.Entity{
				Address:  fmt.Sprint("entity.e", i),
				Prompt:   strings.Repeat("ein Bär, ", 250),
				Region:   eligen.Box(0, 0, 1, 1),
				Strength: 1,
			},
		)
	}
	for format, op := range formats {
		data := run(t, op(r))
		got, err := still.Metadata(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if diff := cmp.Diff(r, got, sameMasks); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
		if format != "PNG" {
			continue
		}
		sizes := textSizes(t, data)
		if len(sizes) < 4 || slices.Max(sizes) > 1<<20 {
			t.Errorf("text chunks of %v bytes", sizes)
		}
	}
}

// before writes a PNG as version 0.1 did: all bits of a mask, and a seal of the pixels.
func before(t *testing.T, img image.Image, json string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	text := func(keyword, text string) []byte {
		return chunk("iTXt", []byte(keyword+"\x00\x00\x00\x00\x00"+text))
	}
	return slices.Concat(b.Bytes()[:33], text("eligen", json), text("parameters", "a dog"),
		text("eligen-pixels", string(still.Pixels(img))), b.Bytes()[33:])
}

// TestPicturesOfBefore: pictures of version 0.1 are read, and known as eligen's until
// their pixels change.
func TestPicturesOfBefore(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 4, 4))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{10, 20, 30, 255}), image.Point{}, draw.Src)
	said := `{"format":1,"version":"0.1.0","prompt":"a dog",` +
		`"entities":[{"address":"entity.dog","region":{"kind":"image","bitmap":{"bits":"kkk=","h":4,"w":4}}}]}`
	data := before(t, img, said)
	got, err := still.Metadata(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if want := eligen.NewBitmap(4, 4, func(x, y int) bool { return (4*y+x)%3 == 0 }); got.Prompt != "a dog" ||
		got.Entities[0].Region.Bitmap.Digest != want.Digest {
		t.Errorf("it is read as %+v", got)
	}
	if !still.Untouched(bytes.NewReader(data)) {
		t.Error("it is not known as eligen's")
	}
	drawn := image.NewNRGBA(img.Rect)
	draw.Draw(drawn, img.Rect, img, image.Point{}, draw.Src)
	drawn.Set(2, 2, color.White)
	other := before(t, drawn, said)
	sealed := bytes.Index(other, []byte("eligen-pixels"))
	at := bytes.Index(data, []byte("eligen-pixels"))
	copy(other[sealed-8:][:12+len("eligen-pixels")+5+64], data[at-8:])
	if still.Untouched(bytes.NewReader(other)) {
		t.Error("it was drawn on, and is known as eligen's all the same")
	}
}

// TestEditsAreSeen: whatever is changed in a picture, it is no longer as eligen wrote
// it; and it still says how it was made, as far as it does.
func TestEditsAreSeen(t *testing.T) {
	for format, op := range formats {
		sound := run(t, op(resolved()))
		for name, edited := range map[string][]byte{
			"something behind its end":  append(slices.Clone(sound), "PK\x03\x04 an archive"...),
			"a zero behind its end":     append(slices.Clone(sound), 0),
			"two pictures in a file":    append(slices.Clone(sound), sound...),
			"another prompt, as a text": reworded(t, format, sound),
			"one more chunk":            extended(format, sound),
		} {
			if still.Untouched(bytes.NewReader(edited)) {
				t.Errorf("%s with %s is taken for eligen's own", format, name)
			}
			if got, err := still.Metadata(bytes.NewReader(edited)); err != nil || got.Seed != resolved().Seed {
				t.Errorf("%s with %s: seed %d, %v", format, name, got.Seed, err)
			}
		}
	}
}

// reworded returns a picture whose metadata was edited with care: lengths and checksums
// fit.
func reworded(t *testing.T, format string, data []byte) []byte {
	t.Helper()
	if format != "PNG" {
		edited := bytes.ReplaceAll(data, []byte("sleeping"), []byte("flying!!"))
		if bytes.Equal(edited, data) {
			t.Fatalf("%s: no prompt is found", format)
		}
		return edited
	}
	made, err := still.Metadata(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	made.Prompt = "a cat"
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	n := int(binary.BigEndian.Uint32(data[33:]))
	return slices.Concat(data[:33], chunk("iTXt", append([]byte("eligen\x00\x00\x00\x00\x00"), text...)), data[33+12+n:])
}

// extended returns a picture with one more chunk, or comment, of somebody else's.
func extended(format string, data []byte) []byte {
	switch format {
	case "PNG":
		return slices.Concat(data[:33], chunk("tEXt", []byte("Comment\x00mine")), data[33:])
	case "JPEG":
		return slices.Concat(data[:2], []byte("\xff\xfe\x00\x06mine"), data[2:])
	}
	more := slices.Concat(data, []byte("MINE\x04\x00\x00\x00mine"))
	binary.LittleEndian.PutUint32(more[4:], uint32(len(more)-8))
	return more
}
