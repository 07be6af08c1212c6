package runtime

import (
	"context"
	"path/filepath"
	"time"

	"github.com/eligen/eligen"
)

// patience is how long lies between two looks at a lease that another run holds.
const patience = 100 * time.Millisecond

// lease waits until no other run makes a result, and calls waiting once if it has to.
// What it gives lets others go on. Where files can't be locked, nobody waits: runs
// that make a result at the same time make the same one.
func (s *Store) lease(ctx context.Context, d eligen.Digest, waiting func()) (release func()) {
	name := filepath.Join("leases", string(d))
	told := false
	for {
		f, err := s.files.open(name)
		if err != nil {
			return func() {}
		}
		held, err := lock(f)
		if held {
			return func() {
				_ = s.files.remove(name) // before others can have it; a name that stays does no harm
				f.Close()
			}
		}
		f.Close()
		if err != nil || ctx.Err() != nil {
			return func() {}
		}
		if !told {
			told = true
			waiting()
		}
		select {
		case <-ctx.Done():
		case <-time.After(patience):
		}
	}
}

// use says that a result is wanted now, to those that make room.
func (s *Store) use(d eligen.Digest) {
	if info, err := s.files.root.Lstat(place(d)); err == nil && time.Since(info.ModTime()).Abs() > Grace/4 {
		_ = s.files.touch(place(d)) // what is lost is an age
	}
}
