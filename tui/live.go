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

// Options are what a display is shown with. All but Stdout, Stderr and Env may be
// left out.
type Options struct {
	Stdout, Stderr io.Writer
	Env            func(string) string

	// Keys is the terminal to read keys from. Without it a run is shown in a few lines
	// below the shell's, and ctrl-c stays the terminal's interrupt signal.
	Keys *os.File
	// Interrupt is what q and ctrl-c do while a run goes on: the same as the signal.
	// Called a second time, it ends the process. Without it they close the screen.
	Interrupt func()
	// Interrupted reports whether an interrupt has come, so that the screen can say
	// that the step at hand is finished first.
	Interrupted func() bool
	// Stay keeps the screen when the run has ended, as somebody's key does.
	Stay bool
	// Clock is the time that events were recorded by; nil is time.Now.
	Clock func() time.Time

	// Layout is the render that a recipe makes, as a Planned event has it.
	Layout func(kind string, recipe json.RawMessage) (Layout, bool)
	// Picture reads what a stage has made.
	Picture func(eligen.Artifact) (image.Image, error)
	// Number reads what a stage has measured.
	Number func(eligen.Artifact) (float64, error)
}

// Shown is a scene as it was read, for a screen without a run.
type Shown struct {
	Scene, Engine string
	Layouts       []Layout // nil: the scene is broken, and the last ones stay
	Problems      eligen.Diagnostics
	Note          string // for the log, before the problems
}

// Live is a run or a scene on a terminal. What comes in is only put aside, so that a
// slow terminal doesn't hold up the run; the screen asks for it a few times a second.
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

// patience is how long a run may take without the screen: one whose results are all in
// the store is over before it could be seen, and would only flash.
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
		_, _ = l.program.Run() // a terminal that can't be drawn on stops nothing
		l.mu.Lock()
		l.width = s.width
		l.mu.Unlock()
		if s.abort {
			o.Interrupt()
		}
	}()
}

// interval is how long a screen shows the same.
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

// Add is a Sink.
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

// Left is closed when the screen is.
func (l *Live) Left() <-chan struct{} { return l.done }

// Close says that the run has ended, and waits until the screen is closed: at once,
// or when somebody who looks at it has seen enough. Where there was a run, how it
// went is written below.
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
