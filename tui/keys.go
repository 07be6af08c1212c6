package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A key is a key that a person can press, and its effect.
type key struct {
	name   string   // as help writes it
	codes  []string // as Bubble Tea does
	short  string   // for the screen's last line; "" is not on it
	help   string
	always bool                 // on the last line, however narrow
	when   func(s *screen) bool // it is offered then; nil: always
	do     func(s *screen, code string) tea.Cmd
}

// brief returns the effect in a word or two.
func (k key) brief() string {
	if k.short != "" {
		return k.short
	}
	return k.help
}

// keys returns every key.
func keys() []key {
	return []key{
		{name: "←→", codes: []string{"left", "right", "h", "l"}, short: "frame", help: "a frame back, on", when: (*screen).moves,
			do: func(s *screen, code string) tea.Cmd { return s.scrub(sign(code, "right", "l")) }},
		{name: "shift+←→", codes: []string{"shift+left", "shift+right", "H", "L"}, help: "ten frames", when: (*screen).moves,
			do: func(s *screen, code string) tea.Cmd { return s.scrub(10 * sign(code, "shift+right", "L")) }},
		{name: "home end", codes: []string{"home", "end"}, help: "first, last frame", when: (*screen).moves,
			do: func(s *screen, code string) tea.Cmd { return s.scrub(maxFrame * sign(code, "end")) }},
		{name: "↑↓", codes: []string{"up", "down", "k", "j"}, short: "entity", help: "the entity above, below", when: (*screen).choice,
			do: func(s *screen, code string) tea.Cmd { s.choose(sign(code, "down", "j")); return nil }},
		{name: "tab", codes: []string{"tab", "shift+tab"}, short: "render", help: "the next render; with shift, the one before",
			when: (*screen).several,
			do:   func(s *screen, code string) tea.Cmd { s.turn(sign(code, "tab")); return nil }},
		{name: "space", codes: []string{"space"}, short: "play", help: "play the frames, stop", when: (*screen).moves,
			do: func(s *screen, _ string) tea.Cmd { return s.play() }},
		{name: "o", codes: []string{"o"}, short: "onion skin", help: "onion skin: frames around this one", when: (*screen).moves,
			do: func(s *screen, _ string) tea.Cmd { s.onion = !s.onion; return nil }},
		{name: "r", codes: []string{"r"}, short: "regions", help: "show regions, or not", when: (*screen).regions,
			do: func(s *screen, _ string) tea.Cmd { s.hideRegions = !s.hideRegions; return nil }},
		{name: "p", codes: []string{"p"}, short: "picture", help: "show the picture, or not", when: (*screen).pictured,
			do: func(s *screen, _ string) tea.Cmd { s.hidePicture = !s.hidePicture; return nil }},
		{name: "pgup pgdn", codes: []string{"pgup", "pgdown"}, help: "back and on in the log",
			do: func(s *screen, code string) tea.Cmd { s.back = max(0, s.back-5*sign(code, "pgdown")); return nil }},
		{name: "ctrl+z", codes: []string{"ctrl+z"}, help: "pause, until the shell's fg",
			do: func(*screen, string) tea.Cmd { return tea.Suspend }},
		{name: "?", codes: []string{"?"}, short: "help", help: "these keys", always: true,
			do: func(s *screen, _ string) tea.Cmd { s.help = !s.help; return nil }},
		{name: "q", codes: []string{"q", "ctrl+c"}, short: "quit", help: "interrupt the run, as ctrl+c does; leave", always: true,
			do: func(s *screen, _ string) tea.Cmd { return s.quit() }},
	}
}

// moves reports whether the current render has frames.
func (s *screen) moves() bool {
	t := s.current()
	return t != nil && t.count() > 1
}

// several reports whether there are other renders.
func (s *screen) several() bool { return len(s.views.list) > 1 }

// regions reports whether the render has entities.
func (s *screen) regions() bool {
	t := s.current()
	return t != nil && len(t.at(s.frame)) > 0
}

// choice reports whether the render has several entities.
func (s *screen) choice() bool {
	t := s.current()
	return t != nil && len(t.at(s.frame)) > 1
}

// pictured reports whether there are pictures, or will be.
func (s *screen) pictured() bool { return len(s.planned) > 0 }

// offered returns the keys that have an effect now.
func (s *screen) offered() []key {
	var out []key
	for _, k := range keys() {
		if k.when == nil || k.when(s) {
			out = append(out, k)
		}
	}
	return out
}

func sign(code string, on ...string) int {
	if slices.Contains(on, code) {
		return 1
	}
	return -1
}

// press does what a key is for.
func (s *screen) press(code string) tea.Cmd {
	if s.help && code == "esc" {
		s.help = false
		return nil
	}
	for _, k := range keys() {
		if slices.Contains(k.codes, code) {
			if k.name != "q" && k.name != "ctrl+z" {
				s.touched = true
			}
			return k.do(s, code)
		}
	}
	return nil
}

// scrub moves the playhead by frames. If nothing moves, it goes to another render.
func (s *screen) scrub(by int) tea.Cmd {
	s.follow, s.playing = false, false
	t := s.current()
	if t == nil {
		return nil
	}
	if t.count() < 2 {
		s.turn(by)
		return nil
	}
	s.frame = min(t.count()-1, max(0, s.frame+by))
	return nil
}

// choose selects another entity.
func (s *screen) choose(by int) {
	if t := s.current(); t != nil && len(t.at(s.frame)) > 0 {
		n := len(t.at(s.frame))
		s.entity = ((s.entity+by)%n + n) % n
	}
}

// turn goes to another render.
func (s *screen) turn(by int) {
	s.follow, s.playing = false, false
	n := len(s.views.list)
	if n == 0 {
		return
	}
	if by > 1 || by < -1 { // no leaps from the first to the last
		s.render = min(n-1, max(0, s.render+by))
	} else {
		s.render = (s.render + by + n) % n
	}
	s.clip()
}

// clip keeps the selection within range.
func (s *screen) clip() {
	s.render = min(max(0, len(s.views.list)-1), max(0, s.render))
	t := s.current()
	if t == nil {
		s.frame, s.entity = 0, 0
		return
	}
	s.frame = min(t.count()-1, max(0, s.frame))
	s.entity = min(max(0, len(t.at(s.frame))-1), max(0, s.entity))
}

// play starts or stops.
func (s *screen) play() tea.Cmd {
	s.follow = false
	t := s.current()
	if t == nil || t.count() < 2 {
		return nil
	}
	s.playing = !s.playing
	s.plays++
	return s.beat()
}

// quit interrupts a running run, as the terminal's interrupt does, and the screen closes
// with it. The second time, the process ends at once.
func (s *screen) quit() tea.Cmd {
	if s.over || s.o.Interrupt == nil {
		return s.leave()
	}
	if s.interrupting || s.look.Interrupted {
		s.abort = true
		return s.leave()
	}
	s.interrupting, s.look.Interrupted = true, true
	interrupt := s.o.Interrupt
	return func() tea.Msg { interrupt(); return nil }
}

// leave gives the terminal back. The screen's last view is empty, see View.
func (s *screen) leave() tea.Cmd {
	s.left = true
	if s.look.Ink == Kitty && s.full {
		// The terminal must have read it before it switches back to the shell's screen,
		// which has other pictures.
		heard := tea.Tick(50*time.Millisecond, func(time.Time) tea.Msg { return nil })
		return tea.Sequence(tea.Raw(forget(onePicture, otherPicture)), heard, tea.Quit)
	}
	return tea.Quit
}
