package memory

import (
	"context"
	"sync"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// Leases are the leases of one process. The zero value is ready.
type Leases struct {
	// Term is how long a lease lasts without a renewal; 0 is until its release.
	Term time.Duration

	mu   sync.Mutex
	held map[eligen.Digest]*lease
}

// A lease ends when its channel is closed.
type lease struct {
	leases *Leases
	key    eligen.Digest
	ended  chan struct{}
	expire *time.Timer // nil without a term
}

// Lease waits until nobody holds key's lease, and takes it.
func (l *Leases) Lease(ctx context.Context, key eligen.Digest, waiting func()) (runtime.Lease, error) {
	for waited := false; ; waited = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		mine, other := l.take(key)
		if mine != nil {
			return mine, nil
		}
		if !waited {
			waiting()
		}
		select {
		case <-ctx.Done():
		case <-other.ended:
		}
	}
}

// take takes a lease, or returns the one that is in the way.
func (l *Leases) take(key eligen.Digest) (mine, other *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other := l.held[key]; other != nil {
		return nil, other
	}
	if l.held == nil {
		l.held = map[eligen.Digest]*lease{}
	}
	mine = &lease{leases: l, key: key, ended: make(chan struct{})}
	if l.Term > 0 {
		mine.expire = time.AfterFunc(l.Term, mine.Release)
	}
	l.held[key] = mine
	return mine, nil
}

// Term returns how long the lease lasts.
func (e *lease) Term() time.Duration { return e.leases.Term }

// Renew has the term begin again.
func (e *lease) Renew(context.Context) error {
	e.leases.mu.Lock()
	defer e.leases.mu.Unlock()
	if e.leases.held[e.key] != e {
		return runtime.ErrLeaseLost
	}
	if e.expire != nil && !e.expire.Reset(e.leases.Term) { // it has just run out
		e.expire.Stop()
		return runtime.ErrLeaseLost
	}
	return nil
}

// Release lets others go on. Of a lease that has run out, it does nothing.
func (e *lease) Release() {
	e.leases.mu.Lock()
	defer e.leases.mu.Unlock()
	if e.leases.held[e.key] != e {
		return
	}
	delete(e.leases.held, e.key)
	if e.expire != nil {
		e.expire.Stop()
	}
	close(e.ended)
}
