package tui

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
)

// TestLinesOfLongRuns: a run of 200,000 stages is shown in seconds. The time that an
// event takes doesn't grow with the stages before it; it would be minutes.
func TestLinesOfLongRuns(t *testing.T) {
	const stages, most = 200_000, 30 * time.Second
	began := time.Now()
	show := (&lines{w: io.Discard}).add
	show(eligen.Event{Type: eligen.Opened, Scene: "long.hcl", Engine: "paint", Time: began})
	for _, state := range []eligen.EventType{eligen.Planned, eligen.Started, eligen.Done} {
		for i := range stages {
			if show(eligen.Event{Type: state, Stage: fmt.Sprintf("render.long[%d].noise", i), Kind: "noise/1", Time: began}); i%1000 == 0 &&
				time.Since(began) > most {
				t.Fatalf("%d stages are %s after %v", i, state, most)
			}
		}
	}
}

// TestLinesCount: a log of a run whose results are all there is as short as what it says.
func TestLinesCount(t *testing.T) {
	for _, c := range []struct {
		stages int
		want   string
	}{
		{2, "cached   s0\ncached   s1\nwrote    a.png\n"},
		{many + 1, "cached   21 stages\nwrote    a.png\n"},
	} {
		var b strings.Builder
		l := &lines{w: &b}
		for i := range c.stages {
			l.add(eligen.Event{Type: eligen.Cached, Stage: fmt.Sprint("s", i)})
		}
		l.add(eligen.Event{Type: eligen.Wrote, Path: "a.png"})
		if b.String() != c.want {
			t.Errorf("%d stages: got\n%s\nwant\n%s", c.stages, b.String(), c.want)
		}
	}
}
