//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// resident returns the largest resident memory of a process that has ended, in bytes.
func resident(p *os.ProcessState) int64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin":
		return int64(u.Maxrss) // in bytes there
	}
	return int64(u.Maxrss) << 10
}
