package remote

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/eligen/eligen/runtime"
)

// tries is how often a request is sent while the server is out of order. With the pauses
// in between, which double, that takes about eight seconds.
const tries, firstPause = 5, time.Second / 2

// patiently calls send, and again while the server doesn't answer or is out of order.
// A Commit holds work, and always tries again. Others don't where the server was out of
// order the last time or has stalled: a run asks for many results, which can be made.
func (s *Store) patiently(ctx context.Context, committing bool, send func() error) error {
	for n, pause := 1, s.pause; ; n, pause = n+1, 2*pause {
		err := send()
		if ctx.Err() != nil {
			return err // of the interruption, which tells nothing of the server
		}
		if !passing(err) || n == tries || !committing && (s.down.Load() || errors.Is(err, errStalled)) {
			s.down.Store(passing(err))
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)): // not all clients at once
		}
	}
}

// passing reports whether an error may be gone the next time: of the way to the server,
// or of a server that is out of order.
func passing(err error) bool {
	var status *StatusError
	var refused *RefusedError
	switch {
	case errors.As(err, &status):
		return status.Code >= 500
	case errors.As(err, &refused):
		return false
	}
	return err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, runtime.ErrCorrupt)
}
