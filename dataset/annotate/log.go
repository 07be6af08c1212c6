package annotate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// An Answer is a question's, as it is kept: a line of JSON.
type Answer struct {
	Key      string `json:"key"` // of model, question and picture
	Kind     string `json:"kind"`
	Picture  string `json:"picture,omitempty"`
	Question string `json:"question"`
	Text     string `json:"text"`
	Problem  string `json:"problem,omitempty"` // why there is no text
	In       int64  `json:"tokens_in,omitempty"`
	Out      int64  `json:"tokens_out,omitempty"`
}

// A Log is the file that keeps every answer before it is used.
type Log struct {
	file    *os.File
	answers map[string]Answer
}

// maxLog is the largest file of answers that is read.
const maxLog = 1 << 30

// OpenLog opens a file of answers, or makes one. A last line that was cut off is removed: its question
// is asked again.
func OpenLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &Log{file: f, answers: map[string]Answer{}}
	data, err := io.ReadAll(io.LimitReader(f, maxLog+1))
	if err == nil && len(data) > maxLog {
		err = fmt.Errorf("%s has more than %d MiB", path, maxLog>>20)
	}
	if err == nil {
		err = l.read(path, data)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func (l *Log) read(path string, data []byte) error {
	whole := bytes.LastIndexByte(data, '\n') + 1
	for i, line := range bytes.Split(data[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var a Answer
		if err := json.Unmarshal(line, &a); err != nil || a.Key == "" {
			return fmt.Errorf("%s:%d is no answer; remove the line, and its question is asked again", path, i+1)
		}
		l.answers[a.Key] = a
	}
	if err := l.file.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err := l.file.Seek(int64(whole), io.SeekStart)
	return err
}

// get returns the answer that is kept.
func (l *Log) get(key string) (Answer, bool) {
	a, ok := l.answers[key]
	return a, ok
}

// put keeps an answer, on the disk.
func (l *Log) put(a Answer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	l.answers[a.Key] = a
	return l.file.Sync()
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
