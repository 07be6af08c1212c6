//go:build linux || darwin || freebsd

package weights

import (
	"golang.org/x/sys/unix"
)

// freeSpace returns how many bytes a folder's disk has room for, and false where the system
// doesn't say.
func freeSpace(dir string) (uint64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}
