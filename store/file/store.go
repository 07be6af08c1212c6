// Package file keeps results in a folder: the store of one machine, or of several that
// share a file system.
package file

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/runtime"
)

// A Store is a folder of results. It is a runtime.Store, and keeps partial results,
// leases and journals too.
//
//	results/ab/abcd…          a result: a line with the content's digest, then the content
//	results/ab/abcd….partial  what an interrupted stage resumes from
//	quarantine/               entries that were found damaged
//	runs/                     the journal of every run: its events, one JSON object a line
//	leases/                   locked files: what is being made at the moment
type Store struct {
	files files.Folder
	dir   string
}

var (
	_ runtime.Store    = (*Store)(nil)
	_ runtime.Partials = (*Store)(nil)
	_ runtime.Leaser   = (*Store)(nil)
	_ runtime.Journals = (*Store)(nil)
)

// Open opens a folder as a Store, and makes it where it is missing.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the store can't be opened: %w", err)
	}
	f, err := files.OpenDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the store can't be opened: %w", err)
	}
	return &Store{f, dir}, nil
}

// Close closes the folder.
func (s *Store) Close() error { return s.files.Close() }

// Dir returns the store's folder.
func (s *Store) Dir() string { return s.dir }

// entryPath returns where a result is, from the store's folder.
func entryPath(d eligen.Digest) string {
	return filepath.Join("results", string(d[:2]), string(d))
}

const (
	result  = "result"
	partial = "partial"
)

// header returns an entry's first line. It has the same length for all entries of a kind,
// and follows from key, step and content, so that a check is a comparison. sum is sumOf's.
func header(kind string, key eligen.Digest, step int, sum eligen.Digest, size int64) []byte {
	return fmt.Appendf(nil, "eligen store 1 %s %s %06d %s %020d\n", kind, key, step, sum, size)
}

// headerSize returns the length of a kind's headers.
func headerSize(kind string) int {
	return len("eligen store 1 ") + len(kind) + 2*(1+64) + 1 + 6 + 1 + 20 + 1
}

// sumOf returns the digest that a header holds: the content's or, of a partial result, one
// over its step too, because latents of one step are not those of another.
func sumOf(content eligen.Digest, step int) eligen.Digest {
	if step == 0 {
		return content
	}
	return eligen.DigestOf(fmt.Appendf(nil, "%06d %s", step, content))
}

// parseHeader returns what a header says, whether or not the content fits. ok is false
// where the line isn't exactly a header of that kind, key and size.
func parseHeader(line []byte, kind string, key eligen.Digest, size int64) (sum eligen.Digest, step int, ok bool) {
	if len(line) != headerSize(kind) {
		return "", 0, false
	}
	at := len("eligen store 1 ") + len(kind) + 1 + 64 + 1
	step, err := strconv.Atoi(string(line[at : at+6]))
	sum = eligen.Digest(line[at+7 : at+7+64])
	ok = err == nil && (step > 0) == (kind == partial) && bytes.Equal(line, header(kind, key, step, sum, size))
	return sum, step, ok
}

// Has reports whether there is a result. It looks, and doesn't read.
func (s *Store) Has(key eligen.Digest) bool {
	if !runtime.IsKey(key) {
		return false
	}
	fi, err := s.files.Lstat(entryPath(key))
	return err == nil && fi.Mode().IsRegular()
}

func (s *Store) info(key, content eligen.Digest, size int64) runtime.Info {
	return runtime.Info{Key: key, Content: content, Size: size, Path: filepath.Join(s.dir, entryPath(key))}
}

// open opens an entry behind its header. The error is errDamaged where that is none.
func (s *Store) open(name, kind string, key eligen.Digest) (f *os.File, sum eligen.Digest, step int, size int64, err error) {
	f, err = s.files.Open(name)
	if errors.Is(err, files.ErrNotRegular) {
		return nil, "", 0, 0, errDamaged
	}
	if err != nil {
		return nil, "", 0, 0, err
	}
	line := make([]byte, headerSize(kind))
	_, err = io.ReadFull(f, line)
	fi, statErr := f.Stat()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = errDamaged
	case err == nil:
		err = statErr
	}
	if err == nil {
		var ok bool
		size = fi.Size() - int64(len(line))
		if sum, step, ok = parseHeader(line, kind, key, size); !ok || size > runtime.MaxResult {
			err = errDamaged
		}
	}
	if err != nil {
		f.Close()
		return nil, "", 0, 0, err
	}
	return f, sum, step, size, nil
}

// errDamaged is of an entry whose header is wrong, before it is set aside.
var errDamaged = errors.New("the header is wrong")

// Stat describes a result by its header.
func (s *Store) Stat(_ context.Context, key eligen.Digest) (runtime.Info, error) {
	if !runtime.IsKey(key) {
		return runtime.Info{}, os.ErrNotExist
	}
	f, sum, _, size, err := s.open(entryPath(key), result, key)
	if errors.Is(err, errDamaged) {
		return runtime.Info{}, fmt.Errorf("%s: %w", filepath.Join(s.dir, entryPath(key)), runtime.ErrCorrupt)
	}
	if err != nil {
		return runtime.Info{}, err
	}
	return s.info(key, sum, size), f.Close()
}

// Open opens a result. One that is found damaged, now or while it is read, is moved out of
// the way.
func (s *Store) Open(_ context.Context, key eligen.Digest) (runtime.Reader, error) {
	if !runtime.IsKey(key) {
		return nil, os.ErrNotExist
	}
	name := entryPath(key)
	f, sum, _, size, err := s.open(name, result, key)
	if errors.Is(err, errDamaged) {
		return nil, s.setAside(name)
	}
	if err != nil {
		return nil, err
	}
	return runtime.Verified(f, s.info(key, sum, size), func(error) error {
		f.Close() // Windows renames no open file
		return s.setAside(name)
	}), nil
}

// Get reads and checks a result. One that is damaged is moved out of the way and counts
// as missing; damage then says what was wrong.
func (s *Store) Get(key eligen.Digest) (a eligen.Artifact, ok bool, damage error) {
	a, err := runtime.Get(context.Background(), s, key)
	if files.Missing(err) {
		return eligen.Artifact{}, false, nil
	}
	return a, err == nil, err
}

// A damage says that an entry is damaged, for people. It is runtime.ErrCorrupt.
type damage struct{ text string }

func (d damage) Error() string { return d.text }

func (d damage) Is(target error) bool { return target == runtime.ErrCorrupt }

// setAside moves an entry that is damaged, or no file at all, to where nobody reads it.
// The error says so.
func (s *Store) setAside(name string) error {
	aside := filepath.Join("quarantine", filepath.Base(name))
	_ = s.files.MkdirAll("quarantine") // without it, the renaming fails
	err := s.files.Rename(name, aside) // of several damaged entries of one name, the last is kept
	if err != nil {                    // a folder is in the way, or is what is moved
		aside += fmt.Sprintf("-%08x", rand.Uint32())
		err = s.files.Rename(name, aside)
	}
	if err != nil {
		return damage{fmt.Sprintf("%s is damaged, and is made again", filepath.Join(s.dir, name))}
	}
	return damage{
		fmt.Sprintf("%s was damaged. It has been moved to %s, and is made again", filepath.Join(s.dir, name), filepath.Join(s.dir, aside)),
	}
}

// Create starts to write a result.
func (s *Store) Create(_ context.Context, key eligen.Digest) (runtime.Writer, error) {
	if !runtime.IsKey(key) {
		return nil, fmt.Errorf("%q is no key of a result", key)
	}
	return s.create(key), nil
}

func (s *Store) create(key eligen.Digest) *writer {
	w := &writer{store: s, key: key, file: s.files.NewFile(entryPath(key)), sum: sha.New()}
	_, w.err = w.file.Write(make([]byte, headerSize(result))) // the header is known at the end
	return w
}

// A writer writes a result behind an empty header.
type writer struct {
	store *Store
	key   eligen.Digest
	file  *files.NewFile
	sum   hash.Hash
	size  int64
	err   error // of writing
}

func (w *writer) Write(p []byte) (int, error) {
	if w.err == nil && w.size+int64(len(p)) > runtime.MaxResult {
		w.err = runtime.ErrTooLarge
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.file.Write(p)
	w.sum.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		w.err = unwritable(err)
	}
	return n, w.err
}

// Commit compares with what the store has before the result appears.
func (w *writer) Commit(replace bool) (runtime.Info, error) {
	if w.err != nil {
		return runtime.Info{}, w.err
	}
	content := eligen.Digest(hex.EncodeToString(w.sum.Sum(nil)))
	if !replace {
		if old, err := runtime.Verify(context.Background(), w.store, w.key); err == nil {
			if old.Content != content {
				return old, runtime.ErrNotDeterministic
			}
			return old, w.file.Close()
		}
	}
	w.store.files.Sweep(filepath.Dir(entryPath(w.key)))
	err := w.file.Overwrite(header(result, w.key, 0, content, w.size))
	if err == nil {
		err = w.file.Commit()
	}
	if err != nil {
		w.err = unwritable(err)
		return runtime.Info{}, w.err
	}
	return w.store.info(w.key, content, w.size), nil
}

func (w *writer) Close() error { return w.file.Close() }

func unwritable(err error) error { return fmt.Errorf("the store can't be written: %w", err) }

// Touch sets a result's time, where that is older than collecting can tell.
func (s *Store) Touch(_ context.Context, key eligen.Digest) {
	if !runtime.IsKey(key) {
		return
	}
	if info, err := s.files.Lstat(entryPath(key)); err == nil && time.Since(info.ModTime()).Abs() > Grace/4 {
		_ = s.files.Touch(entryPath(key)) // only an age is lost
	}
}
