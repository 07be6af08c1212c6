//go:build unix && !linux

package main

import "testing"

func fullWorker(t *testing.T, _ *farmyard) { t.Skip("file systems are mounted on Linux only") }
