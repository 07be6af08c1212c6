// Package files opens regular files only. A pipe would wait for somebody to write, and a
// device or a folder holds nothing that can be read as a whole.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular says that something with a file's name is none.
var ErrNotRegular = errors.New("it is not a regular file")

// Open opens a regular file for reading. It never waits; the error for anything else is
// ErrNotRegular.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	return regular(f, path, err)
}

// OpenIn opens a file below a folder, as Open does.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	return regular(f, name, err)
}

// OpenFolder opens a folder below another one.
func OpenFolder(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s: it is not a folder", name))
	}
	return f, nil
}

// Read returns the content of a regular file. More than limit bytes are an error.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, path, limit)
}

// ReadAll returns the content of an open file. More than limit bytes are an error.
func ReadAll(f io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, err
}

func regular(f *os.File, name string, err error) (*os.File, error) {
	if err != nil {
		return nil, notFile(name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
