//go:build !goexperiment.simd || !amd64

package sha

func clearVectors() {}
