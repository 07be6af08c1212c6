package runtime

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
)

// maxImport is how many results an archive may hold: as many as a plan has stages.
const maxImport = 100_000

// ErrDamaged says that an archive of results is not what it should be.
var ErrDamaged = errors.New("the archive is damaged, or holds something else than results")

// Export writes results as a tar archive, each under its name in the store, in the
// order given: the same results are the same bytes. Those that are missing or damaged
// are left out. It gives how many there are.
func (s *Store) Export(w io.Writer, keys []eligen.Digest) (n int, err error) {
	t := tar.NewWriter(w)
	for _, d := range keys {
		a, ok, _ := s.Get(d)
		if !ok {
			continue
		}
		entry := append(header("result", d, 0, a.Data), a.Data...)
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(place(d)), Mode: 0o644, Size: int64(len(entry))}); err != nil {
			return n, err
		}
		if _, err := t.Write(entry); err != nil {
			return n, err
		}
		n++
	}
	return n, t.Close()
}

// Import takes results from an archive that Export wrote. Each is checked against the
// digest of its content before it is kept; what is there already stays. At the first
// thing that is no sound result it stops with ErrDamaged: those before it are kept.
//
// Digests say that a result is whole, not who made it: whoever made the archive says
// what comes of its recipes.
func (s *Store) Import(r io.Reader) (added, present int, err error) {
	t := tar.NewReader(r)
	for range maxImport {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return added, present, nil
		}
		if err != nil {
			return added, present, fmt.Errorf("%w: %v", ErrDamaged, err)
		}
		d := eligen.Digest(h.Name[strings.LastIndexByte(h.Name, '/')+1:])
		if h.Typeflag != tar.TypeReg || !isDigest(d) || h.Name != filepath.ToSlash(place(d)) {
			return added, present, fmt.Errorf("%w: %q is no result's name", ErrDamaged, h.Name)
		}
		if h.Size > maxEntry {
			return added, present, fmt.Errorf("%w: %s has %d bytes; a result has at most %d", ErrDamaged, d.Short(), h.Size, int64(maxEntry))
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return added, present, fmt.Errorf("%w: %v", ErrDamaged, err)
		}
		head := len(header("result", d, 0, nil))
		if len(data) < head || !bytes.Equal(data[:head], header("result", d, 0, data[head:])) {
			return added, present, fmt.Errorf("%w: the content of %s is not what its digest says", ErrDamaged, d.Short())
		}
		had := s.Has(d)
		if _, err := s.Put(d, data[head:]); err != nil {
			return added, present, fmt.Errorf("%s: %w", d.Short(), err)
		}
		if had {
			present++
		} else {
			added++
		}
	}
	if _, err := t.Next(); !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: more than %d results, which is the limit", ErrDamaged, maxImport)
		return added, present, err
	}
	return added, present, nil
}

// isDigest reports whether a text is a digest as DigestOf writes it.
func isDigest(d eligen.Digest) bool {
	return len(d) == 64 && strings.Trim(string(d), "0123456789abcdef") == ""
}
