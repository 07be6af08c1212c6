package hub

import "path/filepath"

// FreeSpace returns the bytes that the disk of a folder has free for this user, whether the folder is there
// yet or not. ok is false where the system doesn't say.
func FreeSpace(dir string) (n int64, ok bool) {
	for {
		if n, ok = freeSpace(dir); ok {
			return n, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return 0, false
		}
		dir = parent
	}
}
