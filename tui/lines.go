package tui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// JSONLines writes each event as a line of JSON.
func JSONLines(w io.Writer) eligen.Sink {
	return func(e eligen.Event) { _ = page.JSONLine(w, e) } // a reader that has gone away stops nothing
}

// quiet is the time between lines of one stage's steps, and the longest silence of a log
// while a stage runs.
const quiet = 5 * time.Second

// over returns a writer of text for people over w.
func over(w io.Writer) io.Writer {
	return page.Over(w, func(string) string { return "" })
}

// many is how many stages in a row that the store has get a line each. More are counted.
const many = 20

// lines writes events as lines, for logs: one a stage, and one every five seconds of a
// stage with many steps. It writes problems whole.
type lines struct {
	w     io.Writer
	mu    sync.Mutex
	p     eligen.Progress
	last  time.Time                // of the latest line
	calm  []string                 // stages in a row that the store has, and their files: not written yet
	count map[eligen.EventType]int // of calm
}

func (l *lines) add(e eligen.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.Add(e)
	if e.Type == eligen.Stepped && (l.last.IsZero() || e.Time.Sub(l.last) < quiet || e.Step == e.Of) {
		return
	}
	if s := l.p.Stage(e.Stage); e.Type == eligen.Cached || e.Type == eligen.Wrote && s != nil && s.State == eligen.Cached {
		if l.count == nil {
			l.count = map[eligen.EventType]int{}
		}
		l.calm = append(l.calm, styledLine(&l.p, e, page.Columns(l.w)))
		l.count[e.Type]++
		return
	}
	line := styledLine(&l.p, e, page.Columns(l.w))
	if line != "" {
		l.flush(e.Time)
	}
	l.print(line, e.Time)
}

// flush writes the stages that the store has, and what was written of them: by name where they are few, else
// their numbers.
func (l *lines) flush(at time.Time) {
	if l.count[eligen.Cached] > many {
		l.calm = []string{wordStyles[eligen.Cached].Of("cached") + fmt.Sprintf("   %d stages", l.count[eligen.Cached])}
		if n := l.count[eligen.Wrote]; n > 0 {
			l.calm = append(l.calm, wordStyles[eligen.Wrote].Of("wrote")+fmt.Sprintf("    %d files of them", n))
		}
	}
	for _, line := range l.calm {
		l.print(line, at)
	}
	l.calm, l.count = nil, nil
}

func (l *lines) print(s string, at time.Time) {
	if s != "" {
		l.last = at
		fmt.Fprintln(over(l.w), s)
	}
}

// pulse writes the running stages if the log has been silent for long.
func (l *lines) pulse(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) >= quiet && !l.p.Ended {
		l.flush(now)
		l.print(working(&l.p, now), now)
	}
}

// pulsing shows events as lines, for a run in progress: its log shows that the run
// lives, though no stage begins, steps or ends. The returned function ends it.
func pulsing(w io.Writer) (eligen.Sink, func()) {
	l, tick, done := &lines{w: w}, time.NewTicker(quiet/5), make(chan struct{})
	go func() {
		for {
			select {
			case now := <-tick.C:
				l.pulse(now)
			case <-done:
				return
			}
		}
	}()
	return l.add, func() { tick.Stop(); close(done) }
}

// working returns the running stage and its progress.
func working(p *eligen.Progress, now time.Time) string {
	var at *eligen.StageProgress
	more := 0
	for i := range p.Stages {
		if s := &p.Stages[i]; s.State == eligen.Started || s.State == eligen.Stepped {
			if at == nil {
				at = s
				continue
			}
			more++
		}
	}
	if at == nil {
		return ""
	}
	line := page.Quiet.Of("working") + "  " + at.Name
	if at.Of > 0 && at.Step > 0 {
		line += fmt.Sprintf("  %d/%d%s", at.Step, at.Of, prefixed(", ", remaining(at, now), " left"))
	} else if !at.Began.IsZero() {
		line += "  for " + seconds(now.Sub(at.Began))
	}
	if more > 0 {
		line += fmt.Sprintf(", and %d more", more)
	}
	return line
}

// wordStyles are the styles of a line's first word.
var wordStyles = map[eligen.EventType]page.Style{
	eligen.Started: page.Quiet, eligen.Stepped: page.Quiet, eligen.Cached: page.Quiet, eligen.Skipped: page.Warned,
	eligen.Done: page.Added, eligen.Wrote: page.Added, eligen.Failed: page.Failed,
}

// styledLine returns Line in the theme's styles, its diagnostic in lines of width cells.
func styledLine(p *eligen.Progress, e eligen.Event, width int) string {
	if e.Type == eligen.Reported && e.Problem != nil {
		return page.Diagnostic(*e.Problem, width)
	}
	line := Line(p, e)
	style, ok := wordStyles[e.Type]
	if !ok {
		return line
	}
	word, rest, _ := strings.Cut(line, " ")
	if e.Type == eligen.Failed && e.Problem != nil {
		rest, _, _ = strings.Cut(rest, "\n")
		rest += "\n\n" + page.Diagnostic(*e.Problem, width)
	}
	return style.Of(word) + " " + rest
}

// Line returns an event in words, "" for some events. p already includes the event.
func Line(p *eligen.Progress, e eligen.Event) string {
	s := p.Stage(e.Stage)
	switch e.Type {
	case eligen.Opened:
		return fmt.Sprintf("%s on %s", e.Scene, e.Engine)
	case eligen.Started:
		return "start    " + e.Stage + prefixed("  on ", e.Worker, "")
	case eligen.Stepped:
		return fmt.Sprintf("step     %s  %d/%d%s", e.Stage, e.Step, e.Of, prefixed(", ", remaining(s, e.Time), " left"))
	case eligen.Cached:
		return "cached   " + e.Stage
	case eligen.Done:
		line := "done     " + e.Stage
		if s != nil && !s.Began.IsZero() {
			line += "  " + seconds(e.Time.Sub(s.Began))
		}
		return line + prefixed("  on ", e.Worker, "")
	case eligen.Skipped:
		return "skipped  " + e.Stage
	case eligen.Wrote:
		return "wrote    " + e.Path
	case eligen.Failed:
		line := "failed   " + e.Stage
		if e.Problem != nil {
			line += "\n\n" + e.Problem.String()
		}
		return line
	case eligen.Reported:
		if e.Problem != nil {
			return e.Problem.String()
		}
	case eligen.Ended:
		return summary(p, e.Time)
	}
	return ""
}

// summary counts stages: "5 stages done, 2 cached, in 3.4 s".
func summary(p *eligen.Progress, now time.Time) string {
	n := p.Counts()
	var parts []string
	add := func(state eligen.EventType, word string) {
		if n[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[state], word))
		}
	}
	add(eligen.Done, "done")
	add(eligen.Cached, "cached")
	add(eligen.Failed, "failed")
	add(eligen.Skipped, "skipped")
	if !p.Ended {
		add(eligen.Planned, "pending")
	}
	if len(parts) == 0 {
		parts = []string{"nothing to do"}
	}
	return strings.Join(parts, ", ") + "  " + seconds(now.Sub(p.Began))
}

// pace returns the time of a stage's step, from the steps of this run. The first step
// doesn't count: it includes reading weights and compiling graphs.
func pace(s *eligen.StageProgress) (time.Duration, bool) {
	if s == nil || s.First.IsZero() || s.Step < s.From+2 {
		return 0, false
	}
	return s.Latest.Sub(s.First) / time.Duration(s.Step-s.From-1), true
}

// remaining returns the time left of a stage's steps, "" while unknown.
func remaining(s *eligen.StageProgress, now time.Time) string {
	each, ok := pace(s)
	if !ok {
		return ""
	}
	return seconds(rest(s, each, now))
}

func rest(s *eligen.StageProgress, each time.Duration, now time.Time) time.Duration {
	return max(0, each*time.Duration(s.Of-s.Step)-now.Sub(s.Latest))
}

// left returns the time left of a run, from the times of its finished stages: on as many machines as work
// at the moment. It is known once most kinds of pending stages have finished before.
func left(p *eligen.Progress, now time.Time) (time.Duration, bool) {
	type sum struct{ seconds, work float64 }
	took := map[string]sum{} // by kind
	for i := range p.Stages {
		s := &p.Stages[i]
		each, steady := pace(s)
		d := each * time.Duration(s.Of)
		if !steady && s.State == eligen.Done && !s.Began.IsZero() {
			d, steady = s.Latest.Sub(s.Began), true
		}
		if steady && s.Work > 0 {
			k := took[s.Kind]
			took[s.Kind] = sum{k.seconds + d.Seconds(), k.work + s.Work}
		}
	}
	total, known, unknown, workers := 0.0, 0, 0, 0
	for i := range p.Stages {
		s := &p.Stages[i]
		running := s.State == eligen.Started || s.State == eligen.Stepped
		if s.State != eligen.Planned && !running {
			continue
		}
		if running && s.Worker != "" {
			workers++
		}
		if each, ok := pace(s); ok && running {
			total, known = total+rest(s, each, now).Seconds(), known+1
			continue
		}
		k, ok := took[s.Kind]
		if !ok || s.Work <= 0 {
			unknown++
			continue
		}
		known++
		t := k.seconds / k.work * s.Work
		if running {
			t = max(0, t-now.Sub(s.Began).Seconds())
		}
		total += t
	}
	return time.Duration(total / float64(max(1, workers)) * float64(time.Second)), known > unknown
}

func prefixed(before, s, after string) string {
	if s == "" {
		return ""
	}
	return before + s + after
}

// seconds formats a duration for people.
func seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "0.0 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute-time.Second/2:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}
