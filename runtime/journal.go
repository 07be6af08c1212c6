package runtime

import (
	"io"

	"github.com/eligen/eligen"
)

// journal records a run's events, one JSON object a line. A journal that can't be kept
// stops nothing.
type journal struct {
	to       io.WriteCloser // nil: there is none
	kept     []byte         // lines that are to be written with the next one that matters
	err      error
	reported bool // err was
}

// openJournal starts a journal; to may be nil.
func openJournal(to Journals) *journal {
	j := &journal{}
	if to == nil {
		return j
	}
	if j.to, j.err = to.Record(); j.err != nil {
		j.to = nil
	}
	j.reported = j.err != nil
	return j
}

// add appends an event.
func (j *journal) add(e eligen.Event) {
	if j.to == nil || j.err != nil {
		return
	}
	line, err := e.Line()
	if err != nil {
		j.err = err
		return
	}
	j.kept = append(append(j.kept, line...), '\n')
	if e.Type != eligen.Planned && e.Type != eligen.Cached || len(j.kept) > most {
		j.flush()
	}
}

// most is how many bytes of lines are kept back: what was planned, and what was in the store already, can be
// found out again after a crash, and a large scene has tens of thousands of both.
const most = 64 << 10

func (j *journal) flush() {
	if j.err == nil && len(j.kept) > 0 {
		_, j.err = j.to.Write(j.kept)
	}
	j.kept = j.kept[:0]
}

// failing reports, once, that the journal has ended before the run.
func (j *journal) failing() bool {
	if j.err == nil || j.reported {
		return false
	}
	j.reported = true
	return true
}

func (j *journal) close() {
	if j.to != nil {
		j.flush()
		j.to.Close()
	}
}
