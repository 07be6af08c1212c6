package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// A typist gives a key at a time, as a person does.
type typist struct{ keys []string }

func (s *typist) Read(b []byte) (int, error) {
	if len(s.keys) == 0 {
		return 0, io.EOF
	}
	time.Sleep(20 * time.Millisecond)
	n := copy(b, s.keys[0])
	s.keys = s.keys[1:]
	return n, nil
}

func TestChoose(t *testing.T) {
	options := []Option{{"rain", "three boxes"}, {"moonrise", "a moon goes around"}, {"seven", "eight entities"}}
	for keys, want := range map[string]string{
		"\r":           "rain",
		"\x1b[B|\r":    "moonrise",
		"/|e|i|g|\r\r": "seven", // what it is, is searched too
	} {
		got, err := Choose(t.Context(), &typist{strings.Split(keys, "|")}, io.Discard, "Begin with", options)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", keys, got, err, want)
		}
	}
	if got, err := Choose(t.Context(), &typist{[]string{"\x03"}}, io.Discard, "Begin with", options); got != "" ||
		!errors.Is(err, context.Canceled) {
		t.Errorf("left: %q, %v", got, err)
	}
}
