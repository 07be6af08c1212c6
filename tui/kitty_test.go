package tui

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

// counting is the diacritics that count rows and columns, from 0, as the protocol's
// document lists them; the first of them are enough here.
var counting = func() []rune {
	var out []rune
	for _, r := range [][2]rune{
		{0x305, 0x305}, {0x30d, 0x30e}, {0x310, 0x310}, {0x312, 0x312}, {0x33d, 0x33f}, {0x346, 0x346}, {0x34a, 0x34c},
		{0x350, 0x352}, {0x357, 0x357}, {0x35b, 0x35b}, {0x363, 0x36f}, {0x483, 0x487}, {0x592, 0x595}, {0x597, 0x599},
		{0x59c, 0x5a1}, {0x5a8, 0x5a9}, {0x5ab, 0x5ac}, {0x5af, 0x5af}, {0x5c4, 0x5c4}, {0x610, 0x617}, {0x657, 0x65b}, {0x65d, 0x65e},
	} {
		for c := r[0]; c <= r[1]; c++ {
			out = append(out, c)
		}
	}
	return out
}()

// A terminal is as much of one as is needed to see what a kitty would: a grid of cells,
// and pictures that virtual placements lay over the cells that stand for them. It shares
// nothing with what is tested, and what it doesn't know it complains of.
type terminal struct {
	t             *testing.T
	width, height int
	x, y          int
	pen           pen
	cells         []cell
	pictures      map[int]*placed
	chunks        string // of a picture that is being sent
	control       map[string]string
	top, bottom   int  // rows that scroll
	alt           bool // it shows the screen that programs have for themselves
	last          cell // for "again"
	most          int  // chunks that a picture came in
	count         int  // of the one at hand
	forgetful     bool // placeholders may stand for what is not there any more

	mu      sync.Mutex
	until   func() bool
	reached chan struct{}
}

type pen struct{ fg string }

type cell struct {
	text string
	pen
}

type placed struct {
	img           image.Image
	columns, rows int
}

func newTerminal(t *testing.T, width, height int) *terminal {
	s := &terminal{t: t, width: width, height: height, bottom: height, pictures: map[int]*placed{}}
	s.erase(0, width*height)
	return s
}

func (s *terminal) erase(from, to int) {
	if s.cells == nil {
		s.cells = make([]cell, s.width*s.height)
	}
	for i := max(0, from); i < min(to, len(s.cells)); i++ {
		s.cells[i] = cell{text: " "}
	}
}

// write takes what a program writes.
func (s *terminal) write(data string) {
	s.t.Helper()
	for data != "" {
		switch {
		case strings.HasPrefix(data, "\x1b_"):
			body, rest, ok := strings.Cut(data[2:], "\x1b\\")
			if !ok {
				s.t.Errorf("an APC without an end: %.80q", data)
			}
			if !strings.HasPrefix(body, "G") {
				s.t.Errorf("an APC that is none of graphics: %.80q", data)
			}
			s.graphics(body[1:])
			data = rest
		case strings.HasPrefix(data, "\x1b]"), strings.HasPrefix(data, "\x1bP"):
			end := strings.Index(data, "\x1b\\") + 1
			if bell := strings.IndexByte(data, '\a'); bell >= 0 && (end == 0 || bell < end) {
				end = bell
			}
			data = data[end+1:]
		case strings.HasPrefix(data, "\x1b["):
			n := 2
			for data[n] < '@' || data[n] > '~' {
				n++
			}
			s.csi(data[2:n], data[n])
			data = data[n+1:]
		case strings.HasPrefix(data, "\x1b"):
			if !strings.ContainsRune("78=>HcM", rune(data[1])) {
				s.t.Errorf("unknown: %.20q", data)
			}
			data = data[2:]
		default:
			r, n := utf8.DecodeRuneInString(data)
			s.print(r)
			data = data[n:]
		}
	}
}

func (s *terminal) print(r rune) {
	switch {
	case r == '\r':
		s.x = 0
	case r == '\n': // the line discipline makes a return of it too, where no keys are read
		s.x, s.y = 0, s.y+1
	case r == '\b':
		s.x--
	case r == '\t':
		s.x = (s.x/8 + 1) * 8
	case slices.Contains(counting, r):
		if s.x > 0 {
			s.cells[s.y*s.width+s.x-1].text += string(r)
			s.last = s.cells[s.y*s.width+s.x-1]
		}
	case r < 0x20 || r == 0x7f:
		s.t.Errorf("control character %q", r)
	default:
		if s.x >= s.width {
			s.x, s.y = 0, s.y+1
		}
		if s.y >= s.height {
			s.t.Errorf("%q is written below the screen", r)
			s.y = s.height - 1
		}
		s.last = cell{string(r), s.pen}
		s.cells[s.y*s.width+s.x] = s.last
		s.x++
	}
}

func (s *terminal) csi(params string, kind byte) {
	if strings.HasPrefix(params, "?") {
		if strings.TrimPrefix(params, "?") == "1049" {
			if s.alt = kind == 'h'; !s.alt && len(s.pictures) > 0 {
				s.t.Errorf("%d pictures are left behind", len(s.pictures))
			}
			clear(s.pictures) // kitty's alternate screen begins without any
		}
		return
	}
	if strings.ContainsAny(params, "<=>!$ ") {
		return // of the keyboard, and questions
	}
	var numbers []int
	for p := range strings.SplitSeq(params, ";") {
		p, _, _ = strings.Cut(p, ":")
		n, _ := strconv.Atoi(p)
		numbers = append(numbers, n)
	}
	at := func(i int) int {
		if i < len(numbers) && numbers[i] > 0 {
			return numbers[i]
		}
		return 1
	}
	here := s.y*s.width + s.x
	switch kind {
	case 'm':
		for i := 0; i < len(numbers); i++ {
			switch n := numbers[i]; {
			case n == 0 || n == 39:
				s.pen = pen{}
			case (n == 38 || n == 48) && i+2 < len(numbers):
				size := map[int]int{5: 2, 2: 4}[numbers[i+1]]
				if n == 38 {
					s.pen.fg = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers[i+1:i+1+size])), ";"), "[]")
				}
				i += size
			case n >= 30 && n < 38 || n >= 90 && n < 98:
				s.pen.fg = "named"
			}
		}
	case 'H', 'f':
		s.y, s.x = at(0)-1, at(1)-1
	case 'A':
		s.y -= at(0)
	case 'B':
		s.y += at(0)
	case 'C':
		s.x += at(0)
	case 'D':
		s.x -= at(0)
	case 'G', '`':
		s.x = at(0) - 1
	case 'd':
		s.y = at(0) - 1
	case 'X':
		s.erase(here, here+at(0))
	case 'K':
		s.erase(map[int]int{0: here, 1: s.y * s.width, 2: s.y * s.width}[numbers[0]],
			map[int]int{0: (s.y + 1) * s.width, 1: here + 1, 2: (s.y + 1) * s.width}[numbers[0]])
	case 'J':
		s.erase(map[int]int{0: here}[numbers[0]], map[int]int{0: len(s.cells), 1: here + 1, 2: len(s.cells), 3: 0}[numbers[0]])
	case 'b':
		for range at(0) {
			s.cells[s.y*s.width+s.x] = s.last
			s.x++
		}
	case 'r':
		s.top, s.bottom, s.x, s.y = at(0)-1, s.height, 0, 0
		if len(numbers) > 1 {
			s.bottom = at(1)
		}
	case 'S', 'T':
		from, to, n := s.top*s.width, s.bottom*s.width, at(0)*s.width
		if kind == 'S' {
			copy(s.cells[from:to], s.cells[from+n:to])
			s.erase(to-n, to)
		} else {
			copy(s.cells[from+n:to], s.cells[from:to-n])
			s.erase(from, from+n)
		}
	case 'h', 'l', 'n', 'c', 't', 'u', 'q':
	default:
		s.t.Errorf("unknown: CSI %s%c", params, kind)
	}
}

// graphics takes a command of the protocol.
func (s *terminal) graphics(body string) {
	keys, payload, _ := strings.Cut(body, ";")
	control := map[string]string{}
	for kv := range strings.SplitSeq(keys, ",") {
		k, v, _ := strings.Cut(kv, "=")
		control[k] = v
	}
	if control["q"] != "2" {
		s.t.Errorf("%q asks for an answer, which would arrive as keys", keys)
	}
	if !s.alt {
		s.t.Errorf("%q is for a screen that is not there", keys)
	}
	if control["a"] == "d" {
		if control["d"] != "I" {
			s.t.Errorf("%q leaves the picture's data with the terminal", keys)
		}
		id, _ := strconv.Atoi(control["i"])
		delete(s.pictures, id)
		return
	}
	if s.control == nil {
		s.control = control
	} else {
		for k := range control {
			if k != "m" && k != "q" {
				s.t.Errorf("%q: a chunk that is not the first has m and q, and no more", keys)
			}
		}
	}
	if len(payload) > 4096 || control["m"] == "1" && len(payload)%4 != 0 {
		s.t.Errorf("a chunk of %d bytes", len(payload))
	}
	s.chunks += payload
	s.count++
	s.most = max(s.most, s.count)
	if control["m"] == "1" {
		return
	}
	c := s.control
	data, err := base64.StdEncoding.DecodeString(s.chunks)
	s.control, s.chunks, s.count = nil, "", 0
	if err != nil {
		s.t.Error(err)
	}
	if c["a"] != "T" || c["U"] != "1" || c["f"] != "100" || c["t"] != "" && c["t"] != "d" {
		s.t.Errorf("%v is no PNG with a virtual placement", c)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		s.t.Error(err)
	}
	id, _ := strconv.Atoi(c["i"])
	p := &placed{img: img}
	p.columns, _ = strconv.Atoi(c["c"])
	p.rows, _ = strconv.Atoi(c["r"])
	if id < 16 || id > 255 || p.columns < 1 || p.rows < 1 {
		s.t.Errorf("%v: the colour of a cell can't say which picture", c)
	}
	s.pictures[id] = p
}

// see returns what a person sees, in cells of w×h pixels, text in black, and where the
// pictures are.
func (s *terminal) see(w, h int) (*image.NRGBA, image.Rectangle) {
	out := image.NewNRGBA(image.Rect(0, 0, s.width*w, s.height*h))
	var where image.Rectangle
	for i, c := range s.cells {
		r := []rune(c.text)
		if r[0] != '\U0010eeee' {
			continue
		}
		id, err := strconv.Atoi(strings.TrimPrefix(c.fg, "5;"))
		p := s.pictures[id]
		if p == nil && s.forgetful {
			continue
		}
		if err != nil {
			s.t.Errorf("cell %d, %d stands for no picture: %q", i%s.width, i/s.width, c.fg)
		}
		if p == nil { // its data may be behind the cells, in the same write; who waits for it says if it never comes
			return out, image.Rectangle{}
		}
		if len(r) != 3 {
			s.t.Errorf("cell %d, %d: %q", i%s.width, i/s.width, c.text)
		}
		row, column := slices.Index(counting, r[1]), slices.Index(counting, r[2])
		if row < 0 || column < 0 || row >= p.rows || column >= p.columns {
			s.t.Errorf("row %d, column %d of a picture of %d by %d", row, column, p.rows, p.columns)
		}
		at := image.Pt(i%s.width*w, i/s.width*h)
		where = where.Union(image.Rectangle{at, at.Add(image.Pt(w, h))})
		b := p.img.Bounds()
		for y := range h {
			for x := range w {
				out.Set(at.X+x, at.Y+y, p.img.At(b.Min.X+(column*w+x)*b.Dx()/(p.columns*w), b.Min.Y+(row*h+y)*b.Dy()/(p.rows*h)))
			}
		}
	}
	return out, where
}

// text returns the screen's cells as text.
func (s *terminal) text() string {
	var b strings.Builder
	for i, c := range s.cells {
		if strings.HasPrefix(c.text, "\U0010eeee") {
			c.text = "#"
		}
		b.WriteString(c.text)
		if i%s.width == s.width-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Write takes what the program writes, and says so to whoever waits.
func (s *terminal) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(string(data))
	if s.until != nil && s.until() {
		s.until = nil
		close(s.reached)
	}
	return len(data), nil
}

// wait waits until something holds, which is asked whenever the program has written.
func (s *terminal) wait(what string, until func() bool) {
	s.t.Helper()
	s.mu.Lock()
	reached := make(chan struct{})
	s.until, s.reached = until, reached
	if until() {
		s.until = nil
		close(reached)
	}
	s.mu.Unlock()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.t.Fatalf("%s: in vain\n%s", what, s.text())
	}
}

// quarters returns a picture of four colours, with a stripe that doesn't compress, so that it
// takes many chunks.
func quarters() (*image.NRGBA, [4]color.NRGBA) {
	colours := [4]color.NRGBA{{200, 30, 40, 255}, {20, 160, 60, 255}, {40, 60, 210, 255}, {230, 200, 30, 255}}
	img := image.NewNRGBA(image.Rect(0, 0, 256, 256))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range 256 {
		for x := range 256 {
			c := colours[x/128+y/128*2]
			if y >= 96 && y < 160 {
				c = color.NRGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img, colours
}

// TestKittyPixels runs the screen as a program, reads all that it writes as a terminal
// with the graphics protocol does, and finds the frame's pixels where they belong.
func TestKittyPixels(t *testing.T) {
	const width, height = 100, 40
	picture, colours := quarters()
	s := shown("LANG=C.UTF-8 TERM=xterm-kitty", width, height)
	s.o.Picture = func(eligen.Artifact) (image.Image, error) { return picture, nil }
	screen := newTerminal(t, width, height)
	p := tea.NewProgram(s, tea.WithInput(nil), tea.WithOutput(screen), tea.WithoutSignalHandler(), tea.WithWindowSize(width, height),
		tea.WithEnvironment([]string{"TERM=xterm-kitty", "COLORTERM=truecolor", "CLICOLOR_FORCE=1"}))
	ended := make(chan error, 1)
	go func() {
		_, err := p.Run()
		ended <- err
	}()

	layout := leap().Layouts[0]
	p.Send(news{items: []any{leap()}})
	p.Send(news{items: []any{eligen.Event{Type: eligen.Done, Stage: "render.clip.frame[0].decode", Artifact: &eligen.Artifact{}}}})

	// shows reports whether the canvas is on the screen, pixel for pixel, but where names
	// are.
	shows := func(c canvas) func() bool {
		return func() bool {
			seen, where := screen.see(cellWidth, cellHeight)
			if where.Empty() {
				return false
			}
			want := c.image(where.Dx(), where.Dy(), drawing.Width(min(where.Dx(), where.Dy())))
			for y := range where.Dy() {
				for x := range where.Dx() {
					at := where.Min.Add(image.Pt(x, y))
					if strings.HasPrefix(screen.cells[at.Y/cellHeight*width+at.X/cellWidth].text, "\U0010eeee") &&
						seen.NRGBAAt(at.X, at.Y) != want.NRGBAAt(x, y) {
						return false
					}
				}
			}
			return true
		}
	}
	withRegions := canvas{size: layout.Size, entities: layout.Entities, regions: true, picture: picture}
	screen.wait("the picture with regions", shows(withRegions))
	if text := screen.text(); !strings.Contains(text, "frame 0 of 24") || !strings.Contains(text, "A cat") {
		t.Errorf("around the picture:\n%s", text)
	}

	// Without regions it is the picture alone: its four colours are where they were put.
	p.Send(pressed("r"))
	screen.wait("the picture alone", shows(canvas{size: layout.Size, picture: picture}))
	screen.mu.Lock()
	seen, where := screen.see(cellWidth, cellHeight)
	if d := where.Dx() - where.Dy(); d > cellWidth || d < -cellWidth {
		t.Errorf("a square picture takes %v pixels", where.Size())
	}
	for i, want := range colours {
		at := where.Min.Add(image.Pt(where.Dx()*(1+i%2*2)/4, where.Dy()*(1+i/2*6)/8))
		if got := seen.NRGBAAt(at.X, at.Y); got != want {
			t.Errorf("quarter %d: %v, want %v", i, got, want)
		}
	}
	if screen.most < 5 {
		t.Errorf("the picture came in %d chunks", screen.most)
	}
	if len(screen.pictures) > 2 {
		t.Errorf("the terminal keeps %d pictures", len(screen.pictures))
	}
	screen.mu.Unlock()

	// Help is text where the picture was; then it is there again.
	p.Send(pressed("?"))
	screen.wait("help", func() bool {
		_, where := screen.see(1, 1)
		return where.Empty() && strings.Contains(screen.text(), "play the frames, stop")
	})
	p.Send(pressed("?"))
	screen.wait("the picture again", shows(canvas{size: layout.Size, picture: picture}))

	// A terminal forgets the pictures of a screen that was left for the shell's.
	screen.mu.Lock()
	clear(screen.pictures)
	screen.forgetful = true
	screen.mu.Unlock()
	p.Send(tea.ResumeMsg{})
	screen.wait("the picture after a pause", func() bool {
		return len(screen.pictures) > 0 &&
			shows(canvas{size: layout.Size, picture: picture})()
	})

	// The end leaves nothing.
	p.Send(pressed("q"))
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if screen.alt {
		t.Error("the terminal is not given back")
	}
}
