// Package sha is SHA-256 at full speed next to code that computes with vectors.
package sha

import (
	"crypto/sha256"
	"hash"
)

// New returns a SHA-256 that sums as crypto/sha256 does, and first makes its thread fit for it:
// see clearVectors.
func New() hash.Hash { return sum{sha256.New()} }

type sum struct{ hash.Hash }

// most is how many bytes are hashed before the goroutine may have moved to another thread.
const most = 1 << 20

func (s sum) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		part := b[:min(most, len(b))]
		clearVectors()
		_, _ = s.Hash.Write(part) // never fails
		b = b[len(part):]
	}
	return n, nil
}
