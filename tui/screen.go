package tui

import (
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/drawing"
)

// A screen is the terminal as Bubble Tea sees it: all of it, or a few lines below the
// shell's if there are no keys to read. It holds a Progress and somebody's choice of what
// to look at, and draws them. Everything from files comes as messages.
type screen struct {
	o    Options
	look Look
	full bool
	few  bool           // the terminal has 256 colours
	next func() tea.Cmd // the next news; nil in tests

	progress    *eligen.Progress
	views       renderViews
	log         []logLine
	problems    []logLine // of the scene as it is now: the end of the log
	state       string    // of the scene; "" where it isn't watched
	stateColour string
	now         time.Time
	over        bool // the run has ended

	width, height         int
	render, frame, entity int
	follow                bool // the canvas goes to what was made last
	touched               bool // somebody is looking: the screen stays when the run has ended
	playing               bool
	plays                 int // how often play was pressed; beats of earlier ones are dropped
	onion                 bool
	hideRegions           bool
	hidePicture           bool
	help                  bool
	back                  int // in the log
	interrupting          bool
	abort                 bool
	left                  bool

	unplaced  []eligen.Event              // of stages whose pictures are unknown yet
	planned   map[frameID]bool            // pictures of the run
	artifacts map[frameID]eligen.Artifact // of those, the finished
	shared    map[frameID]frameID         // frames with another frame's picture
	ranks     map[frameID]int             // of makers, the one that made each
	pictures  map[frameID]*image.NRGBA    // those that were shown; nil: unreadable
	stale     map[frameID]bool            // of those: there is a newer one
	loading   map[frameID]bool

	version int // of the layouts
	drawn   struct {
		key   string
		lines []string
	}
	known struct { // the frames that are made
		key  string
		made map[int]bool
	}
	given struct { // to a terminal that draws
		id           int
		key, pending string
	}
}

func newScreen(o Options, full bool) *screen {
	look := LookOf(o.Env)
	return &screen{
		o: o, look: look, full: full, follow: true, width: 80, height: 24, progress: &eligen.Progress{},
		planned: map[frameID]bool{}, artifacts: map[frameID]eligen.Artifact{}, ranks: map[frameID]int{}, shared: map[frameID]frameID{},
		pictures: map[frameID]*image.NRGBA{}, loading: map[frameID]bool{}, stale: map[frameID]bool{},
	}
}

// The messages of a screen.
type (
	news struct { // what has happened since the last
		now         time.Time
		interrupted bool
		items       []any // eligen.Event, Shown
		over        bool
	}
	loaded struct { // a picture was read
		at  frameID
		img *image.NRGBA
		err error
	}
	beat struct{ plays int } // it is time for the next frame
	sent struct {            // a picture is ready for the terminal to draw
		id       int
		key, seq string
	}
	drawable struct { // the terminal has it
		id  int
		key string
	}
)

// Init asks for the first news.
func (s *screen) Init() tea.Cmd { return s.ask() }

func (s *screen) ask() tea.Cmd {
	if s.next == nil {
		return nil
	}
	return s.next()
}

// Update applies a message.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmds []tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case tea.ResumeMsg: // a terminal forgets the pictures of a screen that was left
		s.given.id, s.given.key, s.given.pending = 0, "", ""
	case tea.ColorProfileMsg:
		s.few = msg.String() == "ANSI256"
		s.version++
	case tea.KeyPressMsg:
		cmds = append(cmds, s.press(msg.String()))
	case news:
		cmds = append(cmds, s.hear(msg))
	case loaded:
		delete(s.loading, msg.at)
		s.pictures[msg.at] = msg.img
		if msg.err != nil {
			s.say(theme.warned, fmt.Sprintf("The picture of %s can't be shown: %v", msg.at.render, msg.err))
		}
		s.unload(msg.at)
	case beat:
		if t := s.current(); s.playing && msg.plays == s.plays && t != nil {
			s.frame = (s.frame + 1) % t.count()
			cmds = append(cmds, s.beat())
		}
	case sent:
		if msg.key == s.given.pending {
			cmds = append(cmds, tea.Sequence(s.settle(), tea.Raw(msg.seq), func() tea.Msg { return drawable{msg.id, msg.key} }))
		}
	case drawable:
		s.given.id, s.given.key = msg.id, msg.key
	}
	if s.full && !s.left {
		cmds = append(cmds, s.want(), s.give())
	}
	return s, tea.Batch(cmds...)
}

// hear applies news.
func (s *screen) hear(n news) tea.Cmd {
	s.now = n.now
	s.look.Interrupted = s.interrupting || n.interrupted
	for _, item := range n.items {
		switch item := item.(type) {
		case eligen.Event:
			s.event(item)
		case Shown:
			s.show(item)
		}
	}
	s.over = s.over || n.over
	if s.over && (!s.full || s.look.Interrupted || !s.touched && !s.o.Stay) {
		return s.leave()
	}
	return s.ask()
}

func (s *screen) event(e eligen.Event) {
	s.progress.Add(e)
	switch e.Type {
	case eligen.Planned:
		if l, ok := s.layout(e.Kind, e.Definition); ok {
			l.Render = within(e.Stage, l.Render)
			s.views.add(l)
			s.version++
		}
		s.unplaced = append(s.unplaced, e)
		return
	case eligen.Opened:
		// Another run of the same scene: its pictures replace those that are shown one by
		// one, and nothing is made yet.
		s.planned, s.artifacts, s.ranks, s.shared = map[frameID]bool{}, map[frameID]eligen.Artifact{}, map[frameID]int{}, map[frameID]frameID{}
		s.unplaced, s.version = nil, s.version+1
	case eligen.Stepped:
		s.step(e)
	case eligen.Wrote, eligen.Ended:
		s.say("", Line(s.progress, e))
	case eligen.Reported:
		s.say(theme.warned, brief("", e.Problem))
	case eligen.Failed:
		s.say(theme.failed, brief("failed   "+e.Stage+": ", e.Problem))
	}
	for _, planned := range s.unplaced { // all layouts are there
		s.locate(eligen.Event{Stage: planned.Stage})
		s.share(planned)
	}
	s.unplaced = nil
	s.locate(e)
}

// brief returns a problem in two lines: summary and position, and the rest. The whole
// problem is written below the screen once that closes.
func brief(before string, d *eligen.Diagnostic) string {
	if d == nil {
		return before
	}
	if before == "" && d.Severity == eligen.Warning {
		before = "Warning: "
	}
	s := before + d.Summary
	if d.Source != nil && d.Source.File != "" {
		s += "  " + d.Source.String()
	}
	return s + "\n  " + strings.Join(strings.Fields(d.Detail), " ")
}

// locate finds the picture that an event is about.
func (s *screen) locate(e eligen.Event) {
	t, frame, what := s.views.find(e.Stage)
	if t == nil {
		return
	}
	at := frameID{t.Render, frame}
	if entity, ok := strings.CutPrefix(what, "locality."); ok && e.Artifact != nil && s.o.Number != nil {
		if v, err := s.o.Number(*e.Artifact); err == nil {
			t.locality[entity] = v
		}
	}
	if maker, format, ok := strings.Cut(what, "."); ok && !strings.Contains(format, ".") {
		what = maker // "still.jpeg"
	}
	rank := slices.Index(makers, what) + 1
	if rank == 0 {
		return
	}
	s.planned[at] = true
	if e.Artifact == nil || rank < s.ranks[at] {
		return
	}
	s.artifacts[at], s.ranks[at] = *e.Artifact, rank
	s.stale[at] = true // one that is shown stays until this one is read
	if s.follow {
		s.render, s.frame = s.views.at[t.Render], frame
	}
}

// step shows the picture of a step until the frame has a picture of its own.
func (s *screen) step(e eligen.Event) {
	t, frame, what := s.views.find(e.Stage)
	if t == nil || e.Picture == nil || what != "denoise" {
		return
	}
	at := frameID{t.Render, frame}
	img := t.part(e.Picture)
	if _, made := s.artifacts[at]; made || img == nil {
		return
	}
	s.pictures[at] = img
	s.unload(at)
	if s.follow {
		s.render, s.frame = s.views.at[t.Render], frame
	}
}

// share finds the frames of a clip with one picture: the inputs of the clip's file name a
// picture for each frame.
func (s *screen) share(clip eligen.Event) {
	t, _, what := s.views.find(clip.Stage)
	if t == nil || !strings.HasPrefix(what, "clip.") || len(clip.Inputs) != t.count() {
		return
	}
	for frame, stage := range clip.Inputs {
		if from, of, _ := s.views.find(stage); from != nil && (from != t || of != frame) {
			s.shared[frameID{t.Render, frame}] = frameID{from.Render, of}
		}
	}
}

// makers are the stages that make pictures, the best to look at last: without an overlay,
// and with everything composited.
var makers = []string{"overlay", "still", "decode", "right", "composite"}

func (s *screen) layout(kind string, recipe json.RawMessage) (Layout, bool) {
	if s.o.Layout == nil || recipe == nil {
		return Layout{}, false
	}
	return s.o.Layout(kind, recipe)
}

// show applies a scene that was read. If it has no layouts, the last ones stay: a scene is
// broken half of the time that somebody writes it.
func (s *screen) show(now Shown) {
	s.progress.Scene, s.progress.Engine = now.Scene, now.Engine
	if now.Note != "" {
		s.say("", now.Note)
	}
	s.problems = nil // those of before are mended, or are said again
	errors, warnings := 0, 0
	for _, d := range now.Problems {
		colour := theme.failed
		if d.Severity == eligen.Warning {
			colour = theme.warned
			warnings++
		} else {
			errors++
		}
		s.problems = appendLines(s.problems, colour, d.String())
	}
	switch {
	case errors > 0:
		s.state, s.stateColour = "✗ "+counted(errors, "error"), theme.failed
	case warnings > 0:
		s.state, s.stateColour = "✓ valid, "+counted(warnings, "warning"), theme.warned
	default:
		s.state, s.stateColour = "✓ valid", theme.added
	}
	if now.Layouts == nil {
		return
	}
	render := ""
	if t := s.current(); t != nil {
		render = t.Render
	}
	s.views = renderViews{}
	s.version++
	for _, l := range now.Layouts {
		s.views.add(l)
	}
	for i, t := range s.views.list {
		if t.Render == render {
			s.render = i
		}
	}
	s.clip()
}

// maxLog is how many lines of the log are kept.
const maxLog = 2000

func (s *screen) say(colour, text string) {
	s.log = appendLines(s.log, colour, text)
	if len(s.log) > maxLog {
		s.log = s.log[len(s.log)-maxLog:]
	}
}

func appendLines(log []logLine, colour, text string) []logLine {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = plain(line)
		if strings.TrimSpace(line) != "" {
			log = append(log, logLine{strings.TrimRight(line, " "), colour})
		}
	}
	return log
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// current returns the render on the screen, nil if there is none.
func (s *screen) current() *renderView {
	if s.render >= len(s.views.list) {
		return nil
	}
	return s.views.list[s.render]
}

// beat waits for the next frame to play.
func (s *screen) beat() tea.Cmd {
	if !s.playing {
		return nil
	}
	fps := 12.0
	if t := s.current(); t != nil && t.Timeline != nil && t.Timeline.FPS > 0 {
		fps = min(t.Timeline.FPS, 30)
	}
	plays := s.plays
	return tea.Tick(time.Duration(float64(time.Second)/fps), func(time.Time) tea.Msg { return beat{plays} })
}

// picture returns the frame whose picture shows a frame: frames that look the same share
// one.
func (s *screen) picture(t *renderView, frame int) (frameID, bool) {
	at := frameID{t.Render, frame}
	if _, ok := s.artifacts[at]; ok {
		return at, true
	}
	if s.planned[at] {
		return at, false
	}
	if other, ok := s.shared[at]; ok {
		_, made := s.artifacts[other]
		return other, made
	}
	for f := frame - 1; f >= max(0, frame-64); f-- {
		if _, ok := s.artifacts[frameID{t.Render, f}]; ok && t.same(f, frame) {
			return frameID{t.Render, f}, true
		}
	}
	return at, false
}

// made returns the frames that have a picture. It looks again only when there may be more.
func (s *screen) made(t *renderView) map[int]bool {
	key := fmt.Sprint(t.Render, s.version, len(s.artifacts))
	if s.known.key != key {
		s.known.key, s.known.made = key, map[int]bool{}
		for f := range t.count() {
			if _, ok := s.picture(t, f); ok {
				s.known.made[f] = true
			}
		}
	}
	return s.known.made
}

// around returns the frames of the onion skin.
func (s *screen) around() []int {
	t := s.current()
	if !s.onion || t == nil || t.count() < 2 {
		return nil
	}
	var out []int
	step := max(1, t.count()/12)
	for _, f := range []int{s.frame - step, s.frame + step} {
		if f >= 0 && f < t.count() {
			out = append(out, f)
		}
	}
	return out
}

// want reads the pictures on the screen, and the next ones during playback.
func (s *screen) want() tea.Cmd {
	t := s.current()
	if t == nil || s.o.Picture == nil {
		return nil
	}
	frames := append([]int{s.frame}, s.around()...)
	if s.playing {
		frames = append(frames, (s.frame+1)%t.count())
	}
	var cmds []tea.Cmd
	for _, f := range frames {
		at, ok := s.picture(t, f)
		if _, have := s.pictures[at]; !ok || have && !s.stale[at] || s.loading[at] {
			continue
		}
		s.loading[at] = true
		delete(s.stale, at)
		read, a := s.o.Picture, s.artifacts[at]
		cmds = append(cmds, func() tea.Msg {
			img, err := read(a)
			if err != nil {
				return loaded{at, nil, err}
			}
			return loaded{at, shrunk(img, largest), nil}
		})
	}
	return tea.Batch(cmds...)
}

// How large pictures are kept, in pixels a side, and how many.
const (
	largest = 512
	most    = 64
)

// unload drops pictures, the farthest from at first, until there are at most as many as may
// be kept.
func (s *screen) unload(at frameID) {
	for len(s.pictures) > most {
		var far frameID
		distance := -1
		for p := range s.pictures {
			d := max(p.frame-at.frame, at.frame-p.frame)
			if p.render != at.render {
				d += maxFrame
			}
			if d > distance {
				far, distance = p, d
			}
		}
		delete(s.pictures, far)
	}
}

// shrunk returns a picture with at most so many pixels a side.
func shrunk(img image.Image, most int) *image.NRGBA {
	b := img.Bounds()
	whole := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(whole, whole.Rect, img, b.Min, draw.Src)
	if max(b.Dx(), b.Dy()) <= most {
		return whole
	}
	scale := float64(most) / float64(max(b.Dx(), b.Dy()))
	w, h := max(1, int(float64(b.Dx())*scale)), max(1, int(float64(b.Dy())*scale))
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			out.SetNRGBA(x, y, sample(whole, x, y, w, h))
		}
	}
	return out
}

// canvas returns the canvas of the current frame.
func (s *screen) canvas() *canvas {
	t := s.current()
	if t == nil {
		return nil
	}
	c := &canvas{size: t.Size, entities: t.at(s.frame), selected: s.entity, regions: !s.hideRegions, ink: s.look.Ink, few: s.few,
		id: s.given.id}
	if at, _ := s.picture(t, s.frame); !s.hidePicture {
		c.picture = s.pictures[at]
	}
	for _, f := range s.around() {
		c.ghosts = append(c.ghosts, t.at(f))
		if at, ok := s.picture(t, f); ok && !s.hidePicture {
			c.faded = append(c.faded, s.pictures[at])
		}
	}
	return c
}

// key returns a string that changes whenever the canvas may.
func (s *screen) key(width, height int) string {
	c := s.canvas()
	return fmt.Sprint(s.version, s.render, s.frame, s.entity, s.onion, s.hideRegions, s.hidePicture, width, height,
		fmt.Sprintf("%p %p", c.picture, c.faded))
}

// give sends the canvas to a terminal that draws pictures. Two pictures take turns, so that
// one stays until the next has arrived.
func (s *screen) give() tea.Cmd {
	c := s.canvas()
	if s.look.Ink != Kitty || c == nil || s.small() {
		return nil
	}
	p := s.panes()
	key := s.key(p.canvasWidth, p.main)
	if key == s.given.key || key == s.given.pending {
		return nil
	}
	s.given.pending = key
	id := onePicture
	if s.given.id == onePicture {
		id = otherPicture
	}
	columns, rows := c.grid(p.canvasWidth, p.main)
	return func() tea.Msg {
		w, h := min(1024, columns*cellWidth), min(1024, rows*cellHeight)
		seq, err := transmit(id, c.image(w, h, drawing.Width(min(w, h))), columns, rows)
		if err != nil {
			return nil
		}
		return sent{id, key, seq}
	}
}

// settle waits, before the first picture, until the terminal has switched screens: raw
// output overtakes the frame that switches, and would go to the shell's screen.
func (s *screen) settle() tea.Cmd {
	if s.given.id != 0 {
		return nil
	}
	return tea.Tick(100*time.Millisecond, func(time.Time) tea.Msg { return nil })
}

func (s *screen) small() bool { return s.width < leastWidth || s.height < leastHeight }

func (s *screen) panes() panes {
	aspect, entities, tracks := 1.0, 0, -1
	if t := s.current(); t != nil {
		if t.Size.W > 0 && t.Size.H > 0 {
			aspect = float64(t.Size.W) / float64(t.Size.H)
		}
		entities = len(t.Entities)
		for _, own := range t.frames {
			entities = max(entities, len(own))
		}
		if t.count() > 1 {
			tracks = 0
			if t.Timeline != nil {
				tracks = len(t.Timeline.Tracks)
			}
		}
	}
	return arrange(s.width, s.height, aspect, entities, !s.progress.Began.IsZero(), tracks)
}

// View draws the screen.
func (s *screen) View() tea.View {
	text := s.String()
	if s.full && s.left {
		// A tmux that was resized meanwhile restores the screen's old size before it removes
		// it, and keeps the rows that don't fit above the prompt: with empty rows and the
		// cursor at the top, there is nothing to keep.
		text = ""
	}
	v := tea.NewView(text)
	v.AltScreen = s.full
	v.DisableBracketedPasteMode = true // nothing is typed here
	if s.full {
		v.WindowTitle = "eligen " + flat(s.progress.Scene)
	}
	return v
}

// String returns the screen as lines.
func (s *screen) String() string {
	look := s.look
	look.Width = s.width
	if !s.full {
		if s.progress.Began.IsZero() {
			return ""
		}
		look.Below = s.over
		return View(s.progress, s.now, look) + "\n" // Bubble Tea clears the last line when it ends: an empty one
	}
	var lines []string
	if s.small() {
		lines = strings.Split(View(s.progress, s.now, look), "\n")
		lines = lines[max(0, len(lines)-s.height):]
	} else {
		lines = s.lines()
	}
	out := strings.Join(lines, "\n")
	if look.ASCII {
		out = ascii(out)
	}
	return out
}

func (s *screen) lines() []string {
	p := s.panes()
	t := s.current()
	head := headLine{scene: s.progress.Scene, engine: s.progress.Engine, number: s.render, of: len(s.views.list), state: s.state,
		colour: s.stateColour, look: s.look}
	if t != nil {
		head.render = t.Render
	}
	lines := []string{head.View(s.width)}
	if s.help {
		lines = append(lines, (&helpPane{s.offered(), s.look}).View(s.width, s.height-2)...)
	} else {
		lines = append(lines, s.body(p, t)...)
	}
	return append(lines, (&footLine{s.notice(), s.offered(), s.look}).View(s.width))
}

// notice returns the message that replaces the keys in the last line.
func (s *screen) notice() string {
	switch {
	case s.look.Interrupted && !s.over:
		return "Finishing and saving this step. Press q again to quit now."
	case s.over && !s.progress.Began.IsZero():
		return "The run has ended."
	}
	return ""
}

func (s *screen) body(p panes, t *renderView) []string {
	left := s.pane(p)
	var right []string
	if t != nil && p.entities > 0 {
		pane := entityPane{entities: t.at(s.frame), prompt: t.Prompt, locality: t.locality, selected: s.entity, look: s.look}
		for _, e := range pane.entities {
			n := 0
			if e.Region.Kind != "" {
				n = len(t.tokens(e.Region))
			}
			pane.tokens = append(pane.tokens, n)
		}
		right = pane.View(p.side, p.entities)
	}
	log := &logPane{slices.Concat(s.log, s.problems), s.back, p.logTitle, s.look}
	if p.logBeside {
		right = append(right, log.View(p.side, p.main-len(right))...)
	} else {
		right = append(right, (&stagePane{s.progress, s.now, s.look}).View(p.side, p.main-len(right))...)
	}
	var lines []string
	for i := range p.main {
		lines = append(lines, left[i]+" "+right[i])
	}
	if p.timeline > 0 && t != nil {
		pane := timelinePane{timeline: t.Timeline, frames: t.count(), frame: s.frame, playing: s.playing, made: s.made(t),
			layout: s.progress.Began.IsZero(), look: s.look}
		if e := t.at(s.frame); s.entity < len(e) {
			pane.selected = e[s.entity].Address
		}
		lines = append(lines, pane.View(s.width, p.timeline)...)
	}
	if p.log == 0 {
		return lines
	}
	return append(lines, log.View(s.width, p.log)...)
}

// pane returns the canvas's lines, drawn anew only if the canvas has changed.
func (s *screen) pane(p panes) []string {
	c := s.canvas()
	if c == nil {
		return fit(nil, p.canvasWidth, p.main)
	}
	key := fmt.Sprint(s.key(p.canvasWidth, p.main), s.given.id)
	if s.drawn.key != key {
		s.drawn.key, s.drawn.lines = key, c.View(p.canvasWidth, p.main)
	}
	return s.drawn.lines
}
