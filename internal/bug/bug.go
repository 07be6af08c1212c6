// Package bug turns a panic into an error that a person can report: what happened, and
// where in eligen, without a stack of everything.
package bug

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// An Error is a panic that was recovered.
type Error struct {
	Value any    // that panic was called with
	Place string // as dsl/timeline.go:461; "" where nothing of eligen's was running
}

func (e *Error) Error() string {
	at := ""
	if e.Place != "" {
		at = ", at " + e.Place
	}
	return fmt.Sprintf("%s%s. This is a bug in eligen", strings.TrimSuffix(fmt.Sprint(e.Value), "."), at)
}

// Unwrap returns the error that panic was called with, or nil.
func (e *Error) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// From returns what recover returned as an error, or nil if it returned nil. It must be
// called from the deferred function itself, while the stack of the panic is still there.
func From(recovered any) *Error {
	switch r := recovered.(type) {
	case nil:
		return nil
	case *Error:
		return r // passed on from another goroutine
	default:
		return &Error{r, place()}
	}
}

const module = "github.com/eligen/eligen/"

// place returns the position of eligen's innermost function on the stack of a panic.
func place() string {
	pcs := make([]uintptr, 100)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicked := false
	for {
		f, more := frames.Next()
		switch folder, ours := strings.CutPrefix(folderOf(f), module); {
		case strings.HasPrefix(f.Function, "runtime.gopanic"):
			panicked = true
		case panicked && ours:
			return fmt.Sprintf("%s/%s:%d", folder, path.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// folderOf returns the import path of a function's package.
func folderOf(f runtime.Frame) string {
	if strings.HasPrefix(f.Function, "main.") {
		return module + "cmd/eligen"
	}
	dir, rest := path.Split(f.Function)
	name, _, _ := strings.Cut(rest, ".")
	return dir + strings.TrimSuffix(name, "_test") // of an external test
}
