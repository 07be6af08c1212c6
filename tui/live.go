package tui

import (
	"encoding/json"
	"fmt"
	"image"
	"io"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// Options configure a display. Only Stdout, Stderr and Env are required.
type Options struct {
	Stdout, Stderr io.Writer
	Env            func(string) string

	// Keys is the terminal to read keys from. Without it, a run takes a few lines below
	// the shell's, and ctrl-c stays the terminal's interrupt signal.
	Keys *os.File
	// Interrupt is called for q and ctrl-c during a run, and does as the signal does. The
	// second call ends the process. Without it, they close the screen.
	Interrupt func()
	// Interrupted reports whether an interrupt has come, so that the screen can say that
	// the current step finishes first.
	Interrupted func() bool
	// Stay keeps the screen after the run's end, as a pressed key does.
	Stay bool
	// Clock returns the time of the events; nil is time.Now.
	Clock func() time.Time

	// Layout returns the layout of the render in a definition, as a Planned event has it.
	Layout func(kind string, recipe json.RawMessage) (Layout, bool)
	// Picture reads a stage's picture.
	Picture func(eligen.Artifact) (image.Image, error)
	// Number reads a stage's measurement.
	Number func(eligen.Artifact) (float64, error)
}

// A Shown is a scene after reading, for a screen without a run.
type Shown struct {
	Scene, Engine string
	Layouts       []Layout // nil: the scene is broken, and the last ones stay
	Problems      eligen.Diagnostics
	Note          string // for the log, before the problems
}

// Live shows a run or a scene on a terminal. It queues what comes in, so that a slow
// terminal doesn't hold up the run; the screen collects it a few times a second.
type Live struct {
	o       Options
	program *tea.Program
	begun   chan struct{} // closed when there is a program
	done    chan struct{}

	mu       sync.Mutex
	items    []any
	progress eligen.Progress // for what is said afterwards
	width    int
}

// patience is how long a run may take before the screen appears: a run with all results in
// the store ends sooner, and the screen would only flash.
const patience = 400 * time.Millisecond

// Start takes the terminal.
func Start(o Options) *Live {
	l := newLive(o)
	l.begin()
	return l
}

func newLive(o Options) *Live {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Live{o: o, begun: make(chan struct{}), done: make(chan struct{}), width: 80}
}

func (l *Live) begin() {
	o := l.o
	full := o.Keys != nil
	options := []tea.ProgramOption{tea.WithOutput(page.Bare(o.Stderr)), tea.WithoutSignalHandler()}
	if full {
		options = append(options, tea.WithInput(o.Keys))
	} else {
		options = append(options, tea.WithInput(nil))
	}
	if page.Terminal(o.Stderr) == nil {
		options = append(options, tea.WithWindowSize(80, 24))
	}
	s := newScreen(o, full)
	s.next = l.next
	l.program = tea.NewProgram(s, options...)
	close(l.begun)
	go func() {
		defer close(l.done)
		_, _ = l.program.Run() // a run doesn't stop for its terminal
		l.mu.Lock()
		l.width = s.width
		l.mu.Unlock()
		if s.abort {
			o.Interrupt()
		}
	}()
}

// interval is the time between two frames of a screen.
const interval = 150 * time.Millisecond

func (l *Live) next() tea.Cmd {
	return tea.Tick(interval, func(time.Time) tea.Msg { return l.news(false) })
}

func (l *Live) news(over bool) news {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := news{now: l.o.Clock(), items: l.items, over: over, interrupted: l.o.Interrupted != nil && l.o.Interrupted()}
	l.items = nil
	return n
}

// Add takes an event; it is a Sink.
func (l *Live) Add(e eligen.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress.Add(e)
	l.items = append(l.items, e)
}

// Show shows a scene.
func (l *Live) Show(s Shown) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, s)
}

// Left returns a channel that closes with the screen.
func (l *Live) Left() <-chan struct{} { return l.done }

// Close ends the run and waits until the screen is closed: at once, or once somebody has
// seen enough. Of a run, it writes the outcome below.
func (l *Live) Close() {
	if l.program != nil {
		l.program.Send(l.news(true))
		<-l.done
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.progress.Began.IsZero() {
		return
	}
	if l.o.Keys != nil { // else it is there already
		look := LookOf(l.o.Env)
		look.Width, look.Below = l.width, true
		fmt.Fprintln(page.Bare(l.o.Stderr), View(&l.progress, l.o.Clock(), look))
	}
	fmt.Fprint(l.o.Stderr, problems(&l.progress, page.Columns(l.o.Stderr)))
}
