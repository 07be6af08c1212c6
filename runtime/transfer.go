package runtime

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
)

// maxImport is how many results an archive may hold: as many as a plan has stages.
const maxImport = 100_000

// maxPadding is how many bytes are looked at behind an archive's end.
const maxPadding = 1 << 20

// ErrDamaged says that an archive of results is not what it should be.
var ErrDamaged = errors.New("the archive is damaged, or holds something else than results")

// An archive begins and ends with a mark, so that one that was cut off is told from a
// whole one: the last says how many results there are, and the digest of their headers.
// Archives of before 0.2 have neither.
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
// order given: the same results are the same bytes. Those that are missing or damaged
// are left out. It gives how many there are.
func (s *Store) Export(w io.Writer, keys []eligen.Digest) (n int, err error) {
	t := tar.NewWriter(w)
	add := func(name string, parts ...[]byte) error {
		size := 0
		for _, p := range parts {
			size += len(p)
		}
		err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(size)})
		for _, p := range parts {
			if err == nil {
				_, err = t.Write(p)
			}
		}
		return err
	}
	if err := add(beginName, []byte(beginMark)); err != nil {
		return 0, err
	}
	sum := sha256.New()
	for _, d := range keys {
		a, ok, _ := s.Get(d)
		if !ok {
			continue
		}
		head := header("result", d, 0, a.Data)
		sum.Write(head)
		if err := add(filepath.ToSlash(place(d)), head, a.Data); err != nil {
			return n, err
		}
		n++
	}
	if err := add(endName, []byte(endMark(n, sum.Sum(nil)))); err != nil {
		return n, err
	}
	return n, t.Close()
}

// Imported is what came of an Import.
type Imported struct {
	Added, Present int  // results that are new to the store, and that it had
	Whole          bool // the archive says where it ends, and what it holds: none of before 0.2 does
}

// Import takes results from an archive that Export wrote. Each is checked against the
// digest of its content before it is kept; what is there already stays. At the first
// thing that is no sound result it stops with ErrDamaged, and where the archive ends
// before its end: those before it are kept.
//
// Digests say that a result is whole, not who made it: whoever made the archive says
// what comes of its recipes.
func (s *Store) Import(r io.Reader) (out Imported, err error) {
	damaged := func(format string, args ...any) (Imported, error) {
		return out, fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
	}
	t, sum, begun := tar.NewReader(r), sha256.New(), false
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
				return damaged("it goes on behind its end")
			}
			// Zeros fill a tar's last record; more archives may follow, which nobody reads.
			if rest, err := io.ReadAll(io.LimitReader(r, maxPadding)); err != nil || len(bytes.Trim(rest, "\x00")) > 0 {
				return damaged("it goes on behind its end")
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

// sparse reports whether a file's holes stand for bytes that the archive doesn't hold:
// a few of those would fill a disk.
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
		return "", ErrDamaged
	}
	data, err := io.ReadAll(r)
	return string(data), err
}

// importOne takes one result from an archive, without holding it; fresh says that the
// store hadn't it.
func (s *Store) importOne(r io.Reader, h *tar.Header) (head []byte, fresh bool, err error) {
	damaged := func(format string, args ...any) ([]byte, bool, error) {
		return nil, false, fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
	}
	d := eligen.Digest(h.Name[strings.LastIndexByte(h.Name, '/')+1:])
	if !isDigest(d) || h.Name != filepath.ToSlash(place(d)) {
		return damaged("%q is no result's name", h.Name)
	}
	if h.Size > maxEntry {
		return damaged("%s has %d bytes; a result has at most %d", d.Short(), h.Size, int64(maxEntry))
	}
	wrong := fmt.Errorf("the content of %s is not what its digest says", d.Short())
	head = header("result", d, 0, nil)
	size := h.Size - int64(len(head))
	if size < 0 {
		return damaged("%w", wrong)
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return damaged("%w", err)
	}
	content := sumOf(head, "result", d)
	if !bytes.Equal(head, headerOf("result", d, 0, content, size)) {
		return damaged("%w", wrong)
	}
	old, had, _ := s.Get(d)
	if had && !bytes.Equal(header("result", d, 0, old.Data), head) {
		return nil, false, fmt.Errorf("%s: %w", d.Short(), ErrNotDeterministic)
	}
	sum := sha256.New()
	check := func() error {
		if eligen.Digest(hex.EncodeToString(sum.Sum(nil))) != content {
			return wrong
		}
		return nil
	}
	from := &source{r: io.TeeReader(r, sum)}
	if had {
		_, err = io.Copy(io.Discard, from)
		err = errors.Join(err, check())
	} else {
		err = s.files.putFrom(place(d), head, from, check)
	}
	switch {
	case from.err != nil:
		return damaged("%w", from.err)
	case errors.Is(err, wrong):
		return damaged("%w", wrong)
	case err != nil:
		return nil, false, fmt.Errorf("the store can't be written: %w", err)
	}
	return head, !had, nil
}

// A source keeps the error at which reading ended: that is the archive's, and another
// one the store's.
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

// isDigest reports whether a text is a digest as DigestOf writes it.
func isDigest(d eligen.Digest) bool {
	return len(d) == 64 && strings.Trim(string(d), "0123456789abcdef") == ""
}
