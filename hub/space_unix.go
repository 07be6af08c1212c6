//go:build unix

package hub

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that a disk has free for this user. ok is false where the system doesn't say.
func freeSpace(dir string) (n int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Bsize <= 0 {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
