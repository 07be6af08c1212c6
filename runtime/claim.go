package runtime

import (
	"os"
	"path/filepath"
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
	f, err := os.OpenFile(filepath.Join(dir, claimName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	if held, err := lock(f); !held && err == nil {
		return nil, false, f.Close()
	}
	return f.Close, true, nil
}
