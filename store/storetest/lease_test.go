package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// generous hands a lease to all; late does so after the first wait.
type generous struct{ late bool }

func (g generous) Lease(_ context.Context, _ eligen.Digest, waiting func()) (runtime.Lease, error) {
	if g.late {
		waiting()
		time.Sleep(held / 10)
	}
	return free{}, nil
}

type free struct{}

func (free) Term() time.Duration         { return 0 }
func (free) Renew(context.Context) error { return nil }
func (free) Release()                    {}

// TestCrowd: the contract sees it where several have a lease at once.
func TestCrowd(t *testing.T) {
	for _, late := range []bool{false, true} {
		_, most := crowd(t, func(*testing.T) runtime.Leaser { return generous{late} }, func() {})
		if most < 2 {
			t.Errorf("late %v: up to %d had the lease at once", late, most)
		}
	}
}
