//go:build unix

package files

import (
	"errors"
	"io/fs"
	"syscall"
)

// nonblock keeps an open from waiting until somebody has the other end of a pipe.
const nonblock = syscall.O_NONBLOCK

// notFile returns an error of opening: a socket, and a pipe that is to be written and has
// no reader, are no files.
func notFile(name string, err error) error {
	if errors.Is(err, syscall.ENXIO) {
		return &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	return err
}
