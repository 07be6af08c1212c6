package file

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/eligen/eligen"
)

// A History sums up earlier runs of a scene and of an engine, from their journals.
type History struct {
	// Last is when the scene was last run; zero if never.
	Last time.Time
	// Definitions are the Ops, as JSON, that made the scene's files, those of the newest
	// run first.
	Definitions []json.RawMessage

	took map[string][]took // by kind, the newest run's first
}

// A took is how long a stage took.
type took struct{ work, seconds float64 }

// How much of the journals is read, from the newest run back.
const (
	maxRuns  = 200
	maxBytes = 16 << 20
)

// History reads the newest runs' journals: how long an engine's stages took, and which
// files a scene made. It skips journals that it can't read.
func (s *Store) History(engine, scene string) History {
	h := History{took: map[string][]took{}}
	scene = absolute(scene)
	names, err := s.files.List("runs")
	if err != nil {
		return h
	}
	slices.Sort(names)
	slices.Reverse(names) // they begin with the time
	read := 0
	for _, name := range names[:min(len(names), maxRuns)] {
		journal, err := s.files.Open(filepath.Join("runs", name))
		if err != nil {
			continue
		}
		// The beginning of a longer one will do: it lists the run's files.
		data, err := io.ReadAll(io.LimitReader(journal, int64(maxBytes-read)))
		journal.Close()
		if err == nil {
			h.add(data, engine, scene)
		}
		if read += len(data); read >= maxBytes {
			break
		}
	}
	return h
}

// absolute returns a path that holds wherever the working directory is.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// add reads one journal.
func (h *History) add(data []byte, engine, scene string) {
	var run eligen.Progress
	works := map[string]float64{}
	ours := false
	for line := range bytes.Lines(data) {
		var e eligen.Event
		if json.Unmarshal(line, &e) != nil {
			continue // the line at which a run was killed
		}
		if e.Type == eligen.Opened {
			if ours = e.Path == scene; !ours && e.Engine != engine {
				return
			}
			if ours && h.Last.IsZero() {
				h.Last = e.Time
			}
		}
		run.Add(e)
		if e.Type == eligen.Planned {
			works[e.Stage] = e.Work
			if ours && e.Definition != nil {
				h.Definitions = append(h.Definitions, e.Definition)
			}
		}
	}
	if run.Engine != engine {
		return
	}
	for _, s := range run.Stages {
		work := works[s.Name]
		if s.State != eligen.Done || s.Began.IsZero() || work <= 0 {
			continue
		}
		if s.Of > 0 {
			work *= float64(s.Of-s.From) / float64(s.Of)
		}
		h.took[s.Kind] = append(h.took[s.Kind], took{work, s.Latest.Sub(s.Began).Seconds()})
	}
}

// What Seconds compares with: stages of up to so many times the work, and no more
// than so many.
const (
	similar = 4
	enough  = 20
)

// Seconds estimates how long a stage of a kind takes for an amount of work: the mean of
// stages of comparable size.
func (h History) Seconds(kind string, work float64) (seconds float64, ok bool) {
	n, sum := 0, 0.0
	for _, t := range h.took[kind] {
		if n < enough && t.work <= work*similar && work <= t.work*similar {
			n++
			sum += t.seconds * work / t.work
		}
	}
	return sum / float64(max(1, n)), n > 0
}
