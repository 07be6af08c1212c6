package app

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A panic beside the caller reaches the caller, with the place where it began.
func TestAwaitPassesPanicsOn(t *testing.T) {
	b := caught(func() { _ = await(t.Context(), func() { panic("out of cheese") }) })
	if b == nil || !strings.HasPrefix(b.Place, "app/await_test.go:") || !strings.Contains(b.Error(), "out of cheese") {
		t.Error(b)
	}
}

// What doesn't notice that its context has ended is not waited for.
func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	forever := make(chan struct{})
	defer close(forever)
	err := await(ctx, func() { cancel(); <-forever })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
