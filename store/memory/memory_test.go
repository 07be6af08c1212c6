package memory

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Subject{Holds: true, Open: func(*testing.T) storetest.Opened {
		s := New()
		return storetest.Opened{
			Store: s,
			Again: func(*testing.T) runtime.Store { return s },
			Damage: func(t *testing.T, key eligen.Digest, change func([]byte) []byte) {
				t.Helper()
				e, err := s.find(key)
				if err != nil {
					t.Fatal(err)
				}
				e.blocks = [][]byte{change(bytes.Join(e.blocks, nil))}
				s.mu.Lock()
				s.results[key] = e
				s.mu.Unlock()
			},
		}
	}})
}

// TestLeasesWithTerm runs the contract on leases that run out.
func TestLeasesWithTerm(t *testing.T) {
	l := &Leases{Term: time.Second}
	storetest.Leases(t, func(*testing.T) runtime.Leaser { return l })
}

// Two runs: a lease with a term lasts as long as its holder renews it, and no longer.
func TestTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Leases{Term: time.Minute}
		key := storetest.Key("a")
		first, err := l.Lease(t.Context(), key, func() { t.Error("the first has to wait") })
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(50 * time.Second)
			if err := first.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		second, err := l.Lease(t.Context(), key, func() {})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("the second waited for %v", waited)
		}
		if err := first.Renew(t.Context()); !errors.Is(err, runtime.ErrLeaseLost) {
			t.Errorf("a lease that somebody else has: %v", err)
		}
		first.Release() // it is not the first's to give
		if err := second.Renew(t.Context()); err != nil {
			t.Errorf("after another's release: %v", err)
		}
		second.Release()
	})
}
