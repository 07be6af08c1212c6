// Package panics is the boundary of panics.
package panics

import (
	"fmt"
	"runtime"
	"strings"
)

// Catch turns a panic into an error, where it is deferred. It is the boundary between graph
// code, which panics by GoMLX's custom, and everything else: nothing panics out of the folder
// model.
func Catch(doing string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	if e, ok := r.(runtime.Error); ok {
		*err = fmt.Errorf("%s: %s. This is a bug in eligen", doing, FirstLine(e))
		return
	}
	*err = fmt.Errorf("%s: %s", doing, FirstLine(r))
}

// FirstLine leaves out the pages of stack that GoMLX's errors carry.
func FirstLine(v any) string {
	s := fmt.Sprint(v)
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}
