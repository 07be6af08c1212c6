package app

import (
	"context"

	"github.com/eligen/eligen/internal/bug"
)

// await waits for f, at most until ctx ends: then it returns ctx's error while f may still run, so
// that nothing that f sets may be used. It passes a panic of f's on.
func await(ctx context.Context, f func()) error {
	ended := make(chan *bug.Error, 1)
	go func() { ended <- caught(f) }()
	select {
	case b := <-ended:
		if err := ctx.Err(); err != nil { // f has noticed, and what it returned is no result
			return err
		}
		if b != nil {
			panic(b)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// caught runs f, and returns the panic that ended it, or nil.
func caught(f func()) (b *bug.Error) {
	defer func() { b = bug.From(recover()) }()
	f()
	return nil
}
