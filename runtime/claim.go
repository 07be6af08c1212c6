package runtime

import (
	"errors"
	"os"
	"path/filepath"
)

// claimName is the file in a folder that is locked by who writes there.
const claimName = ".lock"

// Claim takes a folder, which it makes where it is missing, for this process until free
// is called, or the process ends. ok is false where another one has it. On a system
// without file locks it is always there for the taking.
func Claim(dir string) (free func() error, ok bool, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, err
	}
	f, err := os.OpenFile(filepath.Join(dir, claimName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	ok, err = lock(f)
	if errors.Is(err, errors.ErrUnsupported) {
		ok, err = true, nil
	}
	if !ok || err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return f.Close, true, nil
}
