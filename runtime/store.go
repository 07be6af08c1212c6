package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/eligen/eligen"
	regular "github.com/eligen/eligen/internal/files"
)

// A Store is a folder of results, each under the digest of how it was made. It is
// all the state there is: without it, time is lost and nothing else.
//
//	results/ab/abcd…          a result: a line that holds the content's digest, then the content
//	results/ab/abcd….partial  what an interrupted stage goes on from
//	quarantine/               entries that were found damaged
//	runs/                     the journal of every run: its events, one JSON object a line
//	leases/                   locked files: what is being made at the moment
//
// Entries appear whole or not at all, and are checked whenever they are read. Several
// processes may use one Store at the same time: what one is making, others wait for.
type Store struct {
	files files
	dir   string
}

// maxEntry is how much of an entry is read.
const maxEntry = 4 << 30

// ErrNotDeterministic says that a stage made other bytes than before from the same
// recipe on the same engine.
var ErrNotDeterministic = errors.New("the stage is not deterministic: it made other bytes than the store holds for the same recipe")

// OpenStore opens a folder as a Store, and makes it where it is missing.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the store can't be opened: %w", err)
	}
	f, err := openFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("the store can't be opened: %w", err)
	}
	return &Store{f, dir}, nil
}

// Close lets go of the folder.
func (s *Store) Close() error { return s.files.root.Close() }

func place(d eligen.Digest) string {
	return filepath.Join("results", string(d[:2]), string(d))
}

// header is an entry's first line. It has the same length for all entries, and
// follows from key, step and content, so that a check is a comparison. The digest of
// a partial result is over its step too: latents of one step are not those of another.
func header(kind string, key eligen.Digest, step int, content []byte) []byte {
	sum := eligen.DigestOf(content)
	if step > 0 {
		sum = eligen.DigestOf(fmt.Appendf(nil, "%06d %s", step, sum))
	}
	return headerOf(kind, key, step, sum, int64(len(content)))
}

// headerOf is the header of a content of that digest and size.
func headerOf(kind string, key eligen.Digest, step int, sum eligen.Digest, size int64) []byte {
	return fmt.Appendf(nil, "eligen store 1 %s %s %06d %s %020d\n", kind, key, step, sum, size)
}

// sumOf is the content's digest in a header, whatever stands there.
func sumOf(head []byte, kind string, key eligen.Digest) eligen.Digest {
	at := len("eligen store 1 ") + len(kind) + 1 + len(key) + 1 + len("000000 ")
	return eligen.Digest(head[at : at+64])
}

// Has reports whether there is a result. It looks, and doesn't read.
func (s *Store) Has(d eligen.Digest) bool {
	if len(d) != 64 {
		return false
	}
	fi, err := s.files.root.Lstat(place(d))
	return err == nil && fi.Mode().IsRegular()
}

// look is where a result is, without its content, which is not read: nothing is said of
// it being sound.
func (s *Store) look(d eligen.Digest) (eligen.Artifact, bool) {
	fi, err := s.files.root.Lstat(place(d))
	if err != nil || !fi.Mode().IsRegular() {
		return eligen.Artifact{}, false
	}
	size := fi.Size() - int64(len(header("result", d, 0, nil)))
	return eligen.Artifact{Digest: d, Path: filepath.Join(s.dir, place(d)), Size: max(0, size)}, true
}

// Get reads and checks a result. One that is damaged is moved out of the way and
// counts as missing; damage then says what was wrong.
func (s *Store) Get(d eligen.Digest) (a eligen.Artifact, ok bool, damage error) {
	content, _, err := s.entry(place(d), "result", d)
	if missing(err) {
		return eligen.Artifact{}, false, nil
	}
	if err != nil {
		return eligen.Artifact{}, false, err
	}
	return s.artifact(d, content), true, nil
}

func (s *Store) artifact(d eligen.Digest, content []byte) eligen.Artifact {
	return eligen.Artifact{Digest: d, Path: filepath.Join(s.dir, place(d)), Size: int64(len(content)), Data: content}
}

// entry reads an entry and its step.
func (s *Store) entry(name, kind string, key eligen.Digest) (content []byte, step int, err error) {
	data, err := s.files.read(name, maxEntry)
	if err != nil && !errors.Is(err, regular.ErrNotRegular) {
		return nil, 0, err
	}
	if n := len(header(kind, key, 0, nil)); err == nil && len(data) >= n {
		at := len("eligen store 1 ") + len(kind) + len(key) + 2
		step, err = strconv.Atoi(string(data[at : at+6]))
		content = data[n:]
		if err == nil && (step > 0) == (kind == "partial") && bytes.Equal(data[:n], header(kind, key, step, content)) {
			return content, step, nil
		}
	}
	return nil, 0, s.setAside(name)
}

// setAside moves an entry that is damaged, or no file at all, to where nobody reads it.
// The error says so.
func (s *Store) setAside(name string) error {
	aside := filepath.Join("quarantine", filepath.Base(name))
	_ = s.files.mkdirAll("quarantine") // without it, the renaming fails
	err := s.files.rename(name, aside) // of several damaged entries of one name, the last is kept
	if err != nil {                    // a folder is in the way, or is what is moved
		aside += fmt.Sprintf("-%08x", rand.Uint32())
		err = s.files.rename(name, aside)
	}
	if err != nil {
		return fmt.Errorf("%s is damaged, and is made again", filepath.Join(s.dir, name))
	}
	return fmt.Errorf("%s was damaged. It has been moved to %s, and is made again", filepath.Join(s.dir, name), filepath.Join(s.dir, aside))
}

// Put keeps a result. Where there is one already, it must be the same bytes: the
// error is ErrNotDeterministic otherwise, and the old result stays.
func (s *Store) Put(d eligen.Digest, content []byte) (eligen.Artifact, error) {
	if old, ok, _ := s.Get(d); ok {
		if !bytes.Equal(old.Data, content) {
			return old, ErrNotDeterministic
		}
		return old, nil
	}
	return s.replace(d, content)
}

// replace keeps a result, whatever there is already.
func (s *Store) replace(d eligen.Digest, content []byte) (eligen.Artifact, error) {
	s.files.sweep(filepath.Dir(place(d)))
	if err := s.files.put(place(d), append(header("result", d, 0, content), content...)); err != nil {
		return eligen.Artifact{}, fmt.Errorf("the store can't be written: %w", err)
	}
	return s.artifact(d, content), nil
}

// savePartial keeps what a stage can go on from; the last one counts.
func (s *Store) savePartial(d eligen.Digest, content []byte, step int) error {
	s.files.sweep(filepath.Dir(place(d)))
	return s.files.put(place(d)+".partial", append(header("partial", d, step, content), content...))
}

// partial is what savePartial kept, or nil and 0.
func (s *Store) partial(d eligen.Digest) ([]byte, int, error) {
	content, step, err := s.entry(place(d)+".partial", "partial", d)
	if missing(err) {
		return nil, 0, nil
	}
	return content, step, err
}

func (s *Store) dropPartial(d eligen.Digest) {
	_ = s.files.remove(place(d) + ".partial") // it is overwritten or unused: no harm in it
}
