package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// held is how many bytes a NewFile holds before it creates its temporary file.
const held = 256 << 10

// A NewFile is written under a temporary name, in its final folder. Commit puts it in
// place, whole and durably. Without a Commit, Close leaves nothing behind.
type NewFile struct {
	folder Folder
	name   string
	mode   fs.FileMode // 0 is a new file's
	temp   string      // "" before the temporary file is created
	file   *os.File    // nil before it is created
	buf    []byte      // not written yet
	done   bool
}

// NewFile starts to write a file, which may exist. A file of up to 256 KiB reaches the
// disk at its Commit and not before.
func (f Folder) NewFile(name string) *NewFile { return &NewFile{folder: f, name: name} }

// Write appends bytes.
func (w *NewFile) Write(p []byte) (int, error) {
	if w.done {
		return 0, fs.ErrClosed
	}
	if len(w.buf)+len(p) <= held {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	if len(p) <= held {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.folder.WriteTo(w.file, w.temp, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Overwrite replaces the first bytes, which must have been written.
func (w *NewFile) Overwrite(p []byte) error {
	if w.file == nil {
		copy(w.buf, p)
		return nil
	}
	if err := w.folder.ask("write", w.temp); err != nil {
		return err
	}
	_, err := w.file.WriteAt(p, 0)
	return err
}

// flush writes the held bytes. It creates the temporary file if there is none.
func (w *NewFile) flush() error {
	if w.file == nil {
		dir := filepath.Dir(w.name)
		if err := w.folder.MkdirAll(dir); err != nil {
			return err
		}
		w.temp = filepath.Join(dir, fmt.Sprintf("%s%08x%08x", TempPrefix, rand.Uint32(), rand.Uint32()))
		file, err := w.folder.Create(w.temp)
		if err != nil {
			w.temp = ""
			return err
		}
		w.file = file
		if w.mode != 0 {
			if err := file.Chmod(w.mode); err != nil {
				return err
			}
		}
	}
	err := w.folder.WriteTo(w.file, w.temp, w.buf)
	w.buf = w.buf[:0]
	return err
}

// Commit puts the file in place. With an error, the old file, if there was one, is
// untouched; only where the folder couldn't be synced may the new one be there.
func (w *NewFile) Commit() error {
	if w.done {
		return fs.ErrClosed
	}
	err := w.flush()
	if err == nil {
		err = w.folder.sync(w.file, w.temp)
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	if err == nil {
		err = w.folder.Rename(w.temp, w.name)
	}
	w.done = true
	if err != nil {
		w.discard() // report the first error, not the cleanup's
		return err
	}
	return w.folder.syncDir(filepath.Dir(w.name))
}

// Close discards the file, unless it was committed.
func (w *NewFile) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	if w.file != nil {
		w.file.Close()
	}
	w.discard()
	return nil
}

func (w *NewFile) discard() {
	w.buf = nil
	if w.temp != "" {
		_ = w.folder.Remove(w.temp) // Sweep removes it later
	}
}

// WriteFile writes a file atomically and durably: afterwards it holds everything that fill
// wrote or, after an error, its old content. It keeps the mode of an existing file; a new
// one gets 0644. It replaces a symbolic link and doesn't follow it.
func WriteFile(path string, fill func(io.Writer) error) error {
	folder, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	w := folder.NewFile(filepath.Base(path))
	defer w.Close()
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		w.mode = info.Mode().Perm()
	}
	if err := fill(named{w, path}); err != nil {
		return err
	}
	return whole(path, w.Commit())
}

// named is a NewFile whose errors name the file as its user does.
type named struct {
	*NewFile
	path string
}

func (w named) Write(p []byte) (int, error) {
	n, err := w.NewFile.Write(p)
	return n, whole(w.path, err)
}

// whole names a file in an error in place of the temporary one.
func whole(path string, err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &link):
		err = link.Err
	default:
		return err
	}
	return &fs.PathError{Op: "write", Path: path, Err: err}
}

// Move moves a finished file durably: its content must have been synced. It replaces what
// has the new name.
func Move(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	folder, err := OpenDir(filepath.Dir(to))
	if err != nil {
		return nil // a folder that can't be read can't be synced
	}
	defer folder.Close()
	return folder.syncDir(".")
}

// WriteBytes writes some bytes as WriteFile does.
func WriteBytes(path string, data []byte) error {
	return WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// equal reports whether two readers give the same bytes.
func equal(a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errA := fill(a, bufA)
		m, errB := fill(b, bufB)
		if errA != nil || errB != nil || !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, errors.Join(errA, errB)
		}
		if n < len(bufA) {
			return true, nil
		}
	}
}

// fill reads until buf is full or r ends, which is no error.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
