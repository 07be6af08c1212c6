package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
)

// Partial returns what an interrupted stage resumes from. One that is damaged is moved
// out of the way.
func (s *Store) Partial(_ context.Context, key eligen.Digest) (content []byte, step int, err error) {
	if !runtime.IsKey(key) {
		return nil, 0, nil
	}
	name := entryPath(key) + ".partial"
	f, sum, step, size, err := s.open(name, partial, key)
	switch {
	case files.Missing(err):
		return nil, 0, nil
	case errors.Is(err, errDamaged):
		return nil, 0, s.setAside(name)
	case err != nil:
		return nil, 0, err
	}
	content = make([]byte, size)
	_, err = io.ReadFull(f, content)
	f.Close() // before it is moved: Windows renames no open file
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	if sumOf(eligen.DigestOf(content), step) != sum {
		return nil, 0, s.setAside(name)
	}
	return content, step, nil
}

// SavePartial keeps what a stage can resume from; the last one counts.
func (s *Store) SavePartial(_ context.Context, key eligen.Digest, content []byte, step int) error {
	if !runtime.IsKey(key) || step < 1 || step > 999_999 {
		return fmt.Errorf("%q, step %d: no key or step of a partial result", key, step)
	}
	name := entryPath(key) + ".partial"
	s.files.Sweep(filepath.Dir(name))
	w := s.files.NewFile(name)
	defer w.Close()
	if _, err := w.Write(header(partial, key, step, sumOf(eligen.DigestOf(content), step), int64(len(content)))); err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Commit()
}

// DropPartial removes what was kept.
func (s *Store) DropPartial(_ context.Context, key eligen.Digest) {
	if runtime.IsKey(key) {
		_ = s.files.Remove(entryPath(key) + ".partial") // one that stays is overwritten, or never used
	}
}
