package app

import (
	"context"

	"github.com/eligen/eligen/internal/bug"
)

// await returns what f returns. Once ctx has ended, it returns ctx's error and nothing else, while f may
// still run. It passes a panic of f's on.
func await[T any](ctx context.Context, f func() T) (made T, err error) {
	type end struct {
		made T
		bug  *bug.Error
	}
	ended := make(chan end, 1)
	go func() {
		var e end
		e.bug = caught(func() { e.made = f() })
		ended <- e
	}()
	select {
	case e := <-ended:
		if err := ctx.Err(); err != nil { // f has noticed, and what it returned is no result
			return made, err
		}
		if e.bug != nil {
			panic(e.bug)
		}
		return e.made, nil
	case <-ctx.Done():
		return made, ctx.Err()
	}
}

// caught runs f, and returns the panic that ended it, or nil.
func caught(f func()) (b *bug.Error) {
	defer func() { b = bug.From(recover()) }()
	f()
	return nil
}
