package cache

import (
	"io/fs"
	"syscall"
)

// identity returns when a file last changed in any way, and which it is; zeros where the
// system doesn't say.
func identity(fi fs.FileInfo) (ctime int64, inode, device uint64) {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0
	}
	return s.Ctimespec.Nano(), s.Ino, uint64(s.Dev)
}
