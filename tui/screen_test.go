package tui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
	"github.com/eligen/eligen/internal/page"
)

// Environments of terminals.
const (
	colourful = "LANG=en_US.UTF-8 TERM=xterm-256color"
	colorless = "LANG=en_US.UTF-8 TERM=xterm-256color NO_COLOR=1"
	asciiOnly = "LC_ALL=C TERM=xterm NO_COLOR=1"
)

// shown returns a screen of a terminal, without a terminal: Update and View are all there
// is to it.
func shown(env string, width, height int) *screen {
	s := newScreen(Options{
		Env: environment(env),
		Layout: func(_ string, recipe json.RawMessage) (l Layout, ok bool) {
			return l, json.Unmarshal(recipe, &l) == nil
		},
		Picture: func(eligen.Artifact) (image.Image, error) { return sunset(), nil },
		Number:  func(eligen.Artifact) (float64, error) { return 0.71, nil },
	}, true)
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// sunset returns a picture: dark at the bottom, a sun in the middle.
func sunset() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, 64, 48))
	for y := range 48 {
		for x := range 64 {
			img.SetNRGBA(x, y, color.NRGBA{uint8(200 - 3*y), uint8(120 - 2*y), 90, 255})
			if (x-32)*(x-32)+(y-24)*(y-24) < 100 {
				img.SetNRGBA(x, y, color.NRGBA{255, 240, 160, 255})
			}
		}
	}
	return img
}

// run returns the recorded run up to an event.
func (s *screen) run(t *testing.T, seq int, wait time.Duration) *screen {
	t.Helper()
	return s.hears(recorded(t), seq, wait)
}

// hears takes events up to one.
func (s *screen) hears(events []eligen.Event, seq int, wait time.Duration) *screen {
	n := news{}
	for _, e := range events {
		if e.Seq <= seq {
			n.items, n.now = append(n.items, e), e.Time.Add(wait)
		}
	}
	do(s, n)
	return s
}

// do runs Update, and the commands that it returns.
func do(s *screen, msg tea.Msg) {
	_, cmd := s.Update(msg)
	follow(s, cmd)
}

func follow(s *screen, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			follow(s, c)
		}
	case loaded, sent, drawable:
		do(s, msg)
	}
}

func pressed(code string) tea.KeyPressMsg {
	k := tea.Key{}
	for {
		rest, ok := strings.CutPrefix(code, "shift+")
		if ok {
			k.Mod |= tea.ModShift
		} else if rest, ok = strings.CutPrefix(code, "ctrl+"); ok {
			k.Mod |= tea.ModCtrl
		} else {
			break
		}
		code = rest
	}
	named := map[string]rune{
		"left": tea.KeyLeft, "right": tea.KeyRight, "up": tea.KeyUp, "down": tea.KeyDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		"tab": tea.KeyTab, "space": tea.KeySpace, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "esc": tea.KeyEscape,
	}
	if r, ok := named[code]; ok {
		k.Code = r
	} else {
		k.Code = []rune(code)[0]
		if k.Mod == 0 {
			k.Text = code
		}
	}
	return tea.KeyPressMsg(k)
}

// leap returns a scene with a clip of 24 frames and a still.
func leap() Shown {
	cat := eligen.Box(0.05, 0.5, 0.35, 0.9)
	at := func(x, y float64) eligen.Value { return eligen.Value{Region: eligen.Box(x, y, x+0.3, y+0.4)} }
	return Shown{Scene: "leap.hcl", Engine: "paint/0.1.0", Layouts: []Layout{
		{
			Render: "render.clip", Size: eligen.Size{W: 256, H: 256}, Prompt: "a courtyard",
			Entities: []eligen.Entity{
				{Address: "entity.cat", Prompt: "a ginger tabby cat, mid-leap", Region: cat},
				{Address: "entity.bird", Prompt: "a swallow", Region: eligen.Region{Kind: "ellipse", Numbers: []float64{0.7, 0.2, 0.12, 0.08}}},
			},
			Timeline: &eligen.Timeline{Name: "leap", Address: "timeline.leap", Frames: 24, FPS: 12, Tracks: []eligen.Track{
				{Target: eligen.Target{Block: "entity.cat", Attribute: "box"}, Keys: []eligen.Key{
					{Frame: 0, Value: at(0.05, 0.5), Ease: eligen.Ease{Kind: "cubic-in-out"}},
					{Frame: 14, Value: at(0.45, 0.2), Ease: eligen.Ease{Kind: "bounce-out"}},
					{Frame: 23, Value: at(0.6, 0.5)},
				}},
				{Target: eligen.Target{Block: "entity.bird", Attribute: "center"}, Path: &eligen.Path{Points: []float64{0.7, 0.2, 0.3, 0.3}},
					Ease: eligen.Ease{Kind: "sine-in-out"}},
			}},
		},
		{Render: "render.poster", Size: eligen.Size{W: 512, H: 256},
			Entities: []eligen.Entity{{Address: "entity.cat", Prompt: "a cat", Region: cat}}},
	}}
}

// TestScreen draws the recorded run, as the moments of TestView.
func TestScreen(t *testing.T) {
	for _, c := range []struct {
		name, env     string
		width, height int
	}{
		{"40", colorless, 40, 12},
		{"80", colorless, 80, 24},
		{"120", colorless, 120, 40},
		{"80-colour", colourful, 80, 24},
		{"80-ascii", asciiOnly, 80, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			for _, m := range moments {
				s := shown(c.env, c.width, c.height).run(t, m.seq, m.wait)
				fmt.Fprintf(&b, "=== %s\n%s\n", m.name, s)
			}
			clip := shown(c.env, c.width, c.height)
			do(clip, news{items: []any{leap()}})
			for range 9 {
				do(clip, pressed("right"))
			}
			fmt.Fprintf(&b, "=== a clip, frame 9\n%s\n", clip)
			for _, m := range []struct {
				name string
				seq  int
				wait time.Duration
				keys []string
			}{
				{"a clip's run: the model is compiled", 30, 5 * time.Second, nil},
				{"a clip's run: frame 2", 55, 20 * time.Millisecond, nil},
				{"a clip's run: somebody looks at frame 1", 68, 0, []string{"left", "down"}},
				{"a clip's run: the end", 1000, 0, []string{"home"}},
			} {
				s := shown(c.env, c.width, c.height).hears(recordedClip(t), m.seq, m.wait)
				for _, k := range m.keys {
					do(s, pressed(k))
				}
				fmt.Fprintf(&b, "=== %s\n%s\n", m.name, s)
			}
			golden(t, "screen-"+c.name+".txt", b.String())
		})
	}
}

// TestNothingOverflows: whatever the size of the terminal, no line is wider and none
// too many; without colour there are no escapes, without Unicode nothing but ASCII.
func TestNothingOverflows(t *testing.T) {
	sizes := [][2]int{{1, 1}, {20, 5}, {39, 40}, {200, 11}}
	for w := 40; w < 200; w += 19 {
		for _, h := range []int{12, 15, 16, 24, 37, 60} {
			sizes = append(sizes, [2]int{w, h})
		}
	}
	sizes = append(sizes, [2]int{200, 60})
	long := leap()
	long.Problems = eligen.Diagnostics{{Severity: eligen.Error, Summary: "Unknown entity",
		Detail: strings.Repeat("There is no such entity. ", 20),
		Source: &eligen.Source{File: "scene.hcl", Line: 3, Code: "\tentity.鳥 = " + strings.Repeat("x", 300), Start: 1, End: 200}}}
	long.Layouts[0].Entities[0].Prompt = "鳥\x1b[2J in\r\n a tree" + strings.Repeat("鳥 ", 200)
	for _, env := range []string{colourful, colorless, asciiOnly, "LC_ALL=C", "LANG=C.UTF-8 TERM=xterm-kitty"} {
		for _, size := range sizes {
			s := shown(env, size[0], size[1]).run(t, 1000, 0)
			clip := shown(env, size[0], size[1])
			do(clip, news{items: []any{long}})
			for _, s := range []*screen{s, clip} {
				for range 2 { // the second time with help
					text := s.String()
					lines := strings.Split(text, "\n")
					if len(lines) > size[1] {
						t.Fatalf("%s at %v: %d lines", env, size, len(lines))
					}
					for _, l := range lines {
						if w := lipgloss.Width(l); w > size[0] {
							t.Fatalf("%s at %v: a line of %d cells: %q", env, size, w, l)
						}
					}
					if strings.Contains(env, "NO_COLOR") && strings.Contains(text, "\x1b") {
						t.Fatalf("%s: escapes", env)
					}
					if strings.Contains(text, "\x1b[2J") {
						t.Fatalf("%s: a prompt's escape reaches the terminal", env)
					}
					if strings.Contains(env, "LC_ALL=C") && strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
						t.Fatalf("%s: not ASCII: %s", env, text)
					}
					do(s, pressed("?"))
				}
			}
		}
	}
}

// TestKeys: each key that help lists does what it says.
func TestKeys(t *testing.T) {
	cases := map[string]struct {
		first  []string // keys before it
		sees   string   // afterwards on the screen
		misses string
		check  func(s *screen, cmd tea.Cmd) bool
	}{
		"left":        {first: []string{"end"}, sees: "frame 22 of 24"},
		"h":           {first: []string{"end"}, sees: "frame 22 of 24"},
		"right":       {sees: "frame 1 of 24"},
		"l":           {sees: "frame 1 of 24"},
		"shift+left":  {first: []string{"end"}, sees: "frame 13 of 24"},
		"H":           {first: []string{"end"}, sees: "frame 13 of 24"},
		"shift+right": {sees: "frame 10 of 24"},
		"L":           {sees: "frame 10 of 24"},
		"home":        {first: []string{"end"}, sees: "frame 0 of 24"},
		"end":         {sees: "frame 23 of 24"},
		"up":          {sees: "▸ B bird"},
		"k":           {sees: "▸ B bird"},
		"down":        {sees: "▸ B bird"},
		"j":           {first: []string{"down"}, sees: "▸ A cat"},
		"tab":         {sees: "render.poster (2 of 2)"},
		"shift+tab":   {first: []string{"tab"}, sees: "render.clip (1 of 2)"},
		"space":       {sees: "▶ playing"},
		"o":           {first: []string{"right", "right", "right"}, sees: "'''"},
		"r":           {misses: "aaa"},
		"p":           {first: []string{"r"}, misses: "%%"},
		"pgup":        {sees: "more below"},
		"pgdown":      {first: []string{"pgup"}, misses: "more below"},
		"?":           {sees: "play the frames, stop"},
		"ctrl+z": {check: func(_ *screen, cmd tea.Cmd) bool {
			_, ok := cmd().(tea.SuspendMsg)
			return ok
		}},
		"q":      {check: func(s *screen, _ tea.Cmd) bool { return s.left }},
		"ctrl+c": {check: func(s *screen, _ tea.Cmd) bool { return s.left }},
	}
	for _, k := range keys() {
		for _, code := range k.codes {
			t.Run(code, func(t *testing.T) {
				c, ok := cases[code]
				if !ok {
					t.Fatal("this key has no test")
				}
				s := shown(colorless, 100, 30)
				scene := leap()
				scene.Note = strings.Repeat("a line of the log\n", 20)
				do(s, news{items: []any{scene}})
				if code == "p" {
					do(s, news{items: []any{eligen.Event{Type: eligen.Done, Stage: "render.clip.frame[0].decode", Artifact: &eligen.Artifact{}}}})
				}
				for _, f := range c.first {
					do(s, pressed(f))
				}
				before := s.String()
				if got := pressed(code).String(); got != code {
					t.Fatalf("the test presses %q", got)
				}
				_, cmd := s.Update(pressed(code))
				after := s.String()
				switch {
				case c.check != nil:
					if !c.check(s, cmd) {
						t.Error("without effect")
					}
				case c.sees != "" && (strings.Contains(before, c.sees) || !strings.Contains(after, c.sees)):
					t.Errorf("want to see %q, which was not there before\n%s\n%s", c.sees, before, after)
				case c.misses != "" && (!strings.Contains(before, c.misses) || strings.Contains(after, c.misses)):
					t.Errorf("%q should have gone\n%s\n%s", c.misses, before, after)
				}
			})
		}
	}
	s := shown(colorless, 100, 30)
	do(s, news{items: []any{leap(), eligen.Event{Type: eligen.Done, Stage: "render.clip.frame[0].decode", Artifact: &eligen.Artifact{}}}})
	do(s, pressed("?"))
	for _, k := range keys() {
		if help := s.String(); !strings.Contains(help, k.name+" ") || !strings.Contains(help, k.help) {
			t.Errorf("help lacks %q:\n%s", k.name, help)
		}
	}
	do(s, pressed("esc"))
	if strings.Contains(s.String(), "play the frames, stop") {
		t.Error("esc leaves help open")
	}
}

// TestArrow: where nothing moves, the arrows go from render to render.
func TestArrow(t *testing.T) {
	s := shown(colorless, 80, 24)
	scene := leap()
	scene.Layouts[0].Timeline = nil
	do(s, news{items: []any{scene}})
	do(s, pressed("right"))
	if !strings.Contains(s.String(), "render.poster (2 of 2)") {
		t.Errorf("\n%s", s)
	}
}

// TestQuit: q interrupts a run once, and the screen closes when the run has ended; a
// second time it ends the process. Afterwards, and where there is no run, it leaves.
func TestQuit(t *testing.T) {
	for _, code := range []string{"q", "ctrl+c"} {
		calls := 0
		s := shown(colorless, 80, 24)
		s.o.Interrupt = func() { calls++ }
		s.run(t, 28, 0)
		do(s, pressed(code))
		if calls != 1 || s.left || !strings.Contains(s.String(), "Finishing and saving this step") {
			t.Errorf("%s: %d calls, left: %v\n%s", code, calls, s.left, s)
		}
		again := *s
		do(&again, pressed(code))
		if !again.left || !again.abort {
			t.Errorf("%s twice: left %v, abort %v", code, again.left, again.abort)
		}
		do(s, news{over: true})
		if !s.left || s.abort {
			t.Errorf("%s, and the run ended: left %v, abort %v", code, s.left, s.abort)
		}
	}
}

// TestStay: the screen closes with the run, unless somebody is looking at it.
func TestStay(t *testing.T) {
	s := shown(colorless, 80, 24).run(t, 1000, 0)
	do(s, news{over: true})
	if !s.left {
		t.Error("the screen stays, and nobody has touched it")
	}
	s = shown(colorless, 80, 24).run(t, 1000, 0)
	s.o.Interrupt = func() { t.Error("there is nothing to interrupt") }
	do(s, pressed("down"))
	do(s, news{over: true})
	if s.left || !strings.Contains(s.String(), "The run has ended.") {
		t.Errorf("left: %v\n%s", s.left, s)
	}
	do(s, pressed("q"))
	if !s.left {
		t.Error("q does not leave")
	}
}

// TestPictures: a picture is shown when its stage is done, in place of the regions'
// areas, and the canvas goes to it unless somebody has gone elsewhere. (Frame 2 covers the
// image tokens that frame 1 does.)
func TestPictures(t *testing.T) {
	s := shown(colorless, 80, 24)
	do(s, news{items: []any{leap()}})
	done := func(frame int) news {
		stage := fmt.Sprintf("render.clip.frame[%d].", frame)
		made := func(what string) eligen.Event {
			return eligen.Event{Type: eligen.Done, Stage: stage + what, Artifact: &eligen.Artifact{}}
		}
		return news{items: []any{made("decode"), made("still.jpeg"), made("decode.without.entity.cat")}}
	}
	do(s, done(0))
	do(s, done(1))
	if got := s.String(); !strings.Contains(got, "frame 1 of 24") || !strings.Contains(got, "3 of 24 made") || !strings.Contains(got, "%%%") {
		t.Errorf("\n%s", got)
	}
	do(s, pressed("left"))
	do(s, done(2))
	if got := s.String(); !strings.Contains(got, "frame 0 of 24") {
		t.Errorf("the canvas has moved away under somebody's hands\n%s", got)
	}
	// A frame that looks like one before it has no stage of its own.
	still := leap()
	still.Layouts[0].Timeline.Tracks = nil
	do(s, news{items: []any{still}})
	do(s, pressed("end"))
	if got := s.String(); !strings.Contains(got, "%%%") || !strings.Contains(got, "24 of 24 made") {
		t.Errorf("frame 23 looks like frame 2\n%s", got)
	}
}

// TestStepPictures: while a frame is denoised, the canvas shows what each step leads to; then the frame itself. Of
// a render beside a source, the right panel is shown, and of a window nothing.
func TestStepPictures(t *testing.T) {
	s := shown(colorless, 80, 24)
	l := leap()
	do(s, news{items: []any{l}})
	size := l.Layouts[0].Size
	stepped := func(what string, w, h int) news {
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := w / 2; x < w; x++ {
				img.SetNRGBA(x, y, color.NRGBA{uint8(10 * y), 200, 90, 255})
			}
		}
		return news{items: []any{eligen.Event{Type: eligen.Stepped, Stage: "render.clip.frame[3]." + what, Step: 1, Of: 4, Picture: img}}}
	}
	at := frameID{"render.clip", 3}
	do(s, stepped("denoise", size.W/16, size.H/16))
	do(s, stepped("denoise.without.entity.cat", size.W/8, size.H/8))
	if got := s.String(); s.pictures[at] != nil || strings.Contains(got, "frame 3 of 24") {
		t.Errorf("a window's picture is shown as the render's\n%s", got)
	}
	do(s, stepped("denoise", size.W/8, size.H/8))
	if got := s.String(); !strings.Contains(got, "frame 3 of 24") || !strings.Contains(got, "########") {
		t.Errorf("the step's picture isn't shown\n%s", got)
	}
	do(s, stepped("denoise", 2*size.W/8, size.H/8))
	if img := s.pictures[at]; img.Rect.Dx() != size.W/8 || sample(img, 0, 0, 1, 1).G != 200 {
		t.Errorf("of two panels, %v is shown", img.Rect)
	}
	do(s, news{items: []any{eligen.Event{Type: eligen.Done, Stage: "render.clip.frame[3].decode", Artifact: &eligen.Artifact{}}}})
	do(s, stepped("denoise", size.W/8, size.H/8))
	if img := s.pictures[at]; img.Rect.Dx() != 64 {
		t.Errorf("a frame that is made is shown as %v", img.Rect)
	}
}

// TestFromTheStore: a run that took everything from the store shows its pictures, as the
// run that made them did.
func TestFromTheStore(t *testing.T) {
	var cached []eligen.Event
	for _, e := range recordedClip(t) {
		switch e.Type {
		case eligen.Started, eligen.Stepped:
			continue
		case eligen.Done:
			e.Type = eligen.Cached
		}
		cached = append(cached, e)
	}
	s := shown(colorless, 100, 30).hears(cached, 1000, 0)
	for range 4 {
		got := s.String()
		if !strings.Contains(got, "4 of 4 made") || !strings.Contains(got, "%%%") || !strings.Contains(got, "drive · frame") ||
			!strings.Contains(got, "18 of 18") {
			t.Errorf("\n%s", got)
		}
		do(s, pressed("left"))
	}
}

// TestToCome: the picture of a frame that is yet to be made is not that of one before it,
// where their regions are the same and the plan makes both.
func TestToCome(t *testing.T) {
	s := shown(colorless, 80, 24)
	l := leap().Layouts[0]
	l.Timeline.Tracks = nil
	recipe, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	do(s, news{items: []any{
		eligen.Event{Type: eligen.Opened, Time: time.Now()},
		eligen.Event{Type: eligen.Planned, Stage: "render.clip.frame[0].decode"},
		eligen.Event{Type: eligen.Planned, Stage: "render.clip.frame[1].decode"},
		eligen.Event{Type: eligen.Planned, Stage: "render.clip.clip.gif", Definition: recipe},
		eligen.Event{Type: eligen.Done, Stage: "render.clip.frame[0].decode", Artifact: &eligen.Artifact{}},
	}})
	if got := s.String(); !strings.Contains(got, "23 of 24 made") || !strings.Contains(got, "%%%") {
		t.Errorf("\n%s", got)
	}
	do(s, pressed("right"))
	if got := s.String(); !strings.Contains(got, "frame 1 of 24") || strings.Contains(got, "%%%") {
		t.Errorf("\n%s", got)
	}
}

// TestLeft: the first step, before which a model is read and compiled, says nothing of
// how long the others take.
func TestLeft(t *testing.T) {
	for _, c := range []struct {
		seq    int
		stage  string // time left of the stage at hand
		run    time.Duration
		known  bool
		reason string
	}{
		{30, "", 0, false, "nothing is known"},
		{31, "", 0, false, "one step"},
		{36, "0.0 s", 0, false, "most of what is to come has not been seen"},
		{54, "0.4 s", 1500 * time.Millisecond, true, "two frames are done: what they took, without the compiling"},
		{1000, "", 0, false, "nothing is to come"},
	} {
		var p eligen.Progress
		var at *eligen.StageProgress
		for _, e := range recordedClip(t) {
			if e.Seq <= c.seq {
				p.Add(e)
			}
		}
		for i := range p.Stages {
			if s := &p.Stages[i]; s.State == eligen.Stepped || s.State == eligen.Started {
				at = s
			}
		}
		if got := remaining(at, p.Latest); got != c.stage {
			t.Errorf("%s: %q left of the stage, want %q", c.reason, got, c.stage)
		}
		if got, ok := left(&p, p.Latest); ok != c.known || ok && (got < c.run/2 || got > c.run*2) {
			t.Errorf("%s: %v, %v left of the run, want about %v", c.reason, got, ok, c.run)
		}
	}
}

// TestFoot: the last line shows whole keys, however narrow it is and whatever else it says.
func TestFoot(t *testing.T) {
	var whole []string
	for _, k := range keys() {
		whole = append(whole, k.name+" "+k.short)
	}
	for _, said := range []string{"", "The run has ended."} {
		for width := 30; width <= 200; width++ {
			line := (&footLine{said, keys(), Look{}}).View(width)
			if line == said { // no room for more
				continue
			}
			for k := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(line, said), "  "), "  ") {
				if !slices.Contains(whole, k) {
					t.Fatalf("%d columns: %q in %q", width, k, line)
				}
			}
		}
	}
}

// TestLog: a problem takes two lines of a run's log; the code that is to blame is
// written when the screen has closed.
func TestLog(t *testing.T) {
	s := shown(colorless, 100, 24)
	var ds eligen.Diagnostics
	ds.Warnf(&eligen.Source{File: "leap.hcl", Line: 7, Code: "  box = px(1, 2)", Start: 2, End: 5}, "Regions overlap",
		"The cat and the bird\nshare 4 tokens.")
	now := time.Now()
	do(s, news{now: now, items: []any{
		eligen.Event{Type: eligen.Opened, Time: now, Scene: "leap.hcl", Engine: "paint/0.1.0"},
		eligen.Event{Type: eligen.Reported, Time: now, Problem: &ds[0]},
	}})
	got := s.String()
	for _, want := range []string{"Warning: Regions overlap  leap.hcl:7", "  The cat and the bird share 4 tokens."} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q\n%s", want, got)
		}
	}
	if strings.Contains(got, "box = px") {
		t.Errorf("\n%s", got)
	}
	if got := page.Clean(problems(s.progress, 0)); !strings.Contains(got, "box = px") {
		t.Errorf("below: %s", got)
	}
}

// TestQuietEngine: which engine it is stands at the edge of the first line, by version
// and backend; its fingerprint is nowhere on the screen.
func TestQuietEngine(t *testing.T) {
	s := shown(colorless, 120, 40)
	do(s, news{items: []any{eligen.Event{Type: eligen.Opened, Time: time.Now(), Scene: "leap.hcl",
		Engine: "eligen 0.1.0 xla-cpu-ad13 amd64-avx512+simd auto gomlx v0.28.2 go-xla v0.4.2"}, leap().Layouts[0]}})
	first, rest, _ := strings.Cut(s.String(), "\n")
	if !strings.HasSuffix(first, "  eligen 0.1.0 xla-cpu-ad13") || strings.Contains(rest, "xla-cpu") || strings.Contains(s.String(), "gomlx") {
		t.Errorf("\n%s", s)
	}
}

// TestOffered: only keys are offered that do something. A still has no frames to play.
func TestOffered(t *testing.T) {
	foot := func(layouts ...Layout) string {
		s := shown(colorless, 120, 30)
		do(s, news{items: []any{Shown{Layouts: layouts}}})
		do(s, pressed("?"))
		help := s.String()
		for _, k := range s.offered() {
			if !strings.Contains(help, k.help) {
				t.Errorf("help lacks %q", k.help)
			}
		}
		return (&footLine{keys: s.offered()}).View(120)
	}
	clip, still := leap().Layouts[0], leap().Layouts[1]
	for _, c := range []struct{ got, want string }{
		{foot(still), "r regions  ? help  q quit"},
		{foot(still, still), "r regions  ? help  q quit"}, // the same render
		{foot(clip), "←→ frame  ↑↓ entity  space play  o onion skin  r regions  ? help  q quit"},
		{foot(still, clip), "tab render  r regions  ? help  q quit"},
		{foot(), "? help  q quit"},
	} {
		if c.got != c.want {
			t.Errorf("offers %q, want %q", c.got, c.want)
		}
	}
}

// TestMended: mistakes are said as long as the scene has them, and its state is seen
// at a glance.
func TestMended(t *testing.T) {
	s := shown(colorless, 80, 24)
	scene := leap()
	do(s, news{items: []any{scene}})
	if first, _, _ := strings.Cut(s.String(), "\n"); !strings.HasSuffix(first, "✓ valid") {
		t.Errorf("at first: %q", first)
	}
	broken := Shown{Note: "12:00:00 read again"}
	broken.Problems.Errorf(nil, "Unsupported argument", "There is no argument %q.", "promt")
	broken.Problems.Errorf(nil, "Unknown entity", "There is none.")
	do(s, news{items: []any{broken}})
	if got := s.String(); !strings.Contains(got, "✗ 2 errors") || !strings.Contains(got, "Unsupported argument") {
		t.Errorf("broken:\n%s", got)
	}
	warned := leap()
	warned.Problems.Warnf(nil, "Regions overlap", "They do.")
	do(s, news{items: []any{warned}})
	if got := s.String(); !strings.Contains(got, "✓ valid, 1 warning") || !strings.Contains(got, "Regions overlap") ||
		strings.Contains(got, "Unsupported argument") {
		t.Errorf("mended:\n%s", got)
	}
	do(s, news{items: []any{scene}})
	if got := s.String(); strings.Contains(got, "overlap") || !strings.Contains(got, "12:00:00 read again") {
		t.Errorf("without warnings:\n%s", got)
	}
}

// TestLayoutAlone: where no run makes pictures, a clip has frames, and none are counted as
// missing.
func TestLayoutAlone(t *testing.T) {
	s := shown(colorless, 80, 24)
	do(s, news{items: []any{leap()}})
	if got := s.String(); !strings.Contains(got, "\n24 frames ") || strings.Contains(got, "made") {
		t.Errorf("a layout alone:\n%s", got)
	}
	do(s, news{items: []any{eligen.Event{Type: eligen.Opened, Time: time.Now()}}})
	if got := s.String(); !strings.Contains(got, "\n0 of 24 made ") {
		t.Errorf("a run that has begun:\n%s", got)
	}
}

// TestShared: a frame that another one's picture serves is shown with it, and counts as
// made, however far apart they are and however little their regions differ.
func TestShared(t *testing.T) {
	clip := leap().Layouts[0]
	clip.Timeline.Frames, clip.Timeline.Tracks = 4, nil
	clip.Render = "render.again"
	recipe, err := json.Marshal(clip)
	if err != nil {
		t.Fatal(err)
	}
	s := shown(colorless, 80, 24)
	frame := func(n int) string { return fmt.Sprintf("render.again.frame[%d].decode", n) }
	do(s, news{items: []any{
		eligen.Event{Type: eligen.Opened, Time: time.Now()},
		eligen.Event{Type: eligen.Planned, Stage: frame(0)},
		eligen.Event{Type: eligen.Planned, Stage: frame(1)},
		eligen.Event{Type: eligen.Planned, Stage: "render.again.clip.gif", Definition: recipe,
			Inputs: []string{frame(0), frame(1), frame(1), frame(0)}},
		eligen.Event{Type: eligen.Done, Stage: frame(0), Artifact: &eligen.Artifact{}},
	}})
	if got := s.String(); !strings.Contains(got, "2 of 4 made") {
		t.Errorf("frames 0 and 3 are made:\n%s", got)
	}
	do(s, news{items: []any{eligen.Event{Type: eligen.Done, Stage: frame(1), Artifact: &eligen.Artifact{}}}})
	if got := s.String(); !strings.Contains(got, "4 of 4 made") {
		t.Errorf("all are made:\n%s", got)
	}
	do(s, pressed("r"))
	for range 4 {
		if got := s.String(); !strings.Contains(got, "%%") {
			t.Errorf("no picture:\n%s", got)
		}
		do(s, pressed("right"))
	}
}

// TestAnotherRun: where a scene is rendered again, its stages and frames are still to
// come, and the last picture stays until the next one is there.
func TestAnotherRun(t *testing.T) {
	s := shown(colorless, 80, 24)
	at := time.Now()
	run := []any{
		eligen.Event{Type: eligen.Opened, Time: at, Scene: "leap.hcl"},
		eligen.Event{Type: eligen.Planned, Time: at, Stage: "render.clip.frame[0].decode"},
		eligen.Event{Type: eligen.Started, Time: at, Stage: "render.clip.frame[0].decode"},
	}
	do(s, news{items: []any{leap()}})
	do(s, news{items: run})
	do(s, news{items: []any{eligen.Event{Type: eligen.Done, Time: at, Stage: "render.clip.frame[0].decode", Artifact: &eligen.Artifact{}}}})
	if got := s.String(); !strings.Contains(got, "%%%") || strings.Contains(got, "0 of 24 made") || !strings.Contains(got, "1 of 1 ") {
		t.Fatalf("the first run:\n%s", got)
	}
	do(s, news{items: run})
	if got := s.String(); !strings.Contains(got, "%%%") || !strings.Contains(got, "0 of 24 made") || !strings.Contains(got, "0 of 1 ") {
		t.Errorf("the second run:\n%s", got)
	}
}

// TestLabels: a label has one colour from end to end, its entity's.
func TestLabels(t *testing.T) {
	s := shown(colourful, 100, 30)
	do(s, news{items: []any{leap(), eligen.Event{Type: eligen.Done, Stage: "render.clip.frame[0].decode", Artifact: &eligen.Artifact{}}}})
	for name, i := range map[string]int{" A cat ": 0, " B bird ": 1} {
		c := drawing.Colour(i)
		if want := fmt.Sprintf(";48;2;%d;%d;%dm%s", c.R, c.G, c.B, name); !strings.Contains(s.String(), want) {
			t.Errorf("%q is not whole in its colour", name)
		}
	}
}

// TestWipe: the screen is empty, and the cursor at its top, before the terminal gets its
// own back. A tmux that was resized would keep what does not fit any more.
func TestWipe(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(Options{Env: environment(colourful)}, true)
	p := tea.NewProgram(s, tea.WithInput(nil), tea.WithOutput(&out), tea.WithoutSignalHandler(), tea.WithWindowSize(80, 24))
	go func() {
		p.Send(news{items: []any{leap()}})
		p.Send(tea.WindowSizeMsg{Width: 110, Height: 32})
		p.Send(pressed("q"))
	}()
	if _, err := p.Run(); err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(out.String(), "\x1b[?1049l")
	if i := strings.LastIndex(before, "\x1b[2J"); !found || i < 0 || strings.ContainsAny(before[i:], "▀q") ||
		!strings.Contains(before[i-4:], "\x1b[H") {
		t.Errorf("at the end: %q", before[max(0, len(before)-200):])
	}
}

// TestPlay: frames follow one another, and those of an earlier playing don't.
func TestPlay(t *testing.T) {
	s := shown(colorless, 80, 24)
	do(s, news{items: []any{leap()}})
	s.Update(pressed("space"))
	s.Update(beat{s.plays})
	s.Update(beat{s.plays - 1})
	if s.frame != 1 {
		t.Errorf("frame %d", s.frame)
	}
	s.Update(pressed("end"))
	s.Update(pressed("space"))
	s.Update(beat{s.plays})
	if s.frame != 0 {
		t.Errorf("after the last, frame %d", s.frame)
	}
}

// TestBroken: a scene that can't be read leaves the last layout, and says why.
func TestBroken(t *testing.T) {
	s := shown(colorless, 80, 24)
	do(s, news{items: []any{leap()}})
	do(s, pressed("tab"))
	var ds eligen.Diagnostics
	ds.Errorf(nil, "Unsupported argument", "A render has no argument %q.", "promt")
	do(s, news{items: []any{Shown{Scene: "leap.hcl", Problems: ds, Note: "12:00:00 read again"}}})
	got := s.String()
	for _, want := range []string{"render.poster (2 of 2)", "A cat", "12:00:00 read again", "Unsupported argument", "no argument \"promt\""} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q\n%s", want, got)
		}
	}
}

// TestOddJournal: a timeline that makes no sense is not followed.
func TestOddJournal(t *testing.T) {
	s := shown(colorless, 80, 24)
	odd := leap()
	odd.Layouts[0].Timeline.Tracks = []eligen.Track{{Target: eligen.Target{Block: "entity.cat", Attribute: "box"}}}
	do(s, news{items: []any{odd}})
	do(s, pressed("end"))
	if got := s.String(); !strings.Contains(got, "frame 23 of 24") || !strings.Contains(got, "AAA") {
		t.Errorf("\n%s", got)
	}
}

// TestLocality: what a check measured is shown beside the entity.
func TestLocality(t *testing.T) {
	s := shown(colorless, 80, 24)
	do(s, news{items: []any{leap(), eligen.Event{Type: eligen.Done, Stage: "render.clip.locality.entity.bird", Artifact: &eligen.Artifact{}}}})
	if got := s.String(); !strings.Contains(got, "locality tokens") || !strings.Contains(got, "0.71") {
		t.Errorf("\n%s", got)
	}
}

// TestCanvas: the canvas covers the cells that the planner's rule covers.
func TestCanvas(t *testing.T) {
	l := leap().Layouts[0]
	c := canvas{size: l.Size, entities: l.Entities[:1], selected: -1, regions: true, ink: Letters}
	lines := c.View(20, 10)
	mask := l.Entities[0].Region.Sample(eligen.Size{W: 20, H: 10}, l.Size)
	for y, line := range lines {
		for x, r := range line {
			if on := strings.ContainsRune("Aa", r); on != mask[y*20+x] {
				t.Errorf("cell %d, %d: %q", x, y, r)
			}
		}
	}
}

// TestNearest256: colours that a terminal of 256 has stay what they are; others take the
// nearest.
func TestNearest256(t *testing.T) {
	for _, c := range []struct {
		r, g, b uint8
		want    int
	}{
		{0, 0, 0, 16}, {255, 255, 255, 231}, {95, 135, 175, 67}, {215, 0, 95, 161}, {8, 8, 8, 232}, {238, 238, 238, 255},
		{128, 128, 128, 244}, {38, 40, 46, 235}, {222, 91, 117, 168}, {100, 140, 180, 67}, {250, 10, 10, 196},
	} {
		if got := nearest256(color.NRGBA{c.r, c.g, c.b, 255}); got != c.want {
			t.Errorf("%d, %d, %d: %d, want %d", c.r, c.g, c.b, got, c.want)
		}
	}
}

func TestLook(t *testing.T) {
	for _, c := range []struct {
		env  string
		want Look
	}{
		{"LANG=en_US.UTF-8 TERM=xterm-256color", Look{Colour: true, Ink: Halves}},
		{"LANG=de_DE.utf8", Look{Colour: true, Ink: Halves}},
		{"LANG=en_US.UTF-8 LC_ALL=C", Look{Colour: true, ASCII: true, Ink: Spaces}},
		{"LANG=C LC_CTYPE=C.UTF-8", Look{Colour: true, Ink: Halves}},
		{"", Look{Colour: true, ASCII: true, Ink: Spaces}},
		{"OS=Windows_NT", Look{Colour: true, Ink: Halves}},
		{"LANG=C.UTF-8 NO_COLOR=1", Look{Ink: Letters}},
		{"NO_COLOR=1", Look{ASCII: true, Ink: Letters}},
		{"LANG=C.UTF-8 TERM=xterm-kitty", Look{Colour: true, Ink: Kitty}},
		{"LANG=C.UTF-8 TERM=xterm-ghostty", Look{Colour: true, Ink: Kitty}},
		{"LANG=C.UTF-8 TERM=xterm-256color TERM_PROGRAM=ghostty", Look{Colour: true, Ink: Kitty}},
		{"LANG=C.UTF-8 TERM=tmux-256color TERM_PROGRAM=ghostty TMUX=/tmp/x", Look{Colour: true, Ink: Halves}},
		{"LANG=C.UTF-8 TERM=screen-256color TERM_PROGRAM=ghostty", Look{Colour: true, Ink: Halves}},
		{"LANG=C.UTF-8 TERM=xterm-kitty NO_COLOR=1", Look{Ink: Letters}},
		{"LANG=C.UTF-8 TERM=xterm-256color TERM_PROGRAM=WezTerm", Look{Colour: true, Ink: Halves}},
	} {
		if got := LookOf(environment(c.env)); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.env, got, c.want)
		}
	}
}

// TestKitty: the terminal is given the canvas, and cells that stand for it; a picture
// that changes takes the other number, so that nothing flickers.
func TestKitty(t *testing.T) {
	s := shown("LANG=C.UTF-8 TERM=xterm-kitty", 80, 24)
	do(s, news{items: []any{leap()}})
	cmd := s.give()
	if cmd != nil {
		t.Error("it is given twice")
	}
	if s.given.pending == "" {
		t.Fatal("nothing is given")
	}
	s.given.pending = ""
	msg := s.give()().(sent)
	if msg.id != 42 || !strings.HasPrefix(msg.seq, "\x1b_Gf=100,q=2,i=42,U=1,c=") {
		t.Errorf("%d %.60q", msg.id, msg.seq)
	}
	do(s, drawable{msg.id, msg.key})
	if got := s.String(); !strings.Contains(got, "\x1b[38;5;42m\U0010EEEE\u0305\u0305") {
		t.Errorf("no placeholders: %q", got)
	}
	s.Update(pressed("right"))
	s.given.pending = ""
	if msg := s.give()().(sent); msg.id != 43 {
		t.Errorf("the next picture has the number %d", msg.id)
	}
}

// TestASCII: what stands in for a character is as wide as it.
func TestASCII(t *testing.T) {
	const s = "━─│◆▼▶▸…·×–✓✗▁█←→↑↓ 鳥 é \x1b[31mx\x1b[m"
	got := ascii(s)
	if lipgloss.Width(got) != lipgloss.Width(s) {
		t.Errorf("%q is %d wide, %q %d", s, lipgloss.Width(s), got, lipgloss.Width(got))
	}
	if diff := cmp.Diff("=-|*v>>~.x-+x_#<>^v ?? ? \x1b[31mx\x1b[m", got); diff != "" {
		t.Error(diff)
	}
}
