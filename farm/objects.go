package farm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/runtime"
)

// A Store keeps results in the queue, as objects of JetStream under their keys. It is for farms
// without a cache: two commands are enough then. It has no leases, partial results or journals.
type Store struct {
	objects jetstream.ObjectStore
	damaged damages
}

var _ runtime.Store = (*Store)(nil)

// Store returns the queue's own store of results.
func (q *Queue) Store(ctx context.Context) (*Store, error) {
	o, err := q.js.ObjectStore(ctx, results)
	if err != nil {
		return nil, fmt.Errorf("the queue's store: %w", err)
	}
	return &Store{objects: o}, nil
}

// Stat describes a result by what the queue says of the object.
func (s *Store) Stat(ctx context.Context, key eligen.Digest) (runtime.Info, error) {
	if !runtime.IsKey(key) {
		return runtime.Info{}, fs.ErrNotExist
	}
	info, err := s.objects.GetInfo(ctx, string(key))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return runtime.Info{}, fs.ErrNotExist
	}
	if err != nil {
		return runtime.Info{}, fmt.Errorf("the queue's store: %w", err)
	}
	return described(key, info)
}

// described returns what an object is as a result.
func described(key eligen.Digest, info *jetstream.ObjectInfo) (runtime.Info, error) {
	sum, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(info.Digest, "SHA-256="))
	if err != nil || len(sum) != 32 || info.Size > runtime.MaxResult || info.Opts != nil && info.Opts.Link != nil {
		return runtime.Info{}, fmt.Errorf("the object %s in the queue is not what eligen wrote: %w", key.Short(), runtime.ErrCorrupt)
	}
	return runtime.Info{Key: key, Content: eligen.Digest(hex.EncodeToString(sum)), Size: int64(info.Size)}, nil
}

// Open opens a result.
func (s *Store) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx) // the library hands on chunks until it is read to the end, or this ends
	object, err := s.objects.Get(ctx, string(key))
	if err != nil {
		cancel()
		if errors.Is(err, jetstream.ErrObjectNotFound) {
			err = fs.ErrNotExist
		}
		return nil, err
	}
	now, err := object.Info()
	if err == nil {
		info, err = described(key, now)
	}
	if err != nil {
		cancel()
		object.Close()
		return nil, err
	}
	return runtime.Verified(&body{object, cancel}, info, func(err error) error {
		s.damaged.note(key, true)
		return fmt.Errorf("the queue's copy of %s is made again: %w", key.Short(), err)
	}), nil
}

// body is an object's content. The library's own check of the digest comes as an error of the last
// read, and runtime.Verified makes its own.
type body struct {
	jetstream.ObjectResult
	cancel func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ObjectResult.Read(p)
	if errors.Is(err, jetstream.ErrDigestMismatch) {
		err = io.EOF
	}
	return n, err
}

func (b *body) Close() error {
	b.cancel()
	return b.ObjectResult.Close()
}

// Touch does nothing: the queue keeps results for a time.
func (s *Store) Touch(context.Context, eligen.Digest) {}

// Create starts to write a result, which is gathered in memory, or in a temporary file where it is
// large: the queue shows an object as soon as it is there.
func (s *Store) Create(ctx context.Context, key eligen.Digest) (runtime.Writer, error) {
	if !runtime.IsKey(key) {
		return nil, fmt.Errorf("%q is no key of a result", key)
	}
	return &writer{store: s, ctx: ctx, key: key, sum: sha.New()}, nil
}

// small is how many bytes of a result are held in memory.
const small = 256 << 10

type writer struct {
	store *Store
	ctx   context.Context
	key   eligen.Digest
	sum   hash.Hash
	size  int64
	buf   []byte   // all of it, before there is a file
	file  *os.File // all of it
	done  bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, fs.ErrClosed
	}
	if w.size+int64(len(p)) > runtime.MaxResult {
		return 0, runtime.ErrTooLarge
	}
	w.sum.Write(p)
	w.size += int64(len(p))
	if w.file == nil && w.size <= small {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if w.file == nil {
		var err error
		if w.file, err = os.CreateTemp("", "eligen-queue-*"); err != nil {
			return 0, err
		}
		if _, err := w.file.Write(w.buf); err != nil {
			return 0, err
		}
		w.buf = nil
	}
	return w.file.Write(p)
}

// Commit puts the object into the queue. One that is there stays, unless it is damaged.
func (w *writer) Commit(replace bool) (runtime.Info, error) {
	if w.done {
		return runtime.Info{}, fs.ErrClosed
	}
	s := w.store
	info := runtime.Info{Key: w.key, Content: eligen.Digest(hex.EncodeToString(w.sum.Sum(nil))), Size: w.size}
	if !replace && !s.damaged.has(w.key) {
		old, err := s.Stat(w.ctx, w.key)
		if err == nil && old.Content != info.Content {
			if old, err = runtime.Verify(w.ctx, s, w.key); err == nil { // what is damaged counts for nothing
				return old, runtime.ErrNotDeterministic
			}
		}
		if err == nil {
			return old, w.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, runtime.ErrCorrupt) {
			return old, err
		}
	}
	var content io.Reader = bytes.NewReader(w.buf)
	if w.file != nil {
		content = io.NewSectionReader(w.file, 0, w.size)
	}
	if _, err := s.objects.Put(w.ctx, jetstream.ObjectMeta{Name: string(w.key)}, content); err != nil {
		return runtime.Info{}, fmt.Errorf("the result can't be put into the queue: %w", err)
	}
	s.damaged.note(w.key, false)
	return info, w.Close()
}

func (w *writer) Close() error {
	w.done, w.buf = true, nil
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// putBlob puts content into a store under its own digest: a picture, or stages of a long task.
func putBlob(ctx context.Context, s runtime.Store, content []byte) (eligen.Digest, error) {
	key := eligen.DigestOf(content)
	_, err := runtime.Put(ctx, s, key, content)
	return key, err
}

// blob reads content that was put under its own digest.
func blob(ctx context.Context, s runtime.Store, key eligen.Digest, most int64) ([]byte, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if info.Size > most {
		return nil, fmt.Errorf("%s has %d bytes; the limit is %d", key.Short(), info.Size, most)
	}
	a, err := runtime.Get(ctx, s, key)
	if err != nil {
		return nil, err
	}
	if eligen.DigestOf(a.Data) != key {
		return nil, fmt.Errorf("%s is not what its digest says: %w", key.Short(), runtime.ErrCorrupt)
	}
	return a.Data, nil
}
