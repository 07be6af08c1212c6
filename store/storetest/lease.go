package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eligen/eligen/runtime"
)

// Leases runs the contract of runtime.Leaser. open returns one more way to the same
// leases, as another process would have it.
func Leases(t *testing.T, open func(t *testing.T) runtime.Leaser) {
	t.Run("Exclusive", func(t *testing.T) { exclusive(t, open) })
	t.Run("RunsOut", func(t *testing.T) { runsOut(t, open) })
	t.Run("Cancelled", func(t *testing.T) { cancelled(t, open) })
}

func take(t *testing.T, l runtime.Leaser, key string, waiting func()) runtime.Lease {
	t.Helper()
	lease, err := l.Lease(t.Context(), Key(key), waiting)
	if err != nil {
		t.Error(err)
	}
	return lease
}

// exclusive: one has a lease at a time. Whoever waits is told so once, and goes on at the
// release; who doesn't have to is not told. Other keys are free.
func exclusive(t *testing.T, open func(t *testing.T) runtime.Leaser) {
	first := take(t, open(t), "a", func() { t.Error("the first has to wait") })
	take(t, open(t), "b", func() { t.Error("another key has to wait") }).Release()
	if err := first.Renew(t.Context()); err != nil {
		t.Errorf("a lease that is held: %v", err)
	}
	if told, most := crowd(t, open, first.Release); told != crowded || most != 1 {
		t.Errorf("%d of %d waited, up to %d had the lease at once", told, crowded, most)
	}
	take(t, open(t), "a", func() { t.Error("a lease that was released is held") }).Release()
}

// crowded is how many a crowd is, and held how long each of it has the lease: long enough
// for leasers that look from time to time.
const crowded, held = 5, 150 * time.Millisecond

// crowd has some take a lease that the caller holds, each by a way of its own. When all
// wait, or have it, release is called. It returns how many were told to wait, and how many
// had the lease at once, the caller included.
func crowd(t *testing.T, open func(t *testing.T) runtime.Leaser, release func()) (told, most int32) {
	t.Helper()
	var waits, within, maximum atomic.Int32
	within.Add(1) // the caller
	var all sync.WaitGroup
	begun := make(chan bool, 2*crowded)
	for range crowded {
		l := open(t)
		all.Go(func() {
			waited := false
			lease := take(t, l, "a", func() {
				if waited {
					t.Error("told twice to wait")
				}
				waited = true
				waits.Add(1)
				begun <- true
			})
			n := within.Add(1)
			for m := maximum.Load(); n > m && !maximum.CompareAndSwap(m, n); m = maximum.Load() {
			}
			if !waited {
				begun <- true
			}
			time.Sleep(held)
			within.Add(-1)
			if lease != nil {
				lease.Release()
			}
		})
	}
	for range crowded {
		<-begun
	}
	within.Add(-1)
	release()
	all.Wait()
	return waits.Load(), maximum.Load()
}

// runsOut: a lease that isn't renewed goes to who waits for it, and its holder learns that
// it is lost. One that is renewed stays.
func runsOut(t *testing.T, open func(t *testing.T) runtime.Leaser) {
	first := take(t, open(t), "a", func() {})
	term := first.Term()
	if term <= 0 || term > 2*time.Second {
		first.Release()
		t.Skipf("a term of %v isn't waited for", term)
	}
	began := time.Now()
	for range 4 {
		time.Sleep(term / 3)
		if err := first.Renew(t.Context()); err != nil {
			t.Fatalf("after %v of %v: %v", time.Since(began), term, err)
		}
	}
	began = time.Now()
	second := take(t, open(t), "a", func() {})
	if waited := time.Since(began); waited < term/2 {
		t.Errorf("the second got the lease after %v of %v", waited, term)
	}
	if err := first.Renew(t.Context()); !errors.Is(err, runtime.ErrLeaseLost) {
		t.Errorf("a lease that somebody else has: %v", err)
	}
	first.Release() // it is not the first's to give
	if err := second.Renew(t.Context()); err != nil {
		t.Errorf("after another's release: %v", err)
	}
	second.Release()
}

// cancelled: who waits and is interrupted gets the interruption, and no lease.
func cancelled(t *testing.T, open func(t *testing.T) runtime.Leaser) {
	held := take(t, open(t), "a", func() {})
	defer held.Release()
	ctx, cancel := context.WithCancel(t.Context())
	lease, err := open(t).Lease(ctx, Key("a"), cancel)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while it waits: %v", err)
	}
	if err == nil {
		lease.Release()
	}
	if _, err := open(t).Lease(ctx, Key("free"), func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted before: %v", err)
	}
}
