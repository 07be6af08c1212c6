package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eligen/eligen/internal/bug"
)

// A command that panics ends with an error that says where; what it holds, as a
// terminal, is given back.
func TestPanicIsAnError(t *testing.T) {
	l := &leaving{}
	ctx := context.WithValue(t.Context(), leavingKey{}, l)
	restored := 0
	onLeave(ctx, func() { restored++ })
	err := l.supervise(ctx, func() error { panic("out of cheese") })
	var b *bug.Error
	if !errors.As(err, &b) || !strings.HasPrefix(b.Place, "cmd/eligen/interrupt_test.go:") || !strings.Contains(b.Error(), "out of cheese") {
		t.Error(err)
	}
	if restored != 1 {
		t.Errorf("the terminal was given back %d times", restored)
	}
	if code := exitCode(ctx, err); code != exitError {
		t.Errorf("exit code %d", code)
	}
}

// A command that doesn't notice a signal is given up, and what it holds is given back.
func TestCommandThatDoesNotEnd(t *testing.T) {
	for signal, want := range map[os.Signal]int{os.Interrupt: exitInterrupted, syscall.SIGTERM: exitTerminated} {
		l := &leaving{}
		ctx, cancel := context.WithCancelCause(t.Context())
		ctx = context.WithValue(ctx, leavingKey{}, l)
		restored := 0
		done := onLeave(ctx, func() { restored++ })
		forever := make(chan struct{})
		err := l.supervise(ctx, func() error {
			cancel(signalled{signal})
			<-forever
			return nil
		})
		if code := exitCode(ctx, err); code != want || restored != 1 {
			t.Errorf("after %v: exit code %d, want %d; given back %d times", signal, code, want, restored)
		}
		close(forever)
		if done(); restored != 1 {
			t.Error("given back twice")
		}
	}
}

// What a command says of a scene that it was interrupted at is no mistake of the scene's.
func TestInterruptedWhileReading(t *testing.T) {
	scene := filepath.Join(t.TempDir(), "scene.hcl")
	if err := os.WriteFile(scene, []byte("render \"r\" {\n  prompt = \"a duck\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"console", scene, "--expr", "1"},
		{"new", "a dog left of a cat"},
		{"validate", scene},
		{"plan", scene},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(signalled{syscall.SIGTERM})
		c := newRoot()
		c.SetArgs(args)
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		if code := exitCode(ctx, c.ExecuteContext(ctx)); code != exitTerminated {
			t.Errorf("%s: exit code %d, want %d", args[0], code, exitTerminated)
		}
	}
}
