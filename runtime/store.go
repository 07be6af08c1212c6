package runtime

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/sha"
)

// A Store keeps results, each under its key: the digest of the stage that makes it.
// It is all the state there is. Without it time is lost, and nothing else.
//
// Every Store keeps this contract; package store/storetest tests it.
//
//   - A result is there whole or not at all, whatever dies while it is written.
//   - What is read is verified. A wrong byte is an error before the end of the content,
//     and the result is a miss.
//   - A key has one content. The first one stays, unless it is replaced on purpose.
//   - Several processes may use it at the same time.
//   - Content streams: a Store holds no result in memory to pass it on.
//
// Methods may be called concurrently.
type Store interface {
	// Stat describes a result without reading its content, which may be damaged. A
	// missing one is fs.ErrNotExist.
	Stat(ctx context.Context, key eligen.Digest) (Info, error)
	// Open opens a result to be read to its end. A missing one is fs.ErrNotExist. One
	// that is damaged is ErrCorrupt, here or from Read.
	Open(ctx context.Context, key eligen.Digest) (Reader, error)
	// Create starts to write a result. Nobody sees it before its Commit.
	Create(ctx context.Context, key eligen.Digest) (Writer, error)
	// Touch notes that a run wants a result, for those that make room.
	Touch(ctx context.Context, key eligen.Digest)
}

// An Info describes a result.
type Info struct {
	Key     eligen.Digest
	Content eligen.Digest // SHA-256 of the content
	Size    int64         // bytes of the content
	Path    string        // of the file that ends with the content; "" where there is none
}

// artifact returns what events say of a result.
func (i Info) artifact() eligen.Artifact {
	return eligen.Artifact{Digest: i.Key, Path: i.Path, Size: i.Size}
}

// A Reader reads a result. It never ends with io.EOF unless all that was read is right.
type Reader interface {
	io.ReadCloser
	Info() Info
}

// A Writer writes a result.
type Writer interface {
	io.Writer
	// Commit makes the result appear. Where the store holds other bytes for the key, it
	// returns their Info with ErrNotDeterministic, and they stay; Commit may then be
	// called again, to replace them.
	Commit(replace bool) (Info, error)
	// Close discards the result, unless it was committed.
	Close() error
}

// Partials keeps what interrupted stages resume from. A Store may implement it.
type Partials interface {
	// Partial returns what was saved last, with its step; nil and 0 if nothing was. One
	// that is damaged is an error, and gone.
	Partial(ctx context.Context, key eligen.Digest) (content []byte, step int, err error)
	// SavePartial saves the state of a stage after a step, from 1.
	SavePartial(ctx context.Context, key eligen.Digest, content []byte, step int) error
	// DropPartial forgets what was saved.
	DropPartial(ctx context.Context, key eligen.Digest)
}

// Journals records runs. A Store may implement it.
type Journals interface {
	// Record starts the journal of a run. Others can tell that the run is live until the
	// journal is closed, or its process ends.
	Record() (io.WriteCloser, error)
}

// A Flusher is a Store that works in the background. A run ends with its Flush.
type Flusher interface {
	// Flush waits for that work, or for ctx, and returns what went wrong: none of it harms
	// a result.
	Flush(ctx context.Context) []error
}

// A Gatherer is a Store of which a part is far away. It asks for many results at the same time, where asking for
// one after the other would take a way there and back for each.
type Gatherer interface {
	// Gather brings what it has of results near, and returns those that it lacks.
	Gather(ctx context.Context, keys []eligen.Digest) (lacks map[eligen.Digest]bool)
	// Lacks returns those that it lacks, and brings nothing.
	Lacks(ctx context.Context, keys []eligen.Digest) map[eligen.Digest]bool
}

// MaxResult is how many bytes a result may have.
const MaxResult = 4 << 30

// Errors of a Store.
var (
	// ErrNotDeterministic says that a stage made other bytes than before from the same
	// definition on the same engine.
	ErrNotDeterministic = errors.New("the stage is not deterministic: it made other bytes than the store holds for the same recipe")
	// ErrCorrupt says that a result isn't what its digest says.
	ErrCorrupt = errors.New("damaged")
	// ErrTooLarge says that a result has more than MaxResult bytes.
	ErrTooLarge = fmt.Errorf("a result has at most %d bytes", int64(MaxResult))
)

// IsKey reports whether a digest can be a key: 64 lowercase hexadecimal digits. A Store
// has nothing under other keys.
func IsKey(d eligen.Digest) bool {
	if len(d) != 64 {
		return false
	}
	for _, c := range d {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Get reads a result whole. Its errors are those of Open and of reading.
func Get(ctx context.Context, s Store, key eligen.Digest) (eligen.Artifact, error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return eligen.Artifact{}, err
	}
	defer r.Close()
	a := r.Info().artifact()
	if a.Size < 0 || a.Size > MaxResult {
		return eligen.Artifact{}, ErrTooLarge
	}
	whole := a
	whole.Open = func() (io.ReadCloser, error) { return r, nil }
	a.Data, err = whole.Read()
	return a, err
}

// Put writes a result from memory. The error is ErrNotDeterministic where
// the store holds other bytes, which stay.
func Put(ctx context.Context, s Store, key eligen.Digest, content []byte) (Info, error) {
	w, err := s.Create(ctx, key)
	if err != nil {
		return Info{}, err
	}
	defer w.Close()
	if _, err := w.Write(content); err != nil {
		return Info{}, err
	}
	return w.Commit(false)
}

// Verify reads a result to its end and holds none of it. The error is fs.ErrNotExist
// for one that is missing, and ErrCorrupt for one that is damaged.
func Verify(ctx context.Context, s Store, key eligen.Digest) (Info, error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return r.Info(), err
}

// missing reports whether an error says that there is no such file or result.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// Verified returns a Reader of content that must be what info says. damaged, which may be
// nil, is called once with the error, which is ErrCorrupt, and may say it better. Stores
// are made with it.
func Verified(content io.ReadCloser, info Info, damaged func(error) error) Reader {
	return &verified{ReadCloser: content, info: info, left: info.Size, sum: sha.New(), damaged: damaged}
}

type verified struct {
	io.ReadCloser
	info    Info
	left    int64
	sum     hash.Hash
	damaged func(error) error
	end     error // once there is no more
}

func (v *verified) Info() Info { return v.info }

func (v *verified) Read(p []byte) (int, error) {
	if v.end != nil {
		return 0, v.end
	}
	if len(p) == 0 {
		return 0, nil
	}
	if v.left > 0 {
		n, err := v.ReadCloser.Read(p[:min(int64(len(p)), v.left)])
		v.sum.Write(p[:n])
		v.left -= int64(n)
		switch {
		case err != nil && !errors.Is(err, io.EOF): // io.ErrUnexpectedEOF too: the way here broke, not the content
			return n, err
		case err != nil && v.left > 0:
			return n, v.corrupt(fmt.Sprintf("%d bytes are missing", v.left))
		}
		return n, nil
	}
	return 0, v.finish()
}

// finish decides what comes after the last byte.
func (v *verified) finish() error {
	if n, err := io.ReadFull(v.ReadCloser, make([]byte, 1)); n > 0 {
		return v.corrupt("it has more bytes than it should")
	} else if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if got := hex.EncodeToString(v.sum.Sum(nil)); got != string(v.info.Content) {
		return v.corrupt("its content is not what its digest says")
	}
	v.end = io.EOF
	return v.end
}

func (v *verified) corrupt(how string) error {
	v.end = fmt.Errorf("%w: %s", ErrCorrupt, how)
	if v.damaged != nil {
		v.end = v.damaged(v.end)
	}
	return v.end
}
