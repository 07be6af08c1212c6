package runtime

import (
	"encoding/json"
	"io"

	"github.com/eligen/eligen"
)

// journal records a run's events, one JSON object a line. A journal that can't be kept
// stops nothing.
type journal struct {
	to       io.WriteCloser // nil: there is none
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
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.to.Write(append(line, '\n'))
	}
	j.err = err
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
		j.to.Close()
	}
}
