package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/eligen/eligen/internal/bug"
)

// grace is how long a command may take to end after an interrupt. A running step of a model
// may need longer; nobody waits for it, since denoising has saved the latents.
const grace = 800 * time.Millisecond

// A signalled context has ended by a signal: it is its cause.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return s.String() }

// listen returns a context that ends with the first interrupt or termination signal, or by
// interrupt. A second signal ends the process at once.
func listen() (ctx context.Context, interrupt func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { signal.Stop(signals) })
	go func() { cancel(signalled{<-signals}) }()
	return ctx, func() { cancel(signalled{os.Interrupt}) }
}

// interruptedBy returns the exit code after the signal that has ended a context.
func interruptedBy(ctx context.Context) int {
	var s signalled
	if errors.As(context.Cause(ctx), &s) && s.Signal == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// caught runs f, and returns the panic that ended it, or nil.
func caught(f func()) (b *bug.Error) {
	defer func() { b = bug.From(recover()) }()
	f()
	return nil
}

// A leaving is what has to be done where a command doesn't end by itself: after a
// panic, or too long after an interrupt.
type leaving struct {
	mu      sync.Mutex
	steps   []func()
	patient bool
}

type leavingKey struct{}

// onLeave makes sure that a terminal, or whatever else done gives back, is given back
// however the command ends. What it returns is done, which happens once.
func onLeave(ctx context.Context, done func()) func() {
	done = sync.OnceFunc(done)
	if l, ok := ctx.Value(leavingKey{}).(*leaving); ok {
		l.mu.Lock()
		l.steps = append(l.steps, done)
		l.mu.Unlock()
	}
	return done
}

// waitFor makes an interrupt wait for what the command has in hand, since it can't be
// done in parts.
func waitFor(ctx context.Context) {
	if l, ok := ctx.Value(leavingKey{}).(*leaving); ok {
		l.mu.Lock()
		l.patient = true
		l.mu.Unlock()
	}
}

// leave runs the remaining steps, last first, and waits a moment for them.
func (l *leaving) leave() {
	l.mu.Lock()
	steps := slices.Clone(l.steps)
	l.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, f := range slices.Backward(steps) {
			f()
		}
	}()
	select {
	case <-ended:
	case <-time.After(grace / 4):
	}
}

// supervise runs a command, and returns its error: that of ctx, where it has ended and
// the command doesn't; a [bug.Error], where the command has panicked.
func (l *leaving) supervise(ctx context.Context, command func() error) error {
	ended := make(chan error, 1)
	go func() {
		var err error
		if b := caught(func() { err = command() }); b != nil {
			err = b
		}
		ended <- err
	}()
	var late <-chan time.Time
	over := ctx.Done()
	for {
		select {
		case err := <-ended:
			var b *bug.Error
			if errors.As(err, &b) {
				l.leave()
			}
			return err
		case <-over:
			over = nil
			l.mu.Lock()
			if !l.patient {
				late = time.After(grace)
			}
			l.mu.Unlock()
		case <-late:
			l.leave()
			return ctx.Err()
		}
	}
}
