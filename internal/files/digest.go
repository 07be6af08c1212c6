package files

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/eligen/eligen"
)

// Digest returns the SHA-256 of all that r gives, and how many bytes that was.
func Digest(r io.Reader) (eligen.Digest, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return "", n, err
	}
	return eligen.Digest(hex.EncodeToString(h.Sum(nil))), n, nil
}

// DigestOf returns the SHA-256 of a regular file's content.
func DigestOf(path string) (eligen.Digest, error) {
	f, err := Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d, _, err := Digest(f)
	return d, err
}
