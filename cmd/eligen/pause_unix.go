//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyPause sends the signals that pause a training.
func notifyPause(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR1) }
