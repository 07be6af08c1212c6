package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/eligen/eligen/train"
)

// A long piece of work on a pipe says that it goes on, and says it once a while.
func TestPulse(t *testing.T) {
	var b bytes.Buffer
	p := &pulse{w: &b, every: 5 * time.Second, line: func(silent time.Duration) string { return "at work for " + silent.String() }}
	began := time.Now()
	p.print("begin")
	p.last = began
	for s := range 12 {
		p.tick(began.Add(time.Duration(s) * time.Second))
	}
	if got, want := b.String(), "begin\nat work for 5s\nat work for 5s\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What eval and train say on a pipe while nothing is reported.
func TestWorkingLines(t *testing.T) {
	c := &counter{what: "renders", began: time.Now().Add(-time.Minute)}
	lines := []string{c.line()}
	c.done, c.of = 20, 60
	lines = append(lines, c.line())
	p := &trainProgress{}
	lines = append(lines, p.working(31*time.Second))
	p.at = train.Status{Step: 40, Of: 200}
	lines = append(lines, p.working(16*time.Second))
	for i, want := range []string{
		"no renders yet, after 1m0s", "20 of 60 renders, about 2m0s left",
		"no step yet: samples are made and graphs compiled, for 31s", "after step 40/200, for 16s",
	} {
		if lines[i] != want {
			t.Errorf("got %q, want %q", lines[i], want)
		}
	}
	var b bytes.Buffer
	shown := newTrainProgress(&b, &b, false)
	shown.add(train.Status{Step: 20, Of: 40, Loss: 0.5, Rate: 0.001, Speed: 3, Pictures: 80})
	shown.end()
	if want := "step 20/40  loss 0.5000  rate 0.001  3.0 pictures/s  80 seen\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
