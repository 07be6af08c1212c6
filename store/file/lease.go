package file

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
)

// patience is how long lies between two looks at a lease that another run holds.
const patience = 100 * time.Millisecond

// Lease locks a file. The lease has no term: the system unlocks the file when its holder
// dies. Where files can't be written or locked, nobody waits, and everybody gets it.
func (s *Store) Lease(ctx context.Context, key eligen.Digest, waiting func()) (runtime.Lease, error) {
	if !runtime.IsKey(key) {
		return lease{}, nil
	}
	name := filepath.Join("leases", string(key))
	for waited := false; ; waited = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lock, err := s.files.Lock(name, true)
		if !errors.Is(err, files.ErrLocked) {
			return lease{lock}, nil
		}
		if !waited {
			waiting()
		}
		select {
		case <-ctx.Done():
		case <-time.After(patience):
		}
	}
}

// A lease is a locked file, or nothing where there are no locks.
type lease struct{ lock *files.Lock }

func (lease) Term() time.Duration         { return 0 }
func (lease) Renew(context.Context) error { return nil }

func (l lease) Release() {
	if l.lock != nil {
		_ = l.lock.Remove() // a name that stays does no harm
	}
}
