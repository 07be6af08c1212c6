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

// A Display is a way to show a run.
type Display string

// The displays.
const (
	TUI   Display = "tui"   // a live screen on stderr
	Plain Display = "plain" // lines on stderr
	JSON  Display = "json"  // events on stdout, one JSON object a line
	None  Display = "none"
)

// Mode chooses a display: json is the flag --json and progress the flag --progress, "" if
// not given. Without flags it is Plain if stderr is no terminal, or a CI's or a dumb one.
func Mode(json bool, progress string, stderrIsTerminal bool, env func(string) string) (Display, error) {
	switch d := Display(progress); {
	case progress != "" && d != TUI && d != Plain && d != None:
		return None, fmt.Errorf("--progress %s: unknown display; use tui, plain or none", progress)
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

// Show starts a display. It returns a sink for the run's events, and a function to call
// after the last one, which waits until everything is drawn.
func Show(d Display, o Options) (eligen.Sink, func()) {
	if o.Env == nil {
		o.Env = func(string) string { return "" }
	}
	if o.Stderr != nil {
		o.Stderr = page.Over(o.Stderr, o.Env)
	}
	switch d {
	case TUI:
		// Take the terminal after the first event: a command that fails before it has nothing
		// to give back.
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
	// No progress, but problems are still reported.
	var p eligen.Progress
	return p.Add, func() {
		fmt.Fprint(o.Stderr, strings.TrimPrefix(problems(&p, page.Columns(o.Stderr)), "\n"))
	}
}
