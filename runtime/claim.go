package runtime

import (
	"os"

	regular "github.com/eligen/eligen/internal/files"
)

// claimName is the file in a folder that is locked by who writes there.
const claimName = ".lock"

// Claim takes a folder, which it makes where it is missing, for this process until free
// is called, or the process ends. ok is false where another one has it. Where files
// can't be locked, it is there for the taking.
func Claim(dir string) (free func() error, ok bool, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	f, err := regular.OpenToLock(root, claimName)
	if err != nil {
		return nil, false, err
	}
	if held, err := lock(f); !held && err == nil {
		return nil, false, f.Close()
	}
	return f.Close, true, nil
}
