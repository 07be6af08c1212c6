// Package memory keeps results in memory, for tests and for programs that embed eligen.
package memory

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/runtime"
)

// A Store holds results, partial results, leases and journals until it is dropped. It
// never removes a result by itself. The zero Store is empty and ready.
type Store struct {
	// Leases are the store's own. Set a Term there to have leases run out.
	Leases

	mu       sync.Mutex
	results  map[eligen.Digest]entry
	partials map[eligen.Digest]saved
	journals []*journal
}

var (
	_ runtime.Store    = (*Store)(nil)
	_ runtime.Partials = (*Store)(nil)
	_ runtime.Leaser   = (*Store)(nil)
	_ runtime.Journals = (*Store)(nil)
)

// An entry is a result. Its blocks are never changed.
type entry struct {
	info   runtime.Info
	blocks [][]byte
}

type saved struct {
	content []byte
	step    int
}

// New returns an empty Store.
func New() *Store { return &Store{} }

func (s *Store) find(key eligen.Digest) (entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.results[key]
	if !ok {
		return entry{}, fs.ErrNotExist
	}
	return e, nil
}

// Stat describes a result.
func (s *Store) Stat(_ context.Context, key eligen.Digest) (runtime.Info, error) {
	e, err := s.find(key)
	return e.info, err
}

// Open opens a result. One that is found damaged is forgotten.
func (s *Store) Open(_ context.Context, key eligen.Digest) (runtime.Reader, error) {
	e, err := s.find(key)
	if err != nil {
		return nil, err
	}
	return runtime.Verified(&reader{blocks: e.blocks}, e.info, func(err error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.results, key)
		return fmt.Errorf("the result %s is made again: %w", key.Short(), err)
	}), nil
}

// A reader reads blocks one after the other.
type reader struct {
	blocks [][]byte
	at     int // in the first of them
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.blocks) > 0 && r.at == len(r.blocks[0]) {
		r.blocks, r.at = r.blocks[1:], 0
	}
	if len(r.blocks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.blocks[0][r.at:])
	r.at += n
	return n, nil
}

func (r *reader) Close() error { return nil }

// Create starts to write a result.
func (s *Store) Create(_ context.Context, key eligen.Digest) (runtime.Writer, error) {
	if !runtime.IsKey(key) {
		return nil, fmt.Errorf("%q is no key of a result", key)
	}
	return &writer{store: s, key: key, sum: sha.New()}, nil
}

// block is how large a writer's blocks are. Blocks are filled and kept, so that nothing
// is copied as a result grows.
const block = 1 << 20

type writer struct {
	store  *Store
	key    eligen.Digest
	sum    hash.Hash
	size   int64
	blocks [][]byte
	closed bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, fs.ErrClosed
	}
	if w.size+int64(len(p)) > runtime.MaxResult {
		return 0, runtime.ErrTooLarge
	}
	w.sum.Write(p)
	w.size += int64(len(p))
	for rest := p; len(rest) > 0; {
		last := len(w.blocks) - 1
		if last < 0 || len(w.blocks[last]) == cap(w.blocks[last]) {
			w.blocks = append(w.blocks, make([]byte, 0, max(512, min(block, w.size))))
			continue
		}
		n := min(len(rest), cap(w.blocks[last])-len(w.blocks[last]))
		w.blocks[last] = append(w.blocks[last], rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

// Commit compares with what the store has before the result appears.
func (w *writer) Commit(replace bool) (runtime.Info, error) {
	if w.closed {
		return runtime.Info{}, fs.ErrClosed
	}
	info := runtime.Info{Key: w.key, Content: eligen.Digest(hex.EncodeToString(w.sum.Sum(nil))), Size: w.size}
	if !replace {
		old, err := runtime.Verify(context.Background(), w.store, w.key)
		if err == nil && old.Content != info.Content {
			return old, runtime.ErrNotDeterministic
		}
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.store.results == nil {
		w.store.results = map[eligen.Digest]entry{}
	}
	w.store.results[w.key] = entry{info, w.blocks}
	w.closed = true
	return info, nil
}

func (w *writer) Close() error {
	w.closed, w.blocks = true, nil
	return nil
}

// Touch does nothing: no result is removed for its age.
func (s *Store) Touch(context.Context, eligen.Digest) {}

// Partial returns what an interrupted stage resumes from.
func (s *Store) Partial(_ context.Context, key eligen.Digest) (content []byte, step int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.partials[key]
	return p.content, p.step, nil
}

// SavePartial keeps what a stage can resume from; the last one counts.
func (s *Store) SavePartial(_ context.Context, key eligen.Digest, content []byte, step int) error {
	if !runtime.IsKey(key) || step < 1 {
		return fmt.Errorf("%q, step %d: no key or step of a partial result", key, step)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partials == nil {
		s.partials = map[eligen.Digest]saved{}
	}
	s.partials[key] = saved{slices.Clone(content), step}
	return nil
}

// DropPartial forgets what was kept.
func (s *Store) DropPartial(_ context.Context, key eligen.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.partials, key)
}

// Record starts a run's journal.
func (s *Store) Record() (io.WriteCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := &journal{}
	s.journals = append(s.journals, j)
	return j, nil
}

// Runs returns the journals of all runs, the first one first: each event is a line of
// JSON.
func (s *Store) Runs() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var runs [][]byte
	for _, j := range s.journals {
		j.mu.Lock()
		runs = append(runs, slices.Clone(j.lines))
		j.mu.Unlock()
	}
	return runs
}

type journal struct {
	mu    sync.Mutex
	lines []byte
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, p...)
	return len(p), nil
}

func (j *journal) Close() error { return nil }
