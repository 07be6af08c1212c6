package eligen

import (
	"encoding/hex"
	"io"

	"github.com/eligen/eligen/internal/sha"
)

// A Digest identifies content, or a result by how it is made: SHA-256 in hex.
type Digest string

// DigestOf returns the digest of some bytes.
func DigestOf(b []byte) Digest {
	h := sha.New()
	_, _ = h.Write(b) // a hash takes everything
	return Digest(hex.EncodeToString(h.Sum(nil)))
}

// DigestAll returns the digest of all that r gives, and how many bytes that was.
func DigestAll(r io.Reader) (Digest, int64, error) {
	h := sha.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 1<<20))
	if err != nil {
		return "", n, err
	}
	return Digest(hex.EncodeToString(h.Sum(nil))), n, nil
}

// Short returns the digest's first twelve characters, for people.
func (d Digest) Short() string { return string(d[:min(12, len(d))]) }
