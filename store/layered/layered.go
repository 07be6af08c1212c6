// Package layered is a store of this machine in front of a cache that machines share. What
// this machine lacks is fetched from the cache; what it makes is uploaded in the background.
//
// The cache is never needed. One that is slow, dead or damaged costs time, and is reported.
package layered

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// A Store is near in front of far. It has no partial results, leases or journals of its own:
// a Runner takes them from a store of this machine.
type Store struct {
	near, far runtime.Store
	readOnly  bool

	mu       sync.Mutex
	idle     *sync.Cond // nothing is queued, and nothing uploads
	queue    []eligen.Digest
	known    map[eligen.Digest]bool // the cache has it, or it is queued
	damaged  map[eligen.Digest]bool // the cache's copy is
	uploads  int
	down     bool // far failed: it isn't asked again before the next Flush
	problems []error
	ctx      context.Context // of uploads
	cancel   context.CancelFunc
}

var (
	_ runtime.Store    = (*Store)(nil)
	_ runtime.Flusher  = (*Store)(nil)
	_ runtime.Gatherer = (*Store)(nil)
)

// asked is how many results the cache is asked for at the same time.
const asked = 16

// most is how many results are uploaded at the same time.
const most = 4

// New returns the Store. A cache that is read-only gets nothing.
func New(near, far runtime.Store, readOnly bool) *Store {
	s := &Store{near: near, far: far, readOnly: readOnly, known: map[eligen.Digest]bool{}, damaged: map[eligen.Digest]bool{}}
	s.idle = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends uploads, and waits for them. What is not uploaded yet is left: a later run uploads it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	s.cancel()
	for s.uploads > 0 {
		s.idle.Wait()
	}
	return nil
}

// Stat describes a result of this machine, or else of the cache.
func (s *Store) Stat(ctx context.Context, key eligen.Digest) (runtime.Info, error) {
	info, err := s.near.Stat(ctx, key)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || !s.asks() {
		return info, err
	}
	info, err = s.far.Stat(ctx, key)
	return info, s.miss(err)
}

// Open opens a result of this machine. What it lacks, or has damaged, comes from the cache first.
func (s *Store) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	r, err := s.near.Open(ctx, key)
	lacks := errors.Is(err, fs.ErrNotExist) || errors.Is(err, runtime.ErrCorrupt)
	if err == nil || !lacks || !s.asks() {
		return r, err
	}
	if fetched := s.fetch(ctx, key); fetched != nil {
		if errors.Is(fetched, fs.ErrNotExist) {
			return nil, err // near's own word of it
		}
		return nil, fetched
	}
	return s.near.Open(ctx, key)
}

// Gather copies results that this machine lacks from the cache.
func (s *Store) Gather(ctx context.Context, keys []eligen.Digest) map[eligen.Digest]bool {
	return s.lacks(ctx, keys, s.fetch)
}

// Lacks returns the results that neither this machine nor the cache has.
func (s *Store) Lacks(ctx context.Context, keys []eligen.Digest) map[eligen.Digest]bool {
	return s.lacks(ctx, keys, func(ctx context.Context, key eligen.Digest) error {
		_, err := s.far.Stat(ctx, key)
		return s.miss(err)
	})
}

// lacks asks the cache for what this machine lacks, for several results at a time.
func (s *Store) lacks(ctx context.Context, keys []eligen.Digest, ask func(context.Context, eligen.Digest) error) map[eligen.Digest]bool {
	var mu sync.Mutex
	var asking sync.WaitGroup
	out, slots := map[eligen.Digest]bool{}, make(chan struct{}, asked)
	for _, key := range keys {
		if _, err := s.near.Stat(ctx, key); err == nil {
			continue
		}
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			if !s.asks() || errors.Is(ask(ctx, key), fs.ErrNotExist) {
				mu.Lock()
				out[key] = true
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return out
}

// fetch copies a result from the cache to this machine. What the cache has is verified on the way.
func (s *Store) fetch(ctx context.Context, key eligen.Digest) error {
	r, err := s.far.Open(ctx, key)
	if err != nil {
		return s.note(key, err)
	}
	defer r.Close()
	w, err := s.near.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Close()
	from := &source{r: r}
	if _, err := io.Copy(w, from); err != nil {
		if from.err != nil {
			return s.note(key, from.err)
		}
		return err
	}
	if _, err := w.Commit(true); err != nil {
		return err
	}
	s.mu.Lock()
	s.known[key] = true
	s.mu.Unlock()
	return nil
}

// note is miss of an error of opening or reading a result, which remembers a damaged one.
func (s *Store) note(key eligen.Digest, err error) error {
	if errors.Is(err, runtime.ErrCorrupt) {
		s.mu.Lock()
		s.damaged[key] = true
		s.mu.Unlock()
	}
	return s.miss(err)
}

func (s *Store) isDamaged(key eligen.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[key]
}

// source keeps the error of reading, so that it can be told from one of writing.
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

// miss turns an error of the cache into fs.ErrNotExist, and reports it unless it says just that.
func (s *Store) miss(err error) error {
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(err, runtime.ErrCorrupt) {
		s.fail(fmt.Errorf("%w. The run goes on without it", err))
	} else {
		s.problems = append(s.problems, err)
	}
	return fs.ErrNotExist
}

// fail stops asking the cache. mu is held.
func (s *Store) fail(err error) {
	if !s.down {
		s.down = true
		s.problems = append(s.problems, err)
	}
	s.forget()
	s.idle.Broadcast()
}

// asks reports whether the cache is worth asking.
func (s *Store) asks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.down
}

// Touch notes that a run wants a result of this machine, and uploads it if the cache lacks it.
func (s *Store) Touch(ctx context.Context, key eligen.Digest) {
	s.near.Touch(ctx, key)
	s.upload(key)
}

// Create starts to write a result, which Commit uploads after it is safe on this machine.
func (s *Store) Create(ctx context.Context, key eligen.Digest) (runtime.Writer, error) {
	w, err := s.near.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &writer{Writer: w, store: s, key: key}, nil
}

type writer struct {
	runtime.Writer
	store *Store
	key   eligen.Digest
}

func (w *writer) Commit(replace bool) (runtime.Info, error) {
	info, err := w.Writer.Commit(replace)
	if err == nil {
		w.store.mu.Lock()
		delete(w.store.known, w.key) // the cache's copy may be the damaged one
		w.store.mu.Unlock()
		w.store.upload(w.key)
	}
	return info, err
}

// upload queues a result.
func (s *Store) upload(key eligen.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly || s.down || s.known[key] {
		return
	}
	s.known[key] = true
	s.queue = append(s.queue, key)
	if s.uploads < most {
		s.uploads++
		go s.work()
	}
}

// work uploads what is queued.
func (s *Store) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		key := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		err := s.send(s.ctx, key)
		s.mu.Lock()
		switch {
		case s.ctx.Err() != nil:
			delete(s.known, key)
		case errors.Is(err, fs.ErrNotExist): // collected meanwhile
		case errors.Is(err, runtime.ErrNotDeterministic):
			s.problems = append(s.problems, fmt.Errorf("the cache's copy of %s stays: %w", key.Short(), err))
		case err != nil:
			delete(s.known, key)
			s.fail(fmt.Errorf("%w. What this run makes stays on this machine", err))
		}
	}
	s.uploads--
	s.idle.Broadcast()
}

// send uploads one result, unless the cache has it.
func (s *Store) send(ctx context.Context, key eligen.Digest) error {
	r, err := s.near.Open(ctx, key)
	if err != nil {
		return fs.ErrNotExist
	}
	defer r.Close()
	if has, err := s.far.Stat(ctx, key); err == nil && has.Content == r.Info().Content && !s.isDamaged(key) {
		return nil
	}
	w, err := s.far.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Close()
	from := &source{r: r}
	if _, err := io.Copy(w, from); err != nil {
		if from.err != nil { // damaged here: it is made again, and not sent
			return fs.ErrNotExist
		}
		return err
	}
	if _, err = w.Commit(false); err == nil {
		s.mu.Lock()
		delete(s.damaged, key)
		s.mu.Unlock()
	}
	return err
}

// Flush waits until everything is uploaded, and returns what went wrong since the last Flush. When
// ctx ends, uploads do, and what is queued is left: a later run uploads it.
func (s *Store) Flush(ctx context.Context) []error {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget()
		s.cancel()
	})()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.uploads > 0 {
		s.idle.Wait()
	}
	if s.ctx.Err() != nil && ctx.Err() != nil { // the next run uploads again
		s.ctx, s.cancel = context.WithCancel(context.Background())
	}
	problems := s.problems
	s.problems, s.down = nil, false
	return problems
}

// forget empties the queue. mu is held.
func (s *Store) forget() {
	for _, key := range s.queue {
		delete(s.known, key)
	}
	s.queue = nil
}
