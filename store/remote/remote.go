// Package remote keeps results on a server that speaks Bazel's HTTP cache protocol, as
// bazel-remote, BuildBuddy and nginx with WebDAV do, or in a bucket, in the same places
// (package bucket opens those).
//
// A result's content is at cas/<SHA-256>. At ac/<key> is an ActionResult, Bazel's own
// message, that names the content. The content is uploaded first, so that a result
// appears whole or not at all.
package remote

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/runtime"
)

// A Store is a client of a cache server. It is a runtime.Store and nothing else: the
// protocol has no leases, partial results or journals, and nothing can be removed. A
// Runner that uses it takes those from a store of this machine. It takes each input from
// the server whenever a stage reads it.
type Store struct {
	objects Objects
	stall   time.Duration
	pause   time.Duration // before a request is sent the second time
	down    atomic.Bool   // the last request failed for the server's sake, however often it was sent

	mu      sync.Mutex
	damaged map[eligen.Digest]bool // results whose copy on the server is no good
}

var _ runtime.Store = (*Store)(nil)

// Options of a Store. The zero value is usable.
type Options struct {
	Client *http.Client  // nil is http.DefaultClient
	Stall  time.Duration // how long nothing may move in either direction; 0 is a minute
}

// New returns the Store at an address: http or https, with whatever path the server wants
// before cas/ and ac/.
func New(address string, o Options) (*Store, error) {
	base, err := url.Parse(address)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("%q is no address of a cache, such as https://cache.example.org/eligen/ or s3://NAME", address)
	}
	client := o.Client
	if client == nil {
		client = http.DefaultClient
	}
	return Over(&httpServer{base, client}, o), nil
}

// Over returns the Store of objects that are somewhere else. Of the options, it takes Stall.
func Over(objects Objects, o Options) *Store {
	s := &Store{objects: objects, stall: o.Stall, pause: firstPause, damaged: map[eligen.Digest]bool{}}
	if s.stall == 0 {
		s.stall = time.Minute
	}
	return s
}

// A StatusError is an answer of the server that means a failure.
type StatusError struct {
	Method, Address string // the address without a password
	Code            int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: the cache answers %d %s", e.Method, e.Address, e.Code, http.StatusText(e.Code))
}

// Stat asks for a result's ActionResult, and not whether the content is there.
func (s *Store) Stat(ctx context.Context, key eligen.Digest) (runtime.Info, error) {
	return s.stat(ctx, key, false)
}

func (s *Store) stat(ctx context.Context, key eligen.Digest, committing bool) (runtime.Info, error) {
	if !runtime.IsKey(key) {
		return runtime.Info{}, fs.ErrNotExist
	}
	var data []byte
	err := s.patiently(ctx, committing, func() error {
		body, _, err := s.get(ctx, "ac", key)
		if err != nil {
			return err
		}
		defer body.Close()
		data, err = io.ReadAll(io.LimitReader(body, maxAction+1))
		return err
	})
	if err != nil {
		return runtime.Info{}, err
	}
	content, size, ok := parseAction(data)
	if !ok {
		s.note(key, true)
		return runtime.Info{}, fmt.Errorf("ac/%s on the cache is not what eligen wrote: %w", key.Short(), runtime.ErrCorrupt)
	}
	return runtime.Info{Key: key, Content: content, Size: size}, nil
}

// note remembers whether the server's copy of a result is damaged, or its content gone, so
// that a Commit replaces it.
func (s *Store) note(key eligen.Digest, damaged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if damaged {
		s.damaged[key] = true
	} else {
		delete(s.damaged, key)
	}
}

func (s *Store) isDamaged(key eligen.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[key]
}

// Open opens a result. One whose content is gone from the server is missing.
func (s *Store) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	damaged := func(err error) error {
		s.note(key, true)
		return fmt.Errorf("the cache's copy of %s is made again: %w", key.Short(), err)
	}
	var body io.ReadCloser
	var size int64
	err = s.patiently(ctx, false, func() (err error) {
		body, size, err = s.get(ctx, "cas", info.Content)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		s.note(key, true)
	}
	if err != nil {
		return nil, err
	}
	if size >= 0 && size != info.Size {
		body.Close()
		return nil, damaged(fmt.Errorf("%w: it has %d bytes instead of %d", runtime.ErrCorrupt, size, info.Size))
	}
	return runtime.Verified(body, info, damaged), nil
}

// Touch does nothing: a server that makes room counts reads itself.
func (s *Store) Touch(context.Context, eligen.Digest) {}

// Create starts to write a result. Its content is gathered in memory, or in a temporary
// file if it is large, because its address is its digest.
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
		if w.file, err = os.CreateTemp("", "eligen-upload-*"); err != nil {
			return 0, err
		}
		if _, err := w.file.Write(w.buf); err != nil {
			return 0, err
		}
		w.buf = nil
	}
	return w.file.Write(p)
}

// compare looks at what the server has: a result that is the same, or
// ErrNotDeterministic. Only other bytes are downloaded, because what is damaged counts for
// nothing.
func (w *writer) compare(info runtime.Info) (old runtime.Info, err error) {
	s := w.store
	if old, err = s.stat(w.ctx, w.key, true); err != nil {
		return runtime.Info{}, err
	}
	if old.Content != info.Content {
		if old, err = runtime.Verify(w.ctx, s, w.key); err != nil {
			return runtime.Info{}, err
		}
		if old.Content != info.Content {
			err = runtime.ErrNotDeterministic
		}
		return old, err
	}
	size, err := s.size(w.ctx, "cas", info.Content)
	if err != nil {
		return runtime.Info{}, fs.ErrNotExist // or nobody can tell: it is uploaded
	}
	if size >= 0 && size != info.Size {
		return runtime.Info{}, runtime.ErrCorrupt
	}
	return old, nil
}

// Commit uploads the content and then the ActionResult. What the server has under the key
// is not downloaded, unless it is something else.
func (w *writer) Commit(replace bool) (runtime.Info, error) {
	if w.done {
		return runtime.Info{}, fs.ErrClosed
	}
	s := w.store
	info := runtime.Info{Key: w.key, Content: eligen.Digest(hex.EncodeToString(w.sum.Sum(nil))), Size: w.size}
	if !replace && !s.isDamaged(w.key) {
		old, err := w.compare(info)
		if err == nil {
			return old, w.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, runtime.ErrCorrupt) {
			return old, err
		}
	}
	content := func() io.Reader {
		if w.file != nil {
			return io.NewSectionReader(w.file, 0, w.size)
		}
		return bytes.NewReader(w.buf)
	}
	if err := s.put(w.ctx, "cas", info.Content, content, w.size); err != nil {
		return runtime.Info{}, err
	}
	action := encodeAction(info.Content, info.Size)
	if err := s.put(w.ctx, "ac", w.key, func() io.Reader { return bytes.NewReader(action) }, int64(len(action))); err != nil {
		return runtime.Info{}, err
	}
	s.note(w.key, false)
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
