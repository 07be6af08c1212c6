package file

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/runtime"
)

// maxImport is how many results an archive may hold: as many as a plan has stages.
const maxImport = 100_000

// maxPadding is how many bytes behind an archive's end are checked.
const maxPadding = 1 << 20

// ErrArchive says that an archive of results is damaged, or is none.
var ErrArchive = errors.New("the archive is damaged, or holds something else than results")

func archiveError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrArchive, fmt.Errorf(format, args...))
}

// An archive begins and ends with a mark, which tells whole archives from truncated ones:
// the last one holds the number of results and the digest of their headers. Archives from
// before 0.2 have neither.
const (
	beginName = "eligen-archive"
	endName   = "eligen-archive-end"
	beginMark = "eligen archive 2\n"
	maxMark   = 1 << 10
)

func endMark(results int, headers []byte) string {
	return fmt.Sprintf("eligen archive end %d %s\n", results, eligen.Digest(hex.EncodeToString(headers)))
}

// Export writes results as a tar archive, each under its name in the store, in the
// order given: the same results are the same bytes. It leaves out those that are missing
// or damaged, and returns how many there are.
func (s *Store) Export(w io.Writer, keys []eligen.Digest) (n int, err error) {
	t := tar.NewWriter(w)
	if err := addMark(t, beginName, beginMark); err != nil {
		return 0, err
	}
	sum := sha.New()
	for _, key := range keys {
		// A tar can't take back what is written. So each result is read twice.
		info, err := runtime.Verify(context.Background(), s, key)
		if err != nil {
			continue
		}
		head := header(result, key, 0, info.Content, info.Size)
		sum.Write(head)
		if err := s.exportOne(t, key, head); err != nil {
			return n, err
		}
		n++
	}
	if err := addMark(t, endName, endMark(n, sum.Sum(nil))); err != nil {
		return n, err
	}
	return n, t.Close()
}

func addMark(t *tar.Writer, name, mark string) error {
	err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(mark))})
	if err == nil {
		_, err = io.WriteString(t, mark)
	}
	return err
}

func (s *Store) exportOne(t *tar.Writer, key eligen.Digest, head []byte) error {
	r, err := s.Open(context.Background(), key)
	if err != nil {
		return err
	}
	defer r.Close()
	size := int64(len(head)) + r.Info().Size
	if err := t.WriteHeader(
		&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(entryPath(key)), Mode: 0o644, Size: size}); err != nil {
		return err
	}
	if _, err := t.Write(head); err != nil {
		return err
	}
	_, err = io.Copy(t, r)
	return err
}

// Imported counts the results of an Import.
type Imported struct {
	Added, Present int  // results that the store lacked, and that it had
	Whole          bool // the archive has a mark at its end; those from before 0.2 have none
}

// Import adds the results of an archive that Export wrote. It checks each against the
// digest of its content; results that the store has stay. At the first damaged result, or
// where the archive is truncated, it stops with ErrArchive and keeps those before.
//
// Digests tell that a result is whole, not who made it: whoever made the archive decides
// what its stages' results are.
func (s *Store) Import(r io.Reader) (out Imported, err error) {
	damaged := func(format string, args ...any) (Imported, error) { return out, archiveError(format, args...) }
	t, sum, begun := tar.NewReader(r), sha.New(), false
	for first := true; ; first = false {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF) && (first || begun):
			return damaged("it ends before its end: it was cut off")
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return damaged("%w", err)
		case h.Typeflag != tar.TypeReg || sparse(h):
			return damaged("%q is not a plain file", h.Name)
		case first && h.Name == beginName:
			if mark, err := readMark(t, h); err != nil || mark != beginMark {
				return damaged("it is of another version of eligen")
			}
			begun = true
			continue
		case begun && h.Name == endName:
			if mark, err := readMark(t, h); err != nil || mark != endMark(out.Added+out.Present, sum.Sum(nil)) {
				return damaged("its end does not fit its %d results", out.Added+out.Present)
			}
			if _, err := t.Next(); !errors.Is(err, io.EOF) {
				return damaged("more follows its end")
			}
			// Zeros fill a tar's last record. Another archive behind it would go unread.
			if rest, err := io.ReadAll(io.LimitReader(r, maxPadding)); err != nil || len(bytes.Trim(rest, "\x00")) > 0 {
				return damaged("more follows its end")
			}
			out.Whole = true
			return out, nil
		case out.Added+out.Present == maxImport:
			return damaged("more than %d results, which is the limit", maxImport)
		}
		head, fresh, err := s.importOne(t, h)
		if err != nil {
			return out, err
		}
		sum.Write(head)
		if fresh {
			out.Added++
		} else {
			out.Present++
		}
	}
}

// sparse reports whether a file has holes for bytes that the archive doesn't hold. A few
// such files would fill a disk.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func readMark(r io.Reader, h *tar.Header) (string, error) {
	if h.Size > maxMark {
		return "", ErrArchive
	}
	data, err := io.ReadAll(r)
	return string(data), err
}

// importOne takes one result from an archive, without holding it; fresh says that the
// store hadn't it.
func (s *Store) importOne(r io.Reader, h *tar.Header) (head []byte, fresh bool, err error) {
	key := eligen.Digest(h.Name[strings.LastIndexByte(h.Name, '/')+1:])
	if !runtime.IsKey(key) || h.Name != filepath.ToSlash(entryPath(key)) {
		return nil, false, archiveError("%q is no result's name", h.Name)
	}
	if h.Size > runtime.MaxResult {
		return nil, false, archiveError("%s has %d bytes; a result has at most %d", key.Short(), h.Size, int64(runtime.MaxResult))
	}
	wrong := archiveError("the content of %s is not what its digest says", key.Short())
	head = make([]byte, headerSize(result))
	size := h.Size - int64(len(head))
	if size < 0 {
		return nil, false, wrong
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, false, archiveError("%w", err)
	}
	content, _, ok := parseHeader(head, result, key, size)
	if !ok {
		return nil, false, wrong
	}
	old, err := runtime.Verify(context.Background(), s, key)
	had := err == nil
	if had && old.Content != content {
		return nil, false, fmt.Errorf("%s: %w", key.Short(), runtime.ErrNotDeterministic)
	}
	sum, put := sha.New(), func() error { return nil }
	to := io.Writer(sum)
	if !had {
		w := s.create(key)
		defer w.Close()
		sum, to, put = w.sum, w, func() error { _, err := w.Commit(true); return err }
	}
	from := &source{r: r}
	switch _, err := io.Copy(to, from); {
	case from.err != nil:
		return nil, false, archiveError("%w", from.err)
	case err != nil:
		return nil, false, err
	case eligen.Digest(hex.EncodeToString(sum.Sum(nil))) != content:
		return nil, false, wrong
	}
	return head, !had, put()
}

// A source keeps the error of reading, which is the archive's: any other is the store's.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
