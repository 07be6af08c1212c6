package clip_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/webp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
)

func resolved(frames int, w, h int) clip.Resolved {
	return clip.Resolved{
		Format: 1, Version: "0.1.0", Render: "render.leap", Size: eligen.Size{W: w, H: h}, FPS: 12, Frames: frames,
		Timeline: json.RawMessage(`{"name":"leap"}`), First: json.RawMessage(`{"prompt":"a dog, “sleeping” 😴 \u003c\u0026\u003e"}`),
	}
}

// meadow draws a picture with many colours and a disc that moves.
func meadow(w, h int, t float64) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{uint8(255 * x / w), uint8(200 - 150*y/h), uint8(90 + 80*math.Sin(float64(x+2*y)/17)), 255}
			if math.Hypot(float64(x)-t*float64(w), float64(y)-float64(h)/2) < float64(h)/5 {
				c = color.NRGBA{240, uint8(180 + 60*y/h), 30, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

// flat draws a picture of few colours, as the engine paint makes them.
func flat(w, h, i int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{20, 30, 40, 255}), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(3*i, h/4, 3*i+w/3, h/2), image.NewUniform(color.NRGBA{250, 200, uint8(i), 255}), image.Point{}, draw.Src)
	return img
}

// A reel is frames, and what they are of.
type reel struct {
	name   string
	frames []*image.NRGBA
}

func reels() []reel {
	moving, still, black := reel{name: "many colours"}, reel{name: "few colours"}, reel{name: "black"}
	noise, odd := reel{name: "noise"}, reel{name: "odd size"}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 6 {
		moving.frames = append(moving.frames, meadow(96, 64, float64(i)/5))
		still.frames = append(still.frames, flat(64, 48, i-i%2)) // every other frame is as the one before
		black.frames = append(black.frames, image.NewNRGBA(image.Rect(0, 0, 32, 16)))
		for p := 3; p < len(black.frames[i].Pix); p += 4 {
			black.frames[i].Pix[p] = 255
		}
		n := image.NewNRGBA(image.Rect(0, 0, 40, 40))
		for p := range n.Pix {
			n.Pix[p] = uint8(r.Uint32()) | uint8(p%4/3)*255
		}
		noise.frames = append(noise.frames, n)
		odd.frames = append(odd.frames, meadow(33, 17, float64(i)/5))
	}
	return []reel{
		moving,
		still,
		black,
		noise,
		odd,
		{"one frame", moving.frames[:1]},
		{"one pixel", []*image.NRGBA{black.frames[0].SubImage(image.Rect(0, 0, 1, 1)).(*image.NRGBA)}},
	}
}

func (r reel) resolved() clip.Resolved {
	s := r.frames[0].Bounds().Size()
	return resolved(len(r.frames), s.X, s.Y)
}

func inputs(t *testing.T, frames []*image.NRGBA) []eligen.Artifact {
	t.Helper()
	var in []eligen.Artifact
	for _, f := range frames {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, f); err != nil {
			t.Fatal(err)
		}
		in = append(in, eligen.Artifact{Data: b.Bytes()})
	}
	return in
}

func run(t *testing.T, op eligen.Op, in []eligen.Artifact) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := op.Run(t.Context(), &eligen.Call{Inputs: in, Out: &out, Step: func(int, int) {}}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A film is a clip as another program reads it.
type film struct {
	frames []*image.NRGBA
	times  []int // of each frame, in parts of a second
	loop   int
}

// readGIF reads with image/gif.
func readGIF(t *testing.T, data []byte) film {
	t.Helper()
	g, err := gif.DecodeAll(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	f := film{times: g.Delay, loop: g.LoopCount}
	canvas := image.NewNRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
	for i, img := range g.Image {
		for k, c := range img.Palette {
			if _, _, _, a := c.RGBA(); a > 0 && c != g.Image[0].Palette[k] {
				t.Errorf("frame %d has a palette of its own", i)
			}
		}
		draw.Draw(canvas, img.Rect, img, img.Rect.Min, draw.Over)
		f.frames = append(f.frames, clone(canvas))
	}
	return f
}

func clone(img *image.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, img.Rect.Dx(), img.Rect.Dy()))
	draw.Draw(out, out.Rect, img, img.Rect.Min, draw.Src)
	return out
}

// readAPNG makes of each frame a PNG, which image/png checks and reads.
func readAPNG(t *testing.T, data []byte) film {
	t.Helper()
	if _, err := png.Decode(bytes.NewReader(data)); err != nil {
		t.Fatalf("as a still: %v", err)
	}
	be := binary.BigEndian
	var f film
	var canvas *image.NRGBA
	var head, control, stream []byte
	number := uint32(0)
	flush := func() {
		if control == nil {
			return
		}
		w, h, x, y := be.Uint32(control[4:]), be.Uint32(control[8:]), be.Uint32(control[12:]), be.Uint32(control[16:])
		own := slices.Clone(head)
		be.PutUint32(own, w)
		be.PutUint32(own[4:], h)
		pic := slices.Concat(data[:8], pngChunk("IHDR", own), pngChunk("IDAT", stream), pngChunk("IEND", nil))
		img, err := png.Decode(bytes.NewReader(pic))
		if err != nil {
			t.Fatalf("frame %d: %v", len(f.frames), err)
		}
		draw.Draw(canvas, img.Bounds().Add(image.Pt(int(x), int(y))), img, image.Point{}, draw.Src)
		f.frames = append(f.frames, clone(canvas))
		f.times = append(f.times, 1000*int(be.Uint16(control[20:]))/int(be.Uint16(control[22:])))
		if control[24] != 0 || control[25] != 0 {
			t.Errorf("frame %d is disposed of or blended", len(f.frames)-1)
		}
		control, stream = nil, nil
	}
	count := -1
	counted := func(body []byte) []byte {
		if got := be.Uint32(body); got != number {
			t.Errorf("chunk %d has the number %d", number, got)
		}
		number++
		return body
	}
	for rest := data[8:]; len(rest) > 0; {
		n := be.Uint32(rest)
		kind, body := string(rest[4:8]), rest[8:8+n]
		rest = rest[12+n:]
		switch kind {
		case "IHDR":
			head = body
			canvas = image.NewNRGBA(image.Rect(0, 0, int(be.Uint32(body)), int(be.Uint32(body[4:]))))
		case "acTL":
			count, f.loop = int(be.Uint32(body)), int(be.Uint32(body[4:]))
		case "fcTL":
			flush()
			control = counted(body)
		case "IDAT":
			stream = append(stream, body...)
		case "fdAT":
			stream = append(stream, counted(body)[4:]...)
		}
	}
	flush()
	if count != len(f.frames) {
		t.Errorf("%d frames are announced, and %d are there", count, len(f.frames))
	}
	return f
}

func pngChunk(kind string, body []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind...)
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc(out[4:]))
}

// crc computes PNG's checksum, bit by bit.
func crc(b []byte) uint32 {
	c := ^uint32(0)
	for _, v := range b {
		c ^= uint32(v)
		for range 8 {
			c = c>>1 ^ 0xedb88320&-(c&1)
		}
	}
	return ^c
}

// readWebP makes of each frame a WebP, which x/image reads.
func readWebP(t *testing.T, data []byte) film {
	t.Helper()
	le := binary.LittleEndian
	u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	if got := int(le.Uint32(data[4:])) + 8; got != len(data) {
		t.Errorf("the file has %d bytes and says %d", len(data), got)
	}
	var f film
	var canvas *image.NRGBA
	for rest := data[12:]; len(rest) > 0; {
		n := int(le.Uint32(rest[4:]))
		kind, body := string(rest[:4]), rest[8:8+n]
		rest = rest[8+n+n%2:]
		switch kind {
		case "VP8X":
			canvas = image.NewNRGBA(image.Rect(0, 0, u24(body[4:])+1, u24(body[7:])+1))
		case "ANIM":
			f.loop = int(le.Uint16(body[4:]))
		case "ANMF":
			x, y, w, h := 2*u24(body), 2*u24(body[3:]), u24(body[6:])+1, u24(body[9:])+1
			stream := body[16:]
			pic := slices.Concat([]byte("RIFF"), le.AppendUint32(nil, uint32(4+len(stream))), []byte("WEBP"), stream)
			img, err := webp.Decode(bytes.NewReader(pic))
			if err != nil {
				t.Fatalf("frame %d: %v", len(f.frames), err)
			}
			if got := img.Bounds().Size(); got != image.Pt(w, h) {
				t.Errorf("frame %d has %v pixels, and says %d×%d", len(f.frames), got, w, h)
			}
			draw.Draw(canvas, image.Rect(x, y, x+w, y+h), img, image.Point{}, draw.Src)
			f.frames, f.times = append(f.frames, clone(canvas)), append(f.times, u24(body[12:]))
		}
	}
	return f
}

func psnr(a, b *image.NRGBA) float64 {
	sum, n := 0.0, 0.0
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			p, q := a.NRGBAAt(a.Rect.Min.X+x, a.Rect.Min.Y+y), b.NRGBAAt(b.Rect.Min.X+x, b.Rect.Min.Y+y)
			for _, d := range []float64{float64(p.R) - float64(q.R), float64(p.G) - float64(q.G), float64(p.B) - float64(q.B)} {
				sum, n = sum+d*d, n+1
			}
		}
	}
	if sum == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(255*255*n/sum)
}

func total(times []int) (sum int) {
	for _, v := range times {
		sum += v
	}
	return sum
}

// TestLossless: what APNG and WebP hold is, pixel for pixel, what was put in, for as
// long as it was to be seen.
func TestLossless(t *testing.T) {
	for _, r := range reels() {
		for _, fps := range []float64{12, 23.976} {
			res := r.resolved()
			res.FPS, res.Loop = fps, 3
			for _, c := range []struct {
				name string
				op   eligen.Op
				read func(*testing.T, []byte) film
			}{
				{"APNG", clip.APNG{Resolved: res}, readAPNG},
				{"WebP", clip.WebP{Resolved: res}, readWebP},
			} {
				t.Run(fmt.Sprintf("%s/%s/%v", c.name, r.name, fps), func(t *testing.T) {
					data := run(t, c.op, inputs(t, r.frames))
					f := c.read(t, data)
					if len(f.frames) != len(r.frames) {
						t.Fatalf("%d frames of %d", len(f.frames), len(r.frames))
					}
					for i := range f.frames {
						if p := psnr(r.frames[i], f.frames[i]); !math.IsInf(p, 1) {
							t.Errorf("frame %d: %.1f dB", i, p)
						}
					}
					if got, want := total(f.times), 1000*float64(len(r.frames))/fps; math.Abs(float64(got)-want) > float64(len(r.frames)) {
						t.Errorf("the clip lasts %d ms, want %.1f", got, want)
					}
					if f.loop != 3 {
						t.Errorf("it is played %d times", f.loop)
					}
					t.Logf("%d bytes", len(data))
				})
			}
		}
	}
}

// TestGIF: few colours are held as they are, many as near as 255 can be.
func TestGIF(t *testing.T) {
	for _, r := range reels() {
		for _, c := range []struct {
			dither string
			least  float64 // dB over the meadow
		}{{clip.None, 34}, {clip.FloydSteinberg, 32}, {clip.Ordered, 30}} {
			t.Run(r.name+"/"+c.dither, func(t *testing.T) {
				data := run(t, clip.GIF{Resolved: r.resolved(), Dither: c.dither}, inputs(t, r.frames))
				f := readGIF(t, data)
				if len(f.frames) != len(r.frames) {
					t.Fatalf("%d frames of %d", len(f.frames), len(r.frames))
				}
				worst := math.Inf(1)
				for i := range f.frames {
					worst = min(worst, psnr(r.frames[i], f.frames[i]))
				}
				least := c.least
				switch r.name {
				case "few colours", "black", "one pixel":
					least = math.Inf(1)
				case "noise": // no two of its pixels are alike
					least = 25
				}
				if worst < least {
					t.Errorf("%.2f dB, want at least %v", worst, least)
				}
				if got, want := total(f.times), int(math.Round(100*float64(len(r.frames))/12)); got != want {
					t.Errorf("the clip lasts %d cs, want %d", got, want)
				}
				t.Logf("%d bytes, %.2f dB", len(data), worst)
			})
		}
	}
}

// TestDither: a dithered gradient's mean colour is nearer to the original's than one
// that is cut into steps.
func TestDither(t *testing.T) {
	var frames []*image.NRGBA
	for i := range 2 {
		img := meadow(128, 128, float64(i))
		for p := 0; p < len(img.Pix); p += 4 {
			img.Pix[p+2] = uint8(p / 4 * 7 / 5) // more colours than a palette has near one another
		}
		frames = append(frames, img)
	}
	res := resolved(2, 128, 128)
	off := map[string]float64{}
	for _, dither := range []string{clip.None, clip.FloydSteinberg, clip.Ordered} {
		f := readGIF(t, run(t, clip.GIF{Resolved: res, Dither: dither}, inputs(t, frames)))
		for by := 0; by < 128; by += 8 {
			for bx := 0; bx < 128; bx += 8 {
				for k := range 3 {
					sum := 0
					for y := by; y < by+8; y++ {
						for x := bx; x < bx+8; x++ {
							at := frames[0].PixOffset(x, y) + k
							sum += int(frames[0].Pix[at]) - int(f.frames[0].Pix[at])
						}
					}
					off[dither] += math.Abs(float64(sum)) / 64
				}
			}
		}
	}
	t.Log(off)
	if off[clip.FloydSteinberg] >= off[clip.None]/2 || off[clip.Ordered] >= off[clip.None] {
		t.Errorf("what 8×8 pixels' means are off by in sum: %v", off)
	}
}

// TestStandsStill: what doesn't change between two frames doesn't in the GIF, however
// it is dithered.
func TestStandsStill(t *testing.T) {
	r := reels()[0]
	for _, dither := range []string{clip.None, clip.FloydSteinberg, clip.Ordered} {
		f := readGIF(t, run(t, clip.GIF{Resolved: r.resolved(), Dither: dither}, inputs(t, r.frames)))
		for i := 1; i < len(r.frames); i++ {
			moved := 0
			for p := 0; p < len(r.frames[i].Pix); p += 4 {
				if rgba := func(img *image.NRGBA) [4]uint8 { return [4]uint8(img.Pix[p:]) }; rgba(r.frames[i]) == rgba(r.frames[i-1]) &&
					rgba(f.frames[i]) != rgba(f.frames[i-1]) {
					moved++
				}
			}
			if moved > 0 {
				t.Errorf("%s: %d pixels crawl in frame %d", dither, moved, i)
			}
		}
	}
}

// TestLoops: 0 is without end, 1 once; image/gif says −1 for once and counts repeats.
func TestLoops(t *testing.T) {
	r := reels()[1]
	for loop, want := range map[int]int{0: 0, 1: -1, 2: 1, 65535: 65534} {
		res := r.resolved()
		res.Loop = loop
		if got := readGIF(t, run(t, clip.GIF{Resolved: res, Dither: clip.None}, inputs(t, r.frames))).loop; got != want {
			t.Errorf("%d: %d, want %d", loop, got, want)
		}
	}
}

// ops returns all formats that need no other program.
func ops(r clip.Resolved, strip bool) map[string]eligen.Op {
	return map[string]eligen.Op{
		"GIF":  clip.GIF{Resolved: r, Dither: clip.FloydSteinberg, Strip: strip},
		"APNG": clip.APNG{Resolved: r, Strip: strip},
		"WebP": clip.WebP{Resolved: r, Strip: strip},
	}
}

// TestMetadata: a clip says how it was made, is known again, and has the same bytes
// whenever it is made. A byte that changed, anywhere, is noticed.
func TestMetadata(t *testing.T) {
	r := reels()[0]
	in := inputs(t, r.frames)
	for name, op := range ops(r.resolved(), false) {
		data := run(t, op, in)
		if !bytes.Equal(data, run(t, op, in)) {
			t.Errorf("%s: the same recipe made other bytes", name)
		}
		told(t, name, data, r.resolved())
		if stripped := run(t, ops(r.resolved(), true)[name], in); !clip.Untouched(bytes.NewReader(stripped)) {
			t.Errorf("%s: it is not recognised without metadata", name)
		} else if _, err := clip.Metadata(bytes.NewReader(stripped)); err != clip.ErrNoMetadata {
			t.Errorf("%s: without metadata: %v", name, err)
		}
	}
}

func told(t *testing.T, name string, data []byte, want clip.Resolved) {
	t.Helper()
	got, err := clip.Metadata(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b json.RawMessage) bool {
		var x, y any
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
	})); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
	if !clip.Untouched(bytes.NewReader(data)) {
		t.Errorf("%s: it is not recognised", name)
	}
	for i := 0; i < len(data); i += 1 + len(data)/500 {
		damaged := slices.Clone(data)
		damaged[i] ^= 0x41
		if clip.Untouched(bytes.NewReader(damaged)) {
			t.Errorf("%s: byte %d is another, and it is still recognised", name, i)
		}
		_, _ = clip.Metadata(bytes.NewReader(damaged)) // right, refused, or about what was changed; never a panic
		_, _ = clip.Metadata(bytes.NewReader(data[:i]))
	}
}

// TestNotAClip: what is something else is said to be, and what says nothing too.
func TestNotAClip(t *testing.T) {
	var pic, foreign bytes.Buffer
	if err := png.Encode(&pic, flat(16, 16, 0)); err != nil {
		t.Fatal(err)
	}
	if err := gif.Encode(&foreign, flat(16, 16, 0), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, clip.ErrNotClip},
		{"a scene", []byte(`render "a" {}`), clip.ErrNotClip},
		{"a PNG that doesn't move", pic.Bytes(), clip.ErrNotClip},
		{"somebody else's GIF", foreign.Bytes(), clip.ErrNoMetadata},
		{"an MP4 of one box", []byte("\x00\x00\x00\x0cftypisom"), clip.ErrNoMetadata},
		{"a WebM of nothing", []byte("\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x80"), clip.ErrNoMetadata},
	} {
		if _, err := clip.Metadata(bytes.NewReader(c.data)); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if clip.Untouched(bytes.NewReader(c.data)) {
			t.Errorf("%s is recognised as a clip of ours", c.name)
		}
	}
}

// TestTransparentFrames: a clip has frames as they are seen over its background.
func TestTransparentFrames(t *testing.T) {
	reel := reels()[0]
	hole, filled := clone(reel.frames[1]), clone(reel.frames[1])
	copy(hole.Pix, []uint8{200, 100, 50, 0, 200, 100, 50, 51})
	copy(filled.Pix, []uint8{0, 255, 0, 255, 40, 224, 10, 255})
	r := reel.resolved()
	r.Background = "#00ff00"
	write := func(op eligen.Op, frame *image.NRGBA) []byte {
		frames := slices.Clone(reel.frames)
		frames[1] = frame
		var out bytes.Buffer
		if err := op.Run(t.Context(), &eligen.Call{Inputs: inputs(t, frames), Out: &out, Step: func(int, int) {}}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, op := range ops(r, false) {
		if !bytes.Equal(write(op, hole), write(op, filled)) {
			t.Errorf("%s: transparent pixels are not those of the background", name)
		}
	}
}

// TestRefused: what can't be a clip is refused with the reason.
func TestRefused(t *testing.T) {
	good := reels()[0]
	in := inputs(t, good.frames)
	other := slices.Clone(in)
	other[3] = inputs(t, []*image.NRGBA{flat(64, 48, 0)})[0]
	broken := slices.Clone(in)
	broken[1].Data = broken[1].Data[:100]
	with := func(change func(*clip.Resolved)) clip.Resolved {
		r := good.resolved()
		change(&r)
		return r
	}
	for _, c := range []struct {
		want string
		r    clip.Resolved
		in   []eligen.Artifact
	}{
		{"at least one", with(func(r *clip.Resolved) { r.Frames = 0 }), nil},
		{"5 pictures for a clip of 6 frames", good.resolved(), in[:5]},
		{"frame 3 has 64×48 pixels instead of 96×64", good.resolved(), other},
		{"frame 1 can't be read", good.resolved(), broken},
		{"fps is 0", with(func(r *clip.Resolved) { r.FPS = 0 }), in},
		{"fps is NaN", with(func(r *clip.Resolved) { r.FPS = math.NaN() }), in},
		{"fps is +Inf", with(func(r *clip.Resolved) { r.FPS = math.Inf(1) }), in},
		{"-1 times", with(func(r *clip.Resolved) { r.Loop = -1 }), in},
		{"0×64 pixels", with(func(r *clip.Resolved) { r.Size.W = 0 }), in},
	} {
		for name, op := range ops(c.r, false) {
			err := op.Run(t.Context(), &eligen.Call{Inputs: c.in, Out: new(bytes.Buffer), Step: func(int, int) {}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want an error with %q", name, err, c.want)
			}
		}
	}
	for want, op := range map[string]interface{ Check() error }{
		"at most 50 frames":   clip.GIF{Resolved: with(func(r *clip.Resolved) { r.FPS = 60 }), Dither: clip.None},
		`no dither "random"`:  clip.GIF{Resolved: good.resolved(), Dither: "random"},
		"at most 16384":       clip.WebP{Resolved: with(func(r *clip.Resolved) { r.Size.W = 20_000 })},
		"sides are even":      clip.Video{Resolved: with(func(r *clip.Resolved) { r.Size.W = 33 }), Format: clip.MP4},
		`video format "flv"`:  clip.Video{Resolved: good.resolved(), Format: "flv"},
		"it must be from 0.1": clip.APNG{Resolved: with(func(r *clip.Resolved) { r.FPS = 0 })},
	} {
		if err := op.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
}

// TestInterrupted: a clip that is no longer wanted is not finished.
func TestInterrupted(t *testing.T) {
	r := reels()[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, op := range ops(r.resolved(), false) {
		if err := op.Run(ctx,
			&eligen.Call{Inputs: inputs(t, r.frames), Out: new(bytes.Buffer), Step: func(int, int) {}}); err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoFFmpeg: what is missing is named.
func TestNoFFmpeg(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := clip.Available(clip.MP4); err == nil || !strings.Contains(err.Error(), "there is none in PATH") {
		t.Errorf("Available: %v", err)
	}
}

// TestVideo has ffmpeg read what ffmpeg wrote.
func TestVideo(t *testing.T) {
	for _, format := range []string{clip.MP4, clip.WebM} {
		t.Run(format, func(t *testing.T) {
			version, err := clip.Available(format)
			if err != nil {
				t.Skip(err)
			}
			r := reels()[0]
			in := inputs(t, r.frames)
			op := clip.Video{Resolved: r.resolved(), Format: format, FFmpeg: version}
			data := run(t, op, in)
			if !bytes.Equal(data, run(t, op, in)) {
				t.Error("the same recipe made other bytes")
			}
			told(t, format, data, r.resolved())
			name := filepath.Join(t.TempDir(), "clip")
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			raw, err := exec.CommandContext(t.Context(), "ffmpeg", "-loglevel", "warning", "-i", name, "-f", "rawvideo",
				"-pix_fmt", "rgba", "pipe:1").Output()
			if err != nil {
				t.Fatal(err)
			}
			const w, h = 96, 64
			if len(raw) != 4*w*h*len(r.frames) {
				t.Fatalf("%d bytes are read", len(raw))
			}
			worst := math.Inf(1)
			for i, f := range r.frames {
				got := &image.NRGBA{Pix: raw[4*w*h*i:][:4*w*h], Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
				worst = min(worst, psnr(f, got))
			}
			if worst < 30 {
				t.Errorf("%.2f dB", worst)
			}
			t.Logf("%d bytes, %.2f dB", len(data), worst)
			op.FFmpeg = "0.1"
			if err := op.Run(t.Context(),
				&eligen.Call{Inputs: in, Out: new(bytes.Buffer), Step: func(int, int) {}}); err == nil ||
				!strings.Contains(err.Error(), "plan again") {
				t.Errorf("another ffmpeg: %v", err)
			}
			op.FFmpeg = version
			err = op.Run(
				t.Context(),
				&eligen.Call{
					Inputs: append(in[:5:5], inputs(t, []*image.NRGBA{flat(64, 48, 0)})...),
					Out:    new(bytes.Buffer),
					Step:   func(int, int) {},
				},
			)
			if err == nil || !strings.Contains(err.Error(), "frame 5 has 64×48") {
				t.Errorf("a frame of another size: %v", err)
			}
		})
	}
}
