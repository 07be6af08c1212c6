package runtime

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/eligen/eligen"
)

// journal records a run's events in the store, one JSON object a line. A journal
// that can't be kept stops nothing.
type journal struct {
	files files
	file  *os.File
	name  string
	err   error
	told  bool // of err
}

func openJournal(s *Store) *journal {
	j := &journal{files: s.files}
	j.name = filepath.Join("runs", fmt.Sprintf("%s-%08x.jsonl", time.Now().UTC().Format("20060102T150405.000"), rand.Uint32()))
	if j.err = j.files.mkdirAll("runs"); j.err == nil {
		j.file, j.err = j.files.create(j.name)
	}
	if j.err == nil {
		_, _ = lock(j.file) // a locked journal says that its run is going on; where there are no locks, its age does
	}
	j.told = j.err != nil
	return j
}

// add appends an event.
func (j *journal) add(e eligen.Event) {
	if j.file == nil || j.err != nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		err = j.files.write(j.file, j.name, append(line, '\n'))
	}
	j.err = err
}

// failing reports, once, that the journal has ended before the run.
func (j *journal) failing() bool {
	if j.err == nil || j.told {
		return false
	}
	j.told = true
	return true
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close()
	}
}
