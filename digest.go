package eligen

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Digest identifies content, or a result by how it is made: SHA-256 in hex.
type Digest string

// DigestOf returns the digest of some bytes.
func DigestOf(b []byte) Digest {
	h := sha256.Sum256(b)
	return Digest(hex.EncodeToString(h[:]))
}

// Short returns the digest's first twelve characters, for people.
func (d Digest) Short() string { return string(d[:min(12, len(d))]) }
