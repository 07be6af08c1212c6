//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package runtime

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an open file for this process, and reports false where another one has
// it. The system gives it back when the file is closed, or the process ends, however
// it ends.
func lock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return err == nil, err
		}
	}
}
