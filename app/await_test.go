package app

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A panic beside the caller reaches the caller, with the place where it began.
func TestAwaitPassesPanicsOn(t *testing.T) {
	b := caught(func() { _, _ = await(t.Context(), func() int { panic("out of cheese") }) })
	if b == nil || !strings.HasPrefix(b.Place, "app/await_test.go:") || !strings.Contains(b.Error(), "out of cheese") {
		t.Error(b)
	}
}

// What doesn't notice that its context has ended is not waited for.
func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	forever := make(chan struct{})
	defer close(forever)
	made, err := await(ctx, func() int { cancel(); <-forever; return 1 })
	if !errors.Is(err, context.Canceled) || made != 0 {
		t.Error(made, err)
	}
}
