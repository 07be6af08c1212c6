package tui

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/eligen/eligen"
)

// A bar draws a run live. Events only add to its Progress, so that a slow terminal
// doesn't hold up the run; the program looks at it ten times a second.
type bar struct {
	mu          sync.Mutex
	progress    eligen.Progress
	colour      bool
	interrupted func() bool
	program     *tea.Program
	w           io.Writer
	done        chan struct{}
}

func newBar(w io.Writer, colour bool, interrupted func() bool) *bar {
	b := &bar{w: w, colour: colour, interrupted: interrupted, done: make(chan struct{})}
	// No input, so that the terminal stays in its own mode: ctrl-c is a signal, which
	// ends the run's context, and the bar goes on drawing until the run has ended.
	options := []tea.ProgramOption{tea.WithOutput(w), tea.WithInput(nil), tea.WithoutSignalHandler()}
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		options = append(options, tea.WithWindowSize(80, 24))
	}
	b.program = tea.NewProgram(screen{bar: b, width: 80}, options...)
	go func() {
		defer close(b.done)
		_, _ = b.program.Run() // a terminal that can't be drawn on stops nothing
	}()
	return b
}

func (b *bar) add(e eligen.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.progress.Add(e)
}

// close draws the end, gives the terminal back, and writes below what went wrong.
func (b *bar) close() {
	b.program.Quit()
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprint(b.w, Problems(&b.progress))
}

func (b *bar) view(now time.Time, width int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.progress.Began.IsZero() {
		return ""
	}
	// Bubble Tea clears the last line when it ends: an empty one.
	return View(&b.progress, now, Look{Width: width, Colour: b.colour, Interrupted: b.interrupted != nil && b.interrupted()}) + "\n"
}

// screen is the bar as Bubble Tea sees it.
type screen struct {
	bar   *bar
	width int
}

type tick time.Time

func next() tea.Cmd {
	return tea.Tick(100*time.Millisecond, func(t time.Time) tea.Msg { return tick(t) })
}

// Init starts the clock.
func (s screen) Init() tea.Cmd { return next() }

// Update keeps the clock going and the width right.
func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width = msg.Width
	case tick:
		return s, next()
	}
	return s, nil
}

// View draws the run.
func (s screen) View() tea.View {
	v := tea.NewView(s.bar.view(time.Now(), s.width))
	v.DisableBracketedPasteMode = true // nothing is typed here
	return v
}
