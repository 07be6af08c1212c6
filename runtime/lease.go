package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/eligen/eligen"
)

// A Leaser keeps runs from making the same result at the same time. It saves work, and
// correctness never depends on it: runs that make one result make the same bytes. A
// Store may implement it.
type Leaser interface {
	// Lease waits until nobody else has the lease of key, and takes it. waiting is called
	// once, if it has to wait. The error is ctx's where that ends first.
	Lease(ctx context.Context, key eligen.Digest, waiting func()) (Lease, error)
}

// A Lease is held until it is released, its holder dies, or its term passes without a
// renewal, whichever comes first. Those that wait go on then.
type Lease interface {
	// Term is how long the lease lasts from its beginning, and from each renewal. 0 is
	// without end: the leaser notices itself when the holder dies.
	Term() time.Duration
	// Renew tells that the holder is alive. The error is ErrLeaseLost where the term had
	// passed and somebody else may have taken the lease.
	Renew(ctx context.Context) error
	// Release lets others go on. It is called once.
	Release()
}

// ErrLeaseLost says that a lease's term passed without a renewal.
var ErrLeaseLost = errors.New("the lease has run out")

// hold renews a lease, until what it returns is called, which releases it. lost is called
// once the lease is lost, or a term has passed without a renewal, with the last error.
func hold(l Lease, lost func(error)) (release func()) {
	if l.Term() <= 0 {
		return l.Release
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := renew(ctx, l); err != nil {
			lost(err)
		}
	}()
	return func() {
		cancel()
		<-ended
		l.Release()
	}
}

// renew renews a lease each quarter of a term, so that two renewals may fail to come through.
// It returns why the lease is lost, or nil once ctx ends.
func renew(ctx context.Context, l Lease) error {
	last, pause := time.Now(), max(1, l.Term()/4)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, max(pause, l.Term()-began.Sub(last)))
		err := l.Renew(limited)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			last = began
		case errors.Is(err, ErrLeaseLost) || time.Since(last) >= l.Term():
			return err
		}
	}
}
