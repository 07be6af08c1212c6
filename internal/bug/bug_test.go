package bug

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// The place is that of the function that panicked, also where a library did so on its
// behalf; what was panicked with stays within reach.
func TestFrom(t *testing.T) {
	for name, f := range map[string]func(){
		"index":   func() { _ = []int{}[len(name())] },
		"library": func() { _ = strings.Repeat("x", -1) },
		"error":   func() { panic(io.EOF) },
	} {
		b := recovered(f)
		if !strings.HasPrefix(b.Place, "internal/bug/bug_test.go:") || !strings.Contains(b.Error(), "This is a bug in eligen") {
			t.Errorf("%s: %q", name, b.Error())
		}
		if errors.Is(b, io.EOF) != (name == "error") {
			t.Errorf("%s: %v", name, b.Unwrap())
		}
		if again := recovered(func() { panic(b) }); again != b {
			t.Errorf("%s: passed on, it became %v", name, again)
		}
	}
	if b := recovered(func() {}); b != nil {
		t.Error(b)
	}
}

func name() string { return "some" }

func recovered(f func()) (b *Error) {
	defer func() { b = From(recover()) }()
	f()
	return nil
}
