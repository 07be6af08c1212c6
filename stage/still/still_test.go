package still_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/still"
)

var size = eligen.Size{W: 128, H: 96}

func resolved() still.Resolved {
	return still.Resolved{
		Format:   1,
		Version:  "0.1.0",
		Engine:   "paint/0.1.0",
		Render:   "render.picnic",
		Size:     size,
		Prompt:   "a dog, “sleeping”",
		Negative: "blur",
		Seed:     1<<32 - 1,
		Noise:    "avx2",
		Steps:    20,
		CFG:      2.5,
		Guidance: 3.5,
		Schedule: "eligen",
		Shift:    3,
		Model:    still.Model{Family: "nano", DType: "float32", Text: "aa", Transformer: "bb", Autoencoder: "cc"},
		Adapters: []still.Adapter{{Kind: "lora", Digest: "dd", Scale: 1, Alpha: "file"}},
		Entities: []still.Entity{
			{Address: "entity.dog", Prompt: "a dog", Region: eligen.Box(0.25, 0.5, 0.75, 1), Strength: 1, Tokens: 12},
			{
				Address:  "entity.sky",
				Prompt:   "a sky",
				Region:   eligen.Region{Kind: "image", Bitmap: eligen.NewBitmap(128, 96, func(x, y int) bool { return y < 16 })},
				Strength: 1,
				Tokens:   16,
			},
		},
		Init: &still.Init{Picture: "ee", Strength: 0.5},
	}
}

// sameMasks compares masks by their digests, and by pixels here and there: one that is
// only named has none.
var sameMasks = cmp.Comparer(func(a, b *eligen.Bitmap) bool {
	if a == nil || b == nil || a.W != b.W || a.H != b.H || a.Digest != b.Digest {
		return a == b
	}
	for i := range 4096 {
		if x, y := i*7919%a.W, i*6007%a.H; a.On(x, y) != b.On(x, y) {
			return false
		}
	}
	return true
})

// grey returns what a decode stage hands on.
func grey(t *testing.T) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, size.W, size.H))
	for i := range img.Pix {
		img.Pix[i] = 128
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func run(t *testing.T, op eligen.Op) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := op.Run(t.Context(), &eligen.Call{Inputs: []eligen.Artifact{{Data: grey(t)}}, Out: &out}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMetadata: a picture says how it was made, masks included, and is else the
// decoded one.
func TestMetadata(t *testing.T) {
	data := run(t, still.Op{Resolved: resolved()})
	got, err := still.Metadata(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(resolved(), got, sameMasks); diff != "" {
		t.Error(diff)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for y := range size.H {
		for x := range size.W {
			if c := color.NRGBAModel.Convert(img.At(x, y)); c != (color.NRGBA{128, 128, 128, 255}) {
				t.Fatalf("pixel (%d, %d) is %v", x, y, c)
			}
		}
	}
	if !still.Untouched(bytes.NewReader(data)) {
		t.Error("the picture is not recognised")
	}
	if again := run(t, still.Op{Resolved: resolved()}); !bytes.Equal(data, again) {
		t.Error("the same recipe made other bytes")
	}
}

// TestDamagedPNG flips every byte of a picture: what is read is right or refused.
func TestDamagedPNG(t *testing.T) {
	sound := run(t, still.Op{Resolved: resolved()})
	for i := range sound {
		damaged := slices.Clone(sound)
		damaged[i] ^= 0x41
		if got, err := still.Metadata(bytes.NewReader(damaged)); err == nil {
			if diff := cmp.Diff(resolved(), got, sameMasks); diff != "" {
				t.Fatalf("byte %d: %s", i, diff)
			}
		}
		if still.Untouched(bytes.NewReader(damaged)) {
			t.Errorf("byte %d: the picture is still recognised", i)
		}
	}
	for n := range sound {
		if _, err := still.Metadata(bytes.NewReader(sound[:n])); err == nil && n < len(sound)-4 {
			t.Fatalf("cut to %d bytes, it is read", n)
		}
	}
}

// chunk makes a PNG chunk with a correct checksum.
func chunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func deflated(n int) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(make([]byte, n)) // into memory
	_ = w.Close()
	return b.Bytes()
}

// TestHostilePNG: what a stranger's file may hold.
func TestHostilePNG(t *testing.T) {
	plain := grey(t)
	with := func(chunks ...[]byte) []byte {
		return slices.Concat(plain[:33], slices.Concat(chunks...), plain[33:])
	}
	text := func(flag byte, body []byte) []byte {
		return chunk("iTXt", append([]byte{'e', 'l', 'i', 'g', 'e', 'n', 0, flag, 0, 0, 0}, body...))
	}
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"nothing", "not a PNG", nil},
		{"a GIF", "not a PNG, JPEG or WebP", []byte("GIF89a and so on")},
		{"a JPEG that breaks off", "the JPEG file is truncated", []byte("\xff\xd8\xff\xe0 and so on")},
		{"a WebP that breaks off", "the WebP file can't be read", []byte("RIFF\xff\x00\x00\x00WEBPVP8 ")},
		{"a picture of something else", still.ErrNoMetadata.Error(), plain},
		{"a length beyond the file", "limit", append(slices.Clone(plain[:33]), 0xff, 0xff, 0xff, 0xff, 'i', 'T', 'X', 't')},
		{"a text that inflates without end", "32 MiB", with(text(1, deflated(33<<20)))},
		{"a text that is no zlib stream", "can't be read", with(text(1, []byte("hello")))},
		{"an unknown flag", "can't be read", with(text(7, []byte("{}")))},
		{"a chunk without its fields", "can't be read", with(chunk("iTXt", []byte("eligen\x00")))},
		{"two texts", "two texts", with(text(0, []byte(`{"format":1}`)), text(0, []byte(`{"format":1}`)))},
		{"no JSON", "damaged", with(text(0, []byte("{")))},
		{"a mask of impossible size", "damaged", with(text(0,
			[]byte(`{"format":1,"entities":[{"region":{"kind":"image","bitmap":{"w":99999,"h":99999,"bits":""}}}]}`)))},
		{"deep nesting", "damaged", with(text(0, []byte(`{"entities":`+strings.Repeat("[", 20_000))))},
		{"a later format", "newer version", with(text(0, []byte(`{"format":2}`)))},
		{"chunks without end", "chunks", with(bytes.Repeat(chunk("teST", nil), 70_000))},
	} {
		if _, err := still.Metadata(bytes.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error with %q", c.name, err, c.want)
		}
		if still.Untouched(bytes.NewReader(c.data)) {
			t.Errorf("%s is recognised as a picture of ours", c.name)
		}
	}
	if _, err := still.Metadata(bytes.NewReader(plain)); !errors.Is(err, still.ErrNoMetadata) {
		t.Errorf("a picture without metadata: %v", err)
	}
}

// TestOverlay: regions' edges and labels are drawn; the rest of the picture stays.
func TestOverlay(t *testing.T) {
	img, err := png.Decode(bytes.NewReader(run(t, still.Op{Resolved: resolved(), Overlay: true})))
	if err != nil {
		t.Fatal(err)
	}
	at := func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA) }
	grey := color.NRGBA{128, 128, 128, 255}
	for _, p := range []image.Point{{4, 80}, {64, 88}} {
		if got := at(p.X, p.Y); got != grey {
			t.Errorf("at %v: %v", p, got)
		}
	}
	if edge := at(32, 80); edge.R < 240 || edge.B > 100 {
		t.Errorf("on the first region's edge: %v, want yellow", edge)
	}
	// The label is dark letters on the region's colour, in its corner.
	ground, dark := 0, 0
	for y := 48; y < 62; y++ {
		for x := 32; x < 66; x++ {
			switch c := at(x, y); {
			case c.R > 240 && c.B < 10:
				ground++
			case c.R < 60 && c.G < 60 && c.B < 60:
				dark++
			}
		}
	}
	if dark < 20 || ground < 150 {
		t.Errorf("the label has %d dark pixels on %d of the region's colour", dark, ground)
	}
}

// TestPreview: a layout is drawn without a picture, large enough to be read, and says
// what it is of.
func TestPreview(t *testing.T) {
	var out bytes.Buffer
	if err := (still.Preview{Resolved: resolved()}).Run(t.Context(), &eligen.Call{Out: &out}); err != nil {
		t.Fatal(err)
	}
	if !still.Untouched(bytes.NewReader(out.Bytes())) {
		t.Error("the preview is not recognised")
	}
	if got, err := still.Metadata(bytes.NewReader(out.Bytes())); err != nil || got.Render != "render.picnic" {
		t.Errorf("it is of %q, %v", got.Render, err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds().Size(); got != image.Pt(683, 512) {
		t.Errorf("it has %v pixels", got)
	}
}

// TestStoryboard: the frames stand side by side, with where things are then and the way
// that they go.
func TestStoryboard(t *testing.T) {
	o := still.Storyboard{
		Size:  eligen.Size{W: 64, H: 64},
		Ways:  []still.Way{{Places: []float64{0.2, 0.8, 0.5, 0.8, 0.8, 0.8}}},
		Shown: &still.Shown{Clip: []byte(`{"render":"render.walk"}`)},
	}
	for i, x := range []float64{0.1, 0.7} {
		o.Frames = append(
			o.Frames,
			still.BoardFrame{
				Number:   2 * i,
				Caption:  "frame",
				Entities: []still.Entity{{Address: "entity.dog", Region: eligen.Box(x, 0.6, x+0.2, 1)}},
			},
		)
	}
	var out bytes.Buffer
	if err := o.Run(t.Context(), &eligen.Call{Out: &out}); err != nil {
		t.Fatal(err)
	}
	if shown, err := still.SheetOf(bytes.NewReader(out.Bytes())); err != nil || !strings.Contains(string(shown.Clip), "render.walk") {
		t.Errorf("it says of itself %s, %v", shown.Clip, err)
	}
	if !still.Untouched(bytes.NewReader(out.Bytes())) {
		t.Error("the storyboard is not recognised")
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds().Size(); got != image.Pt(12+2*332, 12+320+26+12) {
		t.Fatalf("it has %v pixels", got)
	}
	yellow := func(x, y int) bool {
		r, _, b, _ := img.At(x, y).RGBA()
		return r>>8 > 80 && b>>8 < 40
	}
	for frame, at := range []int{12, 12 + 332} {
		y := 12 + 26 + 300 // near the lower edge: below the way, in the region
		if left, right := yellow(at+64, y), yellow(at+256, y); left != (frame == 0) || right != (frame == 1) {
			t.Errorf("frame %d: the dog is at the left %v, at the right %v", frame, left, right)
		}
		if !yellow(at+130, 12+26+256) {
			t.Errorf("frame %d: no way is drawn", frame)
		}
	}
	if err := (still.Storyboard{}).Run(t.Context(), &eligen.Call{Out: &out}); err == nil {
		t.Error("a storyboard of nothing was drawn")
	}
}

// TestOverlayAnywhere: labels of any length fit on pictures of any size.
func TestOverlayAnywhere(t *testing.T) {
	for _, prompt := range []string{"", " ", "a", strings.Repeat("wool ", 100), strings.Repeat("w", 500), "一只在树下睡觉的狗"} {
		r := resolved()
		for range 12 {
			r.Entities = append(r.Entities,
				still.Entity{Prompt: prompt, Region: eligen.Region{Kind: "ellipse", Numbers: []float64{0.5, 0.5, 0.3, 0.6}}})
			r.Entities = append(r.Entities, still.Entity{Prompt: prompt, Region: eligen.Box(0.99, 0.99, 1, 1)},
				still.Entity{Prompt: prompt, Region: eligen.Box(2, 2, 3, 3)})
		}
		run(t, still.Op{Resolved: r, Overlay: true})
	}
}

func TestWrongSize(t *testing.T) {
	r := resolved()
	r.Size.W = 64
	err := still.Op{Resolved: r}.Run(t.Context(), &eligen.Call{Inputs: []eligen.Artifact{{Data: grey(t)}}, Out: new(bytes.Buffer)})
	if err == nil || !strings.Contains(err.Error(), "128×96") {
		t.Errorf("Run: %v", err)
	}
}
