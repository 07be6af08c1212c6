package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A trainingLog writes each Status as a line, and reports it.
type trainingLog struct {
	file     *os.File
	of       int // steps
	report   func(Status)
	unlogged error // the first line that couldn't be written
}

func openLog(o Options) (*trainingLog, error) {
	f, err := os.OpenFile(filepath.Join(o.Dir, LogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	l := &trainingLog{file: f, of: o.Recipe.Steps, report: func(Status) {}}
	if o.Report != nil {
		l.report = o.Report
	}
	return l, nil
}

func (l *trainingLog) close() error { return errors.Join(l.unlogged, l.file.Close()) }

func (l *trainingLog) add(st Status) {
	st.Of = l.of
	line, _ := json.Marshal(st)
	_, err := l.file.Write(append(line, '\n'))
	l.report(st)
	if err == nil || l.unlogged != nil {
		return
	}
	// A training of days doesn't end for its log, but reports at once that it has none.
	l.unlogged = fmt.Errorf("the log can't be written: %w", err)
	l.report(Status{Step: st.Step, Of: st.Of, Pictures: st.Pictures, Seconds: st.Seconds, Note: l.unlogged.Error()})
}

func (l *trainingLog) note(s *state, text string) {
	l.add(Status{Step: s.step, Pictures: s.pictures, Seconds: s.seconds, Note: text})
}

// means sum up the steps since the log's last line.
type means struct {
	loss, norm float64
	steps      int
	sums       map[string]float64 // of measures
	counts     map[string]int     // of measures, which not every step has
	since      time.Time
}

func newMeans() *means {
	return &means{sums: map[string]float64{}, counts: map[string]int{}, since: time.Now()}
}

// status returns the means as a line; each step saw some pictures.
func (m *means) status(s *state, rate float64, pictures int) Status {
	for k := range m.sums {
		m.sums[k] /= float64(m.counts[k])
	}
	n := float64(m.steps)
	return Status{Step: s.step, Loss: m.loss / n, Norm: m.norm / n, Rate: rate, Measures: m.sums,
		Pictures: s.pictures, Seconds: s.seconds, Speed: float64(m.steps*pictures) / time.Since(m.since).Seconds()}
}
