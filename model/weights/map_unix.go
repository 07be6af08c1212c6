//go:build unix

package weights

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file for reading. Pages come in as they are touched, and the
// system may drop them again: the weights are never in memory twice.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if size == 0 || size > math.MaxInt {
		return nil, nil, fmt.Errorf("a file of %d bytes can't be mapped", size)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return b, func() error { return unix.Munmap(b) }, nil
}
