package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/tui"
)

// progressOptions are the flags that choose how to show a run.
type progressOptions struct {
	json     bool
	progress string
}

func (o *progressOptions) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.json, "json", false, "print every event as a line of JSON")
	o.displayFlag(c)
}

func (o *progressOptions) displayFlag(c *cobra.Command) {
	c.Flags().StringVar(&o.progress, "progress", "",
		"show progress as `DISPLAY`: tui, plain or none (default tui on a terminal, plain elsewhere)")
	choices(c, "progress", "tui", "plain", "none")
}

// frontEnd returns a sink that shows a run's events, and a function to call after the last.
func (o *progressOptions) frontEnd(c *cobra.Command) (eligen.Sink, func(), error) {
	return o.show(c, tui.Options{
		Stdout: c.OutOrStdout(), Stderr: c.ErrOrStderr(), Env: os.Getenv,
		Interrupted: func() bool { return c.Context().Err() != nil },
	})
}

// show returns a front end with options.
func (o *progressOptions) show(c *cobra.Command, options tui.Options) (eligen.Sink, func(), error) {
	display, err := o.display(c)
	if err != nil {
		return nil, nil, err
	}
	show, done := tui.Show(display, options)
	return show, onLeave(c.Context(), done), nil
}

// display returns the display that flags and terminal choose.
func (o *progressOptions) display(c *cobra.Command) (tui.Display, error) {
	display, err := tui.Mode(o.json, o.progress, page.Terminal(c.ErrOrStderr()) != nil, os.Getenv)
	if err != nil {
		return display, usageError{err}
	}
	return display, nil
}

// stageExit returns the exit code of a run whose stages failed.
func stageExit(err error) int {
	if errors.Is(err, fetch.ErrDigest) {
		return exitIntegrity
	}
	return exitError
}

// terminal reports whether a person sees at once what is written to w.
func terminal(w io.Writer) bool {
	return page.Terminal(w) != nil && os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb"
}

// downloadProgress shows how far a download is: a line that is written over on
// a terminal, else nothing.
func downloadProgress(w io.Writer) func(file string, done, of int64) {
	if !terminal(w) {
		return nil
	}
	var last time.Time
	return func(file string, done, of int64) {
		line := ""
		switch {
		case done == of:
		case time.Since(last) < 100*time.Millisecond:
			return
		case of > 0:
			line = fmt.Sprintf("  %.1f of %.1f MB", float64(done)/1e6, float64(of)/1e6)
		default:
			line = fmt.Sprintf("  %.1f MB", float64(done)/1e6)
		}
		last = time.Now()
		_ = page.Redraw(w, line) // a terminal that is gone stops no download
	}
}

// A pulse prints a line of a long piece of work when none has been printed for a while,
// so that a log shows that it goes on.
type pulse struct {
	w     io.Writer
	every time.Duration
	line  func(silent time.Duration) string // what is at work
	mu    sync.Mutex
	last  time.Time
	done  chan struct{}
}

// beat starts a pulse; stop ends it.
func beat(w io.Writer, every time.Duration, line func(silent time.Duration) string) *pulse {
	p := &pulse{w: w, every: every, line: line, last: time.Now(), done: make(chan struct{})}
	go func() {
		tick := time.NewTicker(every / 4)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				p.tick(now)
			case <-p.done:
				return
			}
		}
	}()
	return p
}

func (p *pulse) tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if silent := now.Sub(p.last); silent >= p.every {
		fmt.Fprintln(p.w, p.line(silent))
		p.last = now
	}
}

// print prints a line at once.
func (p *pulse) print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.w, line)
	p.last = time.Now()
}

func (p *pulse) stop() { close(p.done) }

// A counter says how many of a number of things are done: in a line that is written
// over on a terminal, else in a line every few seconds.
type counter struct {
	w        io.Writer
	what     string
	live     bool
	mu       sync.Mutex
	done, of int
	began    time.Time
	pulse    *pulse
}

func newCounter(w io.Writer, what string) *counter {
	c := &counter{w: w, what: what, live: terminal(w), began: time.Now()}
	if !c.live {
		c.pulse = beat(w, 5*time.Second, func(time.Duration) string { return c.line() })
	}
	return c
}

func (c *counter) add(done, of int) {
	c.mu.Lock()
	c.done, c.of = done, of
	c.mu.Unlock()
	if c.live {
		_ = page.Redraw(c.w, c.line()) // a terminal that is gone stops no work
	}
}

func (c *counter) line() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == 0 {
		return fmt.Sprintf("no %s yet, after %s", c.what, time.Since(c.began).Round(time.Second))
	}
	line := fmt.Sprintf("%d of %d %s", c.done, c.of, c.what)
	if c.done > 0 {
		left := time.Since(c.began) / time.Duration(c.done) * time.Duration(c.of-c.done)
		line += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return line
}

func (c *counter) end() {
	if c.live {
		fmt.Fprintln(c.w)
		return
	}
	c.pulse.stop()
	if c.of > 0 {
		fmt.Fprintln(c.w, c.line())
	}
}
