//go:build goexperiment.simd && amd64

package sha

import "simd/archsimd"

// clearVectors clears the upper bits of this thread's vector registers. Code on packages simd
// leaves them set; then SSE instructions, such as those of SHA-256, wait for them, and hashing
// slows down tenfold.
func clearVectors() { archsimd.ClearAVXUpperBits() }
