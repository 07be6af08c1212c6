//go:build !unix

package main

import "os"

// notifyPause sends the signals that pause a training: there are none here.
func notifyPause(chan<- os.Signal) {}
