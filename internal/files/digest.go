package files

import (
	"github.com/eligen/eligen"
)

// DigestOf returns the SHA-256 of a regular file's content.
func DigestOf(path string) (eligen.Digest, error) {
	f, err := Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d, _, err := eligen.DigestAll(f)
	return d, err
}
