//go:build goexperiment.simd && amd64

package sha

import (
	"crypto/sha256"
	"runtime"
	"simd/archsimd"
	"testing"
)

var vectors [16]float32

// BenchmarkSum hashes 1 MiB on a thread that has computed with vectors.
func BenchmarkSum(b *testing.B) {
	data := make([]byte, 1<<20)
	for name, hash := range map[string]func(){
		"sha":           func() { New().Write(data) },
		"crypto/sha256": func() { sha256.New().Write(data) },
	} {
		b.Run(name, func(b *testing.B) {
			if !archsimd.X86.AVX512() {
				b.Skip("this processor has no AVX-512")
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				v := archsimd.LoadFloat32x16(&vectors)
				v.Add(v).Store(&vectors)
				hash()
			}
		})
	}
}
