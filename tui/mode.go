// Package tui draws a run's events on a terminal: live, as plain lines, or as JSON
// lines.
//
// Every drawing is a pure function of an [eligen.Progress] and the time, so that
// one recorded run tests them all.
package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// Display is a way to show a run.
type Display string

// The displays.
const (
	TUI   Display = "tui"   // a live screen on stderr
	Plain Display = "plain" // lines on stderr
	JSON  Display = "json"  // events on stdout, one JSON object a line
	None  Display = "none"
)

// Mode chooses a display: json is the flag --json and progress the flag --progress,
// "" where it was not given. Without flags it is plain where stderr is no terminal,
// or a CI's or a dumb one.
func Mode(json bool, progress string, stderrIsTerminal bool, env func(string) string) (Display, error) {
	switch d := Display(progress); {
	case progress != "" && d != TUI && d != Plain && d != None:
		return None, fmt.Errorf("--progress=%s: choose tui, plain or none", progress)
	case json:
		return JSON, nil
	case progress != "":
		return d, nil
	}
	ci := env("CI")
	if !stderrIsTerminal || ci != "" && ci != "false" && ci != "0" || env("TERM") == "dumb" {
		return Plain, nil
	}
	return TUI, nil
}

// Show starts a display. What it returns takes the run's events, and a function to
// call after the last of them, which waits until all is drawn.
func Show(d Display, o Options) (eligen.Sink, func()) {
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	if o.Stderr != nil {
		o.Stderr = page.Over(o.Stderr, o.Env)
	}
	switch d {
	case TUI:
		// The terminal is taken after the first event: a command that fails before that
		// has nothing to give back.
		var l *Live
		var wait *time.Timer
		return func(e eligen.Event) {
				if l == nil {
					l = newLive(o)
					if o.Keys == nil {
						l.begin()
					} else {
						wait = time.AfterFunc(patience, l.begin)
					}
				}
				l.Add(e)
			}, func() {
				if l == nil {
					return
				}
				if wait != nil && !wait.Stop() {
					<-l.begun
				}
				l.Close()
			}
	case Plain:
		return pulsing(o.Stderr)
	case JSON:
		return JSONLines(o.Stdout), func() {}
	}
	// No progress, but what goes wrong is still said.
	var p eligen.Progress
	return p.Add, func() {
		fmt.Fprint(o.Stderr, strings.TrimPrefix(problems(&p, page.Columns(o.Stderr)), "\n"))
	}
}
