package file

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/eligen/eligen/internal/files"
)

// Record starts a run's journal. It is locked while it is written, which says that its
// run is live; where a locked file can't be read, its age says so.
func (s *Store) Record() (io.WriteCloser, error) {
	j := &journal{files: s.files}
	j.name = filepath.Join("runs", fmt.Sprintf("%s-%08x.jsonl", time.Now().UTC().Format("20060102T150405.000"), rand.Uint32()))
	err := s.files.MkdirAll("runs")
	if err == nil {
		j.file, err = s.files.Create(j.name)
	}
	if err != nil {
		return nil, err
	}
	if files.LocksReadable {
		j.lock, _ = s.files.Lock(j.name, false)
	}
	return j, nil
}

type journal struct {
	files files.Folder
	name  string
	file  *os.File
	lock  *files.Lock
}

func (j *journal) Write(line []byte) (int, error) {
	if err := j.files.WriteTo(j.file, j.name, line); err != nil {
		return 0, err
	}
	return len(line), nil
}

func (j *journal) Close() error {
	err := j.file.Close()
	if j.lock != nil {
		err = errors.Join(err, j.lock.Unlock())
	}
	return err
}

// live reports whether a run is writing a journal.
func (s *Store) live(name string) bool {
	if !files.LocksReadable {
		return false
	}
	lock, err := s.files.Lock(filepath.FromSlash(name), false)
	if err != nil {
		return errors.Is(err, files.ErrLocked)
	}
	_ = lock.Unlock()
	return false
}
