package tui

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

var update = flag.Bool("update", false, "rewrite the drawings in testdata")

// recorded returns a run in which a damaged result was found, one render is made, and
// another goes on from its 17th step and fails.
func recorded(t *testing.T) []eligen.Event { return journal(t, "events.jsonl") }

// recordedClip returns a run of a clip of four frames, on a model that is compiled first: the
// recipes in it are layouts, as cmd would make of them.
func recordedClip(t *testing.T) []eligen.Event { return journal(t, "clip.jsonl") }

func journal(t *testing.T, name string) []eligen.Event {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var events []eligen.Event
	for line := range strings.Lines(string(data)) {
		var e eligen.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run with -update if this is meant:\n%s", diff)
	}
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	sink := (&lines{w: &b}).add
	for _, e := range recorded(t) {
		sink(e)
	}
	golden(t, "lines.txt", b.String())
}

// A log isn't silent for long while a stage is at work.
func TestLinesPulse(t *testing.T) {
	var b bytes.Buffer
	l := lines{w: &b}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	l.add(eligen.Event{Type: eligen.Opened, Time: at(0), Scene: "a.hcl", Engine: "go"})
	l.add(eligen.Event{Type: eligen.Started, Time: at(0), Stage: "one"})
	for s := range 13 {
		l.pulse(at(s))
	}
	l.add(eligen.Event{Type: eligen.Started, Time: at(13), Stage: "two"})
	for step := 1; step <= 4; step++ {
		l.add(eligen.Event{Type: eligen.Stepped, Time: at(14 + step), Stage: "one", Step: step, Of: 20})
	}
	l.pulse(at(23))
	l.pulse(at(24))
	l.add(eligen.Event{Type: eligen.Ended, Time: at(40)})
	l.pulse(at(60))
	want := `a.hcl on go
start    one
working  one  for 5.0 s
working  one  for 10 s
start    two
step     one  4/20, 16 s left
working  one  4/20, 11 s left, and 1 more
nothing to do  40 s
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestJSONLines: what is written is what was recorded, with keys in lower_snake.
func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	sink, end := Show(JSON, Options{Stdout: &b})
	events := recorded(t)
	for i, e := range events {
		sink(e)
		if e.Definition != nil {
			events[i].Definition = page.LowerKeys(e.Definition)
		}
	}
	end()
	var again []eligen.Event
	for line := range strings.Lines(b.String()) {
		var e eligen.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		again = append(again, e)
	}
	if diff := cmp.Diff(events, again); diff != "" {
		t.Error(diff)
	}
}

// moments are the events after which the run is drawn.
var moments = []struct {
	name string
	seq  int
	wait time.Duration // after the event
}{
	{"nothing has run yet", 12, 0},
	{"a prompt is encoded", 14, 100 * time.Millisecond},
	{"denoising, no step done", 20, 1200 * time.Millisecond},
	{"denoising, 8 of 20", 28, 600 * time.Millisecond},
	{"resumed, 17 of 20", 48, 0},
	{"the end", 1000, time.Hour},
}

func TestView(t *testing.T) {
	for _, width := range []int{40, 80, 120} {
		var b strings.Builder
		for _, m := range moments {
			fmt.Fprintf(&b, "=== %s\n%s\n", m.name, viewAt(t, m.seq, m.wait, Look{Width: width}))
		}
		golden(t, fmt.Sprintf("view-%d.txt", width), b.String())
	}
}

// TestProblems: what the view only names is written whole below it.
func TestProblems(t *testing.T) {
	var p eligen.Progress
	for _, e := range recorded(t) {
		p.Add(e)
	}
	golden(t, "problems.txt", page.Clean(problems(&p, 0)))
}

// progressAt returns the run after the event of a number.
func progressAt(t *testing.T, seq int) *eligen.Progress {
	t.Helper()
	var p eligen.Progress
	for _, e := range recorded(t) {
		if e.Seq <= seq {
			p.Add(e)
		}
	}
	return &p
}

func viewAt(t *testing.T, seq int, wait time.Duration, look Look) string {
	t.Helper()
	p := progressAt(t, seq)
	return View(p, p.Latest.Add(wait), look)
}

// TestWidths: no line is wider than the terminal, however narrow it is.
func TestWidths(t *testing.T) {
	for _, m := range moments {
		p := progressAt(t, m.seq)
		for width := 1; width <= 130; width++ {
			for _, interrupted := range []bool{false, true} {
				view := View(p, p.Latest.Add(m.wait), Look{Width: width, Colour: true, Interrupted: interrupted})
				for line := range strings.SplitSeq(view, "\n") {
					if got := lipgloss.Width(line); got > width {
						t.Fatalf("%s at %d columns: %d wide: %q", m.name, width, got, line)
					}
				}
			}
		}
	}
}

// TestColour: colour adds nothing but colour, and without it there are no escapes.
func TestColour(t *testing.T) {
	for _, m := range moments {
		plain := viewAt(t, m.seq, m.wait, Look{Width: 80})
		colour := viewAt(t, m.seq, m.wait, Look{Width: 80, Colour: true})
		if strings.Contains(plain, "\x1b") {
			t.Errorf("%s: escape codes without colour", m.name)
		}
		if plain == colour {
			t.Errorf("%s: no colour", m.name)
		}
		if got := strip(colour); got != plain {
			t.Errorf("%s:\n%s", m.name, cmp.Diff(plain, got))
		}
	}
}

// strip takes colours out.
func strip(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, s, _ = strings.Cut(rest, "m")
	}
}

func TestInterrupted(t *testing.T) {
	if got := viewAt(t, 28, 0, Look{Width: 80, Interrupted: true}); !strings.Contains(got, "Interrupted: finishing and saving") {
		t.Errorf("while it runs:\n%s", got)
	}
	if got := viewAt(t, 1000, 0, Look{Width: 80, Interrupted: true}); strings.Contains(got, "finishing and saving") {
		t.Errorf("at the end:\n%s", got)
	}
}

func TestMode(t *testing.T) {
	for _, c := range []struct {
		name     string
		json     bool
		progress string
		terminal bool
		env      map[string]string
		want     Display
	}{
		{"a terminal", false, "", true, nil, TUI},
		{"a pipe", false, "", false, nil, Plain},
		{"CI", false, "", true, map[string]string{"CI": "true"}, Plain},
		{"CI that is none", false, "", true, map[string]string{"CI": "false"}, TUI},
		{"a dumb terminal", false, "", true, map[string]string{"TERM": "dumb"}, Plain},
		{"--json wins", true, "tui", true, nil, JSON},
		{"--progress=none", false, "none", true, nil, None},
		{"--progress=tui beats a pipe", false, "tui", false, map[string]string{"CI": "1"}, TUI},
		{"--progress=plain", false, "plain", true, nil, Plain},
	} {
		got, err := Mode(c.json, c.progress, c.terminal, func(k string) string { return c.env[k] })
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	for _, progress := range []string{"json", "bar"} {
		if _, err := Mode(true, progress, true, func(string) string { return "" }); err == nil ||
			!strings.Contains(err.Error(), "tui, plain or none") {
			t.Errorf("--progress=%s: %v", progress, err)
		}
	}
}

// environment returns one of NAME=value words.
func environment(words string) func(string) string {
	return func(name string) string {
		for word := range strings.FieldsSeq(words) {
			if v, ok := strings.CutPrefix(word, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

// TestBar runs the live bar on something that is no terminal: it takes all events
// without waiting, and ends with the last state of the run on screen.
func TestBar(t *testing.T) {
	var b bytes.Buffer
	sink, end := Show(TUI, Options{Stderr: &b, Env: environment("NO_COLOR=1 LANG=C.UTF-8"), Interrupted: func() bool { return false }})
	for _, e := range recorded(t) {
		sink(e)
	}
	end()
	got := b.String()
	for _, want := range []string{"Damaged result", "render.night.denoise", "ran out of memory", "   24 │ render \"night\" {",
		"6 done, 1 cached, 1 failed, 2 skipped"} {
		if !strings.Contains(got, want) {
			t.Errorf("the last frame lacks %q:\n%q", want, got)
		}
	}
	if strings.Contains(got, "\x1b[?1049h") {
		t.Error("the bar took the whole screen")
	}

	b.Reset()
	_, end = Show(TUI, Options{Stderr: &b, Env: environment("")})
	end()
	if b.Len() > 0 {
		t.Errorf("a run that never began wrote %q", b.String())
	}
}

// TestLeftEarly: what stays below a screen that was left in the middle of a stage has
// the times of that moment, not of the last event.
func TestLeftEarly(t *testing.T) {
	var b bytes.Buffer
	at := time.Now()
	l := &Live{width: 80, o: Options{Keys: os.Stdin, Stderr: &b, Env: environment("NO_COLOR=1 LANG=C.UTF-8"),
		Clock: func() time.Time { return at.Add(7 * time.Second) }}}
	l.Add(eligen.Event{Type: eligen.Opened, Time: at})
	l.Add(eligen.Event{Type: eligen.Planned, Time: at, Stage: "render.a.decode"})
	l.Add(eligen.Event{Type: eligen.Started, Time: at, Stage: "render.a.decode"})
	l.Close()
	if got := b.String(); !strings.Contains(got, "render.a.decode  7.0 s\n") {
		t.Errorf("after 7 seconds:\n%s", got)
	}
}
