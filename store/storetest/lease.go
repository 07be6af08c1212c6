package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eligen/eligen/runtime"
)

// Leases runs the contract of runtime.Leaser. open returns one more way to the same
// leases, as another process would have it.
func Leases(t *testing.T, open func(t *testing.T) runtime.Leaser) {
	t.Run("Exclusive", func(t *testing.T) { exclusive(t, open) })
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
	var waits, within, most atomic.Int32
	var all sync.WaitGroup
	begun := make(chan bool, 5)
	for range cap(begun) {
		l := open(t)
		all.Go(func() {
			told := false
			lease := take(t, l, "a", func() {
				if told {
					t.Error("told twice to wait")
				}
				told = true
				waits.Add(1)
				begun <- true
			})
			most.Store(max(most.Load(), within.Add(1)))
			within.Add(-1)
			lease.Release()
		})
	}
	for range cap(begun) {
		<-begun
	}
	if n := within.Load(); n != 0 {
		t.Errorf("%d have the lease while it is held", n)
	}
	first.Release()
	all.Wait()
	if waits.Load() != 5 || most.Load() != 1 {
		t.Errorf("%d of 5 waited, up to %d had the lease at once", waits.Load(), most.Load())
	}
	take(t, open(t), "a", func() { t.Error("a lease that was released is held") }).Release()
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
